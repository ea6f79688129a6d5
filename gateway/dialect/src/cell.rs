//! A single value of JSON or CSV whose datatype nobody said, and a column of them that finds one for all.

use crate::wrong::{Wrong, shown};
use base64::Engine as _;
use bytes::{BufMut as _, BytesMut};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use std::fmt;
use tidegate_core::tensor::put_text;
use tidegate_core::{Datatype, Tensor};

/// A single value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    Missing,
    Truth(bool),
    Whole(i64),
    Number(f64),
    Text(Vec<u8>),
}

impl<'de> Deserialize<'de> for Cell {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Cell;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, a truth, a text or null")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Cell, E> {
        Ok(Cell::Truth(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Cell, E> {
        Ok(Cell::Whole(value))
    }

    #[expect(clippy::cast_precision_loss, reason = "beyond i64 only the nearest number is left")]
    fn visit_u64<E: Error>(self, value: u64) -> Result<Cell, E> {
        Ok(i64::try_from(value).map_or(Cell::Number(value as f64), Cell::Whole))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Cell, E> {
        Ok(Cell::Number(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Cell, E> {
        Ok(Cell::Text(value.as_bytes().to_vec()))
    }

    fn visit_unit<E: Error>(self) -> Result<Cell, E> {
        Ok(Cell::Missing)
    }

    /// TF Serving's way to write bytes in JSON.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Cell, A::Error> {
        let wrong = || Error::custom("an object is no value here, but for {\"b64\": \"\u{2026}\"}");
        let (name, text) = map.next_entry::<String, String>().map_err(|_| wrong())?.ok_or_else(wrong)?;
        if name != "b64" || map.next_key::<String>()?.is_some() {
            return Err(wrong());
        }
        let bytes = base64::engine::general_purpose::STANDARD.decode(text);
        bytes.map(Cell::Text).map_err(|_| Error::custom("`b64` is no base64"))
    }
}

impl Cell {
    /// What an unquoted field of CSV means.
    pub(crate) fn of_csv(text: &str) -> Self {
        match text {
            "" => Self::Missing,
            "true" | "True" | "TRUE" => Self::Truth(true),
            "false" | "False" | "FALSE" => Self::Truth(false),
            _ => match (text.parse::<i64>(), text.parse::<f64>()) {
                (Ok(whole), _) => Self::Whole(whole),
                (_, Ok(number)) => Self::Number(number),
                _ => Self::Text(text.as_bytes().to_vec()),
            },
        }
    }
}

/// Values of one kind.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) enum Column {
    /// Nothing but missing ones so far; how many.
    #[default]
    Empty,
    Missing(usize),
    Truths(Vec<u8>),
    Wholes(Vec<i64>),
    Numbers(Vec<f64>),
    Texts(BytesMut, usize),
}

impl Column {
    /// Takes another value; whole numbers become numbers with fractions where one comes, or where one is missing.
    ///
    /// # Errors
    /// It is of another kind than those before.
    pub(crate) fn push(&mut self, cell: Cell) -> Result<(), String> {
        if matches!(self, Self::Empty) {
            *self = match &cell {
                Cell::Missing => Self::Missing(0),
                Cell::Truth(_) => Self::Truths(Vec::new()),
                Cell::Whole(_) => Self::Wholes(Vec::new()),
                Cell::Number(_) => Self::Numbers(Vec::new()),
                Cell::Text(_) => Self::Texts(BytesMut::new(), 0),
            };
        }
        if matches!(cell, Cell::Missing | Cell::Number(_)) {
            self.widen();
        }
        if let (Self::Missing(count), Cell::Whole(_) | Cell::Number(_)) = (&*self, &cell) {
            *self = Self::Numbers(vec![f64::NAN; *count]);
        }
        match (self, cell) {
            (Self::Missing(count), Cell::Missing) => *count += 1,
            (Self::Truths(truths), Cell::Truth(truth)) => truths.push(truth.into()),
            (Self::Wholes(wholes), Cell::Whole(whole)) => wholes.push(whole),
            #[expect(clippy::cast_precision_loss, reason = "among fractions the nearest number is meant")]
            (Self::Numbers(numbers), Cell::Whole(whole)) => numbers.push(whole as f64),
            (Self::Numbers(numbers), Cell::Number(number)) => numbers.push(number),
            (Self::Numbers(numbers), Cell::Missing) => numbers.push(f64::NAN),
            (Self::Texts(texts, count), Cell::Text(text)) => {
                put_text(texts, &text);
                *count += 1;
            }
            (before, cell) => return Err(format!("{} among {}", cell.kind(), before.kind())),
        }
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "among fractions the nearest number is meant")]
    fn widen(&mut self) {
        if let Self::Wholes(wholes) = self {
            *self = Self::Numbers(wholes.iter().map(|whole| *whole as f64).collect());
        }
    }

    /// As a tensor.
    ///
    /// # Errors
    /// It does not fit the shape.
    pub(crate) fn tensor(self, name: &str, shape: Vec<u64>) -> Result<Tensor, Wrong> {
        let made = match self {
            Self::Empty => Tensor::of_f64(name, shape, &[]),
            Self::Missing(count) => Tensor::of_f64(name, shape, &vec![f64::NAN; count]),
            Self::Truths(truths) => Tensor::new(name, Datatype::Bool, shape, truths.into()),
            Self::Wholes(wholes) => Tensor::of_i64(name, shape, &wholes),
            Self::Numbers(numbers) => Tensor::of_f64(name, shape, &numbers),
            Self::Texts(texts, _) => Tensor::new(name, Datatype::Bytes, shape, texts.freeze()),
        };
        made.map_err(|fault| Wrong::tensor(shown(name), &fault))
    }

    const fn kind(&self) -> &'static str {
        match self {
            Self::Empty | Self::Missing(_) => "missing values",
            Self::Truths(_) => "truths",
            Self::Wholes(_) | Self::Numbers(_) => "numbers",
            Self::Texts(..) => "texts",
        }
    }
}

impl Cell {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Missing => "a missing value is",
            Self::Truth(_) => "a truth is",
            Self::Whole(_) | Self::Number(_) => "a number is",
            Self::Text(_) => "a text is",
        }
    }
}

