//! All events of a store, part by part. Owns going on to the next part after a fault.

use super::Filter;
use super::source::Source;
use crate::StoreFault;
use crate::folder::Folder;
use crate::listing::Part;
use tidegate_core::Event;

/// The events that pass a filter, oldest first. After a fault it goes on with the next part of the store.
pub struct Scan {
    folder: Folder,
    parts: std::vec::IntoIter<Part>,
    filter: Filter,
    source: Option<Source>,
}

impl std::fmt::Debug for Scan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scan")
            .field("filter", &self.filter)
            .field("parts_left", &self.parts.len())
            .finish_non_exhaustive()
    }
}

impl Scan {
    pub(super) fn new(folder: Folder, parts: Vec<Part>, filter: Filter) -> Self {
        Self { folder, parts: parts.into_iter(), filter, source: None }
    }

    fn advance(&mut self) -> Result<Option<Event>, StoreFault> {
        loop {
            if let Some(mut source) = self.source.take() {
                while let Some((_, event)) = source.next()? {
                    if self.filter.passes(&event) {
                        self.source = Some(source);
                        return Ok(Some(event));
                    }
                }
            }
            let Some(part) = self.parts.next() else { return Ok(None) };
            self.source = Source::open(&self.folder, part, &self.filter)?;
        }
    }
}

impl Iterator for Scan {
    type Item = Result<Event, StoreFault>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance().transpose()
    }
}
