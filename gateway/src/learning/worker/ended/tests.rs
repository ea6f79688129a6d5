//! What calls say of themselves, from their ends to the log and back.

use super::*;
use crate::learning::Board;
use crate::replay::{Kept, kept_form, refolded};
use crate::rollouts::Rollouts;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};
use tidegate_core::clock::SystemClock;
use tidegate_core::port::verdicts::NoVerdicts;
use tidegate_core::spec::{GatewaySpec, PolicySpec};
use tidegate_core::{Checks, Clock, InferenceId, RouteName, Tenant, VariantName};
use tidegate_route::learn::Sums;
use tidegate_storage::learning::{Learnt, RewardEntry, log_at};

const POLICY: &str = "{thompson: {reward: latency, half_life: 50}}";

fn spec(policy: &str, rewards: &str) -> GatewaySpec {
    let text = format!(
        "listeners: {{public: {{address: \"127.0.0.1:0\"}}}}\n\
         providers: {{p: {{openai: {{endpoints: [{{url: \"http://127.0.0.1:1\"}}]}}}}}}\n\
         models: {{m: {{provider: p, model: x}}}}\n\
         routes: {{r: {{variants: {{a: {{model: m}}, b: {{model: m}}}}, policy: {policy}}}}}\n{rewards}"
    );
    tidegate_config::load_str(&text, Path::new("c.yaml"), &|_| None).unwrap().spec
}

fn worker(folder: Option<&Path>, spec: &GatewaySpec) -> Worker {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let rollouts = Arc::new(Rollouts::new(None, Arc::new(NoVerdicts), Arc::clone(&clock), None));
    let mut worker = Worker::open(folder.map(log_at), folder, clock, rollouts, Arc::new(Board::new(false))).unwrap();
    for route in spec.routes.values() {
        let PolicySpec::Learned(learned) = &route.policy else { panic!("a policy that learns") };
        worker.cell(route, learned).unwrap();
    }
    worker.declare(spec);
    worker
}

fn id(nth: u32) -> InferenceId {
    InferenceId::from_parts(1_732_000_000_000, 7, u64::from(nth) << 2)
}

/// Made once, as those of the gateway are.
static NAMES: LazyLock<(RouteName, [VariantName; 2], Tenant)> =
    LazyLock::new(|| ("r".parse().unwrap(), ["a", "b"].map(|name| name.parse().unwrap()), "t".parse().unwrap()));

fn ended(nth: u32) -> Ended {
    let ((route, variants, tenant), arm) = (&*NAMES, (nth % 3 / 2) as usize);
    Ended {
        id: id(nth),
        route: route.clone(),
        arm,
        regarded: None,
        answered: variants[arm].clone(),
        is_ok: true,
        tenant: Some(tenant.clone()),
        episode: None,
        latency: 0.001 + f64::from(nth % 97) / 7e4,
        first: None,
        cost: None,
        tokens: None,
        checks: Checks::default(),
    }
}

fn tallies(worker: &Worker) -> Vec<Sums> {
    worker.seats[&NAMES.0].learner.tallies().to_vec()
}

fn log(folder: &Path) -> Vec<Learnt> {
    let mut found = Vec::new();
    log_at(folder).read(|entry| found.push(entry)).unwrap();
    found
}

fn lines(folder: &Path) -> usize {
    let files = std::fs::read_dir(folder.join("learning")).unwrap();
    files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap().lines().count()).sum()
}

#[test]
fn the_rewards_of_a_round_are_one_line_that_leads_to_the_same_states_again() {
    let (folder, spec) = (tempfile::tempdir().unwrap(), spec(POLICY, ""));
    let mut one = worker(Some(folder.path()), &spec);
    for round in 0..3 {
        one.work(&mut (0..60).map(|nth| ended(60 * round + nth)).collect(), Vec::new());
        one.publish(false);
    }
    // A state at the start and after each round.
    assert_eq!((lines(folder.path()), log(folder.path()).len()), (4 + 3, 4 + 180));
    let kept = Arc::new(Kept::read(kept_form(&spec), &NAMES.0).unwrap());
    let found = refolded(folder.path(), &NAMES.0, |_| Some(Arc::clone(&kept))).unwrap();
    assert!(found.states == 4 && found.same == 4, "{found:?}");
}

