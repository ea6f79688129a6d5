//! What the elements of a tensor are, by the names of the Open Inference Protocol.

use super::half;
use std::fmt;
use std::str::FromStr;

/// What the elements of a tensor are; a closed set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Datatype {
    /// A truth, a byte of 0 or 1.
    Bool,
    /// `u8`.
    Uint8,
    /// `u16`.
    Uint16,
    /// `u32`.
    Uint32,
    /// `u64`.
    Uint64,
    /// `i8`.
    Int8,
    /// `i16`.
    Int16,
    /// `i32`.
    Int32,
    /// `i64`.
    Int64,
    /// IEEE 754's number of 16 bits.
    Fp16,
    /// `f32`.
    Fp32,
    /// `f64`.
    Fp64,
    /// The upper half of an `f32`.
    Bf16,
    /// A byte string.
    Bytes,
}

/// A name that is no datatype's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "is none: they are BOOL, UINT8, UINT16, UINT32, UINT64, INT8, INT16, INT32, INT64, FP16, FP32, FP64, BF16 and BYTES"
)]
pub struct UnknownDatatype;

impl Datatype {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 14] = [
        Self::Bool,
        Self::Uint8,
        Self::Uint16,
        Self::Uint32,
        Self::Uint64,
        Self::Int8,
        Self::Int16,
        Self::Int32,
        Self::Int64,
        Self::Fp16,
        Self::Fp32,
        Self::Fp64,
        Self::Bf16,
        Self::Bytes,
    ];

    /// Its name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bool => "BOOL",
            Self::Uint8 => "UINT8",
            Self::Uint16 => "UINT16",
            Self::Uint32 => "UINT32",
            Self::Uint64 => "UINT64",
            Self::Int8 => "INT8",
            Self::Int16 => "INT16",
            Self::Int32 => "INT32",
            Self::Int64 => "INT64",
            Self::Fp16 => "FP16",
            Self::Fp32 => "FP32",
            Self::Fp64 => "FP64",
            Self::Bf16 => "BF16",
            Self::Bytes => "BYTES",
        }
    }

    /// How many bytes an element has; none where each has its own.
    #[must_use]
    pub const fn width(self) -> Option<usize> {
        match self {
            Self::Bool | Self::Uint8 | Self::Int8 => Some(1),
            Self::Uint16 | Self::Int16 | Self::Fp16 | Self::Bf16 => Some(2),
            Self::Uint32 | Self::Int32 | Self::Fp32 => Some(4),
            Self::Uint64 | Self::Int64 | Self::Fp64 => Some(8),
            Self::Bytes => None,
        }
    }

    /// Whether its elements are whole numbers.
    #[must_use]
    pub const fn is_integer(self) -> bool {
        self.width().is_some() && !self.is_float() && !matches!(self, Self::Bool)
    }

    /// Whether its elements have fractions.
    #[must_use]
    pub const fn is_float(self) -> bool {
        matches!(self, Self::Fp16 | Self::Fp32 | Self::Fp64 | Self::Bf16)
    }

    /// The number that `bytes`, one element, stand for; 0 where they are not one.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "the nearest number is what is asked for")]
    pub fn number(self, bytes: &[u8]) -> f64 {
        fn of<const N: usize>(bytes: &[u8]) -> [u8; N] {
            bytes.try_into().unwrap_or([0; N])
        }
        match self {
            Self::Bool | Self::Uint8 => f64::from(u8::from_le_bytes(of(bytes))),
            Self::Uint16 => f64::from(u16::from_le_bytes(of(bytes))),
            Self::Uint32 => f64::from(u32::from_le_bytes(of(bytes))),
            Self::Uint64 => u64::from_le_bytes(of(bytes)) as f64,
            Self::Int8 => f64::from(i8::from_le_bytes(of(bytes))),
            Self::Int16 => f64::from(i16::from_le_bytes(of(bytes))),
            Self::Int32 => f64::from(i32::from_le_bytes(of(bytes))),
            Self::Int64 => i64::from_le_bytes(of(bytes)) as f64,
            Self::Fp16 => f64::from(half::of_fp16(u16::from_le_bytes(of(bytes)))),
            Self::Fp32 => f64::from(f32::from_le_bytes(of(bytes))),
            Self::Fp64 => f64::from_le_bytes(of(bytes)),
            Self::Bf16 => f64::from(half::of_bf16(u16::from_le_bytes(of(bytes)))),
            Self::Bytes => 0.0,
        }
    }
}

impl FromStr for Datatype {
    type Err = UnknownDatatype;

    fn from_str(name: &str) -> Result<Self, UnknownDatatype> {
        Self::ALL.into_iter().find(|datatype| datatype.name() == name).ok_or(UnknownDatatype)
    }
}

impl fmt::Display for Datatype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
