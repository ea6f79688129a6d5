//! A Parquet table of events: the typed columns for analysis, and the whole event as JSON for reading it back. Owns the
//! schema and the writing; `table::rows` reads.

pub(crate) mod columns;
pub(crate) mod rows;

use crate::StoreFault;
use crate::day::Day;
use crate::folder::{Folder, partial, publish};
use crate::manifest::TableFile;
use columns::Columns;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use std::fs::File;
use std::path::{Path, PathBuf};
use tidegate_core::{Event, InferenceId, RouteName};

/// Rows that are turned into columns at once, and rows of a group: small, as many routes may be written side by side.
const BATCH: usize = 2048;
const GROUP: usize = 16_384;

/// Writes one table under a partial name; it is published by `finish`.
pub(crate) struct TableWriter {
    name: String,
    path: PathBuf,
    part: PathBuf,
    writer: ArrowWriter<File>,
    columns: Columns,
    rows: u64,
    ids: Option<(InferenceId, InferenceId)>,
}

impl TableWriter {
    pub(crate) fn create(
        folder: &Folder,
        day: Day,
        route: Option<&RouteName>,
        number: u64,
    ) -> Result<Self, StoreFault> {
        let name = Folder::table(day, route, number);
        let path = folder.root().join(&name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(StoreFault::io("create the folder", parent))?;
        }
        let part = partial(&path);
        let file = File::create(&part).map_err(StoreFault::io("create", &part))?;
        let writer =
            ArrowWriter::try_new(file, columns::schema(), Some(properties())).map_err(StoreFault::table(&part))?;
        Ok(Self { name, path, part, writer, columns: Columns::default(), rows: 0, ids: None })
    }

    pub(crate) fn push(&mut self, seq: u64, event: &Event, json: &[u8]) -> Result<(), StoreFault> {
        let json = std::str::from_utf8(json).map_err(|fault| StoreFault::damaged(&self.part, fault))?;
        self.columns.push(seq, event, json);
        self.rows += 1;
        let (min, max) = self.ids.unwrap_or((event.id, event.id));
        self.ids = Some((min.min(event.id), max.max(event.id)));
        if self.columns.len() >= BATCH { self.write_batch() } else { Ok(()) }
    }

    fn write_batch(&mut self) -> Result<(), StoreFault> {
        let batch = self.columns.finish().map_err(|fault| StoreFault::table(&self.part)(fault.into()))?;
        self.writer.write(&batch).map_err(StoreFault::table(&self.part))
    }

    /// Syncs it and gives it its name.
    pub(crate) fn finish(mut self, day: Day, route: Option<RouteName>) -> Result<TableFile, StoreFault> {
        self.write_batch()?;
        let file = self.writer.into_inner().map_err(StoreFault::table(&self.part))?;
        file.sync_all().map_err(StoreFault::io("sync", &self.part))?;
        publish(&self.part, &self.path)?;
        self.path.ancestors().skip(2).take(2).try_for_each(sync)?;
        let (min_id, max_id) = self.ids.unwrap_or((InferenceId::from_u128(0), InferenceId::from_u128(0)));
        Ok(TableFile { path: self.name, day, route, rows: self.rows, min_id, max_id })
    }
}

fn sync(folder: &Path) -> Result<(), StoreFault> {
    crate::folder::sync_folder(folder).map_err(StoreFault::io("sync the folder", folder))
}

fn properties() -> WriterProperties {
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(GROUP))
        .set_column_dictionary_enabled("event_json".into(), false)
        .set_column_statistics_enabled("event_json".into(), EnabledStatistics::None)
        .set_column_dictionary_enabled("id".into(), false)
        .build()
}
