//! Limits in words, as refusals name them.

use tidegate_core::spec::limit::{Budget, LimitSpec, Per, Period, Rate};

/// What each quantity of a limit is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Words {
    pub(crate) requests: String,
    pub(crate) tokens: String,
    pub(crate) cost: String,
}

impl Words {
    /// The words of `spec`; those of a quantity that it does not limit are empty.
    pub(crate) fn of(spec: &LimitSpec) -> Self {
        let rate = |rate: Option<Rate>, noun| rate.map_or_else(String::new, |rate| rate_words(spec.per, rate, noun));
        Self {
            requests: rate(spec.requests, "request"),
            tokens: rate(spec.tokens, "token"),
            cost: spec.cost.map_or_else(String::new, |budget| budget_words(spec.per, budget)),
        }
    }
}

fn rate_words(per: Per, rate: Rate, noun: &str) -> String {
    let plural = if rate.count == 1 { "" } else { "s" };
    let time = match (rate.every.as_secs(), rate.every.subsec_nanos()) {
        (1, 0) => "per second".to_owned(),
        (60, 0) => "per minute".to_owned(),
        (3600, 0) => "per hour".to_owned(),
        (86_400, 0) => "per day".to_owned(),
        _ => format!("in {:?}", rate.every),
    };
    format!("{} {noun}{plural} {time} for this {}", rate.count, per.word())
}

fn budget_words(per: Per, budget: Budget) -> String {
    let span = match budget.every {
        Period::Hour => "hour",
        Period::Day => "day",
        Period::Week => "week",
        Period::Month => "month",
    };
    format!("{} USD a {span} (UTC) for this {}", budget.most.usd(), per.word())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tidegate_core::NanoUsd;

    #[test]
    fn a_limit_is_named_as_people_say_it() {
        let rate = |count, secs| Rate { count, every: Duration::from_secs(secs) };
        assert_eq!(rate_words(Per::Key, rate(600, 60), "request"), "600 requests per minute for this key");
        assert_eq!(rate_words(Per::Tenant, rate(1, 86_400), "token"), "1 token per day for this tenant");
        assert_eq!(rate_words(Per::Route, rate(5, 90), "request"), "5 requests in 90s for this route");
        let budget = Budget { most: NanoUsd::from_usd(2.5), every: Period::Day };
        assert_eq!(budget_words(Per::Tenant, budget), "2.5 USD a day (UTC) for this tenant");
    }
}
