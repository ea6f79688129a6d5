//! What is said beside tensors: maps of truths, whole numbers, numbers and texts (`InferParameter`).

use super::{bytes, malformed, text, unkind};
use crate::proto::{Fields, Value, put_bytes, put_fixed64, put_number};
use crate::wrong::Wrong;
use serde_json::Value as Json;
use tidegate_core::tensor::Parameters;

/// How many may stand beside one tensor or output.
pub(super) const BESIDE: usize = 32;

/// Reads one entry of a map into `into`, which has at most `most`.
pub(super) fn read(entry: Value<'_>, place: &str, into: &mut Parameters, most: usize) -> Result<(), Wrong> {
    let (mut key, mut value) = ("", Json::Null);
    let mut fields = Fields::of(bytes(entry, || place.to_owned())?);
    while let Some((number, found)) = fields.next().map_err(malformed(place))? {
        match number {
            1 => key = text(found, || format!("{place}.key"))?,
            2 => value = one(bytes(found, || place.to_owned())?, place)?,
            _ => {}
        }
    }
    if into.len() >= most {
        return Err(Wrong::new(place, format!("{place} has more than {most} elements")));
    }
    into.insert(key.to_owned(), value);
    Ok(())
}

fn one(message: &[u8], place: &str) -> Result<Json, Wrong> {
    let mut value = Json::Null;
    let mut fields = Fields::of(message);
    while let Some((number, found)) = fields.next().map_err(malformed(place))? {
        value = match (number, found) {
            (1, Value::Varint(truth)) => Json::Bool(truth != 0),
            (2, Value::Varint(whole)) => Json::from(whole.cast_signed()),
            (3, found) => Json::from(text(found, || place.to_owned())?),
            (4, Value::Fixed64(number)) => Json::from(f64::from_le_bytes(number)),
            (5, Value::Varint(whole)) => Json::from(whole),
            (1..=5, _) => return Err(unkind(place)),
            _ => value,
        };
    }
    Ok(value)
}

/// Writes a map as entries of `field`.
pub(super) fn write(out: &mut Vec<u8>, field: u64, parameters: &Parameters) {
    for (key, value) in parameters {
        let mut inner = Vec::new();
        match value {
            Json::Null => {}
            Json::Bool(truth) => put_number(&mut inner, 1, u64::from(*truth)),
            Json::String(text) => put_bytes(&mut inner, 3, text.as_bytes()),
            Json::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(whole), _) => put_number(&mut inner, 2, whole.cast_unsigned()),
                (None, Some(whole)) => put_number(&mut inner, 5, whole),
                (None, None) => put_fixed64(&mut inner, 4, number.as_f64().unwrap_or_default().to_le_bytes()),
            },
            // There is no place for more; a text keeps it readable.
            Json::Array(_) | Json::Object(_) => put_bytes(&mut inner, 3, value.to_string().as_bytes()),
        }
        let mut entry = Vec::with_capacity(key.len() + inner.len() + 8);
        put_bytes(&mut entry, 1, key.as_bytes());
        put_bytes(&mut entry, 2, &inner);
        put_bytes(out, field, &entry);
    }
}
