//! One product of a layer, by the name that adapters know it by. All products of the layers go through
//! [`Projection::apply`]: it is where an adapter's part is added.

use crate::adapter::{Size, Worn, slot_of};
use crate::kernel::Isa;
use crate::matrix::{Activations, Matrix};
use crate::threads::Threads;

/// What products are computed with.
pub(crate) struct Compute {
    pub(crate) isa: Isa,
    pub(crate) threads: Threads,
}

/// A matrix of a layer, with its bias where it has one.
pub(crate) struct Projection {
    /// `q_proj`, `k_proj`, `v_proj`, `o_proj`, `gate_proj`, `up_proj` or `down_proj`.
    name: &'static str,
    layer: usize,
    /// Its place among the products that adapters know.
    slot: Option<usize>,
    matrix: Matrix,
    bias: Option<Vec<f32>>,
}

impl Projection {
    pub(crate) fn new(name: &'static str, layer: usize, matrix: Matrix, bias: Option<Vec<f32>>) -> Self {
        Self { name, layer, slot: slot_of(name), matrix, bias }
    }

    /// What adapters call it.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// The index of its layer.
    pub(crate) fn layer(&self) -> usize {
        self.layer
    }

    /// Outputs.
    pub(crate) fn rows(&self) -> usize {
        self.matrix.rows()
    }

    /// Inputs.
    pub(crate) fn cols(&self) -> usize {
        self.matrix.cols()
    }

    /// Whether its weights have fewer than eight bits each.
    pub(crate) fn is_coarse(&self) -> bool {
        self.matrix.is_coarse()
    }

    /// Its weights, to be moved.
    pub(crate) fn matrix(&mut self) -> &mut Matrix {
        &mut self.matrix
    }

    /// Its size, as adapters must fit it.
    pub(crate) fn size(&self) -> Size {
        Size { rows: self.rows(), cols: self.cols() }
    }

    /// `out[t] = W x[t] + b` for each of the `tokens` rows of `input`, and what the adapters of the rows add to it.
    pub(crate) fn apply(
        &self,
        compute: &Compute,
        (input, worn): (&mut Activations, &mut Worn),
        tokens: usize,
        out: &mut Vec<f32>,
    ) {
        out.resize(tokens * self.rows(), 0.0);
        self.matrix.apply(compute.isa, &compute.threads, input, out);
        if let Some(bias) = &self.bias {
            for row in out.chunks_exact_mut(bias.len()) {
                super::add(row, bias);
            }
        }
        if let Some(slot) = self.slot {
            let place = (self.layer, slot);
            worn.add(
                (compute.isa, &compute.threads),
                place,
                (input.plain(), self.cols()),
                (out.as_mut_slice(), self.rows()),
            );
        }
    }
}

impl std::fmt::Debug for Projection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{} ({} × {})", self.layer(), self.name(), self.rows(), self.cols())
    }
}
