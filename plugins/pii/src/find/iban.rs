//! International bank account numbers (ISO 13616): each country's length, and check digits by 97 (ISO 7064), in one or in
//! groups with single spaces or dashes.

use super::{Verdict, is_inner};

/// The lengths of countries, by SWIFT's registry.
const LENGTHS: [(&str, usize); 85] = [
    ("AD", 24),
    ("AE", 23),
    ("AL", 28),
    ("AT", 20),
    ("AZ", 28),
    ("BA", 20),
    ("BE", 16),
    ("BG", 22),
    ("BH", 22),
    ("BI", 27),
    ("BR", 29),
    ("BY", 28),
    ("CH", 21),
    ("CR", 22),
    ("CY", 28),
    ("CZ", 24),
    ("DE", 22),
    ("DJ", 27),
    ("DK", 18),
    ("DO", 28),
    ("EE", 20),
    ("EG", 29),
    ("ES", 24),
    ("FI", 18),
    ("FK", 18),
    ("FO", 18),
    ("FR", 27),
    ("GB", 22),
    ("GE", 22),
    ("GI", 23),
    ("GL", 18),
    ("GR", 27),
    ("GT", 28),
    ("HN", 28),
    ("HR", 21),
    ("HU", 28),
    ("IE", 22),
    ("IL", 23),
    ("IQ", 23),
    ("IS", 26),
    ("IT", 27),
    ("JO", 30),
    ("KW", 30),
    ("KZ", 20),
    ("LB", 28),
    ("LC", 32),
    ("LI", 21),
    ("LT", 20),
    ("LU", 20),
    ("LV", 21),
    ("LY", 25),
    ("MC", 27),
    ("MD", 24),
    ("ME", 22),
    ("MK", 19),
    ("MN", 20),
    ("MR", 27),
    ("MT", 31),
    ("MU", 30),
    ("NI", 28),
    ("NL", 18),
    ("NO", 15),
    ("OM", 23),
    ("PK", 24),
    ("PL", 28),
    ("PS", 29),
    ("PT", 25),
    ("QA", 29),
    ("RO", 24),
    ("RS", 22),
    ("RU", 33),
    ("SA", 24),
    ("SC", 31),
    ("SD", 18),
    ("SE", 24),
    ("SI", 19),
    ("SK", 24),
    ("SM", 27),
    ("SO", 23),
    ("ST", 25),
    ("SV", 28),
    ("TN", 24),
    ("TR", 26),
    ("UA", 29),
    ("VG", 24),
];

pub(super) fn at(before: Option<char>, rest: &str, is_end: bool) -> Verdict {
    if is_inner(before) {
        return Verdict::No;
    }
    let undecided = if is_end { Verdict::No } else { Verdict::More };
    let mut taken = String::new();
    let (mut length, mut was_separator) = (None, false);
    for (at, letter) in rest.char_indices() {
        if length == Some(taken.len()) {
            // What follows decides whether this is all of it.
            return if is_inner(Some(letter)) || !is_checked(&taken) { Verdict::No } else { Verdict::Found(at) };
        }
        match (taken.len(), letter) {
            (0 | 1, letter) if letter.is_ascii_alphabetic() => {}
            (2 | 3, letter) if letter.is_ascii_digit() => {}
            (4.., letter) if letter.is_ascii_alphanumeric() => {}
            (4.., ' ' | '-') if !was_separator => {
                was_separator = true;
                continue;
            }
            _ => return Verdict::No,
        }
        was_separator = false;
        taken.push(letter.to_ascii_uppercase());
        if taken.len() == 2 {
            let country = LENGTHS.iter().find(|(country, _)| *country == taken);
            let Some((_, of_country)) = country else { return Verdict::No };
            length = Some(*of_country);
        }
    }
    match length {
        Some(length) if is_end && taken.len() == length && !was_separator && is_checked(&taken) => {
            Verdict::Found(rest.len())
        }
        _ => undecided,
    }
}

/// Whether its number, with the first four moved to the end and letters as 10 to 35, leaves 1 by 97.
fn is_checked(iban: &str) -> bool {
    let (head, tail) = iban.split_at(4);
    let rest = tail.chars().chain(head.chars()).fold(0, |rest, letter| {
        let value = letter.to_digit(36).unwrap_or(0);
        (if value > 9 { rest * 100 } else { rest * 10 } + value) % 97
    });
    rest == 1
}
