//! Which entities a call is about: its join keys, from an input of that name (a value for each row) or a parameter (one value
//! for all rows). Owns their types; knows no store.

use super::MOST_ROWS;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use tidegate_core::port::features::{FeatureKey, KeyValue};
use tidegate_core::spec::{KeyKind, KeySpec, LookupSpec};
use tidegate_core::{Fault, PredictRequest, Tensor};

/// The entities of a call: each once, and which of them a row is about.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Entities {
    pub(super) keys: Vec<FeatureKey>,
    pub(super) of_row: Vec<usize>,
}

/// How many rows a call has, by its join keys, else by its first other input, else one.
///
/// # Errors
/// The keys are not of one number of rows, or there are too many.
pub(super) fn rows(lookup: &LookupSpec, keys: &[KeySpec], asked: &PredictRequest) -> Result<usize, Fault> {
    let mut known: Option<(&str, usize)> = None;
    for tensor in keys.iter().filter_map(|key| asked.input(lookup.called(&key.name))) {
        let count = tensor.elements();
        match known {
            Some((first, rows)) if rows != count => {
                let says = format!("`{}` has {count} values, but `{first}` has {rows}", tensor.name());
                return Err(Fault::field(tensor.name().to_owned(), says));
            }
            _ => known = Some((tensor.name(), count)),
        }
    }
    let rows = known.map_or_else(|| asked.inputs.first().map_or(1, Tensor::rows), |(_, rows)| rows);
    if rows > MOST_ROWS {
        let says = format!("features are looked up for at most {MOST_ROWS} rows, not {rows}: send several calls");
        return Err(Fault::field("inputs", says));
    }
    Ok(rows)
}

/// The entities of `rows` rows by these keys.
///
/// # Errors
/// A key is not there, or a value of it is of another type.
pub(super) fn entities(
    lookup: &LookupSpec,
    keys: &[KeySpec],
    asked: &PredictRequest,
    rows: usize,
) -> Result<Entities, Fault> {
    let columns = keys.iter().map(|key| column(lookup.called(&key.name), key.kind, asked, rows));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let mut places: HashMap<FeatureKey, usize> = HashMap::new();
    let mut all = Entities::default();
    for row in 0..rows {
        let values: Option<Box<[KeyValue]>> = columns.iter().map(|column| column.get(row).cloned()).collect();
        let key = FeatureKey(values.ok_or_else(|| Fault::internal("a join key has fewer values than rows"))?);
        let place = *places.entry(key).or_insert_with_key(|key| {
            all.keys.push(key.clone());
            all.keys.len() - 1
        });
        all.of_row.push(place);
    }
    Ok(all)
}

/// The values of a key, one for each row.
fn column(name: &str, kind: KeyKind, asked: &PredictRequest, rows: usize) -> Result<Vec<KeyValue>, Fault> {
    let long = || {
        let says = format!("the join key `{name}` is a text of more than {} bytes", KeyValue::LONGEST);
        Fault::field(name.to_owned(), says)
    };
    if let Some(tensor) = asked.input(name) {
        let values = of_tensor(tensor, kind)?;
        return if values.iter().all(KeyValue::is_short) { Ok(values) } else { Err(long()) };
    }
    let Some(given) = asked.parameters.get(name) else {
        let says = format!(
            "the join key `{name}` is missing: features are looked up by it. Send it as an input or a parameter"
        );
        return Err(Fault::field(name.to_owned(), says));
    };
    let value = of_json(given, kind).ok_or_else(|| unfit(name, None, kind))?;
    if value.is_short() { Ok(vec![value; rows]) } else { Err(long()) }
}

fn of_tensor(tensor: &Tensor, kind: KeyKind) -> Result<Vec<KeyValue>, Fault> {
    let name = tensor.name();
    if let Some(texts) = tensor.texts() {
        let of = |(row, text): (usize, &[u8])| {
            let text = std::str::from_utf8(text).map_err(|_| unfit(name, Some(row), kind))?;
            match kind {
                KeyKind::Text => Ok(KeyValue::Text(text.into())),
                KeyKind::Int32 | KeyKind::Int64 => text
                    .parse()
                    .ok()
                    .and_then(|number| integer(number, kind))
                    .ok_or_else(|| unfit(name, Some(row), kind)),
            }
        };
        return texts.enumerate().map(of).collect();
    }
    let number = |(row, number): (usize, Option<i64>)| {
        let number = number.ok_or_else(|| unfit(name, Some(row), kind))?;
        match kind {
            KeyKind::Text => Ok(KeyValue::Text(number.to_string().into())),
            KeyKind::Int32 | KeyKind::Int64 => integer(number, kind).ok_or_else(|| unfit(name, Some(row), kind)),
        }
    };
    integers(tensor).into_iter().enumerate().map(number).collect()
}

/// The elements of a tensor of numbers as whole ones; those that are none are nothing.
fn integers(tensor: &Tensor) -> Vec<Option<i64>> {
    let datatype = tensor.datatype();
    let Some(width) = datatype.width() else { return Vec::new() };
    let elements = tensor.data().chunks_exact(width);
    match datatype {
        // Through f64 large ones would be rounded.
        tidegate_core::Datatype::Int64 => elements.map(|bytes| bytes.try_into().ok().map(i64::from_le_bytes)).collect(),
        tidegate_core::Datatype::Uint64 => {
            elements.map(|bytes| i64::try_from(u64::from_le_bytes(bytes.try_into().ok()?)).ok()).collect()
        }
        _ => elements.map(|bytes| whole(datatype.number(bytes))).collect(),
    }
}

/// A number without a fraction that an `f64` has exactly.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked just before")]
pub(super) fn whole(number: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64)
}

fn of_json(given: &Value, kind: KeyKind) -> Option<KeyValue> {
    match (given, kind) {
        (Value::String(text), KeyKind::Text) => Some(KeyValue::Text(text.as_str().into())),
        (Value::String(text), _) => integer(text.parse().ok()?, kind),
        (Value::Number(number), KeyKind::Text) => Some(KeyValue::Text(number.as_i64()?.to_string().into())),
        (Value::Number(number), _) => integer(number.as_i64().or_else(|| whole(number.as_f64()?))?, kind),
        _ => None,
    }
}

fn integer(number: i64, kind: KeyKind) -> Option<KeyValue> {
    (kind != KeyKind::Int32 || i32::try_from(number).is_ok()).then_some(KeyValue::Integer(number))
}

fn unfit(name: &str, row: Option<usize>, kind: KeyKind) -> Fault {
    let wanted = match kind {
        KeyKind::Int32 => "a whole number of 32 bits",
        KeyKind::Int64 => "a whole number",
        KeyKind::Text => "a text",
    };
    let of = row.map_or_else(String::new, |row| format!(" of row {row}"));
    Fault::field(name.to_owned(), format!("the join key `{name}`{of} is not {wanted}"))
}

/// A key as a message may show it.
pub(super) fn shown(keys: &[KeySpec], key: &FeatureKey) -> String {
    let part = |(spec, value): (&KeySpec, &KeyValue)| {
        let value: String = value.to_string().chars().take(64).collect();
        format!("{} {}", spec.name, value.escape_debug())
    };
    keys.iter().zip(&key.0).map(part).collect::<Vec<_>>().join(", ")
}

/// What a record has of a key.
pub(super) fn kept(keys: &[KeySpec], key: &FeatureKey) -> std::collections::BTreeMap<Arc<str>, KeyValue> {
    keys.iter().zip(&key.0).map(|(spec, value)| (Arc::clone(&spec.name), value.clone())).collect()
}
