//! The race on a paused clock: who wins, what is recorded of both, and that the other one is dropped.

use super::*;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use tidegate_core::clock::SystemClock;
use tidegate_core::dice::SplitMix;
use tidegate_core::port::BoxFuture;
use tidegate_core::port::backend::{Answer, Backend, Deadlines, Frames, Turn};
use tidegate_core::port::events::{Events, Recorded};
use tidegate_core::spec::HedgeAfter;
use tidegate_core::{Api, Event, FaultKind, Price};

const MS: Duration = Duration::from_millis(1);

/// Does with each call what stands next: after a time it answers, or fails.
#[derive(Debug, Default)]
struct Scripted {
    next: Mutex<VecDeque<(Duration, Option<FaultKind>)>>,
    avoided: Mutex<Vec<Option<EndpointName>>>,
    dropped: AtomicUsize,
}

/// Counts a call that is dropped before its end.
struct Under<'a>(&'a AtomicUsize, bool);

impl Drop for Under<'_> {
    fn drop(&mut self) {
        if !self.1 {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Backend for Scripted {
    fn complete(&self, call: Call) -> BoxFuture<'_, Result<Answer, Fault>> {
        let (wait, fault) = self.next.lock().unwrap().pop_front().unwrap();
        self.avoided.lock().unwrap().push(call.avoid.clone());
        let name: EndpointName = if call.avoid.is_some() { "b:1" } else { "a:1" }.parse().unwrap();
        Box::pin(async move {
            let mut under = Under(&self.dropped, false);
            call.taken.unwrap().set(name.clone()).unwrap();
            tokio::time::sleep(wait).await;
            under.1 = true;
            match fault {
                None => Ok(Answer { body: Bytes::new(), usage: None, endpoint: Some(name), predicted: None }),
                Some(kind) => Err(Fault::new(kind, name.to_string()).at(name)),
            }
        })
    }

    fn stream(&self, _: Call) -> BoxFuture<'_, Result<Frames, Fault>> {
        Box::pin(std::future::pending())
    }

    fn ready(&self) -> bool {
        true
    }
}

#[derive(Debug, Default)]
struct Kept(Mutex<Vec<Event>>);

impl Events for Kept {
    fn record(&self, event: Box<Event>) -> Recorded {
        self.0.lock().unwrap().push(*event);
        Recorded::Queued
    }
}

/// What a race led to: who answered or failed, the attempts, how many requests were dropped, whom the second avoided.
struct Led {
    by: Result<String, FaultKind>,
    attempts: Vec<Attempt>,
    dropped: usize,
    avoided: Vec<Option<EndpointName>>,
}

const SECOND: Duration = Duration::from_secs(1);
const TIMEOUTS: TimeoutSpec =
    TimeoutSpec { connect: SECOND, first_token: SECOND, idle: SECOND, total: Duration::from_secs(10) };

fn call() -> Call {
    Call {
        adapter: None,
        api: Api::ChatCompletions,
        model: "m".parse().unwrap(),
        body: Bytes::new(),
        headers: Arc::default(),
        turn: Turn::default(),
        deadlines: Deadlines { connect: SECOND, first_token: SECOND, idle: SECOND, total: SECOND },
        avoid: None,
        taken: None,
        predict: None,
        aside: None,
    }
}

/// Hedged after 100 ms.
async fn raced(allowed: bool, script: &[(Duration, Option<FaultKind>)]) -> Led {
    let backend = Arc::new(Scripted { next: Mutex::new(script.iter().copied().collect()), ..Scripted::default() });
    let arm = Arm {
        adapter: None,
        name: "small".parse().unwrap(),
        model: "m".parse().unwrap(),
        upstream: "m".to_owned(),
        provider: "p".parse().unwrap(),
        version: None,
        prompt: None,
        parameters: Vec::new(),
        price: Some(Price { input: 2.0, cached_input: None, output: 10.0 }),
        context_length: None,
        backend: Arc::<Scripted>::clone(&backend),
        gauge: None,
        pace: None,
    };
    let (pace, allowance) = (Pace::new(HedgeAfter::Time(100 * MS)), Allowance::new(1.0));
    if allowed {
        allowance.deposit();
    }
    let kept = Arc::new(Kept::default());
    let mut ledger = Ledger::open(
        Api::ChatCompletions,
        "c".into(),
        Arc::<Kept>::clone(&kept),
        Arc::new(SystemClock),
        &SplitMix::seeded(1),
    );
    let race = Race {
        arm: &arm,
        pace: &pace,
        allowance: &allowance,
        timeouts: TIMEOUTS,
        started: SystemClock.now(),
        prompt_estimate: 1_000,
        stream: false,
        clock: &SystemClock,
    };
    let tried = race.run(call(), &mut ledger).await;
    drop(ledger);
    let by = tried.map(|begun| begun.sent.endpoint().unwrap().to_string()).map_err(|fault| fault.kind);
    let avoided = std::mem::take(&mut *backend.avoided.lock().unwrap());
    let attempts = kept.0.lock().unwrap().pop().unwrap().attempts;
    Led { by, attempts, dropped: backend.dropped.load(Ordering::Relaxed), avoided }
}

