//! A waker that can look away. Owns only that: while a task takes what is its own, wake-ups that this causes are noted
//! and not passed on, for the task is awake; without it each event of a stream would poll the whole task twice.

use futures_util::task::AtomicWaker;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};

const OPEN: u8 = 0;
const MUTED: u8 = 1;
const MISSED: u8 = 2;

#[derive(Debug, Default)]
struct Shared {
    state: AtomicU8,
    /// Whether it was woken since it was last polled.
    rang: AtomicBool,
    task: AtomicWaker,
}

impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rang.store(true, Ordering::Release);
        // One step, so that a wake-up is either seen when the ear opens again or passed on.
        let heard = self.state.compare_exchange(MUTED, MISSED, Ordering::AcqRel, Ordering::Acquire);
        if heard == Err(OPEN) {
            self.task.wake();
        }
    }
}

/// The waker, which wakes the task that polled last.
#[derive(Debug)]
pub(crate) struct Nudge {
    shared: Arc<Shared>,
    waker: Waker,
}

impl Nudge {
    pub(crate) fn new() -> Self {
        let shared = Arc::<Shared>::default();
        Self { waker: Waker::from(Arc::clone(&shared)), shared }
    }

    /// Polls what wakes through this for the task of `cx`.
    pub(crate) fn poll<T>(&self, cx: &Context<'_>, poll: impl FnOnce(&mut Context<'_>) -> T) -> T {
        self.shared.task.register(cx.waker());
        self.shared.rang.store(false, Ordering::Release);
        poll(&mut Context::from_waker(&self.waker))
    }

    /// Whether what was polled was woken since; else another poll of it, for the task of `cx`, is in vain.
    pub(crate) fn rang(&self, cx: &Context<'_>) -> bool {
        self.shared.task.register(cx.waker());
        self.shared.rang.load(Ordering::Acquire)
    }

    /// Does what wakes the polled and nobody else: a wake-up that this causes is dropped, since the caller polls it next.
    pub(crate) fn unheard<T>(&self, act: impl FnOnce() -> T) -> T {
        self.shared.state.store(MUTED, Ordering::Release);
        let done = act();
        self.shared.state.store(OPEN, Ordering::Release);
        done
    }

    /// Polls what only we ourselves make ready, without a waker, and without being woken by it. Who polls again after
    /// `Ready` needs no wake-up; before `Pending` is passed on, one that was missed is made up for.
    pub(crate) fn quietly<T>(&self, cx: &Context<'_>, poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        self.shared.state.store(MUTED, Ordering::Release);
        let polled = poll(&mut Context::from_waker(Waker::noop()));
        let was_missed = self.shared.state.swap(OPEN, Ordering::AcqRel) == MISSED;
        // Out of its cooperative budget the runtime answers `Pending` for reasons of its own.
        if polled.is_pending() && (was_missed || !tokio::task::coop::has_budget_remaining()) {
            cx.waker().wake_by_ref();
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn wake_ups_pass_but_while_it_looks_away() {
        let count = Arc::new(Count::default());
        let task = Waker::from(Arc::clone(&count));
        let cx = Context::from_waker(&task);
        let woken = || count.0.swap(0, Ordering::SeqCst);
        let nudge = Nudge::new();
        let inner = nudge.poll(&cx, |inner| inner.waker().clone());
        assert!(!nudge.rang(&cx), "nothing happened since");
        inner.wake_by_ref();
        assert_eq!(woken(), 1);
        assert!(nudge.rang(&cx));

        nudge.poll(&cx, |_| ());
        let taken = nudge.quietly(&cx, |_| {
            inner.wake_by_ref();
            Poll::Ready(())
        });
        assert_eq!((taken, woken()), (Poll::Ready(()), 0));
        inner.wake_by_ref();
        assert_eq!(woken(), 1, "it listens again");

        nudge.unheard(|| inner.wake_by_ref());
        assert_eq!(woken(), 0, "who polls next needs no wake-up");

        let nothing = nudge.quietly(&cx, |_| {
            inner.wake_by_ref();
            inner.wake_by_ref();
            Poll::<()>::Pending
        });
        assert_eq!((nothing, woken()), (Poll::Pending, 1), "none is lost before a wait");
        assert_eq!((nudge.quietly(&cx, |_| Poll::<()>::Pending), woken()), (Poll::Pending, 0));
    }
}
