//! The gate of the feed-forward, `f(gate) · up`, as one operation of candle's graph, which keeps nothing between but its
//! arguments. Owns the functions' slopes; the functions are the model's.

use crate::kernel::Isa;
use crate::model::Activation;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

/// The operation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gated(pub(super) Activation);

impl Gated {
    /// `f(gate) · up`.
    pub(super) fn apply(self, gate: &Tensor, up: &Tensor) -> Result<Tensor> {
        gate.apply_op2(up, self)
    }

    /// The function and its slope.
    fn at(self, x: f32) -> (f32, f32) {
        match self.0 {
            Activation::Silu => {
                let share = 1.0 / (1.0 + (-x).exp());
                (x * share, share * (1.0 + x * (1.0 - share)))
            }
            Activation::GeluTanh => {
                const ROOT_2_OVER_PI: f32 = 0.797_884_6;
                let tanh = (ROOT_2_OVER_PI * (x + 0.044_715 * x * x * x)).tanh();
                let inner = ROOT_2_OVER_PI * (1.0 + 3.0 * 0.044_715 * x * x);
                (0.5 * x * (1.0 + tanh), 0.5 * (1.0 + tanh) + 0.5 * x * (1.0 - tanh * tanh) * inner)
            }
        }
    }
}

impl CustomOp2 for Gated {
    fn name(&self) -> &'static str {
        "gated"
    }

    fn cpu_fwd(
        &self,
        gate: &CpuStorage,
        of_gate: &Layout,
        up: &CpuStorage,
        of_up: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let mut out = super::plain(gate, of_gate)?.to_vec();
        self.0.gate(Isa::detect(), &mut out, super::plain(up, of_up)?);
        Ok((CpuStorage::F32(out), of_gate.shape().clone()))
    }

    fn bwd(&self, gate: &Tensor, up: &Tensor, _: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let numbers = |tensor: &Tensor| tensor.flatten_all()?.to_vec1::<f32>();
        let (mut of_gate, mut of_up, grad) = (numbers(gate)?, numbers(up)?, numbers(grad)?);
        for ((gate, up), grad) in of_gate.iter_mut().zip(&mut of_up).zip(grad) {
            let (value, slope) = self.at(*gate);
            (*gate, *up) = (grad * *up * slope, grad * value);
        }
        let tensor = |numbers| Tensor::from_vec(numbers, gate.shape(), gate.device()).map(Some);
        Ok((tensor(of_gate)?, tensor(of_up)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finetune::testing::{slopes, wave};

    #[test]
    fn the_gradients_are_the_slopes() {
        for activation in [Activation::Silu, Activation::GeluTanh] {
            slopes(&[wave(3, 8, 0.37), wave(3, 8, 0.9)], |x| Gated(activation).apply(&x[0], &x[1]));
        }
    }
}
