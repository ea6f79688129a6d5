//! Rules: the first condition that holds for a call says which arms it may have. Owns whether one holds; that each rule can
//! apply is seen to when the configuration is read.

use crate::feature::{Facts, language};
use std::sync::Arc;
use tidegate_core::spec::rule::{RulesSpec, When};

/// The rules of a route.
#[derive(Debug, Clone)]
pub struct Rules {
    rules: Vec<(When, Arc<[f64]>)>,
    otherwise: Arc<[f64]>,
}

impl Rules {
    /// These rules.
    #[must_use]
    pub fn new(spec: &RulesSpec) -> Self {
        let rules = spec.rules.iter().map(|rule| (rule.when.clone(), rule.to.as_slice().into()));
        Self { rules: rules.collect(), otherwise: spec.otherwise.as_slice().into() }
    }

    /// The probability of each arm for a call, by the first rule that it fits.
    #[must_use]
    pub fn shares(&self, facts: &impl Facts) -> Arc<[f64]> {
        let fits = self.rules.iter().find(|(when, _)| holds(when, facts));
        Arc::clone(fits.map_or(&self.otherwise, |(_, shares)| shares))
    }
}

/// Whether a condition holds for a call.
fn holds(when: &When, facts: &impl Facts) -> bool {
    match when {
        When::Header(name, with) => with.holds(facts.header(name)),
        When::KeyTag(tag, with) => with.holds(facts.key_tag(tag)),
        When::Tenant(with) => with.holds(Some(facts.tenant())),
        When::Principal(with) => with.holds(Some(facts.principal())),
        When::User(with) => with.holds(facts.user()),
        When::LongerThan(bytes) => facts.prompt_bytes() > usize::try_from(*bytes).unwrap_or(usize::MAX),
        When::ShorterThan(bytes) => facts.prompt_bytes() < usize::try_from(*bytes).unwrap_or(usize::MAX),
        When::Language(languages) => language::guess(facts.prompt()).is_some_and(|guess| languages.contains(&guess)),
        When::Hour(from, to) => is_within(facts.unix_ms(), *from, *to),
        When::Stream(is) => facts.is_stream() == *is,
        When::Tools(has) => facts.has_tools() == *has,
        When::All(all) => all.iter().all(|when| holds(when, facts)),
        When::Any(any) => any.iter().any(|when| holds(when, facts)),
        When::Not(not) => !holds(not, facts),
    }
}

