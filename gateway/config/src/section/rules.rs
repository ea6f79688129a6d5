//! `rules` of a route: which calls go where, by what is known of each. Owns the conditions and that each rule can apply.

use super::policy::whole;
use super::route::Arms;
use crate::place::Place;
use crate::report::Notes;
use crate::scalar::{At, Count, Flaw, Scalar, Share, Text};
use crate::shape::{Item, Map, Placed, choice, record};
use crate::suggest::nearest;
use crate::tree::shortened;
use http::HeaderName;
use schemars::{Schema, json_schema};
use tidegate_core::VariantName;
use tidegate_core::spec::{Language, Match, RuleOfRoute, RulesSpec, When};

record! {
    /// A rule: the first one that a call fits says where it goes.
    RuleFile {
        required {
            /// Where the calls go.
            to: GoalFile,
        }
        optional {
            /// Which calls; the last rule has none, and is for all that are left.
            when: WhenFile,
        }
    }
}

choice! {
    /// Where the calls of a rule go.
    GoalFile {
        maps {
            /// To this variant of the route.
            Variant(At<VariantName>) = "variant",
            /// By these shares, 100% together; a variant that is not named has none.
            Weighted(Map<At<Share>>) = "weighted",
        }
    }
}

choice! {
    /// A condition on a call.
    WhenFile {
        maps {
            /// On headers of the request, by their names.
            Header(Map<MatchFile>) = "header",
            /// On tags of the caller's key, by their names.
            KeyTag(Map<MatchFile>) = "key_tag",
            /// On the caller's tenant.
            Tenant(MatchFile) = "tenant",
            /// On the principal who calls.
            Principal(MatchFile) = "principal",
            /// On the body's `user`.
            User(MatchFile) = "user",
            /// The prompt's text has more bytes than this.
            PromptLongerThan(At<Count>) = "prompt_longer_than",
            /// The prompt's text has fewer bytes than this.
            PromptShorterThan(At<Count>) = "prompt_shorter_than",
            /// The newest text of the prompt seems to be in one of these languages: `english`, `german`, `french`, `spanish`,
            /// `latin` (others in Latin letters), `cyrillic`, `arabic`, `cjk`.
            Language(Vec<At<Language>>) = "language",
            /// The hour of the day.
            Hour(HourFile) = "hour",
            /// Whether a stream is asked for.
            Stream(At<bool>) = "stream",
            /// Whether tools are given.
            Tools(At<bool>) = "tools",
            /// All of these.
            All(Vec<WhenFile>) = "all",
            /// One of these at least.
            Any(Vec<WhenFile>) = "any",
            /// Not this.
            Not(Box<WhenFile>) = "not",
        }
    }
}

choice! {
    /// What a text must be.
    MatchFile {
        words {
            /// There at all.
            Present = "present",
            /// Not there.
            Absent = "absent",
        }
        maps {
            /// This.
            Is(At<Text>) = "is",
            /// One of these.
            OneOf(Vec<At<Text>>) = "one_of",
            /// With this beginning.
            Prefix(At<Text>) = "prefix",
        }
    }
}

record! {
    /// Hours of the day, in UTC.
    HourFile {
        required {
            /// The first one, 0 to 23.
            from: At<Hour>,
            /// The first one that is no longer meant, 1 to 24; past midnight where it is not later than `from`.
            to: At<Hour>,
        }
    }
}

/// An hour of the day.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hour(u8);

impl Scalar for Hour {
    const WHAT: &'static str = "an hour of the day, 0 to 24";

    fn parse(text: &str) -> Result<Self, Flaw> {
        text.parse().ok().filter(|hour| *hour <= 24).map(Self).ok_or_else(Flaw::default)
    }

    fn schema() -> Schema {
        json_schema!({"anyOf": [{"type": "integer", "minimum": 0, "maximum": 24}, {"type": "string", "pattern": "^\\$\\{"}]})
    }
}

impl Scalar for Language {
    const WHAT: &'static str = "a language that is told apart";

