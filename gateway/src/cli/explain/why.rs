//! Why an arm had its share, in words. Owns a sentence for each kind of policy.

use super::{Kept, Known};
use serde_json::Value;
use std::fmt::Write as _;
use tidegate_core::VariantName;
use tidegate_core::spec::feature::FeatureSpec;
use tidegate_core::spec::{LearnedSpec, RuleSpec};
use tidegate_storage::learning::StateEntry;

/// A share for people.
pub(super) fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

impl Known {
    /// Why the arm that was drawn had the share that it had.
    pub(super) fn why(&self) -> String {
        let Some((kind, settings)) = self.kept.as_ref().and_then(|kept| kept.policy()) else {
            return "and why is not known: its configuration is not kept beside the records".to_owned();
        };
        let name = |of: &str| settings[of].as_str().unwrap_or("?").to_owned();
        match (kind, self.kept.as_ref().and_then(Kept::learned), &self.state) {
            ("weighted", ..) => "because the configuration gives it so much".to_owned(),
            ("canary" | "blue_green", ..) => format!(
                "because the rollout from `{}` to `{}` had come to where it gives it so much",
                name("from"),
                name("to")
            ),
            ("cascade", ..) => self.why_cascaded(settings),
            ("rules", ..) => self.why_ruled(settings),
            ("router", ..) => self.why_advised(settings),
            ("latency" | "least_busy" | "cost", ..) => format!("because {}", self.why_steered(kind, settings)),
            (_, Some(learned), Some(state)) => format!("because {}", self.why_learnt(&learned, state)),
            (_, Some(_), None) => "by what had been learnt, but its state is in no log that is kept".to_owned(),
            (kind, None, _) => format!("by `{kind}`, which this version of the program does not know"),
        }
    }

    /// Of a cascade: where it begins.
    fn why_cascaded(&self, settings: &Value) -> String {
        let first = settings["order"][0].as_str().unwrap_or("?");
        let explore = settings["explore"].as_f64().unwrap_or_default();
        if self.name(self.decision.arm) != first {
            return format!("because {} of the calls begin at any variant of the cascade", percent(explore));
        }
        let spread =
            if explore > 0.0 { format!(", but for {} that begin anywhere", percent(explore)) } else { String::new() };
        format!("because the cascade begins with it{spread}")
    }

    /// Of rules: those whose shares the call had.
    fn why_ruled(&self, rules: &Value) -> String {
        let rules = rules.as_array().map_or(&[][..], Vec::as_slice);
        let shares = &self.decision.shares;
        let is_it = |rule: &Value| {
            let share = |name: &VariantName| rule["to"]["weighted"][name.as_str()].as_f64();
            self.arms.iter().zip(shares.iter()).all(|(name, own)| name.as_ref().and_then(share) == Some(*own))
        };
        let all: Vec<String> =
            (1..).zip(rules).filter(|(_, rule)| is_it(rule)).map(|(nth, _)| nth.to_string()).collect();
        match all.as_slice() {
            [] => "by rules that are not those that are kept".to_owned(),
            [only] if *only == rules.len().to_string() => {
                "because none of the rules before the last was for it".to_owned()
            }
            [only] => format!("because rule {only} was the first that it fitted"),
            several => format!("because the first rule that it fitted was one of {}", several.join(", ")),
        }
    }

    /// Of a policy that asked a plugin: what that said, or that it failed.
    fn why_advised(&self, settings: &Value) -> String {
        let Some(advised) = &self.decision.advised else {
            return "by a plugin, of which the record does not tell what it said".to_owned();
        };
        let plugin = &advised.plugin;
        if let Some(kind) = &advised.failed {
            return format!(
                "because the plugin `{plugin}` failed ({kind}), and the configuration gives it so much then"
            );
        }
        let mut why = format!("because the plugin `{plugin}` said so");
        if let Some(reason) = &advised.reason {
            write!(why, " ({})", crate::terminal::harmless(reason)).unwrap_or_default();
        }
        if let Some(explore) = settings["explore"].as_f64().filter(|explore| *explore > 0.0) {
            write!(why, "; {} are spread evenly", percent(explore)).unwrap_or_default();
        }
        why
    }

    /// Of a policy that looked at its arms: what its vector tells of how they stood.
    fn why_steered(&self, kind: &str, settings: &Value) -> String {
        let shares = &self.decision.shares;
        let own = shares.get(self.decision.arm).copied().unwrap_or_default();
        let ahead = shares.iter().filter(|share| **share > own + 1e-12).count();
        let equal = shares.iter().filter(|share| (**share - own).abs() <= 1e-12).count();
        let together = if equal > 1 { format!(", together with {} of the others", equal - 1) } else { String::new() };
        let mut why = match (kind, ahead) {
            ("latency", _) => format!(
                "of two variants drawn at random the one that answers sooner, by the time to the first byte and the calls \
                 under way, gets a call, and it was number {} of {}{together}",
                ahead + 1,
                shares.len()
            ),
            ("least_busy", 0) => format!("it had the fewest calls under way for its weight{together}"),
            ("least_busy", _) => {
                "another one had fewer calls under way, and it has its part of what is spread".to_owned()
            }
            (_, 0) => format!("it was the cheapest for this call of those that could be asked{together}"),
            _ => "another one was cheaper for this call, and it has its part of what is spread".to_owned(),
        };
        if let Some(explore) = settings["explore"].as_f64().filter(|explore| *explore > 0.0) {
            write!(why, "; {} are spread evenly", percent(explore)).unwrap_or_default();
        }
        why
    }

