//! Universal Binary JSON (draft 12), as XGBoost writes it (`save_model("model.ubj")`, and where no ending says otherwise). A
//! deserialiser for serde, so that no tree of values is made; lengths are held against what is there.

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor, value::StrDeserializer};
use std::fmt;

/// As deep as JSON may be.
const MOST_DEPTH: usize = 128;

/// Reads a value; what stands behind it is a fault.
pub(super) fn read<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, Fault> {
    let mut reader = Reader { rest: bytes, whole: bytes.len(), depth: 0 };
    let value = T::deserialize(Item { reader: &mut reader, marker: None })?;
    if reader.rest.is_empty() { Ok(value) } else { Err(reader.fault("more stands behind the end")) }
}

/// Whether bytes begin as an object in this form: after the brace comes the length of a key, not a quote.
pub(super) fn looks_like(bytes: &[u8]) -> bool {
    matches!(bytes, [b'{', b'i' | b'U' | b'I' | b'l' | b'L', ..])
}

/// What is wrong, and where.
#[derive(Debug)]
pub(super) struct Fault(String);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Fault {}

impl serde::de::Error for Fault {
    fn custom<T: fmt::Display>(says: T) -> Self {
        Self(says.to_string())
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    whole: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn fault(&self, says: impl fmt::Display) -> Fault {
        Fault(format!("{says} at byte {}", self.whole - self.rest.len()))
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(|| self.fault("it ends too soon"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| self.fault("it ends too soon"))
    }

    /// The next marker; those that mean nothing are passed over.
    fn marker(&mut self) -> Result<u8, Fault> {
        loop {
            match self.bytes::<1>()? {
                [b'N'] => {}
                [marker] => return Ok(marker),
            }
        }
    }

    /// The next marker is this one, and is taken then.
    fn has(&mut self, marker: u8) -> bool {
        let is_next = self.rest.first() == Some(&marker);
        if is_next {
            self.rest = &self.rest[1..];
        }
        is_next
    }

    fn integer(&mut self, marker: u8) -> Result<i64, Fault> {
        Ok(match marker {
            b'i' => i64::from(i8::from_be_bytes(self.bytes()?)),
            b'U' => i64::from(u8::from_be_bytes(self.bytes()?)),
            b'I' => i64::from(i16::from_be_bytes(self.bytes()?)),
            b'l' => i64::from(i32::from_be_bytes(self.bytes()?)),
            b'L' => i64::from_be_bytes(self.bytes()?),
            other => return Err(self.fault(format!("`{}` is no integer", other.escape_ascii()))),
        })
    }

    fn length(&mut self) -> Result<usize, Fault> {
        let marker = self.marker()?;
        self.length_of(marker)
    }

    fn length_of(&mut self, marker: u8) -> Result<usize, Fault> {
        let length = self.integer(marker)?;
        usize::try_from(length).map_err(|_| self.fault(format!("{length} is no length")))
    }

    fn text(&mut self, length: usize) -> Result<&'a str, Fault> {
        let bytes = self.take(length)?;
        std::str::from_utf8(bytes).map_err(|_| self.fault("a text is no UTF-8"))
    }

    /// What stands at the beginning of a container: the type of all its values, and how many.
    fn head(&mut self) -> Result<(Option<u8>, Option<usize>), Fault> {
        let marker = if self.has(b'$') { Some(self.marker()?) } else { None };
        let count = if self.has(b'#') { Some(self.length()?) } else { None };
        if marker.is_some() && count.is_none() {
            return Err(self.fault("a container has a type, but no length"));
        }
        // Values without bytes of their own could be as many as a length says.
        let width = match marker {
            None => 1,
            Some(b'i' | b'U' | b'C' | b'S' | b'H' | b'[' | b'{') => 1,
            Some(b'I') => 2,
            Some(b'l' | b'd') => 4,
            Some(b'L' | b'D') => 8,
            Some(other) => return Err(self.fault(format!("a container is of `{}`", other.escape_ascii()))),
        };
        if count.is_some_and(|count| count > self.rest.len() / width) {
            return Err(self.fault("a container is longer than what follows"));
        }
        Ok((marker, count))
    }
}

/// One value; its marker may have been told by the container.
struct Item<'r, 'a> {
    reader: &'r mut Reader<'a>,
    marker: Option<u8>,
}

impl<'de> Deserializer<'de> for Item<'_, '_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let Item { reader, marker } = self;
        let marker = marker.map_or_else(|| reader.marker(), Ok)?;
        match marker {
            b'Z' => visitor.visit_unit(),
            b'T' => visitor.visit_bool(true),
            b'F' => visitor.visit_bool(false),
            b'U' => visitor.visit_u64(u64::from(reader.bytes::<1>()?[0])),
            b'i' | b'I' | b'l' | b'L' => {
                let number = reader.integer(marker)?;
                match u64::try_from(number) {
                    Ok(number) => visitor.visit_u64(number),
                    Err(_) => visitor.visit_i64(number),
                }
            }
            b'd' => visitor.visit_f32(f32::from_be_bytes(reader.bytes()?)),
            b'D' => visitor.visit_f64(f64::from_be_bytes(reader.bytes()?)),
            b'C' => visitor.visit_str(reader.text(1)?),
            b'S' | b'H' => {
                let length = reader.length()?;
                visitor.visit_str(reader.text(length)?)
            }
            b'[' | b'{' => {
                reader.depth += 1;
                if reader.depth > MOST_DEPTH {
                    return Err(reader.fault("it is too deep"));
                }
                let (kind, left) = reader.head()?;
                let container = Container { reader: &mut *reader, kind, left, end: marker + 2 };
                let value = if marker == b'[' { visitor.visit_seq(container) } else { visitor.visit_map(container) }?;
                reader.depth -= 1;
                Ok(value)
            }
            other => Err(reader.fault(format!("`{}` is no marker", other.escape_ascii()))),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let Item { reader, marker } = self;
        let marker = marker.map_or_else(|| reader.marker(), Ok)?;
        if marker == b'Z' { visitor.visit_none() } else { visitor.visit_some(Item { reader, marker: Some(marker) }) }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// The values of an array or an object.
struct Container<'r, 'a> {
    reader: &'r mut Reader<'a>,
    kind: Option<u8>,
    /// How many are left, where it is known; else the end is marked.
    left: Option<usize>,
    end: u8,
}

impl Container<'_, '_> {
    /// Whether there is another value; its beginning is a marker or, in objects, a key's length.
    fn goes_on(&mut self) -> bool {
        match &mut self.left {
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
            None => {
                while self.reader.has(b'N') {}
                !self.reader.has(self.end)
            }
        }
    }
}

impl<'de> SeqAccess<'de> for Container<'_, '_> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        if !self.goes_on() {
            return Ok(None);
        }
        seed.deserialize(Item { reader: self.reader, marker: self.kind }).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        self.left
    }
}

