//! TF Serving's `:predict`, by rows (`instances`, `predictions`) and by columns (`inputs`, `outputs`).

use crate::data::write_nested;
use crate::loose::{is_object, is_of_objects, members, named, nested, records};
use crate::sheet::Sheet;
use crate::wrong::Wrong;
use bytes::Bytes;
use serde_json::value::RawValue;
use tidegate_core::{PredictAnswer, PredictRequest, Tensor};

/// Whether an answer is by rows or by columns, as it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Rows,
    Columns,
}

/// The body as JSON.
///
/// # Errors
/// It is none.
pub(crate) fn json(body: &Bytes) -> Result<&RawValue, Wrong> {
    serde_json::from_slice(body).map_err(|fault| Wrong::new("body", format!("the body is no JSON: {fault}")))
}

/// A request of tensors whose datatypes nobody said.
pub(crate) fn loose(inputs: Vec<Tensor>) -> PredictRequest {
    PredictRequest { inputs, is_loose: true, ..PredictRequest::default() }
}

/// Reads what is asked.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn read_request(body: &Bytes) -> Result<(PredictRequest, Form), Wrong> {
    let top = members(json(body)?, "body")?;
    let of = |name: &str| top.iter().find(|(known, _)| known == name).map(|(_, json)| *json);
    match (of("instances"), of("inputs")) {
        (Some(rows), None) => Ok((loose(instances(rows, "instances")?), Form::Rows)),
        (None, Some(columns)) => Ok((loose(inputs(columns, "inputs")?), Form::Columns)),
        _ => Err(Wrong::new("instances", "the body must have either `instances` (by rows) or `inputs` (by columns)")),
    }
}

/// Rows: of values, or of objects with a value for each input.
///
/// # Errors
/// What is wrong with them.
pub(crate) fn instances(json: &RawValue, field: &str) -> Result<Vec<Tensor>, Wrong> {
    if is_of_objects(json) {
        return records(json, field);
    }
    let tensor = nested("", json, field)?;
    if tensor.shape().is_empty() || tensor.elements() == 0 {
        return Err(Wrong::new(field, format!("{field} must be a list of at least one row")));
    }
    Ok(vec![tensor])
}

/// Columns: one tensor, or an object with one for each input.
///
/// # Errors
/// What is wrong with them.
pub(crate) fn inputs(json: &RawValue, field: &str) -> Result<Vec<Tensor>, Wrong> {
    let tensors = if is_object(json) { named(json, field)? } else { vec![nested("", json, field)?] };
    if tensors.is_empty() || tensors.iter().any(|tensor| tensor.elements() == 0) {
        return Err(Wrong::new(field, format!("{field} is empty: give at least one row")));
    }
    Ok(tensors)
}

/// Writes what was answered.
///
/// # Errors
/// JSON cannot have it.
pub(crate) fn write_answer(answer: &PredictAnswer, form: Form) -> Result<Sheet, Wrong> {
    let mut out = Vec::with_capacity(64);
    match form {
        Form::Rows => {
            out.extend_from_slice(b"{\"predictions\":");
            write_rows(&answer.outputs, &mut out)?;
        }
        Form::Columns => {
            out.extend_from_slice(b"{\"outputs\":");
            write_columns(&answer.outputs, &mut out)?;
        }
    }
    out.push(b'}');
    Ok(Sheet::json(out))
}

/// One tensor as it is, several as an object.
///
/// # Errors
/// JSON cannot have one.
pub(crate) fn write_columns(tensors: &[Tensor], out: &mut Vec<u8>) -> Result<(), Wrong> {
    if let [only] = tensors {
        return write_nested(only, only.shape(), out);
    }
    write_named(tensors, out)
}

/// An object with a member for each tensor.
///
/// # Errors
/// JSON cannot have one.
pub(crate) fn write_named(tensors: &[Tensor], out: &mut Vec<u8>) -> Result<(), Wrong> {
    out.push(b'{');
    for (nth, tensor) in tensors.iter().enumerate() {
        let comma = if nth > 0 { "," } else { "" };
        out.extend_from_slice(format!("{comma}{}:", serde_json::Value::from(tensor.name())).as_bytes());
        write_nested(tensor, tensor.shape(), out)?;
    }
    out.push(b'}');
    Ok(())
}

/// A list of rows: of values where there is one tensor, of objects where there are several.
///
/// # Errors
/// JSON cannot have one, or they are not of equally many rows.
pub(crate) fn write_rows(tensors: &[Tensor], out: &mut Vec<u8>) -> Result<(), Wrong> {
    if let [only] = tensors {
        // A single value is a row of one.
        let one = [1];
        return write_nested(only, if only.shape().is_empty() { &one } else { only.shape() }, out);
    }
    let rows = tensors.first().map_or(0, Tensor::rows);
    if tensors.iter().any(|tensor| tensor.rows() != rows || tensor.shape().is_empty()) {
        return Err(Wrong::new(
            "outputs",
            "the outputs are not of equally many rows: ask by columns, or name one of them",
        ));
    }
    let columns = tensors.iter().map(rows_of).collect::<Result<Vec<_>, _>>()?;
    out.push(b'[');
    for row in 0..rows {
        out.extend_from_slice(if row > 0 { b",{" } else { b"{" });
        for (nth, (tensor, column)) in tensors.iter().zip(&columns).enumerate() {
            let comma = if nth > 0 { "," } else { "" };
            out.extend_from_slice(format!("{comma}{}:", serde_json::Value::from(tensor.name())).as_bytes());
            out.extend_from_slice(column[row].get().as_bytes());
        }
        out.push(b'}');
    }
    out.push(b']');
    Ok(())
}

/// The rows of a tensor, each as JSON.
///
/// # Errors
/// JSON cannot have one.
pub(crate) fn rows_of(tensor: &Tensor) -> Result<Vec<Box<RawValue>>, Wrong> {
    let mut json = Vec::new();
    write_nested(tensor, tensor.shape(), &mut json)?;
    serde_json::from_slice(&json).map_err(|fault| Wrong::new("outputs", fault.to_string()))
}

/// Writes what is asked, by columns.
///
/// # Errors
/// JSON cannot have it.
pub(crate) fn write_request(request: &PredictRequest) -> Result<Sheet, Wrong> {
    let mut out = b"{\"inputs\":".to_vec();
    match &*request.inputs {
        [only] if only.name().is_empty() => write_nested(only, only.shape(), &mut out)?,
        all => write_named(all, &mut out)?,
    }
    out.push(b'}');
    Ok(Sheet::json(out))
}

/// Reads what was answered: rows or columns, whichever are there.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn read_answer(body: &Bytes) -> Result<PredictAnswer, Wrong> {
    let top = members(json(body)?, "body")?;
    let of = |name: &str| top.iter().find(|(known, _)| known == name).map(|(_, json)| *json);
    let outputs = match (of("outputs"), of("predictions")) {
        (Some(json), _) => read_outputs(json, "outputs")?,
        (None, Some(json)) => read_outputs(json, "predictions")?,
        (None, None) => return Err(Wrong::new("predictions", "there are neither predictions nor outputs")),
    };
    Ok(PredictAnswer { outputs, ..PredictAnswer::default() })
}

/// Outputs in whichever form: lists, rows of objects, or an object of lists.
///
/// # Errors
/// What is wrong with them.
pub(crate) fn read_outputs(json: &RawValue, field: &str) -> Result<Vec<Tensor>, Wrong> {
    if is_object(json) {
        return named(json, field);
    }
    if is_of_objects(json) {
        return records(json, field);
    }
    Ok(vec![nested(field, json, field)?])
}
