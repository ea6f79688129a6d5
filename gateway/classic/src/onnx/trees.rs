//! TreeEnsembleClassifier and TreeEnsembleRegressor of `ai.onnx.ml`, over [`Votes`]. Owns what their attributes mean, and
//! how onnxruntime makes scores and labels of votes; tract's own classifier is not used.

use super::labels::{Labels, highest};
use super::rowwise::{Kernel, Rowwise, Width};
use super::transform::{Transform, logistic};
use crate::tree::{Ballot, Branch, Together, Votes};
use tract_onnx::model::{OnnxOpRegister, ParsingContext};
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

pub(super) fn register(operators: &mut OnnxOpRegister) {
    operators.insert("TreeEnsembleClassifier", classifier);
    operators.insert("TreeEnsembleRegressor", regressor);
}

type Parsed = TractResult<(Box<dyn InferenceOp>, Vec<String>)>;

#[derive(Debug)]
struct Regressor {
    votes: Votes,
    transform: Transform,
}

#[derive(Debug)]
struct Classifier {
    votes: Votes,
    transform: Transform,
    labels: Labels,
    /// Of two classes the leaves vote for one alone.
    is_binary: bool,
    is_positive: bool,
}

fn regressor(_ctx: &ParsingContext, node: &NodeProto) -> Parsed {
    let targets: usize = node.get_attr_opt("n_targets")?.unwrap_or(1);
    let together = match node.get_attr_opt::<&str>("aggregate_function")?.unwrap_or("SUM") {
        "SUM" => Together::Sum,
        "AVERAGE" => Together::Average,
        other => bail!("the aggregate function {other} is not served"),
    };
    let ballots = ballots(node, "target")?;
    let votes = votes(node, &ballots, targets, together)?;
    Ok((Rowwise::boxed(Regressor { votes, transform: Transform::of(node)? }), vec![]))
}

fn classifier(_ctx: &ParsingContext, node: &NodeProto) -> Parsed {
    let labels = Labels::of(node, "classlabels_int64s")?;
    let ballots = ballots(node, "class")?;
    let first = ballots.first().map(|ballot| ballot.target);
    let is_binary = labels.len() == 2 && ballots.iter().all(|ballot| Some(ballot.target) == first);
    let is_positive = ballots.iter().all(|ballot| ballot.weight >= 0.0);
    let votes = votes(node, &ballots, labels.len(), Together::Sum)?;
    let transform = Transform::of(node)?;
    Ok((Rowwise::boxed(Classifier { votes, transform, labels, is_binary, is_positive }), vec![]))
}

/// The votes of leaves, as the attributes of `what` list them.
fn ballots(node: &NodeProto, what: &str) -> TractResult<Vec<Ballot>> {
    let ints = |part: &str| node.get_attr_slice::<i64>(&format!("{what}_{part}"));
    let (trees, nodes, targets) = (ints("treeids")?, ints("nodeids")?, ints("ids")?);
    let weights: Vec<f32> = node.get_attr_vec(&format!("{what}_weights"))?;
    if [nodes.len(), targets.len(), weights.len()] != [trees.len(); 3] {
        bail!("the lists `{what}_…` are not of one length");
    }
    let rows = trees.iter().zip(nodes).zip(targets).zip(weights);
    Ok(rows
        .map(|(((tree, node), target), weight)| Ballot { tree: *tree, node: *node, target: *target, weight })
        .collect())
}

fn votes(node: &NodeProto, ballots: &[Ballot], targets: usize, together: Together) -> TractResult<Votes> {
    let ints = |name: &str| node.get_attr_slice::<i64>(name);
    let (trees, numbers, features) = (ints("nodes_treeids")?, ints("nodes_nodeids")?, ints("nodes_featureids")?);
    let (yes, no) = (ints("nodes_truenodeids")?, ints("nodes_falsenodeids")?);
    let modes: Vec<&str> = node.get_attr_vec("nodes_modes")?;
    let values: Vec<f32> = node.get_attr_vec("nodes_values")?;
    let missing = node.get_attr_opt_slice::<i64>("nodes_missing_value_tracks_true")?.unwrap_or_default();
    let count = trees.len();
    let lists = [numbers.len(), features.len(), yes.len(), no.len(), modes.len(), values.len()];
    if lists != [count; 6] || !(missing.is_empty() || missing.len() == count) {
        bail!("the lists `nodes_…` are not of one length");
    }
    let branch = |at: usize| Branch {
        tree: trees[at],
        node: numbers[at],
        feature: features[at],
        mode: modes[at],
        value: values[at],
        yes: yes[at],
        no: no[at],
        missing_yes: missing.get(at).is_some_and(|flag| *flag != 0),
    };
    let branches: Vec<Branch<'_>> = (0..count).map(branch).collect();
    let base: Vec<f32> = node.get_attr_opt_vec("base_values")?.unwrap_or_default();
    Votes::of(&branches, ballots, targets, base, together).map_err(|detail| format_err!("{detail}"))
}

impl Kernel for Regressor {
    fn name(&self) -> &'static str {
        "TreeEnsembleRegressor"
    }

    fn gives(&self) -> Vec<(DatumType, Width)> {
        vec![(DatumType::F32, Width::Of(self.votes.targets()))]
    }

    fn work(&self, rows: &[f32], columns: usize) -> TractResult<TVec<Tensor>> {
        let targets = self.votes.targets();
        let mut scores = self.votes.count(rows, columns).map_err(|detail| format_err!("{detail}"))?;
        for row in scores.chunks_exact_mut(targets) {
            self.votes.add_base(row);
            self.transform.apply(row);
        }
        Ok(tvec!(Tensor::from_shape(&[scores.len() / targets, targets], &scores)?))
    }
}

impl Kernel for Classifier {
    fn name(&self) -> &'static str {
        "TreeEnsembleClassifier"
    }

    fn gives(&self) -> Vec<(DatumType, Width)> {
        vec![(self.labels.datum_type(), Width::Flat), (DatumType::F32, Width::Of(self.votes.targets()))]
    }

    fn work(&self, rows: &[f32], columns: usize) -> TractResult<TVec<Tensor>> {
        let classes = self.votes.targets();
        let mut scores = self.votes.count(rows, columns).map_err(|detail| format_err!("{detail}"))?;
        let mut best = Vec::with_capacity(scores.len() / classes);
        for row in scores.chunks_exact_mut(classes) {
            best.push(if self.is_binary { self.binary(row) } else { self.of_classes(row) });
        }
        Ok(tvec!(self.labels.tensor(&best), Tensor::from_shape(&[best.len(), classes], &scores)?))
    }
}

impl Classifier {
    /// The highest score wins.
    fn of_classes(&self, row: &mut [f32]) -> usize {
        self.votes.add_base(row);
        let best = highest(row);
        self.transform.apply(row);
        best
    }

    /// One score for both classes: a probability where no vote is negative, else a margin around zero.
    fn binary(&self, row: &mut [f32]) -> usize {
        let score = row.iter().sum::<f32>() + self.votes.base_of_binary();
        let is_second = score > if self.is_positive { 0.5 } else { 0.0 };
        let pair = match (self.is_positive, self.transform) {
            (true, _) => [1.0 - score, score],
            (false, Transform::Logistic) => [logistic(-score), logistic(score)],
            (false, _) => [-score, score],
        };
        row.copy_from_slice(&pair);
        usize::from(is_second)
    }
}
