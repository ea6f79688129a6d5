//! How much memory a fine-tuning takes, reckoned before it begins: an upper bound, which a test holds to what is measured.

use super::base::Base;
use super::factors::Factors;
use super::lesson::Lesson;
use crate::adapter::PROJECTIONS;

/// Bytes of a number.
const NUMBER: usize = 4;
/// What the loss holds beside its states: a piece of the head and of its scores, twice each.
const SCORES: usize = 4 << 20;

/// The parts, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TuneRoom {
    /// The base, as its file has it.
    pub weights: usize,
    /// What goes into each layer, and what one layer computes, there and back.
    pub activations: usize,
    /// A layer's weights, expanded: one is at a time, and the product that uses it packs copies of its own.
    pub expanded: usize,
    /// Factors, their gradients, and what the optimiser remembers.
    pub factors: usize,
}

impl TuneRoom {
    /// Of batches of `rows` lessons each.
    pub(super) fn of(base: &Base, factors: &Factors, lessons: &[Lesson], rows: usize) -> Self {
        let mut lengths: Vec<usize> = lessons.iter().map(|lesson| lesson.tokens.len()).collect();
        lengths.sort_unstable_by(|a, b| b.cmp(a));
        // Rows may come twice in a batch where it is larger than the data.
        let tokens = (0..rows).map(|nth| lengths[nth % lengths.len()]).sum::<usize>();
        let shape = &base.shape;
        let kept = (shape.layers + 2) * shape.width;
        let activations = tokens * (kept + 2 * per_token(base, factors)) * NUMBER + SCORES * NUMBER;
        let plain = |layer: &super::base::Layer| -> usize {
            layer.products.iter().map(|product| product.weight.rows() * product.weight.cols()).sum()
        };
        let largest = base.layers.iter().map(plain).max().unwrap_or(0);
        Self {
            weights: base.matrices().map(super::frozen::Frozen::size).sum(),
            activations,
            expanded: largest * NUMBER,
            factors: factors.count() * 4 * NUMBER,
        }
    }

    /// All of it.
    #[must_use]
    pub const fn total(&self) -> usize {
        self.weights + self.activations + self.expanded + self.factors
    }
}

/// Numbers of a token that the graph of one layer holds on the way there; on the way back there are as many gradients at
/// most.
fn per_token(base: &Base, factors: &Factors) -> usize {
    let shape = &base.shape;
    let (width, hidden, queries, keys) = (shape.width, shape.hidden, shape.queries(), shape.keys());
    let norms = if shape.head_norms { queries + keys } else { 0 } + if shape.post_norms { 2 * width } else { 0 };
    // Norms and sums of the layer and the weighed result; queries and keys before and after they are turned, values, and
    // what is attended; the gate, the other half and their product.
    let own = 8 * width + 3 * queries + 3 * keys + norms + 3 * hidden;
    let differences: usize = (0..PROJECTIONS.len())
        .filter_map(|slot| factors.of(0, slot))
        .map(|(_, factor)| 2 * factor.size.rows + 2 * factors.rank)
        .sum();
    own + differences
}