fn at(attempt: &Attempt) -> &str {
    attempt.endpoint.as_ref().map_or("", EndpointName::as_str)
}

/// Of each attempt: where it went, why it failed, whether it was the second one and whether it lost.
fn told(led: &Led) -> Vec<(&str, Option<FaultKind>, bool, bool)> {
    led.attempts.iter().map(|attempt| (at(attempt), attempt.fault, attempt.hedge, attempt.lost)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_quick_answer_or_failure_is_alone() {
    let led = raced(true, &[(99 * MS, None)]).await;
    assert_eq!((led.by.clone(), told(&led)), (Ok("a:1".to_owned()), vec![("a:1", None, false, false)]));
    let failed = Some(FaultKind::UpstreamFailed);
    let led = raced(true, &[(99 * MS, failed)]).await;
    assert_eq!((led.by.clone(), told(&led)), (Err(FaultKind::UpstreamFailed), vec![("a:1", failed, false, false)]));
}

#[tokio::test(start_paused = true)]
async fn a_slow_one_is_overtaken_by_a_second_elsewhere_and_is_dropped() {
    let led = raced(true, &[(5_000 * MS, None), (50 * MS, None)]).await;
    assert_eq!(led.by, Ok("b:1".to_owned()));
    assert_eq!(told(&led), [("a:1", None, false, true), ("b:1", None, true, false)]);
    assert_eq!((led.dropped, led.avoided.clone()), (1, vec![None, Some("a:1".parse().unwrap())]));
    let costs: Vec<Option<f64>> = led.attempts.iter().map(|attempt| attempt.cost_usd).collect();
    assert_eq!(costs, [Some(2e-3), None], "a thousand tokens of the prompt");
}

#[tokio::test(start_paused = true)]
async fn a_second_one_that_is_slower_is_dropped() {
    let led = raced(true, &[(150 * MS, None), (5_000 * MS, None)]).await;
    assert_eq!((led.by.clone(), led.dropped), (Ok("a:1".to_owned()), 1));
    assert_eq!(told(&led), [("a:1", None, false, false), ("b:1", None, true, true)]);
}

#[tokio::test(start_paused = true)]
async fn without_allowance_the_first_one_is_waited_for() {
    let led = raced(false, &[(900 * MS, None)]).await;
    assert_eq!((led.by.clone(), led.dropped), (Ok("a:1".to_owned()), 0));
    assert_eq!(told(&led), [("a:1", None, false, false)]);
}

#[tokio::test(start_paused = true)]
async fn where_one_fails_the_other_is_waited_for() {
    let failed = Some(FaultKind::UpstreamFailed);
    let led = raced(true, &[(150 * MS, failed), (700 * MS, None)]).await;
    assert_eq!((led.by.clone(), led.dropped), (Ok("b:1".to_owned()), 0));
    assert_eq!(told(&led), [("a:1", failed, false, false), ("b:1", None, true, false)]);
    let led = raced(true, &[(700 * MS, None), (50 * MS, failed)]).await;
    assert_eq!((led.by.clone(), led.dropped), (Ok("a:1".to_owned()), 0));
    assert_eq!(told(&led), [("a:1", None, false, false), ("b:1", failed, true, false)]);
}

#[tokio::test(start_paused = true)]
async fn where_both_fail_it_is_the_first_ones_fault() {
    let (one, other) = (Some(FaultKind::UpstreamTimeout), Some(FaultKind::UpstreamFailed));
    for script in [[(150 * MS, one), (700 * MS, other)], [(700 * MS, one), (50 * MS, other)]] {
        let led = raced(true, &script).await;
        assert_eq!((led.by.clone(), led.dropped), (Err(FaultKind::UpstreamTimeout), 0));
        assert_eq!(told(&led), [("a:1", one, false, false), ("b:1", other, true, false)]);
    }
}
