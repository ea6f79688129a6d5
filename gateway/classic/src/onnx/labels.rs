//! The labels of a classifier: numbers or names.

use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

#[derive(Debug)]
pub(super) enum Labels {
    Numbers(Vec<i64>),
    Texts(Vec<String>),
}

impl Labels {
    /// Those of a node; where numbers stand, the operator says.
    pub(super) fn of(node: &NodeProto, numbers: &str) -> TractResult<Self> {
        Ok(match node.get_attr_opt_vec::<i64>(numbers)?.filter(|labels| !labels.is_empty()) {
            Some(numbers) => Self::Numbers(numbers),
            None => Self::Texts(node.get_attr_vec("classlabels_strings")?),
        })
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Numbers(labels) => labels.len(),
            Self::Texts(labels) => labels.len(),
        }
    }

    pub(super) fn datum_type(&self) -> DatumType {
        match self {
            Self::Numbers(_) => DatumType::I64,
            Self::Texts(_) => DatumType::String,
        }
    }

    /// The labels at these places.
    pub(super) fn tensor(&self, places: &[usize]) -> Tensor {
        match self {
            Self::Numbers(labels) => tensor1(&places.iter().map(|place| labels[*place]).collect::<Vec<_>>()),
            Self::Texts(labels) => tensor1(&places.iter().map(|place| labels[*place].clone()).collect::<Vec<_>>()),
        }
    }
}

/// Where the first of the highest stands.
pub(super) fn highest(row: &[f32]) -> usize {
    let first = (0, f32::NEG_INFINITY);
    row.iter().enumerate().fold(first, |best, (at, score)| if *score > best.1 { (at, *score) } else { best }).0
}
