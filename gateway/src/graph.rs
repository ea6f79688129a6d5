//! A graph of classic models as a backend. Owns what it is built of and what it says of itself; [`walk`] takes a call
//! through it, and what its nodes make of tensors is pure and `tidegate-route`'s.

mod shown;
mod walk;

use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use tidegate_core::port::BoxFuture;
use tidegate_core::port::backend::{Answer, Backend, Call, Frames};
use tidegate_core::port::filter::Filter;
use tidegate_core::spec::graph::{GraphSpec, Target};
use tidegate_core::tensor::ModelMeta;
use tidegate_core::{Clock, Fault, FaultKind, ModelName, PluginName, RouteName};
use tokio::sync::OnceCell;
use walk::Walk;

/// A graph of classic models.
#[derive(Debug)]
pub(crate) struct Graph {
    /// What it was built from.
    pub(crate) spec: Arc<GraphSpec>,
    /// The route that it is of.
    pub(crate) route: RouteName,
    /// Its models.
    pub(crate) models: BTreeMap<ModelName, Member>,
    /// Its plugins.
    pub(crate) plugins: BTreeMap<PluginName, Arc<dyn Filter>>,
    /// Time.
    pub(crate) clock: Arc<dyn Clock>,
}

/// A model of a graph.
#[derive(Debug)]
pub(crate) struct Member {
    /// What runs it.
    pub(crate) backend: Arc<dyn Backend>,
    /// Its name there.
    pub(crate) upstream: Arc<str>,
    /// Its version in the registry, where it comes from there.
    pub(crate) version: Option<u32>,
    /// What it says of itself, asked once.
    meta: OnceCell<ModelMeta>,
}

impl Member {
    /// A model that was asked nothing yet.
    pub(crate) fn new(backend: Arc<dyn Backend>, upstream: &str, version: Option<u32>) -> Self {
        Self { backend, upstream: upstream.into(), version, meta: OnceCell::new() }
    }

    /// What it takes and gives; nothing where it does not say.
    async fn described(&self) -> Result<ModelMeta, Fault> {
        match self.meta.get_or_try_init(|| self.backend.describe(&self.upstream)).await {
            Err(fault) if fault.kind == FaultKind::NotFound => Ok(ModelMeta::default()),
            asked => asked.cloned(),
        }
    }

    /// The same; nothing where it cannot be asked now.
    async fn meta(&self) -> ModelMeta {
        self.described().await.unwrap_or_default()
    }
}

impl Graph {
    async fn answer(&self, call: Call) -> Result<Answer, Fault> {
        let predicted = Walk::of(self, &call)?.whole().await?;
        Ok(Answer { body: Bytes::new(), usage: None, endpoint: None, predicted: Some(Arc::new(predicted)) })
    }

    /// The model that a node begins or ends with, where it is one.
    fn model_at(&self, node: usize, first: bool) -> Option<&Member> {
        let node = self.spec.nodes().get(node)?;
        let is_row = matches!(node.work, tidegate_core::spec::graph::NodeWork::Sequence(_));
        let step = if is_row && !first { node.steps().last() } else { node.steps().next() }?;
        match &step.target {
            Target::Model(name) => self.models.get(name),
            // A graph has no cycle.
            Target::Node(inner) => self.model_at(*inner, first),
            Target::Plugin(_) => None,
        }
    }

    /// What goes in is what its first model takes, what comes out what its last one gives; of several, the first one.
    async fn described(&self) -> ModelMeta {
        let (first, last) = (self.model_at(self.spec.root_index(), true), self.model_at(self.spec.root_index(), false));
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        if let Some(first) = first {
            inputs = first.meta().await.inputs;
        }
        if let Some(last) = last {
            outputs = last.meta().await.outputs;
        }
        ModelMeta { platform: "tidegate_graph".to_owned(), versions: Vec::new(), inputs, outputs }
    }
}

impl Backend for Graph {
    fn complete(&self, call: Call) -> BoxFuture<'_, Result<Answer, Fault>> {
        Box::pin(self.answer(call))
    }

    fn stream(&self, _: Call) -> BoxFuture<'_, Result<Frames, Fault>> {
        Box::pin(async { Err(Fault::field("stream", "classic models answer as a whole: leave `stream` out")) })
    }

    fn ready(&self) -> bool {
        self.models.values().all(|model| model.backend.ready())
    }

    fn is_classic(&self) -> bool {
        true
    }

    fn is_graph(&self) -> bool {
        true
    }

    fn members(&self) -> Vec<(&ModelName, &dyn Backend)> {
        self.models.iter().map(|(name, model)| (name, &*model.backend)).collect()
    }

    fn describe<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<ModelMeta, Fault>> {
        Box::pin(async { Ok(self.described().await) })
    }
}
