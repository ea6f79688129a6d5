//! The portable twins of an adapter's products.

use super::WIDTH;
use crate::kernel::SUMS;
use crate::kernel::portable::fold_lanes;
use half::f16;

pub(super) fn shrink(a: &[u16], rank: usize, x: &[&[f32]], h: &mut [f32]) {
    for (x, h) in x.iter().zip(h.chunks_exact_mut(rank)) {
        for (a, h) in a.chunks_exact(x.len()).zip(h) {
            let mut lanes = [0.0f32; SUMS];
            for (a, x) in a.chunks(SUMS).zip(x.chunks(SUMS)) {
                for (lane, (a, x)) in lanes.iter_mut().zip(a.iter().zip(x)) {
                    *lane = f16::from_bits(*a).to_f32().mul_add(*x, *lane);
                }
            }
            *h = fold_lanes(&lanes);
        }
    }
}

pub(super) fn expand(b: &[u16], rank: usize, h: &[f32], out: &mut [f32]) {
    let cols = b.len() / rank;
    out.fill(0.0);
    for (h, out) in h.chunks_exact(rank).zip(out.chunks_exact_mut(cols)) {
        for (block, out) in b.chunks_exact(rank * WIDTH).zip(out.chunks_exact_mut(WIDTH)) {
            for (h, row) in h.iter().zip(block.chunks_exact(WIDTH)) {
                for (o, b) in out.iter_mut().zip(row) {
                    *o = h.mul_add(f16::from_bits(*b).to_f32(), *o);
                }
            }
        }
    }
}
