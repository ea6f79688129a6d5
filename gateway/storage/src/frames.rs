//! Reading a segment frame by frame. Owns finding the last good frame and going on after a damaged one; never writes.

use crate::StoreFault;
use crate::frame::{FRAME_HEAD, FrameHead, MAX_JSON, SEGMENT_HEAD, SegmentHead};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

const WINDOW: usize = 256 << 10;

/// One good frame.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    /// Where it begins in the file.
    pub(crate) offset: u64,
    pub(crate) seq: u64,
    pub(crate) json: &'a [u8],
}

/// Reads the good frames of a segment in order, through a window, up to the length that the file had when opened.
#[derive(Debug)]
pub(crate) struct Frames {
    path: PathBuf,
    file: File,
    head: SegmentHead,
    window: Vec<u8>,
    /// Offset in the file of the window's first byte.
    window_at: u64,
    /// The position in the window.
    at: usize,
    end: u64,
    until_seq: u64,
    last_seq: u64,
    good_end: u64,
    skipped: u64,
}

impl Frames {
    /// Opens a segment. Frames from `until_seq` on are void: the next segment has them.
    pub(crate) fn open(path: &Path, until_seq: u64) -> Result<Self, StoreFault> {
        let mut file = File::open(path).map_err(StoreFault::io("open", path))?;
        let head = read_head(&mut file, path)?;
        let end = file.metadata().map_err(StoreFault::io("read", path))?.len();
        let start = u64::try_from(SEGMENT_HEAD).unwrap_or(0);
        Ok(Self {
            path: path.to_owned(),
            file,
            head,
            window: Vec::new(),
            window_at: start,
            at: 0,
            end,
            until_seq,
            last_seq: head.first_seq.saturating_sub(1),
            good_end: start,
            skipped: 0,
        })
    }

    pub(crate) fn head(&self) -> SegmentHead {
        self.head
    }

    /// Where the last good frame so far ends.
    pub(crate) fn good_end(&self) -> u64 {
        self.good_end
    }

    /// The sequence of the last good frame so far, or the one before the first.
    pub(crate) fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// Bytes of the file.
    pub(crate) fn len(&self) -> u64 {
        self.end
    }

    /// Damaged frames that good ones followed.
    pub(crate) fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Goes on after the last good frame with what the file has grown by.
    pub(crate) fn refresh(&mut self, until_seq: u64) -> Result<(), StoreFault> {
        self.end = self.file.metadata().map_err(StoreFault::io("read", &self.path))?.len();
        self.until_seq = until_seq;
        self.rewind(self.good_end)
    }

    /// The next good frame; `None` at the last one.
    pub(crate) fn next(&mut self) -> Result<Option<Frame<'_>>, StoreFault> {
        let Some(head) = self.advance().map_err(StoreFault::io("read", &self.path))? else { return Ok(None) };
        let (start, end) = (self.at, self.at + FRAME_HEAD + head.len);
        let offset = self.offset();
        self.skipped += head.seq.saturating_sub(self.last_seq + 1);
        self.last_seq = head.seq;
        self.at = end;
        self.good_end = self.offset();
        Ok(Some(Frame { offset, seq: head.seq, json: &self.window[start + FRAME_HEAD..end] }))
    }

    fn offset(&self) -> u64 {
        self.window_at + self.at as u64
    }

    fn rewind(&mut self, offset: u64) -> Result<(), StoreFault> {
        self.file.seek(SeekFrom::Start(offset)).map_err(StoreFault::io("read", &self.path))?;
        self.window.clear();
        self.window_at = offset;
        self.at = 0;
        self.good_end = offset;
        Ok(())
    }

    /// Moves to the next good frame: the one here, or else the first that begins at any later byte.
    fn advance(&mut self) -> io::Result<Option<FrameHead>> {
        let start = self.offset();
        while self.last_seq.saturating_add(1) < self.until_seq && self.fill(FRAME_HEAD)? {
            let head = FrameHead::read(&self.window[self.at..]);
            if self.plausible(head, start) && self.fill(FRAME_HEAD + head.len)? {
                let frame = &self.window[self.at..self.at + FRAME_HEAD + head.len];
                if head.fits(frame) {
                    return Ok(Some(head).filter(|head| head.seq < self.until_seq));
                }
            }
            self.at += 1;
        }
        Ok(None)
    }

    /// Cheap tests before the checksum: fewer frames cannot have been lost than the sequence says.
    fn plausible(&self, head: FrameHead, start: u64) -> bool {
        let room = (self.offset() - start) / FRAME_HEAD as u64 + 1;
        let ahead = head.seq.wrapping_sub(self.last_seq);
        head.len <= MAX_JSON
            && self.offset() + FRAME_HEAD as u64 + head.len as u64 <= self.end
            && (1..=room).contains(&ahead)
    }

    /// Makes `need` bytes from here on stand in the window; false where the file has not so many.
    fn fill(&mut self, need: usize) -> io::Result<bool> {
        if self.window.len() - self.at >= need {
            return Ok(true);
        }
        if self.offset() + need as u64 > self.end {
            return Ok(false);
        }
        self.window.drain(..self.at);
        self.window_at += self.at as u64;
        self.at = 0;
        let have = self.window.len();
        let left = self.end - self.window_at - have as u64;
        let want = (need.max(WINDOW) - have).min(usize::try_from(left).unwrap_or(usize::MAX));
        self.window.resize(have + want, 0);
        let got = read_up_to(&mut self.file, &mut self.window[have..])?;
        self.window.truncate(have + got);
        Ok(self.window.len() >= need)
    }
}

fn read_up_to(file: &mut File, mut into: &mut [u8]) -> io::Result<usize> {
    let mut total = 0;
    while !into.is_empty() {
        match file.read(into) {
            Ok(0) => break,
            Ok(n) => {
                total += n;
                into = &mut into[n..];
            }
            Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(total)
}

/// The JSON of the frame that begins at `offset`; `None` where no good one does.
pub(crate) fn json_at(path: &Path, offset: u64) -> Result<Option<Vec<u8>>, StoreFault> {
    let mut file = File::open(path).map_err(StoreFault::io("open", path))?;
    frame_at(&mut file, offset).map_err(StoreFault::io("read", path))
}

fn frame_at(file: &mut File, offset: u64) -> io::Result<Option<Vec<u8>>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut frame = vec![0; FRAME_HEAD];
    if read_up_to(file, &mut frame)? < FRAME_HEAD {
        return Ok(None);
    }
    let head = FrameHead::read(&frame);
    if head.len > MAX_JSON || head.len as u64 > file.metadata()?.len() {
        return Ok(None);
    }
    frame.resize(FRAME_HEAD + head.len, 0);
    read_up_to(file, &mut frame[FRAME_HEAD..])?;
    Ok(head.fits(&frame).then(|| frame.split_off(FRAME_HEAD)))
}

/// Reads the head of the segment at `path`.
pub(crate) fn head_of(path: &Path) -> Result<SegmentHead, StoreFault> {
    let mut file = File::open(path).map_err(StoreFault::io("open", path))?;
    read_head(&mut file, path)
}

fn read_head(file: &mut File, path: &Path) -> Result<SegmentHead, StoreFault> {
    let mut bytes = [0; SEGMENT_HEAD];
    let got = read_up_to(file, &mut bytes).map_err(StoreFault::io("read", path))?;
    SegmentHead::decode(&bytes[..got]).ok_or_else(|| StoreFault::damaged(path, "its head is no segment's"))
}

#[cfg(test)]
mod tests;
