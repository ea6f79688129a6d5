//! The upkeep's thread: indexes sealed segments, compacts them when they are due, drops days past the retention. Owns the
//! order and the pace; each job is a file of its own and safe to stop at any point.

use crate::StoreFault;
use crate::compact::{compact, remove_segment};
use crate::folder::Folder;
use crate::index;
use crate::listing::{Listing, Segment};
use crate::retention::expire;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tidegate_core::Clock;

/// How often it looks without being told of a sealed segment.
const ROUND: Duration = Duration::from_secs(60);

/// What is to be looked after, and how.
#[derive(Debug)]
pub(crate) struct Care {
    pub(crate) folder: Folder,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) compact_after: Option<Duration>,
    pub(crate) retention: Option<Duration>,
}

/// The running thread.
#[derive(Debug)]
pub(crate) struct Upkeep {
    thread: JoinHandle<()>,
    stop: Arc<AtomicBool>,
}

impl Upkeep {
    /// Starts the thread. It ends when the sender is dropped.
    pub(crate) fn start(care: Care) -> Result<(Sender<()>, Self), StoreFault> {
        let (sealed, bell) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let root = care.folder.root().to_owned();
        let stopped = Arc::clone(&stop);
        let thread =
            std::thread::Builder::new().name("events-upkeep".to_owned()).spawn(move || care.run(&bell, &stopped));
        let thread = thread.map_err(StoreFault::io("start the upkeep of", &root))?;
        Ok((sealed, Self { thread, stop }))
    }

    /// Stops it between two steps.
    pub(crate) fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        if self.thread.join().is_err() {
            tracing::error!("the upkeep of events panicked; segments stay as they are until the next start");
        }
    }
}

impl Care {
    fn run(&self, bell: &Receiver<()>, stop: &AtomicBool) {
        loop {
            self.round(stop);
            match bell.recv_timeout(ROUND) {
                Ok(()) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Looks after everything once.
    pub(crate) fn round(&self, stop: &AtomicBool) {
        if let Err(fault) = self.segments(stop) {
            tracing::warn!(%fault, "sealed segments could not be looked after; they stay as they are");
        }
        if let Some(retention) = self.retention
            && let Err(fault) = expire(&self.folder, retention, self.clock.unix_ms())
        {
            tracing::warn!(%fault, "events past their retention could not be deleted");
        }
    }

    /// Indexes and compacts all segments but the newest, which is the writer's.
    fn segments(&self, stop: &AtomicBool) -> Result<(), StoreFault> {
        for segment in Listing::of(&self.folder)?.segments().filter(|segment| segment.sealed.is_some()) {
            if stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            if let Err(fault) = self.segment(segment, stop) {
                tracing::warn!(%fault, segment = segment.head.number, "a sealed segment stays as it is");
            }
        }
        Ok(())
    }

    fn segment(&self, segment: &Segment, stop: &AtomicBool) -> Result<(), StoreFault> {
        let Some(sealed) = segment.sealed else { return Ok(()) };
        if segment.head.first_seq >= sealed.until_seq {
            // Nothing in it counts: it was abandoned before its first sync.
            return remove_segment(&self.folder, segment.head.number);
        }
        let sealed_for = self.clock.unix_ms().saturating_sub(sealed.at_ms);
        match self.compact_after {
            Some(after) if u128::from(sealed_for) >= after.as_millis() => compact(&self.folder, segment, stop),
            _ => index::build_if_missing(&self.folder, segment),
        }
    }
}
