//! A call on its way through a graph. Owns the order in which models are asked, the time that each has, and what the
//! call's record has of it; every fault names the node that it is of.

use super::{Graph, shown};
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tidegate_core::port::BoxFuture;
use tidegate_core::port::backend::{Call, Deadlines, Predict};
use tidegate_core::port::filter::Seen;
use tidegate_core::spec::graph::{EnsembleSpec, NodeSpec, NodeWork, StepSpec, SwitchSpec, Target};
use tidegate_core::{
    Api, Fault, FaultKind, InferenceId, ModelName, PluginName, PredictAnswer, PredictRequest, Tensor, Visit,
};
use tidegate_route::graph::{branch, combine, feed, part};

/// A call on its way.
pub(super) struct Walk<'a> {
    graph: &'a Graph,
    call: &'a Call,
    asked: Arc<PredictRequest>,
    id: InferenceId,
    began: Instant,
    /// How many rules of their contracts the models found broken, where they have any.
    violations: Mutex<Option<u32>>,
}

/// Tensors on their way.
#[derive(Clone)]
struct Given {
    tensors: Arc<[Tensor]>,
    /// Whether they are what the caller sent.
    is_own: bool,
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
        if !matches!(request.parameters.get("explain"), None | Some(Value::Null | Value::Bool(false))) {
            let says = "a graph is not explained: ask one of its models by a route of its own, or leave `explain` out";
            return Err(Fault::field("parameters.explain", says));
        }
        let id = call.aside.as_ref().and_then(|aside| aside.call).unwrap_or_else(|| InferenceId::from_u128(0));
        let (asked, began) = (Arc::clone(request), graph.clock.now());
        Ok(Self { graph, call, asked, id, began, violations: Mutex::new(None) })
    }

    /// All of it.
    pub(super) async fn whole(&self) -> Result<PredictAnswer, Fault> {
        let root = self.graph.spec.root_index();
        let mut outputs = self.node(root, self.own(), None).await?;
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
        Ok(PredictAnswer { outputs, violations, ..PredictAnswer::default() })
    }

    /// What the caller sent.
    fn own(&self) -> Given {
        Given { tensors: self.asked.inputs.as_slice().into(), is_own: true }
    }

    fn node(&self, at: usize, given: Given, within: Option<u32>) -> BoxFuture<'_, Result<Vec<Tensor>, Fault>> {
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
    ) -> Result<Vec<Tensor>, Fault> {
        for step in steps {
            let answer = self.step(node, step, given, visit).await?;
            given = Given { tensors: answer.into(), is_own: false };
        }
        Ok(given.tensors.to_vec())
    }

    /// All members at the same time; where one fails, the others are given up.
    async fn ensemble(
        &self,
        node: &NodeSpec,
        ensemble: &EnsembleSpec,
        given: &Given,
        visit: Option<u32>,
    ) -> Result<Vec<Tensor>, Fault> {
        let members = ensemble.members.iter().map(|(_, step)| self.step(node, step, given.clone(), visit));
        let answers = futures_util::future::try_join_all(members).await?;
        let answers: Vec<&[Tensor]> = answers.iter().map(Vec::as_slice).collect();
        // What the members answered is not the caller's doing.
        let wrong = |misfit: String| at_node(node, Fault::new(FaultKind::UpstreamFailed, misfit));
        combine(ensemble, &answers).map_err(|misfit| wrong(misfit.to_string()))
    }

    async fn switch(
        &self,
        node: &NodeSpec,
        switch: &SwitchSpec,
        given: Given,
        visit: Option<u32>,
    ) -> Result<Vec<Tensor>, Fault> {
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
            None => Ok(given.tensors.to_vec()),
        }
    }

    async fn splitter(
        &self,
        node: &NodeSpec,
        parts: &[(f64, StepSpec)],
        given: Given,
        visit: Option<u32>,
    ) -> Result<Vec<Tensor>, Fault> {
        let shares: Vec<f64> = parts.iter().map(|(share, _)| *share).collect();
        let (drawn, draw) = part(&shares, self.id.as_u128(), node.name.as_str());
        self.write(visit, |visit| (visit.branch, visit.draw) = (u32::try_from(drawn).ok(), Some(draw)));
        let (_, step) = parts.get(drawn).ok_or_else(|| Fault::internal("a splitter drew a part that it has not"))?;
        self.step(node, step, given, visit).await
    }

    async fn step(
        &self,
        node: &NodeSpec,
        step: &StepSpec,
        given: Given,
        within: Option<u32>,
    ) -> Result<Vec<Tensor>, Fault> {
        let given = if step.takes_request { self.own() } else { given };
        let began = self.graph.clock.now();
        let begun = Visit::begun(within, self.us());
        match &step.target {
            Target::Node(inner) => {
                let given = match step.inputs.is_empty() {
                    true => given,
                    false => Given { tensors: self.fed(node, step, &given, &[])?.into(), is_own: false },
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
                self.end(visit, began, &done);
                done
            }
        }
    }

    async fn model(
        &self,
        node: &NodeSpec,
        step: &StepSpec,
        name: &ModelName,
        given: &Given,
    ) -> Result<Vec<Tensor>, Fault> {
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
        Ok(Arc::unwrap_or_clone(said).outputs)
    }

    /// What a model is asked. What the caller sent goes on as it came, with names and datatypes that are guesses where
    /// they were; all else is bound to what the model says that it takes.
    async fn request(
        &self,
        node: &NodeSpec,
        step: &StepSpec,
        member: &super::Member,
        given: &Given,
    ) -> Result<PredictRequest, Fault> {
        let is_as_sent = given.is_own && step.inputs.is_empty();
        if is_as_sent && !self.asked.is_loose {
            return Ok(PredictRequest { outputs: Vec::new(), ..(*self.asked).clone() });
        }
        // Without its names a loose call cannot be answered whole, nor bound by place.
        let meta = member.described().await?;
        if is_as_sent {
            // All outputs, by their names: without any, a loose request gets one alone.
            let outputs = meta.outputs.into_iter().map(|output| output.name).collect();
            return Ok(PredictRequest { outputs, ..(*self.asked).clone() });
        }
        let takes: Vec<&str> = meta.inputs.iter().map(|input| input.name.as_str()).collect();
        let inputs = self.fed(node, step, given, &takes)?;
        let request = PredictRequest { inputs, ..PredictRequest::default() };
        if meta.inputs.is_empty() {
            return Ok(request);
        }
        tidegate_dialect::bind(&request, &meta).map_err(tidegate_dialect::Wrong::of_caller)
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
