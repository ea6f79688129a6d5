//! A rollout: all calls of a route go from one arm to another, in steps, as long as the new one is no worse than allowed.
//! Owns when a step is over, when it goes back, and what people may order; who looks at it how often, and where it is
//! kept, is the program's.
//!
//! Each step is judged by what was seen at it. A step ends well when it lasted long enough, the new arm had enough calls,
//! and every analysis finds it within what is allowed; it ends in a rollback as soon as one is certain that it is worse.
//! Each analysis errs in the whole rollout no more often than its confidence says: its error rate is divided among the
//! steps.

pub mod analysis;
pub mod course;
pub mod evidence;
pub mod stage;

use analysis::{Finding, Judgement};
use evidence::{Evidence, Seen};
use serde::{Deserialize, Serialize};
use stage::{Order, OrderFault, Stage, Turn};
use tidegate_core::RewardName;
use tidegate_core::port::verdicts::Verdicts;
use tidegate_core::spec::{AnalysisSpec, RolloutKind, RolloutSpec};
use tidegate_experiment::Alpha;

/// Who changes a stage where nobody said so.
const OURSELVES: &str = "tidegate";
/// How many turns are remembered.
const TURNS: usize = 100;

/// What is kept of a rollout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// Where it stands.
    pub stage: Stage,
    /// Milliseconds since 1970 at which that began.
    pub since: u64,
    /// Who paused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<String>,
    /// What was seen of the old arm.
    pub from: Evidence,
    /// What was seen of the new arm.
    pub to: Evidence,
    /// How it came here, the newest last.
    pub turns: Vec<Turn>,
    /// How many turns there were, ever; older ones lack it.
    #[serde(default)]
    pub version: u64,
    /// Whether it turned back alone, and other replicas do not know yet.
    #[serde(default, skip_serializing_if = "is_not")]
    pub is_ahead: bool,
}

impl Standing {
    /// What tells one standing from the next, beside what was seen.
    #[must_use]
    pub const fn stands(&self) -> (u64, u64, bool) {
        (self.version, self.since, self.is_ahead)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
const fn is_not(what: &bool) -> bool {
    !*what
}

/// How far a look may lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// On, and back.
    All,
    /// Back, since others may have seen what is not known here.
    Back,
}

/// A rollout that runs or is over.
#[derive(Debug, Clone)]
pub struct Rollout {
    spec: RolloutSpec,
    arms: usize,
    standing: Standing,
    /// What other replicas saw at this step, of the old arm and of the new one.
    others: (Evidence, Evidence),
    findings: Vec<Finding>,
}

impl Rollout {
    /// A rollout that begins, on a route with so many arms.
    #[must_use]
    pub fn begun(spec: RolloutSpec, arms: usize, now: u64) -> Self {
        let stage = first(&spec);
        let (from, to) = (Evidence::default(), Evidence::default());
        let standing =
            Standing { stage, since: now, paused: None, from, to, turns: Vec::new(), version: 0, is_ahead: false };
        Self { spec, arms, standing, others: Default::default(), findings: Vec::new() }
    }

    /// A rollout that goes on where it stood.
    #[must_use]
    pub fn resumed(spec: RolloutSpec, arms: usize, mut standing: Standing) -> Self {
        // Of a step that the configuration does not have nothing is known.
        if let Stage::Step(index) = standing.stage
            && index >= spec.steps.len()
        {
            standing.stage = first(&spec);
        }
        Self { spec, arms, standing, others: Default::default(), findings: Vec::new() }
    }

    /// What it is.
    #[must_use]
    pub const fn spec(&self) -> &RolloutSpec {
        &self.spec
    }

    /// Where it stands.
    #[must_use]
    pub const fn standing(&self) -> &Standing {
        &self.standing
    }

    /// What the newest look found.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The share of the new arm now, in `[0, 1]`.
    #[must_use]
    pub fn share(&self) -> f64 {
        match self.standing.stage {
            Stage::Baseline | Stage::RolledBack | Stage::Aborted => 0.0,
            Stage::Step(index) => self.spec.steps.get(index).copied().unwrap_or(0.0),
            Stage::Done => 1.0,
        }
    }

