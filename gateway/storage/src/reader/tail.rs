//! Following a store as it grows. Owns the position; when to look again is the caller's.

use super::Filter;
use super::source::{Source, event};
use crate::StoreFault;
use crate::folder::Folder;
use crate::frames::Frames;
use crate::listing::{Listing, Part};
use tidegate_core::Event;

/// Brings the events that come after the moment it was made.
#[derive(Debug)]
pub struct Tail {
    folder: Folder,
    pub(super) filter: Filter,
    at: Option<Position>,
}

/// The segment being followed. Its file stays open, so it can be read to its end even when it is compacted meanwhile.
#[derive(Debug)]
struct Position {
    number: u64,
    frames: Frames,
}

impl Tail {
    pub(super) fn at_end(folder: Folder, filter: Filter) -> Result<Self, StoreFault> {
        let mut tail = Self { folder, filter, at: None };
        if let Some(Part::Segment(segment)) = Listing::of(&tail.folder)?.parts.last() {
            let number = segment.head.number;
            let mut frames = Frames::open(&tail.folder.segment(number), u64::MAX)?;
            while frames.next()?.is_some() {}
            tail.at = Some(Position { number, frames });
        }
        Ok(tail)
    }

    pub(super) fn last_seq(&self) -> u64 {
        self.at.as_ref().map_or(0, |at| at.frames.last_seq())
    }

    /// The events that came since the last call.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn poll(&mut self) -> Result<Vec<Event>, StoreFault> {
        // Listed before reading: a segment that has a successor by now grows no more.
        let parts = Listing::of(&self.folder)?.parts;
        let mut found = Vec::new();
        if let Some(Position { number, frames }) = &mut self.at {
            let here = parts.iter().find_map(|part| match part {
                Part::Segment(segment) if segment.head.number == *number => Some(segment.until_seq()),
                _ => None,
            });
            frames.refresh(here.unwrap_or(u64::MAX))?;
            drain(frames, &self.folder.segment(*number), &mut found)?;
        }
        let done = self.at.as_ref().map_or(0, |at| at.number);
        for part in parts.into_iter().filter(|part| part.number() > done) {
            self.follow(part, &mut found)?;
        }
        found.retain(|event| self.filter.passes(event));
        Ok(found)
    }

    fn follow(&mut self, part: Part, found: &mut Vec<Event>) -> Result<(), StoreFault> {
        let number = part.number();
        match Source::open(&self.folder, part, &Filter::default())? {
            Some(Source::Frames(path, mut frames)) => {
                drain(&mut frames, &path, found)?;
                self.at = Some(Position { number, frames: *frames });
            }
            Some(mut tables) => {
                while let Some((_, event)) = tables.next()? {
                    found.push(event);
                }
            }
            None => {}
        }
        Ok(())
    }
}

fn drain(frames: &mut Frames, path: &std::path::Path, found: &mut Vec<Event>) -> Result<(), StoreFault> {
    while let Some(frame) = frames.next()? {
        found.push(event(path, frame.json)?);
    }
    Ok(())
}
