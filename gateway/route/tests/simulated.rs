//! Learners on simulated worlds, held to a textbook reference (`tests/golden/bandits/reference.py`, its figures in
//! `expected.json`): the same rewards, but drawn from published probabilities instead of posteriors. Learners that regard
//! the call are held to `linear.py` and `linear.json` beside them.
//!
//! The seeds begin at `TIDEGATE_SEED` (0 where it is not set); the figures are printed.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests fail the test, and tell figures")]

use serde_json::Value;
use std::f64::consts::TAU;
use tidegate_core::Dice as _;
use tidegate_core::dice::SplitMix;
use tidegate_route::learn::{Learner, LinearRule, LinearTally, Mixing, Rule, Tally, Values};
use tidegate_route::share;

const SEEDS: u64 = 1000;

fn base() -> u64 {
    std::env::var("TIDEGATE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0)
}

/// A world: the reward of an arm at a round is a function of the seed, the round and the arm.
struct World {
    means: Vec<f64>,
    is_boolean: bool,
}

fn mix(x: u64) -> u64 {
    let mut x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

#[expect(clippy::cast_precision_loss, reason = "53 bits")]
fn unit(seed: u64, t: u64, arm: u64, nth: u64) -> f64 {
    (mix(seed ^ mix(t * 256 + arm * 4 + nth)) >> 11) as f64 / (1u64 << 53) as f64
}

impl World {
    fn reward(&self, seed: u64, t: u64, arm: usize) -> f64 {
        let (mean, arm) = (self.means[arm], arm as u64);
        if self.is_boolean {
            return f64::from(u8::from(unit(seed, t, arm, 0) < mean));
        }
        let radius = (-2.0 * (-unit(seed, t, arm, 0)).ln_1p()).sqrt();
        mean + radius * (TAU * unit(seed, t, arm, 1)).cos()
    }

    fn best(&self) -> f64 {
        self.means.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }
}

/// A learner, and how it learns.
#[derive(Clone)]
struct Plan {
    rule: Rule,
    mixing: Mixing,
    rounds: u64,
    /// Rewards in a state.
    batch: u64,
}

impl Plan {
    /// One run: what is lost beside the best arm.
    fn regret(&self, world: &World, seed: u64) -> f64 {
        let mut learner = Learner::new(self.rule, self.mixing.clone(), None, vec![Tally::default(); world.means.len()]);
        let dice = SplitMix::seeded(mix(seed ^ 0x5EED));
        let mut state = learner.state().unwrap();
        let mut lost = 0.0;
        for t in 0..self.rounds {
            let arm = share::at(state.shares(), dice.unit());
            learner.fold(arm, world.reward(seed, t, arm));
            if (t + 1) % self.batch == 0 {
                state = learner.state().unwrap();
            }
            lost += world.best() - world.means[arm];
        }
        lost
    }
}

/// What `one` gives for each seed, on two threads.
fn all<T: Send>(one: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let (base, half) = (base(), SEEDS / 2);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| (0..half).map(|seed| one(base + seed)).collect::<Vec<T>>());
        let mut second: Vec<T> = (half..SEEDS).map(|seed| one(base + seed)).collect();
        let mut both = first.join().unwrap();
        both.append(&mut second);
        both
    })
}

#[expect(clippy::cast_precision_loss, reason = "a thousand seeds")]
fn mean(of: &[f64]) -> f64 {
    of.iter().sum::<f64>() / of.len() as f64
}

/// The runs of a file of the reference whose name begins so.
fn runs(file: &str, name: &str) -> Vec<Value> {
    let path = format!("{}/../../tests/golden/bandits/{file}", env!("CARGO_MANIFEST_DIR"));
    let expected: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut runs = expected["runs"].as_array().unwrap().clone();
    runs.retain(|run| run["name"].as_str().unwrap().starts_with(name));
    assert!(!runs.is_empty(), "the reference has no run `{name}`");
    runs
}

