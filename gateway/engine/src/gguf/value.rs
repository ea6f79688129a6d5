//! An entry of a GGUF file. Lists are kept by kind, so that a vocabulary takes no more room than its words.

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Flag(bool),
    Text(String),
    Texts(Vec<String>),
    Integers(Vec<i64>),
    Floats(Vec<f32>),
    Flags(Vec<bool>),
}

/// The numbers of the kinds in a file.
pub(super) mod kind {
    pub(crate) const U8: u32 = 0;
    pub(crate) const I8: u32 = 1;
    pub(crate) const U16: u32 = 2;
    pub(crate) const I16: u32 = 3;
    pub(crate) const U32: u32 = 4;
    pub(crate) const I32: u32 = 5;
    pub(crate) const F32: u32 = 6;
    pub(crate) const BOOL: u32 = 7;
    pub(crate) const TEXT: u32 = 8;
    pub(crate) const LIST: u32 = 9;
    pub(crate) const U64: u32 = 10;
    pub(crate) const I64: u32 = 11;
    pub(crate) const F64: u32 = 12;

    /// The fewest bytes that a value of a kind takes.
    pub(crate) fn least(kind: u32) -> Option<u64> {
        Some(match kind {
            U8 | I8 | BOOL => 1,
            U16 | I16 => 2,
            U32 | I32 | F32 => 4,
            TEXT | U64 | I64 | F64 => 8,
            LIST => 12,
            _ => return None,
        })
    }
}

impl Value {
    /// A whole number of any width.
    pub(crate) fn whole(&self) -> Option<u64> {
        match self {
            Self::Unsigned(v) => Some(*v),
            Self::Signed(v) => u64::try_from(*v).ok(),
            _ => None,
        }
    }

    /// A number with a fraction.
    pub(crate) fn float(&self) -> Option<f32> {
        match self {
            Self::Float(v) => Some(*v as f32),
            _ => None,
        }
    }
}
