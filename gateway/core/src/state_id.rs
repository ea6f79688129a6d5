//! The name of a policy's state: 64 bits of the digest of what it holds, so that equal states have equal names.

use crate::digest::Digest;
use crate::hex;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// Names a state that a policy learnt.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct StateId([u8; 8]);

impl StateId {
    /// The name of the state that is written as `content`.
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        let mut first = [0; 8];
        first.copy_from_slice(&Digest::of(content).as_bytes()[..8]);
        Self(first)
    }

    /// Its 64 bits, for chance that shall be the same for equal states.
    #[must_use]
    pub const fn bits(self) -> u64 {
        u64::from_be_bytes(self.0)
    }

    /// Its 16 digits, without an allocation.
    #[must_use]
    pub fn encode(self) -> [u8; 16] {
        let mut out = [0; 16];
        hex::write(&self.0, &mut out);
        out
    }
}

impl fmt::Display for StateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.encode()).unwrap_or_default())
    }
}

impl fmt::Debug for StateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for StateId {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        // Each record of a call that was decided by what was learnt has one: without the machinery of formatting.
        s.serialize_str(std::str::from_utf8(&self.encode()).unwrap_or_default())
    }
}

impl<'de> Deserialize<'de> for StateId {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = <Cow<'de, str>>::deserialize(d)?;
        let bits = if text.len() == 16 { hex::read(text.as_bytes()) } else { None };
        let bits = bits.and_then(|bits| u64::try_from(bits).ok());
        bits.map(|bits| Self(bits.to_be_bytes()))
            .ok_or_else(|| serde::de::Error::custom("a state's id is 16 hex digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_survives_its_text_and_others_are_refused() {
        let id = StateId::of(b"a state");
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!((serde_json::from_str::<StateId>(&json).unwrap(), json.len()), (id, 18));
        assert_ne!(id, StateId::of(b"another"));
        for bad in ["\"\"", "\"0123\"", "\"0123456789abcdeg\"", "7"] {
            assert!(serde_json::from_str::<StateId>(bad).is_err(), "{bad}");
        }
    }
}
