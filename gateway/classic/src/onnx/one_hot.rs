//! OneHotEncoder of `ai.onnx.ml`: categories, as texts or whole numbers, become ones and zeros of a dimension of their own.

use tract_onnx::model::{OnnxOpRegister, ParsingContext};
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

pub(super) fn register(operators: &mut OnnxOpRegister) {
    operators.insert("OneHotEncoder", encoder);
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct OneHot {
    categories: Categories,
    /// Whether an unknown category is all zeros, and no fault.
    are_others_zero: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Categories {
    Texts(Vec<String>),
    Numbers(Vec<i64>),
}

fn encoder(_ctx: &ParsingContext, node: &NodeProto) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let texts: Option<Vec<String>> = node.get_attr_opt_vec("cats_strings")?;
    let categories = match texts.filter(|texts| !texts.is_empty()) {
        Some(texts) => Categories::Texts(texts),
        None => Categories::Numbers(node.get_attr_vec("cats_int64s")?),
    };
    let are_others_zero = node.get_attr_opt::<i64>("zeros")?.unwrap_or(1) != 0;
    Ok((expand(OneHot { categories, are_others_zero }), vec![]))
}

impl OneHot {
    fn width(&self) -> usize {
        match &self.categories {
            Categories::Texts(texts) => texts.len(),
            Categories::Numbers(numbers) => numbers.len(),
        }
    }

    /// The place of each value among the categories.
    fn places(&self, input: &Tensor) -> TractResult<Vec<Option<usize>>> {
        let place = |found: Option<usize>, shown: &dyn std::fmt::Display| {
            if found.is_none() && !self.are_others_zero {
                bail!("`{shown}` is no category that the model knows");
            }
            Ok(found)
        };
        match &self.categories {
            Categories::Texts(texts) => {
                let values = input.try_as_plain_ram()?.as_slice::<String>()?;
                values.iter().map(|value| place(texts.iter().position(|text| text == value), value)).collect()
            }
            Categories::Numbers(numbers) => {
                let values = input.cast_to::<f64>()?;
                let values = values.try_as_plain_ram()?.as_slice::<f64>()?;
                values.iter().map(|value| place(numbers.iter().position(|one| *one as f64 == *value), value)).collect()
            }
        }
    }
}

impl Expansion for OneHot {
    fn name(&self) -> StaticName {
        "OneHotEncoder".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 1)?;
        check_output_arity(outputs, 1)?;
        s.equals(&outputs[0].datum_type, DatumType::F32)?;
        s.given(&inputs[0].shape, move |s, mut shape| {
            shape.push(self.width().to_dim());
            s.equals(&outputs[0].shape, shape)
        })
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        model.wire_node(prefix, self.clone(), inputs)
    }
}

impl Op for OneHot {
    fn name(&self) -> StaticName {
        "OneHotEncoder".into()
    }

    op_as_typed_op!();
}

impl EvalOp for OneHot {
    op_out_of_plan!();

    fn eval(&self, _ctx: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let input = args_1!(inputs);
        let places = self.places(&input)?;
        let mut ones = vec![0.0_f32; places.len() * self.width()];
        for (row, place) in ones.chunks_exact_mut(self.width().max(1)).zip(places) {
            if let Some(place) = place {
                row[place] = 1.0;
            }
        }
        let shape: Vec<usize> = input.shape().iter().copied().chain([self.width()]).collect();
        Ok(tvec!(Tensor::from_shape(&shape, &ones)?.into_tvalue()))
    }
}

impl TypedOp for OneHot {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let shape = inputs[0].shape.iter().cloned().chain([self.width().to_dim()]);
        Ok(tvec!(f32::fact(shape.collect::<TVec<TDim>>())))
    }

    as_op!();
}
