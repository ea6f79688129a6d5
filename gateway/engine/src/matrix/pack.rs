//! From GGUF's blocks, one row after another, to sixteen interleaved rows, and back to plain numbers for a single row.
//! Rows that are missing in the last sixteen are zero.

use crate::kernel::{BLOCK, Format, LANES, byte_at, nibble_at, pair_at};
use candle_core::quantized::GgmlDType;

/// Bytes of the half-precision numbers of sixteen rows.
const HALVES: usize = 2 * LANES;
/// Bytes of 32 columns of nibbles.
const NIBBLES: usize = BLOCK / 2 * LANES;

/// The format that a type is packed into, if any.
pub(super) fn format_of(dtype: GgmlDType, cols: usize) -> Option<Format> {
    let format = match dtype {
        GgmlDType::Q4_0 => Format::Q40,
        GgmlDType::Q4_1 => Format::Q41,
        // The five bits of Q5_0 are whole numbers under a scale, too.
        GgmlDType::Q8_0 | GgmlDType::Q5_0 => Format::Q80,
        GgmlDType::Q4K => Format::Q4K,
        GgmlDType::Q6K => Format::Q6K,
        _ => return None,
    };
    cols.is_multiple_of(format.columns()).then_some(format)
}

/// Fills `out` with the packed rows of `data`.
pub(super) fn pack(dtype: GgmlDType, format: Format, data: &[u8], rows: usize, cols: usize, out: &mut [u8]) {
    let (blocks, size) = (cols / format.columns(), dtype.type_size());
    for row in 0..rows {
        for b in 0..blocks {
            let from = &data[(row * blocks + b) * size..][..size];
            let to = &mut out[(row / LANES * blocks + b) * format.bytes()..][..format.bytes()];
            pack_block(dtype, from, row % LANES, to);
        }
    }
}

fn pack_block(dtype: GgmlDType, from: &[u8], lane: usize, to: &mut [u8]) {
    let half = |to: &mut [u8], index: usize, bytes: &[u8]| to[index * HALVES + lane * 2..][..2].copy_from_slice(bytes);
    match dtype {
        GgmlDType::Q4_0 => {
            half(to, 0, &from[..2]);
            put_nibbles(&mut to[HALVES..], lane, |j| from[2 + j]);
        }
        GgmlDType::Q4_1 => {
            half(to, 0, &from[..2]);
            half(to, 1, &from[2..4]);
            put_nibbles(&mut to[2 * HALVES..], lane, |j| from[4 + j]);
        }
        GgmlDType::Q8_0 => {
            half(to, 0, &from[..2]);
            for (j, q) in from[2..].iter().enumerate() {
                to[HALVES + byte_at(j, lane)] = q ^ 0x80;
            }
        }
        GgmlDType::Q5_0 => {
            half(to, 0, &from[..2]);
            let fifth = u32::from_le_bytes([from[2], from[3], from[4], from[5]]);
            for j in 0..BLOCK {
                let nibble = if j < 16 { from[6 + j] & 15 } else { from[6 + j - 16] >> 4 };
                let bit = (fifth >> j & 1) as u8;
                to[HALVES + byte_at(j, lane)] = (nibble | bit << 4) + 112;
            }
        }
        GgmlDType::Q4K => pack_q4k(from, lane, to),
        _ => pack_q6k(from, lane, to),
    }
}

/// Sixteen bytes, each the nibbles of columns `j` and `j + 16`.
fn put_nibbles(to: &mut [u8], lane: usize, byte: impl Fn(usize) -> u8) {
    for j in 0..BLOCK / 2 {
        to[byte_at(j, lane)] = byte(j);
    }
}

