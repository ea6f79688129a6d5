//! The segment log from its writing end. Owns the live segment, its length and its sequence; what is in a frame is not its
//! business.

use crate::disk::{Disk, DiskFile};
use crate::folder::Folder;
use crate::frame::{SEGMENT_HEAD, SegmentHead};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Where the log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    /// The newest segment that may be appended to, with its good length; `None` where a new one is due.
    pub(crate) live: Option<(SegmentHead, u64)>,
    /// The number of the next segment.
    pub(crate) next_number: u64,
    /// The sequence of the next frame.
    pub(crate) next_seq: u64,
}

/// The segment log.
#[derive(Debug)]
pub(crate) struct SegmentLog {
    folder: Folder,
    disk: Arc<dyn Disk>,
    live: Option<Live>,
    next_number: u64,
    next_seq: u64,
}

#[derive(Debug)]
struct Live {
    head: SegmentHead,
    file: Box<dyn DiskFile>,
    len: u64,
    /// Length and next sequence at the last good sync.
    synced: (u64, u64),
}

impl SegmentLog {
    /// Goes on where the log ends; makes a new segment where there is none to append to.
    pub(crate) fn resume(folder: Folder, disk: Arc<dyn Disk>, end: End, now_ms: u64) -> io::Result<Self> {
        let mut log = Self { folder, disk, live: None, next_number: end.next_number, next_seq: end.next_seq };
        match end.live {
            Some((head, len)) => {
                let file = log.disk.reopen(&log.folder.segment(head.number))?;
                log.live = Some(Live { head, file, len, synced: (len, end.next_seq) });
            }
            None => log.begin(now_ms).map(|_| ())?,
        }
        Ok(log)
    }

    /// The sequence that the next frame gets.
    pub(crate) fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Frames appended since the last good sync.
    pub(crate) fn unsynced(&self) -> u64 {
        self.live.as_ref().map_or(0, |live| self.next_seq - live.synced.1)
    }

    /// Whether the live segment has reached a size or an age.
    pub(crate) fn is_full(&self, bytes: u64, age: Duration, now_ms: u64) -> bool {
        self.live.as_ref().is_some_and(|live| {
            let old = u128::from(now_ms.saturating_sub(live.head.made_ms)) >= age.as_millis();
            live.len > SEGMENT_HEAD as u64 && (live.len >= bytes || old)
        })
    }

    /// Appends `count` frames, numbered on from `next_seq`: all or none.
    pub(crate) fn append(&mut self, frames: &[u8], count: u64, now_ms: u64) -> io::Result<()> {
        let live = match self.live.take() {
            Some(live) => self.live.insert(live),
            None => self.begin(now_ms)?,
        };
        if let Err(fault) = live.file.append(frames) {
            // A part may be there. Where it cannot be cut off, a new segment begins, and its first sequence voids it.
            if live.file.cut(live.len).is_err() {
                self.live = None;
            }
            return Err(fault);
        }
        live.len += frames.len() as u64;
        self.next_seq += count;
        Ok(())
    }

    /// Makes all frames durable.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        if let Some(live) = &mut self.live
            && live.synced.1 != self.next_seq
        {
            live.file.sync()?;
            live.synced = (live.len, self.next_seq);
        }
        Ok(())
    }

    /// Gives up the live segment after a failed sync: the system may have dropped its pages and called them clean, so no
    /// later sync of it means anything. Returns the frames that were not durable, as far as they can still be read.
    pub(crate) fn abandon(&mut self) -> Abandoned {
        let Some(mut live) = self.live.take() else { return Abandoned::default() };
        let (len, seq) = live.synced;
        let count = self.next_seq - seq;
        let frames = read_range(&self.folder.segment(live.head.number), len, live.len).unwrap_or_default();
        // Best effort: if it fails, the first sequence of the next segment voids these frames. One that never had a durable
        // frame goes at once, or a disk that fails for long would fill the folder with empty segments.
        drop(live.file.cut(len));
        if len == SEGMENT_HEAD as u64 {
            drop(std::fs::remove_file(self.folder.segment(live.head.number)));
        }
        self.next_seq = seq;
        Abandoned { frames, count }
    }

    /// Seals the live segment, which must be synced, and begins the next.
    pub(crate) fn roll(&mut self, now_ms: u64) -> io::Result<()> {
        self.live = None;
        self.begin(now_ms).map(|_| ())
    }

    fn begin(&mut self, now_ms: u64) -> io::Result<&mut Live> {
        let head = SegmentHead { number: self.next_number, first_seq: self.next_seq, made_ms: now_ms };
        // The number is spent even where this fails: a left-over of that name must never be in the way.
        self.next_number += 1;
        let file = self.disk.create(&self.folder.segment(head.number), &head.encode())?;
        let len = SEGMENT_HEAD as u64;
        Ok(self.live.insert(Live { head, file, len, synced: (len, self.next_seq) }))
    }
}

/// What an abandoned segment held beyond its last sync.
#[derive(Debug, Default)]
pub(crate) struct Abandoned {
    /// Their bytes; empty where they cannot be read.
    pub(crate) frames: Vec<u8>,
    /// How many they are.
    pub(crate) count: u64,
}

fn read_range(path: &std::path::Path, from: u64, to: u64) -> io::Result<Vec<u8>> {
    use std::os::unix::fs::FileExt;
    let mut bytes = vec![0; usize::try_from(to - from).map_err(io::Error::other)?];
    std::fs::File::open(path)?.read_exact_at(&mut bytes, from)?;
    Ok(bytes)
}
