//! Prints what one `reserve` and its settling cost, in nanoseconds: one thread, then all cores on one tenant.
//!
//! `cargo run --release -p tidegate-state --example reserve`

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidegate_core::clock::SystemClock;
use tidegate_core::digest::Digest;
use tidegate_core::port::limits::{Amounts, Demand, Limits as _};
use tidegate_core::spec::limit::{LimitSpec, OnFailure, Per, Rate};
use tidegate_core::{Caller, KeyRecord, RouteName};
use tidegate_state::MemoryLimits;

const CALLS: u32 = 1_000_000;

fn limit(per: Per, requests: Option<u64>, tokens: Option<u64>) -> LimitSpec {
    let minute = |count| Rate { count, every: Duration::from_secs(60) };
    LimitSpec { per, requests: requests.map(minute), tokens: tokens.map(minute), cost: None, failure: OnFailure::Open }
}

fn caller(key: usize) -> Result<Caller, Box<dyn std::error::Error>> {
    Ok(Caller(Arc::new(KeyRecord {
        id: format!("key-{key}").parse()?,
        digest: Digest::of(b""),
        principal: "principal".parse()?,
        tenant: "tenant".parse()?,
        roles: BTreeSet::new(),
        routes: None,
        expires: None,
        tags: BTreeMap::new(),
    })))
}

fn nanoseconds_a_call(limits: &MemoryLimits, caller: &Caller, route: &RouteName) -> f64 {
    let amounts = |tokens| Amounts { tokens, ..Amounts::default() };
    let call = Demand { caller, route, amounts: amounts(100) };
    let start = Instant::now();
    for _ in 0..CALLS {
        if let Ok(mut reservation) = limits.reserve(&call) {
            reservation.note_used(amounts(50));
        }
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    const MUCH: Option<u64> = Some(4_000_000_000);
    let (mut out, route): (_, RouteName) = (std::io::stdout(), "route".parse()?);
    let cases = [
        ("requests per key", vec![limit(Per::Key, MUCH, None)]),
        ("requests and tokens per key", vec![limit(Per::Key, MUCH, MUCH)]),
        ("both per key and per tenant", vec![limit(Per::Key, MUCH, MUCH), limit(Per::Tenant, MUCH, MUCH)]),
        ("requests per key, refused", vec![limit(Per::Key, Some(1), None)]),
    ];
    for (name, specs) in &cases {
        let limits = MemoryLimits::new(specs, Arc::new(SystemClock));
        let ns = (0..5)
            .map(|_| caller(0).map(|c| nanoseconds_a_call(&limits, &c, &route)))
            .collect::<Result<Vec<_>, _>>()?;
        writeln!(out, "{name}: {:.0} ns", ns.into_iter().fold(f64::INFINITY, f64::min))?;
    }
    let limits = MemoryLimits::new(&cases[2].1, Arc::new(SystemClock));
    let threads = std::thread::available_parallelism()?.get();
    let callers = (0..threads).map(caller).collect::<Result<Vec<_>, _>>()?;
    let ns: Vec<f64> = std::thread::scope(|scope| {
        let run = |c| nanoseconds_a_call(&limits, c, &route);
        let threads: Vec<_> = callers.iter().map(|c| scope.spawn(move || run(c))).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    writeln!(out, "both, {threads} threads on one tenant: {:.0} ns", ns.into_iter().fold(0.0, f64::max))?;
    Ok(())
}
