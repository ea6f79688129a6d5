//! `graph` of a route or a variant: classic models put together. Owns how nodes and steps are written; what is a graph
//! that can be walked is `core`'s question, and whether its models and plugins are there `refer`'s.

use super::Desk;
use crate::place::Place;
use crate::report::Notes;
use crate::scalar::{At, Count, Flaw, Number, Scalar, Share, Text};
use crate::shape::{Item, Map, Placed, choice, record};
use crate::suggest::nearest;
use schemars::{Schema, json_schema};
use std::sync::Arc;
use tidegate_core::spec::graph::{
    CaseSpec, Combine, EnsembleSpec, GraphSpec, NodeSpec, NodeWork, StepSpec, SwitchSpec, Target, ValueIs,
};
use tidegate_core::{ModelName, NodeName, PluginName};

record! {
    /// Classic models put together, asked in the place of one.
    GraphFile {
        required {
            /// Its nodes.
            nodes: Map<NodeFile>,
        }
        optional {
            /// The node at which calls begin; the first one by default.
            root: At<NodeName>,
        }
    }
}

choice! {
    /// What a node does with the tensors that it is given.
    NodeFile {
        maps {
            /// Steps one after another, each given what the one before it answered.
            Sequence(Vec<StepFile>) = "sequence",
            /// All members at the same time, and one answer made of theirs.
            Ensemble(EnsembleFile) = "ensemble",
            /// The first branch whose condition holds.
            Switch(Box<SwitchFile>) = "switch",
            /// One of these, by chance, as the call's id draws it.
            Splitter(Vec<PartFile>) = "splitter",
        }
    }
}

choice! {
    /// What a step is given.
    TakesFile {
        words {
            /// What the step before it answered; of a first step, what its node is given.
            Answer = "answer",
            /// What the caller sent.
            Request = "request",
        }
    }
}

record! {
    /// A step: it asks a model, another node, or a plugin that is shown the tensors as JSON of the Open Inference
    /// Protocol.
    StepFile {
        optional {
            /// The model that it asks.
            model: At<ModelName>,
            /// The node of this graph that it goes to.
            node: At<NodeName>,
            /// The plugin that it asks.
            plugin: At<PluginName>,
            /// What it is given; `answer` by default.
            takes: TakesFile,
            /// The tensors that it is given, by their names as its inputs: `{INPUT: TENSOR}`. All of them by default.
            inputs: Map<At<Text>>,
        }
    }
}

record! {
    /// Members whose answers are made one, value by value.
    EnsembleFile {
        required {
            /// How.
            combine: CombineFile,
            /// The members, two at least.
            members: Vec<MemberFile>,
        }
        optional {
            /// The outputs that the answer has; by default all of the first member's.
            outputs: Vec<At<Text>>,
        }
    }
}

choice! {
    /// How answers are made one.
    CombineFile {
        words {
            /// By their mean.
            Mean = "mean",
            /// By what most of them say, which suits labels.
            Vote = "vote",
            /// By their mean, each with its weight.
            Weighted = "weighted",
        }
    }
}

record! {
    /// A member of an ensemble.
    MemberFile {
        optional {
            /// The model that it asks.
            model: At<ModelName>,
            /// The node of this graph that it goes to.
            node: At<NodeName>,
            /// The plugin that it asks.
            plugin: At<PluginName>,
            /// What it is given; `answer` by default.
            takes: TakesFile,
            /// The tensors that it is given, by their names as its inputs: `{INPUT: TENSOR}`. All of them by default.
            inputs: Map<At<Text>>,
            /// Its weight, where the ensemble is `weighted`; 1 by default.
            weight: At<Number>,
        }
    }
}

record! {
    /// Branches of which one is gone.
    SwitchFile {
        required {
            /// The branches with a condition, in the order in which they are tried.
            cases: Vec<BranchFile>,
        }
        optional {
            /// The branch for all others; without it, what the switch was given is its answer.
            otherwise: StepFile,
        }
    }
}

