//! A route that learns: its learner, and the cell that its calls draw from. Owns what of it is kept and goes on after a
//! restart or a change of the configuration; when a state is published is the thread's concern.

use super::told::Arms;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;
use tidegate_core::event::Regarded;
use tidegate_core::spec::RewardKind;
use tidegate_core::spec::feature::FeatureSpec;
use tidegate_core::spec::route::{LearnedSpec, RuleSpec};
use tidegate_core::{InferenceId, RouteName, StateId, VariantName};
use tidegate_route::StateCell;
use tidegate_route::learn::{
    CostShare, Heard, LearnFault, Learner, LinearRule, LinearTally, Mixing, Rule, Sums, Tally, Told, Values,
};
use tidegate_storage::learning::calls::{CallReward, Calls};
use tidegate_storage::learning::{HeardEntry, Learnt, RewardEntry, StateEntry, SumsEntry};

/// Room for so many waiting rewards is kept.
const WAITING_KEPT: usize = 4096;

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
    /// Rewards that calls said of themselves, not yet written down.
    waiting: Vec<CallReward>,
}

/// What is known of a route's arms before its learner is there.
#[derive(Debug, Default)]
pub(super) struct Restored {
    tallies: HashMap<VariantName, Sums>,
    /// Names the declaration of the features that these are of.
    features: Option<StateId>,
    folded: u64,
    heard: BTreeMap<String, u64>,
    heard_tallies: HashMap<VariantName, Sums>,
    /// Rewards after that state.
    pub(super) later: Vec<Later>,
}

/// A reward that came after a state.
#[derive(Debug)]
pub(crate) struct Later {
    pub(crate) variant: VariantName,
    pub(crate) value: f64,
    pub(crate) regarded: Option<Regarded>,
}

impl From<RewardEntry> for Later {
    fn from(RewardEntry { variant, value, regarded, .. }: RewardEntry) -> Self {
        Self { variant, value, regarded }
    }
}

impl Restored {
    /// What a state knew.
    pub(super) fn at(state: StateEntry) -> Self {
        let HeardEntry { folded, tallies } =
            state.heard.unwrap_or(HeardEntry { folded: BTreeMap::new(), tallies: Vec::new() });
        let of = |tallies: &[SumsEntry]| state.variants.iter().cloned().zip(tallies.iter().map(sums)).collect();
        Self {
            tallies: of(&state.tallies),
            features: state.features,
            folded: state.folded,
            heard: folded,
            heard_tallies: of(&tallies),
            later: Vec::new(),
        }
    }
}

impl Seat {
    /// A seat that goes on from what is known.
    ///
    /// # Errors
    /// The least shares of all arms are more than all calls, or there is no arm.
    pub(super) fn open(learned: &LearnedSpec, variants: Vec<VariantName>, known: &Restored) -> anyhow::Result<Self> {
        let of = |tallies: &HashMap<VariantName, Sums>| -> Vec<Sums> {
            let each = variants.iter().map(|name| tallies.get(name).cloned().unwrap_or_default());
            carried(learned, known.features, each)
        };
        let heard = match known.heard.is_empty() {
            true => Heard::default(),
            false => Heard { folded: known.heard.clone(), tallies: of(&known.heard_tallies) },
        };
        let mut learner = learner(learned, of(&known.tallies))?.going_on(known.folded, heard);
        for Later { variant, value, regarded } in &known.later {
            if let Some(arm) = variants.iter().position(|name| name == variant) {
                fold(&mut learner, learned, arm, *value, regarded.as_ref());
            }
        }
        let cell = StateCell::new(learner.state()?);
        Ok(Self { learned: learned.clone(), variants, learner, cell, lacks: 0, since: None, waiting: Vec::new() })
    }

    /// What is known of its arms.
    pub(super) fn known(&self) -> Restored {
        let of = |tallies: &[Sums]| self.variants.iter().cloned().zip(tallies.iter().cloned()).collect();
        let heard = self.learner.heard();
        Restored {
            tallies: of(self.learner.tallies()),
            features: FeatureSpec::id_of(&self.learned.features),
            folded: self.learner.folded(),
            heard: heard.folded.clone(),
            heard_tallies: of(&heard.tallies),
            later: Vec::new(),
        }
    }

