//! The port to stores of features: values that are looked up by the keys of entities before a classic model is asked, and
//! pushed when they are new. Owns what keys and values are; which of them a call needs is its route's business.

use super::BoxFuture;
use crate::Fault;
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Holds the features of one view.
pub trait Features: Send + Sync + fmt::Debug {
    /// Looks entities up, each once, in one question where the store can. Gives a row for each key, in their order, with a cell
    /// for each column of the view.
    ///
    /// # Errors
    /// The store cannot be asked within this time, or what it says makes no sense.
    fn look_up<'a>(&'a self, keys: &'a [FeatureKey], within: Duration) -> BoxFuture<'a, Result<Vec<FoundRow>, Fault>>;

    /// Takes fresh values. A row that is not newer than what is there changes nothing; gives how many did.
    ///
    /// # Errors
    /// The store takes none, or cannot be reached: then nobody knows which rows it took.
    fn push<'a>(&'a self, rows: &'a [PushedRow]) -> BoxFuture<'a, Result<usize, Fault>>;
}

/// The key of an entity: a value for each join key of the view, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FeatureKey(pub Box<[KeyValue]>);

/// The value of a join key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum KeyValue {
    /// A whole number.
    Integer(i64),
    /// A text.
    Text(Arc<str>),
}

impl KeyValue {
    /// Bytes of the longest text that is a key: each is hashed for each row, remembered and recorded.
    pub const LONGEST: usize = 1024;

    /// Whether it is no longer than a key may be.
    #[must_use]
    pub fn is_short(&self) -> bool {
        !matches!(self, Self::Text(text) if text.len() > Self::LONGEST)
    }
}

impl fmt::Display for KeyValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// The value of a feature.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum FeatureValue {
    /// Yes or no.
    Truth(bool),
    /// A whole number.
    Integer(i64),
    /// A number; in records one that is not finite is none.
    Number(f64),
    /// A text.
    Text(Arc<str>),
}

/// As declarations are the same: what is no number is the same as itself, so that a view with such a default stays the view
/// that it is.
impl PartialEq for FeatureValue {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Truth(one), Self::Truth(other)) => one == other,
            (Self::Integer(one), Self::Integer(other)) => one == other,
            (Self::Number(one), Self::Number(other)) => one == other || (one.is_nan() && other.is_nan()),
            (Self::Text(one), Self::Text(other)) => one == other,
            _ => false,
        }
    }
}

impl Serialize for FeatureValue {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Truth(truth) => s.serialize_bool(*truth),
            Self::Integer(number) => s.serialize_i64(*number),
            Self::Number(number) => s.serialize_f64(*number),
            Self::Text(text) => s.serialize_str(text),
        }
    }
}

/// What was found of one feature of one entity.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    /// Its value, where there is one.
    pub value: Option<FeatureValue>,
    /// Since when it is so, in milliseconds since 1970, where the store says so.
    pub at: Option<u64>,
}

/// What was found of one entity: a cell for each column of the view.
pub type FoundRow = Box<[Found]>;

/// Fresh values of one entity.
#[derive(Debug, Clone, PartialEq)]
pub struct PushedRow {
    /// The entity.
    pub key: FeatureKey,
    /// Since when they are so, in milliseconds since 1970.
    pub at: u64,
    /// For each column of the view: nothing where it is not told of, else its value, or that it has none.
    pub values: Box<[Option<Option<FeatureValue>>]>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declaration_is_the_same_as_itself() {
        let nan = || FeatureValue::Number(f64::NAN);
        assert_eq!(nan(), nan());
        assert_ne!(nan(), FeatureValue::Number(0.0));
        assert_ne!(FeatureValue::Integer(1), FeatureValue::Number(1.0));
    }

    #[test]
    fn a_long_text_is_no_key() {
        let text = |length| KeyValue::Text("k".repeat(length).into());
        assert!(text(KeyValue::LONGEST).is_short() && !text(KeyValue::LONGEST + 1).is_short());
    }
}
