//! The root-mean-square norm with a fixed weight as an operation of candle's graph. Owns its formula, there and back.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use std::sync::Arc;

/// A norm over pieces of as many numbers as its weight has: rows, or heads of rows.
#[derive(Debug, Clone)]
pub(super) struct Norm {
    weight: Arc<Vec<f32>>,
    eps: f32,
}

impl Norm {
    pub(super) fn new(weight: Vec<f32>, eps: f32) -> Self {
        Self { weight: Arc::new(weight), eps }
    }

    /// Normalises.
    pub(super) fn apply(&self, x: &Tensor) -> Result<Tensor> {
        x.apply_op1(self.clone())
    }

    /// The gradient of the argument `x` where the result's is `grad`.
    pub(super) fn back(&self, x: &Tensor, grad: &Tensor) -> Result<Tensor> {
        let (from, grad) = (x.flatten_all()?.to_vec1::<f32>()?, grad.flatten_all()?.to_vec1::<f32>()?);
        let size = self.weight.len();
        let mut out = vec![0.0; from.len()];
        let pieces = from.chunks_exact(size).zip(grad.chunks_exact(size));
        for ((x, grad), out) in pieces.zip(out.chunks_exact_mut(size)) {
            let inverse = self.inverse(x);
            let along: f32 = x.iter().zip(grad).zip(&*self.weight).map(|((x, g), w)| x * g * w).sum();
            let share = along * inverse * inverse / size as f32;
            for (((out, x), g), w) in out.iter_mut().zip(x).zip(grad).zip(&*self.weight) {
                *out = inverse * (g * w - x * share);
            }
        }
        Tensor::from_vec(out, x.shape(), x.device())
    }

    fn inverse(&self, x: &[f32]) -> f32 {
        let squares: f32 = x.iter().map(|x| x * x).sum();
        1.0 / (squares / x.len() as f32 + self.eps).sqrt()
    }
}

impl CustomOp1 for Norm {
    fn name(&self) -> &'static str {
        "norm"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = super::plain(x, layout)?;
        let size = self.weight.len();
        let mut out = vec![0.0; x.len()];
        for (x, out) in x.chunks_exact(size).zip(out.chunks_exact_mut(size)) {
            let inverse = self.inverse(x);
            for ((out, x), w) in out.iter_mut().zip(x).zip(&*self.weight) {
                *out = x * inverse * w;
            }
        }
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        self.back(x, grad).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finetune::testing::{slopes, wave};

    #[test]
    fn the_gradient_is_the_slope() {
        for (cols, size) in [(8, 8), (12, 4)] {
            let norm = Norm::new(wave(1, size, 0.9).flatten_all().unwrap().to_vec1().unwrap(), 1e-5);
            slopes(&[wave(3, cols, 0.37)], |x| norm.apply(&x[0]));
        }
    }
}
