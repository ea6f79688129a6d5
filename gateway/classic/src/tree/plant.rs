//! Planting: nodes as files describe them, in any order, become nodes as they are walked, siblings side by side. Owns the
//! check that a file's nodes are a tree: each child exists, none is reached twice (so there is no circle), none too deep.

use super::node::{MOST_FEATURES, Node, Rule};

/// Deeper trees are refused: no library grows them by itself, and explaining takes a stack as deep.
const MOST_DEPTH: u32 = 1000;

/// A node as a file describes it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Sprout {
    Leaf { value: f64 },
    Split { feature: usize, rule: Rule, left: usize, right: usize },
}

/// Nodes laid out, of all trees so far.
#[derive(Debug, Default)]
pub(crate) struct Planting {
    pub(crate) nodes: Vec<Node>,
    /// How much of the training's weight came by each node.
    pub(crate) covers: Vec<f64>,
}

impl Planting {
    /// Adds a tree whose root is node 0; returns where its root stands, and how deep it is.
    ///
    /// # Errors
    /// When the nodes are not a tree over `features` features; in words that follow "tree n: ".
    pub(crate) fn plant(
        &mut self,
        count: usize,
        features: usize,
        node: impl Fn(usize) -> Result<(Sprout, f64), String>,
    ) -> Result<(u32, u32), String> {
        if features > MOST_FEATURES {
            return Err(format!("{features} features are too many: at most {MOST_FEATURES}"));
        }
        let root = u32::try_from(self.nodes.len()).map_err(|_| "there are too many nodes".to_owned())?;
        let mut seen = vec![false; count];
        let mut deepest = 0;
        self.reserve(1)?;
        let mut open = vec![(0, root, 0)];
        while let Some((from, to, depth)) = open.pop() {
            match seen.get_mut(from) {
                None => return Err(format!("node {from} is named as a child, but there are {count} nodes")),
                Some(true) => return Err(format!("node {from} is reached twice: this is no tree")),
                Some(first) => *first = true,
            }
            if depth > MOST_DEPTH {
                return Err(format!("it is deeper than {MOST_DEPTH}"));
            }
            deepest = deepest.max(depth);
            let (sprout, cover) = node(from)?;
            let grown =
                match sprout {
                    Sprout::Leaf { value } if value.is_finite() => Node::leaf(value),
                    Sprout::Leaf { value } => return Err(format!("leaf {from} has the value {value}")),
                    Sprout::Split { feature, .. } if feature >= features => {
                        return Err(format!("node {from} looks at feature {feature}, but there are {features}"));
                    }
                    Sprout::Split {
                        rule: Rule::Below { threshold, .. } | Rule::Equal { to: threshold, .. }, ..
                    } if !threshold.is_finite() => return Err(format!("node {from} has the threshold {threshold}")),
                    Sprout::Split { feature, rule, left, right } => {
                        let children = self.reserve(2)?;
                        open.push((right, children + 1, depth + 1));
                        open.push((left, children, depth + 1));
                        Node::split(u32::try_from(feature).unwrap_or(u32::MAX), rule, children)
                    }
                };
            self.nodes[to as usize] = grown;
            self.covers[to as usize] = if cover.is_finite() { cover } else { 0.0 };
        }
        Ok((root, deepest))
    }

    fn reserve(&mut self, count: usize) -> Result<u32, String> {
        let first = u32::try_from(self.nodes.len()).ok().filter(|first| *first < u32::MAX - 2);
        self.nodes.resize(self.nodes.len() + count, Node::leaf(0.0));
        self.covers.resize(self.nodes.len(), 0.0);
        first.ok_or_else(|| "there are too many nodes".to_owned())
    }
}
