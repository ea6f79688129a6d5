//! What a wire without names and datatypes says is made to be what a model takes. Pure.

use crate::cell::{Cell, put};
use crate::wrong::{Wrong, shown};
use bytes::BytesMut;
use tidegate_core::tensor::ModelMeta;
use tidegate_core::{Datatype, PredictRequest, Tensor, TensorMeta};

/// What an input is called where neither the caller nor the model says it.
const UNNAMED: &str = "input-0";

/// The request with the model's names and datatypes, as far as it says any: a tensor without a name is its only input, columns
/// that are none of its inputs are those of its only one, in their order.
///
/// # Errors
/// A value is none of the model's datatype.
pub fn bind(request: &PredictRequest, meta: &ModelMeta) -> Result<PredictRequest, Wrong> {
    let is_named = |tensor: &Tensor| meta.inputs.iter().any(|input| input.name == tensor.name());
    let inputs = match (&*request.inputs, &*meta.inputs) {
        ([only], [input]) if only.name().is_empty() => vec![as_input(only, input)?],
        (columns, [input]) if !columns.iter().any(is_named) && fits(columns, input) => vec![stacked(columns, input)?],
        (tensors, known) => tensors
            .iter()
            .map(|tensor| match known.iter().find(|input| input.name == tensor.name()) {
                Some(input) => cast(tensor, input.datatype),
                None if tensor.name().is_empty() => Ok(tensor.clone().named(UNNAMED)),
                None => Ok(tensor.clone()),
            })
            .collect::<Result<_, _>>()?,
    };
    Ok(PredictRequest { inputs, is_loose: false, ..request.clone() })
}

fn as_input(tensor: &Tensor, input: &TensorMeta) -> Result<Tensor, Wrong> {
    cast(&tensor.clone().named(input.name.as_str()), input.datatype)
}

/// Whether these are the columns of an input of rows.
fn fits(columns: &[Tensor], input: &TensorMeta) -> bool {
    let is_column = |column: &Tensor| {
        matches!(column.shape(), [_] | [_, 1]) && column.rows() == columns[0].rows() && column.numbers().is_some()
    };
    matches!(input.shape[..], [_, width] if width.is_none_or(|width| width == columns.len() as u64))
        && input.datatype != Datatype::Bytes
        && !columns.is_empty()
        && columns.iter().all(is_column)
}

/// Columns beside each other.
fn stacked(columns: &[Tensor], input: &TensorMeta) -> Result<Tensor, Wrong> {
    let columns: Vec<Vec<f64>> =
        columns.iter().map(|column| column.numbers().into_iter().flatten().collect()).collect();
    let rows = columns.first().map_or(0, Vec::len);
    let values: Vec<f64> = (0..rows).flat_map(|row| columns.iter().map(move |column| column[row])).collect();
    let tensor = Tensor::of_f64(input.name.as_str(), vec![rows as u64, columns.len() as u64], &values);
    cast(&tensor.map_err(|fault| Wrong::tensor("inputs", &fault))?, input.datatype)
}

/// The same values as another datatype.
fn cast(tensor: &Tensor, to: Datatype) -> Result<Tensor, Wrong> {
    let from = tensor.datatype();
    // A text is no number, and no number a text: whoever runs the model says so.
    let (Some(width), Some(_), false) = (from.width(), to.width(), from == to) else { return Ok(tensor.clone()) };
    let mut data = BytesMut::with_capacity(tensor.elements() * to.width().unwrap_or(1));
    for (nth, bytes) in tensor.data().chunks_exact(width).enumerate() {
        let cell = match <[u8; 8]>::try_from(bytes) {
            Ok(whole) if from == Datatype::Int64 => Cell::Whole(i64::from_le_bytes(whole)),
            _ if from == Datatype::Bool => Cell::Whole(i64::from(bytes == [1])),
            _ => Cell::Number(from.number(bytes)),
        };
        put(to, &cell, &mut data).map_err(|why| {
            let name = shown(tensor.name());
            Wrong::new(name.as_str(), format!("element {nth} of `{name}` {why} ({to})"))
        })?;
    }
    let made = Tensor::new(tensor.name(), to, tensor.shape().to_vec(), data.freeze());
    made.map_err(|fault| Wrong::tensor("inputs", &fault))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(name: &str, datatype: Datatype, width: Option<u64>) -> ModelMeta {
        let input = TensorMeta { name: name.to_owned(), datatype, shape: vec![None, width] };
        ModelMeta { inputs: vec![input], ..ModelMeta::default() }
    }

    fn loose(inputs: Vec<Tensor>) -> PredictRequest {
        PredictRequest { inputs, is_loose: true, ..PredictRequest::default() }
    }

    #[test]
    fn what_has_no_name_is_the_only_input() {
        let request = loose(vec![Tensor::of_i64("", vec![1, 2], &[1, 2]).unwrap()]);
        let bound = bind(&request, &meta("x", Datatype::Fp32, Some(2))).unwrap();
        assert_eq!(
            (bound.inputs, bound.is_loose),
            (vec![Tensor::of_f32("x", vec![1, 2], &[1.0, 2.0]).unwrap()], false)
        );
        assert_eq!(bind(&request, &ModelMeta::default()).unwrap().inputs[0].name(), "input-0");
        let fraction = loose(vec![Tensor::of_f64("", vec![1, 1], &[0.5]).unwrap()]);
        let wrong = bind(&fraction, &meta("x", Datatype::Int32, None)).unwrap_err();
        assert!(wrong.says.contains("whole number (INT32)"), "{wrong:?}");
    }

    #[test]
    fn columns_become_rows_unless_the_model_has_them_by_name() {
        let columns = loose(vec![
            Tensor::of_i64("a", vec![2], &[1, 2]).unwrap(),
            Tensor::of_f64("b", vec![2], &[0.5, f64::NAN]).unwrap(),
        ]);
        let bound = bind(&columns, &meta("x", Datatype::Fp64, Some(2))).unwrap();
        assert_eq!((bound.inputs.len(), bound.inputs[0].shape()), (1, &[2, 2][..]));
        assert_eq!(bound.inputs[0].numbers().unwrap().take(3).collect::<Vec<_>>(), [1.0, 0.5, 2.0]);
        let named = bind(&columns, &meta("a", Datatype::Fp32, Some(1))).unwrap();
        assert_eq!((named.inputs[0].datatype(), named.inputs[1].datatype()), (Datatype::Fp32, Datatype::Fp64));
        // Of another width they are left as they are.
        assert_eq!(bind(&columns, &meta("x", Datatype::Fp64, Some(3))).unwrap().inputs, columns.inputs);
    }
}
