//! Filters and routers that take long step aside: they run where they hold up nobody else who is served, on a thread that
//! gives way to all others. Owns when one is such, and how many may step aside at once. Quick ones run where the call is,
//! which costs nothing.

use crate::giving_way::{Allowance, Place as Standing, giving_way, measured};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tidegate_core::port::filter::{DeltaAction, Failed, Filter, FilterStream, LooksAt, Message, Opinion, Place, Seen};
use tidegate_core::port::router::{Advice, Router, SeenArm};
use tidegate_host::WarmFilter;
use tokio::runtime::{Handle, RuntimeFlavor};

/// What takes longer than this is slow: others wait for the thread that long.
const SLOW: Duration = Duration::from_millis(1);
/// After a slow look so many more step aside, in the expectation that they are as slow.
const LOOKS: u32 = 256;
/// No number of looks.
const SUSPECTED: u32 = u32::MAX;
/// So many step aside at once, since each takes a thread; who comes then stays where it is.
const MOST: u32 = 128;

/// A filter that steps aside where it takes long.
#[derive(Debug)]
pub(super) struct Aside {
    filter: Arc<WarmFilter>,
    pace: Arc<Pace>,
}

/// How fast a filter is.
#[derive(Debug, Default)]
struct Pace {
    /// So many looks step aside from here on, or `SUSPECTED`.
    wary: AtomicU32,
    /// What it may take aside before it is the last of all.
    allowance: Allowance,
    rooms: Arc<Rooms>,
}

/// What is known of its pace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Now {
    Quick,
    /// A look took long, which may have been the machine.
    Suspected,
    /// One of its last looks was slow.
    Wary,
}

/// How many of all filters have stepped aside just now.
#[derive(Debug, Default)]
pub(super) struct Rooms(AtomicU32);

/// Room for one aside, free again when it is dropped.
struct Room<'a>(&'a Rooms);

impl Aside {
    pub(super) fn new(filter: Arc<WarmFilter>, rooms: &Arc<Rooms>) -> Self {
        Self { filter, pace: Arc::new(Pace::new(rooms)) }
    }
}

impl Pace {
    fn new(rooms: &Arc<Rooms>) -> Self {
        Self { rooms: Arc::clone(rooms), ..Self::default() }
    }

    /// Looks, aside if that may well take long. One that `rests` after failures says so at once, wherever it is asked.
    fn take<T: Send>(
        &self,
        rests: impl FnOnce() -> bool,
        look: impl FnOnce() -> Result<T, Failed> + Send,
    ) -> Result<T, Failed> {
        let now = self.now();
        if now == Now::Quick {
            let began = Instant::now();
            let done = look();
            // It, or the machine: the next look is measured by what it itself takes, which has its price.
            if began.elapsed() > SLOW {
                self.wary.store(SUSPECTED, Ordering::Relaxed);
            }
            return done;
        }
        let look = || measured(look);
        let (done, took) = if now == Now::Wary && !rests() {
            self.rooms.aside(self.allowance.place(Instant::now()), look)
        } else {
            look()
        };
        self.note(took, done.is_ok());
        done
    }

    /// That a look took so much of the processor. Only those that went well show that it is quick again: what fails at once,
    /// or is not even tried, shows nothing of how long the next one takes.
    fn note(&self, took: Duration, is_well: bool) {
        if took > SLOW {
            self.allowance.charge(took, Instant::now());
            self.wary.store(LOOKS, Ordering::Relaxed);
        } else if is_well {
            let less = |wary: u32| Some(if wary == SUSPECTED { 0 } else { wary.saturating_sub(1) });
            self.wary.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).unwrap_or_default();
        }
    }

    fn now(&self) -> Now {
        match self.wary.load(Ordering::Relaxed) {
            0 => Now::Quick,
            SUSPECTED => Now::Suspected,
            _ => Now::Wary,
        }
    }
}

impl Rooms {
    /// Does something on a thread that gives way, while this one waits for it and others have taken over what it was to do
    /// else. With a single thread for everything there is nobody to take over.
    fn aside<T: Send>(&self, stands: Standing, does: impl FnOnce() -> T + Send) -> T {
        let is_alone =
            Handle::try_current().map_or(true, |handle| handle.runtime_flavor() == RuntimeFlavor::CurrentThread);
        match self.take() {
            Some(_room) if !is_alone => tokio::task::block_in_place(|| giving_way(stands, does)),
            _ => does(),
        }
    }

