//! Rows as JSON objects, a line each. The columns are the members of the first one; a row may lack some of them.

use super::{picked, refused};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use tidegate_core::Fault;
use tidegate_core::port::table::{Cell, Table};

/// The longest row, in bytes.
const LONGEST_ROW: u64 = 16 << 20;

/// A table in a file of JSON lines.
#[derive(Debug)]
pub(super) struct JsonlTable {
    path: PathBuf,
    names: Vec<String>,
}

impl JsonlTable {
    pub(super) fn open(path: &Path, except: &[String]) -> Result<Self, Fault> {
        let mut all = Vec::new();
        lines(path, &mut |_, object| {
            all = object.keys().cloned().collect();
            Ok(false)
        })?;
        if all.is_empty() {
            return Err(refused(format!("{} has no row: its first line is an object", path.display())));
        }
        let names = picked(&all, except)?.into_iter().map(|(_, name)| name).collect();
        Ok(Self { path: path.to_owned(), names })
    }
}

impl Table for JsonlTable {
    fn columns(&self) -> &[String] {
        &self.names
    }

    fn each(&self, row: &mut dyn FnMut(&[Cell<'_>]) -> Result<(), Fault>) -> Result<(), Fault> {
        lines(&self.path, &mut |line, object| {
            let numbers = self.names.iter().map(|name| plain(line, name, object.get(name)));
            let cells = numbers.collect::<Result<Vec<_>, _>>()?;
            let cells: Vec<Cell<'_>> = cells.iter().map(Plain::cell).collect();
            row(&cells)?;
            Ok(true)
        })
    }
}

/// A cell with whatever it needs to be one.
enum Plain<'a> {
    Missing,
    Number(f64),
    Text(Cow<'a, str>),
}

impl Plain<'_> {
    fn cell(&self) -> Cell<'_> {
        match self {
            Self::Missing => Cell::Missing,
            Self::Number(number) => Cell::Number(*number),
            Self::Text(text) => Cell::Text(text),
        }
    }
}

fn plain<'a>(line: usize, name: &str, value: Option<&'a Value>) -> Result<Plain<'a>, Fault> {
    Ok(match value {
        None | Some(Value::Null) => Plain::Missing,
        Some(Value::Number(number)) => number.as_f64().map_or(Plain::Missing, Plain::Number),
        Some(Value::String(text)) => Plain::Text(Cow::Borrowed(text)),
        Some(Value::Bool(is)) => Plain::Text(Cow::Borrowed(if *is { "true" } else { "false" })),
        Some(Value::Array(_) | Value::Object(_)) => {
            return Err(refused(format!("line {line}: `{name}` is a list or an object, and no value of a table")));
        }
    })
}

/// Takes an object and its line; whether it wants another one.
type EachLine<'a> = &'a mut dyn FnMut(usize, &Map<String, Value>) -> Result<bool, Fault>;

/// Hands the objects over, with their lines from 1, until one is enough.
pub(super) fn lines(path: &Path, each: EachLine<'_>) -> Result<(), Fault> {
    let file = File::open(path).map_err(|e| refused(format!("{} cannot be read: {e}", path.display())))?;
    let (mut file, mut line, mut text) = (BufReader::new(file), 0, Vec::new());
    loop {
        text.clear();
        let read = (&mut file).take(LONGEST_ROW).read_until(b'\n', &mut text);
        let read = read.map_err(|e| refused(format!("{} cannot be read: {e}", path.display())))?;
        if read == 0 {
            return Ok(());
        }
        line += 1;
        if text.trim_ascii().is_empty() {
            continue;
        }
        let object: Map<String, Value> = serde_json::from_slice(&text)
            .map_err(|fault| refused(format!("{}, line {line}: no JSON object: {fault}", path.display())))?;
        if !each(line, &object)? {
            return Ok(());
        }
    }
}
