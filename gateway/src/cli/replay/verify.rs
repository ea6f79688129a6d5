//! `tidegate replay --verify`: every decision drawn again, and every state of a learner reckoned again. Owns the counts and
//! what is said of them.

use super::Replay;
use crate::cli::print;
use crate::replay::{History, Kept, Past, Refolded, kept_of_states, reckoned, refolded, same_bits};
use serde::Serialize;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use tidegate_core::event::Decision;
use tidegate_core::spec::RouteSpec;
use tidegate_core::{InferenceId, StateId};
use tidegate_storage::learning::{Learnt, log_at};

/// What came of it.
#[derive(Debug, Default, Serialize)]
struct Verified {
    decisions: usize,
    same: usize,
    /// Decisions with an arm whose name no record tells.
    unknown: usize,
    /// The first decision that is another one.
    other: Option<InferenceId>,
    /// Decisions whose probabilities depend on the call.
    vectors: usize,
    vectors_same: usize,
    vectors_unknown: usize,
    states: usize,
    states_same: usize,
    states_unknown: usize,
    state_other: Option<StateId>,
}

impl Replay {
    /// Draws every decision again and reckons every state again.
    pub(super) fn verified(&self, folder: &Path, routes: &[&RouteSpec]) -> anyhow::Result<()> {
        let mut all = Verified::default();
        for route in routes {
            all.route(folder, route, self.since_ms())?;
        }
        let said = if self.json { format!("{}\n", serde_json::to_string_pretty(&all)?) } else { all.says() };
        if let Some(id) = all.other {
            anyhow::bail!("{said}the decision of {id} is not: `tidegate explain {id}`");
        }
        if let Some(state) = all.state_other {
            anyhow::bail!(
                "{said}the state {state} is not: its log was changed, or another version of the program wrote it"
            );
        }
        print(&said)
    }
}

/// Decisions by the features of their calls, by the state that they drew from.
type Regarding = HashMap<StateId, Vec<(InferenceId, Decision)>>;

impl Verified {
    fn route(&mut self, folder: &Path, route: &RouteSpec, since: u64) -> anyhow::Result<()> {
        let (mut waiting, mut configs, mut regarding) = (Vec::new(), HashMap::new(), Regarding::new());
        let history =
            History::each(folder, std::slice::from_ref(&route.name), &[], since..u64::MAX, |history, call| {
                if let Some(state) = call.decision.state {
                    configs.insert(state, Arc::clone(&call.config));
                    if call.decision.regarded.is_some() {
                        regarding.entry(state).or_default().push((call.id, call.decision.clone()));
                    }
                }
                match history.again(&call) {
                    Some(arm) => self.count(&call, Some(arm)),
                    None => waiting.push(call),
                }
            })?;
        // What arms are called may be known by later calls.
        for call in waiting {
            self.count(&call, history.again(&call));
        }
        let kept = kept_of_states(folder, &route.name, &configs)?;
        let Refolded { states, same, unknown, other } =
            refolded(folder, &route.name, |state| kept.get(&state).map(Arc::clone))?;
        self.states += states;
        self.states_same += same;
        self.states_unknown += unknown;
        self.state_other = self.state_other.or(other);
        self.vectors(folder, route, &kept, regarding)
    }

    /// Makes the probabilities of calls again from their states and features.
    fn vectors(
        &mut self,
        folder: &Path,
        route: &RouteSpec,
        kept: &HashMap<StateId, Arc<Kept>>,
        mut regarding: Regarding,
    ) -> anyhow::Result<()> {
        if regarding.is_empty() {
            return Ok(());
        }
        log_at(folder).read(|entry| {
            let Learnt::State(state) = entry else { return };
            if state.route != route.name {
                return;
            }
            let Some(again) = kept.get(&state.id).and_then(|kept| reckoned(kept, &state)) else { return };
            for (id, decision) in regarding.remove(&state.id).into_iter().flatten() {
                self.vectors += 1;
                if same_bits(&again.shares_of(&decision), &decision.shares) {
                    self.vectors_same += 1;
                } else {
                    self.other = self.other.or(Some(id));
                }
            }
        })?;
        let unknown = regarding.values().map(Vec::len).sum::<usize>();
        self.vectors += unknown;
        self.vectors_unknown += unknown;
        Ok(())
    }

    fn count(&mut self, call: &Past, again: Option<usize>) {
        self.decisions += 1;
        match again {
            Some(arm) if arm == call.decision.arm => self.same += 1,
            Some(_) => self.other = self.other.or(Some(call.id)),
            None => self.unknown += 1,
        }
    }

    fn says(&self) -> String {
        let Self { decisions, same, unknown, states, states_same, states_unknown, .. } = self;
        let rest = |count: &usize, why: &str| if *count > 0 { format!("; {count} {why}") } else { String::new() };
        let mut out = format!(
            "{same} of {decisions} decisions are the same when they are drawn again{}\n",
            rest(unknown, "have an arm whose name no record tells")
        );
        let Self { vectors, vectors_same, vectors_unknown, .. } = self;
        if *vectors > 0 {
            out.push_str(&format!(
                "{vectors_same} of {vectors} vectors are the same to the bit when they are made again from states and features{}\n",
                rest(vectors_unknown, "have a state that is in no log that is kept")
            ));
        }
        if *states > 0 {
            out.push_str(&format!(
                "{states_same} of {states} states are the same to the bit when they are reckoned again from the rewards{}\n",
                rest(states_unknown, "have no configuration that is kept")
            ));
        }
        out
    }
}
