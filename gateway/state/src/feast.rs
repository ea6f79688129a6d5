//! The layout of Feast's online store in Redis: a hash for each entity, whose key is the entity's (`key`), whose fields are
//! hashes of `view:feature` (`murmur`) and `_ts:view`, and whose values are protobuf (`value`). Pure bytes; the facts are read
//! off Feast 0.67 (`tests/golden/feast/make.py` keeps what it writes), with its serialization of entity keys of version 3.

pub mod key;
mod murmur;
pub mod value;

#[cfg(test)]
mod tests;

/// The field of a feature: the 32-bit murmur3 of `view:feature`, little-endian.
#[must_use]
pub fn field(view: &str, feature: &str) -> [u8; 4] {
    murmur::murmur3(format!("{view}:{feature}").as_bytes()).to_le_bytes()
}

/// The field that says since when the features of a view are so.
#[must_use]
pub fn timestamp_field(view: &str) -> String {
    format!("_ts:{view}")
}