/// Puts `value` of JSON into the data of a tensor of `datatype`.
///
/// # Errors
/// It is no value of it.
pub(crate) fn put(datatype: Datatype, cell: &Cell, into: &mut BytesMut) -> Result<(), &'static str> {
    match (datatype, cell) {
        (Datatype::Bytes, Cell::Text(text)) => put_text(into, text),
        (Datatype::Bytes, _) => return Err("is no text"),
        (Datatype::Bool, Cell::Truth(truth)) => into.put_u8((*truth).into()),
        (Datatype::Bool, Cell::Whole(whole @ (0 | 1))) => into.put_i8(i8::from(*whole == 1)),
        (Datatype::Bool, _) => return Err("is neither true nor false"),
        (_, Cell::Whole(whole)) if datatype.is_integer() => return put_whole(datatype, i128::from(*whole), into),
        (_, Cell::Number(number)) if datatype.is_integer() => {
            // Whole numbers with a point, and those beyond i64.
            if number.fract() != 0.0 || number.abs() > 3.7e19 {
                return Err("is no whole number");
            }
            #[expect(clippy::cast_possible_truncation, reason = "it is whole and no larger than was looked at")]
            return put_whole(datatype, *number as i128, into);
        }
        #[expect(clippy::cast_precision_loss, reason = "the nearest number is meant")]
        (_, Cell::Whole(whole)) if datatype.is_float() => return put_number(datatype, *whole as f64, into),
        (_, Cell::Number(number)) if datatype.is_float() => return put_number(datatype, *number, into),
        _ => return Err("is no number"),
    }
    Ok(())
}

pub(crate) fn put_whole(datatype: Datatype, whole: i128, into: &mut BytesMut) -> Result<(), &'static str> {
    fn of<T: TryFrom<i128>>(whole: i128) -> Result<T, &'static str> {
        T::try_from(whole).map_err(|_| "is out of its range")
    }
    match datatype {
        Datatype::Uint8 => into.put_u8(of(whole)?),
        Datatype::Uint16 => into.put_u16_le(of(whole)?),
        Datatype::Uint32 => into.put_u32_le(of(whole)?),
        Datatype::Uint64 => into.put_u64_le(of(whole)?),
        Datatype::Int8 => into.put_i8(of(whole)?),
        Datatype::Int16 => into.put_i16_le(of(whole)?),
        Datatype::Int32 => into.put_i32_le(of(whole)?),
        _ => into.put_i64_le(of(whole)?),
    }
    Ok(())
}

#[expect(clippy::cast_possible_truncation, reason = "the nearest number is meant, and what is too large is refused")]
pub(crate) fn put_number(datatype: Datatype, number: f64, into: &mut BytesMut) -> Result<(), &'static str> {
    use tidegate_core::tensor::half;
    let narrow = number as f32;
    let is_finite = match datatype {
        Datatype::Fp16 => half::of_fp16(half::to_fp16(narrow)).is_finite(),
        Datatype::Bf16 => half::of_bf16(half::to_bf16(narrow)).is_finite(),
        Datatype::Fp32 => narrow.is_finite(),
        _ => true,
    };
    if !is_finite && number.is_finite() {
        return Err("is out of its range");
    }
    match datatype {
        Datatype::Fp16 => into.put_u16_le(half::to_fp16(narrow)),
        Datatype::Bf16 => into.put_u16_le(half::to_bf16(narrow)),
        Datatype::Fp32 => into.put_f32_le(narrow),
        _ => into.put_f64_le(number),
    }
    Ok(())
}