    fn parse(text: &str) -> Result<Self, Flaw> {
        let words = Self::ALL.map(Self::word);
        Self::ALL.into_iter().find(|language| language.word() == text).ok_or_else(|| {
            let meant = nearest(text, words.iter().copied()).map(|meant| format!("did you mean `{meant}`?"));
            Flaw::default().mend(meant.unwrap_or_else(|| format!("write one of {}", words.join(", "))))
        })
    }

    fn schema() -> Schema {
        json_schema!({"enum": Self::ALL.map(Self::word)})
    }
}

/// The rules of a route.
pub(super) fn check(raw: &[RuleFile], arms: &Arms, has_keys: bool, at: &Place, notes: &mut Notes) -> Option<RulesSpec> {
    let (mut rules, mut otherwise, mut is_whole) = (Vec::<RuleOfRoute>::new(), None, true);
    for (index, rule) in raw.iter().enumerate() {
        let to = rule.to.as_ref().and_then(|to| goal(to, arms, notes));
        is_whole &= to.is_some();
        let to = to.unwrap_or_default();
        if !rule.here().has("when") {
            if let Some(next) = raw.get(index + 1) {
                notes
                    .fault(
                        next.at(),
                        "this rule can never apply: the one before it has no `when`, so it takes every call",
                    )
                    .remedy("put it before that one, or leave it out");
                return None;
            }
            otherwise = Some(to);
            continue;
        }
        let Some(when) = rule.when.as_ref().and_then(|when| Ground { at: rule.at(), has_keys }.condition(when, notes))
        else {
            is_whole = false;
            continue;
        };
        if let Some(taken) = rules.iter().position(|earlier| when.implies(&earlier.when)) {
            let says = format!("this rule can never apply: rule {} takes the calls that it is for", taken + 1);
            notes.fault(rule.at(), says).remedy("put it before that one, or leave it out");
        }
        rules.push(RuleOfRoute { when, to });
    }
    if raw.last().is_none_or(|last| last.here().has("when")) {
        notes
            .fault(raw.last().map_or(at, Placed::at), "a call that no rule is for goes nowhere")
            .remedy("end with a rule without `when`: `- {to: {variant: NAME}}`");
    }
    otherwise.filter(|_| is_whole).map(|otherwise| RulesSpec { rules, otherwise })
}

fn goal(raw: &GoalFile, arms: &Arms, notes: &mut Notes) -> Option<Vec<f64>> {
    let mut shares = vec![0.0; arms.names.len()];
    match raw {
        GoalFile::Variant(name) => {
            let index = arms.find(name.value.as_str(), &name.shown(), &name.at, notes)?;
            shares[index] = 1.0;
            Some(shares)
        }
        GoalFile::Weighted(weights) => {
            let mut is_whole = !weights.0.is_empty();
            for item in &weights.0 {
                let index = arms.find(&item.name, &format!("`{}`", item.name), &item.at, notes);
                is_whole &= index.is_some() && item.value.is_some();
                if let (Some(index), Some(share)) = (index, &item.value) {
                    shares[index] = share.value.0;
                }
            }
            let at = &weights.0.first()?.at;
            if is_whole { whole(&shares, at, notes) } else { None }
        }
    }
}

/// The rule that conditions are of.
struct Ground<'a> {
    at: &'a Place,
    has_keys: bool,
}

