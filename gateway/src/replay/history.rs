//! The calls of a route with their decisions and rewards. Owns what the arms were called, what a call says of itself, and
//! whose it was; what callers said of it is `said`'s.

use super::kept::Kept;
use super::said::{Learning, Said, Values};
use anyhow::Context as _;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::digest::Digest;
use tidegate_core::event::Decision;
use tidegate_core::spec::{Implicit, RewardSource};
use tidegate_core::{Event, InferenceId, Outcome, RouteName, Side, StateId, Tenant, VariantName};
use tidegate_route::sticky::{self, arm_salt};
use tidegate_storage::{EventReader, Filter};

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
    /// Under which configuration.
    pub(crate) config: Arc<str>,
    /// At which route.
    route: RouteName,
    episode: Option<Arc<str>>,
    tenant: Option<Tenant>,
}

/// The calls of a route, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// The calls.
    pub(crate) calls: Vec<Past>,
    /// What the arms were called, as far as that is known.
    names: HashMap<RouteName, HashMap<Arc<str>, Vec<Option<VariantName>>>>,
    states: HashMap<StateId, Arc<Learning>>,
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
            (Some(episode), false) => {
                let tenant = self.tenant.as_ref().map_or("", |tenant| tenant.as_str());
                named(format!("{}\n{tenant}\n{episode}", tenant.len()).as_bytes())
            }
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
        let mut calls = Vec::new();
        let routes = std::slice::from_ref(route);
        let mut history = Self::each(folder, routes, rewards, span, |_, call| calls.push(call))?;
        // Records are written when calls end.
        calls.sort_by_key(|call| call.at);
        history.calls = calls;
        Ok(history)
    }

    /// Shows the calls of routes within a span one after the other, in the order in which they ended, and keeps none of them;
    /// what is kept is what callers said of them.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) fn each(
        folder: &Path,
        routes: &[RouteName],
        rewards: &[RewardSource],
        span: Range<u64>,
        mut show: impl FnMut(&Self, Past),
    ) -> anyhow::Result<Self> {
        let mut said = Said::read(folder, routes, rewards, span.start).context("the log of what was learnt")?;
        let (since_ms, until_ms) = (Some(span.start), Some(span.end));
        let only = if let [only] = routes { Some(only.clone()) } else { None };
        let filter = Filter { since_ms, until_ms, route: only, ..Filter::default() };
        let mut history = Self { states: std::mem::take(&mut said.states), ..Self::default() };
        for event in EventReader::open(folder)?.scan(filter)? {
            let event = event?;
            let Some(decision) = event.decision.clone() else { continue };
            let Some(route) = event.route.clone().filter(|route| routes.contains(route)) else { continue };
            history.name(folder, &route, &event, &decision)?;
            let of = |(nth, reward): (usize, &RewardSource)| match reward {
                RewardSource::Call(implicit) => known(
                    &event,
                    *implicit,
                    history.names_of(&route, &event.config, &decision).get(decision.arm).copied().flatten(),
                ),
                RewardSource::Feedback(spec) => said.of(nth, spec, &event, decision.arm),
            };
            let rewards = rewards.iter().enumerate().map(of).collect();
            let Event { id, unix_ms: at, config, episode, tenant, .. } = event;
            show(&history, Past { id, at, decision, rewards, config, route, episode, tenant });
        }
        Ok(history)
    }

    /// Learns the arms' names: from the configuration where it is kept with them, else the first try of a call is at the
    /// arm that was drawn.
    fn name(&mut self, folder: &Path, route: &RouteName, event: &Event, decision: &Decision) -> anyhow::Result<()> {
        if !self.names.contains_key(route) {
            self.names.insert(route.clone(), HashMap::new());
        }
        let Some(of_route) = self.names.get_mut(route) else { return Ok(()) };
        let names = match of_route.entry(Arc::clone(&event.config)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let kept = Kept::of(folder, &event.config, route)?;
                let arms = kept.and_then(|kept| kept.arms()).unwrap_or_default();
                new.insert(arms.into_iter().map(Some).collect())
            }
        };
        names.resize(names.len().max(decision.shares.len()), None);
        if let (Some(slot), Some(first)) = (names.get_mut(decision.arm), event.attempts.first()) {
            slot.get_or_insert_with(|| first.variant.clone());
        }
        Ok(())
    }

    /// What the arms of a call were called, in their order; `None` of one that was never drawn.
    pub(crate) fn arms(&self, call: &Past) -> Vec<Option<&VariantName>> {
        self.names_of(&call.route, &call.config, &call.decision)
    }

    fn names_of(&self, route: &RouteName, config: &Arc<str>, decision: &Decision) -> Vec<Option<&VariantName>> {
        if let Some(names) = decision.state.and_then(|state| self.states.get(&state)) {
            return names.variants.iter().map(Some).collect();
        }
        let names = self.names.get(route).and_then(|of_route| of_route.get(config));
        (0..decision.shares.len()).map(|arm| names.and_then(|names| names.get(arm)?.as_ref())).collect()
    }

    /// What the state of a call is of, where the log has it.
    pub(crate) fn learning(&self, call: &Past) -> Option<&Arc<Learning>> {
        self.states.get(&call.decision.state?)
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
        // One whose answer was too poor has not failed: another was asked for a better one.
        Implicit::Error => {
            let is_elsewhere = event.variant.as_ref() != drawn && !event.attempts.iter().any(|one| one.poor.is_some());
            Some(f64::from(u8::from(!is_ok || is_elsewhere)))
        }
        _ if !is_ok => None,
        Implicit::Latency => Some(seconds(event.total_us)),
        Implicit::FirstToken => event.first_us.map(seconds),
        Implicit::Cost => event.cost_usd,
        Implicit::Tokens => event.usage.map(|usage| usage.total() as f64),
        Implicit::ValidJson => event.checks.and_then(|checks| checks.json).map(|is| f64::from(u8::from(is))),
        Implicit::ValidToolCall => event.checks.and_then(|checks| checks.tool_calls).map(|is| f64::from(u8::from(is))),
    };
    value.map(|value| (event.unix_ms + event.total_us / 1000, value)).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::testing::{Call, Shop};

    fn read(shop: &Shop, rewards: &[RewardSource]) -> History {
        History::read(shop.folder(), &"r".parse().unwrap(), rewards, 0).unwrap()
    }

    fn names(history: &History) -> Vec<Option<&str>> {
        history.arms(&history.calls[0]).into_iter().map(|name| name.map(VariantName::as_str)).collect()
    }

    #[test]
    fn arms_are_called_as_the_configuration_says_and_else_as_calls_show() {
        let shop = Shop::new();
        shop.called(&[Call::at(1_000)]);
        assert_eq!(names(&read(&shop, &[])), [Some("a"), None]);
        shop.configured(r#"{"routes": {"r": {"arms": ["a", "b"]}}}"#);
        assert_eq!(names(&read(&shop, &[])), [Some("a"), Some("b")]);
    }

    #[test]
    fn calls_come_in_their_order_and_say_how_they_failed() {
        let shop = Shop::new();
        shop.called(&[Call { is_ok: false, ..Call::at(9_000) }, Call::at(1_000)]);
        let history = read(&shop, &[RewardSource::Call(Implicit::Error), RewardSource::Call(Implicit::Latency)]);
        let found: Vec<_> = history.calls.iter().map(|call| (call.at, call.rewards.clone())).collect();
        assert_eq!(
            found,
            [(1_000, vec![vec![(1_001, 0.0)], vec![(1_001, 0.001)]]), (9_000, vec![vec![(9_001, 1.0)], vec![]])]
        );
    }

    #[test]
    fn a_unit_is_whom_an_arm_was_drawn_for() {
        let shop = Shop::new();
        let of = |at, episode, tenant| Call { episode, tenant, ..Call::at(at) };
        let kept = Call { sticky: true, ..of(6, Some("e"), None) };
        shop.called(&[
            of(1, None, None),
            of(2, None, None),
            of(3, Some("e"), None),
            of(4, Some("e"), None),
            of(5, Some("e"), Some("red")),
            kept.clone(),
            Call { at: 7, ..kept },
        ]);
        let units: Vec<u64> = read(&shop, &[]).calls.iter().map(Past::unit).collect();
        assert!(units[0] != units[1] && units[2] == units[3] && units[3] != units[4] && units[5] == units[6]);
        assert_ne!(units[3], units[5]);
    }

    #[test]
    fn a_sticky_draw_needs_the_names_of_the_arms_that_run() {
        let decision = |shares: [f64; 2]| Decision {
            shares: shares.into(),
            arm: 0,
            draw: 0.5,
            sticky: true,
            state: None,
            regarded: None,
            advised: None,
        };
        let (a, b): (VariantName, VariantName) = ("a".parse().unwrap(), "b".parse().unwrap());
        let again = |shares, names: [Option<&VariantName>; 2]| drawn_again(&decision(shares), &names);
        assert_eq!(again([0.5, 0.5], [Some(&a), None]), None);
        assert_eq!(again([1.0, 0.0], [Some(&a), None]), Some(0));
        let salts = [arm_salt("a"), arm_salt("b")];
        assert_eq!(again([0.5, 0.5], [Some(&a), Some(&b)]), Some(sticky::race(&[0.5, 0.5], &salts, 0.5)));
    }
}
