//! Rows of a table, as they go out and as tensors of a call; and an answer's tensors as further values of rows. Pure but for
//! the reading.

use super::part::ERROR;
use serde_json::{Map, Number, Value};
use tidegate_core::port::table::{Cell, Table};
use tidegate_core::{Datatype, Fault, FaultKind, PredictAnswer, Tensor};
use tokio::sync::mpsc::Sender;

/// A row, by the names of its columns.
pub(super) type Row = Map<String, Value>;

/// Rows that are asked about together.
#[derive(Debug, Clone)]
pub(super) struct Chunk(pub(super) Vec<Row>);

/// How many rows a table has.
///
/// # Errors
/// It cannot be read.
pub(super) fn count(table: &dyn Table) -> anyhow::Result<u64> {
    let mut rows = 0;
    table
        .each(&mut |_| {
            rows += 1;
            Ok(())
        })
        .map_err(|fault| anyhow::anyhow!("{}", fault.says))?;
    Ok(rows)
}

/// Reads the rows behind the first ones, and sends them on.
///
/// # Errors
/// The table cannot be read.
pub(super) fn read(table: &dyn Table, size: usize, skipped: u64, send: &Sender<Chunk>) -> anyhow::Result<()> {
    let (mut rows, mut met) = (Vec::with_capacity(size), 0);
    let mut is_over = false;
    let gone = || Fault::new(FaultKind::Unavailable, "nobody takes the rows any more");
    let read = table.each(&mut |cells| {
        met += 1;
        if met <= skipped {
            return Ok(());
        }
        let values = table.columns().iter().cloned().zip(cells.iter().map(value));
        rows.push(values.collect());
        if rows.len() == size {
            let chunk = Chunk(std::mem::take(&mut rows));
            is_over = send.blocking_send(chunk).is_err();
        }
        if is_over { Err(gone()) } else { Ok(()) }
    });
    match read {
        // Whoever takes no more says why.
        Err(_) if is_over => return Ok(()),
        Err(fault) => anyhow::bail!("{}", fault.says),
        Ok(()) => {}
    }
    if !rows.is_empty() {
        // As above.
        send.blocking_send(Chunk(rows)).unwrap_or_default();
    }
    Ok(())
}

/// What a cell is: a text that spells a number as numbers are spelled is one.
fn value(cell: &Cell<'_>) -> Value {
    match cell {
        Cell::Missing | Cell::Text("") => Value::Null,
        Cell::Number(number) => numbered(*number),
        Cell::Text("true") => Value::Bool(true),
        Cell::Text("false") => Value::Bool(false),
        Cell::Text(text) => spelled(text).unwrap_or_else(|| Value::from(*text)),
    }
}

fn spelled(text: &str) -> Option<Value> {
    if let Ok(whole) = text.parse::<i64>() {
        // An id such as 007 is no number.
        return (whole.to_string() == text).then(|| Value::from(whole));
    }
    let number: f64 = text.parse().ok().filter(|number: &f64| number.is_finite())?;
    let is_plain = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E'));
    let has_zeros = text.trim_start_matches('-').starts_with("00");
    (is_plain && !has_zeros).then(|| Number::from_f64(number).map(Value::Number)).flatten()
}

