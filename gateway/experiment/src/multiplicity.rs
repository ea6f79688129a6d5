//! Many questions at once: p-values that say how often any (or which share) of the answers errs. Owns the corrections.

use serde::{Deserialize, Serialize};

/// What is kept below the error rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Correction {
    /// The probability that any answer errs; the plainest (Bonferroni 1936).
    Bonferroni,
    /// The same, and never weaker (Holm 1979).
    Holm,
    /// The share of the differences that are reported and are none (Benjamini, Hochberg 1995); for tests that are
    /// independent or lean the same way.
    BenjaminiHochberg,
}

/// The p-values so adjusted that each may be held against the error rate; in the order in which they came. What is no
/// number counts as 1.
#[must_use]
pub fn adjusted(ps: &[f64], correction: Correction) -> Vec<f64> {
    let all = count(ps.len());
    let mut ranked: Vec<(usize, f64)> = ps.iter().map(|p| if p.is_nan() { 1.0 } else { *p }).enumerate().collect();
    ranked.sort_by(|a, b| a.1.total_cmp(&b.1));
    let scaled = ranked.iter().enumerate().map(|(rank, (_, p))| match correction {
        Correction::Bonferroni => p * all,
        Correction::Holm => p * (all - count(rank)),
        Correction::BenjaminiHochberg => p * all / count(rank + 1),
    });
    let mut scaled: Vec<f64> = scaled.map(|p| p.min(1.0)).collect();
    // A p-value that was larger stays so.
    match correction {
        Correction::Bonferroni => {}
        Correction::Holm => keep(scaled.iter_mut(), f64::max),
        Correction::BenjaminiHochberg => keep(scaled.iter_mut().rev(), f64::min),
    }
    let mut back: Vec<(usize, f64)> = ranked.iter().zip(scaled).map(|((at, _), p)| (*at, p)).collect();
    back.sort_by_key(|(at, _)| *at);
    back.into_iter().map(|(_, p)| p).collect()
}

fn keep<'a>(mut ps: impl Iterator<Item = &'a mut f64>, order: fn(f64, f64) -> f64) {
    let Some(mut last) = ps.next().copied() else { return };
    for p in ps {
        *p = order(*p, last);
        last = *p;
    }
}

#[expect(clippy::cast_precision_loss, reason = "nobody asks so many things at once")]
const fn count(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn corrections_are_those_of_r() {
        // p.adjust(c(0.04, 0.01, 0.03, 0.005, 0.5), …)
        let ps = [0.04, 0.01, 0.03, 0.005, 0.5];
        for (correction, expected) in [
            (Correction::Bonferroni, [0.2, 0.05, 0.15, 0.025, 1.0]),
            (Correction::Holm, [0.09, 0.04, 0.09, 0.025, 0.5]),
            (Correction::BenjaminiHochberg, [0.05, 0.025, 0.05, 0.025, 0.5]),
        ] {
            let got = adjusted(&ps, correction);
            assert!(got.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{correction:?}: {got:?}");
        }
        assert!(adjusted(&[], Correction::Holm).is_empty());
        assert_eq!(adjusted(&[f64::NAN, 0.01], Correction::Bonferroni), [1.0, 0.02]);
    }

    proptest! {
        #[test]
        fn each_is_between_the_p_itself_and_bonferronis(ps in prop::collection::vec(0.0..=1.0f64, 0..20)) {
            let (plain, holm, rate) = (
                adjusted(&ps, Correction::Bonferroni),
                adjusted(&ps, Correction::Holm),
                adjusted(&ps, Correction::BenjaminiHochberg),
            );
            for (at, p) in ps.iter().enumerate() {
                prop_assert!(*p <= rate[at] + 1e-15 && rate[at] <= holm[at] + 1e-15 && holm[at] <= plain[at] + 1e-15);
            }
        }
    }
}
