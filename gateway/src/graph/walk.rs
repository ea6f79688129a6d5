//! A call on its way through a graph. Owns the order in which models are asked, the time that each has, and what the
//! call's record has of it; every fault names the node that it is of. Why it is answered so is [`reasoned`]'s.

mod reasoned;

use super::{Graph, Member, shown};
use crate::classic::is_explained;
use reasoned::{Reasoned, Said};
use serde_json::Value;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tidegate_core::port::BoxFuture;
use tidegate_core::port::backend::{Call, Deadlines, Predict};
use tidegate_core::port::filter::Seen;
use tidegate_core::spec::graph::{Combine, EnsembleSpec, NodeSpec, NodeWork, StepSpec, SwitchSpec, Target};
use tidegate_core::tensor::Parameters;
use tidegate_core::{
    Api, Fault, FaultKind, InferenceId, ModelName, PluginName, PredictAnswer, PredictRequest, Tensor, Visit,
};
use tidegate_dialect::{Wrong, bind};
use tidegate_route::graph::{Source, branch, combine, feed, part, passes};

/// A call on its way.
pub(super) struct Walk<'a> {
    graph: &'a Graph,
    call: &'a Call,
    asked: Arc<PredictRequest>,
    id: InferenceId,
    began: Instant,
    /// How many rules of their contracts the models found broken, where they have any.
    violations: Mutex<Option<u32>>,
    /// Which nodes may answer what they were given; nothing where nobody asks why.
    passes: Vec<bool>,
    /// The number of what is given next.
    next: AtomicU32,
}

/// Tensors on their way.
#[derive(Clone)]
struct Given {
    tensors: Arc<[Tensor]>,
    /// Whether they are what the caller sent.
    is_own: bool,
    /// Their number; what the caller sent is 0.
    number: u32,
    /// Whether why is asked of whoever they are given to.
    explains: bool,
    /// Why whoever answered them did, where he was asked.
    why: Option<Reasoned>,
}

impl<'a> Walk<'a> {
    /// Begins.
    ///
    /// # Errors
    /// The call is none to a classic model, or asks for what a graph cannot give.
    pub(super) fn of(graph: &'a Graph, call: &'a Call) -> Result<Self, Fault> {
        let Some(Predict { request, .. }) = &call.predict else {
            let says = "this is a graph of classic models: ask it at /v2/models/NAME/infer";
            return Err(Fault::new(FaultKind::InvalidRequest, says));
        };
        let passes = if is_explained(request)? { passes(&graph.spec) } else { Vec::new() };
        let id = call.aside.as_ref().and_then(|aside| aside.call).unwrap_or_else(|| InferenceId::from_u128(0));
        let (asked, began) = (Arc::clone(request), graph.clock.now());
        Ok(Self { graph, call, asked, id, began, violations: Mutex::new(None), passes, next: AtomicU32::new(1) })
    }

    /// All of it.
    pub(super) async fn whole(&self) -> Result<PredictAnswer, Fault> {
        let root = self.graph.spec.root_index();
        let explains = !self.passes.is_empty();
        let Said { mut outputs, why } = self.node(root, Given { explains, ..self.own() }, None).await?;
        for wanted in &self.asked.outputs {
            if !outputs.iter().any(|output| output.name() == wanted) {
                let has: Vec<&str> = outputs.iter().map(Tensor::name).collect();
                let says = format!("the graph answers no output `{wanted}`; it answers {}", has.join(", "));
                return Err(Fault::field("outputs", says));
            }
        }
        if self.asked.is_loose && self.asked.outputs.is_empty() {
            // Where a protocol has no names of outputs, what a model predicts comes first.
            outputs.truncate(1);
        }
        outputs.retain(|output| self.asked.wants(output.name()));
        let violations = *self.violations.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = PredictAnswer { outputs, violations, ..PredictAnswer::default() };
        if explains { reasoned::with(answer, why) } else { Ok(answer) }
    }

    /// What the caller sent.
    fn own(&self) -> Given {
        let tensors = self.asked.inputs.as_slice().into();
        Given { tensors, is_own: true, number: 0, explains: false, why: None }
    }

