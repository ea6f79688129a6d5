//! The wire format of protocol buffers, as far as the Open Inference Protocol needs it. Owns fields and their lengths; what a field
//! means is its message's. Nothing is copied or set aside for what is read: a message of a few bytes can claim many parts,
//! and code that is generated makes a value of each before anybody can count them.

/// What stands in a field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value<'a> {
    /// A whole number or a truth.
    Varint(u64),
    /// Eight bytes.
    Fixed64([u8; 8]),
    /// Four bytes.
    Fixed32([u8; 4]),
    /// A text, bytes, a message or packed numbers.
    Bytes(&'a [u8]),
}

/// Why bytes are no message; ends a sentence.
pub(crate) type Malformed = &'static str;

const CUT: Malformed = "it is cut: a field goes beyond its end";
const LONG: Malformed = "a number has more than 64 bits";

/// The fields of a message, in their order.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) const fn of(message: &'a [u8]) -> Self {
        Self(message)
    }

    /// The next field; none at the end.
    pub(crate) fn next(&mut self) -> Result<Option<(u64, Value<'a>)>, Malformed> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = varint(&mut self.0)?;
        let (number, kind) = (tag >> 3, tag & 7);
        if number == 0 || number > 0x1FFF_FFFF {
            return Err("a field has no number that fields may have");
        }
        let value = match kind {
            0 => Value::Varint(varint(&mut self.0)?),
            1 => Value::Fixed64(fixed(&mut self.0)?),
            2 => {
                let length = usize::try_from(varint(&mut self.0)?).map_err(|_| CUT)?;
                let (bytes, rest) = self.0.split_at_checked(length).ok_or(CUT)?;
                self.0 = rest;
                Value::Bytes(bytes)
            }
            5 => Value::Fixed32(fixed(&mut self.0)?),
            _ => return Err("a field is of a kind that this protocol has not"),
        };
        Ok(Some((number, value)))
    }
}

/// The next number of packed ones.
pub(crate) fn varint(from: &mut &[u8]) -> Result<u64, Malformed> {
    let mut number = 0u64;
    for (nth, byte) in from.iter().copied().enumerate().take(10) {
        let bits = u64::from(byte & 0x7F);
        if nth == 9 && bits > 1 {
            return Err(LONG);
        }
        number |= bits << (7 * nth);
        if byte < 0x80 {
            *from = &from[nth + 1..];
            return Ok(number);
        }
    }
    Err(if from.len() < 10 { CUT } else { LONG })
}

fn fixed<const N: usize>(from: &mut &[u8]) -> Result<[u8; N], Malformed> {
    let (bytes, rest) = from.split_first_chunk::<N>().ok_or(CUT)?;
    *from = rest;
    Ok(*bytes)
}

/// Puts a number.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// Puts a field of a whole number.
pub(crate) fn put_number(out: &mut Vec<u8>, field: u64, number: u64) {
    put_varint(out, field << 3);
    put_varint(out, number);
}

/// Puts a field of bytes, a message or packed numbers, even where it is empty.
pub(crate) fn put_bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    put_varint(out, field << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Puts a field of a text, unless that is empty, which is the same as nothing.
pub(crate) fn put_text(out: &mut Vec<u8>, field: u64, text: &str) {
    if !text.is_empty() {
        put_bytes(out, field, text.as_bytes());
    }
}

/// Puts a field of eight bytes.
pub(crate) fn put_fixed64(out: &mut Vec<u8>, field: u64, bytes: [u8; 8]) {
    put_varint(out, field << 3 | 1);
    out.extend_from_slice(&bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_they_were_put_and_no_longer_than_64_bits() {
        for number in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut out = Vec::new();
            put_varint(&mut out, number);
            let mut rest = &out[..];
            assert_eq!((varint(&mut rest), rest.len()), (Ok(number), 0));
        }
        assert_eq!(varint(&mut &[0x80; 11][..]), Err(LONG));
        assert_eq!(varint(&mut &[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 2][..]), Err(LONG));
        assert_eq!(varint(&mut &[0x80, 0x80][..]), Err(CUT));
    }

    #[test]
    fn fields_are_read_and_what_is_none_is_said() {
        let mut out = Vec::new();
        put_number(&mut out, 1, 5);
        put_text(&mut out, 2, "ab");
        put_text(&mut out, 3, "");
        put_fixed64(&mut out, 4, [1; 8]);
        let mut fields = Fields::of(&out);
        assert_eq!(fields.next(), Ok(Some((1, Value::Varint(5)))));
        assert_eq!(fields.next(), Ok(Some((2, Value::Bytes(b"ab")))));
        assert_eq!(fields.next(), Ok(Some((4, Value::Fixed64([1; 8])))));
        assert_eq!(fields.next(), Ok(None));
        for (bytes, says) in [
            (&[0x0A, 0x05, 1][..], CUT),
            (&[0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F], CUT),
            (&[0x0D, 1, 2], CUT),
            (&[0x02, 0], "a field has no number that fields may have"),
            (&[0x0B], "a field is of a kind that this protocol has not"),
        ] {
            assert_eq!(Fields::of(bytes).next(), Err(says), "{bytes:?}");
        }
    }
}
