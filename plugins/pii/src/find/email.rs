//! E-mail addresses: RFC 5321's lengths, a domain of two labels at least whose last is of letters. Latin letters with marks
//! are letters; of other scripts none is, since texts in them have no spaces that would end an address.

use super::Verdict;

/// The longest part before the `@`, and behind it, in letters.
const LOCAL: usize = 64;
const DOMAIN: usize = 253;

pub(super) fn at(before: Option<char>, rest: &str, is_end: bool) -> Verdict {
    if before.is_some_and(is_local) || !rest.starts_with(|first| is_local(first) && first != '.') {
        return Verdict::No;
    }
    let local: usize = rest.chars().take(LOCAL + 1).take_while(|letter| is_local(*letter)).map(char::len_utf8).sum();
    let Some(after) = rest[local..].chars().next() else {
        return if is_end || rest.chars().count() > LOCAL { Verdict::No } else { Verdict::More };
    };
    // One letter more than an address has is a letter still.
    if after != '@' || rest[..local].chars().count() > LOCAL {
        return Verdict::No;
    }
    let behind = &rest[local + 1..];
    let run: usize = behind.chars().take(DOMAIN + 1).take_while(|letter| is_domain(*letter)).map(char::len_utf8).sum();
    if behind[..run].chars().count() > DOMAIN {
        return Verdict::No;
    }
    if run == behind.len() && !is_end {
        return Verdict::More;
    }
    domain(&behind[..run]).map_or(Verdict::No, |length| Verdict::Found(local + 1 + length))
}

/// How long the domain at the beginning of what may be one is.
fn domain(run: &str) -> Option<usize> {
    let (mut at, mut labels, mut found) = (0, 0, None);
    for label in run.split('.') {
        let whole = label.trim_end_matches('-');
        if whole.is_empty() || whole.starts_with('-') {
            break;
        }
        labels += 1;
        if labels > 1 && is_top(whole) {
            found = Some(at + whole.len());
        }
        if whole.len() < label.len() {
            break;
        }
        at += label.len() + 1;
    }
    found
}

fn is_top(label: &str) -> bool {
    let is_code = label.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("xn--"));
    is_code || (label.chars().count() >= 2 && label.chars().all(is_letter))
}

fn is_letter(letter: char) -> bool {
    letter.is_ascii_alphabetic() || (matches!(letter, '\u{c0}'..='\u{24f}') && letter.is_alphabetic())
}

fn is_local(letter: char) -> bool {
    is_letter(letter) || letter.is_ascii_digit() || "._%+-'".contains(letter)
}

fn is_domain(letter: char) -> bool {
    is_letter(letter) || letter.is_ascii_digit() || letter == '-' || letter == '.'
}
