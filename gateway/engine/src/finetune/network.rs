//! A batch through the whole model and back. Owns the order: layers forward without a graph, keeping what goes into each;
//! then, from the last to the first, one layer at a time once more with a graph, which is dropped with its layer. So no
//! more than one layer's activations and one expanded weight are held.

use super::base::Base;
use super::factors::{Factors, Gradients};
use super::layer::{self, Rows, Worn};
use super::lesson::Lesson;
use super::loss::{Loss, cross_entropy};
use candle_core::{Result, Tensor, Var};
use std::ops::Range;

/// Lessons as the rows of one computation, without anything between them.
pub(super) struct Batch {
    tokens: Vec<u32>,
    spans: Vec<Range<usize>>,
    /// The rows that are learnt from, and the token that each must say.
    learnt: Vec<u32>,
    wanted: Vec<u32>,
}

impl Batch {
    pub(super) fn of<'a>(lessons: impl IntoIterator<Item = &'a Lesson>) -> Self {
        let mut batch = Self { tokens: Vec::new(), spans: Vec::new(), learnt: Vec::new(), wanted: Vec::new() };
        for lesson in lessons {
            let first = batch.tokens.len();
            for at in lesson.learnt() {
                batch.learnt.push((first + at - 1) as u32);
                batch.wanted.push(lesson.tokens[at]);
            }
            // What the last token would say is not asked.
            batch.tokens.extend_from_slice(&lesson.tokens[..lesson.tokens.len() - 1]);
            batch.spans.push(first..batch.tokens.len());
        }
        batch
    }
}

/// Adds the gradients of `weight` times the loss; gives the loss, a sum over the tokens that are learnt.
pub(super) fn learn(
    base: &Base,
    factors: &Factors,
    batch: &Batch,
    weight: f64,
    gradients: &mut Gradients,
) -> Result<f64> {
    let rows = Rows::new(base, batch.spans.clone());
    let mut inputs = vec![base.embed(&batch.tokens)?];
    for (index, layer) in base.layers.iter().enumerate() {
        let worn = Worn::of(factors, index, false)?;
        inputs.push(layer::forward(base, layer, &worn, &rows, &inputs[index])?);
    }
    let last = inputs.pop().unwrap_or_else(|| inputs[0].clone());
    let (sum, mut grad) = said(base, batch, &last, weight)?;
    drop(last);
    for (index, layer) in base.layers.iter().enumerate().rev() {
        let Some(input) = inputs.pop() else { break };
        let worn = Worn::of(factors, index, true)?;
        let x = if index == 0 { input } else { Var::from_tensor(&input)?.into_inner() };
        let out = layer::forward(base, layer, &worn, &rows, &x)?;
        let mut grads = (out * &grad)?.sum_all()?.backward()?;
        for (nth, pair) in worn.pairs() {
            for (part, into) in pair.iter().zip(&mut gradients.0[nth]) {
                if let Some(found) = grads.remove(part) {
                    add(into, &found.flatten_all()?.to_vec1()?);
                }
            }
        }
        match grads.remove(&x) {
            Some(next) => grad = next,
            None => break,
        }
    }
    Ok(sum)
}

/// The loss of the last layer's rows, and its gradient there.
fn said(base: &Base, batch: &Batch, last: &Tensor, weight: f64) -> Result<(f64, Tensor)> {
    let learnt = Tensor::new(batch.learnt.as_slice(), last.device())?;
    let states = last.index_select(&learnt, 0)?;
    let Loss { sum, grad } = cross_entropy(&base.norm.apply(&states)?, base.head(), &batch.wanted, weight)?;
    let grad = base.norm.back(&states, &grad)?;
    Ok((sum, Tensor::zeros_like(last)?.index_add(&learnt, &grad, 0)?))
}

fn add(into: &mut [f32], found: &[f32]) {
    for (into, found) in into.iter_mut().zip(found) {
        *into += found;
    }
}
