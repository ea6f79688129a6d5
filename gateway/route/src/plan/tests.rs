//! The order of tries, case by case and as properties.

use super::*;
use proptest::prelude::*;
use std::sync::Arc;
use std::time::SystemTime;
use tidegate_core::FaultKind;
use tidegate_core::clock::ManualClock;
use tidegate_core::dice::SplitMix;
use tidegate_core::spec::route::{Condition, FallbackSpec, PolicySpec, RetrySpec, TimeoutSpec, VariantSpec};
use tidegate_core::spec::{CascadeSpec, Weakness};

const BACKOFF: Duration = Duration::from_millis(100);

/// A route of `variants` arms, all calls on the first, `attempts` tries at each, 60 s in all.
pub(crate) fn route(variants: usize, attempts: u32) -> RouteSpec {
    let mut shares = vec![0.0; variants];
    shares[0] = 1.0;
    let arm = |i| VariantSpec {
        graph: None,
        adapter: None,
        name: format!("v{i}").parse().unwrap(),
        model: "m".parse().unwrap(),
        prompt: None,
        parameters: Vec::new(),
    };
    let second = Duration::from_secs(1);
    RouteSpec {
        name: "support".parse().unwrap(),
        variants: (0..variants).map(arm).collect(),
        filters: Vec::new(),
        shadows: Vec::new(),
        check: Vec::new(),
        features: None,
        exposes_adapters: false,
        policy: PolicySpec::Weighted(shares),
        sticky: None,
        experiment: None,
        fallback: Vec::new(),
        retry: RetrySpec { attempts, backoff: BACKOFF, budget: 0.2 },
        hedge: None,
        timeouts: TimeoutSpec { connect: second, first_token: 10 * second, idle: 10 * second, total: 60 * second },
        priority: tidegate_core::spec::Priority::Normal,
    }
}

fn falling_back(mut route: RouteSpec, when: &[Condition], to: usize) -> RouteSpec {
    route.fallback.push(FallbackSpec { when: when.to_vec(), to });
    route
}

fn budget(share: f64) -> RetryBudget {
    let retry = RetrySpec { attempts: 1, backoff: BACKOFF, budget: share };
    RetryBudget::new(&retry, Arc::new(ManualClock::at(SystemTime::UNIX_EPOCH)))
}

struct Case {
    plan: Plan<Arc<RouteSpec>>,
    budget: RetryBudget,
    dice: SplitMix,
    elapsed: Duration,
}

impl Case {
    fn of(route: RouteSpec) -> Self {
        let budget = budget(0.2);
        let plan = Plan::new(Arc::new(route), 0, &budget);
        Self { plan, budget, dice: SplitMix::seeded(3), elapsed: Duration::from_secs(1) }
    }

    fn after(&mut self, fault: &Fault) -> Next {
        self.plan.after(fault, &self.budget, &self.dice, self.elapsed)
    }

    fn fails(&mut self, kind: FaultKind) -> Next {
        self.after(&Fault::new(kind, ""))
    }
}

fn is_again(next: Next) -> bool {
    matches!(next, Next::Again { .. })
}

#[test]
fn a_call_is_tried_as_often_as_the_route_says() {
    let mut case = Case::of(route(1, 3));
    assert!(is_again(case.fails(FaultKind::Unreachable)));
    assert!(is_again(case.fails(FaultKind::UpstreamFailed)));
    assert_eq!(case.fails(FaultKind::Unreachable), Next::GiveUp);
}

#[test]
fn the_wait_doubles_with_full_jitter() {
    for seed in 0..50 {
        let mut case = Case { dice: SplitMix::seeded(seed), ..Case::of(route(1, 4)) };
        for retry in 0..3u32 {
            let Next::Again { wait, .. } = case.fails(FaultKind::Unreachable) else { panic!("not tried again") };
            assert!(wait <= BACKOFF * 2u32.pow(retry));
            // The same seed gives the same wait; the draw is the dice's and nothing else's.
            let unit = {
                let dice = SplitMix::seeded(seed);
                (0..=retry).map(|_| dice.unit()).last().unwrap()
            };
            assert_eq!(wait, backoff::jittered(BACKOFF * 2u32.pow(retry), unit));
        }
    }
}

#[test]
fn the_callers_mistakes_are_never_tried_again_nor_elsewhere() {
    let route = falling_back(route(2, 3), &[Condition::Class(4), Condition::Class(5)], 1);
    for kind in [FaultKind::InvalidRequest, FaultKind::RateLimited, FaultKind::Forbidden, FaultKind::Internal] {
        assert_eq!(Case::of(route.clone()).fails(kind), Next::GiveUp, "{kind:?}");
    }
}