    /// The share of each arm now.
    #[must_use]
    pub fn shares(&self) -> Vec<f64> {
        let mut shares = vec![0.0; self.arms];
        let share = self.share();
        for (arm, share) in [(self.spec.from, 1.0 - share), (self.spec.to, share)] {
            if let Some(slot) = shares.get_mut(arm) {
                *slot = share;
            }
        }
        shares
    }

    /// Takes a call of an arm that was drawn with `shares`; one that was drawn at another step says nothing.
    pub fn see(&mut self, arm: usize, shares: &[f64], seen: &Seen) {
        let is_of_now = shares.get(self.spec.to).is_some_and(|share| (share - self.share()).abs() < 1e-12);
        if !self.standing.stage.is_over()
            && is_of_now
            && let Some(evidence) = self.evidence(arm)
        {
            evidence.see(seen);
        }
    }

    /// Takes a value of a reward for a call of an arm.
    pub fn judge(&mut self, arm: usize, reward: &RewardName, value: f64) {
        if !self.standing.stage.is_over()
            && let Some(evidence) = self.evidence(arm)
        {
            evidence.judge(reward, value);
        }
    }

    fn evidence(&mut self, arm: usize) -> Option<&mut Evidence> {
        match arm {
            arm if arm == self.spec.from => Some(&mut self.standing.from),
            arm if arm == self.spec.to => Some(&mut self.standing.to),
            _ => None,
        }
    }

    /// Looks at what was seen, and goes a step on or back where that follows. The turn that it took, if it took one.
    pub fn look(&mut self, now: u64, verdicts: &dyn Verdicts) -> Option<Turn> {
        self.weigh(verdicts);
        self.decide(now, Reach::All)
    }

    /// Judges by what was seen.
    pub fn weigh(&mut self, verdicts: &dyn Verdicts) {
        if self.standing.stage.is_over() || self.standing.stage == Stage::Baseline {
            return;
        }
        let (from, to) = self.seen();
        let steps = self.spec.steps.len();
        let judged = |one: &AnalysisSpec| analysis::judge(one, allowed(one, steps), &from, &to, verdicts);
        self.findings = self.spec.analysis.iter().map(judged).collect();
    }

    /// Goes a step on or back where that follows from what was judged.
    pub fn decide(&mut self, now: u64, reach: Reach) -> Option<Turn> {
        if self.standing.stage.is_over() {
            return None;
        }
        let calls = self.calls();
        if self.standing.stage == Stage::Baseline {
            let is_known = calls.0 >= self.spec.min_samples && self.standing.paused.is_none();
            let why = format!("{} calls of the old arm were seen", calls.0);
            return (is_known && reach == Reach::All).then(|| self.turn(Stage::Step(0), OURSELVES, why, now));
        }
        if let Some(worse) = self.findings.iter().find(|finding| finding.judgement == Judgement::Worse) {
            let why = format!("{}: {}", worse.measure, worse.says);
            return Some(self.turn(Stage::RolledBack, OURSELVES, why, now));
        }
        let is_long = u128::from(now.saturating_sub(self.standing.since)) >= self.spec.every.as_millis();
        let is_well = self.findings.len() == self.spec.analysis.len()
            && self.findings.iter().all(|finding| finding.judgement == Judgement::Within);
        let has_seen = calls.1 >= self.spec.min_samples;
        if reach == Reach::Back || !(is_long && is_well && has_seen && self.standing.paused.is_none()) {
            return None;
        }
        let why = format!("{} calls of the new arm, none of {} analyses found it worse", calls.1, self.findings.len());
        let next = self.next();
        Some(self.turn(next, OURSELVES, why, now))
    }

    /// What was seen at this step, by all replicas: of the old arm, and of the new one.
    #[must_use]
    pub fn seen(&self) -> (Evidence, Evidence) {
        let (mut from, mut to) = (self.standing.from.clone(), self.standing.to.clone());
        from.merge(&self.others.0);
        to.merge(&self.others.1);
        (from, to)
    }

    const fn calls(&self) -> (u64, u64) {
        (self.standing.from.calls + self.others.0.calls, self.standing.to.calls + self.others.1.calls)
    }

