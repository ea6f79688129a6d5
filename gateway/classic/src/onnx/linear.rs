//! LinearClassifier of `ai.onnx.ml`. Tract has one, without names as labels; so this one is used.

use super::labels::{Labels, highest};
use super::rowwise::{Kernel, Rowwise, Width};
use super::transform::Transform;
use tract_onnx::model::{OnnxOpRegister, ParsingContext};
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

pub(super) fn register(operators: &mut OnnxOpRegister) {
    operators.insert("LinearClassifier", classifier);
}

#[derive(Debug)]
struct Linear {
    labels: Labels,
    /// A row for each score.
    coefficients: Vec<f32>,
    intercepts: Vec<f32>,
    transform: Transform,
}

fn classifier(_ctx: &ParsingContext, node: &NodeProto) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let labels = Labels::of(node, "classlabels_ints")?;
    let coefficients: Vec<f32> = node.get_attr_vec("coefficients")?;
    let intercepts: Option<Vec<f32>> = node.get_attr_opt_vec("intercepts")?;
    let intercepts = intercepts.filter(|intercepts| !intercepts.is_empty()).unwrap_or_else(|| vec![0.0; labels.len()]);
    let scores = intercepts.len();
    if coefficients.is_empty() || !coefficients.len().is_multiple_of(scores) {
        bail!("{} coefficients are no rows for {scores} scores", coefficients.len());
    }
    if scores != labels.len() && (scores, labels.len()) != (1, 2) {
        bail!("there are {scores} scores for {} labels", labels.len());
    }
    Ok((Rowwise::boxed(Linear { labels, coefficients, intercepts, transform: Transform::of(node)? }), vec![]))
}

impl Kernel for Linear {
    fn name(&self) -> &'static str {
        "LinearClassifier"
    }

    fn gives(&self) -> Vec<(DatumType, Width)> {
        vec![(self.labels.datum_type(), Width::Flat), (DatumType::F32, Width::Of(self.labels.len()))]
    }

    fn work(&self, rows: &[f32], columns: usize) -> TractResult<TVec<Tensor>> {
        if self.coefficients.len() != self.intercepts.len() * columns {
            let wanted = self.coefficients.len() / self.intercepts.len();
            bail!("the classifier looks at {wanted} columns, but a row has {columns}");
        }
        let (mut best, mut scores) = (vec![], vec![]);
        for row in rows.chunks_exact(columns) {
            let weights = self.coefficients.chunks_exact(columns).zip(&self.intercepts);
            let dot = |weights: &[f32]| weights.iter().zip(row).map(|(weight, x)| weight * x).sum::<f32>();
            let mut given: Vec<f32> = weights.map(|(weights, intercept)| dot(weights) + intercept).collect();
            if let [score] = given[..] {
                // One score stands for both classes.
                best.push(usize::from(score > 0.0));
                given.insert(0, -score);
            } else {
                best.push(highest(&given));
            }
            self.transform.apply(&mut given);
            scores.extend(given);
        }
        Ok(tvec!(self.labels.tensor(&best), Tensor::from_shape(&[best.len(), self.labels.len()], &scores)?))
    }
}
