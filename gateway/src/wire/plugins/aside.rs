//! Filters and routers that take long step aside: they run where they hold up nobody else who is served. Owns when one is
//! such, and how many may step aside at once. Quick ones run where the call is, which costs nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tidegate_core::port::filter::{DeltaAction, Failed, Filter, FilterStream, LooksAt, Message, Opinion, Place, Seen};
use tidegate_core::port::router::{Advice, Router, SeenArm};
use tokio::runtime::{Handle, RuntimeFlavor};

/// What takes longer than this is slow: others wait for the thread that long.
const SLOW: Duration = Duration::from_millis(1);
/// After a slow look so many more step aside, in the expectation that they are as slow.
const LOOKS: u32 = 256;
/// So many step aside at once, since each takes a thread; who comes then stays where it is.
const MOST: u32 = 128;

/// A filter that steps aside where it takes long.
#[derive(Debug)]
pub(super) struct Aside {
    filter: Arc<dyn Filter>,
    pace: Arc<Pace>,
}

/// How fast a filter is.
#[derive(Debug, Default)]
struct Pace {
    /// So many looks step aside from here on.
    wary: AtomicU32,
    rooms: Arc<Rooms>,
}

/// How many of all filters have stepped aside just now.
#[derive(Debug, Default)]
pub(super) struct Rooms(AtomicU32);

/// Room for one aside, free again when it is dropped.
struct Room<'a>(&'a Rooms);

impl Aside {
    pub(super) fn new(filter: Arc<dyn Filter>, rooms: &Arc<Rooms>) -> Self {
        Self { filter, pace: Arc::new(Pace::new(rooms)) }
    }
}

impl Pace {
    fn new(rooms: &Arc<Rooms>) -> Self {
        Self { wary: AtomicU32::new(0), rooms: Arc::clone(rooms) }
    }

    /// Does something that may take long, aside if it may well do so.
    fn take<T>(&self, does: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let done = if self.is_wary() { self.rooms.aside(does) } else { does() };
        self.note(began.elapsed());
        done
    }

    /// That a look took so long.
    fn note(&self, took: Duration) {
        if took > SLOW {
            self.wary.store(LOOKS, Ordering::Relaxed);
        }
    }

    /// Whether one of its last looks was slow.
    fn is_wary(&self) -> bool {
        let less = |wary: u32| wary.checked_sub(1);
        self.wary.load(Ordering::Relaxed) > 0
            && self.wary.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}

impl Rooms {
    /// Does something on this thread, after others have taken over what the thread was to do else. With a single thread for
    /// everything there is nobody to take over.
    fn aside<T>(&self, does: impl FnOnce() -> T) -> T {
        let is_alone =
            Handle::try_current().map_or(true, |handle| handle.runtime_flavor() == RuntimeFlavor::CurrentThread);
        match self.take() {
            Some(_room) if !is_alone => tokio::task::block_in_place(does),
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
        self.pace.take(|| self.filter.request(call, messages))
    }

    fn answer(&self, call: &Seen<'_>, choices: &[Message<'_>]) -> Result<Opinion, Failed> {
        self.pace.take(|| self.filter.answer(call, choices))
    }

    fn stream(&self, call: &Seen<'_>) -> Result<Option<Box<dyn FilterStream>>, Failed> {
        let stream = self.pace.take(|| self.filter.stream(call))?;
        let aside = |stream| Box::new(AsideStream { stream, pace: Arc::clone(&self.pace) }) as Box<dyn FilterStream>;
        Ok(stream.map(aside))
    }
}

/// A router that steps aside likewise.
#[derive(Debug)]
pub(super) struct AsideRouter {
    router: Arc<dyn Router>,
    pace: Pace,
}

impl AsideRouter {
    pub(super) fn new(router: Arc<dyn Router>, rooms: &Arc<Rooms>) -> Self {
        Self { router, pace: Pace::new(rooms) }
    }
}

impl Router for AsideRouter {
    fn choose(&self, call: &Seen<'_>, features: &[f64], arms: &[SeenArm<'_>]) -> Result<Advice, Failed> {
        self.pace.take(|| self.router.choose(call, features, arms))
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
        self.pace.take(|| self.stream.delta(place, text))
    }

    fn end(&mut self, choice: u32, finish_reason: &str) -> Result<Vec<(Place, String)>, Failed> {
        self.pace.take(|| self.stream.end(choice, finish_reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn one_that_was_slow_is_expected_to_be_slow() {
        let pace = Pace::default();
        pace.note(SLOW);
        assert!(!pace.is_wary());
        pace.note(SLOW * 2);
        // One slow look, and as many quick ones as show that it was an exception.
        (0..LOOKS).for_each(|_| assert!(pace.is_wary()));
        assert!(!pace.is_wary());
    }

    /// With one thread that serves, whoever waits for something that the thread is to do waits for ever, unless it is done
    /// by another one meanwhile.
    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn who_steps_aside_holds_up_nobody() {
        let holds = tokio::spawn(async {
            let pace = Pace::default();
            pace.note(SLOW * 2);
            let (told, hears) = mpsc::channel();
            tokio::spawn(async move { told.send(7) });
            pace.take(|| hears.recv_timeout(Duration::from_secs(20)))
        });
        assert_eq!(holds.await.unwrap(), Ok(7));
    }

    #[tokio::test]
    async fn with_one_thread_for_everything_it_stays_where_it_is() {
        assert_eq!(Rooms::default().aside(|| 7), 7);
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