    /// Folds a reward as it was given.
    pub(super) fn fold(&mut self, variant: &VariantName, value: f64, regarded: Option<&Regarded>) {
        let arm = self.variants.iter().position(|name| name == variant);
        if arm.is_some_and(|arm| fold(&mut self.learner, &self.learned, arm, value, regarded)) {
            self.lacks += 1;
            self.since.get_or_insert_with(Instant::now);
        }
    }

    /// Takes a reward that a call says of itself, to be written down and folded with others. What is no finite number would
    /// change nothing, and has no form in the log.
    pub(super) fn take(&mut self, id: InferenceId, variant: &VariantName, value: f64, regarded: Option<Regarded>) {
        let arm = self.variants.iter().position(|name| name == variant).filter(|_| value.is_finite());
        self.waiting.extend(arm.map(|arm| CallReward(id, arm, value, regarded)));
    }

    /// The rewards that wait, as they are written down; `None` where none does.
    pub(super) fn waiting<'a>(&'a self, route: &'a RouteName) -> Option<Calls<'a>> {
        let (reward, variants, rewards) = (self.learned.reward.name(), &self.variants, &self.waiting);
        (!rewards.is_empty()).then_some(Calls { route, reward, variants, rewards })
    }

    /// Folds the rewards that wait, in the order in which they were written down.
    pub(super) fn fold_waiting(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let declared = FeatureSpec::id_of(&self.learned.features);
        for CallReward(_, arm, value, regarded) in self.waiting.drain(..) {
            let is_folded = fold_declared(&mut self.learner, &self.learned, declared, (arm, value, regarded.as_ref()));
            self.lacks += u32::from(is_folded);
        }
        self.waiting.shrink_to(WAITING_KEPT);
        if self.lacks > 0 {
            self.since.get_or_insert_with(Instant::now);
        }
    }

    /// Knows what others tell; how many rewards of theirs are new.
    pub(super) fn hear(&mut self, told: &BTreeMap<String, Arms>) -> u64 {
        // Who regards something else has nothing to tell.
        let features = FeatureSpec::id_of(&self.learned.features);
        let told = told.iter().filter(|(_, arms)| arms.features == features);
        let told = told.map(|(name, arms)| (name.clone(), self.told_of(arms))).collect();
        let heard = self.learner.pooled(&told);
        let new = heard.since(self.learner.heard());
        self.learner.hear(heard);
        new
    }

    fn told_of(&self, arms: &Arms) -> Told {
        let of = |name: &VariantName| arms.tallies.get(name.as_str()).map(sums).unwrap_or_default();
        Told { folded: arms.folded, seen: arms.seen, tallies: self.variants.iter().map(of).collect() }
    }

    /// What it has to tell others.
    pub(super) fn told(&self) -> Arms {
        let Told { folded, seen, tallies } = self.learner.told();
        let names = self.variants.iter().map(|name| name.as_str().to_owned());
        let features = FeatureSpec::id_of(&self.learned.features);
        Arms { folded, seen, tallies: names.zip(tallies.iter().map(entry)).collect(), features }
    }

    /// Puts what it knows into force.
    ///
    /// # Errors
    /// There is no arm.
    pub(super) fn publish(&mut self) -> Result<(), LearnFault> {
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
            id: state.id().unwrap_or_else(|| StateId::of(b"")),
            reward: self.learned.reward.name().into(),
            variants: self.variants.clone(),
            shares: Arc::clone(state.shares()),
            tallies: self.learner.tallies().iter().map(entry).collect(),
            features: FeatureSpec::id_of(&self.learned.features),
            folded: self.learner.folded(),
            heard: (!heard.folded.is_empty()).then(|| HeardEntry {
                folded: heard.folded.clone(),
                tallies: heard.tallies.iter().map(entry).collect(),
            }),
        })
    }
}

/// What an entry of the log remembers.
pub(crate) fn sums(entry: &SumsEntry) -> Sums {
    match entry {
        SumsEntry::Plain([n, sum, squares]) => Sums::Plain(Tally { n: *n, sum: *sum, squares: *squares }),
        SumsEntry::Linear { a, b, squares } => {
            Sums::Linear(LinearTally { a: a.clone(), b: b.clone(), squares: *squares })
        }
    }
}

