//! A write that is done once however often it is sent, also after a kill: what it leaves names the request, in the same
//! stroke. Owns the marks: a trailer in a commit's message, a mark behind the reason in a reflog, a record in the journal.

use crate::fault::PromptFault;
use crate::refs::Move;
use tidegate_core::CommitSha;
use tidegate_core::once::Once;

/// How the trailer of a commit begins.
const TRAILER: &str = "Tidegate-Request: ";
/// How the mark in a reflog begins.
const MARK: &str = " [request ";

/// A message with the trailer.
pub(crate) fn with_trailer(message: &str, once: &Once) -> String {
    format!("{}\n\n{TRAILER}{} {}", message.trim_end(), once.key(), once.content())
}

/// A message without the trailer, as it is shown.
pub(crate) fn without_trailer(message: &str) -> &str {
    let message = message.trim_end();
    match message.rsplit_once('\n') {
        Some((before, last)) if last.starts_with(TRAILER) => before.trim_end(),
        _ => message,
    }
}

/// A reason with the mark.
pub(crate) fn with_mark(why: &str, once: &Once) -> String {
    format!("{why}{MARK}{} {}]", once.key(), once.content())
}

/// A reason without the mark, as it is shown.
pub(crate) fn without_mark(why: &str) -> &str {
    why.strip_suffix(']').and_then(|text| text.rsplit_once(MARK)).map_or(why, |(why, _)| why)
}

/// Whether a message says that the request was done; a key that was sent with another content is refused.
pub(crate) fn is_in_message(once: &Once, message: &str) -> Result<bool, PromptFault> {
    let trailer = message.lines().rev().find_map(|line| line.strip_prefix(TRAILER));
    trailer.map_or(Ok(false), |said| is_it(once, said.trim()))
}

/// The move of a ref that the request made, if it did. A line stands in the log before the ref is moved, so one that a
/// kill cut off leads to where neither the next line nor the ref goes on.
pub(crate) fn done<'a>(once: &Once, log: &'a [Move], now: Option<CommitSha>) -> Result<Option<&'a Move>, PromptFault> {
    for (at, one) in log.iter().enumerate() {
        let said = one.why.strip_suffix(']').and_then(|text| text.rsplit_once(MARK)).map(|(_, said)| said);
        if said.map_or(Ok(false), |said| is_it(once, said))? && was_made(log, at, now) {
            return Ok(Some(one));
        }
    }
    Ok(None)
}

/// Whether a line of a log was followed by what it says.
pub(crate) fn was_made(log: &[Move], at: usize, now: Option<CommitSha>) -> bool {
    log.get(at).is_some_and(|one| one.to == log.get(at + 1).map_or(now, |next| next.from))
}

/// Whether `KEY CONTENT` is this request.
pub(crate) fn is_it(once: &Once, said: &str) -> Result<bool, PromptFault> {
    let Some((_, content)) = said.split_once(' ').filter(|(key, _)| *key == once.key()) else { return Ok(false) };
    if content == once.content() {
        return Ok(true);
    }
    let why = "this idempotency key was sent with another request before: take a new one for each request";
    Err(PromptFault::Conflict(why.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_core::digest::Digest;

    fn once(key: &str, content: &[u8]) -> Once {
        Once::new("ann", key, Digest::of(content))
    }

    #[test]
    fn a_request_is_known_by_its_trailer_and_shown_without_it() {
        let message = format!("{}\n", with_trailer("a change\n", &once("k", b"body")));
        assert!(is_in_message(&once("k", b"body"), &message).unwrap());
        assert!(is_in_message(&once("k", b"other"), &message).is_err());
        assert!(!is_in_message(&once("l", b"body"), &message).unwrap());
        assert!(!is_in_message(&once("k", b"body"), "a change").unwrap());
        assert_eq!((without_trailer(&message), without_trailer("a change\n")), ("a change", "a change"));
    }

    #[test]
    fn a_move_is_known_by_its_mark_where_the_ref_went_there() {
        let sha = |digit: &str| digit.repeat(40).parse::<CommitSha>().ok();
        let of = |from, to, why: &str| Move { from, to, who: "ann".into(), unix_s: 1, why: why.into() };
        let marked = with_mark("why [not]", &once("k", b"body"));
        assert_eq!((without_mark(&marked), without_mark("why [not]")), ("why [not]", "why [not]"));
        let (a, b, c) = (sha("a"), sha("b"), sha("c"));
        let log = [of(None, a, "first"), of(a, b, &marked)];
        let is_done = |log: &[Move], now| done(&once("k", b"body"), log, now).unwrap().is_some();
        assert!(is_done(&log, b) && !is_done(&log, a), "a kill before the ref was moved");
        let [first, second] = log;
        let later = [first.clone(), second.clone(), of(b, c, "third")];
        assert!(is_done(&later, c) && is_done(&later, a), "what came after does not undo it");
        let cut = [first, second, of(a, c, "third")];
        assert!(!is_done(&cut, c), "the next one began where the first had led");
        assert!(done(&once("k", b"other"), &later, c).is_err());
    }
}