record! {
    /// A branch of a switch.
    BranchFile {
        required {
            /// When it is gone.
            when: CaseFile,
        }
        optional {
            /// The model that it asks.
            model: At<ModelName>,
            /// The node of this graph that it goes to.
            node: At<NodeName>,
            /// The plugin that it asks.
            plugin: At<PluginName>,
            /// What it is given; `answer` by default.
            takes: TakesFile,
            /// The tensors that it is given, by their names as its inputs: `{INPUT: TENSOR}`. All of them by default.
            inputs: Map<At<Text>>,
        }
    }
}

record! {
    /// A condition on a value of a tensor, which must go the same way for all rows of a call.
    CaseFile {
        required {
            /// The tensor.
            tensor: At<Text>,
            /// What its value must be.
            is: IsFile,
        }
        optional {
            /// Which value of a row, the first one being 1; 1 by default.
            column: At<Count>,
        }
    }
}

choice! {
    /// What a value must be.
    IsFile {
        maps {
            /// A number above this.
            Above(At<Number>) = "above",
            /// A number of at least this.
            AtLeast(At<Number>) = "at_least",
            /// A number below this.
            Below(At<Number>) = "below",
            /// One of these texts or numbers.
            OneOf(Vec<At<Plain>>) = "one_of",
        }
    }
}

/// A text or a number, as a value is compared with it.
#[derive(Debug, Clone)]
pub(crate) struct Plain(String);

impl Scalar for Plain {
    const WHAT: &'static str = "a text or a number";

    fn parse(text: &str) -> Result<Self, Flaw> {
        Ok(Self(text.to_owned()))
    }

    fn schema() -> Schema {
        json_schema!({"type": ["string", "number", "boolean"]})
    }
}

record! {
    /// A part of a splitter.
    PartFile {
        required {
            /// The share of calls that go there, 100% together.
            share: At<Share>,
        }
        optional {
            /// The model that it asks.
            model: At<ModelName>,
            /// The node of this graph that it goes to.
            node: At<NodeName>,
            /// The plugin that it asks.
            plugin: At<PluginName>,
            /// What it is given; `answer` by default.
            takes: TakesFile,
            /// The tensors that it is given, by their names as its inputs: `{INPUT: TENSOR}`. All of them by default.
            inputs: Map<At<Text>>,
        }
    }
}

/// What all kinds of steps say alike.
struct Asks<'a> {
    at: &'a Place,
    model: Option<&'a At<ModelName>>,
    node: Option<&'a At<NodeName>>,
    plugin: Option<&'a At<PluginName>>,
    takes: Option<&'a TakesFile>,
    inputs: Option<&'a Map<At<Text>>>,
    /// How many of model, node and plugin are there, right or wrong.
    targets: usize,
}

macro_rules! asks {
    ($($name:ident)*) => {$(
        impl $name {
            fn asks(&self) -> Asks<'_> {
                let targets = ["model", "node", "plugin"].into_iter().filter(|field| self.here().has(field)).count();
                Asks {
                    at: self.at(),
                    model: self.model.as_ref(),
                    node: self.node.as_ref(),
                    plugin: self.plugin.as_ref(),
                    takes: self.takes.as_ref(),
                    inputs: self.inputs.as_ref(),
                    targets,
                }
            }
        }
    )*};
}

asks! { StepFile MemberFile BranchFile PartFile }

impl GraphFile {
    /// Its steps, of all nodes.
    fn steps(&self) -> Vec<Asks<'_>> {
        let nodes = self.nodes.iter().flat_map(|nodes| &nodes.0).filter_map(|item| item.value.as_ref());
        nodes.flat_map(NodeFile::steps).collect()
    }

    /// The models that it names.
    pub(crate) fn models(&self) -> impl Iterator<Item = &At<ModelName>> {
        self.steps().into_iter().filter_map(|step| step.model)
    }

    /// The plugins that it names.
    pub(crate) fn plugins(&self) -> impl Iterator<Item = &At<PluginName>> {
        self.steps().into_iter().filter_map(|step| step.plugin)
    }
}

