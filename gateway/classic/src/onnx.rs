//! Models in ONNX, run by tract. Owns how a file becomes a plan and a call's tensors its inputs. Operators of the domain
//! `ai.onnx.ml` that tract lacks are in `onnx/`, over the trees of this crate; what neither has is refused by name.

mod exchange;
mod extract;
mod labels;
mod linear;
mod one_hot;
mod rowwise;
mod scale;
mod transform;
mod trees;

use crate::error::some_of;
use crate::{Explaining, Explanation, Matrix, Refused, Unreadable, permutation};
use std::panic::{AssertUnwindSafe, catch_unwind};
use tidegate_core::{Tensor, TensorMeta};
use tract_onnx::Onnx;
use tract_onnx::pb::{GraphProto, ModelProto};
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::{DimFact, Factoid as _, GenericFactoid, InferenceFact, bail, format_err};

const FORMAT: &str = "ONNX";
/// The size that a call decides.
const ROWS: &str = "tidegate_rows";

/// A model that is ready to run.
#[derive(Debug)]
pub(crate) struct Graph {
    plan: Arc<TypedRunnableModel>,
    inputs: Vec<TensorMeta>,
    outputs: Vec<TensorMeta>,
    features: Vec<String>,
}

/// Whether bytes may be a model in ONNX: a protobuf message whose first field is the version of its form.
pub(crate) fn looks_like(bytes: &[u8]) -> bool {
    matches!(bytes, [0x08, version, next, ..] if (1..=40).contains(version) && next & 7 == 2)
}

/// Reads a model.
pub(crate) fn read(bytes: &[u8]) -> Result<Graph, Unreadable> {
    // Hostile files find tract's panics sooner or later; they end here.
    catch_unwind(AssertUnwindSafe(|| load(bytes)))
        .unwrap_or_else(|_| Err(damaged("the graph is not sound: reading it failed".to_owned())))
}

fn load(bytes: &[u8]) -> Result<Graph, Unreadable> {
    let framework = framework();
    let proto = framework.proto_model_for_read(&mut &*bytes).map_err(|error| damaged(said(&error)))?;
    let graph = proto.graph.as_ref().ok_or_else(|| damaged("it has no graph".to_owned()))?;
    known(&framework, graph)?;
    let model = sized(&framework, &proto).map_err(|error| damaged(said(&error)))?;
    let is_weight = |name: &str| graph.initializer.iter().any(|tensor| tensor.name == name);
    let names: Vec<&str> = graph.input.iter().map(|input| &*input.name).filter(|name| !is_weight(name)).collect();
    let inputs = exchange::metas(&model, &model.inputs, &names).map_err(|error| unsupported(said(&error)))?;
    let names: Vec<&str> = graph.output.iter().map(|output| &*output.name).collect();
    let outputs = exchange::metas(&model, &model.outputs, &names).map_err(|error| unsupported(said(&error)))?;
    let plan = model.into_runnable().map_err(|error| damaged(said(&error)))?;
    Ok(Graph { plan, features: features(&inputs), inputs, outputs })
}

/// Tract, with the operators that it lacks.
fn framework() -> Onnx {
    let mut framework = tract_onnx::onnx().with_ignore_value_info(true);
    trees::register(&mut framework.op_register);
    linear::register(&mut framework.op_register);
    one_hot::register(&mut framework.op_register);
    scale::register(&mut framework.op_register);
    extract::register(&mut framework.op_register);
    framework
}

/// Whether there is an operator for each node, and each weight in the file itself.
fn known(framework: &Onnx, graph: &GraphProto) -> Result<(), Unreadable> {
    for node in &graph.node {
        let ours = matches!(node.domain.as_str(), "" | "ai.onnx" | "ai.onnx.ml");
        if !ours || !framework.op_register.0.contains_key(&node.op_type) {
            let domain = if node.domain.is_empty() { "ai.onnx" } else { &node.domain };
            return Err(unsupported(format!("the operator `{}` of the domain `{domain}`", node.op_type)));
        }
    }
    match graph.initializer.iter().find(|tensor| !tensor.external_data.is_empty()) {
        Some(tensor) => Err(unsupported(format!("weights in a file beside it (`{}`)", tensor.name))),
        None => Ok(()),
    }
}

/// The model with a symbol in place of each size that is not known: one for the rows of all inputs, one for each other.
fn sized(framework: &Onnx, proto: &ModelProto) -> TractResult<TypedModel> {
    let mut model = framework.model_for_proto_model(proto)?;
    for number in 0..model.inputs.len() {
        let fact = model.input_fact(number)?.clone();
        let GenericFactoid::Only(datum_type) = fact.datum_type else { bail!("input {number} has no type") };
        if fact.shape.is_open() {
            bail!("input {number} says not how many dimensions it has");
        }
        let symbol = |place: usize| match place {
            0 => model.symbols.sym(ROWS).to_dim(),
            _ => model.symbols.sym(&format!("tidegate_size_{number}_{place}")).to_dim(),
        };
        let sizes = fact.shape.dims().enumerate();
        let sizes: TVec<TDim> = sizes.map(|(place, size)| dim(size, || symbol(place))).collect();
        model.set_input_fact(number, InferenceFact::dt_shape(datum_type, sizes))?;
    }
    model.into_optimized()
}