    /// What is given next.
    fn made(&self, tensors: Vec<Tensor>, explains: bool, why: Option<Reasoned>) -> Given {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        Given { tensors: tensors.into(), is_own: false, number, explains, why }
    }

    /// Whether a step may answer what it was given.
    fn may_pass(&self, step: &StepSpec) -> bool {
        match step.target {
            Target::Node(node) => !step.takes_request && self.passes.get(node).is_some_and(|passes| *passes),
            Target::Model(_) | Target::Plugin(_) => false,
        }
    }

    fn node(&self, at: usize, given: Given, within: Option<u32>) -> BoxFuture<'_, Result<Said, Fault>> {
        Box::pin(async move {
            let node = &self.graph.spec.nodes()[at];
            let visit = self.begin(Visit { node: Some(node.name.clone()), ..Visit::begun(within, self.us()) });
            let began = self.graph.clock.now();
            let done = match &node.work {
                NodeWork::Sequence(steps) => self.sequence(node, steps, given, visit).await,
                NodeWork::Ensemble(ensemble) => self.ensemble(node, ensemble, &given, visit).await,
                NodeWork::Switch(switch) => self.switch(node, switch, given, visit).await,
                NodeWork::Splitter(parts) => self.splitter(node, parts, given, visit).await,
            };
            self.end(visit, began, &done);
            done
        })
    }

    async fn sequence(
        &self,
        node: &NodeSpec,
        steps: &[StepSpec],
        mut given: Given,
        visit: Option<u32>,
    ) -> Result<Said, Fault> {
        let explains = given.explains;
        for (at, step) in steps.iter().enumerate() {
            // Why is asked of the step that answers, and of those whose answer the others may pass on.
            given.explains = explains && steps[at + 1..].iter().all(|later| self.may_pass(later));
            let Said { outputs, why } = self.step(node, step, given, visit).await?;
            given = self.made(outputs, false, why);
        }
        Ok(Said { outputs: given.tensors.to_vec(), why: given.why })
    }

    /// All members at the same time; where one fails, the others are given up.
    async fn ensemble(
        &self,
        node: &NodeSpec,
        ensemble: &EnsembleSpec,
        given: &Given,
        visit: Option<u32>,
    ) -> Result<Said, Fault> {
        let asked = Given { explains: given.explains && ensemble.combine != Combine::Vote, ..given.clone() };
        let members = ensemble.members.iter().map(|(_, step)| self.step(node, step, asked.clone(), visit));
        let mut said = futures_util::future::try_join_all(members).await?;
        let why = given.explains.then(|| reasoned::together(ensemble, &mut said, |fault| at_node(node, fault)));
        let answers: Vec<&[Tensor]> = said.iter().map(|said| said.outputs.as_slice()).collect();
        // What the members answered is not the caller's doing.
        let wrong = |misfit: String| at_node(node, Fault::new(FaultKind::UpstreamFailed, misfit));
        let outputs = combine(ensemble, &answers).map_err(|misfit| wrong(misfit.to_string()))?;
        Ok(Said { outputs, why })
    }

    async fn switch(
        &self,
        node: &NodeSpec,
        switch: &SwitchSpec,
        given: Given,
        visit: Option<u32>,
    ) -> Result<Said, Fault> {
        let cases = switch.cases.iter().map(|(case, _)| case);
        let way = branch(cases, &given.tensors);
        let way = way.map_err(|misfit| at_node(node, Fault::field("inputs", misfit.to_string())))?;
        self.write(visit, |visit| visit.branch = u32::try_from(way).ok());
        let step = switch.cases.get(way).map(|(_, step)| step).or(switch.otherwise.as_ref());
        match step {
            Some(step) => self.step(node, step, given, visit).await,
            None if given.is_own => {
                let says = "no case of the switch holds, and there is no other branch";
                Err(at_node(node, Fault::field("inputs", says)))
            }
            None => Ok(Said { outputs: given.tensors.to_vec(), why: given.why }),
        }
    }

    async fn splitter(
        &self,
        node: &NodeSpec,
        parts: &[(f64, StepSpec)],
        given: Given,
        visit: Option<u32>,
    ) -> Result<Said, Fault> {
        let shares: Vec<f64> = parts.iter().map(|(share, _)| *share).collect();
        let (drawn, draw) = part(&shares, self.id.as_u128(), node.name.as_str());
        self.write(visit, |visit| (visit.branch, visit.draw) = (u32::try_from(drawn).ok(), Some(draw)));
        let (_, step) = parts.get(drawn).ok_or_else(|| Fault::internal("a splitter drew a part that it has not"))?;
        self.step(node, step, given, visit).await
    }

    async fn step(&self, node: &NodeSpec, step: &StepSpec, given: Given, within: Option<u32>) -> Result<Said, Fault> {
        let given = if step.takes_request { Given { explains: given.explains, ..self.own() } } else { given };
        let began = self.graph.clock.now();
        let begun = Visit::begun(within, self.us());
        match &step.target {
            Target::Node(inner) => {
                let given = match step.inputs.is_empty() {
                    true => given,
                    false => self.made(self.fed(node, step, &given, &[])?, given.explains, given.why),
                };
                self.node(*inner, given, within).await
            }
            Target::Model(name) => {
                let model_version = self.graph.models.get(name).and_then(|model| model.version);
                let visit = self.begin(Visit { model: Some(name.clone()), model_version, ..begun });
                let done = self.model(node, step, name, &given).await;
                let done = done.map_err(|fault| within_step(node, "model", name.as_str(), fault));
                self.end(visit, began, &done);
                done
            }
            Target::Plugin(name) => {
                let visit = self.begin(Visit { plugin: Some(name.clone()), ..begun });
                let done = self.plugin(node, step, name, &given);
                let done = done.map_err(|fault| within_step(node, "plugin", name.as_str(), fault));
                let none = || within_step(node, "plugin", name.as_str(), reasoned::none("what a plugin gives"));
                let why = given.explains.then(|| Err(none()));
                let done = done.map(|outputs| Said { outputs, why });
                self.end(visit, began, &done);
                done
            }
        }
    }

    async fn model(&self, node: &NodeSpec, step: &StepSpec, name: &ModelName, given: &Given) -> Result<Said, Fault> {
        let member = self.graph.models.get(name).ok_or_else(|| Fault::internal(format!("no model `{name}`")))?;
        let left = self.call.deadlines.total.saturating_sub(self.spent());
        let late = |_| {
            let total = self.call.deadlines.total;
            let says = format!("it did not answer within the {total:?} that the route allows for all of the graph");
            Fault::new(FaultKind::UpstreamTimeout, says)
        };
        let asked = async {
            let request = Arc::new(self.request(node, step, member, given).await?);
            let Deadlines { connect, first_token, idle, .. } = self.call.deadlines;
            let most = |part: Duration| part.min(left);
            let deadlines =
                Deadlines { connect: most(connect), first_token: most(first_token), idle: most(idle), total: left };
            let predict = Some(Predict { request, model: Arc::clone(&member.upstream), written: None });
            let (aside, avoid, taken) = (None, None, None);
            let call = Call { model: name.clone(), predict, deadlines, aside, avoid, taken, ..self.call.clone() };
            member.backend.complete(call).await
        };
        let answer = tokio::time::timeout(left, asked).await.map_err(late)??;
        let said = answer.predicted.ok_or_else(|| Fault::internal("a classic model answered without tensors"))?;
        if let Some(more) = said.violations {
            let mut violations = self.violations.lock().unwrap_or_else(PoisonError::into_inner);
            *violations = Some(violations.unwrap_or(0).saturating_add(more));
        }
        let source = given.explains.then(|| Source { given: given.number, inputs: step.inputs.clone() });
        Ok(Said::by(Arc::unwrap_or_clone(said), source, |fault| within_step(node, "model", name.as_str(), fault)))
    }

    /// What a model is asked. What the caller sent goes on as it came, with names and datatypes that are guesses where
    /// they were; all else is bound to what the model says that it takes.
    async fn request(
        &self,
        node: &NodeSpec,
        step: &StepSpec,
        member: &Member,
        given: &Given,
    ) -> Result<PredictRequest, Fault> {
        let mut parameters = self.asked.parameters.clone();
        parameters.remove("explain");
        if given.explains {
            parameters.insert("explain".to_owned(), Value::Bool(true));
        }
        if given.is_own && step.inputs.is_empty() {
            let request = PredictRequest { outputs: Vec::new(), parameters, explains: false, ..(*self.asked).clone() };
            return if self.asked.is_loose { self.named(request, member, given).await } else { Ok(request) };
        }
        let meta = member.described().await?;
        let takes: Vec<&str> = meta.inputs.iter().map(|input| input.name.as_str()).collect();
        let inputs = self.fed(node, step, given, &takes)?;
        let parameters = if given.explains { parameters } else { Parameters::new() };
        let request = PredictRequest { inputs, parameters, ..PredictRequest::default() };
        if meta.inputs.is_empty() {
            return Ok(request);
        }
        bind(&request, &meta).map_err(Wrong::of_caller)
    }

    /// What a model is asked by a caller whose protocol has no names: without those of its outputs the call cannot be
    /// answered whole.
    async fn named(&self, request: PredictRequest, member: &Member, given: &Given) -> Result<PredictRequest, Fault> {
        let meta = member.described().await?;
        let outputs = meta.outputs.iter().map(|output| output.name.clone()).collect();
        let request = PredictRequest { outputs, ..request };
        // A model here may know columns by its contract alone; others say why in the protocol of tensors.
        let is_here = member.backend.pool().is_some();
        match given.explains && !is_here && !meta.inputs.is_empty() {
            true => bind(&request, &meta).map_err(Wrong::of_caller),
            false => Ok(PredictRequest { explains: given.explains && is_here, ..request }),
        }
    }

    fn fed(&self, node: &NodeSpec, step: &StepSpec, given: &Given, takes: &[&str]) -> Result<Vec<Tensor>, Fault> {
        let fed = feed(step, &given.tensors, takes);
        fed.map_err(|misfit| match step.target {
            // Whoever asks a model or a plugin adds the node.
            Target::Node(_) => at_node(node, Fault::field("inputs", misfit.to_string())),
            Target::Model(_) | Target::Plugin(_) => Fault::field("inputs", misfit.to_string()),
        })
    }

    fn plugin(&self, node: &NodeSpec, step: &StepSpec, name: &PluginName, given: &Given) -> Result<Vec<Tensor>, Fault> {
        let plugin = self.graph.plugins.get(name).ok_or_else(|| Fault::internal(format!("no plugin `{name}`")))?;
        let given = self.fed(node, step, given, &[])?;
        let seen = Seen {
            id: self.id,
            route: &self.graph.route,
            tenant: self.call.turn.tenant.as_ref(),
            api: Api::Predict,
            model: None,
            prompt_version: None,
            headers: &[],
        };
        shown::shown(&**plugin, &seen, &given)
    }

    fn spent(&self) -> Duration {
        self.graph.clock.now().saturating_duration_since(self.began)
    }

    fn us(&self) -> u64 {
        micros(self.spent())
    }

    fn begin(&self, visit: Visit) -> Option<u32> {
        Some(self.call.aside.as_ref()?.visits.begin(visit))
    }

    fn write(&self, visit: Option<u32>, write: impl FnOnce(&mut Visit)) {
        if let (Some(aside), Some(visit)) = (&self.call.aside, visit) {
            aside.visits.write(visit, write);
        }
    }

    fn end<T>(&self, visit: Option<u32>, began: Instant, done: &Result<T, Fault>) {
        let us = micros(self.graph.clock.now().saturating_duration_since(began));
        let fault = done.as_ref().err().map(|fault| fault.kind);
        self.write(visit, |visit| (visit.us, visit.fault) = (Some(us), fault));
    }
}

/// A fault of a node itself.
fn at_node(node: &NodeSpec, fault: Fault) -> Fault {
    Fault { says: format!("the node `{}`: {}", node.name, fault.says).into(), ..fault }
}

/// A fault of what a node asked.
fn within_step(node: &NodeSpec, what: &str, name: &str, fault: Fault) -> Fault {
    Fault { says: format!("the node `{}`, {what} `{name}`: {}", node.name, fault.says).into(), ..fault }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