impl NodeFile {
    fn steps(&self) -> Vec<Asks<'_>> {
        match self {
            Self::Sequence(steps) => steps.iter().map(StepFile::asks).collect(),
            Self::Ensemble(ensemble) => ensemble.members.iter().flatten().map(MemberFile::asks).collect(),
            Self::Switch(switch) => {
                let cases = switch.cases.iter().flatten().map(BranchFile::asks);
                cases.chain(switch.otherwise.iter().map(StepFile::asks)).collect()
            }
            Self::Splitter(parts) => parts.iter().map(PartFile::asks).collect(),
        }
    }
}

/// The graph of a route or a variant.
pub(super) fn check(raw: &GraphFile, desk: &mut Desk<'_>) -> Option<Arc<GraphSpec>> {
    let items = &raw.nodes.as_ref()?.0;
    if items.is_empty() {
        desk.notes
            .fault(raw.at(), "this graph has no node")
            .remedy("add one: `nodes: {both: {ensemble: {combine: mean, members: [{model: A}, {model: B}]}}}`");
        return None;
    }
    let names: Vec<&str> = items.iter().map(|item| item.name.as_str()).collect();
    let nodes: Vec<Option<NodeSpec>> = items.iter().map(|item| node(item, &names, desk)).collect();
    let root = match &raw.root {
        None => (!raw.here().has("root")).then_some(0),
        Some(given) => index(given, &names, desk.notes),
    };
    let nodes: Vec<NodeSpec> = nodes.into_iter().collect::<Option<_>>()?;
    match GraphSpec::new(nodes, root?) {
        Ok(graph) => Some(Arc::new(graph)),
        Err(fault) => {
            let at = items.get(fault.node()).map_or(raw.at(), |item| &item.at);
            desk.notes.fault(at, fault.to_string()).remedy(fault.remedy());
            None
        }
    }
}

fn node(item: &Item<NodeFile>, names: &[&str], desk: &mut Desk<'_>) -> Option<NodeSpec> {
    let name = super::name::<NodeName>(&item.name, &item.at, desk);
    let notes = &mut *desk.notes;
    let work = match item.value.as_ref()? {
        NodeFile::Sequence(steps) => {
            let steps: Vec<Option<StepSpec>> = steps.iter().map(|raw| step(&raw.asks(), names, notes)).collect();
            NodeWork::Sequence(steps.into_iter().collect::<Option<_>>()?)
        }
        NodeFile::Ensemble(raw) => NodeWork::Ensemble(ensemble(raw, names, notes)?),
        NodeFile::Switch(raw) => NodeWork::Switch(switch(raw, names, notes)?),
        NodeFile::Splitter(parts) => {
            let one = |raw: &PartFile, notes: &mut Notes| {
                let step = step(&raw.asks(), names, notes);
                Some((raw.share.as_ref()?.value.0, step?))
            };
            let parts: Vec<Option<(f64, StepSpec)>> = parts.iter().map(|raw| one(raw, notes)).collect();
            NodeWork::Splitter(parts.into_iter().collect::<Option<_>>()?)
        }
    };
    Some(NodeSpec { name: name?, work })
}

fn ensemble(raw: &EnsembleFile, names: &[&str], notes: &mut Notes) -> Option<EnsembleSpec> {
    let combine = raw.combine.as_ref().map(|combine| match combine {
        CombineFile::Mean => Combine::Mean,
        CombineFile::Vote => Combine::Vote,
        CombineFile::Weighted => Combine::Weighted,
    });
    let one = |raw: &MemberFile, notes: &mut Notes| {
        if let (Some(weight), Some(Combine::Mean | Combine::Vote)) = (&raw.weight, combine) {
            notes
                .fault(&weight.at, "this can never apply: the ensemble counts all members alike")
                .remedy("write `combine: weighted`, or leave `weight` out");
        }
        let step = step(&raw.asks(), names, notes);
        // A weight that is faulty says so itself.
        let weight = raw.weight.as_ref().map_or(1.0, |weight| weight.value.0);
        Some((weight, step?))
    };
    let members: Vec<Option<(f64, StepSpec)>> = raw.members.iter().flatten().map(|raw| one(raw, notes)).collect();
    raw.members.as_ref()?;
    let outputs = raw.outputs.iter().flatten().map(|name| name.value.0.clone()).collect();
    Some(EnsembleSpec { combine: combine?, members: members.into_iter().collect::<Option<_>>()?, outputs })
}

