//! The z test of two proportions: whether a yes is as frequent in the window as in the reference.

use super::special::normal_beyond;

/// What the test found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tested {
    /// The difference of the shares in its standard errors, the reference's first.
    pub z: f64,
    /// How probable a difference at least as large is, either way.
    pub p: f64,
}

/// Compares `yes` of `all` in both samples, by the pooled variance (Fleiss, Levin, Paik: Statistical methods for rates and
/// proportions, 2003, section 3.1). None where a sample is empty; `p = 1` where all answers are alike.
#[must_use]
pub fn z_test(reference: (u64, u64), current: (u64, u64)) -> Option<Tested> {
    let ((a, n), (b, m)) = (numbers(reference), numbers(current));
    if n <= 0.0 || m <= 0.0 {
        return None;
    }
    let pooled = (a + b) / (n + m);
    let error = (pooled * (1.0 - pooled) * (1.0 / n + 1.0 / m)).sqrt();
    if error <= 0.0 {
        return Some(Tested { z: 0.0, p: 1.0 });
    }
    let z = (a / n - b / m) / error;
    Some(Tested { z, p: normal_beyond(z) })
}

#[expect(clippy::cast_precision_loss, reason = "counts of rows")]
const fn numbers((yes, all): (u64, u64)) -> (f64, f64) {
    (yes as f64, all as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{bins::Pair, chi_square};

    #[test]
    fn its_square_is_the_uncorrected_chi_square() {
        let tested = z_test((30, 100), (45, 100)).expect("both have values");
        // 2 × 2 without correction: n (ad − bc)² / products of the margins.
        let squared = 200.0 * (30.0f64 * 55.0 - 70.0 * 45.0).powi(2) / (75.0 * 125.0 * 100.0 * 100.0);
        assert!((tested.z * tested.z - squared).abs() < 1e-12 && tested.z < 0.0);
        let pair = Pair { reference: vec![70, 30], current: vec![55, 45], edges: Vec::new() };
        assert!(chi_square::contingency(&pair).is_some_and(|corrected| corrected.p > tested.p));
    }

    #[test]
    fn nothing_is_said_of_nothing() {
        assert_eq!(z_test((0, 0), (1, 2)), None);
        assert_eq!(z_test((5, 5), (7, 7)).map(|tested| tested.p), Some(1.0));
    }
}
