//! `batches`: files of requests that are worked off while nobody waits.

use super::Desk;
use crate::scalar::{At, Count, Size, Span, Text};
use crate::shape::{Placed, record};
use std::time::Duration;
use tidegate_core::spec::BatchesSpec;

const FOLDER: &str = ".tidegate/batches";
const PARALLEL: usize = 8;
/// More calls at a time are live traffic.
const MOST_PARALLEL: usize = 1024;
const MAX_FILE: u64 = 100 << 20;
const MAX_STORED: u64 = 10 << 30;
const KEEP: Duration = Duration::from_secs(30 * 86400);

record! {
    /// Files of requests that are worked off while nobody waits: `/v1/files` and `/v1/batches`, as OpenAI has them.
    BatchesFile {
        optional {
            /// Where files and batches lie: `file:FOLDER`, relative to the working directory; `file:.tidegate/batches`
            /// by default. A folder is one gateway's.
            to: At<Text>,
            /// How many of their calls are under way at most; 8 by default. They stand behind those that somebody waits
            /// for.
            parallel: At<Count>,
            /// The longest file that is taken; 100MiB by default.
            max_file: At<Size>,
            /// The most that a tenant's files take together; 10GiB by default.
            max_stored: At<Size>,
            /// How long files and batches are kept; 30d by default.
            retention: At<Span>,
        }
    }
}

/// Batches, where they are served.
pub(crate) fn check(raw: Option<BatchesFile>, desk: &mut Desk<'_>) -> Option<BatchesSpec> {
    let raw = raw?;
    let folder = match &raw.to {
        None => Some(FOLDER.into()),
        Some(to) => {
            let folder = super::store::file_of(&to.value.0);
            if folder.is_none() {
                desk.notes.fault(&to.at, "this is no place for batches").remedy("write `file:FOLDER`");
            }
            folder
        }
    };
    let parallel = raw.parallel.as_ref().map_or(PARALLEL, |count| count.value.size());
    if let Some(given) = raw.parallel.as_ref().filter(|_| parallel > MOST_PARALLEL) {
        desk.notes
            .fault(&given.at, format!("{parallel} is more than {MOST_PARALLEL}"))
            .remedy(format!("write {MOST_PARALLEL} at most"));
    }
    let size = |given: &Option<At<Size>>, usual| given.as_ref().map_or(usual, |size| size.value.0);
    let (max_file, max_stored) = (size(&raw.max_file, MAX_FILE), size(&raw.max_stored, MAX_STORED));
    if max_file > max_stored {
        let at = raw.max_stored.as_ref().or(raw.max_file.as_ref()).map_or(raw.at(), |given| &given.at);
        desk.notes
            .fault(at, "the longest file is longer than all files of a tenant together may be")
            .remedy("make `max_stored` larger, or `max_file` smaller");
    }
    let keep = raw.retention.as_ref().map_or(KEEP, |span| span.value.0);
    Some(BatchesSpec { folder: folder?, parallel, max_file, max_stored, keep })
}
