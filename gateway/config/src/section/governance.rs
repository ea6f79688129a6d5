//! `store.governance`: what a version of a model must have before a governed alias may stand for it.

use super::Desk;
use super::store::Retention;
use crate::place::Place;
use crate::scalar::{At, Count, Span, Text};
use crate::shape::{Item, Map, choice, record};
use std::collections::BTreeMap;
use std::time::Duration;
use tidegate_core::spec::{ContentPolicy, Durability, EventsSpec, GateSpec, GovernanceSpec, Requirement, RiskTier};

record! {
    /// What stands before aliases.
    GovernanceFile {
        optional {
            /// The governed aliases, of whatever model, and what each asks for.
            aliases: Map<GateFile>,
            /// Whether each answer leaves a record that says a year later how it came about; `kept` by default where an
            /// alias is governed.
            decisions: DecisionsFile,
            /// How long the particulars in the audit log are kept; `forever` by default. The log stays whole without them.
            retention: Retention,
        }
    }
}

record! {
    /// What a governed alias asks for.
    GateFile {
        required {
            /// Of every version.
            requires: Vec<RequirementFile>,
        }
        optional {
            /// In addition of models of a risk tier: `minimal`, `limited`, `high`. A model without a tier then passes
            /// nowhere, and one that is `unacceptable` never does.
            risk: Map<Vec<RequirementFile>>,
        }
    }
}

choice! {
    /// One thing that a version must have.
    RequirementFile {
        words {
            /// A model card.
            Card = "card",
            /// A baseline.
            Baseline = "baseline",
        }
        maps {
            /// A newest evaluation that passed.
            Evaluation(EvaluationFile) = "evaluation",
            /// The approval of so many principals, none of them the version's owner.
            Approvals(At<Count>) = "approvals",
        }
    }
}

record! {
    /// A newest evaluation that passed.
    EvaluationFile {
        required {
            /// By this monitor.
            monitor: At<Text>,
        }
        optional {
            /// How old it may be; any age by default.
            max_age: At<Span>,
        }
    }
}

choice! {
    /// Whether each answer leaves a record of how it came about.
    DecisionsFile {
        words {
            /// Yes: `events` must then be `durability: ack` with a `content` other than `none`.
            Kept = "kept",
            /// As `events` says.
            Optional = "optional",
        }
    }
}

/// The rules, and whether decisions are to be kept.
pub(crate) fn check(raw: Option<GovernanceFile>, desk: &mut Desk<'_>) -> GovernanceSpec {
    let Some(raw) = raw else { return GovernanceSpec::default() };
    let mut aliases = BTreeMap::new();
    for Item { name, at, value } in raw.aliases.unwrap_or_default().0 {
        if !name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-')) || name == "latest" {
            desk.notes
                .fault(&at, format!("`{name}` is no alias that could be governed"))
                .remedy("an alias has letters, digits, `_` and `-`; `latest` is always the newest version");
        }
        let Some(gate) = value else { continue };
        aliases.insert(name, check_gate(gate, desk));
    }
    let keeps_decisions = match raw.decisions {
        None => !aliases.is_empty(),
        Some(DecisionsFile::Kept) => true,
        Some(DecisionsFile::Optional) => false,
    };
    GovernanceSpec { aliases, keeps_decisions, retention: raw.retention.and_then(|Retention(retention)| retention) }
}

/// The least that records of governed answers are kept.
const YEAR: Duration = Duration::from_secs(365 * 86400);

/// Whether the records that are kept say how an answer came about, and are there whenever it is.
pub(super) fn check_decisions(at: &Place, events: &EventsSpec, desk: &mut Desk<'_>) {
    let mut lacks = Vec::new();
    if events.folder.is_none() {
        lacks.push("`to` is `none`");
    }
    if events.durability != Durability::Ack {
        lacks.push("`durability` is `queue`");
    }
    if events.content == ContentPolicy::None {
        lacks.push("`content` is `none`");
    }
    if events.retention.is_some_and(|kept| kept < YEAR) {
        lacks.push("`retention` is less than a year");
    }
    if !lacks.is_empty() {
        desk.notes
            .fault(
                at,
                format!("answers leave no record that says how they came about: of `events`, {}", lacks.join(", ")),
            )
            .remedy("write `events: {durability: ack, content: hash}` (kept forever unless `retention` says otherwise), or `decisions: optional` here");
    }
}

fn check_gate(gate: GateFile, desk: &mut Desk<'_>) -> GateSpec {
    let requires = gate.requires.into_iter().flatten().filter_map(|it| requirement(it, desk)).collect();
    let mut risk = BTreeMap::new();
    for Item { name, at, value } in gate.risk.unwrap_or_default().0 {
        match RiskTier::ALL.into_iter().find(|tier| tier.as_str() == name) {
            Some(tier) if tier != RiskTier::Unacceptable => {
                let more = value.into_iter().flatten().filter_map(|it| requirement(it, desk)).collect();
                risk.insert(tier, more);
            }
            Some(_) => {
                desk.notes
                    .fault(&at, "no alias may stand for a model of the tier `unacceptable`, whatever it has")
                    .remedy("leave this out");
            }
            None => {
                desk.notes
                    .fault(&at, format!("`{name}` is no risk tier"))
                    .remedy("the tiers are minimal, limited and high");
            }
        }
    }
    GateSpec { requires, risk }
}

fn requirement(raw: RequirementFile, desk: &mut Desk<'_>) -> Option<Requirement> {
    Some(match raw {
        RequirementFile::Card => Requirement::Card,
        RequirementFile::Baseline => Requirement::Baseline,
        RequirementFile::Approvals(count) => Requirement::Approvals(count.value.0),
        RequirementFile::Evaluation(evaluation) => {
            let monitor = evaluation.monitor?;
            let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
            if monitor.value.0.len() > 128 || !monitor.value.0.bytes().all(fits) {
                desk.notes
                    .fault(&monitor.at, "this is no name of a monitor")
                    .remedy("it has at most 128 letters, digits, `_`, `-` and `.`");
            }
            let max_age: Option<Duration> = evaluation.max_age.map(|span| span.value.0);
            Requirement::Evaluation { monitor: monitor.value.0, max_age }
        }
    })
}
