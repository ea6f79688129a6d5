//! What a decision costs, and what it costs to publish a state. Bounds, on a core of a usual server: a decision over 8 arms
//! at most 2 µs where it is by shares (`weighted`, `thompson`, `ucb1`), 10 µs by `linucb` and 100 µs by `linear_thompson` with
//! 16 features; a state of 8 arms at most 2 ms, off the path.
//!
//! `cargo bench -p tidegate-route`, and `-- decision` or `-- state` for a part.
#![expect(clippy::unwrap_used, reason = "a measuring program, run by hand")]

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::Dice as _;
use tidegate_core::clock::SystemClock;
use tidegate_core::dice::SplitMix;
use tidegate_core::spec::route::{PolicySpec, RetrySpec, RouteSpec, TimeoutSpec, VariantSpec};
use tidegate_route::learn::{Learner, LinearRule, LinearTally, Mixing, Rule, Tally, Values};
use tidegate_route::{Plan, Policy, RetryBudget, StateCell};

const ARMS: u32 = 8;
const UNIT: &[u8] = b"user-1234567890";

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    decisions(&mut criterion.benchmark_group("decision"));
    states(&mut criterion.benchmark_group("state"));
    plans(&mut criterion);
    criterion.final_summary();
}

/// Decisions by shares, by chance and by the hash of a unit, then those by what a call is like.
fn decisions(group: &mut BenchmarkGroup<'_, WallTime>) {
    let dice = SplitMix::seeded(1);
    let even = |arms: u32| StateCell::fixed(&vec![1.0 / f64::from(arms); arms as usize]).unwrap();
    let learnt = |rule: Rule| StateCell::new(blind(rule).state().unwrap());
    for (name, arms, cell) in [
        ("weighted/2", 2, even(2)),
        ("weighted/8", ARMS, even(ARMS)),
        ("weighted/16", 16, even(16)),
        ("thompson/8", ARMS, learnt(Rule::Thompson(Values::Numbers))),
        ("ucb1/8", ARMS, learnt(Rule::Ucb1 { range: (0.0, 1.0) })),
    ] {
        let policy = Policy::new(&route(arms), cell).unwrap();
        group.bench_function(format!("{name}/plain"), |b| b.iter(|| policy.choose(None, &dice)));
        group.bench_function(format!("{name}/sticky"), |b| b.iter(|| policy.choose(black_box(Some(UNIT)), &dice)));
    }
    for (name, rule, features) in linear() {
        let policy = Policy::new(&route(ARMS), StateCell::new(taught(rule, features).state().unwrap())).unwrap();
        // Not one call again and again, which a processor would learn by heart.
        let calls: Vec<Vec<f64>> = (0..64).map(|_| call(features, &dice)).collect();
        let mut coming = calls.iter().cycle();
        group.bench_function(format!("{name}/8/{features}_features"), |b| {
            b.iter(|| policy.choose_in(coming.next().unwrap(), None, &dice));
        });
    }
}

/// A state reckoned from what is known, and put into force.
fn states(group: &mut BenchmarkGroup<'_, WallTime>) {
    let mut publish = |name: String, learner: &Learner| {
        let cell = StateCell::new(learner.state().unwrap());
        group.bench_function(name, |b| b.iter(|| cell.publish(learner.state().unwrap())));
    };
    for (name, rule) in [
        ("epsilon_greedy", Rule::EpsilonGreedy { epsilon: 0.1, decay: None }),
        ("ucb1", Rule::Ucb1 { range: (0.0, 1.0) }),
        ("thompson_of_booleans", Rule::Thompson(Values::Booleans)),
        ("thompson_of_numbers", Rule::Thompson(Values::Numbers)),
        ("track_and_stop", Rule::TrackAndStop { delta: 0.05 }),
    ] {
        publish(format!("{name}/8"), &blind(rule));
    }
    for (name, rule, features) in linear() {
        publish(format!("{name}/8/{features}_features"), &taught(rule, features));
    }
}

/// A plan that succeeds at once, and its deposit.
fn plans(criterion: &mut Criterion) {
    let route = route(2);
    let budget = RetryBudget::new(&route.retry, Arc::new(SystemClock));
    criterion.bench_function("plan", |b| b.iter(|| Plan::new(&route, 0, &budget)));
}

fn linear() -> [(&'static str, LinearRule, usize); 4] {
    let bound = LinearRule::LinUcb { alpha: 1.0, range: Some((0.0, 1.0)) };
    let draws = LinearRule::LinearThompson;
    [("linucb", bound, 16), ("linucb", bound, 64), ("linear_thompson", draws, 16), ("linear_thompson", draws, 64)]
}

fn route(arms: u32) -> RouteSpec {
    let second = Duration::from_secs(1);
    let arm = |i| VariantSpec {
        graph: None,
        adapter: None,
        name: format!("v{i}").parse().unwrap(),
        model: "m".parse().unwrap(),
        prompt: None,
        parameters: Vec::new(),
    };
    RouteSpec {
        name: "route".parse().unwrap(),
        variants: (0..arms).map(arm).collect(),
        filters: Vec::new(),
        shadows: Vec::new(),
        check: Vec::new(),
        features: None,
        exposes_adapters: false,
        hedge: None,
        policy: PolicySpec::Weighted((0..arms).map(|_| 1.0 / f64::from(arms)).collect()),
        sticky: None,
        experiment: None,
        fallback: Vec::new(),
        retry: RetrySpec { attempts: 2, backoff: second / 10, budget: 0.2 },
        timeouts: TimeoutSpec { connect: second, first_token: second, idle: second, total: second },
        priority: tidegate_core::spec::Priority::Normal,
    }
}

/// A learner of arms that are known ever better, and are ever better themselves.
fn blind(rule: Rule) -> Learner {
    let tally = |i| {
        let (n, rate) = (100.0 * f64::from(i), 0.3 + 0.02 * f64::from(i));
        Tally { n, sum: n * rate, squares: n * rate }
    };
    Learner::new(rule, Mixing::new(0.02, 0.01, ARMS as usize).unwrap(), None, (0..ARMS).map(tally))
}

fn call(features: usize, dice: &SplitMix) -> Vec<f64> {
    (0..features).map(|_| 2.0 * dice.unit() - 1.0).collect()
}

/// A learner that regards calls, after 4,000 rewards.
fn taught(rule: LinearRule, features: usize) -> Learner {
    let (dice, arms) = (SplitMix::seeded(2), ARMS as usize);
    let mixing = Mixing::new(0.02, 0.01, arms).unwrap();
    let mut learner =
        Learner::regarding((rule, features), mixing, None, vec![LinearTally::empty(features); arms]).unwrap();
    for at in 0..4000 {
        let x = call(features, &dice);
        learner.fold_in(&x, at % arms, f64::from(u8::from(dice.unit() < 0.5 + 0.4 * x[at % arms])));
    }
    learner
}