    fn take(&self) -> Option<Room<'_>> {
        let more = |aside: u32| (aside < MOST).then_some(aside + 1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok().then(|| Room(self))
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Filter for Aside {
    fn looks_at(&self) -> LooksAt {
        self.filter.looks_at()
    }

    fn request(&self, call: &Seen<'_>, messages: &[Message<'_>]) -> Result<Opinion, Failed> {
        self.pace.take(|| self.filter.rests(), || self.filter.request(call, messages))
    }

    fn answer(&self, call: &Seen<'_>, choices: &[Message<'_>]) -> Result<Opinion, Failed> {
        self.pace.take(|| self.filter.rests(), || self.filter.answer(call, choices))
    }

    fn stream(&self, call: &Seen<'_>) -> Result<Option<Box<dyn FilterStream>>, Failed> {
        let stream = self.pace.take(|| self.filter.rests(), || self.filter.stream(call))?;
        let aside = |stream| Box::new(AsideStream { stream, pace: Arc::clone(&self.pace) }) as Box<dyn FilterStream>;
        Ok(stream.map(aside))
    }
}

/// A router that steps aside likewise.
#[derive(Debug)]
pub(super) struct AsideRouter {
    router: Arc<WarmFilter>,
    pace: Pace,
}

impl AsideRouter {
    pub(super) fn new(router: Arc<WarmFilter>, rooms: &Arc<Rooms>) -> Self {
        Self { router, pace: Pace::new(rooms) }
    }
}

impl Router for AsideRouter {
    fn choose(&self, call: &Seen<'_>, features: &[f64], arms: &[SeenArm<'_>]) -> Result<Advice, Failed> {
        self.pace.take(|| self.router.rests(), || self.router.choose(call, features, arms))
    }
}

/// One stream of such a filter.
#[derive(Debug)]
struct AsideStream {
    stream: Box<dyn FilterStream>,
    pace: Arc<Pace>,
}

impl FilterStream for AsideStream {
    fn delta(&mut self, place: Place, text: &str) -> Result<DeltaAction, Failed> {
        self.pace.take(|| false, || self.stream.delta(place, text))
    }

    fn end(&mut self, choice: u32, finish_reason: &str) -> Result<Vec<(Place, String)>, Failed> {
        self.pace.take(|| false, || self.stream.end(choice, finish_reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn one_that_was_slow_is_expected_to_be_slow() {
        let pace = Pace::default();
        pace.note(SLOW, true);
        assert_eq!(pace.now(), Now::Quick);
        pace.note(SLOW * 2, false);
        // One slow look, and as many quick ones as show that it was an exception; those that failed show nothing.
        (0..2 * LOOKS).for_each(|_| pace.note(SLOW / 2, false));
        for _ in 0..LOOKS {
            assert_eq!(pace.now(), Now::Wary);
            pace.note(SLOW / 2, true);
        }
        assert_eq!(pace.now(), Now::Quick);
    }

    #[test]
    fn who_had_to_wait_was_not_slow() {
        let (pace, clock) = (Pace::default(), Instant::now());
        let waits = || {
            while clock.elapsed() < SLOW * 3 {
                std::thread::yield_now();
            }
            Ok(())
        };
        let look = |does: &(dyn Fn() -> Result<(), Failed> + Sync)| pace.take(|| false, does).unwrap();
        look(&waits);
        assert_eq!(pace.now(), Now::Suspected);
        look(&|| Ok(()));
        assert_eq!(pace.now(), Now::Quick);
    }

    /// With one thread that serves, whoever waits for something that the thread is to do waits for ever, unless it is done
    /// by another one meanwhile.
    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn who_steps_aside_holds_up_nobody() {
        let holds = tokio::spawn(async {
            let pace = Pace::default();
            pace.note(SLOW * 2, true);
            assert_eq!(pace.now(), Now::Wary);
            let (told, hears) = mpsc::channel();
            tokio::spawn(async move { told.send(7) });
            pace.take(|| false, move || Ok(hears.recv_timeout(Duration::from_secs(20))))
        });
        assert_eq!(holds.await.unwrap().unwrap(), Ok(7));
    }

    #[tokio::test]
    async fn with_one_thread_for_everything_it_stays_where_it_is() {
        assert_eq!(Rooms::default().aside(Standing::Last, || 7), 7);
    }

    #[test]
    fn there_is_room_for_so_many_and_again_when_they_are_done() {
        let rooms = Rooms::default();
        let taken: Vec<_> = (0..MOST).map(|_| rooms.take().expect("room")).collect();
        assert!(rooms.take().is_none());
        drop(taken);
        assert!(rooms.take().is_some());
    }
}
