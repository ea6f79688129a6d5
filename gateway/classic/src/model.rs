//! One loaded model, whatever its format.

use crate::forest::Forest;
use crate::format::{lightgbm, xgboost};
use crate::{Explaining, Explanation, Matrix, Refused, Unreadable};
use std::path::Path;
use tidegate_core::{Tensor, TensorMeta};

/// Longer files are refused.
const MOST_BYTES: u64 = 2 << 30;

/// A model that is loaded. It is never changed, so any number of threads may ask it.
#[derive(Debug)]
pub struct Model {
    format: &'static str,
    inputs: Vec<TensorMeta>,
    outputs: Vec<TensorMeta>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Trees(Box<Forest>),
    #[cfg(feature = "onnx")]
    Graph(crate::onnx::Graph),
}

impl Model {
    /// Reads a model of any format that is known; which, its first bytes tell.
    ///
    /// # Errors
    /// When the bytes are of no known format, damaged, or of a kind that is not served in process.
    pub fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        let begin = bytes.trim_ascii_start();
        if begin.starts_with(b"{") {
            Ok(Self::of_trees("xgboost", Forest::of(xgboost::read(bytes)?)))
        } else if begin.starts_with(b"tree\n") || begin.starts_with(b"tree\r\n") {
            Ok(Self::of_trees("lightgbm", Forest::of(lightgbm::read(bytes)?)))
        } else if let Some(graph) = graph(bytes) {
            graph
        } else {
            let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(16)]).escape_debug().to_string();
            Err(Unreadable::UnknownFormat { found: format!("it begins with `{shown}`") })
        }
    }

    /// Reads a model from a file.
    ///
    /// # Errors
    /// As [`Model::read`], and when the file cannot be read or is too long.
    pub fn open(path: &Path) -> Result<Self, Unreadable> {
        let unread = |source| Unreadable::File { path: path.to_owned(), source };
        let bytes = std::fs::metadata(path).map_err(unread)?.len();
        if bytes > MOST_BYTES {
            return Err(Unreadable::TooLarge { bytes, most: MOST_BYTES });
        }
        Self::read(&std::fs::read(path).map_err(unread)?)
    }

    #[cfg(feature = "onnx")]
    fn of_graph(graph: crate::onnx::Graph) -> Self {
        let (inputs, outputs) = (graph.inputs().to_vec(), graph.outputs().to_vec());
        Self { format: "onnx", inputs, outputs, kind: Kind::Graph(graph) }
    }

    fn of_trees(format: &'static str, forest: Forest) -> Self {
        Self { format, inputs: forest.inputs(), outputs: forest.outputs(), kind: Kind::Trees(Box::new(forest)) }
    }

    /// The format it was read from: `xgboost`, `lightgbm`.
    #[must_use]
    pub fn format(&self) -> &'static str {
        self.format
    }

    /// Whether it is made of trees.
    pub(crate) fn is_trees(&self) -> bool {
        matches!(self.kind, Kind::Trees(_))
    }

    /// What it takes. A call may also bring a tensor for each of [`Model::features`].
    #[must_use]
    pub fn inputs(&self) -> &[TensorMeta] {
        &self.inputs
    }

    /// What it gives, the library's own `predict` first.
    #[must_use]
    pub fn outputs(&self) -> &[TensorMeta] {
        &self.outputs
    }

    /// The names of a row's values, where the model's file has them.
    #[must_use]
    pub fn features(&self) -> &[String] {
        match &self.kind {
            Kind::Trees(forest) => forest.features(),
            #[cfg(feature = "onnx")]
            Kind::Graph(graph) => graph.features(),
        }
    }

    /// What the model says of these inputs: the outputs that are `wanted`, all where none is named.
    ///
    /// # Errors
    /// When the inputs are not what the model takes, or an output is wanted that it does not give.
    pub fn predict(&self, inputs: &[Tensor], wanted: &[String]) -> Result<Vec<Tensor>, Refused> {
        if let Some(unknown) = wanted.iter().find(|name| !self.outputs.iter().any(|output| output.name == **name)) {
            let outputs: Vec<String> = self.outputs.iter().map(|output| output.name.clone()).collect();
            return Err(Refused::unknown_output(unknown, &outputs));
        }
        let wants = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
        match &self.kind {
            Kind::Trees(forest) => forest.predict(&Matrix::of_tensors(inputs, forest.features())?, &wants),
            #[cfg(feature = "onnx")]
            Kind::Graph(graph) => graph.predict(inputs, &wants),
        }
    }

    /// Why: of trees exact SHAP values of the margins, of graphs Shapley values over random orders of the features.
    ///
    /// # Errors
    /// When the inputs are not what the model takes, or the model cannot be explained; in words that say why.
    #[cfg_attr(not(feature = "onnx"), expect(unused_variables, reason = "trees need none of it"))]
    pub fn explain(&self, inputs: &[Tensor], how: &Explaining) -> Result<Explanation, Refused> {
        match &self.kind {
            Kind::Trees(forest) => forest.explain(&Matrix::of_tensors(inputs, forest.features())?),
            #[cfg(feature = "onnx")]
            Kind::Graph(graph) => graph.explain(inputs, how),
        }
    }
}

/// The model in ONNX, where the bytes look like one.
#[cfg(feature = "onnx")]
fn graph(bytes: &[u8]) -> Option<Result<Model, Unreadable>> {
    crate::onnx::looks_like(bytes).then(|| crate::onnx::read(bytes).map(Model::of_graph))
}

#[cfg(not(feature = "onnx"))]
fn graph(_bytes: &[u8]) -> Option<Result<Model, Unreadable>> {
    None
}
