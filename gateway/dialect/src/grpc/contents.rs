//! The elements of a tensor as lists of their own kind (`InferTensorContents`), to and from the bytes that tensors have.

use super::{bytes, malformed, unkind};
use crate::proto::{Fields, Value, put_bytes, put_varint, varint};
use crate::wrong::{Wrong, shown};
use bytes::{Bytes, BytesMut};
use tidegate_core::tensor::put_text;
use tidegate_core::{Datatype, Tensor};

/// The lists by their field numbers less one.
const LISTS: [&str; 8] = [
    "bool_contents",
    "int_contents",
    "int64_contents",
    "uint_contents",
    "uint64_contents",
    "fp32_contents",
    "fp64_contents",
    "bytes_contents",
];

/// The list that elements of a datatype stand in; none where they are raw or nothing.
pub(super) const fn list(datatype: Datatype) -> Option<u64> {
    Some(match datatype {
        Datatype::Bool => 1,
        Datatype::Int8 | Datatype::Int16 | Datatype::Int32 => 2,
        Datatype::Int64 => 3,
        Datatype::Uint8 | Datatype::Uint16 | Datatype::Uint32 => 4,
        Datatype::Uint64 => 5,
        Datatype::Fp32 => 6,
        Datatype::Fp64 => 7,
        Datatype::Bytes => 8,
        Datatype::Fp16 | Datatype::Bf16 => return None,
    })
}

/// Reads `wanted` elements.
///
/// # Errors
/// They are of another number, kind or range.
pub(super) fn read(name: &str, datatype: Datatype, wanted: u64, contents: &[u8], place: &str) -> Result<Bytes, Wrong> {
    let Some(expected) = list(datatype) else {
        let says = format!("{place} has no list for {datatype}: send the data of `{}` raw", shown(name));
        return Err(Wrong::new(place, says));
    };
    // An element has a byte at least, so no more room is made than a few times what came.
    let most = usize::try_from(wanted).unwrap_or(usize::MAX).min(contents.len());
    let data = BytesMut::with_capacity(most * datatype.width().unwrap_or(4));
    let mut all = Elements { name, datatype, data, found: 0, wanted, place };
    let mut fields = Fields::of(contents);
    while let Some((number, value)) = fields.next().map_err(malformed(place))? {
        if number == expected {
            all.take(value)?;
            continue;
        }
        let other = usize::try_from(number - 1).ok().and_then(|nth| LISTS.get(nth));
        if let (Some(other), true) = (other, value != Value::Bytes(b"") || number == 8) {
            let own = LISTS[usize::try_from(expected - 1).unwrap_or_default()];
            let says = format!("{place}.{other} does not go with {datatype}, whose elements stand in {own}");
            return Err(Wrong::new(format!("{place}.{other}"), says));
        }
    }
    if all.found != wanted {
        let (name, found) = (shown(name), all.found);
        let says = format!("the shape of `{name}` is of {wanted} elements, but its contents are of {found}");
        return Err(Wrong::new(place, says));
    }
    Ok(all.data.freeze())
}

struct Elements<'a> {
    name: &'a str,
    datatype: Datatype,
    data: BytesMut,
    found: u64,
    wanted: u64,
    place: &'a str,
}

