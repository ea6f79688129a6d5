//! The gate before a governed alias: what a version has against what it must have. Pure; owns the decision and its
//! words.

use crate::evaluation::RecordedEvaluation;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;
use tidegate_core::spec::{GateSpec, Requirement, RiskTier};

/// What is known of a version that an alias shall stand for.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// Who made it.
    pub owner: String,
    /// The tier of its model, where somebody said.
    pub risk: Option<RiskTier>,
    /// Whether it has a card.
    pub has_card: bool,
    /// Whether it has a baseline.
    pub has_baseline: bool,
    /// The newest evaluation by each monitor.
    pub evaluations: BTreeMap<String, RecordedEvaluation>,
    /// Who approved of it for this alias.
    pub approvers: Vec<String>,
    /// Whether the alias stood for it before: the way back is not closed by the age of an evaluation.
    pub was_in_force: bool,
}

/// One thing that a version lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// No card.
    Card,
    /// No baseline.
    Baseline,
    /// No evaluation by this monitor.
    Evaluation(String),
    /// The newest evaluation by this monitor did not pass.
    Failed(String),
    /// The newest evaluation by this monitor is too old.
    Old {
        /// The monitor.
        monitor: String,
        /// Its age, in seconds.
        age: u64,
        /// The greatest age that passes, in seconds.
        most: u64,
    },
    /// Too few approvals.
    Approvals {
        /// How many there are, without the owner's.
        have: usize,
        /// How many there must be.
        need: u32,
    },
    /// Nobody said how risky the model is, and the gate asks.
    Risk,
    /// The model's tier is prohibited.
    Prohibited,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Card => f.write_str("it has no model card"),
            Self::Baseline => f.write_str("it has no baseline"),
            Self::Evaluation(monitor) => write!(f, "it was not evaluated by `{monitor}`"),
            Self::Failed(monitor) => write!(f, "its newest evaluation by `{monitor}` did not pass"),
            Self::Old { monitor, age, most } => {
                write!(f, "its newest evaluation by `{monitor}` is {age} s old, and may be {most} s: evaluate it again")
            }
            Self::Approvals { have, need } => {
                write!(f, "it has {have} of {need} approvals by others than its owner")
            }
            Self::Risk => f.write_str("its model has no risk tier"),
            Self::Prohibited => f.write_str("its model's risk tier is `unacceptable`"),
        }
    }
}

/// What a version lacks at `now`, in milliseconds since 1970; nothing opens the gate.
#[must_use]
pub fn missing(gate: &GateSpec, evidence: &Evidence, now: i64) -> Vec<Missing> {
    if evidence.risk == Some(RiskTier::Unacceptable) {
        return vec![Missing::Prohibited];
    }
    let mut missing = Vec::new();
    // Unknown is not low: else a tier that nobody sets would be the way around its rules.
    if evidence.risk.is_none() && !gate.risk.is_empty() {
        missing.push(Missing::Risk);
    }
    let of_tier = evidence.risk.and_then(|tier| gate.risk.get(&tier)).into_iter().flatten();
    for requirement in gate.requires.iter().chain(of_tier) {
        let lack = lacks(requirement, evidence, now);
        missing.extend(lack.filter(|lack| !missing.contains(lack)));
    }
    missing
}

