//! The bounded queue between the callers and the writer. Owns that handing over never blocks, that each record is counted
//! once, and when the writer wakes.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tidegate_core::Event;
use tidegate_core::port::events::DropReason;
use tokio::sync::oneshot;

/// Records are written this long after the first of them came.
const PACE: Duration = Duration::from_millis(10);
/// An idle writer looks after the age of its segment this often.
const REST: Duration = Duration::from_secs(10);

/// Resolves the caller's wait: durable, or why not.
pub(crate) type Ack = oneshot::Sender<Result<(), std::sync::Arc<str>>>;

/// One record on its way.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) event: Box<Event>,
    pub(crate) ack: Option<Ack>,
}

/// The queue.
#[derive(Debug)]
pub(crate) struct Queue {
    inner: Mutex<Inner>,
    wake: Condvar,
    flushed: Condvar,
    capacity: usize,
    /// Whether each record is written at once.
    eager: bool,
}

#[derive(Debug, Default)]
struct Inner {
    waiting: Vec<Entry>,
    door: Door,
    closed: bool,
    writer: Waiting,
    flush_wanted: u64,
    flush_done: u64,
}

/// What came to the door and what was turned away there.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Door {
    pub(crate) came: u64,
    pub(crate) full: u64,
    pub(crate) closed: u64,
}

/// How the writer waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Waiting {
    /// Not at all.
    #[default]
    Busy,
    /// Until the next beat, unless something is urgent.
    Beat,
    /// Until anything comes.
    Rest,
}

/// What the writer is to do with what it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Orders {
    /// Sync, then tell those who wait for this flush.
    pub(crate) flush: Option<u64>,
    /// Nothing comes after this.
    pub(crate) last: bool,
}

impl Inner {
    fn is_urgent(&self, capacity: usize, eager: bool) -> bool {
        self.closed
            || self.flush_wanted > self.flush_done
            || self.waiting.len() >= capacity.div_ceil(2)
            || (eager && !self.waiting.is_empty())
    }
}

impl Queue {
    pub(crate) fn new(capacity: usize, eager: bool) -> Self {
        let (inner, wake, flushed) = (Mutex::default(), Condvar::new(), Condvar::new());
        Self { inner, wake, flushed, capacity: capacity.max(1), eager }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a record over, or gives it back with the reason. `count` runs where it is taken, before the writer can see it.
    pub(crate) fn push(&self, entry: Entry, count: impl FnOnce()) -> Result<(), (Entry, DropReason)> {
        let mut inner = self.lock();
        inner.door.came += 1;
        if inner.closed {
            inner.door.closed += 1;
            return Err((entry, DropReason::Closed));
        }
        if inner.waiting.len() >= self.capacity {
            inner.door.full += 1;
            return Err((entry, DropReason::QueueFull));
        }
        count();
        inner.waiting.push(entry);
        let wakes = match inner.writer {
            Waiting::Busy => false,
            Waiting::Beat => inner.is_urgent(self.capacity, self.eager),
            Waiting::Rest => true,
        };
        if wakes {
            inner.writer = Waiting::Busy;
        }
        drop(inner);
        if wakes {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Waits for the next beat and swaps what waits into `into`, which is empty. With `idle` the beat is skipped as long
    /// as nothing comes.
    pub(crate) fn take(&self, into: &mut Vec<Entry>, idle: bool) -> Orders {
        let mut inner = self.lock();
        let urgent = |inner: &Inner| inner.is_urgent(self.capacity, self.eager);
        if idle && inner.waiting.is_empty() && !urgent(&inner) {
            inner = self.wait(inner, Waiting::Rest, REST);
        }
        let nothing_came = idle && inner.waiting.is_empty();
        if !nothing_came && !urgent(&inner) {
            inner = self.wait(inner, Waiting::Beat, PACE);
        }
        std::mem::swap(&mut inner.waiting, into);
        let flush = (inner.flush_wanted > inner.flush_done).then_some(inner.flush_wanted);
        Orders { flush, last: inner.closed }
    }

    fn wait<'a>(&self, mut inner: MutexGuard<'a, Inner>, how: Waiting, long: Duration) -> MutexGuard<'a, Inner> {
        inner.writer = how;
        let woken = self.wake.wait_timeout_while(inner, long, |inner| inner.writer == how);
        let (mut inner, _) = woken.unwrap_or_else(PoisonError::into_inner);
        inner.writer = Waiting::Busy;
        inner
    }

    /// Waits until all that was handed over before is written and synced, or the writer is gone.
    pub(crate) fn flush(&self) {
        let mut inner = self.lock();
        if inner.flush_done == u64::MAX {
            return;
        }
        inner.flush_wanted += 1;
        let ticket = inner.flush_wanted;
        inner.writer = Waiting::Busy;
        self.wake.notify_one();
        let waited = self.flushed.wait_while(inner, |inner| inner.flush_done < ticket);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Tells those who wait for flushes up to this one.
    pub(crate) fn flushed(&self, ticket: u64) {
        let mut inner = self.lock();
        inner.flush_done = inner.flush_done.max(ticket);
        drop(inner);
        self.flushed.notify_all();
    }

    /// Takes nothing more.
    pub(crate) fn close(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        inner.writer = Waiting::Busy;
        drop(inner);
        self.wake.notify_one();
    }

    /// The writer is gone: closes, lets those who wait go, and gives back what nobody will write.
    pub(crate) fn desert(&self) -> Vec<Entry> {
        let mut inner = self.lock();
        inner.closed = true;
        inner.flush_done = u64::MAX;
        let left = std::mem::take(&mut inner.waiting);
        drop(inner);
        self.flushed.notify_all();
        left
    }

    /// The counts at the door; `with` runs before the door opens again, so that what it reads is no newer.
    pub(crate) fn door<T>(&self, with: impl FnOnce() -> T) -> (Door, T) {
        let inner = self.lock();
        let other = with();
        (inner.door, other)
    }
}