/// Tells what is lost, and holds it to the reference.
fn compare(run: &Value, lost: f64) {
    let (name, reference) = (run["name"].as_str().unwrap(), run["regret"].as_f64().unwrap());
    println!(
        "figure: {name}: regret {lost:.2} over {SEEDS} seeds from {}, reference {reference:.2} ({:+.1} %)",
        base(),
        (lost / reference - 1.0) * 100.0
    );
    assert!((lost / reference - 1.0).abs() <= 0.1, "{name}: {lost} against {reference}");
}

/// Holds the runs whose name begins so to the reference.
fn holds(name: &str) {
    for run in runs("expected.json", name) {
        let number = |name: &str| run[name].as_f64().unwrap();
        let means: Vec<f64> = run["means"].as_array().unwrap().iter().filter_map(Value::as_f64).collect();
        let is_boolean = run["kind"] == "boolean";
        let values = if is_boolean { Values::Booleans } else { Values::Numbers };
        let plan = Plan {
            rule: if run["rule"] == "ucb1" { Rule::Ucb1 { range: (0.0, 1.0) } } else { Rule::Thompson(values) },
            mixing: Mixing::new(number("explore"), number("min_share"), means.len()).unwrap(),
            rounds: run["rounds"].as_u64().unwrap(),
            batch: run["batch"].as_u64().unwrap(),
        };
        let world = World { means, is_boolean };
        let lost = mean(&all(|seed| plan.regret(&world, seed)));
        compare(&run, lost);
    }
}

#[test]
fn thompson_loses_what_the_textbook_loses() {
    holds("thompson, pure");
}

#[test]
fn thompson_of_numbers_loses_what_the_textbook_loses() {
    holds("thompson of numbers, pure");
}

#[test]
fn ucb1_loses_what_the_textbook_loses() {
    holds("ucb1");
}

#[test]
fn thompson_in_batches_loses_what_the_textbook_loses_in_batches() {
    holds("thompson, as by default");
    holds("thompson of numbers, as by default");
}

/// A world in which the mean of an arm depends on the call: it is `θ · x`, with 1 before the features.
struct LinearWorld {
    theta: Vec<Vec<f64>>,
    noise: f64,
    is_boolean: bool,
}

impl LinearWorld {
    fn features(&self, seed: u64, t: u64) -> Vec<f64> {
        (0..self.theta[0].len() as u64 - 1).map(|k| 2.0 * unit(seed, t, 32 + k, 0) - 1.0).collect()
    }

    /// The mean of each arm.
    fn means(&self, features: &[f64]) -> Vec<f64> {
        let mean = |theta: &Vec<f64>| theta[0] + theta[1..].iter().zip(features).map(|(a, b)| a * b).sum::<f64>();
        self.theta.iter().map(mean).collect()
    }

    /// The reward of an arm, in a world of the same chance with such a mean.
    fn reward(&self, mean: f64, seed: u64, t: u64, arm: usize) -> f64 {
        let arm = arm as u64;
        if self.is_boolean {
            return f64::from(u8::from(unit(seed, t, arm, 0) < mean));
        }
        let radius = (-2.0 * (-unit(seed, t, arm, 0)).ln_1p()).sqrt();
        mean + self.noise * radius * (TAU * unit(seed, t, arm, 1)).cos()
    }

    /// One run: what is lost beside the best arm of each call.
    fn regret(&self, (rule, mixing): (LinearRule, Mixing), (rounds, batch): (u64, u64), seed: u64) -> f64 {
        let features = self.theta[0].len() - 1;
        let tallies = vec![LinearTally::empty(features); self.theta.len()];
        let mut learner = Learner::regarding((rule, features), mixing, None, tallies).unwrap();
        let dice = SplitMix::seeded(mix(seed ^ 0x11AD));
        let (mut state, mut lost) = (learner.state().unwrap(), 0.0);
        for t in 0..rounds {
            let x = self.features(seed, t);
            let means = self.means(&x);
            let arm = share::at(&state.shares_in(&x), dice.unit());
            learner.fold_in(&x, arm, self.reward(means[arm], seed, t, arm));
            if (t + 1) % batch == 0 {
                state = learner.state().unwrap();
            }
            lost += means.iter().copied().fold(f64::NEG_INFINITY, f64::max) - means[arm];
        }
        lost
    }
}

