//! What bytes the names of tokens stand for.

use std::collections::HashMap;

/// How a vocabulary spells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    /// A character of an alphabet for each byte (GPT-2 and those after it).
    ByteLevel,
    /// Text, with `▁` for a space and `<0x0A>` for a byte (SentencePiece).
    Pieces,
}

impl Spelling {
    /// The bytes of all names, in order; none for those that `silent` names.
    pub(super) fn spell(self, names: &[String], silent: impl Fn(u32) -> bool) -> Vec<Vec<u8>> {
        let alphabet = alphabet();
        (0u32..)
            .zip(names)
            .map(|(id, name)| match self {
                _ if silent(id) => Vec::new(),
                Self::ByteLevel => of_alphabet(name, &alphabet),
                Self::Pieces => of_piece(name),
            })
            .collect()
    }
}

/// Which byte each character of the byte-level alphabet stands for: printable Latin-1 for itself, the others in order
/// from U+0100.
pub(super) fn alphabet() -> HashMap<char, u8> {
    let itself = |b: u8| matches!(b, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let others = (0..=255u8).filter(|b| !itself(*b)).zip(0x100u32..);
    let others = others.filter_map(|(b, c)| Some((char::from_u32(c)?, b)));
    (0..=255u8).filter(|b| itself(*b)).map(|b| (char::from(b), b)).chain(others).collect()
}

/// A name that is not wholly of the alphabet stands for itself.
fn of_alphabet(name: &str, alphabet: &HashMap<char, u8>) -> Vec<u8> {
    let bytes: Option<Vec<u8>> = name.chars().map(|c| alphabet.get(&c).copied()).collect();
    bytes.unwrap_or_else(|| name.as_bytes().to_vec())
}

fn of_piece(name: &str) -> Vec<u8> {
    let byte = name.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>')).filter(|hex| hex.len() == 2);
    match byte.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
        Some(byte) => vec![byte],
        None => name.replace('▁', " ").into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alphabet_covers_every_byte_once() {
        let alphabet = alphabet();
        assert_eq!(alphabet.len(), 256);
        assert_eq!(alphabet.values().collect::<std::collections::HashSet<_>>().len(), 256);
        assert_eq!((alphabet[&'Ġ'], alphabet[&'Ċ'], alphabet[&'a']), (b' ', b'\n', b'a'));
    }

    #[test]
    fn names_are_spelled_in_bytes() {
        let names = ["Ġcafé", "字", "<s>"].map(str::to_owned);
        let spelled = Spelling::ByteLevel.spell(&names, |id| id == 2);
        assert_eq!(spelled, [vec![b' ', b'c', b'a', b'f', 0xE9], "字".into(), Vec::new()]);
        let names = ["▁a▁", "<0x0A>", "<0xZZ>", "é"].map(str::to_owned);
        assert_eq!(
            Spelling::Pieces.spell(&names, |_| false),
            [b" a ".to_vec(), vec![10], b"<0xZZ>".to_vec(), "é".into()]
        );
    }
}
