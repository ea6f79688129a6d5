//! A route that learns: its learner, and the cell that its calls draw from. Owns what of it is kept and goes on after a
//! restart or a change of the configuration; when a state is published is the thread's concern.

use super::told::Arms;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;
use tidegate_core::spec::RewardKind;
use tidegate_core::spec::route::{LearnedSpec, RuleSpec};
use tidegate_core::{RouteName, VariantName};
use tidegate_route::StateCell;
use tidegate_route::learn::{Heard, Learner, Mixing, MixingFault, Rule, Tally, Told, Values};
use tidegate_route::share::SharesFault;
use tidegate_storage::learning::{HeardEntry, Learnt, StateEntry};

/// A route that learns.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) learned: LearnedSpec,
    pub(super) variants: Vec<VariantName>,
    pub(super) learner: Learner,
    pub(super) cell: StateCell,
    /// Rewards that the published state lacks, and since when.
    pub(super) lacks: u32,
    pub(super) since: Option<Instant>,
}

/// What is known of a route's arms before its learner is there.
#[derive(Debug, Default)]
pub(super) struct Restored {
    tallies: HashMap<VariantName, Tally>,
    folded: u64,
    heard: BTreeMap<String, u64>,
    heard_tallies: HashMap<VariantName, Tally>,
    /// Rewards after that state.
    pub(super) later: Vec<(VariantName, f64)>,
}

impl Restored {
    /// What a state knew.
    pub(super) fn at(state: StateEntry) -> Self {
        let HeardEntry { folded, tallies } =
            state.heard.unwrap_or(HeardEntry { folded: BTreeMap::new(), tallies: Vec::new() });
        let of = |tallies: Vec<[f64; 3]>| state.variants.iter().cloned().zip(tallies.into_iter().map(tally)).collect();
        Self {
            tallies: of(state.tallies),
            folded: state.folded,
            heard: folded,
            heard_tallies: of(tallies),
            later: Vec::new(),
        }
    }
}

impl Seat {
    /// A seat that goes on from what is known.
    ///
    /// # Errors
    /// The least shares of all arms are more than all calls, or there is no arm.
    pub(super) fn open(learned: &LearnedSpec, variants: Vec<VariantName>, known: Restored) -> anyhow::Result<Self> {
        let of = |tallies: &HashMap<VariantName, Tally>| -> Vec<Tally> {
            variants.iter().map(|name| tallies.get(name).copied().unwrap_or_default()).collect()
        };
        let heard = match known.heard.is_empty() {
            true => Heard::default(),
            false => Heard { folded: known.heard, tallies: of(&known.heard_tallies) },
        };
        let mut learner = learner(learned, of(&known.tallies))?.going_on(known.folded, heard);
        for (variant, value) in known.later {
            if let Some(arm) = variants.iter().position(|name| *name == variant) {
                learner.fold(arm, learned.reward.oriented(value));
            }
        }
        let cell = StateCell::new(learner.state()?);
        Ok(Self { learned: learned.clone(), variants, learner, cell, lacks: 0, since: None })
    }

    /// What is known of its arms.
    pub(super) fn known(&self) -> Restored {
        let of = |tallies: &[Tally]| self.variants.iter().cloned().zip(tallies.iter().copied()).collect();
        let heard = self.learner.heard();
        Restored {
            tallies: of(self.learner.tallies()),
            folded: self.learner.folded(),
            heard: heard.folded.clone(),
            heard_tallies: of(&heard.tallies),
            later: Vec::new(),
        }
    }

    /// Knows what others tell; how many rewards of theirs are new.
    pub(super) fn hear(&mut self, told: &BTreeMap<String, Arms>) -> u64 {
        let told = told.iter().map(|(name, arms)| (name.clone(), self.told_of(arms))).collect();
        let heard = self.learner.pooled(&told);
        let new = heard.since(self.learner.heard());
        self.learner.hear(heard);
        new
    }

    fn told_of(&self, arms: &Arms) -> Told {
        let of = |name: &VariantName| arms.tallies.get(name.as_str()).copied().map(tally).unwrap_or_default();
        Told { folded: arms.folded, seen: arms.seen, tallies: self.variants.iter().map(of).collect() }
    }

    /// What it has to tell others.
    pub(super) fn told(&self) -> Arms {
        let Told { folded, seen, tallies } = self.learner.told();
        let names = self.variants.iter().map(|name| name.as_str().to_owned());
        Arms { folded, seen, tallies: names.zip(tallies.iter().map(numbers)).collect() }
    }

    /// Puts what it knows into force.
    ///
    /// # Errors
    /// There is no arm.
    pub(super) fn publish(&mut self) -> Result<(), SharesFault> {
        (self.lacks, self.since) = (0, None);
        self.cell.publish(self.learner.state()?);
        Ok(())
    }

    /// What is written down of the state in force.
    pub(super) fn entry(&self, route: &RouteName, at: u64) -> Learnt {
        let state = self.cell.state();
        let heard = self.learner.heard();
        Learnt::State(StateEntry {
            at,
            route: route.clone(),
            id: state.id().unwrap_or_else(|| tidegate_core::StateId::of(b"")),
            reward: self.learned.reward.name().into(),
            variants: self.variants.clone(),
            shares: Arc::clone(state.shares()),
            tallies: self.learner.tallies().iter().map(numbers).collect(),
            folded: self.learner.folded(),
            heard: (!heard.folded.is_empty()).then(|| HeardEntry {
                folded: heard.folded.clone(),
                tallies: heard.tallies.iter().map(numbers).collect(),
            }),
        })
    }
}

const fn tally([n, sum, squares]: [f64; 3]) -> Tally {
    Tally { n, sum, squares }
}

const fn numbers(tally: &Tally) -> [f64; 3] {
    [tally.n, tally.sum, tally.squares]
}

/// A learner that knows nothing yet of so many arms.
///
/// # Errors
/// The least shares of all arms are more than all calls.
pub(crate) fn learner_of(learned: &LearnedSpec, arms: usize) -> Result<Learner, MixingFault> {
    learner(learned, vec![Tally::default(); arms])
}

/// A learner that knows this of its arms.
///
/// # Errors
/// The least shares of all arms are more than all calls.
pub(crate) fn learner(learned: &LearnedSpec, tallies: Vec<Tally>) -> Result<Learner, MixingFault> {
    let mixing = Mixing::new(learned.explore, learned.min_share, tallies.len())?;
    Ok(Learner::new(rule(learned), mixing, learned.half_life.map(f64::from), tallies))
}

fn rule(learned: &LearnedSpec) -> Rule {
    let values = match learned.reward.kind() {
        RewardKind::Boolean => Values::Booleans,
        RewardKind::Float(_) => Values::Numbers,
    };
    match learned.rule {
        RuleSpec::EpsilonGreedy { epsilon, decay } => Rule::EpsilonGreedy { epsilon, decay: decay.map(f64::from) },
        // The configuration's check saw to it that there is a range.
        RuleSpec::Ucb1 => Rule::Ucb1 { range: learned.reward.range().unwrap_or((0.0, 1.0)) },
        RuleSpec::Thompson => Rule::Thompson(values),
        RuleSpec::TrackAndStop { delta } => Rule::TrackAndStop { delta },
    }
}
