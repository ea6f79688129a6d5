//! Prints what it costs a call to learn which version an alias stands for, in nanoseconds: the snapshot in force, the
//! route by its name among 1,000, the arm, its version and backend; once alone, and once while the snapshot is swapped
//! again and again as by aliases that move.
//!
//! `cargo run --release -p tidegate-server --example alias`

use arc_swap::ArcSwap;
use std::collections::HashMap;
use std::hint::black_box;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tidegate_core::clock::SystemClock;
use tidegate_core::dice::SplitMix;
use tidegate_core::port::BoxFuture;
use tidegate_core::port::backend::{Answer, Backend, Call, Frames};
use tidegate_core::port::limits::{Amounts, Demand, Denied, Limits, Reservation, Standings};
use tidegate_core::spec::route::{PolicySpec, RetrySpec, RouteSpec, TimeoutSpec, VariantSpec};
use tidegate_core::spec::{ContentPolicy, Durability};
use tidegate_core::{Fault, FaultKind, RouteName};
use tidegate_route::{Policy, RetryBudget, StateCell};
use tidegate_server::Snapshot;
use tidegate_server::snapshot::{Arm, Critics, Keyring, Route};

const CALLS: u32 = 1_000_000;
const ROUTES: u32 = 1_000;

/// Runs nothing and limits nothing: it is only pointed to.
#[derive(Debug)]
struct Nothing;

impl Backend for Nothing {
    fn complete(&self, _: Call) -> BoxFuture<'_, Result<Answer, Fault>> {
        Box::pin(async { Err(Fault::new(FaultKind::Internal, "nothing runs here")) })
    }

    fn stream(&self, _: Call) -> BoxFuture<'_, Result<Frames, Fault>> {
        Box::pin(async { Err(Fault::new(FaultKind::Internal, "nothing runs here")) })
    }

    fn ready(&self) -> bool {
        true
    }
}

impl Limits for Nothing {
    fn reserve(&self, _: &Demand<'_>) -> Result<Reservation, Denied> {
        Ok(Reservation::new(Standings::default(), Amounts::default(), None))
    }
}

fn route(name: &RouteName, version: u32) -> Result<Route, Box<dyn std::error::Error>> {
    let second = Duration::from_secs(1);
    let variant = VariantSpec {
        graph: None,
        adapter: None,
        name: "only".parse()?,
        model: "support".parse()?,
        prompt: None,
        parameters: Vec::new(),
    };
    let spec = RouteSpec {
        name: name.clone(),
        variants: vec![variant],
        filters: Vec::new(),
        shadows: Vec::new(),
        check: Vec::new(),
        features: None,
        exposes_adapters: false,
        policy: PolicySpec::Weighted(vec![1.0]),
        sticky: None,
        experiment: None,
        fallback: Vec::new(),
        retry: RetrySpec { attempts: 2, backoff: second / 10, budget: 0.2 },
        hedge: None,
        timeouts: TimeoutSpec { connect: second, first_token: second, idle: second, total: second },
        priority: tidegate_core::spec::Priority::Normal,
    };
    let arm = Arm {
        adapter: None,
        name: "only".parse()?,
        model: "support".parse()?,
        upstream: "support".to_owned(),
        provider: "here".parse()?,
        version: Some(version),
        prompt: None,
        parameters: Vec::new(),
        price: None,
        context_length: None,
        backend: Arc::new(Nothing),
        gauge: None,
        pace: None,
    };
    let budget = Arc::new(RetryBudget::new(&spec.retry, Arc::new(SystemClock)));
    Ok(Route {
        policy: Policy::new(&spec, StateCell::fixed(&[1.0])?)?,
        spec: Arc::new(spec),
        by_call: None,
        budget,
        allowance: None,
        arms: vec![arm],
        features: None,
        filters: Vec::new(),
        watchers: Vec::new(),
        shadows: Vec::new(),
        critics: Critics::default(),
    })
}

/// A snapshot in which each alias stands for `version`.
fn snapshot(version: u32) -> Result<Snapshot, Box<dyn std::error::Error>> {
    let mut routes = HashMap::new();
    for n in 0..ROUTES {
        let name: RouteName = format!("support-{n}").parse()?;
        routes.insert(name.clone(), Arc::new(route(&name, version)?));
    }
    Ok(Snapshot {
        config: Arc::from("config"),
        loaded: 0,
        routes,
        prompts: None,
        served: Vec::new(),
        keys: Keyring::of([]),
        admin_keys: Keyring::of([]),
        limits: Arc::new(Nothing),
        content: ContentPolicy::None,
        durability: Durability::Queue,
        subject: None,
    })
}

fn nanoseconds(mut what: impl FnMut()) -> f64 {
    let round = |_| {
        let start = Instant::now();
        (0..CALLS).for_each(|_| what());
        start.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
    };
    (0..5).map(round).fold(f64::INFINITY, f64::min)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let names: Vec<RouteName> = (0..ROUTES).map(|n| format!("support-{n}").parse()).collect::<Result<_, _>>()?;
    let (first, second) = (Arc::new(snapshot(1)?), Arc::new(snapshot(2)?));
    let (force, dice) = (ArcSwap::new(Arc::clone(&first)), SplitMix::seeded(1));
    let mut turn = names.iter().cycle();
    let mut read = || {
        let (Some(name), snapshot) = (turn.next(), force.load_full()) else { return };
        let route = snapshot.routes.get(name).cloned();
        let arm = route.as_ref().and_then(|route| route.arms.get(route.policy.choose(None, &dice).arm));
        black_box(arm.and_then(|arm| arm.version.map(|version| (version, Arc::clone(&arm.backend)))));
    };
    let mut out = std::io::stdout();
    writeln!(out, "an alias, read: {:.0} ns", nanoseconds(&mut read))?;
    let (is_over, swaps) = (AtomicBool::new(false), AtomicU64::new(0));
    let meanwhile = std::thread::scope(|scope| {
        scope.spawn(|| {
            for next in [&second, &first].into_iter().cycle() {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                force.store(Arc::clone(next));
                swaps.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let took = nanoseconds(&mut read);
        is_over.store(true, Ordering::Relaxed);
        took
    });
    let swaps = swaps.load(Ordering::Relaxed);
    writeln!(out, "an alias, read while the snapshot was swapped {swaps} times: {meanwhile:.0} ns")?;
    Ok(())
}
