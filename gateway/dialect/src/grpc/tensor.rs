//! A tensor in a message: what is said of it, and its elements either there or raw behind all tensors. Inputs and outputs are
//! alike.

use super::{bytes, contents, malformed, parameter, text, unkind};
use crate::proto::{Fields, Value, put_bytes, put_text, put_varint, varint};
use crate::wrong::{Wrong, shown};
use bytes::Bytes;
use tidegate_core::tensor::{MAX_RANK, Parameters, TensorFault, elements};
use tidegate_core::{Datatype, Tensor};

/// Reads a tensor of `body`; `raw` are its elements, where they stand behind the tensors.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read(body: &Bytes, message: &[u8], raw: Option<&[u8]>, place: &str) -> Result<Tensor, Wrong> {
    let at = |member: &str| format!("{place}.{member}");
    let (mut name, mut datatype, mut shape, mut parameters) = ("", "", Shape::default(), Parameters::new());
    let mut contents = None;
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.next().map_err(malformed(place))? {
        match number {
            1 => name = text(value, || at("name"))?,
            2 => datatype = text(value, || at("datatype"))?,
            3 => shape.take(value, &at("shape"))?,
            4 => parameter::read(value, &at("parameters"), &mut parameters, parameter::BESIDE)?,
            5 if contents.is_some() => {
                return Err(Wrong::new(at("contents"), format!("{} stands there twice", at("contents"))));
            }
            5 => contents = Some(bytes(value, || at("contents"))?),
            _ => {}
        }
    }
    let datatype: Datatype = datatype
        .parse()
        .map_err(|why| Wrong::new(at("datatype"), format!("{}: `{}` {why}", at("datatype"), shown(datatype))))?;
    if parameters.keys().any(|name| name.starts_with("shared_memory_")) {
        let says = format!("{}: shared memory is not served: send the data", at("parameters"));
        return Err(Wrong::new(at("parameters"), says));
    }
    let shape = shape.checked(name, &at("shape"))?;
    let wanted = elements(name, &shape).map_err(|fault| Wrong::tensor(at("shape"), &fault))?;
    let (data, whence) = match (raw, contents.filter(|contents| !contents.is_empty())) {
        (Some(_), Some(_)) => {
            let says = format!("{} and raw contents exclude each other: send one of them", at("contents"));
            return Err(Wrong::new(at("contents"), says));
        }
        (Some(raw), None) => (body.slice_ref(raw), at("raw")),
        (None, contents) => {
            let contents = contents.unwrap_or_default();
            (contents::read(name, datatype, wanted, contents, &at("contents"))?, at("contents"))
        }
    };
    let tensor = Tensor::new(name, datatype, shape, data).map_err(|fault| Wrong::tensor(whence, &fault))?;
    Ok(tensor.with_parameters(parameters))
}

/// The dimensions so far; no more are kept than a tensor may have.
#[derive(Default)]
struct Shape {
    kept: Vec<u64>,
    rank: usize,
}

impl Shape {
    fn take(&mut self, value: Value<'_>, place: &str) -> Result<(), Wrong> {
        match value {
            Value::Varint(size) => self.one(size, place),
            Value::Bytes(mut packed) => {
                while !packed.is_empty() {
                    let size = varint(&mut packed).map_err(malformed(place))?;
                    self.one(size, place)?;
                }
                Ok(())
            }
            _ => Err(unkind(place)),
        }
    }

    fn one(&mut self, size: u64, place: &str) -> Result<(), Wrong> {
        let signed = size.cast_signed();
        if signed < 0 {
            return Err(Wrong::new(place, format!("{place} has {signed}, and must be whole numbers of 0 and above")));
        }
        self.rank += 1;
        if self.rank <= MAX_RANK {
            self.kept.push(size);
        }
        Ok(())
    }

    fn checked(self, name: &str, place: &str) -> Result<Vec<u64>, Wrong> {
        if self.rank > MAX_RANK {
            let fault = TensorFault::Rank { name: name.to_owned(), rank: self.rank };
            return Err(Wrong::tensor(place, &fault));
        }
        Ok(self.kept)
    }
}

/// Writes a tensor as an element of the list `field`; its elements too, where they are not raw.
pub(super) fn write(out: &mut Vec<u8>, field: u64, tensor: &Tensor, is_raw: bool) {
    let mut message = Vec::with_capacity(64);
    put_text(&mut message, 1, tensor.name());
    put_text(&mut message, 2, tensor.datatype().name());
    put_shape(&mut message, 3, tensor.shape());
    parameter::write(&mut message, 4, tensor.parameters());
    if !is_raw {
        put_bytes(&mut message, 5, &contents::write(tensor));
    }
    put_bytes(out, field, &message);
}

/// Writes dimensions, packed.
pub(super) fn put_shape(out: &mut Vec<u8>, field: u64, shape: &[u64]) {
    let mut packed = Vec::with_capacity(shape.len() * 2);
    shape.iter().for_each(|size| put_varint(&mut packed, *size));
    if !packed.is_empty() {
        put_bytes(out, field, &packed);
    }
}
