//! Rules by which a route picks an arm: conditions on what is known of a call, the first that fits decides. Owns their form
//! and which conditions never hold beside others; whether one holds is the policy's.

use super::feature::Language;

/// A policy of rules.
#[derive(Debug, Clone, PartialEq)]
pub struct RulesSpec {
    /// Those with a condition, in order.
    pub rules: Vec<RuleOfRoute>,
    /// What holds where none of them fits: the probability of each arm, as in a rule.
    pub otherwise: Vec<f64>,
}

/// A rule.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleOfRoute {
    /// Which calls it is for.
    pub when: When,
    /// The probability of each arm in the order of the variants, each in `[0, 1]`, their sum 1.
    pub to: Vec<f64>,
}

/// A condition on a call.
#[derive(Debug, Clone, PartialEq)]
pub enum When {
    /// On a header, its name in lower case.
    Header(String, Match),
    /// On a tag of the caller's key.
    KeyTag(String, Match),
    /// On the caller's tenant.
    Tenant(Match),
    /// On the caller.
    Principal(Match),
    /// On the body's `user`.
    User(Match),
    /// The prompt has more bytes of text than this, where the id of a token counts as four.
    LongerThan(u32),
    /// It has fewer.
    ShorterThan(u32),
    /// The prompt's newest text seems to be in one of these languages.
    Language(Vec<Language>),
    /// The hour of the day, in UTC, from the first to before the second; past midnight where that is not larger.
    Hour(u8, u8),
    /// Whether a stream is asked for.
    Stream(bool),
    /// Whether tools are given.
    Tools(bool),
    /// All of these.
    All(Vec<When>),
    /// One of these at least.
    Any(Vec<When>),
    /// Not this.
    Not(Box<When>),
}

/// What a text must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match {
    /// There at all.
    Present,
    /// One of these.
    OneOf(Vec<String>),
    /// With this beginning.
    Prefix(String),
}

impl Match {
    /// Whether a text is so; none is only where it need not be there.
    #[must_use]
    pub fn holds(&self, text: Option<&str>) -> bool {
        let Some(text) = text else { return false };
        match self {
            Self::Present => true,
            Self::OneOf(texts) => texts.iter().any(|one| one == text),
            Self::Prefix(prefix) => text.starts_with(prefix),
        }
    }

    fn implies(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Present) => true,
            (Self::OneOf(texts), other) => texts.iter().all(|text| other.holds(Some(text))),
            (Self::Prefix(own), Self::Prefix(other)) => own.starts_with(other),
            (Self::Present | Self::Prefix(_), _) => false,
        }
    }
}

impl When {
    /// Whether it is known that `other` holds wherever this does. `false` says that it is not known.
    #[must_use]
    pub fn implies(&self, other: &Self) -> bool {
        if self == other {
            return true;
        }
        match (self, other) {
            (Self::Any(own), other) => own.iter().all(|one| one.implies(other)),
            (own, Self::All(others)) => others.iter().all(|other| own.implies(other)),
            (own, Self::Any(others)) if others.iter().any(|other| own.implies(other)) => true,
            (Self::All(own), other) => own.iter().any(|one| one.implies(other)),
            (Self::Not(own), Self::Not(other)) => other.implies(own),
            (Self::LongerThan(own), Self::LongerThan(other)) => own >= other,
            (Self::ShorterThan(own), Self::ShorterThan(other)) => own <= other,
            (Self::Language(own), Self::Language(others)) => own.iter().all(|one| others.contains(one)),
            (Self::Header(name, own), Self::Header(same, other))
            | (Self::KeyTag(name, own), Self::KeyTag(same, other)) => name == same && own.implies(other),
            (Self::Tenant(own), Self::Tenant(other))
            | (Self::Principal(own), Self::Principal(other))
            | (Self::User(own), Self::User(other)) => own.implies(other),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_of(texts: &[&str]) -> Match {
        Match::OneOf(texts.iter().map(|text| (*text).to_owned()).collect())
    }

    #[test]
    fn what_follows_from_a_condition_is_known_and_nothing_else() {
        use When::{All, Any, Header, Hour, Language as Speaks, LongerThan, Not, ShorterThan, Stream, Tenant};
        let tier = |with: Match| Header("x-tier".to_owned(), with);
        let prefix = |text: &str| Match::Prefix(text.to_owned());
        for (own, other, follows) in [
            (LongerThan(9), LongerThan(8), true),
            (LongerThan(8), LongerThan(9), false),
            (ShorterThan(8), ShorterThan(9), true),
            (ShorterThan(8), LongerThan(3), false),
            (tier(one_of(&["gold"])), tier(one_of(&["gold", "silver"])), true),
            (tier(one_of(&["gold", "tin"])), tier(one_of(&["gold", "silver"])), false),
            (tier(one_of(&["gold"])), tier(prefix("go")), true),
            (tier(prefix("gold")), tier(prefix("go")), true),
            (tier(prefix("go")), tier(prefix("gold")), false),
            (tier(prefix("go")), tier(Match::Present), true),
            (tier(Match::Present), tier(prefix("go")), false),
            (tier(Match::Present), Header("x-other".to_owned(), Match::Present), false),
            (Tenant(one_of(&["a"])), Tenant(one_of(&["b", "a"])), true),
            (Speaks(vec![Language::German]), Speaks(vec![Language::English, Language::German]), true),
            (All(vec![Stream(true), LongerThan(9)]), LongerThan(8), true),
            (LongerThan(9), All(vec![LongerThan(8), LongerThan(7)]), true),
            (LongerThan(9), Any(vec![Stream(true), LongerThan(8)]), true),
            (Any(vec![LongerThan(9), Stream(true)]), LongerThan(8), false),
            (Any(vec![LongerThan(9), LongerThan(10)]), LongerThan(8), true),
            (Not(Box::new(LongerThan(8))), Not(Box::new(LongerThan(9))), true),
            (Hour(8, 9), Hour(8, 10), false),
        ] {
            assert_eq!(own.implies(&other), follows, "{own:?} {other:?}");
        }
    }
}
