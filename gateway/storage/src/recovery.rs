//! Finding the end of the log at the start: finishes what a crash interrupted, cuts the torn tail, counts what is lost.

use crate::StoreFault;
use crate::folder::{Folder, remove_if_there};
use crate::frames::Frames;
use crate::log::End;
use crate::manifest::Manifest;
use std::fs::File;

/// What the start found; the program logs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovery {
    /// Good frames of the newest segment.
    pub frames_kept: u64,
    /// Bytes cut from its end: the torn tail.
    pub bytes_cut: u64,
    /// Frames within it that are damaged and were skipped.
    pub frames_damaged: u64,
    /// Records that the last run had taken and that are not in the log; none after a clean stop. `None` where the file
    /// `accepted` was missing or unreadable, as at the very first start.
    pub lost: Option<u64>,
}

impl std::fmt::Display for Recovery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { frames_kept, bytes_cut, frames_damaged, .. } = self;
        write!(
            f,
            "newest segment: {frames_kept} events kept, {frames_damaged} damaged, {bytes_cut} bytes of a torn tail cut; "
        )?;
        match self.lost {
            Some(lost) => write!(f, "{lost} events of the last run lost"),
            None => f.write_str("no count of the last run's events"),
        }
    }
}

/// Where the log ends and what was found there. `lost` is still unknown.
pub(crate) fn recover(folder: &Folder) -> Result<(End, Recovery), StoreFault> {
    let manifests = folder.manifest_numbers()?;
    let mut found = Recovery { frames_kept: 0, bytes_cut: 0, frames_damaged: 0, lost: None };
    let mut end = End { live: None, next_number: 1, next_seq: 1 };
    if let Some(&newest) = manifests.last() {
        end.next_number = newest + 1;
        end.next_seq = Manifest::read(folder, newest)?.next_seq;
    }
    for number in folder.segment_numbers()? {
        end.next_number = end.next_number.max(number + 1);
        if manifests.binary_search(&number).is_ok() {
            remove_if_there(&folder.segment(number))?;
            remove_if_there(&folder.index(number))?;
        }
    }
    if let Some(&newest) = folder.segment_numbers()?.last()
        && manifests.last().is_none_or(|&table| table < newest)
    {
        cut_tail(folder, newest, &mut end, &mut found)?;
    }
    Ok((end, found))
}

fn cut_tail(folder: &Folder, number: u64, end: &mut End, found: &mut Recovery) -> Result<(), StoreFault> {
    let path = folder.segment(number);
    let mut frames = match Frames::open(&path, u64::MAX) {
        Ok(frames) => frames,
        Err(StoreFault::Damaged { .. }) if is_stub(&path)? => {
            // Killed between making the file and writing its head: there is nothing in it. The segments before know more.
            remove_if_there(&path)?;
            return match folder.segment_numbers()?.last() {
                Some(&before) => cut_tail(folder, before, end, found),
                None => Ok(()),
            };
        }
        Err(fault) => return Err(fault),
    };
    while frames.next()?.is_some() {
        found.frames_kept += 1;
    }
    found.frames_damaged = frames.skipped();
    found.bytes_cut += frames.len() - frames.good_end();
    if frames.len() > frames.good_end() {
        let file = File::options().write(true).open(&path).map_err(StoreFault::io("open", &path))?;
        file.set_len(frames.good_end())
            .and_then(|()| file.sync_all())
            .map_err(StoreFault::io("cut the torn tail of", &path))?;
    }
    // It may have been sealed before the stub after it was made.
    remove_if_there(&folder.index(number))?;
    end.next_seq = frames.last_seq() + 1;
    end.live = Some((frames.head(), frames.good_end()));
    Ok(())
}

/// Whether a file is shorter than a segment's head.
fn is_stub(path: &std::path::Path) -> Result<bool, StoreFault> {
    let len = std::fs::metadata(path).map_err(StoreFault::io("read", path))?.len();
    Ok(len < crate::frame::SEGMENT_HEAD as u64)
}
