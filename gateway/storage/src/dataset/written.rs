//! Tables that are written for others: rows that stand in a file as JSON objects, a line each, become CSV, JSON lines or Parquet
//! by the name of the file. Owns which columns there are and of which type each is, which is found by reading all rows first.

use super::jsonl::lines;
use super::refused;
use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde_json::{Map, Value};
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::Arc;
use tidegate_core::Fault;

/// Rows of a Parquet file that are held at a time.
const BATCH: usize = 2048;

/// What a table is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableForm {
    /// Commas, with the names in the first line.
    Csv,
    /// A JSON object a line.
    JsonLines,
    /// Parquet.
    Parquet,
}

impl TableForm {
    /// The form that a file's name asks for.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "csv" => Some(Self::Csv),
            "jsonl" | "ndjson" => Some(Self::JsonLines),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }
}

/// Writes the rows that stand in `from`, but for its first `skipped` lines, as a table; how many there are.
///
/// # Errors
/// A row cannot be read, or the file not be written.
pub fn write_table(from: &Path, skipped: usize, form: TableForm, to: &Path) -> Result<u64, Fault> {
    let columns = columns(from, skipped)?;
    let file = File::create(to).map_err(|e| unwritten(to, e))?;
    let mut writer = match form {
        TableForm::Csv => Writer::Csv(BufWriter::new(file)),
        TableForm::JsonLines => Writer::JsonLines(BufWriter::new(file)),
        TableForm::Parquet => Writer::Parquet(Box::new(parquet(file, &columns).map_err(|e| unwritten(to, e))?)),
    };
    if let Writer::Csv(out) = &mut writer {
        let names: Vec<String> = columns.iter().map(|column| quoted(&column.name)).collect();
        writeln!(out, "{}", names.join(",")).map_err(|e| unwritten(to, e))?;
    }
    let (mut held, mut rows) = (Vec::new(), 0);
    lines(from, &mut |line, object| {
        if line > skipped {
            rows += 1;
            held.push(object.clone());
            if held.len() == BATCH {
                writer.take(&columns, &held).map_err(|e| unwritten(to, e))?;
                held.clear();
            }
        }
        Ok(true)
    })?;
    writer.take(&columns, &held).map_err(|e| unwritten(to, e))?;
    writer.end().map_err(|e| unwritten(to, e))?;
    Ok(rows)
}

enum Writer {
    Csv(BufWriter<File>),
    JsonLines(BufWriter<File>),
    Parquet(Box<ArrowWriter<File>>),
}

impl Writer {
    fn take(&mut self, columns: &[Column], rows: &[Map<String, Value>]) -> std::io::Result<()> {
        match self {
            Self::Csv(out) => rows.iter().try_for_each(|row| {
                let cells: Vec<String> = columns.iter().map(|column| cell(row.get(&column.name))).collect();
                writeln!(out, "{}", cells.join(","))
            }),
            Self::JsonLines(out) => rows.iter().try_for_each(|row| {
                serde_json::to_writer(&mut *out, row)?;
                out.write_all(b"\n")
            }),
            Self::Parquet(out) => {
                let arrays = columns.iter().map(|column| column.array(rows)).collect();
                let batch = RecordBatch::try_new(schema(columns), arrays).map_err(std::io::Error::other)?;
                out.write(&batch).map_err(std::io::Error::other)
            }
        }
    }

    fn end(self) -> std::io::Result<()> {
        match self {
            Self::Csv(out) | Self::JsonLines(out) => {
                out.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()
            }
            Self::Parquet(out) => out.into_inner().map_err(std::io::Error::other)?.sync_all(),
        }
    }
}

/// A column, and of which type it is in Parquet.
#[derive(Debug, PartialEq, Eq)]
struct Column {
    name: String,
    kind: Kind,
}

/// What all values of a column are; the later ones can say what the earlier ones do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Nothing,
    Boolean,
    Integer,
    Number,
    Text,
}

impl Kind {
    fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Nothing,
            Value::Bool(_) => Self::Boolean,
            Value::Number(number) if number.is_i64() => Self::Integer,
            Value::Number(_) => Self::Number,
            _ => Self::Text,
        }
    }

    fn with(self, other: Self) -> Self {
        match (self, other) {
            (one, other) if one == other => one,
            (Self::Nothing, other) | (other, Self::Nothing) => other,
            (Self::Integer, Self::Number) | (Self::Number, Self::Integer) => Self::Number,
            _ => Self::Text,
        }
    }

    fn data_type(self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::Integer => DataType::Int64,
            Self::Number => DataType::Float64,
            Self::Nothing | Self::Text => DataType::Utf8,
        }
    }
}

impl Column {
    fn array(&self, rows: &[Map<String, Value>]) -> ArrayRef {
        let values = rows.iter().map(|row| row.get(&self.name).filter(|value| !value.is_null()));
        match self.kind {
            Kind::Boolean => {
                Arc::new(values.map(|value| value.and_then(Value::as_bool)).collect::<BooleanArray>()) as ArrayRef
            }
            Kind::Integer => Arc::new(values.map(|value| value.and_then(Value::as_i64)).collect::<Int64Array>()),
            Kind::Number => Arc::new(values.map(|value| value.and_then(Value::as_f64)).collect::<Float64Array>()),
            Kind::Nothing | Kind::Text => Arc::new(values.map(|value| value.map(text)).collect::<StringArray>()),
        }
    }
}

