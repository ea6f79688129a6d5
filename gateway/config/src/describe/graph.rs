//! Graphs of classic models, as JSON. Owns how nodes and steps are shown: as they are written.

use serde_json::{Map, Value, json};
use tidegate_core::spec::graph::{CaseSpec, Combine, GraphSpec, NodeSpec, NodeWork, StepSpec, Target, ValueIs};

pub(super) fn graph(graph: &GraphSpec) -> Value {
    let nodes = graph.nodes().iter().map(|node| (node.name.to_string(), shown(node, graph)));
    json!({"root": graph.root().name, "nodes": nodes.collect::<Map<_, _>>()})
}

fn shown(node: &NodeSpec, graph: &GraphSpec) -> Value {
    let step = |of: &StepSpec| step(of, graph);
    let with = |of: &StepSpec, name: &str, value: Value| {
        let mut shown = step(of);
        shown[name] = value;
        shown
    };
    match &node.work {
        NodeWork::Sequence(steps) => json!({"sequence": steps.iter().map(step).collect::<Vec<_>>()}),
        NodeWork::Ensemble(ensemble) => {
            let combine = match ensemble.combine {
                Combine::Mean => "mean",
                Combine::Vote => "vote",
                Combine::Weighted => "weighted",
            };
            let members = ensemble.members.iter().map(|(weight, of)| with(of, "weight", json!(weight)));
            json!({"ensemble": {
                "combine": combine, "members": members.collect::<Vec<_>>(), "outputs": ensemble.outputs,
            }})
        }
        NodeWork::Switch(switch) => {
            let cases = switch.cases.iter().map(|(when, of)| with(of, "when", case(when)));
            json!({"switch": {
                "cases": cases.collect::<Vec<_>>(), "otherwise": switch.otherwise.as_ref().map(step),
            }})
        }
        NodeWork::Splitter(parts) => {
            let parts = parts.iter().map(|(share, of)| with(of, "share", json!(share)));
            json!({"splitter": parts.collect::<Vec<_>>()})
        }
    }
}

fn step(step: &StepSpec, graph: &GraphSpec) -> Value {
    let mut shown = match &step.target {
        Target::Model(model) => json!({"model": model}),
        Target::Node(node) => json!({"node": graph.nodes().get(*node).map(|node| &node.name)}),
        Target::Plugin(plugin) => json!({"plugin": plugin}),
    };
    shown["takes"] = json!(if step.takes_request { "request" } else { "answer" });
    shown["inputs"] = json!(step.inputs.iter().cloned().collect::<std::collections::BTreeMap<_, _>>());
    shown
}

fn case(case: &CaseSpec) -> Value {
    let is = match &case.is {
        ValueIs::Above(bound) => json!({"above": bound}),
        ValueIs::AtLeast(bound) => json!({"at_least": bound}),
        ValueIs::Below(bound) => json!({"below": bound}),
        ValueIs::OneOf(all) => json!({"one_of": all}),
    };
    json!({"tensor": case.tensor, "column": case.at + 1, "is": is})
}
