//! The elements of a tensor in JSON: flat or nested lists of a datatype that is known, read without a tree of values.

use crate::cell::{Cell, put};
use crate::wrong::Wrong;
use bytes::BytesMut;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::io::Write as _;
use tidegate_core::tensor::{MAX_RANK, elements, half};
use tidegate_core::{Datatype, Tensor};

/// Reads the elements that `json` lists, flat or nested, as a tensor.
///
/// # Errors
/// They are of another number or kind than shape and datatype say.
pub(crate) fn read(name: &str, datatype: Datatype, shape: Vec<u64>, json: &str, field: &str) -> Result<Tensor, Wrong> {
    let wanted = elements(name, &shape).map_err(|fault| Wrong::tensor(format!("{field}.shape"), &fault))?;
    let data_field = format!("{field}.data");
    // A shape says nothing of how much there is until it was counted: two bytes of JSON are an element at least.
    let most = usize::try_from(wanted).unwrap_or(usize::MAX).min(json.len() / 2 + 1);
    let mut list =
        List { datatype, data: BytesMut::with_capacity(most * datatype.width().unwrap_or(4)), found: 0, wanted };
    let mut reader = serde_json::Deserializer::from_str(json);
    let read = Elements { list: &mut list, depth: 0 }.deserialize(&mut reader);
    if let Err(fault) = read {
        // The place within the element is of no use to whoever sees the whole body.
        let says = fault.to_string();
        let says = says.split(" at line ").next().unwrap_or_default();
        return Err(Wrong::new(data_field, format!("the data of `{name}` are wrong: {says}")));
    }
    if list.found != wanted {
        let says = format!("the shape of `{name}` is of {wanted} elements, but its data are of {}", list.found);
        return Err(Wrong::new(data_field, says));
    }
    let tensor = Tensor::new(name, datatype, shape, list.data.freeze());
    tensor.map_err(|fault| Wrong::tensor(data_field, &fault))
}

struct List {
    datatype: Datatype,
    data: BytesMut,
    found: u64,
    wanted: u64,
}

impl List {
    fn take<E: Error>(&mut self, cell: &Cell) -> Result<(), E> {
        if self.found >= self.wanted {
            return Err(E::custom(format_args!("they are more than the {} elements of its shape", self.wanted)));
        }
        let (nth, datatype) = (self.found, self.datatype);
        put(datatype, cell, &mut self.data)
            .map_err(|why| E::custom(format_args!("element {nth} {why} ({datatype})")))?;
        self.found += 1;
        Ok(())
    }
}

struct Elements<'a> {
    list: &'a mut List,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Elements<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Elements<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        if self.depth > MAX_RANK {
            return Err(A::Error::custom("they are nested too deeply"));
        }
        while list.next_element_seed(Elements { list: self.list, depth: self.depth + 1 })?.is_some() {}
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.cell(&Cell::Truth(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.cell(&Cell::Whole(value))
    }

    #[expect(clippy::cast_precision_loss, reason = "numbers with fractions get the nearest")]
    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        match i64::try_from(value) {
            Ok(whole) => self.cell(&Cell::Whole(whole)),
            // Beyond i64 there is one datatype of whole numbers, which an f64 is too coarse for.
            Err(_) if self.list.datatype == Datatype::Uint64 && self.list.found < self.list.wanted => {
                self.list.data.extend_from_slice(&value.to_le_bytes());
                self.list.found += 1;
                Ok(())
            }
            Err(_) => self.cell(&Cell::Number(value as f64)),
        }
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.cell(&Cell::Number(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.cell(&Cell::Text(value.as_bytes().to_vec()))
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.cell(&Cell::Missing)
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        Err(A::Error::custom(format_args!("element {} is an object", self.list.found)))
    }
}

impl Elements<'_> {
    fn cell<E: Error>(self, cell: &Cell) -> Result<(), E> {
        if self.depth == 0 {
            return Err(E::custom("they are no list"));
        }
        self.list.take(cell)
    }
}

/// Writes the elements of a tensor as one flat list.
///
/// # Errors
/// Its byte strings are no text, which JSON alone can have.
pub(crate) fn write_flat(tensor: &Tensor, out: &mut Vec<u8>) -> Result<(), Wrong> {
    out.push(b'[');
    for (nth, element) in items(tensor)?.enumerate() {
        if nth > 0 {
            out.push(b',');
        }
        element.write(out);
    }
    out.push(b']');
    Ok(())
}

/// Writes a tensor as lists of lists, as deep as its shape; a single value where it has none.
///
/// # Errors
/// Its byte strings are no text, which JSON alone can have.
pub(crate) fn write_nested(tensor: &Tensor, shape: &[u64], out: &mut Vec<u8>) -> Result<(), Wrong> {
    nest(shape, &mut items(tensor)?, out);
    Ok(())
}

