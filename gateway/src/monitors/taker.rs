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

    fn take(&self, call: Arc<Answered>, place: Place) {
        if !self.inbox.put(&self.monitor, call, place) {
            self.counts.left(Left::Place);
        }
    }
}
