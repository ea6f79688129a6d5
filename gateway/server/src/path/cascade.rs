//! An answer is held back until it is known to be good enough, where another variant could answer instead. Owns the holding
//! and who is asked; what makes an answer poor is pure and in the crate `tidegate-route`, and what comes next is the plan's.
//!
//! A stream is held until its end, so its caller gets its first byte late; what is too long to be held goes out as it is.

use crate::path::arrive::Arrived;
use crate::path::attempt::Sent;
use crate::path::filter::Filters;
use crate::path::hold::hold;
use crate::snapshot::{Arm, Route};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::event::{Attempt, Poor};
use tidegate_core::port::aside::Aside;
use tidegate_core::port::limits::Amounts;
use tidegate_core::port::verdicts::Verdict;
use tidegate_core::spec::{CascadeSpec, PolicySpec, RouteSpec, Watched, Weakness};
use tidegate_core::{Fault, Ledger, MonitorName, NanoUsd, PromptStamp, Said, Usage};
use tidegate_route::cascade::weakness;

/// The most of one stream that is held back.
const MOST: usize = 1024 * 1024;

/// An answer that was looked at.
#[derive(Debug)]
pub(crate) struct Regarded {
    /// The answer.
    pub(crate) sent: Sent,
    /// Why it is too poor, where it is.
    pub(crate) poor: Option<Poor>,
    /// Which plugin or monitor says so, where one does.
    by: Option<Arc<str>>,
    /// Its body or its events, where watchers shall see it although it is held back.
    pub(crate) shown: Vec<Bytes>,
    /// Its tokens, as far as they are known.
    usage: Option<Usage>,
    /// What the judge's word took.
    pub(crate) judge: Amounts,
}

/// A poor answer, which the caller gets where no better one comes.
#[derive(Debug)]
pub(crate) struct Held {
    /// The answer.
    pub(crate) sent: Sent,
    /// The index of the arm that gave it.
    pub(crate) arm: usize,
    /// Tokens of the prompt that stood before the caller's messages.
    pub(crate) front: u64,
    used: Amounts,
    prompt: Option<Arc<PromptStamp>>,
    adapter_generation: Option<Arc<str>>,
}

/// Whether a route asks how sure a model was of its answer.
pub(crate) fn goes_by_sureness(route: &RouteSpec) -> bool {
    let is_of_it = |of: &Weakness| matches!(of, Weakness::ConfidenceBelow(_) | Weakness::EntropyAbove(_));
    matches!(&route.policy, PolicySpec::Cascade(spec) if spec.escalate.iter().any(is_of_it))
}

/// What an answer is looked at with, which another variant could replace.
pub(crate) struct Look<'a> {
    pub(crate) route: &'a Route,
    pub(crate) arrived: &'a Arrived,
    /// The caller's body as it was let pass.
    pub(crate) asked: Bytes,
    /// Which arm answered.
    pub(crate) arm: &'a Arm,
    /// What plugins see of the call, where they are asked.
    pub(crate) filters: Option<&'a Filters>,
    /// What the backend said beside its answer.
    pub(crate) aside: Option<Arc<Aside>>,
    /// How long the call may still take.
    pub(crate) remaining: Duration,
}

