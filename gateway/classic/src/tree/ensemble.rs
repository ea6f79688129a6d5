//! A whole ensemble and its margins. Owns the walk, which is the hot path; explains nothing (`shap` does).

use super::node::{Node, Sets};
use super::{Head, Link, Planting};
use crate::{Matrix, Refused};

/// In what the library adds up: the answer's last bits depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Precision {
    /// Features, leaves and sums in f32, as XGBoost.
    Single,
    /// In f64, as LightGBM.
    Double,
}

/// Where a tree begins, and which group's margin it adds to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Tree {
    pub(crate) root: u32,
    pub(crate) group: u32,
    pub(crate) depth: u32,
}

/// Trees whose leaves add up to margins, one margin a group.
#[derive(Debug, Clone)]
pub(crate) struct Ensemble {
    pub(crate) nodes: Vec<Node>,
    pub(crate) covers: Vec<f64>,
    pub(crate) sets: Sets,
    pub(crate) trees: Vec<Tree>,
    /// The names of the features, as many as a row has values.
    pub(crate) features: Vec<String>,
    /// What each group's margin begins with.
    pub(crate) base: Vec<f64>,
    /// What the sums are divided by (forests).
    pub(crate) divisor: f64,
    pub(crate) precision: Precision,
    pub(crate) link: Link,
    pub(crate) head: Head,
}

impl Ensemble {
    pub(crate) fn of(planting: Planting, sets: Sets, trees: Vec<Tree>, features: Vec<String>, base: Vec<f64>) -> Self {
        Self {
            nodes: planting.nodes,
            covers: planting.covers,
            sets,
            trees,
            features,
            base,
            divisor: 1.0,
            precision: Precision::Double,
            link: Link::Identity,
            head: Head::Value,
        }
    }

    /// How many margins a row has.
    pub(crate) fn groups(&self) -> usize {
        self.base.len()
    }

    /// The margins of each row, row after row.
    pub(crate) fn margins(&self, rows: &Matrix) -> Result<Vec<f64>, Refused> {
        self.fits(rows)?;
        let groups = self.groups();
        let mut sums: Vec<f64> = self.base.iter().copied().cycle().take(groups * rows.rows()).collect();
        let mut scratch = Vec::new();
        for (number, sums) in sums.chunks_exact_mut(groups.max(1)).enumerate() {
            let row = self.prepared(rows.row(number), &mut scratch);
            match self.precision {
                Precision::Single => self.add_single(row, sums),
                Precision::Double => self.add_double(row, sums),
            }
        }
        Ok(sums)
    }

    /// What the library's `predict` gives: margins turned by the link, row after row.
    pub(crate) fn scores(&self, rows: &Matrix) -> Result<Vec<f64>, Refused> {
        let mut scores = self.margins(rows)?;
        for row in scores.chunks_exact_mut(self.groups().max(1)) {
            self.link.apply(row, self.precision);
        }
        Ok(scores)
    }

    /// A row in the precision that the library compares in.
    pub(crate) fn prepared<'a>(&self, row: &'a [f64], scratch: &'a mut Vec<f64>) -> &'a [f64] {
        if self.precision == Precision::Double {
            return row;
        }
        scratch.clear();
        scratch.extend(row.iter().map(|value| f64::from(*value as f32)));
        scratch
    }

    pub(crate) fn fits(&self, rows: &Matrix) -> Result<(), Refused> {
        if rows.columns() == self.features.len() {
            Ok(())
        } else {
            Err(Refused::Width { wanted: self.features.len(), given: rows.columns() })
        }
    }

    fn add_single(&self, row: &[f64], sums: &mut [f64]) {
        for tree in &self.trees {
            let leaf = self.leaf(row, tree.root as usize);
            if let Some(sum) = sums.get_mut(tree.group as usize) {
                *sum = f64::from(*sum as f32 + leaf as f32);
            }
        }
    }

    fn add_double(&self, row: &[f64], sums: &mut [f64]) {
        for tree in &self.trees {
            let leaf = self.leaf(row, tree.root as usize);
            if let Some(sum) = sums.get_mut(tree.group as usize) {
                *sum += leaf;
            }
        }
        if self.divisor != 1.0 {
            sums.iter_mut().for_each(|sum| *sum /= self.divisor);
        }
    }

    /// The value of the leaf where a row ends. Ends always: planting let no circle in.
    #[inline]
    fn leaf(&self, row: &[f64], root: usize) -> f64 {
        let mut node = self.nodes[root];
        while !node.is_leaf() {
            node = self.nodes[node.next(row[node.feature()], &self.sets)];
        }
        node.value()
    }
}
