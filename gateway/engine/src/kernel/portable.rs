//! The portable twins: what every processor runs, and what the fast functions are compared with bit for bit. Sums are
//! kept in eight lanes and fused multiply-adds are used in the same places as there.

use super::format::{HALVES, NIBBLES, Q4K_PART, Q6K_PART};
use super::{BLOCK, Format, LANES, PAGE, PART, QuantRow, QuantTile, SUMS, Tile, byte_at, pair_at};
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

#[expect(clippy::needless_pass_by_value, reason = "it is a set of borrows, given away")]
pub(super) fn quantize(x: &[f32], to: QuantRow<'_>) {
    for (b, (x, q)) in x.chunks_exact(BLOCK).zip(to.q.chunks_exact_mut(BLOCK)).enumerate() {
        let largest = x.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
        let mut sums = [0i32; 2];
        for (j, (q, x)) in q.iter_mut().zip(x).enumerate() {
            let v = (x * inverse).round_ties_even() as i32;
            *q = v as i8;
            sums[j / 16] += v;
        }
        to.d[b] = largest / 127.0;
        to.s[b] = to.d[b] * (sums[0] + sums[1]) as f32;
        to.n[b] = sums.map(|sum| sum * -8);
    }
}

fn half_at(bytes: &[u8], index: usize) -> f32 {
    f16::from_le_bytes([bytes[index * 2], bytes[index * 2 + 1]]).to_f32()
}

/// 32 columns of sixteen rows, unpacked once for all tokens.
struct Part {
    /// Four columns of each row side by side, as they are packed; offsets are taken off.
    weights: [i16; BLOCK * LANES],
    /// Scales of each half of the columns; only Q6_K has two.
    scales: [[f32; LANES]; 2],
    minima: [f32; LANES],
}

impl Part {
    /// The sums of one half of the columns with one activation block.
    fn sums(&self, half: usize, q: &[i8]) -> [i32; LANES] {
        let mut sums = [0i32; LANES];
        let groups = self.weights[half * BLOCK / 2 * LANES..].chunks_exact(4 * LANES);
        for (w, q) in groups.zip(q[half * BLOCK / 2..].chunks_exact(4)).take(BLOCK / 8) {
            for (sum, w) in sums.iter_mut().zip(w.chunks_exact(4)) {
                let product = |k: usize| i32::from(w[k]) * i32::from(q[k]);
                *sum += product(0) + product(1) + product(2) + product(3);
            }
        }
        sums
    }

    fn unpack(&mut self, format: Format, w: &[u8], part: usize) {
        let Self { weights, scales, minima } = self;
        let halves = |index: usize, lane: usize| half_at(w, index * LANES + lane);
        match format {
            Format::Q40 => unpack_nibbles(&w[HALVES..], 8, weights),
            Format::Q41 => unpack_nibbles(&w[2 * HALVES..], 0, weights),
            Format::Q80 => {
                for (weight, byte) in weights.iter_mut().zip(&w[HALVES..]) {
                    *weight = i16::from(*byte) - 128;
                }
            }
            Format::Q4K => unpack_nibbles(&w[2 * HALVES + part * Q4K_PART + 2 * LANES..], 0, weights),
            Format::Q6K => {
                let w = &w[HALVES + part * Q6K_PART + 2 * LANES..][..NIBBLES + NIBBLES / 2];
                unpack_nibbles(w, 32, weights);
                for j in 0..BLOCK {
                    for lane in 0..LANES {
                        let (at, shift) = pair_at(j, lane);
                        weights[byte_at(j, lane)] += i16::from(w[NIBBLES + at] >> shift & 3) * 16;
                    }
                }
            }
        }
        for lane in 0..LANES {
            let scale = halves(0, lane);
            match format {
                Format::Q40 | Format::Q80 => scales[0][lane] = scale,
                Format::Q41 => (scales[0][lane], minima[lane]) = (scale, halves(1, lane)),
                Format::Q4K => {
                    let factors = &w[2 * HALVES + part * Q4K_PART..];
                    scales[0][lane] = scale * f32::from(factors[lane]);
                    minima[lane] = -(halves(1, lane) * f32::from(factors[LANES + lane]));
                }
                Format::Q6K => {
                    let factors = &w[HALVES + part * Q6K_PART..];
                    scales[0][lane] = scale * f32::from(factors[lane] as i8);
                    scales[1][lane] = scale * f32::from(factors[LANES + lane] as i8);
                }
            }
        }
    }
}

