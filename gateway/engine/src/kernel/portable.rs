//! The portable twins: what every processor runs, and what the fast functions are compared with bit for bit. Sums are
//! kept in eight lanes and fused multiply-adds are used in the same places as there.

use super::{BLOCK, LANES, PAGE, Q4_BYTES, Q8_BYTES, QuantTile, Tile};
use half::f16;

pub(super) const LOG2_E: f32 = std::f32::consts::LOG2_E;
/// ln 2 in two parts, the first exact in few bits (Cody and Waite).
pub(super) const LN2_HIGH: f32 = 0.693_359_4;
pub(super) const LN2_LOW: f32 = -2.121_944_4e-4;
/// Beyond these `exp` leaves the normal numbers.
pub(super) const EXP_LOW: f32 = -87.336_54;
pub(super) const EXP_HIGH: f32 = 88.0;
/// Cephes' polynomial for `exp` on [-ln2/2, ln2/2], highest power first.
pub(super) const EXP_POLY: [f32; 6] =
    [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];

pub(super) fn quantize(x: &[f32], q: &mut [i8], d: &mut [f32], s: &mut [f32]) {
    let blocks = x.chunks_exact(BLOCK).zip(q.chunks_exact_mut(BLOCK));
    for ((x, q), (d, s)) in blocks.zip(d.iter_mut().zip(s.iter_mut())) {
        let largest = x.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
        let mut sum = 0i32;
        for (q, x) in q.iter_mut().zip(x) {
            let v = (x * inverse).round_ties_even() as i32;
            *q = v as i8;
            sum += v;
        }
        *d = largest / 127.0;
        *s = *d * sum as f32;
    }
}

fn half_at(bytes: &[u8], index: usize) -> f32 {
    f16::from_le_bytes([bytes[index * 2], bytes[index * 2 + 1]]).to_f32()
}

pub(super) fn q4_tile(weights: &[u8], x: QuantTile<'_>, out: &mut Tile) {
    *out = Tile::default();
    let blocks = x.cols / BLOCK;
    for (b, w) in weights.chunks_exact(Q4_BYTES).enumerate() {
        for (t, out) in out.iter_mut().enumerate().take(x.rows) {
            let q = &x.q[t * x.cols + b * BLOCK..][..BLOCK];
            let (d, s) = (x.d[t * blocks + b], x.s[t * blocks + b]);
            for (r, out) in out.iter_mut().enumerate() {
                let mut sum = 0i32;
                for j in 0..BLOCK / 2 {
                    let byte = w[32 + (j / 4) * 32 + r * 4 + j % 4];
                    sum += i32::from(byte & 15) * i32::from(q[j]) + i32::from(byte >> 4) * i32::from(q[j + 16]);
                }
                *out = (half_at(w, r) * d).mul_add(sum as f32, *out);
                *out = half_at(w, LANES + r).mul_add(s, *out);
            }
        }
    }
}

pub(super) fn q8_tile(weights: &[u8], x: QuantTile<'_>, out: &mut Tile) {
    *out = Tile::default();
    let blocks = x.cols / BLOCK;
    for (b, w) in weights.chunks_exact(Q8_BYTES).enumerate() {
        for (t, out) in out.iter_mut().enumerate().take(x.rows) {
            let q = &x.q[t * x.cols + b * BLOCK..][..BLOCK];
            for (r, out) in out.iter_mut().enumerate() {
                let mut sum = 0i32;
                for (j, q) in q.iter().enumerate() {
                    sum += i32::from(w[16 + (j / 4) * 32 + r * 4 + j % 4] as i8) * i32::from(*q);
                }
                *out = (half_at(w, r) * x.d[t * blocks + b]).mul_add(sum as f32, *out);
            }
        }
    }
}

/// Adds eight lanes in the order of the fast code: halves, quarters, pairs.
#[inline(always)]
pub(super) fn fold_lanes(lanes: &[f32; LANES]) -> f32 {
    let [a, b, c, d, e, f, g, h] = *lanes;
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}

pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    for (a, b) in a.chunks(LANES).zip(b.chunks(LANES)) {
        for (l, (a, b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
            *l = a.mul_add(*b, *l);
        }
    }
    fold_lanes(&lanes)
}

pub(super) fn rms_norm(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    let scale = 1.0 / (dot(x, x) / x.len() as f32 + eps).sqrt();
    for (o, (x, w)) in out.iter_mut().zip(x.iter().zip(weight)) {
        *o = x * scale * w;
    }
}

/// `e^x` by range reduction and a polynomial; about 2 ulp, the same bits on every path.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    let x = x.clamp(EXP_LOW, EXP_HIGH);
    let n = (x * LOG2_E).round_ties_even();
    let r = n.mul_add(-LN2_LOW, n.mul_add(-LN2_HIGH, x));
    let mut y = EXP_POLY[0];
    for c in &EXP_POLY[1..] {
        y = y.mul_add(r, *c);
    }
    let y = y.mul_add(r * r, r) + 1.0;
    y * f32::from_bits(((n as i32 + 127) << 23) as u32)
}

#[inline(always)]
pub(super) fn silu(x: f32) -> f32 {
    x / (1.0 + exp(-x))
}

pub(super) fn silu_mul(gate: &mut [f32], up: &[f32]) {
    for (g, u) in gate.iter_mut().zip(up) {
        *g = silu(*g) * u;
    }
}

pub(super) fn to_f16(x: &[f32], out: &mut [u16]) {
    for (o, x) in out.iter_mut().zip(x) {
        *o = f16::from_f32(*x).to_bits();
    }
}

pub(super) fn scores(q: &[f32], dim: usize, keys: &[u16], out: &mut [f32], stride: usize) {
    for (h, q) in q.chunks_exact(dim).enumerate() {
        let out = &mut out[h * stride..][..PAGE];
        out.fill(0.0);
        for (q, keys) in q.iter().zip(keys.chunks_exact(PAGE)) {
            for (o, k) in out.iter_mut().zip(keys) {
                *o = q.mul_add(f16::from_bits(*k).to_f32(), *o);
            }
        }
    }
}

pub(super) fn values(p: &[f32], stride: usize, values: &[u16], tokens: usize, dim: usize, out: &mut [f32]) {
    for (h, out) in out.chunks_exact_mut(dim).enumerate() {
        for (p, row) in p[h * stride..][..tokens].iter().zip(values.chunks_exact(dim)) {
            for (o, v) in out.iter_mut().zip(row) {
                *o = p.mul_add(f16::from_bits(*v).to_f32(), *o);
            }
        }
    }
}

pub(super) fn exp_sum(x: &mut [f32], top: f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    for x in x.chunks_mut(LANES) {
        for (l, x) in lanes.iter_mut().zip(x) {
            *x = exp(*x - top);
            *l += *x;
        }
    }
    fold_lanes(&lanes)
}

pub(super) fn sum_exp(x: &[f32], top: f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    for x in x.chunks(LANES) {
        for (l, x) in lanes.iter_mut().zip(x) {
            *l += exp(*x - top);
        }
    }
    fold_lanes(&lanes)
}

pub(super) fn max(x: &[f32]) -> f32 {
    x.iter().fold(f32::NEG_INFINITY, |m, v| if *v > m { *v } else { m })
}
