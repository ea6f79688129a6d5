//! What a table becomes: the types of columns, what counts as missing, and files that are none.

use super::*;
use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, DictionaryArray, Float32Array, Int64Array, ListArray, StringArray,
};
use arrow::datatypes::{Int32Type, Int64Type};
use arrow::record_batch::RecordBatch;
use std::sync::Arc;
use tidegate_core::port::table::Cell;

/// The rows of a file, a text each.
fn rows(path: &Path, except: &[&str]) -> Result<Vec<String>, String> {
    let except: Vec<String> = except.iter().map(ToString::to_string).collect();
    let table = open(path, &except).map_err(|fault| fault.says.into_owned())?;
    let mut rows = vec![table.columns().join("|")];
    let spell = |cell: &Cell<'_>| match cell {
        Cell::Missing => "-".to_owned(),
        Cell::Number(x) => x.to_string(),
        Cell::Text(text) => format!("'{text}'"),
    };
    let read = table.each(&mut |cells| {
        rows.push(cells.iter().map(spell).collect::<Vec<_>>().join("|"));
        Ok(())
    });
    read.map_err(|fault| fault.says.into_owned())?;
    Ok(rows)
}

fn csv(text: &[u8], except: &[&str]) -> Result<Vec<String>, String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    rows(file.path(), except)
}

#[test]
fn csv_is_read_as_other_programs_write_it() {
    let text = "\u{feff}a,\"b, \"\"c\"\"\",d\r\n1,\"two\nlines\",\r\n\n,\"\",x\"y\n3,4,5";
    let found = csv(text.as_bytes(), &[]).unwrap();
    assert_eq!(found, ["a|b, \"c\"|d", "'1'|'two\nlines'|''", "''|''|'x\"y'", "'3'|'4'|'5'"]);
    assert_eq!(csv(b"a,b,c\n1,2,3\n", &["b"]).unwrap(), ["a|c", "'1'|'3'"]);
    assert_eq!(csv(b"a\n\"\"\n\n1\n", &[]).unwrap(), ["a", "''", "'1'"]);
    assert_eq!(csv(b"a\n\"x\"\r\n", &[]).unwrap(), ["a", "'x'"]);
    // Rows longer than what is read at a time.
    let long = "x".repeat(200_000);
    let text = format!("a,b\n{long},\"{long}\"\n1,2\n");
    let found = csv(text.as_bytes(), &[]).unwrap();
    assert_eq!((found[1].len(), found[2].as_str()), (400_005, "'1'|'2'"));
}

#[test]
fn csv_that_is_none_is_refused_with_its_line() {
    for (text, says) in [
        (&b""[..], "is empty"),
        (b"a,b\n1,2\n1\n", "the row that ends in line 4 has 1 cells, and 2 columns are named"),
        (b"a,b\n1,\"2\n", "ends within quotes"),
        (b"a,b\n1,\"2\"3\n", "line 2: behind a cell in quotes"),
        (b"a;b\n1;2\n", "write it with commas"),
        (b"a,b\n1,\xff\n", "not valid UTF-8"),
    ] {
        let found = csv(text, &[]).unwrap_err();
        assert!(found.contains(says), "{found}");
    }
    assert!(csv(b"a,b\n1,2\n", &["c"]).unwrap_err().contains("no column `c` that could be left out: there are a, b"));
    assert!(rows(Path::new("nowhere.csv"), &[]).unwrap_err().contains("nowhere.csv cannot be read"));
}

#[test]
fn parquet_gives_numbers_and_texts() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let days = Date32Array::from(vec![Some(0), Some(20_000), None]);
    let names: DictionaryArray<Int32Type> = [Some("x"), None, Some("x")].into_iter().collect();
    let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1)]), None, None]);
    let columns: [(&str, ArrayRef); 7] = [
        ("i", Arc::new(Int64Array::from(vec![Some(1), None, Some(-3)]))),
        ("f", Arc::new(Float32Array::from(vec![0.5, f32::NAN, f32::INFINITY]))),
        ("t", Arc::new(StringArray::from(vec![Some("a"), Some(""), None]))),
        ("b", Arc::new(BooleanArray::from(vec![true, false, true]))),
        ("d", Arc::new(days)),
        ("k", Arc::new(names)),
        ("l", Arc::new(lists)),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap();
    let out = std::fs::File::create(file.path()).unwrap();
    let mut writer = ::parquet::arrow::ArrowWriter::try_new(out, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let found = rows(file.path(), &["l", "b"]).unwrap();
    assert_eq!(found, ["i|f|t|d|k", "1|0.5|'a'|'1970-01-01'|'x'", "-|NaN|''|'2024-10-04'|-", "-3|inf|-|-|'x'"]);
    assert!(rows(file.path(), &[]).unwrap_err().contains("column `l` is of type List"));
    let whole = std::fs::read(file.path()).unwrap();
    std::fs::write(file.path(), &whole[..whole.len() / 2]).unwrap();
    assert!(rows(file.path(), &[]).unwrap_err().contains("Parquet file cannot be read"));
}
