//! Tensors as classic models get and give them, checked where they are made. Owns what a tensor is; how one is written on a
//! wire is `tidegate-dialect`'s, what is made of one is a model's.

mod datatype;
pub mod half;
mod predict;

pub use datatype::{Datatype, UnknownDatatype};
pub use predict::{EXPLANATION, ModelMeta, Parameters, PredictAnswer, PredictRequest, TensorMeta};

use bytes::{BufMut, Bytes, BytesMut};

/// The most dimensions that a tensor may have.
pub const MAX_RANK: usize = 16;
/// The most rows (and lists within them) that a tensor without elements may have: no byte of its data pays for them.
pub const MAX_HOLLOW: u64 = 1 << 16;

/// A named array of numbers, truths or byte strings. Its data always fit its shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    name: String,
    datatype: Datatype,
    shape: Vec<u64>,
    /// Row by row, little-endian; byte strings with a length of four bytes before each.
    data: Bytes,
    /// What the wire says of it beside.
    parameters: Parameters,
}

/// Why something is no tensor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TensorFault {
    /// More dimensions than anybody needs.
    #[error("the shape of `{name}` has {rank} dimensions, and {MAX_RANK} are the most")]
    Rank {
        /// Of which tensor.
        name: String,
        /// How many.
        rank: usize,
    },
    /// The product of the shape does not fit.
    #[error("the shape of `{name}` is of more elements than can be counted")]
    Overflow {
        /// Of which tensor.
        name: String,
    },
    /// No elements, but more rows than anybody needs.
    #[error(
        "the shape of `{name}` is of no elements in {rows} rows, and {MAX_HOLLOW} are the most: give each row a value"
    )]
    Hollow {
        /// Of which tensor.
        name: String,
        /// The product of what stands before the zero.
        rows: u64,
    },
    /// Another number of elements than the shape says.
    #[error("the shape of `{name}` is of {wanted} elements, but its data are of {found}")]
    Elements {
        /// Of which tensor.
        name: String,
        /// By its shape.
        wanted: u64,
        /// In its data.
        found: u64,
    },
    /// Another number of bytes than shape and datatype say.
    #[error("the data of `{name}` are of {found} bytes, but its shape of {datatype} takes {wanted}")]
    Size {
        /// Of which tensor.
        name: String,
        /// Its datatype.
        datatype: Datatype,
        /// By its shape.
        wanted: u64,
        /// In its data.
        found: u64,
    },
    /// A byte string that ends behind the data.
    #[error("the data of `{name}` are cut: element {element} says a length that goes beyond their end")]
    Cut {
        /// Of which tensor.
        name: String,
        /// Which one, from 0.
        element: u64,
    },
    /// A truth that is neither.
    #[error("the data of `{name}` are of BOOL, but byte {at} is neither 0 nor 1")]
    Truth {
        /// Of which tensor.
        name: String,
        /// Where, from 0.
        at: usize,
    },
}

impl Tensor {
    /// A tensor of little-endian bytes.
    ///
    /// # Errors
    /// The data do not fit the shape.
    pub fn new(name: impl Into<String>, datatype: Datatype, shape: Vec<u64>, data: Bytes) -> Result<Self, TensorFault> {
        let name = name.into();
        check(&name, datatype, &shape, &data)?;
        Ok(Self { name, datatype, shape, data, parameters: Parameters::new() })
    }

    /// A tensor of `f32`.
    ///
    /// # Errors
    /// Another number of values than the shape says.
    pub fn of_f32(name: impl Into<String>, shape: Vec<u64>, values: &[f32]) -> Result<Self, TensorFault> {
        let mut data = BytesMut::with_capacity(values.len() * 4);
        values.iter().for_each(|value| data.put_f32_le(*value));
        Self::new(name, Datatype::Fp32, shape, data.freeze())
    }

    /// A tensor of `f64`.
    ///
    /// # Errors
    /// Another number of values than the shape says.
    pub fn of_f64(name: impl Into<String>, shape: Vec<u64>, values: &[f64]) -> Result<Self, TensorFault> {
        let mut data = BytesMut::with_capacity(values.len() * 8);
        values.iter().for_each(|value| data.put_f64_le(*value));
        Self::new(name, Datatype::Fp64, shape, data.freeze())
    }

    /// A tensor of `i64`.
    ///
    /// # Errors
    /// Another number of values than the shape says.
    pub fn of_i64(name: impl Into<String>, shape: Vec<u64>, values: &[i64]) -> Result<Self, TensorFault> {
        let mut data = BytesMut::with_capacity(values.len() * 8);
        values.iter().for_each(|value| data.put_i64_le(*value));
        Self::new(name, Datatype::Int64, shape, data.freeze())
    }

    /// A tensor of byte strings.
    ///
    /// # Errors
    /// Another number of strings than the shape says.
    pub fn of_texts<T: AsRef<[u8]>>(
        name: impl Into<String>,
        shape: Vec<u64>,
        texts: &[T],
    ) -> Result<Self, TensorFault> {
        let mut data = BytesMut::with_capacity(texts.iter().map(|text| text.as_ref().len() + 4).sum());
        for text in texts {
            put_text(&mut data, text.as_ref());
        }
        Self::new(name, Datatype::Bytes, shape, data.freeze())
    }

    /// The same with what the wire says of it beside.
    #[must_use]
    pub fn with_parameters(self, parameters: Parameters) -> Self {
        Self { parameters, ..self }
    }