fn unpack_nibbles(w: &[u8], offset: i16, out: &mut [i16; BLOCK * LANES]) {
    let (early, late) = out.split_at_mut(NIBBLES);
    for ((w, early), late) in w.iter().zip(early).zip(late) {
        *early = i16::from(w & 15) - offset;
        *late = i16::from(w >> 4) - offset;
    }
}

pub(super) fn product(format: Format, weights: &[u8], x: QuantTile<'_>, out: &mut Tile) {
    *out = Tile::default();
    let (blocks, parts) = (x.cols / BLOCK, format.columns() / BLOCK);
    let mut part = Part { weights: [0; BLOCK * LANES], scales: [[0.0; LANES]; 2], minima: [0.0; LANES] };
    for (b, w) in weights.chunks_exact(format.bytes()).enumerate() {
        for p in 0..parts {
            part.unpack(format, w, p);
            for (t, out) in out.iter_mut().enumerate().take(x.rows) {
                accumulate(format, &part, &x, t * blocks + b * parts + p, out);
            }
        }
    }
}

/// Adds 32 columns to the sums of sixteen rows, in the one order that every set keeps.
fn accumulate(format: Format, part: &Part, x: &QuantTile<'_>, at: usize, out: &mut [f32; LANES]) {
    let q = &x.q[at * BLOCK..][..BLOCK];
    let (early, late) = (part.sums(0, q), part.sums(1, q));
    for (lane, out) in out.iter_mut().enumerate() {
        if format == Format::Q6K {
            *out = (part.scales[0][lane] * x.d[at]).mul_add(early[lane] as f32, *out);
            *out = (part.scales[1][lane] * x.d[at]).mul_add(late[lane] as f32, *out);
        } else {
            *out = (part.scales[0][lane] * x.d[at]).mul_add((early[lane] + late[lane]) as f32, *out);
        }
        if matches!(format, Format::Q41 | Format::Q4K) {
            *out = part.minima[lane].mul_add(x.s[at], *out);
        }
    }
}

/// Adds eight lanes in the order of the fast code: halves, quarters, pairs.
#[inline(always)]
pub(super) fn fold_lanes(lanes: &[f32; SUMS]) -> f32 {
    let [a, b, c, d, e, f, g, h] = *lanes;
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}

pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; SUMS];
    for (a, b) in a.chunks(SUMS).zip(b.chunks(SUMS)) {
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

/// There is no portable way to ask.
pub(super) fn ahead(_page: &[u16]) {}

pub(super) fn exp_sum(x: &mut [f32], top: f32) -> f32 {
    let mut lanes = [0.0f32; SUMS];
    for x in x.chunks_mut(SUMS) {
        for (l, x) in lanes.iter_mut().zip(x) {
            *x = exp(*x - top);
            *l += *x;
        }
    }
    fold_lanes(&lanes)
}

pub(super) fn sum_exp(x: &[f32], top: f32, heat: f32) -> f32 {
    let mut lanes = [0.0f32; SUMS];
    for x in x.chunks(SUMS) {
        for (l, x) in lanes.iter_mut().zip(x) {
            *l += exp((*x - top) * heat);
        }
    }
    fold_lanes(&lanes)
}

pub(super) fn peaks(x: &[f32], out: &mut [f32]) {
    for (x, out) in x.chunks(PART).zip(out) {
        *out = max(x);
    }
}

pub(super) fn max(x: &[f32]) -> f32 {
    x.iter().fold(f32::NEG_INFINITY, |m, v| if *v > m { *v } else { m })
}
