//! Causal attention within each row of a batch as one operation of candle's graph. Owns its sums, there and back: a token's
//! weights are reckoned again on the way back, so that no square of a row's length is ever held.

use crate::kernel::Isa;
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;

/// The operation: arguments are queries, keys and values, a row for each token.
#[derive(Debug, Clone)]
pub(super) struct Attention {
    /// Which tokens belong together.
    pub(super) spans: Arc<Vec<Range<usize>>>,
    pub(super) heads: usize,
    pub(super) kv_heads: usize,
    /// Numbers in a head.
    pub(super) dim: usize,
    /// Queries are multiplied by this.
    pub(super) scale: f32,
    /// Tokens that a token sees, itself included; `None` = all before it.
    pub(super) window: Option<usize>,
}

/// What is worked on at once: a span and a key head.
type Piece = (Range<usize>, usize);

/// The rows of one argument, and where a head's numbers begin in each.
#[derive(Clone, Copy)]
struct Heads<'a> {
    rows: &'a [f32],
    width: usize,
    dim: usize,
}

impl<'a> Heads<'a> {
    fn of(&self, token: usize, head: usize) -> &'a [f32] {
        &self.rows[token * self.width + head * self.dim..][..self.dim]
    }
}

/// What one key head of one span gives back.
struct Back {
    queries: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
}

impl Attention {
    pub(super) fn apply(&self, q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
        q.apply_op3(k, v, self.clone())
    }

    fn pieces(&self) -> Vec<Piece> {
        self.spans.iter().flat_map(|span| (0..self.kv_heads).map(|head| (span.clone(), head))).collect()
    }

    fn group(&self) -> usize {
        self.heads / self.kv_heads
    }

    fn heads<'a>(&self, rows: &'a [f32], heads: usize) -> Heads<'a> {
        Heads { rows, width: heads * self.dim, dim: self.dim }
    }

    /// How much a token's head looks at each token from `seen.start` on.
    fn weights(&self, isa: Isa, query: &[f32], keys: Heads<'_>, head: usize, seen: Range<usize>, out: &mut Vec<f32>) {
        out.clear();
        out.extend(seen.map(|token| isa.dot(query, keys.of(token, head)) * self.scale));
        let sum = isa.exp_sum(out);
        out.iter_mut().for_each(|weight| *weight /= sum);
    }

    fn seen(&self, span: &Range<usize>, token: usize) -> Range<usize> {
        let first = self.window.map_or(span.start, |window| span.start.max((token + 1).saturating_sub(window)));
        first..token + 1
    }

    /// The results of the query heads that share a key head, token by token.
    fn forward(&self, (span, head): &Piece, [q, k, v]: [Heads<'_>; 3]) -> Vec<f32> {
        let (isa, dim, group) = (Isa::detect(), self.dim, self.group());
        let mut out = vec![0.0; span.len() * group * dim];
        let mut weights = Vec::with_capacity(span.len());
        for (token, out) in span.clone().zip(out.chunks_exact_mut(group * dim)) {
            for (nth, out) in out.chunks_exact_mut(dim).enumerate() {
                let seen = self.seen(span, token);
                self.weights(isa, q.of(token, head * group + nth), k, *head, seen.clone(), &mut weights);
                for (other, weight) in seen.zip(&weights) {
                    add(out, v.of(other, *head), *weight);
                }
            }
        }
        out
    }

    fn backward(&self, (span, head): &Piece, [q, k, v, grad]: [Heads<'_>; 4]) -> Back {
        let (isa, dim, group) = (Isa::detect(), self.dim, self.group());
        let room = |heads: usize| vec![0.0; span.len() * heads * dim];
        let mut back = Back { queries: room(group), keys: room(1), values: room(1) };
        let (mut weights, mut slopes) = (Vec::with_capacity(span.len()), Vec::with_capacity(span.len()));
        for token in span.clone() {
            for nth in 0..group {
                let (query, grad) = (q.of(token, head * group + nth), grad.of(token, head * group + nth));
                let seen = self.seen(span, token);
                self.weights(isa, query, k, *head, seen.clone(), &mut weights);
                slopes.clear();
                slopes.extend(seen.clone().map(|other| isa.dot(grad, v.of(other, *head))));
                let mean = isa.dot(&weights, &slopes);
                let own = &mut back.queries[((token - span.start) * group + nth) * dim..][..dim];
                for ((other, weight), slope) in seen.zip(&weights).zip(&slopes) {
                    let of_score = weight * (slope - mean) * self.scale;
                    let at = (other - span.start) * dim;
                    add(&mut back.values[at..][..dim], grad, *weight);
                    add(&mut back.keys[at..][..dim], query, of_score);
                    add(own, k.of(other, *head), of_score);
                }
            }
        }
        back
    }

    /// Puts what pieces gave, `heads` heads a piece, into rows.
    fn gather<'a>(
        &self,
        pieces: &[Piece],
        made: impl Iterator<Item = &'a [f32]>,
        heads: usize,
        tokens: usize,
    ) -> Vec<f32> {
        let (piece, width) = (heads * self.dim, heads * self.kv_heads * self.dim);
        let mut out = vec![0.0; tokens * width];
        for ((span, head), numbers) in pieces.iter().zip(made) {
            for (token, from) in span.clone().zip(numbers.chunks_exact(piece)) {
                out[token * width + head * piece..][..piece].copy_from_slice(from);
            }
        }
        out
    }
}

