//! The gated activations of the feed-forward.

use super::description::Activation;
use crate::kernel::Isa;

impl Activation {
    /// `gate = f(gate) * up`.
    pub(crate) fn gate(self, isa: Isa, gate: &mut [f32], up: &[f32]) {
        match self {
            Self::Silu => isa.silu_mul(gate, up),
            Self::GeluTanh => {
                for (gate, up) in gate.iter_mut().zip(up) {
                    *gate = gelu_tanh(*gate) * up;
                }
            }
        }
    }
}

fn gelu_tanh(x: f32) -> f32 {
    const ROOT_2_OVER_PI: f32 = 0.797_884_6;
    0.5 * x * (1.0 + (ROOT_2_OVER_PI * (x + 0.044_715 * x * x * x)).tanh())
}

/// `cap * tanh(x / cap)` of each.
pub(crate) fn soft_cap(x: &mut [f32], cap: Option<f32>) {
    if let Some(cap) = cap {
        x.iter_mut().for_each(|x| *x = cap * (*x / cap).tanh());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gelu_is_that_of_the_papers() {
        for (x, y) in [(0.0, 0.0), (1.0, 0.841_192), (-1.0, -0.158_808), (3.0, 2.996_363), (-9.0, 0.0)] {
            assert!((gelu_tanh(x) - y).abs() < 1e-5, "{x}: {}", gelu_tanh(x));
        }
    }

    #[test]
    fn capped_scores_stay_within() {
        let mut x = [-1e9, 0.0, 0.1, 1e9];
        soft_cap(&mut x, Some(30.0));
        assert!(x[0] == -30.0 && x[1] == 0.0 && (x[2] - 0.1).abs() < 1e-5 && x[3] == 30.0);
    }
}
