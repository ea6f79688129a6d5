//! The writer's thread: takes records from the queue, frames and appends them, syncs, resolves acknowledgements, seals
//! segments. Owns the pace of syncs and what becomes of records that cannot be kept.

use crate::counters::Counters;
use crate::frame;
use crate::log::SegmentLog;
use crate::queue::{Ack, Entry, Queue};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};
use tidegate_core::Clock;

/// Bytes written at once; also what a full disk can cost in records beyond those that have no room.
const CHUNK: usize = 256 << 10;
/// A buffer that has grown beyond this by large contents is given back.
const BUFFER_KEPT: usize = 4 << 20;
/// What is written is synced this often.
const SYNC_EVERY: Duration = Duration::from_secs(1);
/// How often trouble that goes on is logged.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// The writer's share of the statistics.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) written: AtomicU64,
    pub(crate) failed: AtomicU64,
}

/// When segments are sealed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sealing {
    pub(crate) bytes: u64,
    pub(crate) age: Duration,
}

/// The writer.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) queue: Arc<Queue>,
    pub(crate) tally: Arc<Tally>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) log: SegmentLog,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) sealing: Sealing,
    /// Whether records count as kept only when synced.
    pub(crate) acknowledges: bool,
    /// Told of each sealed segment.
    pub(crate) sealed: Sender<()>,
}

/// What the thread carries from round to round.
#[derive(Debug, Default)]
struct Round {
    frames: Vec<u8>,
    count: u64,
    /// Of the frames in the buffer.
    acks: Vec<Ack>,
    /// Of the frames that are written and not synced.
    unsynced: Vec<Ack>,
    trouble: Trouble,
}

impl Writer {
    /// Works until the queue is closed and empty.
    pub(crate) fn run(mut self) {
        let _gone = Gone {
            queue: Arc::clone(&self.queue),
            tally: Arc::clone(&self.tally),
            counters: Arc::clone(&self.counters),
        };
        let mut round = Round::default();
        let mut batch = Vec::new();
        let mut synced_at = self.clock.now();
        loop {
            let orders = self.queue.take(&mut batch, self.log.unsynced() == 0);
            self.write(&mut batch, &mut round);
            let now = self.clock.now();
            let due = now.saturating_duration_since(synced_at) >= SYNC_EVERY;
            if self.acknowledges || due || orders.last || orders.flush.is_some() {
                self.sync(&mut round);
                synced_at = now;
            }
            self.seal_if_full(&mut round);
            if let Some(ticket) = orders.flush {
                self.queue.flushed(ticket);
            }
            if orders.last {
                return;
            }
        }
    }

    fn write(&mut self, batch: &mut Vec<Entry>, round: &mut Round) {
        for Entry { event, ack } in batch.drain(..) {
            match frame::push(&mut round.frames, self.log.next_seq() + round.count, &event) {
                Ok(()) => {
                    round.count += 1;
                    round.acks.extend(ack);
                }
                Err(fault) => self.give_up(1, ack.into_iter(), &fault, &mut round.trouble),
            }
            if round.frames.len() >= CHUNK {
                self.append(round);
            }
        }
        self.append(round);
    }

    fn append(&mut self, round: &mut Round) {
        let count = std::mem::take(&mut round.count);
        if count == 0 {
            return;
        }
        match self.log.append(&round.frames, count, self.clock.unix_ms()) {
            Ok(()) => {
                round.unsynced.append(&mut round.acks);
                if !self.acknowledges {
                    self.tally.written.fetch_add(count, Ordering::Relaxed);
                    round.trouble.over();
                }
            }
            Err(fault) => self.give_up(count, round.acks.drain(..), &fault, &mut round.trouble),
        }
        round.frames.clear();
        round.frames.shrink_to(BUFFER_KEPT);
    }

    fn sync(&mut self, round: &mut Round) {
        let count = self.log.unsynced();
        match self.log.sync() {
            Ok(()) if self.acknowledges && count > 0 => {
                self.tally.written.fetch_add(count, Ordering::Relaxed);
                round.unsynced.drain(..).for_each(|ack| drop(ack.send(Ok(()))));
                round.trouble.over();
            }
            Ok(()) => {}
            Err(fault) if self.acknowledges => {
                let lost = self.log.abandon();
                self.give_up(lost.count, round.unsynced.drain(..), &fault, &mut round.trouble);
            }
            Err(fault) => self.salvage(&fault, &mut round.trouble),
        }
    }

    /// After a failed sync without acknowledgements: what can still be read is written to a new segment.
    fn salvage(&mut self, fault: &std::io::Error, trouble: &mut Trouble) {
        let lost = self.log.abandon();
        let again = if lost.frames.is_empty() {
            Err(std::io::Error::new(fault.kind(), fault.to_string()))
        } else {
            self.log.append(&lost.frames, lost.count, self.clock.unix_ms()).and_then(|()| self.log.sync())
        };
        match again {
            Ok(()) => {
                tracing::warn!(%fault, events = lost.count, "a segment could not be synced; its last events are in a new one");
            }
            Err(fault) => {
                // Where the frames were appended and only the sync failed, they go with the second segment.
                self.log.abandon();
                self.tally.written.fetch_sub(lost.count, Ordering::Relaxed);
                self.give_up(lost.count, std::iter::empty(), &fault, trouble);
            }
        }
    }

    fn seal_if_full(&mut self, round: &mut Round) {
        let now = self.clock.unix_ms();
        if !self.log.is_full(self.sealing.bytes, self.sealing.age, now) {
            return;
        }
        self.sync(round);
        if let Err(fault) = self.log.roll(now) {
            round.trouble.say(&*self.clock, &fault);
        }
        // Without upkeep the segment waits for the next start.
        if self.sealed.send(()).is_err() {
            tracing::debug!("a segment is sealed and nobody looks after it");
        }
    }

    fn give_up(&self, count: u64, acks: impl Iterator<Item = Ack>, why: &dyn std::fmt::Display, trouble: &mut Trouble) {
        self.tally.failed.fetch_add(count, Ordering::Relaxed);
        self.counters.fail(count);
        trouble.dropped += count;
        trouble.say(&*self.clock, why);
        let why: Arc<str> = why.to_string().into();
        acks.for_each(|ack| drop(ack.send(Err(Arc::clone(&why)))));
    }
}

/// Logs trouble when it begins, now and then while it goes on, and when it is over.
#[derive(Debug, Default)]
struct Trouble {
    dropped: u64,
    said: Option<Instant>,
}

impl Trouble {
    fn say(&mut self, clock: &dyn Clock, fault: &dyn std::fmt::Display) {
        let now = clock.now();
        if self.said.is_none_or(|said| now.saturating_duration_since(said) >= SAY_EVERY) {
            self.said = Some(now);
            tracing::error!(%fault, dropped = self.dropped, "events cannot be kept and are dropped; see that the disk of `store.events.to` has room and works");
        }
    }

    fn over(&mut self) {
        if self.said.take().is_some() {
            tracing::info!(dropped = std::mem::take(&mut self.dropped), "events are kept again");
        }
    }
}

/// However the writer ends, nobody waits for it afterwards, and what it left is counted.
struct Gone {
    queue: Arc<Queue>,
    tally: Arc<Tally>,
    counters: Arc<Counters>,
}

impl Drop for Gone {
    fn drop(&mut self) {
        let left = self.queue.desert().len() as u64;
        self.tally.failed.fetch_add(left, Ordering::Relaxed);
        self.counters.fail(left);
    }
}