/// `out += x · by`.
fn add(out: &mut [f32], x: &[f32], by: f32) {
    for (out, x) in out.iter_mut().zip(x) {
        *out += x * by;
    }
}

impl CustomOp3 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        of_q: &Layout,
        k: &CpuStorage,
        of_k: &Layout,
        v: &CpuStorage,
        of_v: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let [q, k, v] = [super::plain(q, of_q)?, super::plain(k, of_k)?, super::plain(v, of_v)?];
        let rows = [self.heads(q, self.heads), self.heads(k, self.kv_heads), self.heads(v, self.kv_heads)];
        let pieces = self.pieces();
        let made: Vec<Vec<f32>> = pieces.par_iter().map(|piece| self.forward(piece, rows)).collect();
        let (tokens, _) = of_q.shape().dims2()?;
        let out = self.gather(&pieces, made.iter().map(Vec::as_slice), self.group(), tokens);
        Ok((CpuStorage::F32(out), of_q.shape().clone()))
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let numbers = |tensor: &Tensor| tensor.flatten_all()?.to_vec1::<f32>();
        let kept = [numbers(q)?, numbers(k)?, numbers(v)?, numbers(grad)?];
        let of = |nth: usize, heads: usize| self.heads(&kept[nth], heads);
        let rows = [of(0, self.heads), of(1, self.kv_heads), of(2, self.kv_heads), of(3, self.heads)];
        let pieces = self.pieces();
        let made: Vec<Back> = pieces.par_iter().map(|piece| self.backward(piece, rows)).collect();
        let (tokens, _) = q.dims2()?;
        let gathered = |part: fn(&Back) -> &[f32], heads: usize, like: &Tensor| {
            let out = self.gather(&pieces, made.iter().map(part), heads, tokens);
            Tensor::from_vec(out, like.shape(), like.device()).map(Some)
        };
        Ok((
            gathered(|back| &back.queries, self.group(), q)?,
            gathered(|back| &back.keys, 1, k)?,
            gathered(|back| &back.values, 1, v)?,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finetune::testing::{slopes, wave};

    #[test]
    fn the_gradients_are_the_slopes_within_spans_and_windows() {
        for (window, kv_heads) in [(None, 2), (Some(3), 1), (None, 4)] {
            let spans = Arc::new(vec![0..5, 5..6, 6..9]);
            let attention = Attention { spans, heads: 4, kv_heads, dim: 8, scale: 0.4, window };
            let args = [wave(9, 32, 0.37), wave(9, kv_heads * 8, 0.9), wave(9, kv_heads * 8, 0.53)];
            slopes(&args, |x| attention.apply(&x[0], &x[1], &x[2]));
        }
    }

    #[test]
    fn nothing_is_seen_beyond_a_span_a_window_or_the_token_itself() {
        let spans = Arc::new(vec![0..4, 4..9]);
        let attention = Attention { spans, heads: 2, kv_heads: 1, dim: 8, scale: 0.4, window: Some(3) };
        let [q, k, v] = [wave(9, 16, 0.37), wave(9, 8, 0.9), wave(9, 8, 0.53)];
        let of = |v: &Tensor| attention.apply(&q, &k, v).unwrap().to_vec2::<f32>().unwrap();
        let before = of(&v);
        for changed in 0..9usize {
            let mut rows = v.to_vec2::<f32>().unwrap();
            rows[changed].iter_mut().for_each(|v| *v += 1.0);
            let after = of(&Tensor::new(rows, v.device()).unwrap());
            for (token, (before, after)) in before.iter().zip(&after).enumerate() {
                let sees = token >= changed && token < changed + 3 && (token < 4) == (changed < 4);
                assert_eq!(before != after, sees, "{token} and {changed}");
            }
        }
    }
}
