//! TF Serving's `:predict`, by rows (`instances`, `predictions`) and by columns (`inputs`, `outputs`).

use crate::data::{write_nested, write_nested_in_words};
use crate::loose::{is_object, is_of_objects, members, named, nested, records};
use crate::sheet::Sheet;
use crate::wrong::Wrong;
use bytes::Bytes;
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use tidegate_core::{PredictAnswer, PredictRequest, Tensor};

/// The signature that a call means; whoever has no such thing leaves it.
const SIGNATURE: &str = "signature_name";

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
    let (tensors, form) = match (of("instances"), of("inputs")) {
        (Some(rows), None) => (instances(rows, "instances")?, Form::Rows),
        (None, Some(columns)) => (inputs(columns, "inputs")?, Form::Columns),
        _ => {
            let says = "the body must have either `instances` (by rows) or `inputs` (by columns)";
            return Err(Wrong::new("instances", says));
        }
    };
    let mut request = loose(tensors);
    if let Some(name) = of(SIGNATURE) {
        let wrong = |_| Wrong::new(SIGNATURE, "`signature_name` must be a text: the name of a signature of the model");
        let name: String = serde_json::from_str(name.get()).map_err(wrong)?;
        request.parameters.insert(SIGNATURE.to_owned(), Value::from(name));
    }
    Ok((request, form))
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
    write_members(tensors, out, write_nested)
}

/// How a tensor becomes lists of lists.
type Writer = fn(&Tensor, &[u64], &mut Vec<u8>) -> Result<(), Wrong>;

fn write_members(tensors: &[Tensor], out: &mut Vec<u8>, write: Writer) -> Result<(), Wrong> {
    out.push(b'{');
    for (nth, tensor) in tensors.iter().enumerate() {
        let comma = if nth > 0 { "," } else { "" };
        out.extend_from_slice(format!("{comma}{}:", serde_json::Value::from(tensor.name())).as_bytes());
        write(tensor, tensor.shape(), out)?;
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

/// Writes what is asked, by columns. A tensor that is alone goes without its name: the only input is meant, and KServe's server of
/// this protocol takes it so and in no other way.
///
/// # Errors
/// JSON cannot have it.
pub(crate) fn write_request(request: &PredictRequest) -> Result<Sheet, Wrong> {
    let mut out = b"{".to_vec();
    if let Some(name @ Value::String(_)) = request.parameters.get(SIGNATURE) {
        out.extend_from_slice(format!("\"{SIGNATURE}\":{name},").as_bytes());
    }
    out.extend_from_slice(b"\"inputs\":");
    match &*request.inputs {
        [only] => write_nested_in_words(only, only.shape(), &mut out)?,
        all => write_members(all, &mut out, write_nested_in_words)?,
    }
    out.push(b'}');
    Ok(Sheet::json(out))
}

/// Reads what was answered: rows or columns, whichever are there.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn read_answer(body: &Bytes) -> Result<PredictAnswer, Wrong> {
    let body = without_words(body)?;
    let top = members(json(&body)?, "body")?;
    let of = |name: &str| top.iter().find(|(known, _)| known == name).map(|(_, json)| *json);
    let outputs = match (of("outputs"), of("predictions")) {
        (Some(json), _) => read_outputs(json, "outputs")?,
        (None, Some(json)) => read_outputs(json, "predictions")?,
        (None, None) => return Err(Wrong::new("predictions", "there are neither predictions nor outputs")),
    };
    Ok(PredictAnswer { outputs, ..PredictAnswer::default() })
}

/// An answer in which `NaN`, which TF Serving and Python's `json` write, is null, as JSON has it.
///
/// # Errors
/// It has an infinite number, for which JSON has nothing.
pub(crate) fn without_words(body: &Bytes) -> Result<Cow<'_, Bytes>, Wrong> {
    if !["NaN", "Infinity"].iter().any(|word| memchr::memmem::find(body, word.as_bytes()).is_some()) {
        return Ok(Cow::Borrowed(body));
    }
    let mut out = Vec::with_capacity(body.len() + 8);
    let (mut rest, mut is_text) = (&**body, false);
    while let Some((first, after)) = rest.split_first() {
        let known = if is_text { 0 } else { usize::from(rest.starts_with(b"NaN")) * 3 };
        if !is_text && rest.starts_with(b"Infinity") {
            return Err(Wrong::new("outputs", "an output is infinite, and JSON has finite numbers alone"));
        }
        match (first, known) {
            (_, 3) => out.extend_from_slice(b"null"),
            (b'\\', _) if is_text => out.extend_from_slice(&rest[..rest.len().min(2)]),
            _ => out.push(*first),
        }
        is_text ^= *first == b'"';
        rest = match (first, known) {
            (_, 3) => &rest[3..],
            (b'\\', _) if is_text => rest.get(2..).unwrap_or_default(),
            _ => after,
        };
    }
    Ok(Cow::Owned(out.into()))
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
