//! Trees whose leaves vote for several targets at once, as ONNX describes them: a list of nodes of all trees, and a list of
//! votes. Owns their planting and counting; what is made of the counts is the operator's.

use super::node::{Node, Sets};
use super::{Planting, Rule, Sprout};
use std::collections::HashMap;

/// A node as ONNX lists it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Branch<'a> {
    pub(crate) tree: i64,
    pub(crate) node: i64,
    pub(crate) feature: i64,
    pub(crate) mode: &'a str,
    pub(crate) value: f32,
    pub(crate) yes: i64,
    pub(crate) no: i64,
    /// What is missing goes where the answer is yes.
    pub(crate) missing_yes: bool,
}

/// What a leaf gives to a target.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ballot {
    pub(crate) tree: i64,
    pub(crate) node: i64,
    pub(crate) target: i64,
    pub(crate) weight: f32,
}

/// How the trees' votes come together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Together {
    Sum,
    Average,
}

/// The trees. A leaf's value is the number of its span of votes.
#[derive(Debug)]
pub(crate) struct Votes {
    nodes: Vec<Node>,
    roots: Vec<u32>,
    spans: Vec<(u32, u32)>,
    votes: Vec<(u32, f32)>,
    base: Vec<f32>,
    targets: usize,
    /// How many columns the nodes look at.
    columns: usize,
    together: Together,
}