    fn why_learnt(&self, learned: &LearnedSpec, state: &StateEntry) -> String {
        let decision = &self.decision;
        let most = decision.shares.iter().copied().fold(0.0, f64::max);
        let is_most = decision.shares.get(decision.arm).is_some_and(|share| *share >= most);
        let known = crate::replay::known(state);
        let rewards = |arm: usize| known.get(arm).map_or(0.0, |tally| tally.n);
        let reward = learned.reward.name();
        let mut why = match learned.rule {
            _ if (0..known.len()).all(|arm| rewards(arm) <= 0.0) => "nothing had been learnt yet".to_owned(),
            RuleSpec::Thompson => {
                format!("by what was learnt of `{reward}` that is about how probable it is that it is the best one")
            }
            RuleSpec::EpsilonGreedy { .. } | RuleSpec::Ucb1 if is_most && rewards(decision.arm) <= 0.0 => {
                "it had no reward yet, and what is not known is tried".to_owned()
            }
            RuleSpec::EpsilonGreedy { .. } if is_most => format!("its mean of `{reward}` was the largest"),
            RuleSpec::Ucb1 if is_most => {
                format!("its mean of `{reward}`, with the room that few rewards leave, was the largest")
            }
            RuleSpec::EpsilonGreedy { .. } | RuleSpec::Ucb1 => {
                "another one was ahead, and it has its part of what is spread".to_owned()
            }
            RuleSpec::TrackAndStop { delta } => self.why_tracked(learned, state, delta),
            RuleSpec::LinUcb { .. } if is_most => format!(
                "for calls like this one its expected `{reward}`, with the room that few such calls leave, was the largest{}",
                self.what_spoke(learned, state)
            ),
            RuleSpec::LinUcb { .. } => format!(
                "another one was ahead for calls like this one, and it has its part of what is spread{}",
                self.what_spoke(learned, state)
            ),
            RuleSpec::LinearThompson => format!(
                "by what was learnt of `{reward}` that is about how probable it is that it is the best one for calls like \
                 this one{}",
                self.what_spoke(learned, state)
            ),
        };
        let mut add = |text: String| write!(why, "; {text}").unwrap_or_default();
        match learned.rule {
            RuleSpec::EpsilonGreedy { epsilon, decay: None } => add(format!("{} are spread evenly", percent(epsilon))),
            RuleSpec::EpsilonGreedy { epsilon, .. } => {
                add(format!("{} are spread evenly at first, and less with each reward", percent(epsilon)));
            }
            _ if learned.explore > 0.0 => add(format!("{} are spread evenly", percent(learned.explore))),
            _ => {}
        }
        if learned.min_share > 0.0 {
            add(format!("none has less than {}", percent(learned.min_share)));
        }
        why
    }

    /// Which features of the call weighed most between the arm and the best other one.
    fn what_spoke(&self, learned: &LearnedSpec, state: &StateEntry) -> String {
        self.spoken(learned, state).unwrap_or_default()
    }

    fn spoken(&self, learned: &LearnedSpec, state: &StateEntry) -> Option<String> {
        let regarded = self.decision.regarded.as_ref()?;
        let expected = crate::replay::learner_at(learned, state)?.expects(&regarded.features)?;
        let own = expected.get(self.decision.arm)?;
        let total = |arm: &Vec<f64>| arm.iter().sum::<f64>();
        let others = expected.iter().enumerate().filter(|(arm, _)| *arm != self.decision.arm);
        let (other, rival) = others.max_by(|(_, a), (_, b)| total(a).total_cmp(&total(b)))?;
        let names: Vec<String> = learned.features.iter().flat_map(FeatureSpec::names).collect();
        let apart = own.iter().zip(rival).skip(1).map(|(own, rival)| own - rival);
        let mut weighed: Vec<(&String, f64)> = names.iter().zip(apart).filter(|(_, by)| by.abs() > 1e-9).collect();
        weighed.sort_by(|(_, a), (_, b)| b.abs().total_cmp(&a.abs()));
        let said: Vec<String> = weighed.iter().take(2).map(|(name, by)| format!("{name} ({by:+.3})")).collect();
        // Rewards of which less is better were turned round, so that what is above 0 always speaks for it.
        (!said.is_empty()).then(|| format!("; beside `{}`, most was said by {}", self.name(other), said.join(" and ")))
    }

    fn why_tracked(&self, learned: &LearnedSpec, state: &StateEntry, delta: f64) -> String {
        let found = crate::replay::learner_at(learned, state).and_then(|learner| learner.found());
        match found {
            Some(best) => format!(
                "`{}` was known to be the best one, with a chance of at most {} that it is not",
                self.name(best),
                percent(delta)
            ),
            None => "so much of it finds out soonest which is the best one".to_owned(),
        }
    }
}
