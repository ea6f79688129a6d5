//! US social security numbers, with their dashes: three, two and four digits, none of which are all 0, and no area that was
//! never given out.

use super::{Verdict, is_inner};

const FORM: &[u8] = b"ddd-dd-dddd";

pub(super) fn at(before: Option<char>, rest: &str, is_end: bool) -> Verdict {
    if is_inner(before) || before == Some('-') {
        return Verdict::No;
    }
    let bytes = rest.as_bytes();
    for (at, form) in FORM.iter().enumerate() {
        match bytes.get(at) {
            None => return if is_end { Verdict::No } else { Verdict::More },
            Some(byte) if *form == b'd' && byte.is_ascii_digit() => {}
            Some(byte) if byte == form => {}
            Some(_) => return Verdict::No,
        }
    }
    let mut behind = rest[FORM.len()..].chars();
    match (behind.next(), behind.next()) {
        (None, _) if !is_end => return Verdict::More,
        (Some('-'), None) if !is_end => return Verdict::More,
        (Some('-'), Some(next)) if next.is_alphanumeric() => return Verdict::No,
        (next, _) if is_inner(next) => return Verdict::No,
        _ => {}
    }
    let (area, group, serial) = (&rest[..3], &rest[4..6], &rest[7..11]);
    let was_given = !matches!(area, "000" | "666") && !area.starts_with('9') && group != "00" && serial != "0000";
    if was_given { Verdict::Found(FORM.len()) } else { Verdict::No }
}
