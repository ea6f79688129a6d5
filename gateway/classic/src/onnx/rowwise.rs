//! An operator that works on rows of numbers, as tract sees it. Owns the adapter; what is done to a row is a [`Kernel`]'s.

use std::fmt;
use std::sync::Arc;
use tract_onnx::tract_hir::internal::*;

/// What an operator does to rows.
pub(super) trait Kernel: fmt::Debug + Send + Sync {
    fn name(&self) -> &'static str;
    /// Its outputs: of which type, and how many values a row.
    fn gives(&self) -> Vec<(DatumType, Width)>;
    /// The outputs for rows of so many columns. `rows` are whole.
    fn work(&self, rows: &[f32], columns: usize) -> TractResult<TVec<Tensor>>;
}

/// How many values an output has for each row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    /// One, without a dimension of its own.
    Flat,
    /// As many as come in.
    Same,
    Of(usize),
}

/// The operator in a graph. Two are alike where they are the same one: nothing hinges on it but merging.
#[derive(Debug, Clone)]
pub(super) struct Rowwise(Arc<dyn Kernel>);

impl Rowwise {
    pub(super) fn boxed(kernel: impl Kernel + 'static) -> Box<dyn InferenceOp> {
        expand(Self(Arc::new(kernel)))
    }
}

impl PartialEq for Rowwise {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Rowwise {}

impl Expansion for Rowwise {
    fn name(&self) -> StaticName {
        self.0.name().into()
    }

    fn nboutputs(&self) -> TractResult<usize> {
        Ok(self.0.gives().len())
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        let gives = self.0.gives();
        check_input_arity(inputs, 1)?;
        check_output_arity(outputs, gives.len())?;
        s.equals(&inputs[0].rank, 2)?;
        for (output, (datum_type, width)) in outputs.iter().zip(gives) {
            s.equals(&output.datum_type, datum_type)?;
            s.equals(&output.shape[0], &inputs[0].shape[0])?;
            match width {
                Width::Flat => s.equals(&output.rank, 1)?,
                Width::Same => {
                    s.equals(&output.rank, 2)?;
                    s.equals(&output.shape[1], &inputs[0].shape[1])?;
                }
                Width::Of(width) => {
                    s.equals(&output.rank, 2)?;
                    s.equals(&output.shape[1], width.to_dim())?;
                }
            }
        }
        Ok(())
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let mut rows = inputs[0];
        if model.outlet_fact(rows)?.datum_type != f32::datum_type() {
            let cast = tract_core::ops::cast::cast(f32::datum_type());
            rows = model.wire_node(format!("{prefix}.rows"), cast, &[rows])?[0];
        }
        model.wire_node(prefix, self.clone(), &[rows])
    }
}

impl Op for Rowwise {
    fn name(&self) -> StaticName {
        self.0.name().into()
    }

    op_as_typed_op!();
}

impl EvalOp for Rowwise {
    op_out_of_plan!();

    fn eval(&self, _ctx: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let input = args_1!(inputs);
        let &[_, columns] = input.shape() else { bail!("{} takes rows × columns", self.0.name()) };
        let rows = input.try_as_plain_ram()?.as_slice::<f32>()?;
        Ok(self.0.work(rows, columns)?.into_iter().map(IntoTValue::into_tvalue).collect())
    }
}

impl TypedOp for Rowwise {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let [rows, columns] = inputs[0].shape.dims() else { bail!("{} takes rows × columns", self.0.name()) };
        let fact = |(datum_type, width): (DatumType, Width)| match width {
            Width::Flat => datum_type.fact([rows.clone()]),
            Width::Same => datum_type.fact([rows.clone(), columns.clone()]),
            Width::Of(width) => datum_type.fact([rows.clone(), width.to_dim()]),
        };
        Ok(self.0.gives().into_iter().map(fact).collect())
    }

    as_op!();
}
