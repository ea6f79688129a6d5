//! MLflow's scoring server: `/invocations` with a table (split, records or CSV), `inputs` or `instances`.

use crate::csv;
use crate::data::write_nested;
use crate::loose::{Table, members, records, rows};
use crate::sheet::Sheet;
use crate::tf_serving::{inputs, instances, json, loose, read_outputs, write_named, write_rows};
use crate::wrong::Wrong;
use bytes::Bytes;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tidegate_core::tensor::Parameters;
use tidegate_core::{PredictAnswer, PredictRequest, Tensor};

/// The forms, one of which a body has.
const FORMS: [&str; 4] = ["dataframe_split", "dataframe_records", "inputs", "instances"];

/// Reads what is asked.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn read_request(body: &Bytes, is_csv: bool) -> Result<PredictRequest, Wrong> {
    if is_csv {
        return Ok(loose(csv::read(body)?));
    }
    let top = members(json(body)?, "body")?;
    let mut given = top.iter().filter(|(name, _)| FORMS.contains(&name.as_str()));
    let (Some((form, json)), None) = (given.next(), given.next()) else {
        let says = format!("the body must have exactly one of {}", FORMS.join(", "));
        return Err(Wrong::new("body", says));
    };
    let tensors = match form.as_str() {
        "dataframe_split" => split(json)?,
        "dataframe_records" => records(json, form)?,
        "inputs" => inputs(json, form)?,
        _ => instances(json, form)?,
    };
    Ok(PredictRequest { parameters: params(&top)?, ..loose(tensors) })
}

/// What is said beside, under MLflow's name for it.
fn params(top: &[(String, &RawValue)]) -> Result<Parameters, Wrong> {
    let Some((_, json)) = top.iter().find(|(name, _)| name == "params") else { return Ok(Map::new()) };
    serde_json::from_str::<Option<Map<String, Value>>>(json.get())
        .map(Option::unwrap_or_default)
        .map_err(|_| Wrong::new("params", "params must be an object"))
}

/// A table as pandas splits it.
fn split(json: &RawValue) -> Result<Vec<Tensor>, Wrong> {
    const FIELD: &str = "dataframe_split";
    let parts = members(json, FIELD)?;
    let of = |name: &str| parts.iter().find(|(known, _)| known == name).map(|(_, json)| *json);
    let data_field = format!("{FIELD}.data");
    let data = of("data").ok_or_else(|| Wrong::new(data_field.as_str(), format!("{data_field} is missing")))?;
    let mut table = match of("columns") {
        None => Table::default(),
        Some(json) => {
            let field = format!("{FIELD}.columns");
            let names: Vec<Value> = serde_json::from_str(json.get())
                .map_err(|_| Wrong::new(field.as_str(), format!("{field} must be a list of names")))?;
            let spelled = |name: Value| match name {
                Value::String(text) => text,
                other => other.to_string(),
            };
            Table::new(names.into_iter().map(spelled).collect(), &field)?
        }
    };
    rows(data, &mut table, &data_field)?;
    let tensors = table.tensors()?;
    if tensors.first().is_none_or(|first| first.elements() == 0) {
        return Err(Wrong::new(data_field.as_str(), format!("{data_field} is empty: give at least one row")));
    }
    Ok(tensors)
}

/// Writes what was answered.
///
/// # Errors
/// JSON cannot have it.
pub(crate) fn write_answer(answer: &PredictAnswer) -> Result<Sheet, Wrong> {
    let mut out = b"{\"predictions\":".to_vec();
    let has_rows = |tensor: &Tensor| tensor.rows() == answer.outputs[0].rows() && !tensor.shape().is_empty();
    match &*answer.outputs {
        [only] => write_rows(std::slice::from_ref(only), &mut out)?,
        all if all.iter().all(has_rows) => write_rows(all, &mut out)?,
        all => write_named(all, &mut out)?,
    }
    out.push(b'}');
    Ok(Sheet::json(out))
}

/// Writes what is asked: one tensor as `inputs`, columns as a table.
///
/// # Errors
/// JSON cannot have it.
pub(crate) fn write_request(request: &PredictRequest) -> Result<Sheet, Wrong> {
    let is_column = |tensor: &Tensor| matches!(tensor.shape(), [_] | [_, 1]) && !tensor.name().is_empty();
    let mut out = Vec::with_capacity(64);
    match &*request.inputs {
        [only] if !(request.is_loose && is_column(only)) => {
            out.extend_from_slice(b"{\"inputs\":");
            write_nested(only, only.shape(), &mut out)?;
        }
        all if all.iter().all(|tensor| is_column(tensor) && tensor.rows() == all[0].rows()) => {
            out.extend_from_slice(b"{\"dataframe_records\":");
            let flat =
                |tensor: &Tensor| tensor.clone().shaped(vec![tensor.rows() as u64]).unwrap_or_else(|_| tensor.clone());
            let columns: Vec<Tensor> = all.iter().map(flat).collect();
            if let [only] = &*columns {
                write_records(only, &mut out)?;
            } else {
                write_rows(&columns, &mut out)?;
            }
        }
        all => {
            out.extend_from_slice(b"{\"inputs\":");
            write_named(all, &mut out)?;
        }
    }
    if !request.parameters.is_empty() {
        out.extend_from_slice(format!(",\"params\":{}", Value::Object(request.parameters.clone())).as_bytes());
    }
    out.push(b'}');
    Ok(Sheet::json(out))
}

/// A single column as rows of objects.
fn write_records(column: &Tensor, out: &mut Vec<u8>) -> Result<(), Wrong> {
    let name = Value::from(column.name());
    out.push(b'[');
    for (nth, item) in crate::data::items(column)?.enumerate() {
        out.extend_from_slice(format!("{}{{{name}:", if nth > 0 { "," } else { "" }).as_bytes());
        item.write(out);
        out.push(b'}');
    }
    out.push(b']');
    Ok(())
}

/// Reads what was answered.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn read_answer(body: &Bytes) -> Result<PredictAnswer, Wrong> {
    let top = members(json(body)?, "body")?;
    let found = top.iter().find(|(name, _)| name == "predictions");
    let (_, json) = found.ok_or_else(|| Wrong::new("predictions", "there are no predictions"))?;
    Ok(PredictAnswer { outputs: read_outputs(json, "predictions")?, ..PredictAnswer::default() })
}
