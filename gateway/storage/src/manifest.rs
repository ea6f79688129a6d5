//! The manifest of a compacted segment. Owns its form; its rename into place is the moment at which the tables stand for
//! the segment.

use crate::StoreFault;
use crate::day::Day;
use crate::folder::{Folder, write_whole};
use serde::{Deserialize, Serialize};
use tidegate_core::{InferenceId, RouteName};

/// Which tables stand for a segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) segment: u64,
    pub(crate) first_seq: u64,
    /// The sequence after its last frame.
    pub(crate) next_seq: u64,
    /// Frames that were damaged, and are in no table.
    pub(crate) damaged: u64,
    pub(crate) files: Vec<TableFile>,
}

/// One Parquet file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TableFile {
    /// Relative to the store's folder.
    pub(crate) path: String,
    pub(crate) day: Day,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) route: Option<RouteName>,
    pub(crate) rows: u64,
    pub(crate) min_id: InferenceId,
    pub(crate) max_id: InferenceId,
}

impl Manifest {
    pub(crate) fn read(folder: &Folder, number: u64) -> Result<Self, StoreFault> {
        let path = folder.manifest(number);
        let bytes = std::fs::read(&path).map_err(StoreFault::io("read", &path))?;
        serde_json::from_slice(&bytes).map_err(|fault| StoreFault::damaged(&path, fault))
    }

    /// Puts it in place, durably and all at once.
    pub(crate) fn write(&self, folder: &Folder) -> Result<(), StoreFault> {
        let path = folder.manifest(self.segment);
        let bytes = serde_json::to_vec_pretty(self).map_err(|fault| StoreFault::damaged(&path, fault))?;
        write_whole(&path, &bytes)
    }
}