fn switch(raw: &SwitchFile, names: &[&str], notes: &mut Notes) -> Option<SwitchSpec> {
    let one = |raw: &BranchFile, notes: &mut Notes| {
        let step = step(&raw.asks(), names, notes);
        Some((case(raw.when.as_ref()?, notes)?, step?))
    };
    let cases: Vec<Option<(CaseSpec, StepSpec)>> = raw.cases.iter().flatten().map(|raw| one(raw, notes)).collect();
    let otherwise = match &raw.otherwise {
        None => (!raw.here().has("otherwise")).then_some(None),
        Some(raw) => step(&raw.asks(), names, notes).map(Some),
    };
    raw.cases.as_ref()?;
    Some(SwitchSpec { cases: cases.into_iter().collect::<Option<_>>()?, otherwise: otherwise? })
}

fn case(raw: &CaseFile, notes: &mut Notes) -> Option<CaseSpec> {
    let is = match raw.is.as_ref()? {
        IsFile::Above(number) => ValueIs::Above(number.value.0),
        IsFile::AtLeast(number) => ValueIs::AtLeast(number.value.0),
        IsFile::Below(number) => ValueIs::Below(number.value.0),
        IsFile::OneOf(texts) => {
            if texts.is_empty() {
                notes
                    .fault(raw.at(), "this can never apply: `one_of` names nothing")
                    .remedy("write `is: {one_of: [DE, AT]}`");
                return None;
            }
            ValueIs::OneOf(texts.iter().map(|text| text.value.0.clone()).collect())
        }
    };
    let at = raw.column.as_ref().map_or(0, |column| column.value.size() - 1);
    Some(CaseSpec { tensor: raw.tensor.as_ref()?.value.0.clone(), at, is })
}

fn step(raw: &Asks<'_>, names: &[&str], notes: &mut Notes) -> Option<StepSpec> {
    if raw.targets != 1 {
        let says = if raw.targets == 0 { "this step asks nothing" } else { "this step asks several things" };
        notes.fault(raw.at, says).remedy("write one of `model: NAME`, `node: NAME` and `plugin: NAME`");
        return None;
    }
    let target = match (raw.model, raw.node, raw.plugin) {
        (Some(model), _, _) => Target::Model(model.value.clone()),
        (_, Some(node), _) => Target::Node(index(node, names, notes)?),
        (_, _, Some(plugin)) => Target::Plugin(plugin.value.clone()),
        // It is faulty and says so itself.
        (None, None, None) => return None,
    };
    let inputs = raw.inputs.iter().flat_map(|inputs| &inputs.0);
    let inputs: Option<Vec<(String, String)>> =
        inputs.map(|item| Some((item.name.clone(), item.value.as_ref()?.value.0.clone()))).collect();
    Some(StepSpec { target, takes_request: matches!(raw.takes, Some(TakesFile::Request)), inputs: inputs? })
}

/// The index of a node; that there is none such is noted.
fn index(given: &At<NodeName>, names: &[&str], notes: &mut Notes) -> Option<usize> {
    let name = given.value.as_str();
    let found = names.iter().position(|known| *known == name);
    if found.is_none() {
        notes
            .fault(&given.at, format!("this graph has no node {}", given.shown()))
            .meant(nearest(name, names.iter().copied()), || format!("it has {}", names.join(", ")));
    }
    found
}
