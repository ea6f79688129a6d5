//! Bounds that hold at every look, and ratios of samples.

use crate::vectors::{Compared, cases, number, numbers};
use serde_json::Value;
use tidegate_experiment::predictable::{Bernstein, Hoeffding};
use tidegate_experiment::{Alpha, Interval, Moments, asymptotic, boundary, conjugate, msprt, sample_ratio};

/// Of the series: "rel 1e-8 (predmix/mixtures), 1e-6 (conjmix root finding)".
const SERIES: f64 = 1e-8;
const ROOTS: f64 = 1e-6;
/// Of the ratios: "rel 1e-9".
const RATIOS: f64 = 1e-9;

#[test]
fn every_case_is_met() {
    let Some(cases) = cases("anytime_valid") else { return };
    let mut compared = Compared::default();
    for case in &cases {
        let tolerance = case["tol"].as_str().expect("a tolerance");
        let id = case["id"].as_str().expect("an id");
        if id.starts_with("srm") {
            assert_eq!(tolerance, "rel 1e-9");
            ratio(id, case, &mut compared);
        } else {
            assert_eq!(tolerance, "rel 1e-8 (predmix/mixtures), 1e-6 (conjmix root finding)");
            series(id, case, &mut compared);
        }
    }
    println!("anytime_valid: {} cases, {} numbers, the worst off by {:e}", cases.len(), compared.n, compared.worst);
    assert_eq!(cases.len(), 18);
}

fn ratio(id: &str, case: &Value, compared: &mut Compared) {
    let seen: Vec<u64> =
        case["input"]["observed"].as_array().expect("counts").iter().map(|n| n.as_u64().expect("a count")).collect();
    let got = sample_ratio::chi_square(&seen, &numbers(&case["input"]["weights"])).expect("a test");
    let expected = &case["expected"];
    compared.relative(&format!("{id} chi2"), got.statistic, &expected["chi2"], RATIOS);
    compared.relative(&format!("{id} p"), got.p, &expected["p"], RATIOS);
    compared.relative(&format!("{id} min_expected"), got.least_expected, &expected["min_expected"], RATIOS);
    assert_eq!(expected.as_object().map(serde_json::Map::len), Some(3));
}

fn series(id: &str, case: &Value, compared: &mut Compared) {
    let x = numbers(&case["input"]["x"]);
    let alpha = Alpha::new(number(&case["params"]["alpha"])).expect("an error rate");
    for (name, expected) in case["expected"].as_object().expect("what is expected") {
        let what = format!("{id} {name}");
        match name.as_str() {
            "predmix_empbern" => {
                let mut sequence = Bernstein::new(alpha);
                at_times(&what, &x, expected, SERIES, compared, |value| {
                    sequence.add(value).expect("between 0 and 1");
                    sequence.interval()
                });
            }
            "predmix_hoeffding" => {
                let mut sequence = Hoeffding::new(alpha);
                at_times(&what, &x, expected, SERIES, compared, |value| {
                    sequence.add(value).expect("between 0 and 1");
                    sequence.interval()
                });
            }
            "conjmix_bernoulli_t_opt_50" => {
                let (mut yes, mut no) = (0.0, 0.0);
                at_times(&what, &x, expected, ROOTS, compared, |value| {
                    yes += value;
                    no += 1.0 - value;
                    on_their_grid(yes, no, alpha, 50.0)
                });
            }
            "normal_mixture_bound" | "poly_stitching_bound" => bounds(&what, expected, compared),
            "asymptotic_cs_default_rho" => asymptotically(&what, &x, alpha, expected, compared),
            "msprt_mean_vs_half" => sequential_test(&what, &x, expected, compared),
            other => panic!("{id} expects {other}, which is not compared"),
        }
    }
}

fn at_times(
    what: &str,
    x: &[f64],
    expected: &Value,
    tolerance: f64,
    compared: &mut Compared,
    mut next: impl FnMut(f64) -> Interval,
) {
    let mut met = 0;
    for (at, value) in x.iter().enumerate() {
        let got = next(*value);
        let Some(ends) = expected.get((at + 1).to_string()) else { continue };
        compared.relative(&format!("{what} low at {}", at + 1), got.low, &ends[0], tolerance);
        compared.relative(&format!("{what} high at {}", at + 1), got.high, &ends[1], tolerance);
        met += 1;
    }
    assert_eq!(Some(met), expected.as_object().map(serde_json::Map::len), "{what}: times were not met");
}

/// confseq looks for no root: it tries each thousandth, and reports those next to the first and the last that may be.
fn on_their_grid(yes: f64, no: f64, alpha: Alpha, tuned: f64) -> Interval {
    let may_be =
        |step: &i32| conjugate::ln_evidence(yes, no, f64::from(*step) / 1_000.0, alpha, tuned) <= -alpha.get().ln();
    let (first, last) = ((0..=1_000).find(may_be), (0..=1_000).rev().find(may_be));
    let (first, last) = (first.expect("one may be"), last.expect("one may be"));
    let grid =
        Interval { low: f64::from((first - 1).max(0)) / 1_000.0, high: f64::from((last + 1).min(1_000)) / 1_000.0 };
    // Our own roots lie within the steps beside theirs.
    let ours = conjugate::sequence(yes, no, alpha, tuned);
    assert!((grid.low..=grid.low + 0.001 + 1e-9).contains(&ours.low), "{ours:?} {grid:?}");
    assert!((grid.high - 0.001 - 1e-9..=grid.high).contains(&ours.high), "{ours:?} {grid:?}");
    grid
}

fn bounds(what: &str, expected: &Value, compared: &mut Compared) {
    for row in expected.as_array().expect("rows") {
        let (v, alpha) = (number(&row["v"]), Alpha::new(number(&row["alpha"])).expect("an error rate"));
        let got = match row.get("v_min") {
            Some(least) => boundary::Stitching::from(number(least)).bound(v, alpha),
            None => boundary::normal_mixture(v, alpha, number(&row["v_opt"])),
        };
        compared.relative(&format!("{what} at {v}"), got, &row["bound"], SERIES);
    }
}

fn asymptotically(what: &str, x: &[f64], alpha: Alpha, expected: &Value, compared: &mut Compared) {
    let seen: Moments = x.iter().copied().collect();
    let (mean, variance) = (seen.mean().expect("a mean"), seen.sample_variance().expect("a variance"));
    let margin = asymptotic::margin(seen.count(), variance, alpha, 100.0);
    let ends = Interval::around(mean, margin);
    for (name, got) in [
        ("mean", mean),
        ("variance_ddof1", variance),
        ("n", seen.count()),
        ("rho", asymptotic::mixing(alpha, 100.0).sqrt()),
        ("margin", margin),
        ("lower", ends.low),
        ("upper", ends.high),
    ] {
        compared.relative(&format!("{what} {name}"), got, &expected[name], SERIES);
    }
    assert_eq!(expected.as_object().map(serde_json::Map::len), Some(7));
}

fn sequential_test(what: &str, x: &[f64], expected: &Value, compared: &mut Compared) {
    for row in expected.as_array().expect("rows") {
        let mut test = msprt::Msprt::new(0.5, number(&row["sigma2"]), number(&row["tau2"]));
        x.iter().for_each(|value| test.add(*value));
        compared.relative(&format!("{what} lambda"), test.ln_ratio().exp(), &row["lambda_final"], SERIES);
        compared.relative(&format!("{what} p"), test.p(), &row["always_valid_p"], SERIES);
    }
}
