//! The key of an entity as Feast writes it (version 3): how many join keys, their names, and then their values, both in the order
//! of the names; behind it the name of the project.

use tidegate_core::port::features::{FeatureKey, KeyValue};
use tidegate_core::spec::{KeyKind, KeySpec};

/// The numbers of `ValueType` in Feast's protobuf.
const STRING: u32 = 2;
const INT32: u32 = 3;
const INT64: u32 = 4;

/// The key of the hash of an entity in `project`; `specs` are the join keys in the order of the values.
#[must_use]
pub fn redis_key(specs: &[KeySpec], key: &FeatureKey, project: &str) -> Vec<u8> {
    let mut parts: Vec<(&KeySpec, &KeyValue)> = specs.iter().zip(&key.0).collect();
    parts.sort_by(|(one, _), (other, _)| one.name.cmp(&other.name));
    let mut out = Vec::with_capacity(64);
    put(&mut out, parts.len());
    for (spec, _) in &parts {
        out.extend_from_slice(&STRING.to_le_bytes());
        text(&mut out, spec.name.as_bytes());
    }
    for (spec, value) in &parts {
        self::value(&mut out, spec.kind, value);
    }
    out.extend_from_slice(project.as_bytes());
    out
}

fn value(out: &mut Vec<u8>, kind: KeyKind, value: &KeyValue) {
    match (kind, value) {
        (KeyKind::Int32, KeyValue::Integer(number)) if i32::try_from(*number).is_ok() => {
            out.extend_from_slice(&INT32.to_le_bytes());
            // The lower half is it, since it fits.
            text(out, &number.to_le_bytes()[..4]);
        }
        (_, KeyValue::Integer(number)) => {
            out.extend_from_slice(&INT64.to_le_bytes());
            text(out, &number.to_le_bytes());
        }
        (_, KeyValue::Text(given)) => {
            out.extend_from_slice(&STRING.to_le_bytes());
            text(out, given.as_bytes());
        }
    }
}

fn text(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// A count of 32 bits; nothing that is read is longer.
fn put(out: &mut Vec<u8>, count: usize) {
    out.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
}