#[test]
fn what_a_filter_withheld_goes_elsewhere_once_and_not_there_again() {
    let route = falling_back(route(2, 3), &[Condition::Kind(FaultKind::ContentFilter)], 1);
    let mut case = Case::of(route);
    let fault = Fault::new(FaultKind::ContentFilter, "");
    assert!(case.plan.has_fallback(&fault, case.elapsed) && !case.plan.has_fallback(&fault, Duration::from_secs(60)));
    assert!(!case.plan.has_fallback(&Fault::new(FaultKind::UpstreamRefused, ""), case.elapsed));
    assert_eq!(case.after(&fault), Next::Fallback { variant: 1 });
    assert!(!case.plan.has_fallback(&fault, case.elapsed));
    assert_eq!(case.after(&fault), Next::GiveUp);
}

#[test]
fn too_long_a_prompt_goes_elsewhere_but_not_there_again() {
    let route = falling_back(route(2, 3), &[Condition::Kind(FaultKind::ContextLength)], 1);
    let mut case = Case::of(route);
    assert_eq!(case.fails(FaultKind::ContextLength), Next::Fallback { variant: 1 });
    assert_eq!(case.plan.current(), 1);
    assert_eq!(case.fails(FaultKind::ContextLength), Next::GiveUp);
}

#[test]
fn retries_come_before_the_fallback_and_the_fallback_has_its_own() {
    let mut case = Case::of(falling_back(route(2, 2), &[Condition::Class(5)], 1));
    assert!(matches!(case.fails(FaultKind::UpstreamFailed), Next::Again { variant: 0, .. }));
    assert_eq!(case.fails(FaultKind::UpstreamFailed), Next::Fallback { variant: 1 });
    assert!(matches!(case.fails(FaultKind::UpstreamFailed), Next::Again { variant: 1, .. }));
    assert_eq!(case.fails(FaultKind::UpstreamFailed), Next::GiveUp);
}

#[test]
fn a_full_queue_is_told_at_once_or_left_for_another() {
    let full = Fault::new(FaultKind::Overloaded, "").after(Duration::from_millis(1));
    assert_eq!(Case::of(route(1, 3)).after(&full), Next::GiveUp);
    let route = falling_back(route(2, 3), &[Condition::Class(5)], 1);
    assert_eq!(Case::of(route).after(&full), Next::Fallback { variant: 1 });
}

#[test]
fn retry_after_is_honoured_within_the_deadline() {
    let limited = |s| Fault::new(FaultKind::UpstreamRateLimited, "").after(Duration::from_secs(s));
    let Next::Again { wait, .. } = Case::of(route(1, 2)).after(&limited(5)) else { panic!("not tried again") };
    assert!(wait >= Duration::from_secs(5) && wait <= Duration::from_secs(5) + BACKOFF);
    assert_eq!(Case::of(route(1, 2)).after(&limited(59)), Next::GiveUp);
}

#[test]
fn a_fallback_goes_before_a_wait_longer_than_the_backoff() {
    let route = falling_back(route(2, 2), &[Condition::Status(429)], 1);
    let limited = Fault::new(FaultKind::UpstreamRateLimited, "");
    assert!(is_again(Case::of(route.clone()).after(&limited)));
    assert!(is_again(Case::of(route.clone()).after(&limited.clone().after(BACKOFF))));
    let long = limited.after(BACKOFF + Duration::from_millis(1));
    assert_eq!(Case::of(route).after(&long), Next::Fallback { variant: 1 });
}

#[test]
fn an_empty_budget_stops_retries_but_not_fallbacks() {
    let mut case = Case { budget: budget(0.0), ..Case::of(falling_back(route(2, 9), &[Condition::Class(5)], 1)) };
    assert_eq!(case.fails(FaultKind::Unreachable), Next::Fallback { variant: 1 });
    assert_eq!(case.fails(FaultKind::Unreachable), Next::GiveUp);
}

#[test]
fn nothing_follows_the_deadline() {
    let mut case = Case::of(falling_back(route(2, 9), &[Condition::Class(5)], 1));
    case.elapsed = Duration::from_secs(60);
    assert_eq!(case.fails(FaultKind::Unreachable), Next::GiveUp);
}

#[test]
fn a_fallback_that_failed_leads_to_the_next_one_that_fits() {
    let any = [Condition::Class(5)];
    let route = falling_back(falling_back(falling_back(route(3, 1), &any, 0), &any, 2), &any, 1);
    let mut case = Case::of(route);
    assert_eq!(case.fails(FaultKind::StreamCut), Next::Fallback { variant: 2 });
    assert_eq!(case.fails(FaultKind::StreamCut), Next::Fallback { variant: 1 });
    assert_eq!(case.fails(FaultKind::StreamCut), Next::GiveUp);
}

