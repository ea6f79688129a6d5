//! The idle connections of one endpoint. Owns their reuse, newest first, and their end after a while; how many calls
//! may run at once is the endpoint's.

use crate::lane::{H1, Lane, Out};
use crate::patience::Patience;
use hyper::client::conn::http2;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::time::Instant;

/// How long a connection may lie idle. Servers mostly close theirs sooner, which the next call notices.
const LONGEST_IDLE: Duration = Duration::from_secs(60);
/// How often idle connections are looked through.
const SWEEP_EVERY: Duration = Duration::from_secs(15);

/// Idle HTTP/1 connections, and the HTTP/2 one that all calls share.
#[derive(Default)]
pub(crate) struct Pool {
    kept: Mutex<Kept>,
    is_swept: AtomicBool,
}

#[derive(Default)]
struct Kept {
    idle: VecDeque<Idle>,
    shared: Option<http2::SendRequest<Out>>,
}

struct Idle {
    lane: Box<H1>,
    /// The timer of the last call, for the next one.
    patience: Patience,
    since: Instant,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("idle", &self.kept().idle.len()).finish_non_exhaustive()
    }
}

impl Pool {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection for a call that starts at `now`, if there is one.
    pub(crate) fn take(&self, now: Instant) -> Option<(Lane, Option<Patience>)> {
        let mut kept = self.kept();
        if let Some(shared) = &kept.shared {
            if !shared.is_closed() {
                return Some((Lane::H2(shared.clone()), None));
            }
            kept.shared = None;
        }
        let idle = kept.idle.pop_back()?;
        if now.saturating_duration_since(idle.since) < LONGEST_IDLE {
            return Some((Lane::H1(idle.lane), Some(idle.patience)));
        }
        // The newest is too old, so all are.
        let old = std::mem::take(&mut kept.idle);
        drop(kept);
        drop(old);
        None
    }

    /// Takes a connection back after its answer was read to the end at `now`.
    pub(crate) fn put(&self, lane: Lane, patience: Patience, now: Instant) {
        if let Lane::H1(mut lane) = lane
            && lane.is_idle()
        {
            self.kept().idle.push_back(Idle { lane, patience, since: now });
        }
    }

    /// Shares an HTTP/2 connection; gives back the one to use, which is an older one if two were opened at once.
    pub(crate) fn share(&self, fresh: http2::SendRequest<Out>) -> Lane {
        let mut kept = self.kept();
        let shared = kept.shared.take().filter(|s| !s.is_closed()).unwrap_or(fresh);
        kept.shared = Some(shared.clone());
        Lane::H2(shared)
    }

    /// Forgets the shared connection, which has failed a call.
    pub(crate) fn unshare(&self) {
        self.kept().shared = None;
    }

    /// Sees to it that idle connections end in time also when no call comes. Needs the runtime.
    pub(crate) fn keep_swept(self: &Arc<Self>) {
        if !self.is_swept.swap(true, Ordering::Relaxed) {
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
    }

    /// Closes what is too old at `now` or was closed by the server.
    fn close_old(&self, now: Instant) {
        let all = std::mem::take(&mut self.kept().idle);
        let good = all.into_iter().filter_map(|mut idle| {
            let is_young = now.saturating_duration_since(idle.since) < LONGEST_IDLE;
            (is_young && idle.lane.is_idle()).then_some(idle)
        });
        let mut good: VecDeque<_> = good.collect();
        let mut kept = self.kept();
        // What was put back meanwhile is newer.
        good.append(&mut kept.idle);
        kept.idle = good;
    }
}

async fn sweep(pool: Weak<Pool>) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        let Some(pool) = pool.upgrade() else { return };
        pool.close_old(Instant::now());
    }
}
