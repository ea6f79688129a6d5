//! An answer held to its grammar: which tokens may come next, and what was taken. The mask of the next token is made on
//! a thread of its own while the model computes; whoever comes too early waits for it.

use llguidance::Matcher;
use llguidance::toktrie::SimpleVob;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How long a step waits for a mask before it gives the answer up: a thousand times what one takes.
const PATIENCE: Duration = Duration::from_secs(2);

/// The thread that makes masks; it ends with the last of its handles.
#[derive(Clone)]
pub(super) struct Maker(Sender<(Box<Work>, Arc<Slot>)>);

impl Maker {
    pub(super) fn start() -> Result<Self, String> {
        let (sender, inbox) = channel::<(Box<Work>, Arc<Slot>)>();
        let run = move || {
            for (mut work, slot) in inbox {
                // Nobody waits for it any more: the answer was cancelled.
                if Arc::strong_count(&slot) > 1 {
                    work.make();
                    slot.put(work);
                }
            }
        };
        let thread = std::thread::Builder::new().name("grammar".into()).spawn(run);
        thread.map(|_| Self(sender)).map_err(|e| format!("cannot start the thread that makes masks: {e}"))
    }
}

/// A matcher and its mask.
struct Work {
    matcher: Matcher,
    mask: Result<SimpleVob, String>,
}

impl Work {
    fn make(&mut self) {
        self.mask = self.matcher.compute_mask().map_err(|e| e.to_string());
    }

    fn fork(&self) -> Self {
        // The caches of the automaton too: what one answer has computed must not spend another's fuel.
        Self { matcher: self.matcher.deep_clone(), mask: self.mask.clone() }
    }
}

/// Where work comes back.
#[derive(Default)]
struct Slot {
    done: Mutex<Option<Box<Work>>>,
    came: Condvar,
}

impl Slot {
    fn put(&self, work: Box<Work>) {
        *self.done.lock().unwrap_or_else(PoisonError::into_inner) = Some(work);
        self.came.notify_one();
    }

    fn take(&self) -> Option<Box<Work>> {
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.came.wait_timeout_while(done, PATIENCE, |done| done.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.take()
    }
}

/// What holds one answer.
pub(crate) struct Held {
    /// `None` while the mask is being made.
    here: Option<Box<Work>>,
    slot: Arc<Slot>,
    maker: Maker,
    shield: Option<&'static str>,
}

impl Held {
    /// With the first mask made here and now, so that what cannot be kept at all is known at once.
    pub(super) fn begin(matcher: Matcher, maker: Maker, shield: Option<&'static str>) -> Result<Self, String> {
        let mut work = Box::new(Work { matcher, mask: Err(String::new()) });
        work.make();
        match &work.mask {
            Ok(_) => Ok(Self { here: Some(work), slot: Arc::default(), maker, shield }),
            Err(problem) if problem.starts_with("NoExtension") => Err("no text can be of this form".into()),
            Err(problem) => Err(problem.clone()),
        }
    }

    /// The same again, for another answer; `None` while its mask is being made.
    pub(crate) fn fork(&self) -> Option<Self> {
        let work = Box::new(self.here.as_ref()?.fork());
        Some(Self { here: Some(work), slot: Arc::default(), maker: self.maker.clone(), shield: self.shield })
    }

    /// The text from which on the caller's stop texts end nothing.
    pub(crate) fn shield(&self) -> Option<&'static str> {
        self.shield
    }

    /// The tokens that may come next, a bit each.
    pub(crate) fn allowed(&mut self) -> Result<&[u32], String> {
        if self.here.is_none() {
            self.here = self.slot.take();
        }
        let work = self.here.as_ref().ok_or("it takes too long to say what may come next")?;
        work.mask.as_ref().map(SimpleVob::as_slice).map_err(Clone::clone)
    }

    /// Takes the token that came, which is none that ends the answer; true when the answer is complete.
    pub(crate) fn take(&mut self, token: u32) -> Result<bool, String> {
        let work = self.here.as_mut().ok_or("a token came before its mask")?;
        work.matcher.consume_token(token).map_err(|e| e.to_string())?;
        Ok(work.matcher.is_stopped())
    }

    /// Has the next mask made.
    pub(crate) fn prepare(&mut self) {
        let Some(work) = self.here.take() else { return };
        if let Err(back) = self.maker.0.send((work, Arc::clone(&self.slot))) {
            // Without the thread it is made here.
            let (mut work, _) = back.0;
            work.make();
            self.here = Some(work);
        }
    }
}

/// Whether a token's bit is set.
pub(crate) fn allows(mask: &[u32], token: u32) -> bool {
    mask.get(token as usize / 32).is_some_and(|word| word >> (token % 32) & 1 == 1)
}