/// The columns of all rows, in the order in which they are met.
fn columns(from: &Path, skipped: usize) -> Result<Vec<Column>, Fault> {
    let mut columns: Vec<Column> = Vec::new();
    lines(from, &mut |line, object| {
        if line <= skipped {
            return Ok(true);
        }
        for (nth, (name, value)) in object.iter().enumerate() {
            // Rows are mostly alike, so a column is mostly where it was before.
            let is_there = columns.get(nth).is_some_and(|column| column.name == *name);
            let at = if is_there { Some(nth) } else { columns.iter().position(|column| column.name == *name) };
            match at.and_then(|at| columns.get_mut(at)) {
                Some(column) => column.kind = column.kind.with(Kind::of(value)),
                None => columns.push(Column { name: name.clone(), kind: Kind::of(value) }),
            }
        }
        Ok(true)
    })?;
    Ok(columns)
}

fn schema(columns: &[Column]) -> Arc<Schema> {
    let fields: Vec<Field> =
        columns.iter().map(|column| Field::new(&column.name, column.kind.data_type(), true)).collect();
    Arc::new(Schema::new(fields))
}

fn parquet(file: File, columns: &[Column]) -> std::io::Result<ArrowWriter<File>> {
    let level = ZstdLevel::try_new(3).map_err(std::io::Error::other)?;
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(level)).build();
    ArrowWriter::try_new(file, schema(columns), Some(properties)).map_err(std::io::Error::other)
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn cell(value: Option<&Value>) -> String {
    value.filter(|value| !value.is_null()).map_or_else(String::new, |value| quoted(&text(value)))
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

fn unwritten(path: &Path, why: impl std::fmt::Display) -> Fault {
    refused(format!("{} cannot be written: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_core::port::table::Cell;

    const ROWS: &str = "{\"skipped\": true}\n\
        {\"id\": 7, \"x\": 1, \"who\": \"a \\\"b\\\", c\", \"is\": true}\n\
        {\"id\": 8, \"x\": 2.5, \"who\": null, \"is\": false, \"list\": [1, 2]}\n";

    fn read(path: &Path) -> (Vec<String>, Vec<Vec<String>>) {
        let table = crate::dataset::open(path, &[]).unwrap();
        let mut rows = Vec::new();
        let shown = |cell: &Cell<'_>| match cell {
            Cell::Missing => String::new(),
            Cell::Number(number) => number.to_string(),
            Cell::Text(text) => (*text).to_owned(),
        };
        table
            .each(&mut |row| {
                rows.push(row.iter().map(shown).collect());
                Ok(())
            })
            .unwrap();
        (table.columns().to_vec(), rows)
    }

    #[test]
    fn rows_are_the_same_in_every_form() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("rows");
        std::fs::write(&from, ROWS).unwrap();
        let wanted = [["7", "1", "a \"b\", c", "true", ""], ["8", "2.5", "", "false", "[1,2]"]];
        for name in ["t.csv", "t.parquet"] {
            let to = folder.path().join(name);
            assert_eq!(write_table(&from, 1, TableForm::of(&to).unwrap(), &to).unwrap(), 2);
            let (names, rows) = read(&to);
            assert_eq!(
                (names, rows),
                (
                    ["id", "x", "who", "is", "list"].map(str::to_owned).to_vec(),
                    wanted.map(|row| row.map(str::to_owned).to_vec()).to_vec()
                ),
                "{name}"
            );
        }
        let to = folder.path().join("t.jsonl");
        write_table(&from, 1, TableForm::JsonLines, &to).unwrap();
        assert_eq!(std::fs::read_to_string(&to).unwrap().lines().count(), 2);
        assert_eq!(TableForm::of(Path::new("t.xlsx")), None);
        std::fs::write(&from, "{}\nno\n").unwrap();
        let fault = write_table(&from, 1, TableForm::Csv, &to).unwrap_err();
        assert!(fault.says.contains("line 2: no JSON object"), "{fault}");
    }

    #[test]
    fn types_are_those_that_all_rows_can_have() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("rows");
        std::fs::write(&from, "{\"a\": 1, \"b\": 1, \"c\": null}\n{\"a\": 2, \"b\": 0.5, \"c\": null}\n{\"b\": null, \"d\": true}\n{\"d\": 1}\n").unwrap();
        let kinds: Vec<(String, Kind)> =
            columns(&from, 0).unwrap().into_iter().map(|column| (column.name, column.kind)).collect();
        let wanted = [("a", Kind::Integer), ("b", Kind::Number), ("c", Kind::Nothing), ("d", Kind::Text)];
        assert_eq!(kinds, wanted.map(|(name, kind)| (name.to_owned(), kind)));
    }

    #[test]
    fn json_lines_are_read_as_a_table() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.jsonl");
        std::fs::write(&path, "{\"a\": 1.5, \"b\": \"x\"}\n\n{\"b\": null, \"a\": true}\n").unwrap();
        let (names, rows) = read(&path);
        assert_eq!(names, ["a", "b"]);
        assert_eq!(rows, [["1.5", "x"], ["true", ""]]);
        std::fs::write(&path, "{\"a\": [1]}\n").unwrap();
        let table = crate::dataset::open(&path, &[]).unwrap();
        assert!(table.each(&mut |_| Ok(())).unwrap_err().says.contains("`a` is a list"));
    }
}