/// What is written down of an arm's sums.
pub(crate) fn entry(sums: &Sums) -> SumsEntry {
    match sums {
        Sums::Plain(tally) => SumsEntry::Plain([tally.n, tally.sum, tally.squares]),
        Sums::Linear(tally) => SumsEntry::Linear { a: tally.a.clone(), b: tally.b.clone(), squares: tally.squares },
    }
}

/// What of sums with the features `of` a policy goes on with: a blind one with the rewards, one that regards other features
/// with nothing.
pub(crate) fn carried(learned: &LearnedSpec, of: Option<StateId>, sums: impl IntoIterator<Item = Sums>) -> Vec<Sums> {
    let declared = FeatureSpec::id_of(&learned.features);
    let is_known = declared.is_none() || declared == of;
    sums.into_iter().map(|sums| if is_known { sums } else { Sums::default() }).collect()
}

/// Folds a reward as it was given, larger or smaller being better; whether it changed anything. One of a call of which not the
/// declared features were regarded changes nothing.
pub(crate) fn fold(
    learner: &mut Learner,
    learned: &LearnedSpec,
    arm: usize,
    value: f64,
    regarded: Option<&Regarded>,
) -> bool {
    fold_declared(learner, learned, FeatureSpec::id_of(&learned.features), (arm, value, regarded))
}

/// The same, where the declaration's name is known already: to make it costs more than to fold.
fn fold_declared(
    learner: &mut Learner,
    learned: &LearnedSpec,
    declared: Option<StateId>,
    (arm, value, regarded): (usize, f64, Option<&Regarded>),
) -> bool {
    let features = match (declared, regarded) {
        (None, _) => &[][..],
        (Some(declared), Some(regarded)) if regarded.of == declared => &regarded.features,
        (Some(_), _) => return false,
    };
    learner.fold_in(features, arm, learned.reward.oriented(value));
    true
}

/// A learner that knows nothing yet of so many arms.
///
/// # Errors
/// The least shares of all arms are more than all calls, or there is no arm.
pub(crate) fn learner_of(learned: &LearnedSpec, arms: usize) -> Result<Learner, LearnFault> {
    learner(learned, vec![Sums::default(); arms])
}

/// A learner that knows this of its arms.
///
/// # Errors
/// The least shares of all arms are more than all calls, or there is no arm.
pub(crate) fn learner(learned: &LearnedSpec, known: Vec<Sums>) -> Result<Learner, LearnFault> {
    let cost = learned.cost_share.as_ref().and_then(|spec| CostShare::of(spec, known.len()));
    let mixing = Mixing::new(learned.explore, learned.min_share, known.len())?.within(cost);
    let half_life = learned.half_life.map(f64::from);
    let values = match learned.reward.kind() {
        RewardKind::Boolean => Values::Booleans,
        RewardKind::Float(_) => Values::Numbers,
    };
    let blind = match learned.rule {
        RuleSpec::LinUcb { alpha } => {
            let range = learned.reward.range();
            return regarding(LinearRule::LinUcb { alpha, range }, learned, mixing, known);
        }
        RuleSpec::LinearThompson => return regarding(LinearRule::LinearThompson, learned, mixing, known),
        RuleSpec::EpsilonGreedy { epsilon, decay } => Rule::EpsilonGreedy { epsilon, decay: decay.map(f64::from) },
        // The configuration's check saw to it that there is a range.
        RuleSpec::Ucb1 => Rule::Ucb1 { range: learned.reward.range().unwrap_or((0.0, 1.0)) },
        RuleSpec::Thompson => Rule::Thompson(values),
        RuleSpec::TrackAndStop { delta } => Rule::TrackAndStop { delta },
    };
    Ok(Learner::new(blind, mixing, half_life, known))
}

fn regarding(rule: LinearRule, learned: &LearnedSpec, mixing: Mixing, known: Vec<Sums>) -> Result<Learner, LearnFault> {
    let features = FeatureSpec::dimensions(&learned.features);
    let known = known.into_iter().map(|sums| sums.linear(features)).collect();
    Learner::regarding((rule, features), mixing, learned.half_life.map(f64::from), known)
}
