//! Operators of `ai.onnx.ml` that change each number by itself: Scaler, Imputer, Binarizer.

use super::rowwise::{Kernel, Rowwise, Width};
use tract_onnx::model::{OnnxOpRegister, ParsingContext};
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

pub(super) fn register(operators: &mut OnnxOpRegister) {
    operators.insert("Scaler", scaler);
    operators.insert("Imputer", imputer);
    operators.insert("Binarizer", binarizer);
}

type Parsed = TractResult<(Box<dyn InferenceOp>, Vec<String>)>;

/// What is done to a number of a column.
#[derive(Debug)]
enum Change {
    /// (x - offset) · scale
    Scale { offset: Vec<f32>, scale: Vec<f32> },
    /// Another value where it is this one; NaN is NaN here.
    Impute { replaced: f32, by: Vec<f32> },
    /// One above the threshold, else zero.
    Binarize { threshold: f32 },
}

fn scaler(_ctx: &ParsingContext, node: &NodeProto) -> Parsed {
    let offset = node.get_attr_opt_vec("offset")?.unwrap_or_else(|| vec![0.0]);
    let scale = node.get_attr_opt_vec("scale")?.unwrap_or_else(|| vec![1.0]);
    Ok((Rowwise::boxed(Change::Scale { offset, scale }), vec![]))
}

fn imputer(_ctx: &ParsingContext, node: &NodeProto) -> Parsed {
    let floats: Option<Vec<f32>> = node.get_attr_opt_vec("imputed_value_floats")?;
    let (replaced, by) = match floats.filter(|floats| !floats.is_empty()) {
        Some(floats) => (node.get_attr_opt::<f32>("replaced_value_float")?.unwrap_or(0.0), floats),
        None => {
            let whole: Vec<i64> = node.get_attr_vec("imputed_value_int64s")?;
            let replaced = node.get_attr_opt::<i64>("replaced_value_int64")?.unwrap_or(0);
            (replaced as f32, whole.into_iter().map(|number| number as f32).collect())
        }
    };
    Ok((Rowwise::boxed(Change::Impute { replaced, by }), vec![]))
}

fn binarizer(_ctx: &ParsingContext, node: &NodeProto) -> Parsed {
    let threshold = node.get_attr_opt("threshold")?.unwrap_or(0.0);
    Ok((Rowwise::boxed(Change::Binarize { threshold }), vec![]))
}

impl Kernel for Change {
    fn name(&self) -> &'static str {
        match self {
            Self::Scale { .. } => "Scaler",
            Self::Impute { .. } => "Imputer",
            Self::Binarize { .. } => "Binarizer",
        }
    }

    fn gives(&self) -> Vec<(DatumType, Width)> {
        vec![(DatumType::F32, Width::Same)]
    }

    fn work(&self, rows: &[f32], columns: usize) -> TractResult<TVec<Tensor>> {
        let mut changed = rows.to_vec();
        let rows = changed.chunks_exact_mut(columns.max(1));
        match self {
            Self::Scale { offset, scale } => {
                let (offset, scale) = (each(offset, columns)?, each(scale, columns)?);
                for row in rows {
                    for ((x, offset), scale) in row.iter_mut().zip(&offset).zip(&scale) {
                        *x = (*x - offset) * scale;
                    }
                }
            }
            Self::Impute { replaced, by } => {
                let by = each(by, columns)?;
                let is_missing = |x: f32| if replaced.is_nan() { x.is_nan() } else { x == *replaced };
                for row in rows {
                    let missing = row.iter_mut().zip(&by).filter(|(x, _)| is_missing(**x));
                    missing.for_each(|(x, by)| *x = *by);
                }
            }
            Self::Binarize { threshold } => changed.iter_mut().for_each(|x| *x = f32::from(u8::from(*x > *threshold))),
        }
        let count = changed.len() / columns.max(1);
        Ok(tvec!(Tensor::from_shape(&[count, columns], &changed)?))
    }
}

/// One value for all columns, or one each.
fn each(values: &[f32], columns: usize) -> TractResult<Vec<f32>> {
    match values {
        [one] => Ok(vec![*one; columns]),
        _ if values.len() == columns => Ok(values.to_vec()),
        _ => bail!("there are {} values for {columns} columns", values.len()),
    }
}
