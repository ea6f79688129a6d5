//! Graphs of classic models: what a variant asks in the place of one model. Owns that a graph that is there can be
//! walked: it has no cycle, its nodes have what they need, and a call takes a bounded number of steps. Walking it is
//! the program's.

mod fault;

pub use fault::GraphFault;

use crate::{ModelName, NodeName, PluginName};

/// The most nodes that lie one within another.
pub const MOST_DEPTH: usize = 8;
/// The most models and plugins that one call can ask, whichever way it goes.
pub const MOST_STEPS: usize = 64;
/// How far shares may add up to something else than 1: what adding decimal fractions can lose.
const ROUNDING: f64 = 1e-9;

/// A graph of nodes, checked when it was made.
#[derive(Debug, Clone, PartialEq)]
pub struct GraphSpec {
    nodes: Vec<NodeSpec>,
    root: usize,
}

/// A node of a graph.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeSpec {
    /// Its name.
    pub name: NodeName,
    /// What it does.
    pub work: NodeWork,
}

/// What a node does with the tensors that it is given.
#[derive(Debug, Clone, PartialEq)]
pub enum NodeWork {
    /// Steps one after another, each given what the one before it answered. One at least.
    Sequence(Vec<StepSpec>),
    /// All steps at the same time, and one answer made of theirs.
    Ensemble(EnsembleSpec),
    /// The first branch whose condition holds.
    Switch(SwitchSpec),
    /// One of these steps, by chance: their shares, each in `(0, 1]`, add up to 1.
    Splitter(Vec<(f64, StepSpec)>),
}

/// One step of a node.
#[derive(Debug, Clone, PartialEq)]
pub struct StepSpec {
    /// What is asked.
    pub target: Target,
    /// Whether it is given what the call asked, and not what its node was given or the step before it answered.
    pub takes_request: bool,
    /// Which tensors it is given by which name: `(input, tensor)`. All of them, as they are called, where it is empty.
    pub inputs: Vec<(String, String)>,
}

/// What a step asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A model.
    Model(ModelName),
    /// A node of the same graph, by its index.
    Node(usize),
    /// A plugin, which is shown the tensors as JSON and may put others in their place, or refuse the call.
    Plugin(PluginName),
}

/// Steps whose answers are made one.
#[derive(Debug, Clone, PartialEq)]
pub struct EnsembleSpec {
    /// How.
    pub combine: Combine,
    /// The steps and their weights; two at least. Weights other than those of [`Combine::Weighted`] are 1.
    pub members: Vec<(f64, StepSpec)>,
    /// The outputs that the answer has; all where none is named.
    pub outputs: Vec<String>,
}

/// How answers are made one, value by value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Combine {
    /// Their mean.
    Mean,
    /// The value that most of them have; of those that as many have, the one that stands first.
    Vote,
    /// Their mean by weights.
    Weighted,
}

/// Branches of which one is gone.
#[derive(Debug, Clone, PartialEq)]
pub struct SwitchSpec {
    /// The branches and when they are gone, in the order in which they are tried; one at least.
    pub cases: Vec<(CaseSpec, StepSpec)>,
    /// The branch for all others; where there is none, what the node was given is its answer.
    pub otherwise: Option<StepSpec>,
}

/// A condition on the tensors that a switch is given.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseSpec {
    /// Which tensor.
    pub tensor: String,
    /// Which value of each row, from 0.
    pub at: usize,
    /// What that must be.
    pub is: ValueIs,
}

/// What a value must be.
#[derive(Debug, Clone, PartialEq)]
pub enum ValueIs {
    /// A number above this.
    Above(f64),
    /// A number of at least this.
    AtLeast(f64),
    /// A number below this.
    Below(f64),
    /// One of these: texts, or numbers as texts.
    OneOf(Vec<String>),
}

impl GraphSpec {
    /// The graph of these nodes, which begins at `root`.
    ///
    /// # Errors
    /// It cannot be walked, or not within bounds.
    pub fn new(nodes: Vec<NodeSpec>, root: usize) -> Result<Self, GraphFault> {
        if nodes.len() > MOST_STEPS {
            return Err(GraphFault::Nodes { nodes: nodes.len() });
        }
        for (at, node) in nodes.iter().enumerate() {
            if nodes[..at].iter().any(|other| other.name == node.name) {
                return Err(GraphFault::Twice { node: at });
            }
            fits(at, node)?;
            let outside = node.steps().find_map(|step| match step.target {
                Target::Node(to) if to >= nodes.len() => Some(to),
                _ => None,
            });
            if let Some(to) = outside {
                return Err(GraphFault::Unknown { node: at, to });
            }
        }
        if root >= nodes.len() {
            return Err(GraphFault::Root { root });
        }
        let graph = Self { nodes, root };
        let mut known = vec![Known::Nothing; graph.nodes.len()];
        let reach = graph.reach(root, &mut known)?;
        if let Some(node) = known.iter().position(|known| matches!(known, Known::Nothing)) {
            return Err(GraphFault::Unreachable { node });
        }
        if reach.depth > MOST_DEPTH {
            return Err(GraphFault::Depth { node: root, depth: reach.depth });
        }
        if reach.steps > MOST_STEPS {
            return Err(GraphFault::Steps { node: root, steps: reach.steps });
        }
        Ok(graph)
    }

