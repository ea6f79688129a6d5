//! The event store as the program holds it. Owns opening and closing, the options and the statistics.

use crate::StoreFault;
use crate::counters::Counters;
use crate::disk::{Disk, RealDisk};
use crate::folder::Folder;
use crate::log::SegmentLog;
use crate::queue::{Entry, Queue};
use crate::recovery::{Recovery, recover};
use crate::upkeep::{Care, Upkeep};
use crate::writer::{Sealing, Tally, Writer};
use std::fs::File;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tidegate_core::clock::SystemClock;
use tidegate_core::port::events::{DropReason, Events, Recorded};
use tidegate_core::spec::events::Durability;
use tidegate_core::{Clock, Event, Fault, FaultKind};
use tokio::sync::oneshot;

/// How an event store works.
#[derive(Debug, Clone)]
pub struct Options {
    /// When a record counts as kept.
    pub durability: Durability,
    /// How long days are kept, counted from their end; `None` for ever.
    pub retention: Option<Duration>,
    /// A segment of this size is sealed.
    pub segment_bytes: u64,
    /// A segment of this age is sealed.
    pub segment_age: Duration,
    /// Sealed segments become tables after this time; `None` for never.
    pub compact_after: Option<Duration>,
    /// Records that may wait to be written.
    pub queue_len: usize,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            durability: Durability::Queue,
            retention: None,
            segment_bytes: 64 << 20,
            segment_age: Duration::from_secs(3600),
            compact_after: Some(Duration::from_secs(600)),
            queue_len: 32_768,
            clock: Arc::new(SystemClock),
        }
    }
}

/// What became of the records of this run: `accepted = written + dropped + queued`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Records handed over.
    pub accepted: u64,
    /// Records in the log; with `ack`, synced ones.
    pub written: u64,
    /// Records that wait or are being written.
    pub queued: u64,
    /// Records dropped because the queue was full.
    pub queue_full: u64,
    /// Records dropped because they could not be written.
    pub write_failed: u64,
    /// Records dropped because the store was closed.
    pub closed: u64,
}

impl Stats {
    /// Records dropped for one reason.
    #[must_use]
    pub const fn dropped(&self, reason: DropReason) -> u64 {
        match reason {
            DropReason::QueueFull => self.queue_full,
            DropReason::WriteFailed => self.write_failed,
            DropReason::Closed => self.closed,
        }
    }

    /// Records dropped for whatever reason.
    #[must_use]
    pub const fn dropped_total(&self) -> u64 {
        self.queue_full + self.write_failed + self.closed
    }
}

/// The event store: the one writer of its folder.
#[derive(Debug)]
pub struct EventStore {
    queue: Arc<Queue>,
    tally: Arc<Tally>,
    counters: Arc<Counters>,
    acknowledges: bool,
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    writer: JoinHandle<()>,
    upkeep: Upkeep,
    _lock: File,
}

impl EventStore {
    /// Opens the store in `folder`, which is made where it is missing, and starts its two threads.
    ///
    /// # Errors
    /// When another process has it, when the system refuses, or when a file in it is not what its name says.
    pub fn open(folder: &Path, options: Options) -> Result<(Self, Recovery), StoreFault> {
        Self::open_on(folder, options, Arc::new(RealDisk))
    }

    pub(crate) fn open_on(
        folder: &Path,
        options: Options,
        disk: Arc<dyn Disk>,
    ) -> Result<(Self, Recovery), StoreFault> {
        let folder = Folder::at(folder);
        folder.make()?;
        let lock = folder.lock()?;
        let (end, mut recovery) = recover(&folder)?;
        let (counters, known) = Counters::open(&folder.accepted())?;
        let kept = end.next_seq - 1;
        recovery.lost = known.then(|| counters.due().saturating_sub(kept));
        counters.rebase(kept);

        let now_ms = options.clock.unix_ms();
        let log = SegmentLog::resume(folder.clone(), disk, end, now_ms)
            .map_err(StoreFault::io("begin a segment in", &folder.segments()))?;
        let care = Care {
            folder: folder.clone(),
            clock: Arc::clone(&options.clock),
            compact_after: options.compact_after,
            retention: options.retention,
        };
        let (sealed, upkeep) = Upkeep::start(care)?;
        let acknowledges = options.durability == Durability::Ack;
        let queue = Arc::new(Queue::new(options.queue_len, acknowledges));
        let (tally, counters) = (Arc::new(Tally::default()), Arc::new(counters));
        let writer = Writer {
            queue: Arc::clone(&queue),
            tally: Arc::clone(&tally),
            counters: Arc::clone(&counters),
            log,
            clock: options.clock,
            sealing: Sealing { bytes: options.segment_bytes, age: options.segment_age },
            acknowledges,
            sealed,
        };
        let thread = std::thread::Builder::new().name("events-writer".to_owned()).spawn(move || writer.run());
        let writer = thread.map_err(StoreFault::io("start the writer of", folder.root()))?;
        let running = Mutex::new(Some(Running { writer, upkeep, _lock: lock }));
        Ok((Self { queue, tally, counters, acknowledges, running }, recovery))
    }

    /// What became of the records of this run.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let (door, (written, write_failed)) =
            self.queue.door(|| (self.tally.written.load(Ordering::Relaxed), self.tally.failed.load(Ordering::Relaxed)));
        let settled = written + write_failed + door.full + door.closed;
        Stats {
            accepted: door.came,
            written,
            queued: door.came.saturating_sub(settled),
            queue_full: door.full,
            write_failed,
            closed: door.closed,
        }
    }

    /// Waits until all that was handed over before is written and synced, or dropped. Blocks: not for the path of a call.
    pub fn flush(&self) {
        self.queue.flush();
    }

    /// Takes no more records, writes and syncs those that wait, and stops both threads. Blocks; a second time does nothing.
    pub fn close(&self) {
        self.queue.close();
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Running { writer, upkeep, _lock }) = running {
            if writer.join().is_err() {
                tracing::error!("the writer of events panicked; the records it held are counted as dropped");
            }
            upkeep.stop();
        }
    }
}

impl Events for EventStore {
    fn record(&self, event: Box<Event>) -> Recorded {
        let (ack, durable) = if self.acknowledges {
            let (ack, durable) = oneshot::channel();
            (Some(ack), Some(durable))
        } else {
            (None, None)
        };
        if let Err((_, reason)) = self.queue.push(Entry { event, ack }, || self.counters.take()) {
            return Recorded::Dropped(reason);
        }
        match durable {
            None => Recorded::Queued,
            Some(durable) => Recorded::Acknowledged(Box::pin(async move {
                match durable.await {
                    Ok(Ok(())) => Ok(()),
                    Ok(Err(why)) => Err(not_durable(&why)),
                    Err(_) => Err(not_durable("the writer stopped")),
                }
            })),
        }
    }
}

impl Drop for EventStore {
    fn drop(&mut self) {
        self.close();
    }
}

fn not_durable(why: &str) -> Fault {
    let says = "the record of this call could not be made durable, so its answer is withheld; try again";
    Fault::new(FaultKind::NotDurable, says).because(why)
}

#[cfg(test)]
mod tests;
