//! The events of one part of the store in the order of their sequence, whichever form the part has. Owns the change from a
//! segment to its tables when it is compacted before it is opened.

use super::Filter;
use crate::StoreFault;
use crate::folder::Folder;
use crate::frames::Frames;
use crate::listing::{Part, compacted};
use crate::manifest::{Manifest, TableFile};
use crate::table::rows::{Pick, Rows};
use std::path::{Path, PathBuf};
use tidegate_core::Event;

/// The events of one part.
pub(super) enum Source {
    Frames(PathBuf, Box<Frames>),
    Tables(Merge),
}

impl Source {
    /// Opens a part; `None` where it has gone by the retention.
    pub(super) fn open(folder: &Folder, part: Part, filter: &Filter) -> Result<Option<Self>, StoreFault> {
        Self::open_picked(folder, part, Pick::All, |file| filter.may_be_in(file))
    }

    /// Opens a part, of its tables only those that may have what is wanted and of them only the rows picked.
    pub(super) fn open_picked(
        folder: &Folder,
        part: Part,
        pick: Pick<'_>,
        may: impl Fn(&TableFile) -> bool,
    ) -> Result<Option<Self>, StoreFault> {
        let manifest = match part {
            Part::Segment(segment) => {
                let path = folder.segment(segment.head.number);
                match Frames::open(&path, segment.until_seq()) {
                    Ok(frames) => return Ok(Some(Self::Frames(path, Box::new(frames)))),
                    Err(fault) if fault.is_not_found() => match compacted(folder, segment.head.number)? {
                        Some(Part::Table(manifest)) => manifest,
                        _ => return Ok(None),
                    },
                    Err(fault) => return Err(fault),
                }
            }
            Part::Table(manifest) => manifest,
        };
        Ok(Some(Self::Tables(Merge::open(folder, &manifest, pick, may)?)))
    }

    /// The next event with its sequence.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Event)>, StoreFault> {
        match self {
            Self::Frames(path, frames) => match frames.next()? {
                Some(frame) => Ok(Some((frame.seq, event(path, frame.json)?))),
                None => Ok(None),
            },
            Self::Tables(merge) => merge.next(),
        }
    }
}

/// The tables of one segment, merged by sequence.
pub(super) struct Merge {
    tables: Vec<Cursor>,
}

struct Cursor {
    path: PathBuf,
    rows: Rows,
    head: Option<(u64, String)>,
}

impl Merge {
    fn open(
        folder: &Folder,
        manifest: &Manifest,
        pick: Pick<'_>,
        may: impl Fn(&TableFile) -> bool,
    ) -> Result<Self, StoreFault> {
        let mut tables = Vec::with_capacity(manifest.files.len());
        for file in manifest.files.iter().filter(|file| may(file)) {
            let path = folder.root().join(&file.path);
            match Rows::open(&path, pick) {
                Ok(mut rows) => {
                    let head = rows.next()?;
                    tables.push(Cursor { path, rows, head });
                }
                Err(fault) if fault.is_not_found() && expired(folder, manifest.segment, &file.path)? => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(Self { tables })
    }

    fn next(&mut self) -> Result<Option<(u64, Event)>, StoreFault> {
        let first = self
            .tables
            .iter_mut()
            .filter(|table| table.head.is_some())
            .min_by_key(|table| table.head.as_ref().map(|h| h.0));
        let Some(table) = first else { return Ok(None) };
        let next = table.rows.next()?;
        match std::mem::replace(&mut table.head, next) {
            Some((seq, json)) => Ok(Some((seq, event(&table.path, json.as_bytes())?))),
            None => Ok(None),
        }
    }
}

/// Whether a table that is not there was dropped since its manifest was read.
fn expired(folder: &Folder, number: u64, path: &str) -> Result<bool, StoreFault> {
    Ok(match compacted(folder, number)? {
        Some(Part::Table(now)) => now.files.iter().all(|file| file.path != path),
        _ => true,
    })
}

/// The event of a frame or a row.
pub(super) fn event(path: &Path, json: &[u8]) -> Result<Event, StoreFault> {
    serde_json::from_slice(json)
        .map_err(|fault| StoreFault::damaged(path, format_args!("an event is not readable: {fault}")))
}
