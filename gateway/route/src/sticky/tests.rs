//! Sticky assignment as a distribution: its shares, and how many units a change of shares moves.

use super::*;
use proptest::prelude::*;

const UNITS: u32 = 40_000;

fn names(n: usize) -> Vec<u64> {
    (0..n).map(|i| arm_salt(&format!("arm-{i}"))).collect()
}

fn assign(shares: &[f64], arms: &[u64]) -> Vec<usize> {
    let salt = Salt::of("support");
    (0..UNITS).map(|unit| race(shares, arms, salt.draw(&unit.to_be_bytes()))).collect()
}

fn moved(before: &[f64], after: &[f64]) -> f64 {
    let arms = names(before.len());
    let changed = assign(before, &arms).iter().zip(assign(after, &arms)).filter(|(a, b)| **a != *b).count();
    changed as f64 / f64::from(UNITS)
}

fn total_variation(p: &[f64], q: &[f64]) -> f64 {
    p.iter().zip(q).map(|(a, b)| (a - b).abs()).sum::<f64>() / 2.0
}

/// Five standard errors of a proportion over `UNITS` at its widest.
const TOLERANCE: f64 = 5.0 * 0.5 / 200.0;

#[test]
fn units_fall_to_arms_by_their_shares() {
    let shares = [0.5, 0.3, 0.0, 0.15, 0.05];
    let mut counts = [0f64; 5];
    for arm in assign(&shares, &names(5)) {
        counts[arm] += 1.0;
    }
    assert_eq!(counts[2], 0.0);
    let chi2: f64 = (0..5)
        .filter(|i| shares[*i] > 0.0)
        .map(|i| (counts[i] - shares[i] * f64::from(UNITS)).powi(2) / (shares[i] * f64::from(UNITS)))
        .sum();
    assert!(chi2 < 16.27, "{chi2}: above the 99.9 % quantile of 3 degrees of freedom");
}

#[test]
fn a_canary_step_moves_only_to_the_arm_that_grew() {
    let arms = names(2);
    let steps = [[0.95, 0.05], [0.75, 0.25], [0.5, 0.5], [0.0, 1.0]].map(|shares| assign(&shares, &arms));
    for (before, after) in steps.iter().zip(&steps[1..]) {
        assert!(before.iter().zip(after).all(|(b, a)| a == b || *a == 1));
    }
}

#[test]
fn what_moves_when_one_arm_grows_is_the_total_variation_distance() {
    let (before, after) = ([0.5, 0.3, 0.2], [0.25, 0.15, 0.6]);
    let (got, least) = (moved(&before, &after), total_variation(&before, &after));
    assert!((got - least).abs() < TOLERANCE, "{got} moved, {least} had to");
}

#[test]
fn removing_an_arm_moves_its_own_units_alone_whatever_its_place() {
    let arms = names(3);
    let before = assign(&[0.4, 0.2, 0.4], &arms);
    let after = assign(&[0.5, 0.5], &[arms[0], arms[2]]);
    for (b, a) in before.iter().zip(after) {
        assert!(*b == 1 || *b == [0, 2][a]);
    }
}

#[test]
fn another_route_assigns_independently() {
    let (a, b, arms) = (Salt::of("a"), Salt::of("b"), names(2));
    let both = (0..UNITS)
        .map(u32::to_be_bytes)
        .filter(|unit| race(&[0.5, 0.5], &arms, a.draw(unit)) == 0 && race(&[0.5, 0.5], &arms, b.draw(unit)) == 0)
        .count();
    assert!((both as f64 / f64::from(UNITS) - 0.25).abs() < TOLERANCE);
}

#[test]
fn the_draw_is_the_published_function_of_route_and_unit() {
    // python3: int.from_bytes(sha256(b"tidegate sticky 1\0support\0u1").digest()[:8], "big") >> 11
    let upper = (Salt::of("support").draw(b"u1") * 9_007_199_254_740_992.0) as u64;
    assert_eq!(upper, 6_931_665_520_194_873);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_moves_is_what_the_theory_says(
        raw in prop::collection::vec((0.01..1.0f64, 0.01..1.0f64), 2..6),
    ) {
        let (p, q): (Vec<f64>, Vec<f64>) = raw.into_iter().unzip();
        let (p, q) = (normal(&p), normal(&q));
        let kept: f64 = (0..p.len())
            .map(|i| 1.0 / (0..p.len()).map(|j| f64::max(p[j] / p[i], q[j] / q[i])).sum::<f64>())
            .sum();
        let (got, least) = (moved(&p, &q), total_variation(&p, &q));
        prop_assert!((got - (1.0 - kept)).abs() < TOLERANCE, "{got} moved, {} foreseen", 1.0 - kept);
        prop_assert!(got < 2.0 * least / (1.0 + least) + TOLERANCE);
    }
}

fn normal(raw: &[f64]) -> Vec<f64> {
    let sum: f64 = raw.iter().sum();
    raw.iter().map(|x| x / sum).collect()
}
