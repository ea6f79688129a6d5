//! What a version must have before an alias may stand for it.

use std::collections::BTreeMap;
use std::time::Duration;

/// The rules of governance; none by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GovernanceSpec {
    /// The governed aliases, of whatever model.
    pub aliases: BTreeMap<String, GateSpec>,
    /// Whether each answer must leave a record of how it came about.
    pub keeps_decisions: bool,
    /// How long the particulars in the audit log are kept; for ever where not given.
    pub retention: Option<Duration>,
}

/// What stands before a governed alias.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GateSpec {
    /// Of every version.
    pub requires: Vec<Requirement>,
    /// Of versions of a model of this tier, in addition.
    pub risk: BTreeMap<RiskTier, Vec<Requirement>>,
}

/// One thing that a version must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requirement {
    /// A model card.
    Card,
    /// A baseline: the profile of the data that it was trained on.
    Baseline,
    /// A newest evaluation by this monitor that passed.
    Evaluation {
        /// The monitor.
        monitor: String,
        /// How old it may be; any age where not given.
        max_age: Option<Duration>,
    },
    /// The approval of so many principals, none of them the version's owner.
    Approvals(u32),
}

/// The tiers of the EU's AI Act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RiskTier {
    /// No duties.
    Minimal,
    /// Duties of transparency.
    Limited,
    /// Duties of care, records and human oversight.
    High,
    /// Prohibited: no governed alias may stand for such a model.
    Unacceptable,
}

impl RiskTier {
    /// Every tier, the lowest first.
    pub const ALL: [Self; 4] = [Self::Minimal, Self::Limited, Self::High, Self::Unacceptable];

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Minimal => "minimal",
            Self::Limited => "limited",
            Self::High => "high",
            Self::Unacceptable => "unacceptable",
        }
    }
}