impl Ground<'_> {
    /// A list in it that has to have something in it.
    fn filled<'a, T>(&self, list: &'a [T], notes: &mut Notes) -> Option<&'a [T]> {
        if list.is_empty() {
            notes
                .fault(self.at, "a condition of this rule is an empty list, and can never apply")
                .remedy("write something into it, or leave it out");
            return None;
        }
        Some(list)
    }

    fn need_keys(&self, notes: &mut Notes) {
        if !self.has_keys {
            notes
                .fault(self.at, "this can never apply: callers have no keys")
                .remedy("add `keys: {file: keys.yaml}`, or leave it out");
        }
    }

    fn condition(&self, raw: &WhenFile, notes: &mut Notes) -> Option<When> {
        match raw {
            WhenFile::Header(headers) => self.named(headers, notes, |item, with, notes| {
                let name = HeaderName::parse(&item.name).ok();
                if name.is_none() {
                    notes
                        .fault(&item.at, format!("`{}` is not {}", shortened(&item.name), HeaderName::WHAT))
                        .remedy("use letters, digits and `-`");
                }
                Some(When::Header(name?.as_str().to_owned(), with))
            }),
            WhenFile::KeyTag(tags) => {
                self.need_keys(notes);
                self.named(tags, notes, |item, with, _| Some(When::KeyTag(item.name.clone(), with)))
            }
            WhenFile::Tenant(raw) => {
                self.need_keys(notes);
                self.matched(raw, notes, When::Tenant)
            }
            WhenFile::Principal(raw) => self.matched(raw, notes, When::Principal),
            WhenFile::User(raw) => self.matched(raw, notes, When::User),
            WhenFile::PromptLongerThan(bytes) => Some(When::LongerThan(bytes.value.0)),
            WhenFile::PromptShorterThan(bytes) => Some(When::ShorterThan(bytes.value.0)),
            WhenFile::Language(all) => {
                self.filled(all, notes).map(|all| When::Language(all.iter().map(|one| one.value).collect()))
            }
            WhenFile::Hour(raw) => hours(raw, notes),
            WhenFile::Stream(is) => Some(When::Stream(is.value)),
            WhenFile::Tools(has) => Some(When::Tools(has.value)),
            WhenFile::All(all) => self.several(all, notes).map(When::All),
            WhenFile::Any(any) => self.several(any, notes).map(When::Any),
            WhenFile::Not(not) => self.condition(not, notes).map(|when| When::Not(Box::new(when))),
        }
    }

    /// Some conditions, each of which is good.
    fn several(&self, raw: &[WhenFile], notes: &mut Notes) -> Option<Vec<When>> {
        let each: Vec<Option<When>> = self.filled(raw, notes)?.iter().map(|one| self.condition(one, notes)).collect();
        each.into_iter().collect()
    }

    /// Conditions on what has a name, all of which must hold.
    fn named(
        &self,
        raw: &Map<MatchFile>,
        notes: &mut Notes,
        mut on: impl FnMut(&Item<MatchFile>, Match, &mut Notes) -> Option<When>,
    ) -> Option<When> {
        let mut all = Vec::new();
        for item in self.filled(&raw.0, notes)? {
            let value = item.value.as_ref()?;
            let with = self.fitting(value, notes)?;
            all.push(turned(value, on(item, with, notes)?));
        }
        if all.len() == 1 { all.pop() } else { Some(When::All(all)) }
    }

    fn matched(&self, raw: &MatchFile, notes: &mut Notes, on: impl FnOnce(Match) -> When) -> Option<When> {
        self.fitting(raw, notes).map(|with| turned(raw, on(with)))
    }

    fn fitting(&self, raw: &MatchFile, notes: &mut Notes) -> Option<Match> {
        Some(match raw {
            MatchFile::Present | MatchFile::Absent => Match::Present,
            MatchFile::Is(text) => Match::OneOf(vec![text.value.0.clone()]),
            MatchFile::OneOf(texts) => {
                Match::OneOf(self.filled(texts, notes)?.iter().map(|text| text.value.0.clone()).collect())
            }
            MatchFile::Prefix(text) => Match::Prefix(text.value.0.clone()),
        })
    }
}

/// A condition on what must be there, or the opposite.
fn turned(raw: &MatchFile, when: When) -> When {
    if matches!(raw, MatchFile::Absent) { When::Not(Box::new(when)) } else { when }
}

fn hours(raw: &HourFile, notes: &mut Notes) -> Option<When> {
    let (from, to) = (raw.from.as_ref()?.value.0, raw.to.as_ref()?.value.0);
    if from % 24 == to % 24 {
        notes
            .fault(raw.at(), "these are all hours, or none")
            .remedy("write different hours, such as `{from: 22, to: 6}`, or leave it out");
        return None;
    }
    Some(When::Hour(from, to))
}