fn pack_q4k(from: &[u8], lane: usize, to: &mut [u8]) {
    to[lane * 2..][..2].copy_from_slice(&from[..2]);
    to[HALVES + lane * 2..][..2].copy_from_slice(&from[2..4]);
    let (packed, q) = (&from[4..16], &from[16..]);
    for (part, to) in to[2 * HALVES..].chunks_exact_mut(2 * LANES + NIBBLES).enumerate() {
        // Six bits each: the first four parts' lie whole, the others' upper two bits beside the first four's.
        let (scale, minimum) = if part < 4 {
            (packed[part] & 63, packed[part + 4] & 63)
        } else {
            (packed[part + 4] & 15 | packed[part - 4] >> 6 << 4, packed[part + 4] >> 4 | packed[part] >> 6 << 4)
        };
        to[lane] = scale;
        to[LANES + lane] = minimum;
        let nibble = |j: usize| q[part / 2 * 32 + j] >> (part % 2 * 4) & 15;
        put_nibbles(&mut to[2 * LANES..], lane, |j| nibble(j) | nibble(j + 16) << 4);
    }
}

fn pack_q6k(from: &[u8], lane: usize, to: &mut [u8]) {
    to[lane * 2..][..2].copy_from_slice(&from[208..210]);
    let (low, high, scales) = (&from[..128], &from[128..192], &from[192..208]);
    for (part, to) in to[HALVES..].chunks_exact_mut(2 * LANES + NIBBLES + NIBBLES / 2).enumerate() {
        to[lane] = scales[part * 2];
        to[LANES + lane] = scales[part * 2 + 1];
        // Each half of 128 columns: four parts share 64 bytes of nibbles and 32 of pairs.
        let (half, quarter) = (part / 4, part % 4);
        let nibble = |j: usize| low[half * 64 + quarter % 2 * 32 + j] >> (quarter / 2 * 4) & 15;
        put_nibbles(&mut to[2 * LANES..], lane, |j| nibble(j) | nibble(j + 16) << 4);
        for j in 0..BLOCK {
            let (at, shift) = pair_at(j, lane);
            let pair = high[half * 32 + j] >> (quarter * 2) & 3;
            to[2 * LANES + NIBBLES + at] |= pair << shift;
        }
    }
}

/// The packed row of `lane` as plain numbers: `group` holds its blocks.
pub(super) fn unpack(format: Format, group: &[u8], lane: usize, out: &mut [f32]) {
    for (w, out) in group.chunks_exact(format.bytes()).zip(out.chunks_exact_mut(format.columns())) {
        for (part, out) in out.chunks_exact_mut(BLOCK).enumerate() {
            for (j, out) in out.iter_mut().enumerate() {
                *out = weight(format, w, part, lane, j);
            }
        }
    }
}

fn weight(format: Format, w: &[u8], part: usize, lane: usize, j: usize) -> f32 {
    let half = |index: usize| {
        let at = index * HALVES + lane * 2;
        half::f16::from_le_bytes([w[at], w[at + 1]]).to_f32()
    };
    let nibble = |w: &[u8]| {
        let (at, shift) = nibble_at(j, lane);
        w[at] >> shift & 15
    };
    match format {
        Format::Q40 => half(0) * (f32::from(nibble(&w[HALVES..])) - 8.0),
        Format::Q41 => half(0) * f32::from(nibble(&w[2 * HALVES..])) + half(1),
        Format::Q80 => half(0) * (f32::from(w[HALVES + byte_at(j, lane)]) - 128.0),
        Format::Q4K => {
            let w = &w[2 * HALVES..][part * (2 * LANES + NIBBLES)..];
            let (scale, minimum) = (half(0) * f32::from(w[lane]), half(1) * f32::from(w[LANES + lane]));
            scale * f32::from(nibble(&w[2 * LANES..])) - minimum
        }
        Format::Q6K => {
            let w = &w[HALVES..][part * (2 * LANES + NIBBLES + NIBBLES / 2)..];
            let (at, shift) = pair_at(j, lane);
            let six = nibble(&w[2 * LANES..]) | (w[2 * LANES + NIBBLES + at] >> shift & 3) << 4;
            half(0) * f32::from(w[j / 16 * LANES + lane] as i8) * (f32::from(six) - 32.0)
        }
    }
}
