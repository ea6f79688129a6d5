//! `hedge` of a route: a second request beside one that is slow. Owns its settings and whether they can ever apply to the
//! route's times; whether its models are where that helps is `refer`'s question.

use crate::report::Notes;
use crate::scalar::{At, Flaw, Scalar, Share, Span};
use crate::shape::record;
use std::time::Duration;
use tidegate_core::spec::{HedgeAfter, HedgeSpec};

/// The share of calls that may be sent twice where nothing is said.
const MAX_EXTRA: f64 = 0.05;

record! {
    /// A second request beside one that is slow; the first answer is taken and the other request is given up.
    HedgeFile {
        required {
            /// How long a call is under way before it is slow: a percentile of the time until an answer is there or a
            /// stream begins, `p50` to `p99`, or a duration such as `300ms`.
            after: At<HedgeAfter>,
        }
        optional {
            /// The most second requests as a share of calls; 5% by default.
            max_extra: At<Share>,
        }
    }
}

impl Scalar for HedgeAfter {
    const WHAT: &'static str = "a percentile such as `p95` or a duration such as `300ms`";

    fn parse(text: &str) -> Result<Self, Flaw> {
        let Some(percent) = text.strip_prefix('p') else {
            return Span::parse(text).map(|span| Self::Time(span.0));
        };
        let number = percent.parse().ok().filter(|_| percent.bytes().all(|digit| digit.is_ascii_digit()));
        number
            .filter(|percent| (50..=99).contains(percent))
            .map(Self::Percentile)
            .ok_or_else(|| Flaw::default().mend("percentiles are `p50` to `p99`"))
    }

    fn schema() -> schemars::Schema {
        schemars::json_schema!({
            "type": "string", "pattern": "^(p[5-9][0-9]|[0-9._]+ ?(ms|s|m|h|d)|.*\\$\\{.*)$",
        })
    }
}

/// The hedging of a route whose calls take `total` at most.
pub(super) fn check(raw: &HedgeFile, total: Duration, notes: &mut Notes) -> Option<HedgeSpec> {
    let max_extra = raw.max_extra.as_ref().map_or(MAX_EXTRA, |share| share.value.0);
    if let Some(given) = raw.max_extra.as_ref().filter(|_| max_extra <= 0.0) {
        notes
            .fault(&given.at, "this can never apply: no call may be sent twice")
            .remedy("write a share such as `5%`, or leave `hedge` out");
    }
    let after = raw.after.as_ref()?;
    if let HedgeAfter::Time(time) = after.value
        && time >= total
    {
        notes
            .fault(&after.at, format!("this can never apply: no call takes longer than {}s", total.as_secs_f64()))
            .remedy("write a percentile such as `p95` or a shorter time, or make `timeouts.total` longer");
    }
    Some(HedgeSpec { after: after.value, max_extra })
}
