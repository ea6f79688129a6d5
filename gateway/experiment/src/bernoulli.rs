//! How probable a yes is, looked at after each answer. Exact for independent answers, however few they are.
//!
//! The likelihood of the answers under a uniform prior over their likelihood under `p`,
//! `B(1 + s, 1 + f) / (pˢ (1 − p)ᶠ)`, is a martingale of mean 1 where `p` is true; by Ville's inequality it is ever above
//! `1/α` with a probability of at most `α` (Robbins 1970; Howard, Ramdas, McAuliffe, Sekhon: Time-uniform, nonparametric,
//! nonasymptotic confidence sequences, 2021).

use crate::alpha::Alpha;
use crate::gamma::ln_beta;
use crate::interval::Interval;

/// Where the probability lies after so many yes and no, at all looks together but for `alpha`.
#[must_use]
pub fn sequence(yes: f64, no: f64, alpha: Alpha) -> Interval {
    let (yes, no) = (yes.max(0.0), no.max(0.0));
    let all = yes + no;
    if all <= 0.0 {
        return Interval { low: 0.0, high: 1.0 };
    }
    let (mixture, most) = (ln_beta(1.0 + yes, 1.0 + no), -alpha.get().ln());
    let may_be = |p: f64| mixture - times(yes, p.ln()) - times(no, (-p).ln_1p()) < most;
    let best = yes / all;
    Interval { low: edge(best, 0.0, may_be), high: edge(best, 1.0, may_be) }
}

/// How many yes there may be among `n` answers where a yes has the probability `p`: the counts with which
/// [`sequence`] would not exclude it.
#[must_use]
pub fn counts(n: f64, p: f64, alpha: Alpha) -> Interval {
    if n <= 0.0 {
        return Interval { low: 0.0, high: 0.0 };
    }
    let most = -alpha.get().ln();
    let (yes, no) = (p.ln(), (-p).ln_1p());
    let may_be = |k: f64| ln_beta(1.0 + k, 1.0 + n - k) - times(k, yes) - times(n - k, no) < most;
    // At the expected count it always may, as its likelihood is the largest there.
    Interval { low: edge(n * p, 0.0, may_be), high: edge(n * p, n, may_be) }
}

/// 0 · ln 0 is 0.
fn times(count: f64, of: f64) -> f64 {
    if count == 0.0 { 0.0 } else { count * of }
}

/// The last point between `inside` and `end` that may be.
pub(crate) fn edge(inside: f64, end: f64, may_be: impl Fn(f64) -> bool) -> f64 {
    if may_be(end) {
        return end;
    }
    let (mut inside, mut outside) = (inside, end);
    for _ in 0..60 {
        let middle = f64::midpoint(inside, outside);
        if may_be(middle) {
            inside = middle;
        } else {
            outside = middle;
        }
    }
    outside
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(state: &mut u64) -> f64 {
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        #[expect(clippy::cast_precision_loss, reason = "53 bits")]
        let unit = ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64;
        unit
    }

    #[test]
    fn ends_are_where_the_martingale_reaches_its_bound() {
        let got = sequence(20.0, 80.0, Alpha::FIVE_PERCENT);
        for p in [got.low, got.high] {
            let ln = ln_beta(21.0, 81.0) - 20.0 * p.ln() - 80.0 * (1.0 - p).ln();
            assert!((ln - 20f64.ln()).abs() < 1e-9, "{p}");
        }
        // By bisection in Python.
        assert!((got.low - 0.092_769_167_777).abs() < 1e-11 && (got.high - 0.348_207_987_117).abs() < 1e-11, "{got:?}");
        assert_eq!(sequence(0.0, 0.0, Alpha::FIVE_PERCENT), Interval { low: 0.0, high: 1.0 });
        let none = sequence(0.0, 1000.0, Alpha::FIVE_PERCENT);
        assert!(none.low == 0.0 && none.high < 0.011, "{none:?}");
    }

    #[test]
    fn counts_and_sequence_say_the_same() {
        for (n, p) in [(50.0, 0.95), (400.0, 0.5), (10.0, 0.05), (5000.0, 0.99)] {
            let at = counts(n, p, Alpha::FIVE_PERCENT);
            for k in [at.low, at.high] {
                let back = sequence(k, n - k, Alpha::FIVE_PERCENT);
                let near = (back.low - p).abs().min((back.high - p).abs());
                assert!(near < 1e-6 || (back.has(p) && (k == 0.0 || k == n)), "{n} {p} {k}: {back:?}");
            }
        }
    }

    #[test]
    fn it_errs_at_any_look_no_more_often_than_it_says() {
        for p in [0.02, 0.3, 0.9] {
            let mut seed = 7;
            let errs = (0..1000).filter(|_| {
                let (mut yes, mut no) = (0.0, 0.0);
                (0..500).any(|_| {
                    if next(&mut seed) < p {
                        yes += 1.0;
                    } else {
                        no += 1.0;
                    }
                    !sequence(yes, no, Alpha::FIVE_PERCENT).has(p)
                })
            });
            let errs = errs.count();
            assert!(errs <= 62, "{errs} of 1,000 at {p}");
        }
    }
}