    /// What it waits for, in words; nothing where it is over.
    #[must_use]
    pub fn waits_for(&self, now: u64) -> Option<String> {
        let standing = &self.standing;
        if standing.stage.is_over() {
            return None;
        }
        if let Some(by) = &standing.paused {
            return Some(format!("paused by {by}: `tidegate rollout resume`"));
        }
        if standing.stage == Stage::Baseline {
            return Some(format!("{} of {} calls of the old arm", self.calls().0, self.spec.min_samples));
        }
        if self.calls().1 < self.spec.min_samples {
            return Some(format!("{} of {} calls of the new arm", self.calls().1, self.spec.min_samples));
        }
        if let Some(unclear) = self.findings.iter().find(|finding| finding.judgement == Judgement::Unclear) {
            return Some(format!("{}: {}", unclear.measure, unclear.says));
        }
        let lasted = std::time::Duration::from_millis(now.saturating_sub(standing.since));
        Some(format!("the end of its time in {} s", self.spec.every.saturating_sub(lasted).as_secs()))
    }

    /// Does what somebody wants.
    ///
    /// # Errors
    /// It cannot be done as it stands.
    pub fn order(&mut self, order: Order, by: &str, why: &str, now: u64) -> Result<Turn, OrderFault> {
        let stage = self.standing.stage;
        let refused = |remedy| Err(OrderFault { stage: stage.says(), remedy });
        let why = if why.is_empty() { order.name().to_owned() } else { why.to_owned() };
        match (order, stage.is_over()) {
            (Order::Restart, true) => {
                self.findings.clear();
                Ok(self.turn(first(&self.spec), by, why, now))
            }
            (Order::Restart, false) => refused("abort it before it begins anew"),
            (_, true) => refused("it is over; `restart` begins it anew"),
            (Order::Pause, _) if self.standing.paused.is_some() => refused("it is paused already"),
            (Order::Pause, _) => {
                self.standing.paused = Some(by.to_owned());
                Ok(self.noted(stage, by, why, now))
            }
            (Order::Resume, _) if self.standing.paused.is_none() => refused("it is not paused"),
            (Order::Resume, _) => {
                self.standing.paused = None;
                Ok(self.noted(stage, by, why, now))
            }
            (Order::Abort, _) => Ok(self.turn(Stage::Aborted, by, why, now)),
            (Order::PromoteFully, _) => Ok(self.turn(Stage::Done, by, why, now)),
            (Order::Promote, _) => {
                let next = self.next();
                Ok(self.turn(next, by, why, now))
            }
        }
    }

    fn next(&self) -> Stage {
        match self.standing.stage {
            Stage::Baseline => Stage::Step(0),
            Stage::Step(index) if index + 1 < self.spec.steps.len() => Stage::Step(index + 1),
            _ => Stage::Done,
        }
    }

    fn turn(&mut self, to: Stage, by: &str, why: String, now: u64) -> Turn {
        let turn = self.noted(to, by, why, now);
        self.enter(to, now);
        self.standing.paused = None;
        turn
    }

    /// Begins another stage.
    fn enter(&mut self, stage: Stage, since: u64) {
        self.standing.stage = stage;
        self.standing.since = since;
        if stage.is_over() {
            // What was seen at the end stays to be looked at.
            return;
        }
        (self.standing.to, self.others.1) = Default::default();
        // Where the old arm has no calls any more it is compared by what was seen of it before.
        if self.share() < 1.0 {
            (self.standing.from, self.others.0) = Default::default();
        }
    }

    fn noted(&mut self, to: Stage, by: &str, why: String, now: u64) -> Turn {
        let turn = Turn { at: now, from: self.standing.stage, to, by: by.to_owned(), why };
        self.standing.version += 1;
        self.standing.turns.push(turn.clone());
        let surplus = self.standing.turns.len().saturating_sub(TURNS);
        self.standing.turns.drain(..surplus);
        turn
    }
}

fn first(spec: &RolloutSpec) -> Stage {
    match spec.kind {
        RolloutKind::Canary => Stage::Step(0),
        RolloutKind::BlueGreen => Stage::Baseline,
    }
}

/// What an analysis may err at one of so many steps.
fn allowed(analysis: &AnalysisSpec, steps: usize) -> Alpha {
    Alpha::new(1.0 - analysis.confidence).unwrap_or(Alpha::FIVE_PERCENT).shared(steps)
}

#[cfg(test)]
mod tests;
