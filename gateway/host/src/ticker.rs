//! The clock by which calls end: one thread that moves the engine's epoch on each millisecond while a call runs, looks for one
//! less often while none does, and sleeps when none was for a while. Owns the thread, which ends with the host. A call begins
//! and ends with an atomic addition each; only the first after a pause wakes the thread.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use wasmtime::Engine;

const TICK: Duration = Duration::from_millis(1);

/// How long it waits where it found no call running. Most calls are over within some microseconds, so a tick for each
/// millisecond of traffic would cost more than they do. A call that is allowed less than this may take as long.
const PATROL: Duration = Duration::from_millis(4);

/// After so many looks without a call the thread sleeps.
const LINGER: u32 = 25;

/// The calls that run are counted below, those that ever began above.
const ONE_BEGUN: u64 = 1 << 32;
const RUNNING: u64 = ONE_BEGUN - 1;

/// The thread.
#[derive(Debug)]
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// How many calls run, and a number that is another after each beginning.
    calls: AtomicU64,
    is_asleep: AtomicBool,
    is_over: Mutex<bool>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, bool> {
        self.is_over.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that runs; the ticker may sleep again when it is dropped.
#[derive(Debug)]
pub(crate) struct Running<'a>(&'a Shared);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Ticker {
    /// Starts the thread.
    pub(crate) fn start(engine: Engine) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("plugin-ticker".to_owned());
        let thread = thread.spawn(move || tick(&engine, &theirs))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Has it tick as long as what it gives back lives.
    pub(crate) fn run(&self) -> Running<'_> {
        // One of the two sees the other: the thread the call before it sleeps, or the call that it sleeps.
        self.shared.calls.fetch_add(ONE_BEGUN + 1, Ordering::SeqCst);
        if self.shared.is_asleep.load(Ordering::SeqCst) {
            let _is_over = self.shared.lock();
            self.shared.changed.notify_one();
        }
        Running(&self.shared)
    }

    /// How many ticks a call may live that has so much time: one more, since it begins between two.
    pub(crate) fn ticks(time: Duration) -> u64 {
        u64::try_from(time.as_millis()).unwrap_or(u64::MAX / 2).saturating_add(1)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        *self.shared.lock() = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // It cannot have panicked: it only counts.
            thread.join().unwrap_or_default();
        }
    }
}

/// Moves the epoch by as many ticks as have passed, so that a thread that is woken late does not lengthen deadlines.
fn tick(engine: &Engine, shared: &Shared) {
    let mut is_over = shared.lock();
    let mut last = Instant::now();
    let mut seen = 0;
    let mut quiet = 0;
    while !*is_over {
        let calls = shared.calls.load(Ordering::SeqCst);
        let is_running = calls & RUNNING != 0;
        quiet = if !is_running && calls == seen { quiet + 1 } else { 0 };
        seen = calls;
        if quiet > LINGER {
            is_over = sleep(shared, is_over, seen);
            (last, quiet) = (Instant::now(), 0);
        } else {
            let pause = if is_running { TICK } else { PATROL };
            is_over = shared.changed.wait_timeout(is_over, pause).unwrap_or_else(PoisonError::into_inner).0;
            while last.elapsed() >= TICK {
                engine.increment_epoch();
                last += TICK;
            }
        }
    }
}

/// Sleeps until a call begins or all is over.
fn sleep<'a>(shared: &'a Shared, mut is_over: MutexGuard<'a, bool>, seen: u64) -> MutexGuard<'a, bool> {
    shared.is_asleep.store(true, Ordering::SeqCst);
    while !*is_over && shared.calls.load(Ordering::SeqCst) == seen {
        is_over = shared.changed.wait(is_over).unwrap_or_else(PoisonError::into_inner);
    }
    shared.is_asleep.store(false, Ordering::SeqCst);
    is_over
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_has_a_tick_more_than_its_milliseconds() {
        assert_eq!(Ticker::ticks(Duration::from_millis(5)), 6);
        assert_eq!(Ticker::ticks(Duration::ZERO), 1);
        assert!(Ticker::ticks(Duration::MAX) > 1 << 40);
    }

    #[test]
    fn the_thread_ends_with_its_owner() {
        let ticker = Ticker::start(Engine::default()).unwrap();
        let shared = Arc::downgrade(&ticker.shared);
        drop(ticker.run());
        drop(ticker);
        assert!(shared.upgrade().is_none());
    }

    #[test]
    fn a_call_wakes_it_from_its_sleep() {
        let ticker = Ticker::start(Engine::default()).unwrap();
        let is_asleep = |wanted: bool| {
            let since = Instant::now();
            while ticker.shared.is_asleep.load(Ordering::SeqCst) != wanted {
                assert!(since.elapsed() < Duration::from_secs(20), "it is not as it should be: {wanted}");
                std::thread::yield_now();
            }
        };
        for _ in 0..2 {
            is_asleep(true);
            let running = ticker.run();
            is_asleep(false);
            drop(running);
        }
    }
}