fn is_within(unix_ms: u64, from: u8, to: u8) -> bool {
    const HOUR: u64 = 60 * 60 * 1000;
    let (hour, from, to) = (unix_ms / HOUR % 24, u64::from(from), u64::from(to));
    if from < to { (from..to).contains(&hour) } else { hour >= from || hour < to }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feature::tests::Call;
    use crate::plan::tests::route;
    use crate::policy::{Policy, StateCell};
    use proptest::prelude::*;
    use tidegate_core::dice::SplitMix;
    use tidegate_core::spec::feature::Language;
    use tidegate_core::spec::rule::{Match, RuleOfRoute};

    fn is(text: &str) -> Match {
        Match::OneOf(vec![text.to_owned()])
    }

    fn call() -> Call {
        Call {
            bytes: 8000,
            prompt: "Wie spät ist es, und was ist das für eine Frage?".to_owned(),
            unix_ms: 86_400_000 * 20_000 + 23 * 3_600_000,
            tier: Some("paid".to_owned()),
            task: Some("summary-long".to_owned()),
            stream: true,
        }
    }

    #[test]
    fn each_condition_looks_at_its_fact() {
        use When::{
            All, Any, Header, Hour, KeyTag, Language as Speaks, LongerThan, Not, Principal, ShorterThan, Stream,
        };
        use When::{Tenant, Tools, User};
        let name = |name: &str| name.to_owned();
        for (when, wanted) in [
            (Header(name("x-task"), Match::Prefix(name("summary"))), true),
            (Header(name("x-task"), is("summary")), false),
            (Header(name("x-none"), Match::Present), false),
            (Header(name("x-task"), Match::Present), true),
            (KeyTag(name("tier"), is("paid")), true),
            (KeyTag(name("tier"), Match::OneOf(vec![name("free"), name("trial")])), false),
            (Tenant(is("shop")), true),
            (Principal(is("ana")), true),
            (User(Match::Present), false),
            (LongerThan(7999), true),
            (LongerThan(8000), false),
            (ShorterThan(8001), true),
            (ShorterThan(8000), false),
            (Speaks(vec![Language::English, Language::German]), true),
            (Speaks(vec![Language::French]), false),
            (Hour(23, 24), true),
            (Hour(22, 6), true),
            (Hour(0, 23), false),
            (Stream(true), true),
            (Tools(true), false),
            (All(vec![Stream(true), Tools(false)]), true),
            (All(vec![Stream(true), Tools(true)]), false),
            (Any(vec![Stream(false), Tools(true)]), false),
            (Not(Box::new(Tools(true))), true),
        ] {
            assert_eq!(holds(&when, &call()), wanted, "{when:?}");
        }
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let rule = |when, to: [f64; 2]| RuleOfRoute { when, to: to.to_vec() };
        let spec = RulesSpec {
            rules: vec![rule(When::Tools(true), [0.0, 1.0]), rule(When::LongerThan(4000), [0.5, 0.5])],
            otherwise: vec![1.0, 0.0],
        };
        let rules = Rules::new(&spec);
        assert_eq!(*rules.shares(&call()), [0.5, 0.5]);
        assert_eq!(*rules.shares(&Call { bytes: 10, ..call() }), [1.0, 0.0]);
    }

    /// The propensity that a record names is the share of calls that an arm gets: over a million calls within four
    /// standard deviations.
    #[test]
    fn propensities_are_true() {
        const DRAWS: u32 = 1_000_000;
        let spec = RulesSpec {
            rules: vec![RuleOfRoute { when: When::Stream(true), to: vec![0.9, 0.0, 0.1] }],
            otherwise: vec![1.0, 0.0, 0.0],
        };
        let (rules, dice) = (Rules::new(&spec), SplitMix::seeded(3));
        let policy = Policy::new(&route(3, 1), StateCell::fixed(&[1.0; 3]).unwrap()).unwrap();
        let mut counts = [0.0; 3];
        for _ in 0..DRAWS {
            counts[policy.choose_by(rules.shares(&call()), None, &dice).arm] += 1.0;
        }
        let deviation = (f64::from(DRAWS) * 0.9 * 0.1).sqrt();
        assert!((counts[0] - 0.9 * f64::from(DRAWS)).abs() <= 4.0 * deviation && counts[1] == 0.0, "{counts:?}");
    }

    proptest! {
        #[test]
        fn what_is_known_to_follow_does(
            bytes in 0usize..40, stream: bool, tier in prop::option::of("free|paid"),
            own in condition(), other in condition(),
        ) {
            let call = Call { bytes, stream, tier, ..Call::default() };
            if own.implies(&other) && holds(&own, &call) {
                prop_assert!(holds(&other, &call), "{:?} implies {:?}", own, other);
            }
        }
    }

    fn condition() -> impl Strategy<Value = When> {
        let tier = |with| When::KeyTag("tier".to_owned(), with);
        let leaf = prop_oneof![
            (0u32..40).prop_map(When::LongerThan),
            (0u32..40).prop_map(When::ShorterThan),
            any::<bool>().prop_map(When::Stream),
            prop::collection::vec("free|paid", 1..3).prop_map(move |texts| tier(Match::OneOf(texts))),
            "f|fr|p".prop_map(move |text| tier(Match::Prefix(text))),
            Just(tier(Match::Present)),
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 1..3).prop_map(When::All),
                prop::collection::vec(inner.clone(), 1..3).prop_map(When::Any),
                inner.prop_map(|one| When::Not(Box::new(one))),
            ]
        })
    }
}
