//! W3C trace context. Owns the forms of `traceparent` and `tracestate` and the making of ids; nothing is sampled away
//! here.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use std::fmt;
use tidegate_core::{Dice, InferenceId};

/// `traceparent`.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// `tracestate`.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// The longest `tracestate` that goes on; vendors must accept this much, and longer ones may be dropped.
const LONGEST_STATE: usize = 512;

/// Where a call stands in a trace: its caller's span, if any, and ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    trace: u128,
    parent: Option<u64>,
    span: u64,
    flags: u8,
    state: Option<HeaderValue>,
}

impl TraceContext {
    /// The context of a call: the caller's trace, or a new one where it sent none or a malformed one; with a new span.
    #[must_use]
    pub fn of(headers: &HeaderMap, dice: &dyn Dice) -> Self {
        let span = nonzero(dice.next_u64());
        if let Some(parent) = received(headers) {
            return Self {
                trace: parent.trace,
                parent: Some(parent.span),
                span,
                flags: parent.flags,
                state: state(headers),
            };
        }
        let trace = u128::from(dice.next_u64()) << 64 | u128::from(nonzero(dice.next_u64()));
        Self { trace, parent: None, span, flags: 1, state: None }
    }

    /// The same context with the span id that the record of the call `id` has, so that both meet.
    #[must_use]
    pub fn for_call(self, id: InferenceId) -> Self {
        Self { span: span_of(id), ..self }
    }

    /// The trace id as 32 hex digits.
    #[must_use]
    pub fn trace_id_text(&self) -> String {
        format!("{:032x}", self.trace)
    }

    /// The trace id.
    #[must_use]
    pub const fn trace_id(&self) -> u128 {
        self.trace
    }

    /// The caller's span.
    #[must_use]
    pub const fn parent(&self) -> Option<u64> {
        self.parent
    }

    /// Our span, which is the parent of what happens at the provider.
    #[must_use]
    pub const fn span(&self) -> u64 {
        self.span
    }

    /// Whether the caller records this trace; we do where it is ours.
    #[must_use]
    pub const fn is_sampled(&self) -> bool {
        self.flags & 1 == 1
    }

    /// Puts the context into the headers that go on.
    pub fn write(&self, headers: &mut HeaderMap) {
        if let Ok(value) = HeaderValue::from_bytes(&self.encode()) {
            headers.insert(TRACEPARENT, value);
        }
        if let Some(state) = &self.state {
            headers.insert(TRACESTATE, state.clone());
        }
    }

    /// `00-{trace}-{span}-{flags}`, without an allocation.
    fn encode(&self) -> [u8; 55] {
        let mut out = *b"00-00000000000000000000000000000000-0000000000000000-00";
        hex(self.trace, &mut out[3..35]);
        hex(u128::from(self.span), &mut out[36..52]);
        hex(u128::from(self.flags), &mut out[53..55]);
        out
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.encode()).unwrap_or_default())
    }
}

/// The span id of the call `id`: its low half, which is random and never zero (it holds the UUID's variant bits).
#[must_use]
pub fn span_of(id: InferenceId) -> u64 {
    u64::try_from(id.as_u128() & u128::from(u64::MAX)).unwrap_or(1)
}

fn nonzero(bits: u64) -> u64 {
    bits.max(1)
}

fn hex(value: u128, out: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut rest = value;
    for byte in out.iter_mut().rev() {
        *byte = DIGITS[usize::try_from(rest & 0xF).unwrap_or(0)];
        rest >>= 4;
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Received {
    trace: u128,
    span: u64,
    flags: u8,
}

fn received(headers: &HeaderMap) -> Option<Received> {
    let mut all = headers.get_all(TRACEPARENT).iter();
    let value = all.next()?;
    if all.next().is_some() {
        return None;
    }
    parse(value.as_bytes())
}

/// Reads a `traceparent`, strictly: lower case, exact lengths, no zero ids; later versions may be longer.
fn parse(text: &[u8]) -> Option<Received> {
    let fixed = text.get(..55)?;
    let dashed = fixed[2] == b'-' && fixed[35] == b'-' && fixed[52] == b'-';
    let version = number(&fixed[..2])?;
    let length_fits = text.len() == 55 || (version > 0 && text[55] == b'-');
    if !dashed || version == 0xFF || !length_fits {
        return None;
    }
    let trace = number(&fixed[3..35]).filter(|&id| id != 0)?;
    let span = number(&fixed[36..52]).filter(|&id| id != 0)?;
    // Only the flag that every version has.
    let flags = number(&fixed[53..])? & 1;
    Some(Received { trace, span: u64::try_from(span).ok()?, flags: u8::try_from(flags).ok()? })
}

fn number(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0u128, |so_far, &digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(so_far << 4 | u128::from(value))
    })
}

/// The vendors' state as one field; dropped where it is too long.
fn state(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut all = headers.get_all(TRACESTATE).iter();
    let first = all.next()?;
    let joined = all.fold(first.as_bytes().to_vec(), |mut joined, more| {
        joined.push(b',');
        joined.extend_from_slice(more.as_bytes());
        joined
    });
    if joined.is_empty() || joined.len() > LONGEST_STATE { None } else { HeaderValue::from_bytes(&joined).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_core::dice::SplitMix;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_trace_goes_on_under_a_span_of_ours() {
        let mut inbound = headers(&[("traceparent", GOOD), ("tracestate", "a=1")]);
        inbound.append(TRACESTATE, HeaderValue::from_static("b=2"));
        let context = TraceContext::of(&inbound, &SplitMix::seeded(1));
        assert_eq!(context.trace_id_text(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(context.parent(), Some(0x00f0_67aa_0ba9_02b7));
        let mut out = HeaderMap::new();
        context.write(&mut out);
        let sent = parse(out[TRACEPARENT].as_bytes()).unwrap();
        assert_eq!((sent.trace, sent.span, sent.flags), (context.trace_id(), context.span(), 1));
        assert_ne!(Some(sent.span), context.parent());
        assert_eq!(out[TRACESTATE], "a=1,b=2");
    }

    #[test]
    fn without_a_valid_parent_a_trace_begins() {
        let dice = SplitMix::seeded(2);
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            let context = TraceContext::of(&headers(&[("traceparent", bad), ("tracestate", "a=1")]), &dice);
            assert_eq!((context.parent(), context.is_sampled()), (None, true), "{bad}");
            assert_eq!(context.state, None);
            assert_ne!(context.trace_id(), 0);
        }
        let twice: HeaderMap = {
            let mut map = headers(&[("traceparent", GOOD)]);
            map.append(TRACEPARENT, HeaderValue::from_static(GOOD));
            map
        };
        assert_eq!(TraceContext::of(&twice, &dice).parent(), None);
    }

    #[test]
    fn later_versions_may_be_longer() {
        assert!(parse(b"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more").is_some());
        assert!(parse(b"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01more").is_none());
        assert_eq!(parse(GOOD.replace("-01", "-00").as_bytes()).map(|p| p.flags), Some(0));
    }

    #[test]
    fn the_span_of_a_call_follows_from_its_id() {
        let id = InferenceId::from_parts(1, 2, 3);
        let context = TraceContext::of(&HeaderMap::new(), &SplitMix::seeded(3)).for_call(id);
        assert_eq!(context.span(), span_of(id));
        assert_ne!(context.span(), 0);
    }
}
