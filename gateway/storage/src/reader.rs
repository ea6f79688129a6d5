//! Reading the event store: segments and tables as one. Owns the queries; needs no writer and disturbs none, so it works
//! beside a running one, from this process or another.

mod filter;
mod scan;
mod source;
mod tail;

pub use filter::{Filter, OutcomeClass};
pub use scan::Scan;
pub use tail::Tail;

use crate::StoreFault;
use crate::folder::Folder;
use crate::frames::{Frames, json_at};
use crate::index::Index;
use crate::listing::{Listing, Part, Segment, compacted};
use crate::table::rows::Pick;
use source::{Source, event};
use std::collections::VecDeque;
use std::path::Path;
use tidegate_core::{Event, InferenceId};

/// Reads the events of one folder.
#[derive(Debug, Clone)]
pub struct EventReader {
    folder: Folder,
}

impl EventReader {
    /// Opens a folder for reading.
    ///
    /// # Errors
    /// When there is no event store.
    pub fn open(folder: &Path) -> Result<Self, StoreFault> {
        let folder = Folder::at(folder);
        folder.segment_numbers()?;
        Ok(Self { folder })
    }

    /// All events that pass the filter, oldest first, as the store is now.
    ///
    /// # Errors
    /// When the folder cannot be listed; faults of single files come from the iterator.
    pub fn scan(&self, filter: Filter) -> Result<Scan, StoreFault> {
        let listing = Listing::of(&self.folder)?;
        Ok(Scan::new(self.folder.clone(), listing.parts, filter))
    }

    /// The newest `limit` events that pass the filter, oldest first.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn newest(&self, filter: &Filter, limit: usize) -> Result<Vec<Event>, StoreFault> {
        self.newest_until(filter, limit, u64::MAX)
    }

    fn newest_until(&self, filter: &Filter, limit: usize, last_seq: u64) -> Result<Vec<Event>, StoreFault> {
        let mut found = VecDeque::new();
        for part in Listing::of(&self.folder)?.parts.into_iter().rev() {
            let want = limit - found.len();
            if want == 0 {
                break;
            }
            let mut of_part = VecDeque::new();
            let Some(mut source) = Source::open(&self.folder, part, filter)? else { continue };
            while let Some((seq, event)) = source.next()? {
                if seq <= last_seq && filter.passes(&event) {
                    of_part.push_back(event);
                    if of_part.len() > want {
                        of_part.pop_front();
                    }
                }
            }
            of_part.append(&mut found);
            found = of_part;
        }
        Ok(found.into())
    }

    /// The newest `limit` events that pass, and what brings those that come after them.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn tail(&self, filter: Filter, limit: usize) -> Result<(Vec<Event>, Tail), StoreFault> {
        let tail = Tail::at_end(self.folder.clone(), filter)?;
        let newest = self.newest_until(&tail.filter, limit, tail.last_seq())?;
        Ok((newest, tail))
    }

    /// The event of one inference.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn get(&self, id: InferenceId) -> Result<Option<Event>, StoreFault> {
        for part in Listing::of(&self.folder)?.parts.into_iter().rev() {
            let found = match part {
                Part::Segment(segment) => match self.get_in_segment(&segment, id) {
                    Err(fault) if fault.is_not_found() => match compacted(&self.folder, segment.head.number)? {
                        Some(part) => self.get_in_table(part, id)?,
                        None => None,
                    },
                    other => other?,
                },
                part @ Part::Table(_) => self.get_in_table(part, id)?,
            };
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn get_in_segment(&self, segment: &Segment, id: InferenceId) -> Result<Option<Event>, StoreFault> {
        let path = self.folder.segment(segment.head.number);
        if segment.sealed.is_some()
            && let Some(index) = Index::read(&self.folder.index(segment.head.number))
        {
            let Some(offset) = index.of_id(id) else { return Ok(None) };
            return json_at(&path, offset)?.map(|json| event(&path, &json)).transpose();
        }
        // The id is the first field, so most frames need no parsing.
        let start = [br#"{"id":""#.as_slice(), &id.encode()].concat();
        let mut frames = Frames::open(&path, segment.until_seq())?;
        while let Some(frame) = frames.next()? {
            if frame.json.starts_with(&start) {
                return event(&path, frame.json).map(Some);
            }
        }
        Ok(None)
    }

    fn get_in_table(&self, part: Part, id: InferenceId) -> Result<Option<Event>, StoreFault> {
        let text = id.to_string();
        let may = |file: &crate::manifest::TableFile| (file.min_id..=file.max_id).contains(&id);
        let source = Source::open_picked(&self.folder, part, Pick::Equal("id", &text), may)?;
        source.map_or(Ok(None), |mut source| source.next()).map(|found| found.map(|(_, event)| event))
    }

    /// The events of one episode, oldest first.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn by_episode(&self, episode: &str) -> Result<Vec<Event>, StoreFault> {
        let mut found = Vec::new();
        for part in Listing::of(&self.folder)?.parts {
            match part {
                Part::Segment(segment) => match self.episode_in_segment(&segment, episode) {
                    Err(fault) if fault.is_not_found() => {
                        if let Some(part) = compacted(&self.folder, segment.head.number)? {
                            self.episode_in_part(part, episode, &mut found)?;
                        }
                    }
                    other => found.extend(other?),
                },
                part @ Part::Table(_) => self.episode_in_part(part, episode, &mut found)?,
            }
        }
        Ok(found)
    }

    fn episode_in_segment(&self, segment: &Segment, episode: &str) -> Result<Vec<Event>, StoreFault> {
        let path = self.folder.segment(segment.head.number);
        let mut found = Vec::new();
        if segment.sealed.is_some()
            && let Some(index) = Index::read(&self.folder.index(segment.head.number))
        {
            for offset in index.of_episode(episode) {
                found.extend(json_at(&path, offset)?.map(|json| event(&path, &json)).transpose()?);
            }
        } else {
            let mut frames = Frames::open(&path, segment.until_seq())?;
            while let Some(frame) = frames.next()? {
                found.extend(Some(event(&path, frame.json)?).filter(|event| event.episode.as_deref() == Some(episode)));
            }
        }
        found.retain(|event| event.episode.as_deref() == Some(episode));
        Ok(found)
    }

    fn episode_in_part(&self, part: Part, episode: &str, found: &mut Vec<Event>) -> Result<(), StoreFault> {
        let source = Source::open_picked(&self.folder, part, Pick::Equal("episode", episode), |_| true)?;
        if let Some(mut source) = source {
            while let Some((_, event)) = source.next()? {
                found.push(event);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
