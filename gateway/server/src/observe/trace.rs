//! W3C trace context. Owns the forms of `traceparent` and `tracestate`; nothing is sampled away here.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use tidegate_core::{Dice, InferenceId, SpanId, TraceId};

/// `traceparent`.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// `tracestate`.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// The longest `tracestate` that goes on; vendors must accept this much, and longer ones may be dropped.
const LONGEST_STATE: usize = 512;

/// Where a call stands in a trace: its caller's span, if any, and ours.
#[derive(Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace: TraceId,
    /// The caller's span.
    pub parent: Option<SpanId>,
    /// Our span, which is the parent of what happens at the provider.
    pub span: SpanId,
    flags: u8,
    state: Option<HeaderValue>,
}

impl TraceContext {
    /// The context of the call `id`: its caller's trace, or a new one where he sent none or a malformed one; the span
    /// follows from the id, so that it and the record of the call meet.
    #[must_use]
    pub fn of(id: InferenceId, headers: &HeaderMap, dice: &dyn Dice) -> Self {
        let span = SpanId::of(id);
        if let Some(Received { trace, span: parent, flags }) = received(headers) {
            return Self { trace, parent: Some(parent), span, flags, state: state(headers) };
        }
        let random = u128::from(dice.next_u64()) << 64 | u128::from(dice.next_u64());
        Self { trace: TraceId::from_random(random), parent: None, span, flags: 1, state: None }
    }

    /// Whether the caller records the trace, where it is his.
    #[must_use]
    pub fn sampled(&self) -> Option<bool> {
        self.parent.map(|_| self.flags & 1 == 1)
    }

    /// Puts the context into the headers that go on.
    pub fn write(self, headers: &mut HeaderMap) {
        if let Ok(value) = HeaderValue::from_bytes(&self.encode()) {
            headers.insert(TRACEPARENT, value);
        }
        if let Some(state) = self.state {
            headers.insert(TRACESTATE, state);
        }
    }

    /// `00-{trace}-{span}-{flags}`, without an allocation.
    fn encode(&self) -> [u8; 55] {
        let mut out = *b"00-00000000000000000000000000000000-0000000000000000-00";
        out[3..35].copy_from_slice(&self.trace.encode());
        out[36..52].copy_from_slice(&self.span.encode());
        out[54] |= self.flags & 1;
        out
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Received {
    trace: TraceId,
    span: SpanId,
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
    let version = two_digits(&fixed[..2])?;
    let length_fits = text.len() == 55 || (version > 0 && text[55] == b'-');
    if !dashed || version == 0xFF || !length_fits {
        return None;
    }
    // Only the flag that every version has.
    let flags = two_digits(&fixed[53..])? & 1;
    Some(Received { trace: TraceId::parse(&fixed[3..35])?, span: SpanId::parse(&fixed[36..52])?, flags })
}

fn two_digits(digits: &[u8]) -> Option<u8> {
    let fits = digits.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    fits.then(|| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok())?
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

    const ID: InferenceId = InferenceId::from_u128(0x0193_1c2e_8f10_7cc3_98c4_dc0c_0c07_398f);
    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_trace_goes_on_under_a_span_of_ours() {
        let mut inbound = headers(&[("traceparent", GOOD), ("tracestate", "a=1")]);
        inbound.append(TRACESTATE, HeaderValue::from_static("b=2"));
        let context = TraceContext::of(ID, &inbound, &SplitMix::seeded(1));
        assert_eq!(context.trace.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(context.parent.map(SpanId::bits), Some(0x00f0_67aa_0ba9_02b7));
        let (trace, span) = (context.trace, context.span);
        assert_eq!(context.sampled(), Some(true));
        assert_ne!(Some(span), context.parent);
        let mut out = HeaderMap::new();
        context.write(&mut out);
        let sent = parse(out[TRACEPARENT].as_bytes()).unwrap();
        assert_eq!(sent, Received { trace, span, flags: 1 });
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
            let context = TraceContext::of(ID, &headers(&[("traceparent", bad), ("tracestate", "a=1")]), &dice);
            assert_eq!((context.parent, context.flags, context.sampled()), (None, 1, None), "{bad}");
            assert_eq!(context.state, None);
        }
        let twice: HeaderMap = {
            let mut map = headers(&[("traceparent", GOOD)]);
            map.append(TRACEPARENT, HeaderValue::from_static(GOOD));
            map
        };
        assert_eq!(TraceContext::of(ID, &twice, &dice).parent, None);
    }

    #[test]
    fn later_versions_may_be_longer() {
        assert!(parse(b"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more").is_some());
        assert!(parse(b"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01more").is_none());
        assert_eq!(parse(GOOD.replace("-01", "-00").as_bytes()).map(|p| p.flags), Some(0));
    }
}
