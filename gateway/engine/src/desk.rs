//! One model that answers one request at a time, on a thread of its own with its own pool: the queue before it, and what
//! becomes of requests whose callers have gone. Used by the models that are not generators.

use crate::error::LoadError;
use crate::threads::default_threads;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::task::{Context, Waker};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// Requests of the kind `Q`, answered with `A`. Dropping it stops its thread after the piece of work that it is at.
pub(crate) struct Desk<Q, A> {
    work: Option<SyncSender<(Q, oneshot::Sender<A>)>>,
    thread: Option<JoinHandle<()>>,
}

/// A request was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Too many wait.
    Full,
    /// The thread has ended.
    Stopped,
}

/// Whether the caller of a request has gone: asked between two pieces of its work.
pub(crate) struct Gone<'a>(&'a mut dyn FnMut() -> bool);

impl Gone<'_> {
    /// Asks.
    pub(crate) fn is_so(&mut self) -> bool {
        (self.0)()
    }
}

impl<Q: Send + Sync + 'static, A: Send + 'static> Desk<Q, A> {
    /// Starts the thread. `threads` compute, 0 = cores less one; `queue_len` requests may wait.
    pub(crate) fn start(
        name: &'static str,
        threads: usize,
        queue_len: usize,
        answer: impl Fn(&Q, &mut Gone<'_>) -> A + Send + Sync + 'static,
    ) -> Result<Self, LoadError> {
        let failed = |e: &dyn std::fmt::Display| LoadError::Threads(e.to_string());
        let count = if threads == 0 { default_threads() } else { threads };
        // candle computes on the pool that it is called in.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(count).thread_name(move |i| format!("{name}-{i}"));
        let pool = pool.build().map_err(|e| failed(&e))?;
        let (work, inbox) = sync_channel(queue_len);
        let thread = std::thread::Builder::new().name(name.into());
        let thread = thread.spawn(move || run(&pool, &inbox, &answer)).map_err(|e| failed(&e))?;
        Ok(Self { work: Some(work), thread: Some(thread) })
    }

    /// Whether its thread is alive and takes requests.
    pub(crate) fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Queues a request. Dropping the receiver cancels what of it has not begun.
    pub(crate) fn ask(&self, request: Q) -> Result<oneshot::Receiver<A>, Refused> {
        let (answer, receiver) = oneshot::channel();
        let work = self.work.as_ref().ok_or(Refused::Stopped)?;
        work.try_send((request, answer)).map_err(|e| match e {
            TrySendError::Full(_) => Refused::Full,
            TrySendError::Disconnected(_) => Refused::Stopped,
        })?;
        Ok(receiver)
    }
}

impl<Q, A> Drop for Desk<Q, A> {
    fn drop(&mut self) {
        self.work = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a model's thread had panicked");
        }
    }
}

fn run<Q: Send + Sync, A: Send>(
    pool: &rayon::ThreadPool,
    inbox: &Receiver<(Q, oneshot::Sender<A>)>,
    answer: &(impl Fn(&Q, &mut Gone<'_>) -> A + Sync),
) {
    while let Ok((request, mut sender)) = inbox.recv() {
        let made = pool.install(|| {
            let mut gone = || sender.poll_closed(&mut Context::from_waker(Waker::noop())).is_ready();
            answer(&request, &mut Gone(&mut gone))
        });
        drop(sender.send(made));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn a_full_queue_is_said_and_a_caller_that_goes_is_noticed() {
        let (gate, wait) = channel::<()>();
        let wait = std::sync::Mutex::new(wait);
        let desk = Desk::start("desk", 1, 1, move |n: &u32, gone: &mut Gone<'_>| {
            wait.lock().unwrap().recv().unwrap();
            (*n, gone.is_so())
        })
        .unwrap();
        let first = desk.ask(1).unwrap();
        let second = loop {
            // The first may still be in the queue.
            match desk.ask(2) {
                Ok(second) => break second,
                Err(refused) => assert_eq!(refused, Refused::Full),
            }
        };
        while desk.ask(3).is_ok() {}
        gate.send(()).unwrap();
        assert_eq!(first.blocking_recv().unwrap(), (1, false));
        drop(second);
        for _ in 0..3 {
            gate.send(()).unwrap();
        }
        assert!(desk.is_running());
    }
}
