//! Identifiers that we make. Owns the form of an inference id: a UUID of version 7 (RFC 9562), so ids sort by time.

use crate::{Clock, Dice, hex};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// The identifier of one served call.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InferenceId(u128);

impl InferenceId {
    /// A new id: 48 bits of milliseconds, then 74 random bits.
    #[must_use]
    pub fn new(clock: &dyn Clock, dice: &dyn Dice) -> Self {
        Self::from_parts(clock.unix_ms(), dice.next_u64(), dice.next_u64())
    }

    /// The id made of these parts; only the low 48 bits of `unix_ms` and 74 of the random ones count.
    #[must_use]
    pub fn from_parts(unix_ms: u64, high: u64, low: u64) -> Self {
        let time = u128::from(unix_ms & 0xFFFF_FFFF_FFFF) << 80;
        let version = 0x7u128 << 76;
        let upper = u128::from(high & 0xFFF) << 64;
        let variant = 0b10u128 << 62;
        Self(time | version | upper | variant | u128::from(low >> 2))
    }

    /// The 128 bits.
    #[must_use]
    pub const fn as_u128(self) -> u128 {
        self.0
    }

    /// The id of these 128 bits.
    #[must_use]
    pub const fn from_u128(bits: u128) -> Self {
        Self(bits)
    }

    /// Milliseconds since 1970 at which it was made.
    #[must_use]
    pub fn unix_ms(self) -> u64 {
        u64::try_from(self.0 >> 80).unwrap_or(u64::MAX)
    }

    /// The 36 characters of the usual form, without an allocation.
    #[must_use]
    pub fn encode(self) -> [u8; 36] {
        let mut out = [b'-'; 36];
        let bytes = self.0.to_be_bytes();
        for (from, at) in [(0..4, 0), (4..6, 9), (6..8, 14), (8..10, 19), (10..16, 24)] {
            let digits = at..at + 2 * from.len();
            hex::write(&bytes[from], &mut out[digits]);
        }
        out
    }
}

impl fmt::Display for InferenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.encode()).unwrap_or_default())
    }
}

impl fmt::Debug for InferenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not a UUID.
#[derive(Debug, thiserror::Error)]
#[error("an inference id has the form of a UUID, such as 01931c2e-8f10-7cc3-98c4-dc0c0c07398f")]
pub struct NotAnId;

impl FromStr for InferenceId {
    type Err = NotAnId;

    fn from_str(s: &str) -> Result<Self, NotAnId> {
        let dashes_fit =
            s.len() == 36 && s.bytes().enumerate().all(|(i, b)| (b == b'-') == matches!(i, 8 | 13 | 18 | 23));
        if !dashes_fit || !s.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit()) {
            return Err(NotAnId);
        }
        u128::from_str_radix(&s.replace('-', ""), 16).map(Self).map_err(|_| NotAnId)
    }
}

impl Serialize for InferenceId {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(std::str::from_utf8(&self.encode()).unwrap_or_default())
    }
}

impl<'de> Deserialize<'de> for InferenceId {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        <std::borrow::Cow<'de, str>>::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_uuid_of_version_7_and_survives_its_text() {
        let id = InferenceId::from_parts(1_732_000_000_123, 7, 9);
        let text = id.to_string();
        assert_eq!(&text[14..15], "7");
        assert!(matches!(&text[19..20], "8" | "9" | "a" | "b"));
        assert_eq!(text.parse::<InferenceId>().unwrap(), id);
        assert_eq!(id.unix_ms(), 1_732_000_000_123);
    }

    #[test]
    fn ids_sort_by_time() {
        assert!(InferenceId::from_parts(1, u64::MAX, u64::MAX) < InferenceId::from_parts(2, 0, 0));
    }

    #[test]
    fn other_texts_are_refused() {
        for bad in [
            "",
            "x",
            "01931c2e8f107cc398c4dc0c0c07398f",
            "+1931c2e-8f10-7cc3-98c4-dc0c0c07398f",
            "01931c2e-8f10-7cc3-98c4-dc0c0c07398é",
        ] {
            assert!(bad.parse::<InferenceId>().is_err(), "{bad:?}");
        }
    }
}
