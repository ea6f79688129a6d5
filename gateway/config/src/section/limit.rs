//! `limits`: how much callers may use.

use super::Desk;
use crate::scalar::{At, Money};
use crate::shape::{Placed, choice, record};
use tidegate_core::NanoUsd;
use tidegate_core::spec::{Budget, LimitSpec, OnFailure, Per, Period, Rate};

record! {
    /// One limit; all that apply to a call must have room for it.
    LimitFile {
        required {
            /// For whom it counts.
            per: PerFile,
        }
        optional {
            /// Calls in a time, such as `600/min`.
            requests: At<Rate>,
            /// Tokens in a time, such as `100000/min`.
            tokens: At<Rate>,
            /// Money in a span of the calendar.
            cost: CostFile,
            /// What holds when the limit cannot be asked; `open` by default.
            failure: FailureFile,
        }
        later { "concurrent" }
    }
}

record! {
    /// Money in a span of the calendar.
    CostFile {
        required {
            /// In USD.
            usd: At<Money>,
            /// In which span.
            every: SpanFile,
        }
        optional {
            /// By whose calendar; `UTC` by default.
            zone: ZoneFile,
        }
    }
}

choice! {
    /// A span of the calendar in which a budget is spent.
    SpanFile {
        words {
            /// From a full hour to the next.
            Hour = "hour",
            /// From midnight to midnight.
            Day = "calendar_day",
            /// From a Monday to the next.
            Week = "calendar_week",
            /// From the first of a month to that of the next.
            Month = "calendar_month",
        }
    }
}

choice! {
    /// By whose calendar a span begins and ends.
    ZoneFile {
        words {
            /// Universal time.
            Utc = "UTC",
        }
    }
}

choice! {
    /// For whom a limit counts.
    PerFile {
        words {
            /// Each key.
            Key = "key",
            /// Each tenant.
            Tenant = "tenant",
            /// Each route, whoever calls it.
            Route = "route",
        }
        later { "principal", "user", "model", "ip" }
    }
}

choice! {
    /// What holds when a limit cannot be asked.
    FailureFile {
        words {
            /// Calls pass.
            Open = "open",
            /// Calls are refused.
            Closed = "closed",
        }
    }
}

/// What of the rest of the configuration a limit rests on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ground {
    /// Whether callers have keys.
    pub(crate) has_keys: bool,
    /// Whether a model has a price.
    pub(crate) has_prices: bool,
}

/// One limit.
pub(crate) fn check(raw: LimitFile, ground: Ground, desk: &mut Desk<'_>) -> Option<LimitSpec> {
    if !ground.has_keys && matches!(raw.per, Some(PerFile::Key | PerFile::Tenant)) {
        desk.notes
            .fault(raw.at(), "this limit can never apply: callers have no keys")
            .remedy("add `keys: {file: keys.yaml}`, or leave the limit out");
    }
    let here = raw.here();
    if !["requests", "tokens", "cost"].iter().any(|field| here.has(field)) {
        desk.notes
            .fault(raw.at(), "this limit limits nothing")
            .remedy("add `requests: 600/min`, `tokens: 100000/min` or `cost: {usd: 10, every: calendar_day}`");
    }
    let per = match raw.per? {
        PerFile::Key => Per::Key,
        PerFile::Tenant => Per::Tenant,
        PerFile::Route => Per::Route,
    };
    let failure = match raw.failure {
        None | Some(FailureFile::Open) => OnFailure::Open,
        Some(FailureFile::Closed) => OnFailure::Closed,
    };
    let cost = match &raw.cost {
        Some(cost) => Some(check_cost(cost, ground, desk)?),
        None => None,
    };
    Some(LimitSpec {
        per,
        requests: raw.requests.map(|rate| rate.value),
        tokens: raw.tokens.map(|rate| rate.value),
        cost,
        failure,
    })
}

fn check_cost(raw: &CostFile, ground: Ground, desk: &mut Desk<'_>) -> Option<Budget> {
    if !ground.has_prices {
        desk.notes
            .fault(raw.at(), "this limit can never apply: no model has a price")
            .remedy("add `price: {input: 2.5, output: 10.0}` to the models that cost something");
    }
    let usd = raw.usd.as_ref()?;
    let most = NanoUsd::from_usd(usd.value.0);
    if most.0 == 0 || most == NanoUsd::MOST {
        desk.notes
            .fault(&usd.at, "this is no budget: it is nothing, or more than is counted")
            .remedy("write an amount above 0 and below 4,000,000");
        return None;
    }
    let every = match raw.every.as_ref()? {
        SpanFile::Hour => Period::Hour,
        SpanFile::Day => Period::Day,
        SpanFile::Week => Period::Week,
        SpanFile::Month => Period::Month,
    };
    // There is one zone so far, so that naming it changes nothing.
    let (None | Some(ZoneFile::Utc)) = raw.zone;
    Some(Budget { most, every })
}
