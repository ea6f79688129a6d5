//! IP addresses of both versions. What stands behind a port's `:` or a network's `/` stays.

use super::{Verdict, is_inner};
use std::net::Ipv6Addr;

/// The longest IPv6 address, in bytes.
const LONGEST: usize = 45;

/// Four numbers up to 255 without leading zeros, no part of more than four.
pub(super) fn v4_at(before: Option<char>, rest: &str, is_end: bool) -> Verdict {
    if is_inner(before) || before == Some('.') {
        return Verdict::No;
    }
    let undecided = if is_end { Verdict::No } else { Verdict::More };
    let mut at = 0;
    for octet in 0..4 {
        if octet > 0 {
            match rest.as_bytes().get(at) {
                None => return undecided,
                Some(b'.') => at += 1,
                Some(_) => return Verdict::No,
            }
        }
        let length = rest.bytes().skip(at).take(4).take_while(u8::is_ascii_digit).count();
        let digits = &rest[at..at + length];
        let is_octet = digits.parse::<u8>().is_ok() && (length == 1 || !digits.starts_with('0'));
        if at + length == rest.len() && !is_end {
            return if length == 0 || is_octet { Verdict::More } else { Verdict::No };
        }
        if !is_octet {
            return Verdict::No;
        }
        at += length;
    }
    let mut behind = rest[at..].chars();
    match (behind.next(), behind.next()) {
        (Some('.'), None) if !is_end => Verdict::More,
        (Some('.'), Some(next)) if next.is_ascii_digit() => Verdict::No,
        (next, _) if is_inner(next) => Verdict::No,
        _ => Verdict::Found(at),
    }
}

/// What the standard library takes for one, if there is a digit in it: `a::b` is a name in many languages.
pub(super) fn v6_at(before: Option<char>, rest: &str, is_end: bool) -> Verdict {
    if is_inner(before) || before == Some(':') || before == Some('.') {
        return Verdict::No;
    }
    let is_part = |byte: &u8| byte.is_ascii_hexdigit() || *byte == b':' || *byte == b'.';
    let length = rest.bytes().take(LONGEST + 2).take_while(is_part).count();
    if length == 0 || length > LONGEST + 1 {
        return Verdict::No;
    }
    // Words and numbers are none: the first group ends within four digits.
    let first = rest.bytes().take_while(u8::is_ascii_hexdigit).count();
    if first > 4 || (first < rest.len() && rest.as_bytes().get(first) != Some(&b':')) {
        return Verdict::No;
    }
    if length == rest.len() && !is_end {
        return Verdict::More;
    }
    if is_inner(rest[length..].chars().next()) {
        return Verdict::No;
    }
    let run = &rest[..length];
    let trimmed = [run, run.trim_end_matches('.'), run.trim_end_matches([':', '.'])];
    let is_address = |text: &&str| {
        text.len() > 2 && text.bytes().any(|byte| byte.is_ascii_digit()) && text.parse::<Ipv6Addr>().is_ok()
    };
    trimmed.into_iter().find(is_address).map_or(Verdict::No, |found| Verdict::Found(found.len()))
}
