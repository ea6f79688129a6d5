//! The ids of W3C trace context. Owns their forms: 32 and 16 lower-case hexadecimal digits, never all zero.

use crate::{InferenceId, hex};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::num::{NonZeroU64, NonZeroU128};

/// The id of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(NonZeroU128);

/// The id of one span of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId(NonZeroU64);

impl TraceId {
    /// The id of these bits, which are not all zero.
    #[must_use]
    pub fn new(bits: u128) -> Option<Self> {
        NonZeroU128::new(bits).map(Self)
    }

    /// The id of these bits; one instead of zero.
    #[must_use]
    pub fn from_random(bits: u128) -> Self {
        Self(NonZeroU128::new(bits).unwrap_or(NonZeroU128::MIN))
    }

    /// Reads 32 lower-case digits.
    #[must_use]
    pub fn parse(digits: &[u8]) -> Option<Self> {
        if digits.len() == 32 { hex::read(digits).and_then(Self::new) } else { None }
    }

    /// The 128 bits.
    #[must_use]
    pub const fn bits(self) -> u128 {
        self.0.get()
    }

    /// The 32 digits, without an allocation.
    #[must_use]
    pub fn encode(self) -> [u8; 32] {
        let mut out = [0; 32];
        hex::write(&self.bits().to_be_bytes(), &mut out);
        out
    }
}

impl SpanId {
    /// The id of these bits, which are not all zero.
    #[must_use]
    pub fn new(bits: u64) -> Option<Self> {
        NonZeroU64::new(bits).map(Self)
    }

    /// The span of the call `id`: its low half, which is random and never zero (it holds the UUID's variant bits).
    #[must_use]
    pub fn of(id: InferenceId) -> Self {
        let low = u64::try_from(id.as_u128() & u128::from(u64::MAX)).unwrap_or(1);
        Self(NonZeroU64::new(low).unwrap_or(NonZeroU64::MIN))
    }

    /// Reads 16 lower-case digits.
    #[must_use]
    pub fn parse(digits: &[u8]) -> Option<Self> {
        if digits.len() != 16 {
            return None;
        }
        hex::read(digits).and_then(|bits| Self::new(u64::try_from(bits).ok()?))
    }

    /// The 64 bits.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0.get()
    }

    /// The 16 digits, without an allocation.
    #[must_use]
    pub fn encode(self) -> [u8; 16] {
        let mut out = [0; 16];
        hex::write(&self.bits().to_be_bytes(), &mut out);
        out
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.encode()).unwrap_or_default())
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.encode()).unwrap_or_default())
    }
}

impl Serialize for TraceId {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl Serialize for SpanId {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TraceId {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = <Cow<'de, str>>::deserialize(d)?;
        Self::parse(text.as_bytes())
            .ok_or_else(|| serde::de::Error::custom("a trace id is 32 hex digits, not all zero"))
    }
}

impl<'de> Deserialize<'de> for SpanId {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = <Cow<'de, str>>::deserialize(d)?;
        Self::parse(text.as_bytes()).ok_or_else(|| serde::de::Error::custom("a span id is 16 hex digits, not all zero"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_their_digits() {
        let trace = TraceId::parse(b"4bf92f3577b34da6a3ce929d0e0e4736").unwrap();
        assert_eq!(trace.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        let span = SpanId::parse(b"00f067aa0ba902b7").unwrap();
        assert_eq!((span.bits(), span.to_string().as_str()), (0x00f0_67aa_0ba9_02b7, "00f067aa0ba902b7"));
        let json = serde_json::to_string(&(trace, span)).unwrap();
        assert_eq!(serde_json::from_str::<(TraceId, SpanId)>(&json).unwrap(), (trace, span));
    }

    #[test]
    fn other_digits_are_none() {
        for bad in ["", "0", "00000000000000000000000000000000", "4BF92F3577B34DA6A3CE929D0E0E4736", "4bf92f3577b34da6"]
        {
            assert_eq!(TraceId::parse(bad.as_bytes()), None, "{bad}");
        }
        for bad in ["0000000000000000", "00f067aa0ba902b", "00f067aa0ba902bg"] {
            assert_eq!(SpanId::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn the_span_of_a_call_is_never_zero() {
        assert_eq!(SpanId::of(InferenceId::from_parts(1, 0, 0)).bits(), 1 << 63);
    }
}