    /// The same under another name.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// The same data in another shape.
    ///
    /// # Errors
    /// It is of another number of elements.
    pub fn shaped(self, shape: Vec<u64>) -> Result<Self, TensorFault> {
        check(&self.name, self.datatype, &shape, &self.data)?;
        Ok(Self { shape, ..self })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its elements are.
    #[must_use]
    pub const fn datatype(&self) -> Datatype {
        self.datatype
    }

    /// Its dimensions.
    #[must_use]
    pub fn shape(&self) -> &[u64] {
        &self.shape
    }

    /// Its elements, row by row, little-endian; byte strings with a length of four bytes before each.
    #[must_use]
    pub const fn data(&self) -> &Bytes {
        &self.data
    }

    /// What the wire says of it beside.
    #[must_use]
    pub const fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// How many elements it has.
    #[must_use]
    pub fn elements(&self) -> usize {
        // Checked when it was made.
        self.shape.iter().product::<u64>().try_into().unwrap_or(usize::MAX)
    }

    /// How many rows it has: its first dimension, one where it has none.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.shape.first().map_or(1, |rows| usize::try_from(*rows).unwrap_or(usize::MAX))
    }

    /// Its elements as `f64`, where they are numbers or truths (large integers are rounded).
    #[must_use]
    pub fn numbers(&self) -> Option<impl Iterator<Item = f64> + '_> {
        let width = self.datatype.width()?;
        Some(self.data.chunks_exact(width).map(move |bytes| self.datatype.number(bytes)))
    }

    /// Its elements as `f32`, where they are numbers or truths.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "models of f32 read the nearest one")]
    pub fn to_f32(&self) -> Option<Vec<f32>> {
        if self.datatype == Datatype::Fp32 {
            let (words, _) = self.data.as_chunks::<4>();
            return Some(words.iter().map(|word| f32::from_le_bytes(*word)).collect());
        }
        Some(self.numbers()?.map(|number| number as f32).collect())
    }

    /// Its elements, where they are byte strings.
    #[must_use]
    pub fn texts(&self) -> Option<impl Iterator<Item = &[u8]>> {
        (self.datatype == Datatype::Bytes).then(|| Texts(&self.data))
    }
}

/// Puts a byte string as tensors have them.
pub fn put_text(into: &mut BytesMut, text: &[u8]) {
    // Nothing that is read is longer; what would be is cut rather than wrong in its length.
    let text = &text[..text.len().min(u32::MAX as usize)];
    into.put_u32_le(u32::try_from(text.len()).unwrap_or(u32::MAX));
    into.put_slice(text);
}

/// The byte strings of data that were checked.
struct Texts<'a>(&'a [u8]);

impl<'a> Iterator for Texts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (text, rest) = first_text(self.0)?;
        self.0 = rest;
        Some(text)
    }
}

/// The first byte string of `data`, and what is behind it; none where it is cut.
fn first_text(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = data.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)
}

fn check(name: &str, datatype: Datatype, shape: &[u64], data: &[u8]) -> Result<(), TensorFault> {
    let wanted = elements(name, shape)?;
    let Some(width) = datatype.width() else { return check_texts(name, wanted, data) };
    let (bytes, found) = (wanted.checked_mul(width as u64), data.len() as u64);
    match bytes {
        None => return Err(TensorFault::Overflow { name: name.to_owned() }),
        Some(bytes) if bytes != found => {
            return Err(TensorFault::Size { name: name.to_owned(), datatype, wanted: bytes, found });
        }
        Some(_) => {}
    }
    // Of a megabyte of other numbers no byte is looked at.
    let wrong = (datatype == Datatype::Bool).then(|| data.iter().position(|byte| *byte > 1)).flatten();
    wrong.map_or(Ok(()), |at| Err(TensorFault::Truth { name: name.to_owned(), at }))
}

/// How many elements a shape is of.
///
/// # Errors
/// More dimensions or more elements than a tensor may have, or too many rows without any.
pub fn elements(name: &str, shape: &[u64]) -> Result<u64, TensorFault> {
    if shape.len() > MAX_RANK {
        return Err(TensorFault::Rank { name: name.to_owned(), rank: shape.len() });
    }
    let overflow = || TensorFault::Overflow { name: name.to_owned() };
    // A zero anywhere is no excuse for dimensions that cannot be counted.
    let product = shape.iter().try_fold(1u64, |product, size| product.checked_mul((*size).max(1)));
    let product = product.filter(|product| i64::try_from(*product).is_ok()).ok_or_else(overflow)?;
    if !shape.contains(&0) {
        return Ok(product);
    }
    // They are written as lists and walked row by row, and nothing but the shape says how many they are.
    let rows: u64 = shape.iter().take_while(|size| **size > 0).product();
    if rows > MAX_HOLLOW {
        return Err(TensorFault::Hollow { name: name.to_owned(), rows });
    }
    Ok(0)
}

fn check_texts(name: &str, wanted: u64, mut data: &[u8]) -> Result<(), TensorFault> {
    let mut found = 0;
    while !data.is_empty() {
        let Some((_, rest)) = first_text(data) else {
            return Err(TensorFault::Cut { name: name.to_owned(), element: found });
        };
        (data, found) = (rest, found + 1);
    }
    if found == wanted { Ok(()) } else { Err(TensorFault::Elements { name: name.to_owned(), wanted, found }) }
}

#[cfg(test)]
mod tests;
