//! Parquet: numbers as numbers, everything else that is one value as text. Columns of lists and the like are refused,
//! so that nobody takes the profile of a table for that of all its columns.

use super::{picked, refused};
use arrow::array::{Array as _, ArrayRef, AsArray as _};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Schema};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::fs::File;
use std::path::{Path, PathBuf};
use tidegate_core::Fault;
use tidegate_core::port::table::{Cell, Table};

/// Rows decoded at a time.
const BATCH: usize = 1024;

/// A table in a Parquet file.
#[derive(Debug)]
pub(super) struct ParquetTable {
    path: PathBuf,
    places: Vec<usize>,
    names: Vec<String>,
}

impl ParquetTable {
    pub(super) fn open(path: &Path, except: &[String]) -> Result<Self, Fault> {
        let builder = builder(path)?;
        let schema: &Schema = builder.schema();
        let all: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
        let picked = picked(&all, except)?;
        for (at, name) in &picked {
            let of = schema.field(*at).data_type();
            if form(of).is_none() {
                return Err(refused(format!("column `{name}` is of type {of}, which has no profile: leave it out")));
            }
        }
        let (places, names) = picked.into_iter().unzip();
        Ok(Self { path: path.to_owned(), places, names })
    }
}

impl Table for ParquetTable {
    fn columns(&self) -> &[String] {
        &self.names
    }

    fn each(&self, row: &mut dyn FnMut(&[Cell<'_>]) -> Result<(), Fault>) -> Result<(), Fault> {
        let builder = builder(&self.path)?;
        let mask = ProjectionMask::roots(builder.parquet_schema(), self.places.iter().copied());
        let batches = builder.with_projection(mask).with_batch_size(BATCH).build().map_err(damaged)?;
        for batch in batches {
            let batch = batch.map_err(damaged)?;
            let columns = batch.columns().iter().map(plain).collect::<Result<Vec<_>, _>>()?;
            each_of(&batch, &columns, row)?;
        }
        Ok(())
    }
}

fn each_of(
    batch: &RecordBatch,
    columns: &[ArrayRef],
    row: &mut dyn FnMut(&[Cell<'_>]) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut cells = Vec::with_capacity(columns.len());
    for at in 0..batch.num_rows() {
        cells.clear();
        cells.extend(columns.iter().map(|column| cell(column, at)));
        row(&cells)?;
    }
    Ok(())
}

fn cell(column: &ArrayRef, at: usize) -> Cell<'_> {
    if column.is_null(at) {
        return Cell::Missing;
    }
    match column.data_type() {
        DataType::Float64 => Cell::Number(column.as_primitive::<Float64Type>().value(at)),
        DataType::LargeUtf8 => Cell::Text(column.as_string::<i64>().value(at)),
        // Nothing else is made below.
        _ => Cell::Missing,
    }
}

/// A column as numbers or texts.
fn plain(column: &ArrayRef) -> Result<ArrayRef, Fault> {
    let to = form(column.data_type()).unwrap_or(DataType::LargeUtf8);
    cast(column, &to).map_err(damaged)
}

/// What a type is read as, where it is one value.
fn form(of: &DataType) -> Option<DataType> {
    match of {
        of if of.is_numeric() => Some(DataType::Float64),
        DataType::Boolean | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => {
            Some(DataType::LargeUtf8)
        }
        of if of.is_temporal() => Some(DataType::LargeUtf8),
        DataType::Dictionary(_, of) => form(of),
        _ => None,
    }
}

fn builder(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>, Fault> {
    let file = File::open(path).map_err(|e| refused(format!("{} cannot be read: {e}", path.display())))?;
    ParquetRecordBatchReaderBuilder::try_new(file).map_err(damaged)
}

fn damaged(e: impl std::fmt::Display) -> Fault {
    refused(format!("the Parquet file cannot be read: {e}; it may be compressed by snappy or zstd, or not at all"))
}
