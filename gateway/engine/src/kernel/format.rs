//! The packed weight formats: sixteen rows interleaved, 32 columns at a time, so that one 512-bit register (or two of 256
//! bits, or four of 128) holds four columns of sixteen rows. Owns where each number lies, not what is done with it.

use super::{BLOCK, LANES};

/// How packed weights are stored. `rows` stands for sixteen rows, `b` for one byte a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// 32 columns: scales (f16), then nibbles. A weight is `scale · (nibble - 8)`.
    Q40,
    /// 32 columns: scales (f16), minima (f16), then nibbles. A weight is `scale · nibble + minimum`.
    Q41,
    /// 32 columns: scales (f16), then bytes, 128 added to each. A weight is `scale · (byte - 128)`.
    Q80,
    /// 256 columns: scales (f16), minima (f16), then eight times 32 columns: factors of the scale (b), of the minimum (b),
    /// nibbles. A weight is `scale · factor · nibble - minimum · factor`.
    Q4K,
    /// 256 columns: scales (f16), then eight times 32 columns: factors (signed b) for the first sixteen columns, for
    /// the second, nibbles, upper pairs of bits. A weight is `scale · factor · (six bits - 32)`.
    Q6K,
}

/// Bytes of sixteen half-precision numbers.
pub(super) const HALVES: usize = 2 * LANES;
/// Bytes of 32 columns of nibbles.
pub(super) const NIBBLES: usize = BLOCK / 2 * LANES;
/// Bytes of one of the eight parts of a Q4_K block.
pub(super) const Q4K_PART: usize = 2 * LANES + NIBBLES;
/// Bytes of one of the eight parts of a Q6_K block.
pub(super) const Q6K_PART: usize = 2 * LANES + NIBBLES + NIBBLES / 2;

impl Format {
    /// Columns of a packed block.
    pub(crate) fn columns(self) -> usize {
        match self {
            Self::Q40 | Self::Q41 | Self::Q80 => BLOCK,
            Self::Q4K | Self::Q6K => 8 * BLOCK,
        }
    }

    /// Bytes of a packed block of sixteen rows.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::Q40 => HALVES + NIBBLES,
            Self::Q41 => 2 * HALVES + NIBBLES,
            Self::Q80 => HALVES + 2 * NIBBLES,
            Self::Q4K => 2 * HALVES + 8 * Q4K_PART,
            Self::Q6K => HALVES + 8 * Q6K_PART,
        }
    }
}

/// Where column `j` (of 32) of row `lane` lies among packed bytes: four columns of each row side by side.
pub(crate) fn byte_at(j: usize, lane: usize) -> usize {
    j / 4 * 4 * LANES + lane * 4 + j % 4
}

/// Where column `j` (of 32) lies among packed nibbles, and by how much it is shifted.
pub(crate) fn nibble_at(j: usize, lane: usize) -> (usize, u32) {
    (byte_at(j % 16, lane), if j < 16 { 0 } else { 4 })
}

/// Where the upper two bits of column `j` (of 32) lie, and by how much they are shifted.
pub(crate) fn pair_at(j: usize, lane: usize) -> (usize, u32) {
    (j / 16 * 4 * LANES + lane * 4 + j % 4, (j / 4 % 4 * 2) as u32)
}
