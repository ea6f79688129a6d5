//! Exact SHAP values of an ensemble's margins, path-dependent (Lundberg, Erion, Lee: "Consistent individualized feature
//! attribution for tree ensembles", algorithm 2): what is missing from a coalition is averaged over by the training's weights
//! on the paths. Polynomial: leaves × depth² a tree.

use super::Ensemble;
use super::node::Node;
use crate::{Matrix, Refused};

/// One feature on the path from the root: the share of the training that goes on where the feature is missing (`zero`),
/// whether the row goes on where it is there (`one`), and the weights of coalitions by their size.
#[derive(Debug, Clone, Copy, Default)]
struct Step {
    feature: usize,
    zero: f64,
    one: f64,
    weight: f64,
}

/// What explains one ensemble: the expected values of its nodes, reckoned once.
#[derive(Debug, Clone)]
pub(crate) struct Explainer {
    /// What each group's margin is where nothing is known.
    expected: Vec<f64>,
    depth: usize,
}

impl Explainer {
    /// Prepares an ensemble.
    ///
    /// # Errors
    /// When its file does not say how much of the training came by each node.
    pub(crate) fn of(ensemble: &Ensemble) -> Result<Self, Refused> {
        let expected = expected(ensemble)?;
        let depth = ensemble.trees.iter().map(|tree| tree.depth as usize).max().unwrap_or(0);
        Ok(Self { expected, depth })
    }

    /// For each row and each group: a contribution for each feature, then what is expected. They add up to the margin.
    pub(crate) fn contributions(&self, ensemble: &Ensemble, rows: &Matrix) -> Result<Vec<f64>, Refused> {
        ensemble.fits(rows)?;
        let width = ensemble.features.len() + 1;
        let mut all = vec![0.0; rows.rows() * ensemble.groups() * width];
        // Paths of all depths, one after the other: each level works on a copy of its parent's.
        let mut paths = vec![Step::default(); (self.depth + 2) * (self.depth + 3) / 2];
        let mut scratch = Vec::new();
        for (number, of_row) in all.chunks_exact_mut((ensemble.groups() * width).max(1)).enumerate() {
            let row = ensemble.prepared(rows.row(number), &mut scratch);
            for tree in &ensemble.trees {
                let begin = tree.group as usize * width;
                if let Some(sums) = of_row.get_mut(begin..begin + width) {
                    let mut walk = Walk { ensemble, row, sums };
                    walk.visit(
                        tree.root as usize,
                        &mut paths,
                        0,
                        Step { feature: usize::MAX, zero: 1.0, one: 1.0, weight: 1.0 },
                    );
                }
            }
            for (sums, expected) in of_row.chunks_exact_mut(width).zip(&self.expected) {
                sums.iter_mut().for_each(|sum| *sum /= ensemble.divisor);
                sums[width - 1] = *expected;
            }
        }
        Ok(all)
    }
}

/// The mean of each group's margin over the training. Children stand behind their parents, so one pass from the end does.
fn expected(ensemble: &Ensemble) -> Result<Vec<f64>, Refused> {
    let mut means: Vec<f64> = vec![0.0; ensemble.nodes.len()];
    for (number, node) in ensemble.nodes.iter().enumerate().rev() {
        means[number] = if node.is_leaf() {
            node.value()
        } else {
            let (left, right) = node.children();
            let cover = |at: usize| ensemble.covers[at];
            if !(cover(number) > 0.0 && cover(left) >= 0.0 && cover(right) >= 0.0) {
                return Err(Refused::Unexplained(
                    "the model's file does not say how much of the training came by each node, so exact contributions \
                     cannot be reckoned; save it anew with a current library"
                        .to_owned(),
                ));
            }
            (means[left] * cover(left) + means[right] * cover(right)) / cover(number)
        };
    }
    let mut groups = vec![0.0; ensemble.groups()];
    for tree in &ensemble.trees {
        groups[tree.group as usize] += means[tree.root as usize];
    }
    Ok(groups.iter().zip(&ensemble.base).map(|(sum, base)| sum / ensemble.divisor + base).collect())
}

