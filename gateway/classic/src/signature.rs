//! What a model takes and gives, as its file says. Owns no checks of calls.

/// The kind of a field's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 32-bit floats.
    F32,
    /// 64-bit floats.
    F64,
    /// 64-bit integers.
    I64,
}

/// One input or output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// The kind of its values.
    pub kind: Kind,
    /// Its shape; `None` where a call decides.
    pub shape: Vec<Option<usize>>,
}

/// A model's inputs and outputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// What it takes.
    pub inputs: Vec<Field>,
    /// What it gives, the library's own `predict` first.
    pub outputs: Vec<Field>,
    /// The names of an input row's values, where the file has them.
    pub features: Vec<String>,
}
