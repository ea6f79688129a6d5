//! The calls of a route with their decisions and rewards. Owns which reward belongs to which call, and what the arms were
//! called.

use super::kept::Kept;
use anyhow::Context as _;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::digest::Digest;
use tidegate_core::event::Decision;
use tidegate_core::spec::{Implicit, RewardSource, RewardSpec};
use tidegate_core::{Event, InferenceId, Outcome, RouteName, Side, StateId, VariantName};
use tidegate_route::sticky::{self, arm_salt};
use tidegate_storage::learning::{Learnt, log_at};
use tidegate_storage::{EventReader, Filter};

/// Values, each with the moment at which it was known, in milliseconds since 1970.
type Values = Vec<(u64, f64)>;

/// A call that was decided.
#[derive(Debug, Clone)]
pub(crate) struct Past {
    /// Its id.
    pub(crate) id: InferenceId,
    /// Milliseconds since 1970.
    pub(crate) at: u64,
    /// How its arm was drawn.
    pub(crate) decision: Decision,
    /// Its rewards, as they were given, each with the moment at which it was known: those of each reward that was asked for.
    pub(crate) rewards: Vec<Values>,
    episode: Option<Arc<str>>,
    /// Under which configuration.
    config: Arc<str>,
}

/// The calls of a route, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// The calls.
    pub(crate) calls: Vec<Past>,
    /// What the arms were called, as far as they were drawn.
    names: HashMap<Arc<str>, Vec<Option<VariantName>>>,
    states: HashMap<StateId, Vec<VariantName>>,
}

/// What callers said.
#[derive(Debug, Default)]
struct Said {
    of_call: HashMap<(usize, InferenceId), Values>,
    of_episode: HashMap<(usize, Arc<str>), Values>,
    states: HashMap<StateId, Vec<VariantName>>,
}

impl Past {
    /// Who is assigned: the unit of a sticky route, else the episode, else the call itself.
    pub(crate) fn unit(&self) -> u64 {
        let named = |text: &[u8]| {
            let digest = Digest::of(text);
            digest.as_bytes().iter().take(8).fold(0, |bits, byte| bits << 8 | u64::from(*byte))
        };
        match (&self.episode, self.decision.sticky) {
            (_, true) => self.decision.draw.to_bits(),
            (Some(episode), false) => named(episode.as_bytes()),
            (None, false) => named(&self.id.encode()),
        }
    }
}

impl History {
    /// Reads the calls of `route` in the folder of an event store, since a moment in Unix milliseconds.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) fn read(folder: &Path, route: &RouteName, rewards: &[RewardSource], since: u64) -> anyhow::Result<Self> {
        Self::read_span(folder, route, rewards, since..u64::MAX)
    }

    /// The same, of the calls of a span.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) fn read_span(
        folder: &Path,
        route: &RouteName,
        rewards: &[RewardSource],
        span: Range<u64>,
    ) -> anyhow::Result<Self> {
        let said = said(folder, route, rewards).context("the log of what was learnt")?;
        let (since_ms, until_ms) = (Some(span.start), Some(span.end));
        let filter = Filter { since_ms, until_ms, route: Some(route.clone()), ..Filter::default() };
        let mut history = Self { states: said.states, ..Self::default() };
        let mut told = HashSet::new();
        for event in EventReader::open(folder)?.scan(filter)? {
            let event = event?;
            let Some(decision) = event.decision.clone() else { continue };
            history.name(folder, &event, &decision)?;
            let of = |(at, reward): (usize, &RewardSource)| match reward {
                RewardSource::Call(implicit) => known(&event, *implicit, history.drawn(&event.config, &decision)),
                RewardSource::Feedback(spec) => {
                    let mut values = said.of_call.get(&(at, event.id)).cloned().unwrap_or_default();
                    // Of an episode each arm is judged once, however many calls it had.
                    if let Some(episode) = &event.episode
                        && told.insert((at, Arc::clone(episode), decision.arm))
                    {
                        values.extend(said.of_episode.get(&(at, Arc::clone(episode))).into_iter().flatten());
                    }
                    in_time(values, spec, event.id)
                }
            };
            let rewards = rewards.iter().enumerate().map(of).collect();
            let Event { id, unix_ms: at, config, episode, .. } = event;
            history.calls.push(Past { id, at, decision, rewards, config, episode });
        }
        Ok(history)
    }

    /// Learns the arms' names: from the configuration where it is kept with them, else the first try of a call is at the
    /// arm that was drawn.
    fn name(&mut self, folder: &Path, event: &Event, decision: &Decision) -> anyhow::Result<()> {
        let names = match self.names.entry(Arc::clone(&event.config)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let kept = event.route.as_ref().map(|route| Kept::of(folder, &event.config, route)).transpose()?;
                let arms = kept.flatten().and_then(|kept| kept.arms()).unwrap_or_default();
                new.insert(arms.into_iter().map(Some).collect())
            }
        };
        names.resize(names.len().max(decision.shares.len()), None);
        if let (Some(slot), Some(first)) = (names.get_mut(decision.arm), event.attempts.first()) {
            slot.get_or_insert_with(|| first.variant.clone());
        }
        Ok(())
    }

    fn drawn(&self, config: &Arc<str>, decision: &Decision) -> Option<&VariantName> {
        self.names_of(config, decision).get(decision.arm).copied().flatten()
    }

    /// What the arms of a call were called, in their order; `None` of one that was never drawn.
    pub(crate) fn arms(&self, call: &Past) -> Vec<Option<&VariantName>> {
        self.names_of(&call.config, &call.decision)
    }

    fn names_of(&self, config: &Arc<str>, decision: &Decision) -> Vec<Option<&VariantName>> {
        if let Some(names) = decision.state.and_then(|state| self.states.get(&state)) {
            return names.iter().map(Some).collect();
        }
        let names = self.names.get(config);
        (0..decision.shares.len()).map(|arm| names.and_then(|names| names.get(arm)?.as_ref())).collect()
    }

    /// Draws the arm of a call again; `None` where that needs the name of an arm that was never drawn.
    pub(crate) fn again(&self, call: &Past) -> Option<usize> {
        drawn_again(&call.decision, &self.arms(call))
    }
}