impl<'de> MapAccess<'de> for Container<'_, '_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        if !self.goes_on() {
            return Ok(None);
        }
        let length = self.reader.length()?;
        let key = self.reader.text(length)?;
        seed.deserialize(StrDeserializer::new(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        seed.deserialize(Item { reader: self.reader, marker: self.kind })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn values_of_every_kind_are_read() {
        let bytes = b"{i\x01a[$d#i\x02\x3f\x80\x00\x00\xc0\x00\x00\x00i\x01bSL\x00\x00\x00\x00\x00\x00\x00\x02hii\x01cNTi\x01d[l\xff\xff\xff\xfeU\xff]i\x01eZi\x01f{i\x01gD\x3f\xe0\x00\x00\x00\x00\x00\x00}}";
        let read: Value = read(bytes).unwrap();
        assert_eq!(read, json!({"a": [1.0, -2.0], "b": "hi", "c": true, "d": [-2, 255], "e": null, "f": {"g": 0.5}}));
    }

    #[test]
    fn what_lies_is_refused_with_its_place() {
        for (bytes, says) in [
            (&b"[$d#L\x00\x00\x7f\xff\xff\xff\xff\xff"[..], "longer than what follows"),
            (b"[#i\x7fT", "longer than what follows"),
            (b"[$Z#L\x00\x00\x7f\xff\xff\xff\xff\xff", "a container is of `Z`"),
            (b"[$dT]", "has a type, but no length"),
            (b"Si\xffabc", "-1 is no length"),
            (b"Si\x09abc", "ends too soon"),
            (b"x", "`x` is no marker"),
            (b"[TT", "ends too soon"),
            (b"TT", "more stands behind the end at byte 1"),
        ] {
            let said = read::<Value>(bytes).unwrap_err().to_string();
            assert!(said.contains(says), "{said}");
        }
        assert!(read::<Value>(&[b'['; 10_000]).unwrap_err().to_string().contains("too deep"));
        assert!(read::<Value>(b"").is_err());
    }
}
