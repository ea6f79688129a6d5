//! What a store holds at one moment: each segment either as itself or as its tables. Owns that nothing is listed twice and
//! nothing left out while segments are compacted meanwhile.

use crate::StoreFault;
use crate::folder::Folder;
use crate::frame::SegmentHead;
use crate::frames::head_of;
use crate::manifest::Manifest;

/// All parts of a store, oldest first.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) parts: Vec<Part>,
}

/// A segment in one of its two forms.
#[derive(Debug, Clone)]
pub(crate) enum Part {
    Segment(Segment),
    Table(Manifest),
}

/// A segment that is not compacted yet.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    pub(crate) head: SegmentHead,
    /// Where a later one exists; the newest belongs to the writer.
    pub(crate) sealed: Option<Sealed>,
}

/// What the next segment says of this one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sealed {
    /// Frames from here on are void.
    pub(crate) until_seq: u64,
    pub(crate) at_ms: u64,
}

impl Segment {
    pub(crate) fn until_seq(&self) -> u64 {
        self.sealed.map_or(u64::MAX, |sealed| sealed.until_seq)
    }
}

impl Part {
    pub(crate) fn number(&self) -> u64 {
        match self {
            Self::Segment(segment) => segment.head.number,
            Self::Table(manifest) => manifest.segment,
        }
    }

    fn first_seq(&self) -> u64 {
        match self {
            Self::Segment(segment) => segment.head.first_seq,
            Self::Table(manifest) => manifest.first_seq,
        }
    }
}

impl Listing {
    /// Lists a store. Segments are listed before manifests: a segment that is deleted in between has its manifest by then.
    pub(crate) fn of(folder: &Folder) -> Result<Self, StoreFault> {
        let numbers = folder.segment_numbers()?;
        let manifests = folder.manifest_numbers()?;
        let mut parts = Vec::with_capacity(numbers.len() + manifests.len());
        for &number in &manifests {
            match Manifest::read(folder, number) {
                Ok(manifest) => parts.push(Part::Table(manifest)),
                // The retention dropped it just now.
                Err(fault) if fault.is_not_found() => {}
                Err(fault) => return Err(fault),
            }
        }
        for &number in numbers.iter().filter(|number| manifests.binary_search(number).is_err()) {
            match head_of(&folder.segment(number)) {
                Ok(head) => parts.push(Part::Segment(Segment { head, sealed: None })),
                Err(fault) if fault.is_not_found() => parts.extend(compacted(folder, number)?),
                // The writer is making it.
                Err(StoreFault::Damaged { .. }) if Some(&number) == numbers.last() => {}
                Err(fault) => return Err(fault),
            }
        }
        parts.sort_by_key(Part::number);
        Ok(Self { parts: mark_sealed(parts) })
    }

    pub(crate) fn segments(&self) -> impl Iterator<Item = &Segment> {
        self.parts.iter().filter_map(|part| match part {
            Part::Segment(segment) => Some(segment),
            Part::Table(_) => None,
        })
    }
}

/// The tables of a segment that was there a moment ago; `None` where it was empty or is past its retention.
pub(crate) fn compacted(folder: &Folder, number: u64) -> Result<Option<Part>, StoreFault> {
    match Manifest::read(folder, number) {
        Ok(manifest) => Ok(Some(Part::Table(manifest))),
        Err(fault) if fault.is_not_found() => Ok(None),
        Err(fault) => Err(fault),
    }
}

fn mark_sealed(mut parts: Vec<Part>) -> Vec<Part> {
    for at in 1..parts.len() {
        let until_seq = parts[at].first_seq();
        let next_made = match &parts[at] {
            Part::Segment(segment) => segment.head.made_ms,
            Part::Table(_) => 0,
        };
        if let Part::Segment(segment) = &mut parts[at - 1] {
            segment.sealed = Some(Sealed { until_seq, at_ms: next_made });
        }
    }
    parts
}