fn any_kind() -> impl Strategy<Value = FaultKind> {
    prop::sample::select(vec![
        FaultKind::Unreachable,
        FaultKind::UpstreamTimeout,
        FaultKind::UpstreamRateLimited,
        FaultKind::UpstreamFailed,
        FaultKind::StreamCut,
        FaultKind::Overloaded,
        FaultKind::ContextLength,
        FaultKind::ContentFilter,
        FaultKind::UpstreamRefused,
    ])
}

/// A route whose arms answer in this order.
fn cascade(order: &[usize]) -> RouteSpec {
    let mut shares = vec![0.0; order.len()];
    shares[order[0]] = 1.0;
    let spec = CascadeSpec {
        order: order.to_vec(),
        shares,
        escalate: vec![Weakness::Empty],
        monitors: vec![],
        plugins: vec![],
        judge: None,
    };
    RouteSpec { policy: PolicySpec::Cascade(spec), ..route(order.len(), 1) }
}

#[test]
fn a_cascade_goes_on_in_its_order_from_poor_answers_and_from_faults() {
    let (budget, dice) = (budget(0.0), SplitMix::seeded(3));
    let second = Duration::from_secs(1);
    let mut plan = Plan::new(Arc::new(cascade(&[2, 0, 1])), 2, &budget);
    assert_eq!(plan.escalates_to(second), Some(0));
    assert_eq!(plan.escalates_to(60 * second), None, "its time is up");
    plan.escalate(0);
    let fault = Fault::new(FaultKind::UpstreamFailed, "");
    assert_eq!(plan.after(&fault, &budget, &dice, second), Next::Fallback { variant: 1 });
    assert_eq!((plan.current(), plan.escalates_to(second)), (1, None), "the last one answers for all");
    assert_eq!(plan.after(&fault, &budget, &dice, second), Next::GiveUp);
    // A fallback goes first; one that was tried by it is left out.
    let spec = falling_back(cascade(&[0, 1, 2]), &[Condition::Class(5)], 2);
    let mut plan = Plan::new(Arc::new(spec), 0, &budget);
    assert_eq!(plan.after(&fault, &budget, &dice, second), Next::Fallback { variant: 2 });
    assert_eq!(plan.escalates_to(second), None);
    let mine = Fault::new(FaultKind::InvalidRequest, "");
    assert_eq!(Plan::new(Arc::new(cascade(&[0, 1])), 0, &budget).after(&mine, &budget, &dice, second), Next::GiveUp);
    assert_eq!(Plan::new(Arc::new(route(2, 1)), 0, &budget).escalates_to(second), None, "others know no order");
}

proptest! {
    #[test]
    fn every_plan_ends_and_keeps_its_bounds(
        variants in 1..5usize,
        attempts in 1..5u32,
        arm in 0..5usize,
        fallbacks in prop::collection::vec(0..5usize, 0..6),
        faults in prop::collection::vec((any_kind(), 0..90_000u64), 64),
        seed: u64,
    ) {
        let mut spec = route(variants, attempts);
        let all = [Condition::Class(4), Condition::Class(5)];
        for to in fallbacks {
            spec = falling_back(spec, &all, to % variants);
        }
        let (budget, dice) = (budget(1.0), SplitMix::seeded(seed));
        let mut plan = Plan::new(&spec, arm % variants, &budget);
        let mut tries = vec![0u32; variants];
        tries[plan.current()] = 1;
        let mut ended = false;
        for (kind, retry_after_ms) in faults {
            let before = plan.current();
            let fault = Fault::new(kind, "").after(Duration::from_millis(retry_after_ms));
            match plan.after(&fault, &budget, &dice, Duration::from_secs(1)) {
                Next::Again { variant, wait } => {
                    prop_assert_eq!(variant, before);
                    prop_assert!(kind.retry() != Retry::Never);
                    prop_assert!(wait >= Duration::from_millis(retry_after_ms) && wait < Duration::from_secs(59));
                    tries[variant] += 1;
                }
                Next::Fallback { variant } => {
                    prop_assert_eq!(tries[variant], 0, "no variant is come back to");
                    tries[variant] = 1;
                }
                Next::GiveUp => {
                    ended = true;
                    break;
                }
            }
            prop_assert!(tries.iter().all(|n| *n <= attempts));
        }
        prop_assert!(ended, "64 faults do not end it: {tries:?}");
    }
}
