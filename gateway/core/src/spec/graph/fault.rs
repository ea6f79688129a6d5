//! Why nodes are no graph that can be walked. Owns the words; which node is meant is an index, since only the
//! configuration knows where it stands.

use super::{MOST_DEPTH, MOST_STEPS};

/// Why nodes are no graph that can be walked.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum GraphFault {
    /// The root is none of the nodes.
    #[error("the graph begins at a node that it does not have")]
    Root {
        /// Its index.
        root: usize,
    },
    /// There are too many nodes.
    #[error("the graph has {nodes} nodes, and {MOST_STEPS} are the most")]
    Nodes {
        /// How many.
        nodes: usize,
    },
    /// Two nodes have one name.
    #[error("another node has this name")]
    Twice {
        /// The second of them.
        node: usize,
    },
    /// A step leads to no node.
    #[error("a step leads to a node that is not there")]
    Unknown {
        /// Whose step.
        node: usize,
        /// The index that it names.
        to: usize,
    },
    /// A node has too few steps.
    #[error("{} {kind} has {least} {} at least, and this one has {has}", article(kind), parts(kind))]
    Arity {
        /// Which node.
        node: usize,
        /// Its kind.
        kind: &'static str,
        /// How many it has.
        has: usize,
        /// How many it needs.
        least: usize,
    },
    /// A weight is none.
    #[error("a weight is a number above 0, and not {weight}")]
    Weight {
        /// Whose.
        node: usize,
        /// What it is.
        weight: f64,
    },
    /// A share is none.
    #[error("a share is above 0, and not {share}")]
    Share {
        /// Whose.
        node: usize,
        /// What it is.
        share: f64,
    },
    /// Shares are not all.
    #[error("the shares add up to {:.4} and not to 1", sum)]
    Shares {
        /// Whose.
        node: usize,
        /// What they add up to.
        sum: f64,
    },
    /// A node leads back to itself.
    #[error("this node leads back to itself")]
    Cycle {
        /// Which.
        node: usize,
    },
    /// Nothing leads to a node.
    #[error("nothing leads to this node from where the graph begins")]
    Unreachable {
        /// Which.
        node: usize,
    },
    /// Too many nodes lie one within another.
    #[error("{depth} nodes lie one within another here, and {MOST_DEPTH} are the most")]
    Depth {
        /// Where it begins.
        node: usize,
        /// How many.
        depth: usize,
    },
    /// A call would ask too much.
    #[error("one call would ask {steps} models and plugins, and {MOST_STEPS} are the most")]
    Steps {
        /// Where it begins.
        node: usize,
        /// How many.
        steps: usize,
    },
}

impl GraphFault {
    /// The index of the node that it is about.
    #[must_use]
    pub const fn node(&self) -> usize {
        match self {
            Self::Nodes { .. } => 0,
            Self::Root { root: node }
            | Self::Twice { node }
            | Self::Unknown { node, .. }
            | Self::Arity { node, .. }
            | Self::Weight { node, .. }
            | Self::Share { node, .. }
            | Self::Shares { node, .. }
            | Self::Cycle { node }
            | Self::Unreachable { node }
            | Self::Depth { node, .. }
            | Self::Steps { node, .. } => *node,
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Root { .. } | Self::Unknown { .. } => "name one of the graph's nodes",
            Self::Twice { .. } => "rename one of them",
            Self::Arity { .. } => "add one, or name its only step in the place of this node",
            Self::Weight { .. } => "write a number such as `2` or `0.5`, or leave the member out",
            Self::Share { .. } => "leave the step out, or give it a share such as `10%`",
            Self::Shares { .. } => "let them add up to 100%",
            Self::Cycle { .. } => "let a step of it name a model, or another node",
            Self::Unreachable { .. } => "name it in a step, or leave it out",
            Self::Depth { .. } => "put the steps of inner nodes into the outer ones",
            Self::Nodes { .. } | Self::Steps { .. } => "ask fewer models, or make several routes of it",
        }
    }
}

fn article(kind: &str) -> &'static str {
    if kind == "ensemble" { "an" } else { "a" }
}

fn parts(kind: &str) -> &'static str {
    if kind == "switch" { "case(s)" } else { "step(s)" }
}
