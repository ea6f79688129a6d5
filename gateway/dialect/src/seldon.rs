//! Seldon's first protocol: `{"data": {"names": […], "ndarray": […]}}`, or with a `tensor`, or texts and JSON beside `data`.

use crate::data::{write_flat, write_nested};
use crate::loose::{members, nested};
use crate::sheet::Sheet;
use crate::tf_serving::{json, loose};
use crate::wrong::Wrong;
use bytes::Bytes;
use serde_json::Value;
use serde_json::value::RawValue;
use tidegate_core::{PredictAnswer, PredictRequest, Tensor};

/// The form of the data, which an answer has as it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Ndarray,
    Tensor,
    Text,
}

/// Reads what is asked.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn read_request(body: &Bytes) -> Result<(PredictRequest, Form), Wrong> {
    let (tensors, form) = message(json(body)?)?;
    if tensors.iter().any(|tensor| tensor.elements() == 0) {
        return Err(Wrong::new("data", "data is empty: give at least one row"));
    }
    Ok((loose(tensors), form))
}

/// A message of either direction.
fn message(json: &RawValue) -> Result<(Vec<Tensor>, Form), Wrong> {
    let top = members(json, "body")?;
    let of = |name: &str| top.iter().find(|(known, _)| known == name).map(|(_, json)| *json);
    if let Some(text) = of("strData") {
        return Ok((
            vec![nested("", text, "strData")?.shaped(vec![1]).map_err(|fault| Wrong::tensor("strData", &fault))?],
            Form::Text,
        ));
    }
    let data = of("data").ok_or_else(|| Wrong::new("data", "data is missing: it has `ndarray` or `tensor`"))?;
    let parts = members(data, "data")?;
    let of = |name: &str| parts.iter().find(|(known, _)| known == name).map(|(_, json)| *json);
    match (of("ndarray"), of("tensor")) {
        (Some(array), None) => Ok((columns(nested("", array, "data.ndarray")?, of("names"))?, Form::Ndarray)),
        (None, Some(tensor)) => {
            let parts = members(tensor, "data.tensor")?;
            let of = |name: &str| {
                let found = parts.iter().find(|(known, _)| known == name).map(|(_, json)| *json);
                found.ok_or_else(|| Wrong::new(format!("data.tensor.{name}"), format!("data.tensor.{name} is missing")))
            };
            let shape: Vec<u64> = serde_json::from_str(of("shape")?.get())
                .map_err(|_| Wrong::new("data.tensor.shape", "data.tensor.shape must be a list of whole numbers"))?;
            let values = nested("", of("values")?, "data.tensor.values")?;
            let tensor = values.shaped(shape).map_err(|fault| Wrong::tensor("data.tensor", &fault))?;
            Ok((columns(tensor, None)?, Form::Tensor))
        }
        _ => Err(Wrong::new("data", "data must have either `ndarray` or `tensor`")),
    }
}

/// Names are of columns, which a model with one input gets as they stand: they must be as many.
fn columns(tensor: Tensor, names: Option<&RawValue>) -> Result<Vec<Tensor>, Wrong> {
    let Some(names) = names else { return Ok(vec![tensor]) };
    let names: Vec<String> = serde_json::from_str(names.get())
        .map_err(|_| Wrong::new("data.names", "data.names must be a list of texts"))?;
    if !names.is_empty() && tensor.shape().get(1).is_some_and(|width| *width != names.len() as u64) {
        return Err(Wrong::new("data.names", "data.names must name each column of `ndarray`"));
    }
    Ok(vec![tensor])
}

/// Writes what was answered; `call` is what feedback names it by.
///
/// # Errors
/// JSON cannot have it, or there are several outputs.
pub(crate) fn write_answer(model: &str, call: &str, answer: &PredictAnswer, form: Form) -> Result<Sheet, Wrong> {
    let [output] = &*answer.outputs else {
        return Err(Wrong::new(
            "data",
            "this protocol has one output, and the model several: use /v2/models/NAME/infer",
        ));
    };
    let meta = serde_json::json!({"puid": call, "requestPath": {model: model}});
    let mut out = format!("{{\"meta\":{meta},").into_bytes();
    match form {
        Form::Text if output.datatype() == tidegate_core::Datatype::Bytes && output.elements() == 1 => {
            out.extend_from_slice(b"\"strData\":");
            write_nested(output, &[], &mut out)?;
            out.push(b'}');
            return Ok(Sheet::json(out));
        }
        Form::Tensor if output.datatype() != tidegate_core::Datatype::Bytes => {
            let names = names(output);
            out.extend_from_slice(
                format!("\"data\":{{\"names\":{names},\"tensor\":{{\"shape\":{}", Value::from(output.shape()))
                    .as_bytes(),
            );
            out.extend_from_slice(b",\"values\":");
            write_flat(output, &mut out)?;
            out.extend_from_slice(b"}}}");
        }
        _ => {
            out.extend_from_slice(format!("\"data\":{{\"names\":{},\"ndarray\":", names(output)).as_bytes());
            write_nested(output, output.shape(), &mut out)?;
            out.extend_from_slice(b"}}");
        }
    }
    Ok(Sheet::json(out))
}

/// The names of the columns of an output: its own, numbered where it has several, as Seldon's servers do.
fn names(output: &Tensor) -> Value {
    match output.shape().get(1) {
        Some(width @ 2..=4096) => (0..*width).map(|nth| format!("t:{nth}")).collect(),
        _ => Value::from(vec![output.name()]),
    }
}

/// Writes what is asked.
///
/// # Errors
/// JSON cannot have it, or there are several inputs.
pub(crate) fn write_request(request: &PredictRequest) -> Result<Sheet, Wrong> {
    let [input] = &*request.inputs else {
        return Err(Wrong::new("inputs", "this provider's protocol (seldon) has one input: send one tensor"));
    };
    let mut out = b"{\"data\":{\"ndarray\":".to_vec();
    write_nested(input, input.shape(), &mut out)?;
    out.extend_from_slice(b"}}");
    Ok(Sheet::json(out))
}

/// Reads what was answered.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn read_answer(body: &Bytes) -> Result<PredictAnswer, Wrong> {
    let (outputs, _) = message(json(body)?)?;
    let outputs = outputs.into_iter().map(|tensor| tensor.named("output")).collect();
    Ok(PredictAnswer { outputs, ..PredictAnswer::default() })
}
