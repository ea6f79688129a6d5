//! Operators of `ai.onnx.ml` that only pick or pass on: ArrayFeatureExtractor, ZipMap.

use tract_onnx::model::{OnnxOpRegister, ParsingContext};
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;
use tract_onnx::tract_hir::ops::identity::Identity;
use tract_onnx::tract_hir::tract_core::ops::array::Gather;
use tract_onnx::tract_hir::tract_core::ops::cast::cast;

pub(super) fn register(operators: &mut OnnxOpRegister) {
    operators.insert("ArrayFeatureExtractor", extractor);
    operators.insert("ZipMap", zip_map);
}

type Parsed = TractResult<(Box<dyn InferenceOp>, Vec<String>)>;

/// Probabilities with the names of classes become probabilities in the order of classes: tensors have no maps.
fn zip_map(_ctx: &ParsingContext, _node: &NodeProto) -> Parsed {
    Ok((Box::new(Identity), vec![]))
}

fn extractor(_ctx: &ParsingContext, _node: &NodeProto) -> Parsed {
    Ok((expand(Extractor), vec![]))
}

/// Values of the last dimension by their places, which are a tensor themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Extractor;

impl Expansion for Extractor {
    fn name(&self) -> StaticName {
        "ArrayFeatureExtractor".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 2)?;
        check_output_arity(outputs, 1)?;
        s.equals(&inputs[0].datum_type, &outputs[0].datum_type)?;
        s.given_2(&inputs[0].shape, &inputs[1].shape, move |s, from, places| {
            let Some((_, outer)) = from.split_last() else { bail!("there is nothing to pick from") };
            // As onnxruntime: a list gives a row.
            let mut shape: TVec<TDim> = if outer.is_empty() { tvec!(1.to_dim()) } else { outer.into() };
            shape.push(places.iter().product());
            s.equals(&outputs[0].shape, shape)
        })
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let mut from = inputs[0];
        if model.outlet_fact(from)?.rank() == 1 {
            from = model.wire_node(format!("{prefix}.row"), AxisOp::Add(0), &[from])?[0];
        }
        let axis = model.outlet_fact(from)?.rank() - 1;
        let mut places = model.wire_node(format!("{prefix}.places"), cast(i64::datum_type()), &[inputs[1]])?[0];
        let shape: TVec<TDim> = model.outlet_fact(places)?.shape.iter().cloned().collect();
        if shape.len() != 1 {
            let flat: TVec<TDim> = tvec!(shape.iter().product());
            places = model.wire_node(format!("{prefix}.flat"), AxisOp::Reshape(0, shape, flat), &[places])?[0];
        }
        model.wire_node(prefix, Gather::new(axis), &[from, places])
    }
}
