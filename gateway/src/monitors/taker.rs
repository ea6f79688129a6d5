//! The ear of a monitor at its route: takes calls that were answered to the thread that looks at them. Owns that callers pay
//! no more for it than a push, and how much may wait.

use super::counts::{Counts, Left};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tidegate_core::port::shadow::Place;
use tidegate_core::port::watcher::{Answered, Watcher};
use tidegate_core::{InferenceId, MonitorName};
use tidegate_watch::Share;

/// The most bytes of requests and answers that wait, of all monitors together.
const MOST_BYTES: usize = 64 << 20;

/// Takes the calls of a route to a monitor.
#[derive(Debug)]
pub(super) struct Taker {
    pub(super) monitor: MonitorName,
    pub(super) share: Share,
    /// Whether it looks at calls that were refused since their inputs break a contract.
    pub(super) takes_refused: bool,
    pub(super) counts: Arc<Counts>,
    pub(super) inbox: Arc<Inbox>,
}

/// Calls that wait to be looked at. The thread looks by itself, so that no call pays for waking it.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    calls: Mutex<Vec<Taken>>,
    bytes: AtomicUsize,
}

/// A call that waits.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) monitor: MonitorName,
    pub(super) answered: Arc<Answered>,
    bytes: usize,
    /// Held until it was looked at.
    _place: Place,
}

impl Inbox {
    /// Puts one in; whether there was room.
    fn put(&self, monitor: &MonitorName, answered: Arc<Answered>, place: Place) -> bool {
        let bytes = answered.request.len() + answered.answer.iter().map(bytes::Bytes::len).sum::<usize>();
        if self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes > MOST_BYTES {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
            return false;
        }
        let taken = Taken { monitor: monitor.clone(), answered, bytes, _place: place };
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(taken);
        true
    }

    /// Takes all out.
    pub(super) fn empty(&self) -> Vec<Taken> {
        let calls = std::mem::take(&mut *self.calls.lock().unwrap_or_else(PoisonError::into_inner));
        self.bytes.fetch_sub(calls.iter().map(|taken| taken.bytes).sum(), Ordering::Relaxed);
        calls
    }
}

impl Watcher for Taker {
    fn place(&self, call: InferenceId) -> Option<Place> {
        if !self.share.takes(call) {
            return None;
        }
        match Arc::clone(&self.counts.places).try_acquire_owned() {
            Ok(place) => Some(Place::new(place)),
            Err(_) => {
                self.counts.left(Left::Place);
                None
            }
        }
    }

    fn takes_refused(&self) -> bool {
        self.takes_refused
    }

    fn take(&self, call: Arc<Answered>, place: Place) {
        if !self.inbox.put(&self.monitor, call, place) {
            self.counts.left(Left::Place);
        }
    }
}

#[cfg(all(test, feature = "host"))]
mod tests {
    use super::*;
    use crate::monitors::testing::answered;
    use std::hint::black_box;
    use std::time::{Duration, Instant};

    /// As many calls as come between two looks of the thread at 40,000 a second.
    const ROUND: u64 = 1_000;
    const ROUNDS: u64 = 500;

    #[test]
    #[ignore = "a measurement: cargo test --release -- --ignored --nocapture watch_cost"]
    fn watch_cost() {
        let features: Vec<String> = (0..30).map(|at| format!("\"feature_{at}\":{}.25", at * 37 % 101)).collect();
        let request = format!("{{\"model\":\"r\",\"messages\":[],\"metadata\":{{{}}}}}", features.join(","));
        let call = answered(1, &request, &["{\"choices\":[{\"message\":{\"content\":\"benign\"}}]}"]);
        let taker = Taker {
            monitor: "drift".parse().unwrap(),
            share: Share::of(1.0),
            takes_refused: false,
            counts: Arc::default(),
            inbox: Arc::default(),
        };
        let (mut took, mut waited) = (Duration::ZERO, 0);
        for round in 0..ROUNDS {
            let began = Instant::now();
            for nth in 0..ROUND {
                let id = InferenceId::from_parts(1, round, nth);
                let Some(place) = taker.place(black_box(id)) else { continue };
                let answered = Answered {
                    id,
                    unix_ms: call.unix_ms,
                    route: call.route.clone(),
                    variant: call.variant.clone(),
                    model: call.model.clone(),
                    model_version: call.model_version,
                    caller: call.caller.clone(),
                    request: call.request.clone(),
                    answer: call.answer.clone(),
                    stream: false,
                    violations: None,
                };
                taker.take(Arc::new(answered), place);
            }
            took += began.elapsed();
            waited += taker.inbox.empty().len();
        }
        assert_eq!(u64::try_from(waited).unwrap(), ROUND * ROUNDS, "none was left out");
        let each = took.as_secs_f64() * 1e6 / f64::from(u32::try_from(waited).unwrap());
        println!("figure: watching a call with 30 features costs it {each:.2} µs, 2 at most");
        assert!(each <= 2.0);
    }
}