impl Look<'_> {
    /// Looks at an answer. What is no text passes at once.
    ///
    /// # Errors
    /// A stream failed while it was held.
    pub(crate) async fn regard(&self, sent: Sent) -> Result<Regarded, Fault> {
        let (PolicySpec::Cascade(spec), true) = (&self.route.spec.policy, self.arrived.api.makes_text()) else {
            return Ok(Regarded::passed(sent));
        };
        let (sent, parts, usage) = match sent {
            Sent::Whole(answer) => {
                let (body, usage) = (answer.body.clone(), answer.usage);
                (Sent::Whole(answer), Some(vec![body]), usage)
            }
            Sent::Stream(frames) => {
                let held = hold(frames, MOST).await?;
                let usage = held.parts.is_some().then(|| held.usage(self.arrived.scan.prompt_tokens).0);
                (Sent::Stream(held.frames), held.parts, usage)
            }
        };
        let mut regarded = Regarded { usage, ..Regarded::passed(sent) };
        let Some(parts) = parts else { return Ok(regarded) };
        if self.arrived.predict.is_some() {
            // Of tensors nothing but an alarm says that they are poor.
            if let Some(monitor) = self.alarm(spec) {
                (regarded.poor, regarded.by) = (Some(Poor::Monitor), Some(monitor.as_str().into()));
                regarded.shown = parts;
            }
            return Ok(regarded);
        }
        let mut said = Said::read(&parts);
        if let Some(sureness) = self.aside.as_ref().and_then(|aside| aside.sureness.get()) {
            said.learn(sureness);
        }
        regarded.poor = weakness(&spec.escalate, &said, &self.asked);
        if regarded.poor.is_some() {
            return Ok(regarded);
        }
        if let Some(monitor) = self.alarm(spec) {
            (regarded.poor, regarded.by) = (Some(Poor::Monitor), Some(monitor.as_str().into()));
            regarded.shown = parts;
        } else if let Some(plugin) = self.filters.and_then(|all| all.objection(&parts, self.arrived.scan.stream)) {
            (regarded.poor, regarded.by) = (Some(Poor::Plugin), Some(plugin.as_str().into()));
        } else {
            self.ask(spec, &said, &mut regarded).await;
        }
        Ok(regarded)
    }

    /// The first monitor that has an alarm of the version that answered.
    fn alarm<'a>(&self, spec: &'a CascadeSpec) -> Option<&'a MonitorName> {
        let verdicts = self.route.critics.verdicts.as_ref()?;
        let watched = Watched { model: self.arm.model.clone(), version: self.arm.version };
        let has_alarm = |monitor: &&MonitorName| matches!(verdicts.verdict_of(monitor, &watched), Verdict::Alarm(_));
        spec.monitors.iter().find(has_alarm)
    }

    /// Asks the judge, where there is one. Without his word the answer passes: it is not held against it that he is slow.
    async fn ask(&self, spec: &CascadeSpec, said: &Said, regarded: &mut Regarded) {
        let route = &self.route.spec.name;
        let (Some(judge), Some(asked)) = (&self.route.critics.judge, &spec.judge) else { return };
        let word = tokio::time::timeout(asked.timeout.min(self.remaining), judge.judge(&self.asked, said)).await;
        match word {
            Ok(Ok(opinion)) => {
                regarded.judge = Amounts { tokens: opinion.tokens, cost: NanoUsd::from_usd(opinion.usd) };
                regarded.poor = opinion.score.filter(|score| *score < asked.below).map(|_| Poor::Judged);
            }
            Ok(Err(fault)) => {
                tracing::warn!(%route, %fault, "a judge has no word on an answer, which passes");
            }
            Err(_) => tracing::warn!(%route, "a judge's word came too late, and the answer passes"),
        }
    }
}

/// The stream of the try that served broke while it was held.
pub(crate) fn broke(fault: &Fault, ledger: &mut Ledger) {
    note_served(ledger, |attempt| (attempt.fault, attempt.status) = (Some(fault.kind), fault.upstream_status));
}

/// Notes something of the last try that served.
fn note_served(ledger: &mut Ledger, facts: impl FnOnce(&mut Attempt)) {
    ledger.note(|event| {
        let served = event.attempts.iter_mut().rfind(|attempt| attempt.fault.is_none() && !attempt.lost);
        if let Some(attempt) = served {
            facts(attempt);
        }
    });
}

impl Regarded {
    /// An answer that nobody looks at.
    pub(crate) fn passed(sent: Sent) -> Self {
        Self { sent, poor: None, by: None, shown: Vec::new(), usage: None, judge: Amounts::default() }
    }

    /// Keeps the answer for the case that no better one comes: until then it was for nothing, and counts all the same.
    pub(crate) fn held(self, why: Poor, (index, arm): (usize, &Arm), front: u64, ledger: &mut Ledger) -> Held {
        let cost_usd = self.usage.and_then(|usage| Some(arm.price?.cost(&usage)));
        let by = self.by;
        note_served(ledger, |attempt| {
            (attempt.poor, attempt.poor_by, attempt.cost_usd) = (Some(why), by, cost_usd);
        });
        let used = Amounts { tokens: self.usage.unwrap_or_default().total(), ..Amounts::default() };
        ledger.beside(used);
        let noted = ledger.event().map(|event| (event.prompt.clone(), event.adapter_generation.clone()));
        let (prompt, adapter_generation) = noted.unwrap_or_default();
        Held { sent: self.sent, arm: index, front, used, prompt, adapter_generation }
    }
}

impl Held {
    /// It is the answer after all, and its cost that of the call.
    pub(crate) fn released(self, arm: &Arm, ledger: &mut Ledger) -> (Sent, u64) {
        ledger.not_beside(self.used);
        ledger.priced(arm.price);
        arm.note(ledger);
        let (prompt, generation) = (self.prompt, self.adapter_generation);
        ledger.note(|event| {
            (event.prompt, event.adapter_generation) = (prompt, generation);
            if let Some(own) = event.attempts.iter_mut().rfind(|attempt| attempt.poor.is_some()) {
                own.cost_usd = None;
            }
        });
        (self.sent, self.front)
    }
}

#[cfg(test)]
mod tests;
