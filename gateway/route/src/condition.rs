//! Whether a fault is one of the ways to fail that a fallback names. Owns the mapping from faults to conditions; what
//! follows from a match is the plan's.

use tidegate_core::spec::route::Condition;
use tidegate_core::{Fault, FaultKind, Side};

/// Whether `fault` is what `condition` names.
///
/// A status is the provider's own. Where a fault has none, what its kind stands for counts: 429 for a limit, 503 for a
/// full queue, 400 for too long a prompt or one that a filter refuses; and whatever else failed at the provider or at us without a status (no
/// connection, no answer in time, a cut stream) is a `5xx`.
#[must_use]
pub fn matches(condition: Condition, fault: &Fault) -> bool {
    match condition {
        Condition::Status(status) => status_of(fault) == Some(status),
        Condition::Class(class) => match status_of(fault) {
            Some(status) => status / 100 == class,
            None => class == 5 && fault.side() != Side::Client,
        },
        Condition::Kind(kind) => fault.kind == kind || stands_for(kind, fault),
    }
}

/// Whether no other variant can help: the call is wrong whoever serves it, the caller may not make it, or we are to
/// blame or stopping.
#[must_use]
pub const fn is_final(kind: FaultKind) -> bool {
    match kind {
        FaultKind::ContextLength | FaultKind::ContentFilter | FaultKind::UpstreamRefused | FaultKind::Overloaded => {
            false
        }
        kind => !matches!(kind.side(), Side::Upstream),
    }
}

fn status_of(fault: &Fault) -> Option<u16> {
    fault.upstream_status.or(match fault.kind {
        FaultKind::ContextLength | FaultKind::ContentFilter => Some(400),
        FaultKind::UpstreamRateLimited => Some(429),
        FaultKind::Overloaded => Some(503),
        _ => None,
    })
}

/// The names of conditions are wider than kinds: `timeout` is also a provider's own 504, `overloaded` also its 503 or
/// 529 (Anthropic's), and a limit is a limit whether ours or its.
fn stands_for(kind: FaultKind, fault: &Fault) -> bool {
    match kind {
        FaultKind::RateLimited => fault.kind == FaultKind::UpstreamRateLimited,
        FaultKind::UpstreamTimeout => fault.upstream_status == Some(504),
        FaultKind::Overloaded => matches!(fault.upstream_status, Some(503 | 529)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(kind: FaultKind, status: Option<u16>) -> Fault {
        Fault { upstream_status: status, ..Fault::new(kind, "") }
    }

    #[test]
    fn conditions_match_what_they_name() {
        use Condition::{Class, Kind, Status};
        use FaultKind as K;
        let cases = [
            (Status(429), K::UpstreamRateLimited, Some(429), true),
            (Status(429), K::UpstreamRateLimited, None, true),
            (Status(429), K::UpstreamFailed, Some(500), false),
            (Status(503), K::Overloaded, None, true),
            (Status(502), K::Unreachable, None, false),
            (Class(5), K::UpstreamFailed, Some(503), true),
            (Class(5), K::UpstreamMisconfigured, Some(401), false),
            (Class(4), K::UpstreamMisconfigured, Some(401), true),
            (Class(5), K::Unreachable, None, true),
            (Class(5), K::UpstreamTimeout, None, true),
            (Class(5), K::StreamCut, None, true),
            (Class(5), K::UpstreamRateLimited, None, false),
            (Class(5), K::UpstreamRefused, None, false),
            (Class(4), K::ContextLength, None, true),
            (Class(3), K::Unreachable, None, false),
            (Kind(K::UpstreamTimeout), K::UpstreamTimeout, None, true),
            (Kind(K::UpstreamTimeout), K::UpstreamFailed, Some(504), true),
            (Kind(K::UpstreamTimeout), K::Unreachable, None, false),
            (Kind(K::ContextLength), K::ContextLength, Some(400), true),
            (Kind(K::Unreachable), K::Unreachable, None, true),
            (Kind(K::Unreachable), K::UpstreamFailed, Some(502), false),
            (Kind(K::ContentFilter), K::ContentFilter, Some(400), true),
            (Kind(K::ContentFilter), K::ContentFilter, Some(200), true),
            (Kind(K::ContentFilter), K::UpstreamRefused, Some(400), false),
            (Status(400), K::ContentFilter, Some(400), true),
            (Class(4), K::ContentFilter, None, true),
            (Class(4), K::ContentFilter, Some(200), false),
            (Kind(K::Overloaded), K::UpstreamFailed, Some(529), true),
            (Kind(K::Overloaded), K::UpstreamFailed, Some(500), false),
            (Kind(K::RateLimited), K::UpstreamRateLimited, Some(429), true),
            (Kind(K::UpstreamRateLimited), K::UpstreamRateLimited, None, true),
        ];
        for (condition, kind, status, expected) in cases {
            assert_eq!(matches(condition, &fault(kind, status)), expected, "{condition:?} {kind:?} {status:?}");
        }
    }

    #[test]
    fn the_callers_mistakes_and_ours_are_final_and_the_providers_are_not() {
        use FaultKind as K;
        for kind in [K::InvalidRequest, K::RateLimited, K::TooLarge, K::Internal, K::NotDurable, K::Unavailable] {
            assert!(is_final(kind), "{kind:?}");
        }
        for kind in [
            K::ContextLength,
            K::ContentFilter,
            K::UpstreamRefused,
            K::Overloaded,
            K::Unreachable,
            K::UpstreamMisconfigured,
        ] {
            assert!(!is_final(kind), "{kind:?}");
        }
    }
}
