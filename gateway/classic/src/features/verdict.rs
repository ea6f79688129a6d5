//! What is served of what was found: the value, the default, or nothing, in which case the call is refused. Pure.

use super::keys::whole;
use tidegate_core::Datatype;
use tidegate_core::port::features::{FeatureValue, Found};
use tidegate_core::served::{Lack, ServedFeature};
use tidegate_core::spec::{ColumnSpec, OnStale, ViewSpec};

/// What is served of one cell.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Verdict {
    /// What the model gets; nothing where the call is refused for it.
    pub(super) value: Option<FeatureValue>,
    /// What the record says.
    pub(super) served: ServedFeature,
}

/// Judges what was found of a column at `now`, in milliseconds since 1970; `found` is nothing where the store could not be asked.
pub(super) fn judge(view: &ViewSpec, column: &ColumnSpec, found: Option<&Found>, now: u64) -> Verdict {
    let Some(found) = found else { return lacking(column, Lack::Failed, &ServedFeature::default()) };
    let age_ms = found.at.map(|at| i64::try_from(now).unwrap_or(i64::MAX) - i64::try_from(at).unwrap_or(i64::MAX));
    let facts = ServedFeature { age_ms, ..ServedFeature::default() };
    let Some(value) = &found.value else { return lacking(column, Lack::Missing, &facts) };
    let Some(value) = fitted(value, column.datatype) else { return lacking(column, Lack::Unfit, &facts) };
    let is_stale = match (view.max_age, age_ms) {
        (None, _) => false,
        // Of what has no time nobody knows that it is fresh.
        (Some(_), None) => true,
        (Some(most), Some(age)) => u128::try_from(age).is_ok_and(|age| age > most.as_millis()),
    };
    match (is_stale, view.on_stale) {
        (true, OnStale::Default) => lacking(column, Lack::Stale, &ServedFeature { stale: true, ..facts }),
        (true, OnStale::Refuse) => {
            let served = ServedFeature { stale: true, lacks: Some(Lack::Stale), ..facts };
            Verdict { value: None, served }
        }
        (stale, _) => {
            let served = ServedFeature { value: finite(&value), at: found.at, stale, ..facts };
            Verdict { value: Some(value), served }
        }
    }
}

/// The default of a column, where it has one.
fn lacking(column: &ColumnSpec, why: Lack, facts: &ServedFeature) -> Verdict {
    let value = column.default.clone();
    let served = ServedFeature { value: value.as_ref().and_then(finite), lacks: Some(why), ..facts.clone() };
    Verdict { value, served }
}

/// What a record can have of a value.
fn finite(value: &FeatureValue) -> Option<FeatureValue> {
    match value {
        FeatureValue::Number(number) if !number.is_finite() => None,
        other => Some(other.clone()),
    }
}

/// A value as one of this type; nothing where it is none.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a whole number that a model reads as a float is the nearest one")]
pub fn fitted(value: &FeatureValue, datatype: Datatype) -> Option<FeatureValue> {
    use FeatureValue::{Integer, Number, Text, Truth};
    match (datatype, value) {
        (Datatype::Bytes, Text(_)) | (Datatype::Bool, Truth(_)) => Some(value.clone()),
        (Datatype::Fp32 | Datatype::Fp64, Number(_)) => Some(value.clone()),
        (Datatype::Fp32 | Datatype::Fp64, Integer(number)) => Some(Number(*number as f64)),
        (Datatype::Fp32 | Datatype::Fp64, Truth(truth)) => Some(Number(f64::from(*truth))),
        (Datatype::Int32 | Datatype::Int64, Truth(truth)) => Some(Integer(i64::from(*truth))),
        (Datatype::Int64, Integer(_)) => Some(value.clone()),
        (Datatype::Int64, Number(number)) => whole(*number).map(Integer),
        (Datatype::Int32, Integer(number)) => i32::try_from(*number).ok().map(|number| Integer(number.into())),
        (Datatype::Int32, Number(number)) => {
            whole(*number).and_then(|number| i32::try_from(number).ok()).map(|number| Integer(number.into()))
        }
        (Datatype::Bool, Integer(number @ 0..=1)) => Some(Truth(*number == 1)),
        // Some stores say large numbers as texts.
        (Datatype::Int64 | Datatype::Int32, Text(text)) => {
            text.parse().ok().and_then(|number| fitted(&Integer(number), datatype))
        }
        _ => None,
    }
}
