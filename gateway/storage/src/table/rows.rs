//! Reading a table back: sequence and JSON of each row, of all rows or of those that are asked for.

use crate::StoreFault;
use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::compute::kernels::cmp::eq;
use arrow::datatypes::Int64Type;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowPredicateFn, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowFilter,
};
use parquet::errors::ParquetError;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Which rows.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pick<'a> {
    All,
    /// Those with this text in this column.
    Equal(&'static str, &'a str),
}

/// The rows of a table in the order of their sequence.
pub(crate) struct Rows {
    path: PathBuf,
    reader: ParquetRecordBatchReader,
    batch: Option<RecordBatch>,
    at: usize,
}

impl Rows {
    pub(crate) fn open(path: &Path, pick: Pick<'_>) -> Result<Self, StoreFault> {
        let file = File::open(path).map_err(StoreFault::io("open", path))?;
        let reader = reader(file, pick).map_err(StoreFault::table(path))?;
        Ok(Self { path: path.to_owned(), reader, batch: None, at: 0 })
    }

    /// The next row: its sequence and its JSON.
    pub(crate) fn next(&mut self) -> Result<Option<(u64, String)>, StoreFault> {
        loop {
            if let Some(batch) = &self.batch
                && self.at < batch.num_rows()
            {
                let row = row(batch, self.at).ok_or_else(|| StoreFault::damaged(&self.path, "a row has no event"));
                self.at += 1;
                return row.map(Some);
            }
            match self.reader.next() {
                None => return Ok(None),
                Some(batch) => self.batch = Some(batch.map_err(|fault| StoreFault::table(&self.path)(fault.into()))?),
            }
            self.at = 0;
        }
    }
}

fn reader(file: File, pick: Pick<'_>) -> Result<ParquetRecordBatchReader, ParquetError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)?.with_batch_size(1024);
    let mask = |names: &[&str]| ProjectionMask::columns(builder.parquet_schema(), names.iter().copied());
    let projection = mask(&["seq", "event_json"]);
    let filter = match pick {
        Pick::All => None,
        Pick::Equal(column, text) => {
            let text = StringArray::new_scalar(text);
            let test = ArrowPredicateFn::new(mask(&[column]), move |batch: RecordBatch| eq(batch.column(0), &text));
            Some(RowFilter::new(vec![Box::new(test)]))
        }
    };
    let builder = builder.with_projection(projection);
    match filter {
        Some(filter) => builder.with_row_filter(filter).build(),
        None => builder.build(),
    }
}

fn row(batch: &RecordBatch, at: usize) -> Option<(u64, String)> {
    let seq = batch.column_by_name("seq")?.as_primitive_opt::<Int64Type>()?;
    let json = batch.column_by_name("event_json")?.as_string_opt::<i32>()?;
    let there = seq.is_valid(at) && json.is_valid(at);
    there.then(|| Some((u64::try_from(seq.value(at)).ok()?, json.value(at).to_owned())))?
}
