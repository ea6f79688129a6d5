//! Tables of data in files of others' making: CSV, JSON lines and Parquet, told apart by their beginning; and such as are
//! written for others. Owns how they are opened;
//! each format is its own file's.

mod csv;
mod jsonl;
mod parquet;
mod written;

pub use written::{TableForm, write_table};

#[cfg(test)]
mod tests;

use std::io::Read as _;
use std::path::Path;
use tidegate_core::port::table::Table;
use tidegate_core::{Fault, FaultKind};

/// Opens a table, without the columns `except`.
///
/// # Errors
/// It cannot be read, is of another format, or has no such columns.
pub fn open(path: &Path, except: &[String]) -> Result<Box<dyn Table>, Fault> {
    let mut magic = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(4).read_to_end(&mut magic))
        .map_err(|e| refused(format!("{} cannot be read: {e}", path.display())))?;
    if magic == *b"PAR1" {
        return Ok(Box::new(parquet::ParquetTable::open(path, except)?));
    }
    if magic.first() == Some(&b'{') {
        return Ok(Box::new(jsonl::JsonlTable::open(path, except)?));
    }
    Ok(Box::new(csv::CsvTable::open(path, except)?))
}

/// The columns that are left of `all`, by their places and names.
fn picked(all: &[String], except: &[String]) -> Result<Vec<(usize, String)>, Fault> {
    if let Some(unknown) = except.iter().find(|name| !all.contains(name)) {
        return Err(refused(format!(
            "there is no column `{unknown}` that could be left out: there are {}",
            all.join(", ")
        )));
    }
    Ok(all.iter().enumerate().filter(|(_, name)| !except.contains(name)).map(|(at, name)| (at, name.clone())).collect())
}

fn refused(says: String) -> Fault {
    Fault::new(FaultKind::InvalidRequest, says)
}