#[test]
fn a_restart_goes_on_from_rewards_that_no_state_has_in_whichever_form_they_are() {
    let (new, old, spec) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), spec(POLICY, ""));
    let mut one = worker(Some(new.path()), &spec);
    one.work(&mut (0..20).map(ended).collect(), Vec::new());
    // The same in entries of their own, as older logs have them.
    let entries = log(new.path());
    assert!(matches!(&entries[..], [Learnt::State(_), Learnt::Reward(RewardEntry { .. }), ..]) && entries.len() == 21);
    log_at(old.path()).append(SystemClock.unix_ms(), &entries, true).unwrap();
    assert_eq!((lines(new.path()), lines(old.path())), (2, 21));
    for folder in [new, old] {
        assert_eq!(tallies(&worker(Some(folder.path()), &spec)), tallies(&one));
    }
}

#[test]
fn what_is_no_number_and_an_arm_that_is_gone_are_no_rewards() {
    let (folder, spec) = (tempfile::tempdir().unwrap(), spec(POLICY, ""));
    let mut one = worker(Some(folder.path()), &spec);
    let before = tallies(&one);
    let odd = [
        Ended { latency: f64::NAN, ..ended(0) },
        Ended { arm: 2, ..ended(1) },
        Ended { is_ok: false, ..ended(2) },
        Ended { route: "gone".parse().unwrap(), ..ended(3) },
    ];
    one.work(&mut odd.into(), Vec::new());
    assert_eq!((tallies(&one), lines(folder.path())), (before, 1));
}

#[test]
fn calls_are_remembered_where_somebody_may_judge_them() {
    for (rewards, is_known) in [("", false), ("rewards: {good: {kind: boolean}}\n", true)] {
        let mut one = worker(None, &spec(POLICY, rewards));
        one.work(&mut vec![ended(1)], Vec::new());
        let name: Option<VariantName> = one.calls.of(id(1)).map(|arm| arm.variant.clone());
        assert_eq!(name.is_some(), is_known);
    }
}

#[test]
#[ignore = "a measurement: cargo test --release -- --ignored --nocapture reward_cost"]
fn reward_cost() {
    for (what, rewards) in [("nobody judges", ""), ("callers may judge", "rewards: {good: {kind: boolean}}\n")] {
        let folder = tempfile::tempdir().unwrap();
        let (mut one, mut states) = (worker(Some(folder.path()), &spec(POLICY, rewards)), Duration::ZERO);
        let reward = each(|mut coming| {
            let took = timed(|| one.work(&mut coming, Vec::new()));
            states += timed(|| one.publish(false));
            took
        });
        println!("{what}: {reward:.0} ns a reward, {:.1} µs a state", states.as_secs_f64() * 1e6 / f64::from(ROUNDS));
    }
    let folder = tempfile::tempdir().unwrap();
    let (mut log, reward): (_, Arc<str>) = (log_at(folder.path()), "latency".into());
    let entry = |Ended { id, route, answered: variant, latency: value, regarded, .. }: Ended| {
        let (at, reward) = (SystemClock.unix_ms(), Arc::clone(&reward));
        Learnt::Reward(RewardEntry { at, route, variant, reward, value, id, regarded })
    };
    let own = each(|coming| {
        timed(|| {
            let entries: Vec<Learnt> = coming.into_iter().map(&entry).collect();
            log.append(SystemClock.unix_ms(), &entries, false).unwrap();
        })
    });
    println!("to write an entry for each alone: {own:.0} ns a reward");
}

/// As many calls as end within 20 ms at 8,000 a second, and how often they do.
const ROUND: u32 = 160;
const ROUNDS: u32 = 2_000;

fn timed(work: impl FnOnce()) -> Duration {
    let began = Instant::now();
    work();
    began.elapsed()
}

/// The nanoseconds of each of many calls that end, round by round.
fn each(mut round: impl FnMut(Vec<Ended>) -> Duration) -> f64 {
    let took: Duration = (0..ROUNDS).map(|nth| round((0..ROUND).map(|one| ended(ROUND * nth + one)).collect())).sum();
    took.as_secs_f64() * 1e9 / f64::from(ROUND * ROUNDS)
}
