//! Counts as short texts: a variable number of base-64 digits for each (five bits of the number and one that says whether
//! more follow, the lowest first, as in source maps), and runs of zeros as a zero and how many more follow. A column of 256
//! bins that holds a second's traffic takes about a kilobyte so. Owns the form.

use serde::{Deserialize, Deserializer, Serializer, de};

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The most numbers that a text may stand for: what is read may come from elsewhere.
const MOST: usize = 1 << 16;

/// Numbers as a text.
#[must_use]
pub fn pack(numbers: impl Iterator<Item = u64>) -> String {
    let mut text = String::new();
    let mut zeros = 0u64;
    for number in numbers {
        if number == 0 {
            zeros += 1;
            continue;
        }
        pack_zeros(&mut text, zeros);
        zeros = 0;
        push(&mut text, number);
    }
    pack_zeros(&mut text, zeros);
    text
}

fn pack_zeros(text: &mut String, zeros: u64) {
    if zeros > 0 {
        push(text, 0);
        push(text, zeros - 1);
    }
}

fn push(text: &mut String, mut number: u64) {
    loop {
        let (low, rest) = (number & 31, number >> 5);
        let digit = low | if rest > 0 { 32 } else { 0 };
        #[expect(clippy::cast_possible_truncation, reason = "six bits")]
        text.push(char::from(DIGITS[digit as usize & 63]));
        if rest == 0 {
            return;
        }
        number = rest;
    }
}

/// The numbers of a text; none where it is not of the form.
#[must_use]
pub fn unpack(text: &str) -> Option<Vec<u64>> {
    let mut digits = text.bytes();
    let mut numbers = Vec::new();
    while let Some(number) = pull(&mut digits)? {
        if number > 0 {
            numbers.push(number);
        } else {
            let more = usize::try_from(pull(&mut digits)??).ok().filter(|more| *more < MOST)?;
            numbers.resize(numbers.len() + more + 1, 0);
        }
        if numbers.len() > MOST {
            return None;
        }
    }
    Some(numbers)
}

/// The next number; `Some(None)` where the text is over.
fn pull(digits: &mut impl Iterator<Item = u8>) -> Option<Option<u64>> {
    let Some(mut byte) = digits.next() else { return Some(None) };
    let (mut number, mut shift) = (0u64, 0);
    loop {
        let digit = digit(byte)?;
        let bits = u64::from(digit & 31);
        // What does not fit into 64 bits was not written here.
        if shift > 60 || (bits << shift) >> shift != bits {
            return None;
        }
        number |= bits << shift;
        if digit & 32 == 0 {
            return Some(Some(number));
        }
        shift += 5;
        byte = digits.next()?;
    }
}

const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'-' => Some(62),
        b'_' => Some(63),
        _ => None,
    }
}

fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u64>, D::Error> {
    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    unpack(&text).ok_or_else(|| de::Error::custom("these are no packed counts"))
}

/// Counts of 32 bits.
pub mod narrow {
    use super::{Deserializer, Serializer, de, pack, read};

    /// Writes them.
    ///
    /// # Errors
    /// The writer's.
    pub fn serialize<S: Serializer>(numbers: &[u32], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&pack(numbers.iter().map(|number| u64::from(*number))))
    }

    /// Reads them.
    ///
    /// # Errors
    /// They are not of the form.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Box<[u32]>, D::Error> {
        let narrow = |number| u32::try_from(number).map_err(|_| de::Error::custom("a count is too large"));
        read(deserializer)?.into_iter().map(narrow).collect()
    }
}

/// Counts of 32 bits of which every second one is rarely anything but 0: those stand behind the others.
pub mod striped {
    use super::{Deserializer, Serializer, de, pack, read};

    /// Writes them.
    ///
    /// # Errors
    /// The writer's.
    pub fn serialize<S: Serializer>(numbers: &[u32], serializer: S) -> Result<S::Ok, S::Error> {
        let every_second = |from| numbers.iter().skip(from).step_by(2).map(|number| u64::from(*number));
        serializer.serialize_str(&pack(every_second(0).chain(every_second(1))))
    }

    /// Reads them.
    ///
    /// # Errors
    /// They are not of the form.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Box<[u32]>, D::Error> {
        let striped = read(deserializer)?;
        let (first, second) = striped.split_at(striped.len().div_ceil(2));
        let pairs = first.iter().enumerate().flat_map(|(at, number)| [Some(number), second.get(at)]);
        let narrow = |number: &u64| u32::try_from(*number).map_err(|_| de::Error::custom("a count is too large"));
        pairs.flatten().map(narrow).collect()
    }
}

/// Counts of 64 bits.
pub mod wide {
    use super::{Deserializer, Serializer, pack, read};

    /// Writes them.
    ///
    /// # Errors
    /// The writer's.
    pub fn serialize<S: Serializer>(numbers: &[u64], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&pack(numbers.iter().copied()))
    }

    /// Reads them.
    ///
    /// # Errors
    /// They are not of the form.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Box<[u64]>, D::Error> {
        read(deserializer).map(Into::into)
    }
}

/// Whether a count says nothing, and so need not be written.
#[must_use]
pub fn is_zero<T: Default + PartialEq>(count: &T) -> bool {
    *count == T::default()
}

/// A sum of 128 bits, in decimal digits: JSON's numbers end before it does.
pub mod huge {
    use super::{Deserialize, Deserializer, Serializer, de};

    /// Writes it.
    ///
    /// # Errors
    /// The writer's.
    pub fn serialize<S: Serializer>(number: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(number)
    }

    /// Reads it.
    ///
    /// # Errors
    /// It is no whole number.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(|_| de::Error::custom("this is no whole number"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_packed_is_unpacked(numbers in prop::collection::vec(prop_oneof![Just(0u64), 0..40u64, any::<u64>()], 0..200)) {
            prop_assert_eq!(unpack(&pack(numbers.iter().copied())), Some(numbers));
        }

        #[test]
        fn no_text_is_too_much(text in "[A-Za-z0-9_-]{0,40}") {
            if let Some(numbers) = unpack(&text) {
                prop_assert!(numbers.len() <= MOST);
            }
        }
    }

    #[test]
    fn few_counts_take_few_letters() {
        assert_eq!(pack([0; 500].into_iter()), "AzP");
        assert_eq!(pack([1, 2, 31, 32, 0, 5].into_iter()), "BCfgBAAF");
        for bad in ["A", "g", "é", "gggggggggggggggB", "A_________B", "A________B"] {
            assert_eq!(unpack(bad), None, "{bad}");
        }
    }
}
