//! What came of a batch's lines so far. Owns that it is written down in parts, each whole or not there, and read again
//! after a restart; a line that stands in two parts, since a kill came between, counts once.

use super::batch::{Batch, Counts};
use super::shelf::Shelf;
use bytes::Bytes;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidegate_core::Fault;
use tidegate_core::port::mount::Frames;

/// So many bytes or lines are held before they are written down.
const MOST_BYTES: usize = 4 << 20;
const MOST_LINES: usize = 256;

/// What came of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Came {
    /// Which one, from 1.
    pub(super) number: u64,
    /// Whether it was answered.
    pub(super) is_good: bool,
    /// The line that is told of it.
    pub(super) line: String,
}

/// The same as it is written down.
#[derive(Serialize, Deserialize)]
struct Kept {
    n: u64,
    ok: bool,
    line: Box<RawValue>,
}

/// What came of a batch's lines so far.
#[derive(Debug)]
pub(super) struct Progress {
    /// Which lines came to something, and whether they were answered.
    known: HashMap<u64, bool>,
    held: Vec<Came>,
    bytes: usize,
    parts: usize,
    flushed: Instant,
}

impl Progress {
    /// Reads what is written down.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) async fn read(shelf: &Shelf, batch: &Batch) -> Result<Self, Fault> {
        let mut known = HashMap::new();
        let parts = shelf.parts(batch).await?;
        for part in &parts {
            for kept in lines_of(&shelf.part(batch, part).await?) {
                let kept = kept?;
                known.entry(kept.n).or_insert(kept.ok);
            }
        }
        let last = parts.last().and_then(|name| name.parse().ok()).unwrap_or(0);
        Ok(Self { known, held: Vec::new(), bytes: 0, parts: last, flushed: shelf.clock.now() })
    }

    /// Whether this line came to something.
    pub(super) fn has(&self, number: u64) -> bool {
        self.known.contains_key(&number)
    }

    /// A line came to something.
    pub(super) fn add(&mut self, came: Came) {
        if let Entry::Vacant(place) = self.known.entry(came.number) {
            place.insert(came.is_good);
            self.bytes += came.line.len();
            self.held.push(came);
        }
    }

    /// Whether no more can be held.
    pub(super) fn is_full(&self) -> bool {
        self.bytes >= MOST_BYTES || self.held.len() >= MOST_LINES
    }

    /// Whether it is time to write down.
    pub(super) fn is_due(&self, every: Duration) -> bool {
        self.is_full() || (!self.held.is_empty() && self.flushed.elapsed() >= every)
    }

    /// How many lines came to something.
    pub(super) fn counted(&self) -> u64 {
        self.known.len() as u64
    }

    /// The same as a batch shows it.
    pub(super) fn counts(&self, total: u64) -> Counts {
        let completed = self.known.values().filter(|is_good| **is_good).count() as u64;
        Counts { total, completed, failed: self.counted() - completed }
    }

    /// Writes down what is held.
    ///
    /// # Errors
    /// It cannot be written; it is held on.
    pub(super) async fn flush(&mut self, shelf: &Shelf, batch: &Batch) -> Result<(), Fault> {
        if !self.held.is_empty() {
            let mut text = String::with_capacity(self.bytes + self.held.len() * 32);
            for Came { number, is_good, line } in &self.held {
                let line = RawValue::from_string(line.clone()).map_err(Fault::internal)?;
                let kept = Kept { n: *number, ok: *is_good, line };
                text.push_str(&serde_json::to_string(&kept).map_err(Fault::internal)?);
                text.push('\n');
            }
            // Names sort as numbers do.
            shelf.put_part(batch, &format!("{:08}", self.parts + 1), text).await?;
            self.parts += 1;
            self.held.clear();
            self.bytes = 0;
        }
        self.flushed = shelf.clock.now();
        // What is shown is what a restart would show.
        shelf.count(batch, self.counts(batch.counts.total)).await;
        Ok(())
    }
}

/// The lines of a part.
fn lines_of(part: &[u8]) -> impl Iterator<Item = Result<Kept, Fault>> + '_ {
    let lines = part.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).map_err(Fault::internal))
}

/// The content of a batch's file of answers, or of errors, a part at a time.
pub(super) fn written(shelf: Arc<Shelf>, batch: Batch, is_good: bool) -> Frames {
    let begin = (shelf, batch, None::<std::vec::IntoIter<String>>, std::collections::HashSet::new());
    Box::pin(stream::try_unfold(begin, move |(shelf, batch, parts, mut told)| async move {
        let mut parts = match parts {
            Some(parts) => parts,
            None => shelf.parts(&batch).await?.into_iter(),
        };
        let Some(part) = parts.next() else { return Ok(None) };
        let mut text = String::new();
        for kept in lines_of(&shelf.part(&batch, &part).await?) {
            let kept = kept?;
            // The first that is written down of a line counts.
            if told.insert(kept.n) && kept.ok == is_good {
                text.push_str(kept.line.get());
                text.push('\n');
            }
        }
        Ok(Some((Bytes::from(text), (shelf, batch, Some(parts), told))))
    }))
}