fn lacks(requirement: &Requirement, evidence: &Evidence, now: i64) -> Option<Missing> {
    match requirement {
        Requirement::Card => (!evidence.has_card).then_some(Missing::Card),
        Requirement::Baseline => (!evidence.has_baseline).then_some(Missing::Baseline),
        Requirement::Evaluation { monitor, max_age } => match evidence.evaluations.get(monitor) {
            None => Some(Missing::Evaluation(monitor.clone())),
            Some(newest) if !newest.found.passed => Some(Missing::Failed(monitor.clone())),
            Some(newest) => {
                let age = Duration::from_millis(u64::try_from(now - newest.at).unwrap_or(0));
                let most = max_age.filter(|_| !evidence.was_in_force)?;
                (age > most).then(|| Missing::Old {
                    monitor: monitor.clone(),
                    age: age.as_secs(),
                    most: most.as_secs(),
                })
            }
        },
        Requirement::Approvals(need) => {
            let have = evidence.approvers.iter().filter(|approver| **approver != evidence.owner).count();
            (have < *need as usize).then_some(Missing::Approvals { have, need: *need })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::{Evaluation, MonitorName};
    use serde_json::Map;

    const DAY: i64 = 86_400_000;

    fn evaluated(passed: bool, at: i64) -> BTreeMap<String, RecordedEvaluation> {
        let found =
            Evaluation { monitor: MonitorName::new("faith").unwrap(), passed, score: None, details: Map::new() };
        BTreeMap::from([("faith".to_owned(), RecordedEvaluation { found, at, by: "ann".into() })])
    }

    fn gate() -> GateSpec {
        let week = Some(Duration::from_secs(7 * 86400));
        GateSpec {
            requires: vec![
                Requirement::Card,
                Requirement::Baseline,
                Requirement::Evaluation { monitor: "faith".into(), max_age: week },
                Requirement::Approvals(1),
            ],
            risk: BTreeMap::from([(RiskTier::High, vec![Requirement::Approvals(2)])]),
        }
    }

    fn whole() -> Evidence {
        Evidence {
            owner: "ann".into(),
            risk: Some(RiskTier::Minimal),
            has_card: true,
            has_baseline: true,
            evaluations: evaluated(true, 10 * DAY),
            approvers: vec!["bob".into()],
            was_in_force: false,
        }
    }

    #[test]
    fn the_gate_opens_for_what_has_all_of_it() {
        assert_eq!(missing(&gate(), &whole(), 17 * DAY), []);
        assert_eq!(missing(&GateSpec::default(), &Evidence::default(), 0), []);
    }

    #[test]
    fn everything_that_is_missing_is_named() {
        let nothing = Evidence { risk: Some(RiskTier::Minimal), ..Evidence::default() };
        assert_eq!(
            missing(&gate(), &nothing, 0),
            [
                Missing::Card,
                Missing::Baseline,
                Missing::Evaluation("faith".into()),
                Missing::Approvals { have: 0, need: 1 }
            ]
        );
    }

    #[test]
    fn an_evaluation_must_have_passed_lately_unless_the_alias_stood_there_before() {
        let late = 17 * DAY + 1000;
        let old = Missing::Old { monitor: "faith".into(), age: 7 * 86400 + 1, most: 7 * 86400 };
        assert_eq!(missing(&gate(), &whole(), late), [old]);
        assert_eq!(missing(&gate(), &Evidence { was_in_force: true, ..whole() }, late), []);
        for was_in_force in [false, true] {
            let failed = Evidence { evaluations: evaluated(false, 10 * DAY), was_in_force, ..whole() };
            assert_eq!(missing(&gate(), &failed, 11 * DAY), [Missing::Failed("faith".into())]);
        }
    }

    #[test]
    fn the_owner_does_not_approve_and_a_higher_tier_asks_more() {
        let own = Evidence { approvers: vec!["ann".into()], ..whole() };
        assert_eq!(missing(&gate(), &own, 11 * DAY), [Missing::Approvals { have: 0, need: 1 }]);
        let high = Evidence { risk: Some(RiskTier::High), ..whole() };
        assert_eq!(missing(&gate(), &high, 11 * DAY), [Missing::Approvals { have: 1, need: 2 }]);
        let two = Evidence { approvers: vec!["bob".into(), "eve".into()], ..high };
        assert_eq!(missing(&gate(), &two, 11 * DAY), []);
    }

    #[test]
    fn an_unknown_tier_is_no_low_one_and_the_highest_passes_nowhere() {
        assert_eq!(missing(&gate(), &Evidence { risk: None, ..whole() }, 11 * DAY), [Missing::Risk]);
        let prohibited = Evidence { risk: Some(RiskTier::Unacceptable), ..whole() };
        assert_eq!(missing(&GateSpec::default(), &prohibited, 0), [Missing::Prohibited]);
    }
}