    /// The nodes, in the order of the file.
    #[must_use]
    pub fn nodes(&self) -> &[NodeSpec] {
        &self.nodes
    }

    /// The node at which calls begin.
    #[must_use]
    pub fn root(&self) -> &NodeSpec {
        &self.nodes[self.root]
    }

    /// The index of that node.
    #[must_use]
    pub const fn root_index(&self) -> usize {
        self.root
    }

    /// The models that it asks.
    pub fn models(&self) -> impl Iterator<Item = &ModelName> {
        self.nodes.iter().flat_map(NodeSpec::steps).filter_map(|step| match &step.target {
            Target::Model(model) => Some(model),
            Target::Node(_) | Target::Plugin(_) => None,
        })
    }

    /// The plugins that it asks.
    pub fn plugins(&self) -> impl Iterator<Item = &PluginName> {
        self.nodes.iter().flat_map(NodeSpec::steps).filter_map(|step| match &step.target {
            Target::Plugin(plugin) => Some(plugin),
            Target::Node(_) | Target::Model(_) => None,
        })
    }

    /// How far it goes from a node, each of which is looked at once: a graph in which many ways meet has more ways than
    /// anybody could walk.
    fn reach(&self, node: usize, known: &mut [Known]) -> Result<Reach, GraphFault> {
        match known[node] {
            Known::All(reach) => return Ok(reach),
            Known::Begun => return Err(GraphFault::Cycle { node }),
            Known::Nothing => known[node] = Known::Begun,
        }
        let NodeSpec { work, .. } = &self.nodes[node];
        let goes_all = matches!(work, NodeWork::Sequence(_) | NodeWork::Ensemble(_));
        let mut reach = Reach { depth: 0, steps: 0 };
        for step in self.nodes[node].steps() {
            let of = match step.target {
                Target::Node(to) => self.reach(to, known)?,
                Target::Model(_) | Target::Plugin(_) => Reach { depth: 0, steps: 1 },
            };
            reach.depth = reach.depth.max(of.depth);
            reach.steps = if goes_all { reach.steps.saturating_add(of.steps) } else { reach.steps.max(of.steps) };
        }
        let reach = Reach { depth: reach.depth + 1, ..reach };
        known[node] = Known::All(reach);
        Ok(reach)
    }
}

impl NodeSpec {
    /// Its steps, in their order.
    pub fn steps(&self) -> impl Iterator<Item = &StepSpec> {
        let steps: Vec<&StepSpec> = match &self.work {
            NodeWork::Sequence(steps) => steps.iter().collect(),
            NodeWork::Ensemble(ensemble) => ensemble.members.iter().map(|(_, step)| step).collect(),
            NodeWork::Splitter(parts) => parts.iter().map(|(_, step)| step).collect(),
            NodeWork::Switch(switch) => switch.cases.iter().map(|(_, step)| step).chain(&switch.otherwise).collect(),
        };
        steps.into_iter()
    }

    /// Its kind, as the configuration names it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self.work {
            NodeWork::Sequence(_) => "sequence",
            NodeWork::Ensemble(_) => "ensemble",
            NodeWork::Switch(_) => "switch",
            NodeWork::Splitter(_) => "splitter",
        }
    }
}

/// What is known of where a node leads.
#[derive(Debug, Clone, Copy)]
enum Known {
    Nothing,
    Begun,
    All(Reach),
}

/// How far a graph goes from a node.
#[derive(Debug, Clone, Copy)]
struct Reach {
    /// Nodes one within another, with itself.
    depth: usize,
    /// The most models and plugins that are asked.
    steps: usize,
}

/// Whether a node has what it needs.
fn fits(at: usize, node: &NodeSpec) -> Result<(), GraphFault> {
    let least = if matches!(node.work, NodeWork::Ensemble(_) | NodeWork::Splitter(_)) { 2 } else { 1 };
    let has = match &node.work {
        NodeWork::Switch(switch) => switch.cases.len(),
        _ => node.steps().count(),
    };
    if has < least {
        return Err(GraphFault::Arity { node: at, kind: node.kind(), has, least });
    }
    match &node.work {
        NodeWork::Ensemble(ensemble) => {
            let is_weight = |weight: f64| weight.is_finite() && weight > 0.0;
            let wrong = ensemble.members.iter().find(|(weight, _)| !is_weight(*weight));
            let sum: f64 = ensemble.members.iter().map(|(weight, _)| weight).sum();
            match wrong {
                Some((weight, _)) => Err(GraphFault::Weight { node: at, weight: *weight }),
                None if !sum.is_finite() => Err(GraphFault::Weight { node: at, weight: sum }),
                None => Ok(()),
            }
        }
        NodeWork::Splitter(parts) => {
            let wrong = parts.iter().find(|(share, _)| !(share.is_finite() && *share > 0.0));
            let sum: f64 = parts.iter().map(|(share, _)| share).sum();
            match wrong {
                Some((share, _)) => Err(GraphFault::Share { node: at, share: *share }),
                None if (sum - 1.0).abs() > ROUNDING => Err(GraphFault::Shares { node: at, sum }),
                None => Ok(()),
            }
        }
        NodeWork::Sequence(_) | NodeWork::Switch(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests;
