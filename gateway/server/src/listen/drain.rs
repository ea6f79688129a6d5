//! The drain: no new work, and what runs may end. Owns the signal and the count of connections.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// The signal to stop, and who still runs. Clones share both.
#[derive(Debug, Clone)]
pub struct Drain(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    begun: watch::Sender<bool>,
    /// The same once more, since a connection asks at every turn.
    told: AtomicBool,
    inside: Mutex<HashMap<u64, Waker>>,
    entered: AtomicU64,
    left: Notify,
}

impl Default for Drain {
    fn default() -> Self {
        Self(Arc::new(Shared {
            begun: watch::Sender::new(false),
            told: AtomicBool::new(false),
            inside: Mutex::default(),
            entered: AtomicU64::new(0),
            left: Notify::new(),
        }))
    }
}

impl Drain {
    /// Tells everybody to finish.
    pub fn begin(&self) {
        self.0.told.store(true, Ordering::Release);
        self.0.begun.send_replace(true);
        self.0.inside().values().for_each(Waker::wake_by_ref);
    }

    /// Whether it was told.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.0.told.load(Ordering::Acquire)
    }

    /// Resolves when it is told.
    pub async fn begun(&self) {
        let mut begun = self.0.begun.subscribe();
        // The sender lives as long as `self`, so the wait ends only by the signal.
        drop(begun.wait_for(|begun| *begun).await);
    }

    /// Counts a connection in until the guard is dropped.
    #[must_use]
    pub fn enter(&self) -> Inside {
        let number = self.0.entered.fetch_add(1, Ordering::Relaxed);
        self.0.inside().insert(number, Waker::noop().clone());
        Inside { drain: self.clone(), number, waits: false }
    }

    /// How many connections are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.0.inside().len()
    }

    /// Waits until all have left, at most `limit`; returns how many are left over.
    pub async fn emptied(&self, limit: Duration) -> usize {
        let empty = async {
            loop {
                let left = self.0.left.notified();
                if self.open() == 0 {
                    return;
                }
                left.await;
            }
        };
        match tokio::time::timeout(limit, empty).await {
            Ok(()) => 0,
            Err(_) => self.open(),
        }
    }
}

impl Shared {
    fn inside(&self) -> MutexGuard<'_, HashMap<u64, Waker>> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One open connection.
#[derive(Debug)]
pub struct Inside {
    drain: Drain,
    number: u64,
    /// Whether its task is woken when the drain begins.
    waits: bool,
}

impl Inside {
    /// Whether it is to finish; else its task, which is always the same one, is woken when it is.
    pub fn must_finish(&mut self, cx: &Context<'_>) -> bool {
        if !self.waits {
            self.waits = true;
            self.drain.0.inside().insert(self.number, cx.waker().clone());
        }
        // After the waker is in place, so that a drain that begins between the two is not missed.
        self.drain.has_begun()
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.drain.0.inside().remove(&self.number);
        self.drain.0.left.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_drain_waits_for_the_last_connection_and_no_longer_than_its_limit() {
        let drain = Drain::default();
        let (one, two) = (drain.enter(), drain.enter());
        assert_eq!(drain.emptied(Duration::from_secs(1)).await, 2);
        drop(one);
        let waiting = tokio::spawn({
            let drain = drain.clone();
            async move { drain.emptied(Duration::from_secs(60)).await }
        });
        tokio::task::yield_now().await;
        drop(two);
        assert_eq!(waiting.await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_connection_that_waits_is_woken_to_finish() {
        let drain = Drain::default();
        let mut inside = drain.enter();
        let waiting = tokio::spawn(std::future::poll_fn(move |cx| {
            if inside.must_finish(cx) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        }));
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drain.begin();
        waiting.await.unwrap();
        assert_eq!(drain.open(), 0);
    }

    #[tokio::test]
    async fn the_signal_reaches_those_who_ask_later() {
        let drain = Drain::default();
        drain.begin();
        drain.begun().await;
        assert!(drain.has_begun());
    }
}