/// A number as it is written: whole ones without a point.
#[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
fn numbered(number: f64) -> Value {
    const MOST: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() < MOST {
        return Value::from(number as i64);
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

/// The tensors of rows: one of all numbers under this name, or one for each column.
///
/// # Errors
/// A column cannot be sent, in words.
pub(super) fn tensors(rows: &[Row], leave: &[String], whole: Option<&str>) -> Result<Vec<Tensor>, String> {
    let Some(first) = rows.first() else { return Ok(Vec::new()) };
    let names: Vec<&String> = first.keys().filter(|name| !leave.contains(name)).collect();
    let fault = |fault: tidegate_core::TensorFault| fault.to_string();
    let Some(input) = whole else { return names.iter().map(|name| column(rows, name)).collect() };
    let mut values = Vec::with_capacity(rows.len() * names.len());
    for row in rows {
        for name in &names {
            values.push(
                number(row.get(*name)).ok_or_else(|| format!("column `{name}` has texts, and rows are of numbers"))?,
            );
        }
    }
    Tensor::of_f64(input, vec![rows.len() as u64, names.len() as u64], &values).map(|one| vec![one]).map_err(fault)
}

/// A number, NaN where none is there; nothing where it is something else.
fn number(value: Option<&Value>) -> Option<f64> {
    match value {
        None | Some(Value::Null) => Some(f64::NAN),
        Some(Value::Bool(is)) => Some(f64::from(u8::from(*is))),
        Some(value) => value.as_f64(),
    }
}

fn column(rows: &[Row], name: &str) -> Result<Tensor, String> {
    let values = || rows.iter().map(|row| row.get(name).unwrap_or(&Value::Null));
    let shape = vec![rows.len() as u64, 1];
    let whole: Option<Vec<i64>> = values().map(Value::as_i64).collect();
    let truths: Option<Vec<u8>> = values().map(|value| value.as_bool().map(u8::from)).collect();
    let numbers: Option<Vec<f64>> = values().map(|value| number(Some(value))).collect();
    let made = match (whole, truths, numbers) {
        (Some(whole), ..) => Tensor::of_i64(name, shape, &whole),
        (None, Some(truths), _) => Tensor::new(name, Datatype::Bool, shape, truths.into()),
        (None, None, Some(numbers)) => Tensor::of_f64(name, shape, &numbers),
        (None, None, None) => {
            let texts = values().map(|value| match value {
                Value::String(text) => text.clone(),
                Value::Null => String::new(),
                other => other.to_string(),
            });
            Tensor::of_texts(name, shape, &texts.collect::<Vec<_>>())
        }
    };
    made.map_err(|fault| fault.to_string())
}

/// The rows with what an answer says of them behind their own values.
///
/// # Errors
/// An output is not of as many rows, in words.
pub(super) fn with_outputs(rows: Vec<Row>, answer: &PredictAnswer) -> Result<Vec<Row>, String> {
    let mut rows = rows;
    for output in &answer.outputs {
        if output.shape().is_empty() || output.rows() != rows.len() {
            let (name, shape, count) = (output.name(), output.shape(), rows.len());
            return Err(format!("the output `{name}` has the shape {shape:?}, and {count} rows were asked about"));
        }
        let width = output.elements() / rows.len().max(1);
        let values = values_of(output);
        for (row, values) in rows.iter_mut().zip(values.chunks(width.max(1))) {
            for (place, value) in values.iter().enumerate() {
                let name = if width > 1 { format!("{}.{place}", output.name()) } else { output.name().to_owned() };
                let name = if row.contains_key(&name) { format!("output.{name}") } else { name };
                row.insert(name, value.clone());
            }
        }
    }
    Ok(rows)
}

/// The elements of a tensor as JSON: those of 32 bits as they are spelled in 32 bits.
#[expect(clippy::cast_possible_truncation, reason = "it came from 32 bits")]
fn values_of(output: &Tensor) -> Vec<Value> {
    let single = |number: f64| (number as f32).to_string().parse().map_or(Value::Null, numbered_as_fraction);
    match (output.texts(), output.numbers()) {
        (Some(texts), _) => texts.map(|text| Value::from(String::from_utf8_lossy(text).into_owned())).collect(),
        (None, Some(numbers)) => match output.datatype() {
            Datatype::Bool => numbers.map(|number| Value::Bool(number != 0.0)).collect(),
            datatype if datatype.is_integer() => numbers.map(numbered).collect(),
            Datatype::Fp64 => numbers.map(numbered_as_fraction).collect(),
            _ => numbers.map(single).collect(),
        },
        (None, None) => Vec::new(),
    }
}

fn numbered_as_fraction(number: f64) -> Value {
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

/// A row that was refused.
pub(super) fn refused(mut row: Row, why: &str) -> Row {
    row.insert(ERROR.to_owned(), Value::from(why));
    row
}

/// What all of several rows are refused for, where they are.
pub(super) fn all_refused(rows: &[Row]) -> Option<&str> {
    rows.iter().all(|row| row.contains_key(ERROR)).then(|| rows.first()?.get(ERROR)?.as_str()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rows(all: &Value) -> Vec<Row> {
        all.as_array().unwrap().iter().map(|row| row.as_object().cloned().unwrap()).collect()
    }

    #[test]
    fn texts_that_are_numbers_are_numbers_and_ids_are_not() {
        let read = |text: &str| value(&Cell::Text(text));
        assert_eq!((read("12"), read("-1.5"), read("7.670e-02")), (json!(12), json!(-1.5), json!(0.0767)));
        assert_eq!((read("007"), read("1_000"), read("")), (json!("007"), json!("1_000"), Value::Null));
        assert_eq!((read("NaN"), read("true"), read("x")), (json!("NaN"), json!(true), json!("x")));
        assert_eq!((value(&Cell::Number(3.0)), value(&Cell::Number(3.5))), (json!(3), json!(3.5)));
    }

    #[test]
    fn columns_are_tensors_of_their_kinds_and_rows_are_of_numbers() {
        let all = rows(&json!([{"id": 1, "n": 2, "x": 0.5, "t": "a"}, {"id": 2, "n": 3, "x": null, "t": null}]));
        let made = tensors(&all, &["id".to_owned()], None).unwrap();
        let kinds: Vec<(&str, Datatype)> = made.iter().map(|one| (one.name(), one.datatype())).collect();
        assert_eq!(kinds, [("n", Datatype::Int64), ("x", Datatype::Fp64), ("t", Datatype::Bytes)]);
        assert_eq!(made[0].shape(), [2, 1]);
        let left = ["id".to_owned(), "t".to_owned()];
        let whole = tensors(&all, &left, Some("input")).unwrap();
        assert_eq!((whole[0].name(), whole[0].shape()), ("input", &[2, 2][..]));
        assert!(whole[0].numbers().unwrap().nth(3).unwrap().is_nan());
        assert!(tensors(&all, &[], Some("input")).unwrap_err().contains("column `t` has texts"));
    }

    #[test]
    fn outputs_stand_behind_what_came_in() {
        let answer = PredictAnswer {
            outputs: vec![
                Tensor::of_f32("x", vec![2], &[0.1, f32::NAN]).unwrap(),
                Tensor::of_f64("p", vec![2, 2], &[0.25, 0.75, 1.0, 0.0]).unwrap(),
                Tensor::of_i64("label", vec![2, 1], &[1, 0]).unwrap(),
            ],
            ..PredictAnswer::default()
        };
        let made = with_outputs(rows(&json!([{"x": 5}, {"x": 6}])), &answer).unwrap();
        assert_eq!(
            Value::from(made.clone()),
            json!([
                {"x": 5, "output.x": 0.1, "p.0": 0.25, "p.1": 0.75, "label": 1},
                {"x": 6, "output.x": null, "p.0": 1.0, "p.1": 0.0, "label": 0},
            ])
        );
        assert!(
            with_outputs(
                made,
                &PredictAnswer {
                    outputs: vec![Tensor::of_f64("p", vec![1], &[1.0]).unwrap()],
                    ..PredictAnswer::default()
                }
            )
            .is_err()
        );
        let gone = vec![refused(Row::new(), "no"), refused(Row::new(), "no")];
        assert_eq!(all_refused(&gone), Some("no"));
        assert_eq!(all_refused(&[Row::new()]), None);
    }
}
