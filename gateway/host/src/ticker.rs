//! The clock by which calls end: one thread that moves the engine's epoch on each millisecond while a call runs, and sleeps
//! otherwise. Owns the thread, which ends with the host.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use wasmtime::Engine;

const TICK: Duration = Duration::from_millis(1);

/// The thread.
#[derive(Debug)]
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    running: usize,
    is_over: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that runs; the ticker may sleep again when it is dropped.
#[derive(Debug)]
pub(crate) struct Running<'a>(&'a Shared);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.lock().running -= 1;
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
        let mut state = self.shared.lock();
        state.running += 1;
        if state.running == 1 {
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
        self.shared.lock().is_over = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // It cannot have panicked: it only counts.
            thread.join().unwrap_or_default();
        }
    }
}

/// Moves the epoch by as many ticks as have passed, so that a thread that is woken late does not lengthen deadlines.
fn tick(engine: &Engine, shared: &Shared) {
    let mut state = shared.lock();
    let mut last = Instant::now();
    while !state.is_over {
        if state.running == 0 {
            state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            last = Instant::now();
        } else {
            state = shared.changed.wait_timeout(state, TICK).unwrap_or_else(PoisonError::into_inner).0;
            while last.elapsed() >= TICK {
                engine.increment_epoch();
                last += TICK;
            }
        }
    }
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
}
