//! Turning a sealed segment into tables. Owns the order of steps, which makes a crash between any two harmless: tables
//! without a manifest are not looked at and are written anew; a segment with a manifest is not looked at and is deleted.

use crate::StoreFault;
use crate::day::Day;
use crate::folder::{Folder, remove_if_there};
use crate::frames::Frames;
use crate::listing::Segment;
use crate::manifest::Manifest;
use crate::table::TableWriter;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use tidegate_core::{Event, RouteName};

/// Compacts a sealed segment, unless stopped before its manifest is in place.
pub(crate) fn compact(folder: &Folder, segment: &Segment, stop: &AtomicBool) -> Result<(), StoreFault> {
    let number = segment.head.number;
    if !folder.manifest(number).exists() {
        match write_tables(folder, segment, stop)? {
            Some(manifest) => manifest.write(folder)?,
            None => return Ok(()),
        }
    }
    remove_segment(folder, number)
}

/// Writes the tables of a segment; `None` where it was stopped.
pub(crate) fn write_tables(
    folder: &Folder,
    segment: &Segment,
    stop: &AtomicBool,
) -> Result<Option<Manifest>, StoreFault> {
    let number = segment.head.number;
    let path = folder.segment(number);
    let mut frames = Frames::open(&path, segment.until_seq())?;
    let mut tables: BTreeMap<(Day, Option<RouteName>), TableWriter> = BTreeMap::new();
    while let Some(frame) = frames.next()? {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let event: Event = serde_json::from_slice(frame.json).map_err(|fault| StoreFault::damaged(&path, fault))?;
        let key = (Day::of_ms(event.unix_ms), event.route.clone());
        let table = match tables.entry(key) {
            std::collections::btree_map::Entry::Occupied(table) => table.into_mut(),
            std::collections::btree_map::Entry::Vacant(place) => {
                let (day, route) = place.key();
                let table = TableWriter::create(folder, *day, route.as_ref(), number)?;
                place.insert(table)
            }
        };
        table.push(frame.seq, &event, frame.json)?;
    }
    let first_seq = segment.head.first_seq;
    let damaged = frames.skipped() + segment.until_seq().saturating_sub(frames.last_seq() + 1);
    let mut files = Vec::with_capacity(tables.len());
    for ((day, route), table) in tables {
        files.push(table.finish(day, route)?);
    }
    Ok(Some(Manifest { segment: number, first_seq, next_seq: segment.until_seq(), damaged, files }))
}

/// Deletes a segment that its tables stand for, or that is empty.
pub(crate) fn remove_segment(folder: &Folder, number: u64) -> Result<(), StoreFault> {
    remove_if_there(&folder.segment(number))?;
    remove_if_there(&folder.index(number))
}

#[cfg(test)]
mod tests;
