//! Numbers of payment cards: the lengths of their networks and Luhn's check digit (ISO/IEC 7812), in one or in groups with
//! spaces or dashes.

use super::groups::Groups;
use super::{Verdict, is_inner};

/// The most digits that one has, and that one of its groups has.
const DIGITS: usize = 19;
const LONGEST_GROUP: usize = 6;

pub(super) fn at(before: Option<char>, rest: &str, is_end: bool) -> Verdict {
    if is_inner(before) || !rest.starts_with(['2', '3', '4', '5', '6']) {
        return Verdict::No;
    }
    let groups = Groups::of(rest, " -", 1, DIGITS, is_end);
    if groups.is_open {
        return Verdict::More;
    }
    let mut digits = String::with_capacity(DIGITS);
    let mut found = None;
    for group in &groups.whole {
        // A number in one has no further groups: what comes behind a space is another one.
        if group.digits.len() > LONGEST_GROUP && !digits.is_empty() {
            break;
        }
        digits.push_str(group.digits);
        let next = rest[group.end..].chars().next();
        if is_card(&digits) && !is_inner(next) {
            // Of two ends, the one that nothing is joined to.
            let is_better = found.is_none() || next != Some('-');
            found = if is_better { Some(group.end) } else { found };
        }
        if group.digits.len() > LONGEST_GROUP {
            break;
        }
    }
    found.map_or(Verdict::No, Verdict::Found)
}

fn is_card(digits: &str) -> bool {
    let begins = |length: usize| digits.get(..length).and_then(|prefix| prefix.parse::<u32>().ok()).unwrap_or(0);
    let fits = match digits.len() {
        13 => begins(1) == 4,
        14 => matches!(begins(3), 300..=305) || matches!(begins(2), 36 | 38 | 39),
        15 => matches!(begins(2), 34 | 37),
        16 => {
            begins(1) == 4
                || matches!(begins(2), 51..=55 | 35 | 60 | 62 | 64 | 65)
                || matches!(begins(4), 2221..=2720)
                || matches!(begins(2), 50 | 56..=58 | 61 | 63 | 67)
        }
        17 | 18 => matches!(begins(2), 62 | 50 | 56..=58 | 60 | 63 | 67),
        19 => begins(1) == 4 || matches!(begins(2), 35 | 62 | 64 | 65 | 50 | 56..=58 | 60 | 63 | 67),
        _ => false,
    };
    fits && luhn(digits)
}

fn luhn(digits: &str) -> bool {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(at, digit)| {
            let digit = u32::from(digit - b'0');
            let weighted = if at % 2 == 1 { digit * 2 } else { digit };
            if weighted > 9 { weighted - 9 } else { weighted }
        })
        .sum();
    sum.is_multiple_of(10)
}