/// A size that is known, else the symbol.
fn dim(size: &DimFact, symbol: impl Fn() -> TDim) -> TDim {
    size.concretize().filter(|size| size.to_i64().is_ok()).unwrap_or_else(symbol)
}

/// The names of a row's values: of inputs that are columns their names, else none.
fn features(inputs: &[TensorMeta]) -> Vec<String> {
    let is_column = |meta: &TensorMeta| matches!(meta.shape[..], [None, Some(1)]);
    if inputs.len() > 1 && inputs.iter().all(is_column) {
        inputs.iter().map(|meta| meta.name.clone()).collect()
    } else {
        Vec::new()
    }
}

impl Graph {
    pub(crate) fn inputs(&self) -> &[TensorMeta] {
        &self.inputs
    }

    pub(crate) fn outputs(&self) -> &[TensorMeta] {
        &self.outputs
    }

    pub(crate) fn features(&self) -> &[String] {
        &self.features
    }

    pub(crate) fn predict(&self, inputs: &[Tensor], wanted: &dyn Fn(&str) -> bool) -> Result<Vec<Tensor>, Refused> {
        let values = self.arranged(inputs)?;
        let ran = catch_unwind(AssertUnwindSafe(|| self.plan.run(values)));
        let ran = ran.unwrap_or_else(|_| Err(format_err!("the graph could not be run on them")));
        let given = ran.map_err(|error| Refused::Failed(said(&error)))?;
        let given = self.outputs.iter().zip(given).filter(|(meta, _)| wanted(&meta.name));
        given.map(|(meta, value)| exchange::of_tract(&meta.name, &value)).collect()
    }

    /// Shapley values of the last output of numbers with fractions: of classifiers their probabilities.
    pub(crate) fn explain(&self, inputs: &[Tensor], how: &Explaining) -> Result<Explanation, Refused> {
        let [rows] = inputs else {
            return Err(Refused::Unexplained(
                "a graph is explained by one tensor of rows × features: send it so".to_owned(),
            ));
        };
        let unexplained = || Refused::Unexplained(format!("`{}` must be of numbers, rows × features", rows.name()));
        let &[_, columns] = rows.shape() else { return Err(unexplained()) };
        let values = rows.numbers().ok_or_else(unexplained)?.collect();
        let columns = usize::try_from(columns).unwrap_or(usize::MAX);
        let rows = Matrix::new(rows.rows(), columns, values)?;
        let has_rows = |meta: &&TensorMeta| meta.datatype.is_float() && meta.shape.first() == Some(&None);
        let Some(output) = self.outputs.iter().rev().find(has_rows) else {
            return Err(Refused::Unexplained("the model has no output of numbers with fractions".to_owned()));
        };
        let names = match &self.features[..] {
            [] => (0..columns).map(|column| format!("f{column}")).collect(),
            names => names.to_vec(),
        };
        let ask = |rows: &Matrix| {
            let shape = vec![rows.rows() as u64, rows.columns() as u64];
            // A name that no input has, so that it is taken for whole rows.
            let tensor = Tensor::of_f64("tidegate_rows", shape, rows.values());
            let tensor = tensor.map_err(|fault| Refused::Failed(fault.to_string()))?;
            let given = self.predict(&[tensor], &|name| name == output.name)?;
            Ok(given.first().and_then(Tensor::numbers).into_iter().flatten().collect())
        };
        permutation::explained(&rows, names, how, &ask)
    }

    /// A call's tensors in the order of the model's inputs.
    fn arranged(&self, given: &[Tensor]) -> Result<TVec<TValue>, Refused> {
        match (&self.inputs[..], given) {
            // A single input may have any name.
            ([meta], [tensor]) => Ok(tvec!(exchange::to_tract(tensor, meta)?)),
            (metas, [rows]) if !self.features.is_empty() && !metas.iter().any(|meta| meta.name == rows.name()) => {
                exchange::columns(rows, metas)
            }
            (metas, _) => metas.iter().map(|meta| self.named(given, meta)).collect(),
        }
    }

    fn named(&self, given: &[Tensor], meta: &TensorMeta) -> Result<TValue, Refused> {
        let names: Vec<String> = self.inputs.iter().map(|meta| meta.name.clone()).collect();
        let Some(tensor) = given.iter().find(|tensor| tensor.name() == meta.name) else {
            let names = some_of(&names);
            return Err(Refused::Input(format!("the input `{}` is missing; the model takes {names}", meta.name)));
        };
        exchange::to_tract(tensor, meta)
    }
}

/// The whole chain of an error.
fn said(error: &TractError) -> String {
    format!("{error:#}")
}

fn damaged(detail: String) -> Unreadable {
    Unreadable::Damaged { format: FORMAT, detail }
}

fn unsupported(what: String) -> Unreadable {
    Unreadable::Unsupported { format: FORMAT, what }
}
