//! The portable twins of an adapter's products.

use super::{DEPTH, Precision, Rows, WIDTH, place};
use crate::kernel::SUMS;
use crate::kernel::portable::fold_lanes;
use half::f16;

/// The number at a place.
fn number(of: &[u8], kept: Precision, at: usize) -> f32 {
    match kept {
        Precision::Half => f16::from_le_bytes([of[at * 2], of[at * 2 + 1]]).to_f32(),
        Precision::Eight => f32::from(of[at].cast_signed()),
    }
}

pub(super) fn shrink(a: &[u8], kept: Precision, rank: usize, x: &[&[f32]], h: &mut [f32]) {
    for (x, h) in x.iter().zip(h.chunks_exact_mut(rank)) {
        let cols = x.len().next_multiple_of(DEPTH);
        for (r, h) in h.iter_mut().enumerate() {
            let mut lanes = [0.0f32; DEPTH];
            for c in 0..cols {
                let weight = number(a, kept, place(rank, cols, (r, c)));
                let lane = &mut lanes[c % DEPTH];
                *lane = weight.mul_add(x.get(c).copied().unwrap_or(0.0), *lane);
            }
            *h = fold(&lanes);
        }
    }
}

/// The sum of sixteen, in the order in which registers are halved.
pub(super) fn fold(lanes: &[f32; DEPTH]) -> f32 {
    let mut halved = [0.0; SUMS];
    for (i, sum) in halved.iter_mut().enumerate() {
        *sum = lanes[i] + lanes[i + SUMS];
    }
    fold_lanes(&halved)
}

pub(super) fn expand(b: &[u8], kept: Precision, rank: usize, h: &[f32], out: &mut Rows<'_>) {
    for (h, begin) in h.chunks_exact(rank).zip(out.begin) {
        let out = &mut out.all[*begin..][..out.len];
        for (block, out) in b.chunks_exact(kept.bytes() * rank * WIDTH).zip(out.chunks_mut(WIDTH)) {
            let mut sums = [0.0f32; WIDTH];
            for (h, row) in h.iter().zip(block.chunks_exact(kept.bytes() * WIDTH)) {
                for (c, sum) in sums.iter_mut().enumerate() {
                    *sum = h.mul_add(number(row, kept, c), *sum);
                }
            }
            for (o, sum) in out.iter_mut().zip(sums) {
                *o += sum;
            }
        }
    }
}
