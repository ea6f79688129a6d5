//! What the mock upstream is asked to do for one call: the names of faults, and where they may stand. Owns no network.

/// A fault on request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// This status, with an error body.
    Status(u16),
    /// The connection ends before the head of an answer.
    Reset,
    /// The connection ends half-way through a stream.
    MidReset,
    /// No answer at all.
    Stall,
    /// A stream that stops half-way, and stays open.
    MidStall,
    /// A stream whose first event is an error.
    FirstError,
}

impl Fault {
    /// Reads a name such as `503` or `midreset`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "reset" => Self::Reset,
            "midreset" => Self::MidReset,
            "stall" => Self::Stall,
            "midstall" => Self::MidStall,
            "firsterror" => Self::FirstError,
            status => Self::Status(status.parse().ok().filter(|status| (400..600).contains(status))?),
        })
    }

    /// The fault that a call asks for: by the header `x-mock-fail`, by `?fail=`, or, since gateways drop headers and
    /// queries, by a model's name that ends in `-fail-NAME`.
    pub(crate) fn asked(header: Option<&str>, query: &str, model: &str) -> Option<Self> {
        let name = header
            .or_else(|| parameter(query, "fail"))
            .or_else(|| model.rsplit_once("-fail-").map(|(_, name)| name))?;
        Some(Self::named(name).unwrap_or(Self::Status(500)))
    }
}

/// The value of a parameter of a query.
pub(crate) fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_asked_by_header_query_or_model() {
        assert_eq!(Fault::asked(Some("429"), "", ""), Some(Fault::Status(429)));
        assert_eq!(Fault::asked(None, "a=b&fail=midreset", ""), Some(Fault::MidReset));
        assert_eq!(Fault::asked(None, "", "mock-model-fail-stall"), Some(Fault::Stall));
        assert_eq!(Fault::asked(None, "", "m-fail-nonsense"), Some(Fault::Status(500)));
        assert_eq!(Fault::asked(None, "failure=1", "mock-model"), None);
        assert_eq!(Fault::named("200"), None);
    }
}