/// Draws an arm again, of arms that were called so; `None` where that needs a name that is not known.
pub(crate) fn drawn_again(decision: &Decision, arms: &[Option<&VariantName>]) -> Option<usize> {
    if !decision.sticky {
        return Some(tidegate_route::share::at(&decision.shares, decision.draw));
    }
    let salt = |(name, share): (&Option<&VariantName>, &f64)| match name {
        Some(name) => Some(arm_salt(name.as_str())),
        // One without a share does not run.
        None => (*share <= 0.0).then_some(0),
    };
    let salts: Option<Vec<u64>> = arms.iter().zip(decision.shares.iter()).map(salt).collect();
    Some(sticky::race(&decision.shares, &salts?, decision.draw))
}

/// What a call says of itself; nothing where its end says nothing of its arm.
fn known(event: &Event, implicit: Implicit, drawn: Option<&VariantName>) -> Vec<(u64, f64)> {
    let is_ok = match event.outcome {
        Outcome::Cancelled | Outcome::Panic => return Vec::new(),
        Outcome::Fault(kind) if kind.side() == Side::Client => return Vec::new(),
        Outcome::Ok => true,
        Outcome::Fault(_) => false,
    };
    let seconds = |us: u64| Duration::from_micros(us).as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a count of tokens")]
    let value = match implicit {
        Implicit::Error => Some(f64::from(u8::from(!is_ok || event.variant.as_ref() != drawn))),
        _ if !is_ok => None,
        Implicit::Latency => Some(seconds(event.total_us)),
        Implicit::FirstToken => event.first_us.map(seconds),
        Implicit::Cost => event.cost_usd,
        Implicit::Tokens => event.usage.map(|usage| usage.total() as f64),
    };
    value.map(|value| (event.unix_ms + event.total_us / 1000, value)).into_iter().collect()
}

fn in_time(mut values: Vec<(u64, f64)>, spec: &RewardSpec, id: InferenceId) -> Vec<(u64, f64)> {
    let window = u64::try_from(spec.window.as_millis()).unwrap_or(u64::MAX);
    values.retain(|(at, _)| at.saturating_sub(id.unix_ms()) <= window);
    values
}

fn said(folder: &Path, route: &RouteName, rewards: &[RewardSource]) -> anyhow::Result<Said> {
    let mut said = Said::default();
    log_at(folder).read(|entry| match entry {
        Learnt::State(state) if state.route == *route => {
            said.states.insert(state.id, state.variants);
        }
        Learnt::Feedback(one) => {
            let is_asked = |(_, reward): &(usize, &RewardSource)| *one.reward == *reward.name();
            for (at, _) in rewards.iter().enumerate().filter(is_asked) {
                let values = match (one.id, &one.episode) {
                    (Some(id), _) => said.of_call.entry((at, id)).or_default(),
                    (None, Some(episode)) => said.of_episode.entry((at, Arc::clone(episode))).or_default(),
                    (None, None) => continue,
                };
                values.push((one.at, one.value));
            }
        }
        _ => {}
    })?;
    Ok(said)
}
