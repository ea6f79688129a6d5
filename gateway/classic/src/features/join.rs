//! Looked-up features join the inputs of a call. Owns how columns become tensors, their order, and how they are put together
//! into one input of rows × values.

use bytes::{BufMut, Bytes, BytesMut};
use std::sync::Arc;
use tidegate_core::port::features::FeatureValue;
use tidegate_core::spec::LookupSpec;
use tidegate_core::{Datatype, Fault, PredictRequest, Tensor};

/// A column of what was looked up: a value for each row.
#[derive(Debug)]
pub(super) struct Column<'a> {
    pub(super) name: &'a Arc<str>,
    pub(super) datatype: Datatype,
    pub(super) values: Vec<&'a FeatureValue>,
}

/// The call with these columns. `keys` are what callers call the join keys, which the model gets only where the route names them.
///
/// # Errors
/// The caller lacks what the route names, or what is put together has other rows or is no number.
pub(super) fn joined(
    lookup: &LookupSpec,
    asked: &PredictRequest,
    keys: &[&str],
    columns: &[Column<'_>],
) -> Result<PredictRequest, Fault> {
    let looked_up = columns.iter().map(tensor).collect::<Result<Vec<_>, _>>()?;
    let inputs = if lookup.inputs.is_empty() {
        let own = asked.inputs.iter().filter(|tensor| !keys.contains(&tensor.name()));
        own.cloned().chain(looked_up).collect()
    } else {
        named(lookup, asked, &looked_up)?
    };
    let inputs = match &lookup.join {
        Some(name) => vec![together(name, &inputs)?],
        None => inputs,
    };
    let parameters = asked.parameters.iter().filter(|(name, _)| !keys.contains(&name.as_str()));
    let parameters = parameters.map(|(name, value)| (name.clone(), value.clone())).collect();
    Ok(PredictRequest { inputs, parameters, ..asked.clone() })
}

/// The inputs that the route names, in its order.
fn named(lookup: &LookupSpec, asked: &PredictRequest, looked_up: &[Tensor]) -> Result<Vec<Tensor>, Fault> {
    let find = |name: &Arc<str>| {
        let own = asked.inputs.iter().chain(looked_up).find(|tensor| tensor.name() == &**name);
        own.cloned().ok_or_else(|| {
            let says = format!("the input `{name}` is missing, and no store has it: send it");
            Fault::field(name.to_string(), says)
        })
    };
    lookup.inputs.iter().map(find).collect()
}

/// The inputs as one of rows × values: of `FP64` where one of them is, of `INT64` or `INT32`, too; else of `FP32`.
fn together(name: &str, inputs: &[Tensor]) -> Result<Tensor, Fault> {
    let rows = inputs.first().map_or(0, Tensor::rows);
    let mut blocks: Vec<(Vec<f64>, usize)> = Vec::with_capacity(inputs.len());
    for tensor in inputs {
        let elements = tensor.elements();
        if tensor.rows() != rows || rows == 0 {
            let says = format!("`{}` has {} rows, but `{}` has {rows}", tensor.name(), tensor.rows(), inputs[0].name());
            return Err(Fault::field(tensor.name().to_owned(), says));
        }
        let numbers = tensor.numbers().ok_or_else(|| {
            let says =
                format!("`{}` is of {}, and the model's one input is of numbers", tensor.name(), tensor.datatype());
            Fault::field(tensor.name().to_owned(), says)
        })?;
        blocks.push((numbers.collect(), elements / rows));
    }
    let width: usize = blocks.iter().map(|(_, width)| width).sum();
    let mut values = Vec::with_capacity(rows * width);
    for row in 0..rows {
        for (numbers, width) in &blocks {
            values.extend_from_slice(numbers.get(row * width..(row + 1) * width).unwrap_or_default());
        }
    }
    let is_wide = |tensor: &Tensor| !matches!(tensor.datatype(), Datatype::Fp32 | Datatype::Bool);
    let shape = vec![rows as u64, width as u64];
    let whole = if inputs.iter().any(is_wide) {
        Tensor::of_f64(name, shape, &values)
    } else {
        #[expect(clippy::cast_possible_truncation, reason = "they come of numbers of 32 bits")]
        let narrow: Vec<f32> = values.iter().map(|number| *number as f32).collect();
        Tensor::of_f32(name, shape, &narrow)
    };
    whole.map_err(Fault::internal)
}

/// A column as a tensor of one dimension.
fn tensor(column: &Column<'_>) -> Result<Tensor, Fault> {
    let mut data = BytesMut::new();
    for value in &column.values {
        put(&mut data, column.datatype, value);
    }
    let (shape, data): (_, Bytes) = (vec![column.values.len() as u64], data.freeze());
    Tensor::new(&**column.name, column.datatype, shape, data).map_err(Fault::internal)
}

/// Puts a value that fits its type.
#[expect(clippy::cast_possible_truncation, reason = "FP32 is the nearest number of 32 bits, INT32 was looked at")]
fn put(data: &mut BytesMut, datatype: Datatype, value: &FeatureValue) {
    match (datatype, value) {
        (Datatype::Fp32, FeatureValue::Number(number)) => data.put_f32_le(*number as f32),
        (Datatype::Fp64, FeatureValue::Number(number)) => data.put_f64_le(*number),
        (Datatype::Int32, FeatureValue::Integer(number)) => data.put_i32_le(*number as i32),
        (Datatype::Int64, FeatureValue::Integer(number)) => data.put_i64_le(*number),
        (Datatype::Bool, FeatureValue::Truth(truth)) => data.put_u8(u8::from(*truth)),
        (Datatype::Bytes, FeatureValue::Text(text)) => tidegate_core::tensor::put_text(data, text.as_bytes()),
        // Nothing else is let through by `fitted`; the tensor would be refused for its size.
        _ => {}
    }
}