/// Holds the runs with features whose name begins so to the reference.
fn holds_with_features(name: &str) {
    let numbers = |of: &Value| of.as_array().unwrap().iter().filter_map(Value::as_f64).collect::<Vec<f64>>();
    for run in runs("linear.json", name) {
        let number = |name: &str| run[name].as_f64().unwrap();
        let theta: Vec<Vec<f64>> = run["theta"].as_array().unwrap().iter().map(numbers).collect();
        let range =
            run.get("range").filter(|range| range.is_array()).map(|range| (numbers(range)[0], numbers(range)[1]));
        let rule = match run["rule"].as_str().unwrap() {
            "lin_ucb" => LinearRule::LinUcb { alpha: number("alpha"), range },
            _ => LinearRule::LinearThompson,
        };
        let mixing = Mixing::new(number("explore"), number("min_share"), theta.len()).unwrap();
        let (rounds, batch) = (run["rounds"].as_u64().unwrap(), run["batch"].as_u64().unwrap());
        let world = LinearWorld { theta, noise: number("noise"), is_boolean: run["kind"] == "boolean" };
        compare(&run, mean(&all(|seed| world.regret((rule, mixing.clone()), (rounds, batch), seed))));
    }
}

#[test]
fn lin_ucb_loses_what_the_textbook_loses() {
    holds_with_features("lin_ucb");
}

#[test]
fn linear_thompson_loses_what_the_textbook_loses() {
    holds_with_features("linear_thompson");
}

/// Whether the arm that it stops at is a wrong one, and after how many rounds; `None` where it goes on.
fn stopped(world: &World, delta: f64, seed: u64) -> Option<(bool, u64)> {
    let rule = Rule::TrackAndStop { delta };
    let mut learner = Learner::new(rule, Mixing::NONE, None, vec![Tally::default(); world.means.len()]);
    let dice = SplitMix::seeded(mix(seed ^ 0x5709));
    let mut state = learner.state().unwrap();
    for t in 0..20_000 {
        let arm = share::at(state.shares(), dice.unit());
        learner.fold(arm, world.reward(seed, t, arm));
        if t % 10 == 9 {
            if let Some(found) = learner.found() {
                return Some((world.means[found] < world.best(), t + 1));
            }
            state = learner.state().unwrap();
        }
    }
    None
}

#[test]
fn track_and_stop_is_wrong_no_more_often_than_it_says() {
    for (name, world) in [
        ("booleans", World { means: vec![0.3, 0.5, 0.7], is_boolean: true }),
        ("numbers", World { means: vec![0.0, 0.2, 0.5], is_boolean: false }),
    ] {
        for delta in [0.05, 0.1] {
            let over: Vec<(bool, u64)> = all(|seed| stopped(&world, delta, seed)).into_iter().flatten().collect();
            #[expect(clippy::cast_precision_loss, reason = "a thousand seeds")]
            let (wrong, rounds, n) = (
                over.iter().filter(|(is_wrong, _)| *is_wrong).count() as f64 / SEEDS as f64,
                over.iter().map(|(_, rounds)| *rounds as f64).sum::<f64>() / over.len() as f64,
                SEEDS as f64,
            );
            println!(
                "figure: track_and_stop of {name} at delta {delta}: wrong in {wrong:.3}, stops after {rounds:.0} rounds, {} of {SEEDS} stopped",
                over.len()
            );
            assert!(wrong <= delta + 2.5 * (delta * (1.0 - delta) / n).sqrt(), "{wrong}");
            assert!(over.len() as u64 >= SEEDS * 99 / 100, "{} stopped", over.len());
        }
    }
}
