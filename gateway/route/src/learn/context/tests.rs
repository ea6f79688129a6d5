//! Vectors of calls with features, held to exact probabilities (`tests/golden/bandits/linear.py`).

use super::super::linear::Regression;
use super::super::linear::tests::cases;
use super::*;

fn row(features: &[f64]) -> Vec<f64> {
    [1.0].iter().chain(features).copied().collect()
}

/// Over many states the parts of their draws are the probabilities of an arm to be the best one.
#[test]
fn parts_of_the_draws_are_the_probabilities_of_the_best_arm() {
    const STATES: u32 = 400;
    for case in cases() {
        let Regression { arms, noise } = Regression::of(&case.tallies()).unwrap();
        let states: Vec<Draws> = (0..u64::from(STATES)).map(|seed| Draws::new(&arms, noise, seed << 32)).collect();
        for (features, wanted) in case.asked.iter().zip(&case.best) {
            let (mut sums, mut shares) = (vec![0.0; arms.len()], vec![0.0; arms.len()]);
            for state in &states {
                state.shares(&row(features), &mut shares);
                assert_eq!(shares.iter().sum::<f64>(), 1.0, "parts of 256 add up exactly");
                add(&mut sums, 1.0, &shares);
            }
            for (sum, wanted) in sums.iter().zip(wanted) {
                let (got, count) = (sum / f64::from(STATES), f64::from(STATES) * 256.0);
                let deviation = (wanted * (1.0 - wanted) / count).sqrt();
                assert!((got - wanted).abs() <= 4.5 * deviation, "{}: {got} {wanted}", case.name);
            }
        }
    }
}

#[test]
fn bounds_are_those_of_the_reference() {
    for case in cases() {
        let arms = Regression::of(&case.tallies()).unwrap().arms;
        let bounds: Vec<Bound> = arms.into_iter().map(|arm| Bound::new(arm, 1.5)).collect();
        for (at, features) in case.asked.iter().enumerate() {
            let x = row(features);
            let wanted: Vec<f64> =
                case.means[at].iter().zip(&case.quadratics[at]).map(|(m, q)| m + 1.5 * q.sqrt()).collect();
            for (bound, wanted) in bounds.iter().zip(&wanted) {
                assert!((bound.at(&x) - wanted).abs() < 1e-9, "{}: {} {wanted}", case.name, bound.at(&x));
            }
            let mut shares = vec![0.0; bounds.len()];
            largest(bounds.iter().map(|bound| bound.at(&x)), &mut shares);
            let best = wanted.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let taken = shares.iter().position(|share| *share == 1.0).unwrap();
            assert_eq!(wanted[taken], best, "{}", case.name);
        }
    }
}

#[test]
fn the_largest_share_equally() {
    let of = |scores: [f64; 4]| {
        let mut out = [9.0; 4];
        largest(scores.into_iter(), &mut out);
        out
    };
    assert_eq!(of([1.0, 3.0, 2.0, 3.0]), [0.0, 0.5, 0.0, 0.5]);
    assert_eq!(of([5.0, 3.0, 5.0, 5.0]), [1.0 / 3.0, 0.0, 1.0 / 3.0, 1.0 / 3.0]);
    assert_eq!(of([-4.0, -3.0, -2.0, -1.0]), [0.0, 0.0, 0.0, 1.0]);
}

#[test]
fn pairs_are_normal_and_independent() {
    const PAIRS: u32 = 100_000;
    let dice = SplitMix::seeded(5);
    let (mut squares, mut products, mut fourths) = (0.0, 0.0, 0.0);
    for _ in 0..PAIRS {
        let [a, b] = normal_pair(&dice);
        squares += a * a + b * b;
        products += a * b;
        fourths += a.powi(4) + b.powi(4);
    }
    let n = f64::from(PAIRS);
    // Four deviations: of squares √2, of products 1, of fourth powers √96.
    assert!((squares / (2.0 * n) - 1.0).abs() < 4.0 * (1.0 / n).sqrt());
    assert!((products / n).abs() < 4.0 * (1.0 / n).sqrt());
    assert!((fourths / (2.0 * n) - 3.0).abs() < 4.0 * (48.0 / n).sqrt());
}