struct Walk<'a> {
    ensemble: &'a Ensemble,
    row: &'a [f64],
    sums: &'a mut [f64],
}

impl Walk<'_> {
    /// `paths` begins with this level's path, which has `depth` steps of its parent; `step` is added to it.
    fn visit(&mut self, at: usize, paths: &mut [Step], depth: usize, step: Step) {
        extend(paths, depth, step);
        let node = self.ensemble.nodes[at];
        if node.is_leaf() {
            for place in 1..=depth {
                let Step { feature, zero, one, .. } = paths[place];
                self.sums[feature] += unwound_sum(paths, depth, place) * (one - zero) * node.value();
            }
            return;
        }
        let (hot, cold) = self.ways(node);
        let (mut zero, mut one, mut last) = (1.0, 1.0, depth);
        if let Some(place) = (1..=depth).find(|place| paths[*place].feature == node.feature()) {
            (zero, one) = (paths[place].zero, paths[place].one);
            unwind(paths, depth, place);
            last -= 1;
        }
        let share = |child: usize| self.ensemble.covers[child] / self.ensemble.covers[at];
        let (hot_share, cold_share) = (share(hot), share(cold));
        let feature = node.feature();
        for (child, share, one) in [(hot, hot_share, one), (cold, cold_share, 0.0)] {
            // What nothing came by, and this row does not go to, adds nothing; and its weights could not be taken back.
            if zero * share == 0.0 && one == 0.0 {
                continue;
            }
            let (mine, below) = paths.split_at_mut(last + 1);
            below[..=last].copy_from_slice(mine);
            self.visit(child, below, last + 1, Step { feature, zero: zero * share, one, weight: 0.0 });
        }
    }

    /// The child that the row goes to, and the other.
    fn ways(&self, node: Node) -> (usize, usize) {
        let (left, right) = node.children();
        let hot = node.next(self.row[node.feature()], &self.ensemble.sets);
        (hot, if hot == left { right } else { left })
    }
}

fn extend(path: &mut [Step], depth: usize, step: Step) {
    path[depth] = Step { weight: if depth == 0 { 1.0 } else { 0.0 }, ..step };
    let all = (depth + 1) as f64;
    for place in (0..depth).rev() {
        path[place + 1].weight += step.one * path[place].weight * (place + 1) as f64 / all;
        path[place].weight = step.zero * path[place].weight * (depth - place) as f64 / all;
    }
}

fn unwind(path: &mut [Step], depth: usize, place: usize) {
    let Step { zero, one, .. } = path[place];
    let all = (depth + 1) as f64;
    let mut next = path[depth].weight;
    for at in (0..depth).rev() {
        if one != 0.0 {
            let weight = path[at].weight;
            path[at].weight = next * all / ((at + 1) as f64 * one);
            next = weight - path[at].weight * zero * (depth - at) as f64 / all;
        } else {
            path[at].weight = path[at].weight * all / (zero * (depth - at) as f64);
        }
    }
    for at in place..depth {
        let Step { feature, zero, one, .. } = path[at + 1];
        path[at] = Step { feature, zero, one, ..path[at] };
    }
}

fn unwound_sum(path: &[Step], depth: usize, place: usize) -> f64 {
    let Step { zero, one, .. } = path[place];
    let all = (depth + 1) as f64;
    let mut next = path[depth].weight;
    let mut total = 0.0;
    for at in (0..depth).rev() {
        if one != 0.0 {
            let weight = next * all / ((at + 1) as f64 * one);
            total += weight;
            next = path[at].weight - weight * zero * (depth - at) as f64 / all;
        } else if zero != 0.0 {
            total += path[at].weight * all / (zero * (depth - at) as f64);
        }
    }
    total
}
