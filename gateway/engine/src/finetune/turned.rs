//! Rotary positions as an operation of candle's graph: a turn, whose way back is the turn the other way.

use crate::model::{Rotary, Turns};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use std::sync::Arc;

/// The turns of the rows of a batch.
#[derive(Clone)]
pub(super) struct Turned {
    rotary: Arc<Rotary>,
    there: Arc<Turns>,
    back: Arc<Turns>,
    /// Numbers in a head.
    dim: usize,
}

impl Turned {
    /// For rows at these positions.
    pub(super) fn new(rotary: &Arc<Rotary>, positions: &[u32], dim: usize) -> Self {
        let mut there = Turns::default();
        rotary.turns(positions, &mut there);
        let back = Arc::new(there.reversed());
        Self { rotary: Arc::clone(rotary), there: Arc::new(there), back, dim }
    }

    /// Turns the heads of each row.
    pub(super) fn apply(&self, x: &Tensor) -> Result<Tensor> {
        x.apply_op1(self.clone())
    }
}

impl CustomOp1 for Turned {
    fn name(&self) -> &'static str {
        "turned"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut out = super::plain(x, layout)?.to_vec();
        let (_, cols) = layout.shape().dims2()?;
        self.rotary.turn(&mut out, &self.there, cols / self.dim, self.dim);
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let other = Self { there: Arc::clone(&self.back), back: Arc::clone(&self.there), ..self.clone() };
        grad.contiguous()?.apply_op1_no_bwd(&other).map(Some)
    }
}
