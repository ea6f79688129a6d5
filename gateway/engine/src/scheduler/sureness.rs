//! How sure the model was of an answer: the sums over its tokens that a caller wants who goes by that. By the model's own
//! scores, before temperature, penalties and forms.

use crate::kernel::Isa;
use tidegate_core::said::Sureness;

/// The sums of one answer so far.
pub(super) struct Gauge {
    isa: Isa,
    so_far: Sureness,
    room: Vec<f32>,
}

impl Gauge {
    pub(super) const fn new(isa: Isa) -> Self {
        Self { isa, so_far: Sureness { likelihood: 0.0, entropy: 0.0, tokens: 0 }, room: Vec::new() }
    }

    /// Takes a token that was chosen by these scores.
    pub(super) fn take(&mut self, scores: &[f32], token: u32) {
        self.room.clear();
        self.room.extend_from_slice(scores);
        let top = self.isa.max(scores);
        let total = self.isa.exp_sum(&mut self.room);
        let whole = f64::from(top) + f64::from(total).ln();
        // The entropy is what the scores are below the logarithm of the whole, on average.
        let mean = f64::from(self.isa.dot(&self.room, scores)) / f64::from(total);
        let own = scores.get(token as usize).map_or(whole, |score| f64::from(*score));
        self.so_far.likelihood += (own - whole).min(0.0);
        self.so_far.entropy += (whole - mean).max(0.0);
        self.so_far.tokens += 1;
    }

    pub(super) const fn so_far(&self) -> Sureness {
        self.so_far
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_certain_has_no_entropy_and_what_is_even_has_all() {
        for isa in Isa::all() {
            let mut gauge = Gauge::new(isa);
            let mut even = vec![-7.0f32; 300];
            gauge.take(&even, 5);
            let (uniform, sure) = (300.0f64.ln(), gauge.so_far());
            assert!((sure.entropy - uniform).abs() < 1e-3 && (sure.likelihood + uniform).abs() < 1e-3, "{sure:?}");
            even[17] = 60.0;
            gauge.take(&even, 17);
            let both = gauge.so_far();
            assert!((both.entropy - sure.entropy).abs() < 1e-3 && both.tokens == 2, "{both:?}");
            // Two that are as likely: ln 2 each.
            let mut two = vec![-80.0f32; 300];
            (two[0], two[299]) = (3.0, 3.0);
            gauge.take(&two, 299);
            let all = gauge.so_far();
            let half = 2.0f64.ln();
            assert!((all.entropy - both.entropy - half).abs() < 1e-3, "{all:?}");
            assert!((all.likelihood - both.likelihood + half).abs() < 1e-3, "{all:?}");
        }
    }
}
