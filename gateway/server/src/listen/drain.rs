//! The drain: no new work, and what runs may end. Owns the signal and the count of connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// The signal to stop, and who still runs. Clones share both.
#[derive(Debug, Clone)]
pub struct Drain(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    begun: watch::Sender<bool>,
    open: AtomicUsize,
    left: Notify,
}

impl Default for Drain {
    fn default() -> Self {
        Self(Arc::new(Shared { begun: watch::Sender::new(false), open: AtomicUsize::new(0), left: Notify::new() }))
    }
}

impl Drain {
    /// Tells everybody to finish.
    pub fn begin(&self) {
        self.0.begun.send_replace(true);
    }

    /// Whether it was told.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        *self.0.begun.borrow()
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
        self.0.open.fetch_add(1, Ordering::AcqRel);
        Inside(self.clone())
    }

    /// How many connections are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.0.open.load(Ordering::Acquire)
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

/// One open connection.
#[derive(Debug)]
pub struct Inside(Drain);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.0.open.fetch_sub(1, Ordering::AcqRel);
        self.0.0.left.notify_one();
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
    async fn the_signal_reaches_those_who_ask_later() {
        let drain = Drain::default();
        drain.begin();
        drain.begun().await;
        assert!(drain.has_begun());
    }
}
