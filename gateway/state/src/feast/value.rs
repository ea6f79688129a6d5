//! Feast's `Value` and protobuf's `Timestamp`, of which a message of one field or two is read and written. Owns which kinds of
//! values can be served: single ones. What is none (lists, maps) is told by its field's number, never guessed.

use std::sync::Arc;
use tidegate_core::port::features::FeatureValue;

/// Why bytes are no value that can be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// Not protobuf, or cut.
    #[error("it is no message of Feast's")]
    Damaged,
    /// A list, a map or another kind.
    #[error("it is of a kind (field {0} of `feast.types.Value`) that is no single value")]
    Kind(u64),
}

/// One field of a message.
enum Wire<'a> {
    Varint(u64),
    Fixed64([u8; 8]),
    Fixed32([u8; 4]),
    Bytes(&'a [u8]),
}

/// Reads a `feast.types.Value`; nothing where it is one without a value.
///
/// # Errors
/// It is none, or of a kind that is no single value.
pub fn read_value(mut bytes: &[u8]) -> Result<Option<FeatureValue>, Unread> {
    let mut value = None;
    while !bytes.is_empty() {
        let (number, wire) = field(&mut bytes)?;
        value = match (number, wire) {
            (1, Wire::Bytes(given)) => Some(text(given).ok_or(Unread::Kind(1))?),
            (2 | 32 | 36 | 37, Wire::Bytes(given)) => Some(text(given).ok_or(Unread::Damaged)?),
            (3, Wire::Varint(given)) => Some(FeatureValue::Integer(i32_of(given))),
            (4 | 8, Wire::Varint(given)) => Some(FeatureValue::Integer(given.cast_signed())),
            (5, Wire::Fixed64(given)) => Some(FeatureValue::Number(f64::from_le_bytes(given))),
            (6, Wire::Fixed32(given)) => Some(FeatureValue::Number(f32::from_le_bytes(given).into())),
            (7, Wire::Varint(given)) => Some(FeatureValue::Truth(given != 0)),
            // `null_val`, an enum of one word.
            (19, _) => None,
            (other, _) => return Err(Unread::Kind(other)),
        };
    }
    Ok(value)
}

/// Protobuf writes an `int32` below zero as one of 64 bits.
#[expect(clippy::cast_possible_truncation, reason = "the lower half is the number")]
fn i32_of(given: u64) -> i64 {
    i64::from(given.cast_signed() as i32)
}

fn text(bytes: &[u8]) -> Option<FeatureValue> {
    Some(FeatureValue::Text(Arc::from(std::str::from_utf8(bytes).ok()?)))
}

/// Reads a `google.protobuf.Timestamp` as milliseconds since 1970, those before as 1970.
///
/// # Errors
/// It is none.
pub fn read_timestamp(mut bytes: &[u8]) -> Result<u64, Unread> {
    let (mut seconds, mut nanos) = (0i64, 0i64);
    while !bytes.is_empty() {
        match field(&mut bytes)? {
            (1, Wire::Varint(given)) => seconds = given.cast_signed(),
            (2, Wire::Varint(given)) => nanos = i32_of(given),
            _ => return Err(Unread::Damaged),
        }
    }
    let ms = seconds.checked_mul(1000).and_then(|ms| ms.checked_add(nanos / 1_000_000)).ok_or(Unread::Damaged)?;
    Ok(u64::try_from(ms).unwrap_or(0))
}

/// What a value is written as; `None` is a value that has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum As {
    /// `bool_val`.
    Truth,
    /// `int32_val`.
    Int32,
    /// `int64_val`.
    Int64,
    /// `float_val`.
    Float,
    /// `double_val`.
    Double,
    /// `string_val`.
    Text,
}

/// Writes a value; one of another kind than `as_` is written as what it is.
#[must_use]
pub fn write_value(value: Option<&FeatureValue>, as_: As) -> Vec<u8> {
    let mut out = Vec::with_capacity(12);
    match (value, as_) {
        (None, _) => {}
        (Some(FeatureValue::Truth(truth)), _) => {
            tag(&mut out, 7, 0);
            varint(&mut out, u64::from(*truth));
        }
        (Some(FeatureValue::Integer(number)), kind) => {
            tag(&mut out, if kind == As::Int32 { 3 } else { 4 }, 0);
            varint(&mut out, number.cast_unsigned());
        }
        (Some(FeatureValue::Number(number)), As::Float) => {
            tag(&mut out, 6, 5);
            #[expect(clippy::cast_possible_truncation, reason = "a column of 32 bits has the nearest number")]
            out.extend_from_slice(&(*number as f32).to_le_bytes());
        }
        (Some(FeatureValue::Number(number)), _) => {
            tag(&mut out, 5, 1);
            out.extend_from_slice(&number.to_le_bytes());
        }
        (Some(FeatureValue::Text(text)), _) => {
            tag(&mut out, 2, 2);
            varint(&mut out, text.len() as u64);
            out.extend_from_slice(text.as_bytes());
        }
    }
    out
}

/// Writes a `Timestamp`.
#[must_use]
pub fn write_timestamp(unix_ms: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(12);
    let (seconds, nanos) = (unix_ms / 1000, unix_ms % 1000 * 1_000_000);
    for (number, value) in [(1, seconds), (2, nanos)] {
        if value > 0 {
            tag(&mut out, number, 0);
            varint(&mut out, value);
        }
    }
    out
}

fn field<'a>(bytes: &mut &'a [u8]) -> Result<(u64, Wire<'a>), Unread> {
    let head = read_varint(bytes)?;
    let wire = match head & 7 {
        0 => Wire::Varint(read_varint(bytes)?),
        1 => Wire::Fixed64(fixed(bytes)?),
        2 => {
            let length = usize::try_from(read_varint(bytes)?).map_err(|_| Unread::Damaged)?;
            let (given, rest) = bytes.split_at_checked(length).ok_or(Unread::Damaged)?;
            *bytes = rest;
            Wire::Bytes(given)
        }
        5 => Wire::Fixed32(fixed(bytes)?),
        _ => return Err(Unread::Damaged),
    };
    Ok((head >> 3, wire))
}

fn fixed<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], Unread> {
    let (given, rest) = bytes.split_first_chunk::<N>().ok_or(Unread::Damaged)?;
    *bytes = rest;
    Ok(*given)
}

fn read_varint(bytes: &mut &[u8]) -> Result<u64, Unread> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or(Unread::Damaged)?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Unread::Damaged)
}

fn tag(out: &mut Vec<u8>, number: u64, wire: u64) {
    varint(out, number << 3 | wire);
}

#[expect(clippy::cast_possible_truncation, reason = "seven bits at a time")]
fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
