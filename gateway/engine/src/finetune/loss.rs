//! The loss of a batch and its gradient, a few words of the vocabulary at a time: scores of all words for all tokens are
//! never held. Owns the cross-entropy; what is learnt of which token is the batch's.

use super::frozen::Frozen;
use candle_core::{Device, Result, Tensor};

/// Numbers of a piece of scores at most, and of a piece of the head.
const PIECE: usize = 1 << 20;

/// What came of it.
pub(super) struct Loss {
    /// The sum over the tokens that are learnt.
    pub(super) sum: f64,
    /// The gradient of `weight` times that sum, for each row of states.
    pub(super) grad: Tensor,
}

/// How a token's scores add up so far.
#[derive(Clone, Copy)]
struct Sum {
    top: f32,
    /// Of `exp(score - top)`.
    sum: f64,
    wanted: f32,
}

/// The cross-entropy of `states` (a row for each token that is learnt, normalised) with the words that come after.
pub(super) fn cross_entropy(states: &Tensor, head: &Frozen, wanted: &[u32], weight: f64) -> Result<Loss> {
    let (tokens, width) = states.dims2()?;
    let words = (PIECE / tokens.max(width).max(1)).clamp(16, head.rows());
    let mut sums = vec![Sum { top: f32::NEG_INFINITY, sum: 0.0, wanted: 0.0 }; tokens];
    for first in (0..head.rows()).step_by(words) {
        let count = words.min(head.rows() - first);
        let scores = scores(states, &head.some(first, count)?)?;
        for ((sum, scores), wanted) in sums.iter_mut().zip(scores.chunks_exact(count)).zip(wanted) {
            sum.add(scores);
            if let Some(score) = (*wanted as usize).checked_sub(first).and_then(|at| scores.get(at)) {
                sum.wanted = *score;
            }
        }
    }
    let mut grad = Tensor::zeros_like(states)?;
    for first in (0..head.rows()).step_by(words) {
        let count = words.min(head.rows() - first);
        let piece = head.some(first, count)?;
        let mut scores = scores(states, &piece)?;
        for ((sum, scores), wanted) in sums.iter().zip(scores.chunks_exact_mut(count)).zip(wanted) {
            let all = sum.log();
            scores.iter_mut().for_each(|score| *score = ((f64::from(*score) - all).exp() * weight) as f32);
            if let Some(score) = (*wanted as usize).checked_sub(first).and_then(|at| scores.get_mut(at)) {
                *score -= weight as f32;
            }
        }
        grad = (grad + Tensor::from_vec(scores, (tokens, count), &Device::Cpu)?.matmul(&piece)?)?;
    }
    let sum = sums.iter().map(|sum| sum.log() - f64::from(sum.wanted)).sum();
    Ok(Loss { sum, grad })
}

fn scores(states: &Tensor, piece: &Tensor) -> Result<Vec<f32>> {
    states.matmul(&piece.t()?)?.flatten_all()?.to_vec1()
}

impl Sum {
    fn add(&mut self, scores: &[f32]) {
        let top = scores.iter().fold(self.top, |top, score| top.max(*score));
        let before = if self.sum == 0.0 { 0.0 } else { self.sum * f64::from(self.top - top).exp() };
        self.sum = before + scores.iter().map(|score| f64::from((score - top).exp())).sum::<f64>();
        self.top = top;
    }

    /// The logarithm of the sum of all exponentials.
    fn log(self) -> f64 {
        f64::from(self.top) + self.sum.ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finetune::testing::wave;
    use candle_core::quantized::{GgmlDType, QTensor};

    #[test]
    fn the_loss_is_the_mean_surprise_and_its_gradient_the_slope() {
        let plain = wave(40, 32, 0.37);
        let head = Frozen::new(&QTensor::quantize(&plain, GgmlDType::F32).unwrap()).unwrap();
        let (states, wanted) = (wave(5, 32, 0.11), [0u32, 39, 15, 16, 7]);
        let by_hand = |states: &Tensor| -> f64 {
            let scores = states.matmul(&plain.t().unwrap()).unwrap().to_vec2::<f32>().unwrap();
            let surprise = |(scores, wanted): (&Vec<f32>, &u32)| {
                let all: f64 = scores.iter().map(|s| f64::from(*s).exp()).sum();
                all.ln() - f64::from(scores[*wanted as usize])
            };
            scores.iter().zip(&wanted).map(surprise).sum()
        };
        let loss = cross_entropy(&states, &head, &wanted, 0.25).unwrap();
        assert!((loss.sum - by_hand(&states)).abs() < 1e-4, "{} for {}", loss.sum, by_hand(&states));
        let grad = loss.grad.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for (i, grad) in grad.iter().enumerate() {
            let moved = |by: f32| {
                let mut rows = states.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                rows[i] += by;
                by_hand(&Tensor::from_vec(rows, states.shape(), &Device::Cpu).unwrap()) * 0.25
            };
            let slope = (moved(1e-2) - moved(-1e-2)) / 2e-2;
            assert!((f64::from(*grad) - slope).abs() < 1e-2 * (1.0 + slope.abs()), "{i}: {grad} for {slope}");
        }
    }

    #[test]
    fn pieces_of_the_vocabulary_change_nothing() {
        // So wide that a piece has sixteen words.
        let plain = wave(50, 1 << 16, 0.000_37);
        let head = Frozen::new(&QTensor::quantize(&plain, GgmlDType::F32).unwrap()).unwrap();
        let states = (wave(3, 1 << 16, 0.000_11) * 0.01).unwrap();
        let loss = cross_entropy(&states, &head, &[49, 0, 17], 1.0).unwrap();
        let rows = states.matmul(&plain.t().unwrap()).unwrap().to_vec2::<f32>().unwrap();
        let scores: Vec<Vec<f64>> = rows.into_iter().map(|row| row.into_iter().map(f64::from).collect()).collect();
        let top = |row: &[f64]| row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let log = |row: &[f64]| top(row) + row.iter().map(|s| (s - top(row)).exp()).sum::<f64>().ln();
        let want: f64 = scores.iter().zip([49, 0, 17]).map(|(row, at)| log(row) - row[at]).sum();
        assert!((loss.sum - want).abs() < 1e-3 * want.abs(), "{} for {want}", loss.sum);
    }
}