/// The same, with the words that TF Serving has for numbers that JSON has not: `NaN`, `Infinity`, `-Infinity`.
///
/// # Errors
/// As before.
pub(crate) fn write_nested_in_words(tensor: &Tensor, shape: &[u64], out: &mut Vec<u8>) -> Result<(), Wrong> {
    let Some(numbers) = tensor.numbers().filter(|_| tensor.datatype().is_float()) else {
        return write_nested(tensor, shape, out);
    };
    let in_words = |(item, number): (_, f64)| match number {
        number if number.is_nan() => Item::Word("NaN"),
        number if number.is_infinite() => Item::Word(if number > 0.0 { "Infinity" } else { "-Infinity" }),
        _ => item,
    };
    nest(shape, &mut items(tensor)?.zip(numbers).map(in_words), out);
    Ok(())
}

fn nest<'a>(shape: &[u64], items: &mut dyn Iterator<Item = Item<'a>>, out: &mut Vec<u8>) {
    let Some((size, inner)) = shape.split_first() else {
        match items.next() {
            Some(item) => item.write(out),
            None => out.extend_from_slice(b"null"),
        }
        return;
    };
    out.push(b'[');
    for nth in 0..*size {
        if nth > 0 {
            out.push(b',');
        }
        nest(inner, items, out);
    }
    out.push(b']');
}

/// One element.
pub(crate) enum Item<'a> {
    Text(&'a str),
    /// As it stands.
    Word(&'static str),
    Element(Datatype, &'a [u8]),
}

impl Item<'_> {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        fn of<const N: usize>(bytes: &[u8]) -> [u8; N] {
            bytes.try_into().unwrap_or([0; N])
        }
        // Writing into memory does not fail.
        let written = match *self {
            Self::Text(text) => serde_json::to_writer(&mut *out, text).map_err(Into::into),
            Self::Word(word) => out.write_all(word.as_bytes()),
            Self::Element(datatype, bytes) => match datatype {
                Datatype::Bool => out.write_all(if bytes == [0] { b"false" } else { b"true" }),
                Datatype::Uint8 => write!(out, "{}", u8::from_le_bytes(of(bytes))),
                Datatype::Uint16 => write!(out, "{}", u16::from_le_bytes(of(bytes))),
                Datatype::Uint32 => write!(out, "{}", u32::from_le_bytes(of(bytes))),
                Datatype::Uint64 => write!(out, "{}", u64::from_le_bytes(of(bytes))),
                Datatype::Int8 => write!(out, "{}", i8::from_le_bytes(of(bytes))),
                Datatype::Int16 => write!(out, "{}", i16::from_le_bytes(of(bytes))),
                Datatype::Int32 => write!(out, "{}", i32::from_le_bytes(of(bytes))),
                Datatype::Int64 => write!(out, "{}", i64::from_le_bytes(of(bytes))),
                // JSON has no numbers that are none: they are null.
                Datatype::Fp64 => serde_json::to_writer(&mut *out, &f64::from_le_bytes(of(bytes))).map_err(Into::into),
                Datatype::Fp32 => serde_json::to_writer(&mut *out, &f32::from_le_bytes(of(bytes))).map_err(Into::into),
                Datatype::Fp16 => {
                    let number = half::of_fp16(u16::from_le_bytes(of(bytes)));
                    serde_json::to_writer(&mut *out, &number).map_err(Into::into)
                }
                Datatype::Bf16 => {
                    let number = half::of_bf16(u16::from_le_bytes(of(bytes)));
                    serde_json::to_writer(&mut *out, &number).map_err(Into::into)
                }
                Datatype::Bytes => out.write_all(b"null"),
            },
        };
        drop(written);
    }
}

/// The elements of a tensor, as JSON can have them.
///
/// # Errors
/// Its byte strings are no text.
pub(crate) fn items(tensor: &Tensor) -> Result<Box<dyn Iterator<Item = Item<'_>> + '_>, Wrong> {
    let datatype = tensor.datatype();
    if let Some(width) = datatype.width() {
        return Ok(Box::new(tensor.data().chunks_exact(width).map(move |bytes| Item::Element(datatype, bytes))));
    }
    let texts = || tensor.texts().into_iter().flatten();
    if texts().any(|text| std::str::from_utf8(text).is_err()) {
        let says =
            format!("the data of `{}` are no UTF-8, so JSON cannot have them: ask for binary data", tensor.name());
        return Err(Wrong::new("outputs", says));
    }
    Ok(Box::new(texts().map(|text| Item::Text(std::str::from_utf8(text).unwrap_or_default()))))
}