impl Elements<'_> {
    /// Takes what a field has: one element, or many that are packed.
    fn take(&mut self, value: Value<'_>) -> Result<(), Wrong> {
        match (self.datatype, value) {
            (Datatype::Bytes, value) => {
                let place = self.place;
                let text = bytes(value, || format!("{place}.bytes_contents"))?;
                self.count(1)?;
                put_text(&mut self.data, text);
            }
            (Datatype::Fp32, Value::Fixed32(number)) => self.raw(&number, 4)?,
            (Datatype::Fp64, Value::Fixed64(number)) => self.raw(&number, 8)?,
            (Datatype::Fp32, Value::Bytes(packed)) => self.raw(packed, 4)?,
            (Datatype::Fp64, Value::Bytes(packed)) => self.raw(packed, 8)?,
            (Datatype::Fp32 | Datatype::Fp64, _) | (_, Value::Fixed32(_) | Value::Fixed64(_)) => {
                return Err(unkind(self.place));
            }
            (_, Value::Varint(whole)) => self.whole(whole)?,
            (_, Value::Bytes(mut packed)) => {
                while !packed.is_empty() {
                    let whole = varint(&mut packed).map_err(malformed(self.place))?;
                    self.whole(whole)?;
                }
            }
        }
        Ok(())
    }

    fn count(&mut self, more: u64) -> Result<(), Wrong> {
        self.found += more;
        if self.found <= self.wanted {
            return Ok(());
        }
        let says =
            format!("the contents of `{}` are more than the {} elements of its shape", shown(self.name), self.wanted);
        Err(Wrong::new(self.place, says))
    }

    /// Numbers as tensors have them.
    fn raw(&mut self, packed: &[u8], width: usize) -> Result<(), Wrong> {
        if !packed.len().is_multiple_of(width) {
            return Err(malformed(self.place)("it is cut: its last number is not whole"));
        }
        self.count((packed.len() / width) as u64)?;
        self.data.extend_from_slice(packed);
        Ok(())
    }

    fn whole(&mut self, whole: u64) -> Result<(), Wrong> {
        self.count(1)?;
        let (signed, data) = (whole.cast_signed(), &mut self.data);
        let fits = match self.datatype {
            Datatype::Bool => put(data, Some([u8::from(whole != 0)])),
            Datatype::Int8 => put(data, i8::try_from(signed).ok().map(i8::to_le_bytes)),
            Datatype::Int16 => put(data, i16::try_from(signed).ok().map(i16::to_le_bytes)),
            Datatype::Int32 => put(data, i32::try_from(signed).ok().map(i32::to_le_bytes)),
            Datatype::Uint8 => put(data, u8::try_from(whole).ok().map(u8::to_le_bytes)),
            Datatype::Uint16 => put(data, u16::try_from(whole).ok().map(u16::to_le_bytes)),
            Datatype::Uint32 => put(data, u32::try_from(whole).ok().map(u32::to_le_bytes)),
            _ => put(data, Some(whole.to_le_bytes())),
        };
        if fits {
            return Ok(());
        }
        let (name, nth, datatype) = (shown(self.name), self.found - 1, self.datatype);
        Err(Wrong::new(self.place, format!("element {nth} of `{name}` is out of the range of {datatype}")))
    }
}

fn put<const N: usize>(data: &mut BytesMut, bytes: Option<[u8; N]>) -> bool {
    bytes.is_some_and(|bytes| {
        data.extend_from_slice(&bytes);
        true
    })
}

/// Writes the elements of a tensor, which has a list for them.
pub(super) fn write(tensor: &Tensor) -> Vec<u8> {
    let (mut out, datatype) = (Vec::new(), tensor.datatype());
    let (Some(number), false) = (list(datatype), tensor.data().is_empty()) else { return out };
    if let Some(texts) = tensor.texts() {
        texts.for_each(|text| put_bytes(&mut out, number, text));
    } else if datatype.is_float() {
        put_bytes(&mut out, number, tensor.data());
    } else {
        let width = datatype.width().unwrap_or(1);
        let mut packed = Vec::with_capacity(tensor.data().len());
        tensor.data().chunks_exact(width).for_each(|element| put_varint(&mut packed, wide(datatype, element)));
        put_bytes(&mut out, number, &packed);
    }
    out
}

/// A whole number as protocol buffers have it: 64 bits, of which the upper ones are those of its sign.
fn wide(datatype: Datatype, element: &[u8]) -> u64 {
    let is_signed = matches!(datatype, Datatype::Int8 | Datatype::Int16 | Datatype::Int32 | Datatype::Int64);
    let is_negative = is_signed && element.last().is_some_and(|high| *high >= 0x80);
    let mut bytes = if is_negative { [0xFF; 8] } else { [0; 8] };
    bytes.iter_mut().zip(element).for_each(|(to, from)| *to = *from);
    u64::from_le_bytes(bytes)
}