impl Votes {
    /// Plants the trees.
    ///
    /// # Errors
    /// When the nodes are not trees, or a vote is for no target.
    pub(crate) fn of(
        branches: &[Branch<'_>],
        ballots: &[Ballot],
        targets: usize,
        base: Vec<f32>,
        together: Together,
    ) -> Result<Self, String> {
        // No file of a few bytes may ask for room.
        if targets == 0 || targets > ballots.len().max(2) {
            return Err(format!("{} votes are too few for {targets} targets", ballots.len()));
        }
        if !(base.is_empty() || base.len() == 1 || base.len() == targets) {
            return Err(format!("there are {} base values for {targets} targets", base.len()));
        }
        let mut by_leaf: HashMap<(i64, i64), Vec<(u32, f32)>> = HashMap::new();
        for ballot in ballots {
            let target = usize::try_from(ballot.target).ok().filter(|target| *target < targets);
            let target = target.ok_or_else(|| format!("a vote is for target {} of {targets}", ballot.target))?;
            by_leaf.entry((ballot.tree, ballot.node)).or_default().push((target as u32, ballot.weight));
        }
        let columns = branches.iter().filter(|branch| branch.mode != "LEAF").map(|branch| branch.feature).max();
        let columns = columns.map_or(Ok(0), |most| usize::try_from(most).map(|most| most.saturating_add(1)));
        let columns = columns.map_err(|_| "a node looks at a feature below 0".to_owned())?;
        let mut planted =
            Self { nodes: vec![], roots: vec![], spans: vec![], votes: vec![], base, targets, columns, together };
        planted.grow(branches, &by_leaf)?;
        Ok(planted)
    }

    fn grow(&mut self, branches: &[Branch<'_>], by_leaf: &HashMap<(i64, i64), Vec<(u32, f32)>>) -> Result<(), String> {
        let mut order = Vec::new();
        let mut trees: HashMap<i64, Vec<usize>> = HashMap::new();
        for (at, branch) in branches.iter().enumerate() {
            let nodes = trees.entry(branch.tree).or_default();
            if nodes.is_empty() {
                order.push(branch.tree);
            }
            nodes.push(at);
        }
        let mut planting = Planting::default();
        for tree in order {
            let nodes = &trees[&tree];
            let places: HashMap<i64, usize> =
                nodes.iter().enumerate().map(|(place, at)| (branches[*at].node, place)).collect();
            // Each leaf gets a span, in the order of the list.
            let first = self.spans.len();
            for at in nodes {
                let votes = by_leaf.get(&(tree, branches[*at].node)).map(Vec::as_slice).unwrap_or_default();
                let begin = self.votes.len() as u32;
                self.votes.extend_from_slice(votes);
                self.spans.push((begin, self.votes.len() as u32));
            }
            let sprout = |place: usize| {
                let sprout = branches[nodes[place]].sprout((first + place) as f64, &places)?;
                Ok((sprout, 0.0))
            };
            let planted = planting.plant(nodes.len(), self.columns, sprout);
            self.roots.push(planted.map_err(|detail| format!("tree {tree}: {detail}"))?.0);
        }
        self.nodes = planting.nodes;
        Ok(())
    }

    pub(crate) fn targets(&self) -> usize {
        self.targets
    }

    /// The votes for each target, row after row, without base values.
    pub(crate) fn count(&self, rows: &[f32], columns: usize) -> Result<Vec<f32>, String> {
        if columns < self.columns {
            return Err(format!("the trees look at {} columns, but a row has {columns}", self.columns));
        }
        let mut counts = vec![0.0; rows.len() / columns.max(1) * self.targets];
        let sets = Sets::default();
        for (row, counts) in rows.chunks_exact(columns.max(1)).zip(counts.chunks_exact_mut(self.targets)) {
            for root in &self.roots {
                let mut node = self.nodes[*root as usize];
                while !node.is_leaf() {
                    node = self.nodes[node.next(f64::from(row[node.feature()]), &sets)];
                }
                let (begin, end) = self.spans[node.value() as usize];
                for (target, weight) in &self.votes[begin as usize..end as usize] {
                    counts[*target as usize] += weight;
                }
            }
            if self.together == Together::Average {
                counts.iter_mut().for_each(|count| *count /= self.roots.len() as f32);
            }
        }
        Ok(counts)
    }

    /// Adds the base values to the counts of a row.
    pub(crate) fn add_base(&self, counts: &mut [f32]) {
        match self.base[..] {
            [one] => counts.iter_mut().for_each(|count| *count += one),
            _ => counts.iter_mut().zip(&self.base).for_each(|(count, base)| *count += base),
        }
    }

    /// The base value where two classes have one score: the second one's, or the only one.
    pub(crate) fn base_of_binary(&self) -> f32 {
        self.base.last().copied().unwrap_or(0.0)
    }
}

impl Branch<'_> {
    fn sprout(&self, span: f64, places: &HashMap<i64, usize>) -> Result<Sprout, String> {
        if self.mode == "LEAF" {
            return Ok(Sprout::Leaf { value: span });
        }
        let place = |node: i64| {
            places
                .get(&node)
                .copied()
                .ok_or_else(|| format!("node {} has the child {node}, which is not there", self.node))
        };
        let (yes, no) = (place(self.yes)?, place(self.no)?);
        let (value, yes_is_left) = match self.mode {
            // What equals an f32 is below the next one.
            "BRANCH_LEQ" => (self.value.next_up(), true),
            "BRANCH_LT" => (self.value, true),
            "BRANCH_GT" => (self.value.next_up(), false),
            "BRANCH_GTE" => (self.value, false),
            "BRANCH_EQ" => (self.value, true),
            "BRANCH_NEQ" => (self.value, false),
            other => return Err(format!("node {} has the mode {other}", self.node)),
        };
        let missing_left = self.missing_yes == yes_is_left;
        let value = f64::from(value);
        let rule = match self.mode {
            "BRANCH_EQ" | "BRANCH_NEQ" => Rule::Equal { to: value, missing_left },
            _ => Rule::Below { threshold: value, missing_left, zero_is_missing: false },
        };
        let feature = usize::try_from(self.feature).unwrap_or(usize::MAX);
        let (left, right) = if yes_is_left { (yes, no) } else { (no, yes) };
        Ok(Sprout::Split { feature, rule, left, right })
    }
}
