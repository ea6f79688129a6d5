//! XGBoost's JSON (`Booster.save_model("model.json")`) and its binary twin (`model.ubj`), of `gbtree` and `dart`. Owns what its fields mean; the shape of the
//! trees is checked where they are planted.

mod file;
mod objective;

use super::ubjson;
use crate::Unreadable;
use crate::tree::{Ensemble, Planting, Precision, Rule, Sets, Sprout, Tree};
use file::{Booster, File, Gbtree, Nodes};

const FORMAT: &str = "XGBoost";
/// A category above this is none: XGBoost's own bound.
const MOST_CATEGORY: i64 = 1 << 24;

/// Reads a model.
pub(crate) fn read(bytes: &[u8]) -> Result<Ensemble, Unreadable> {
    let file: File = if ubjson::looks_like(bytes) {
        ubjson::read(bytes).map_err(|error| damaged(error.to_string()))?
    } else {
        serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?
    };
    let learner = file.learner;
    let features = features(&learner)?;
    let (trees, drops) = match learner.gradient_booster {
        Booster { name, .. } if name == "gblinear" => return Err(unsupported("the booster `gblinear`")),
        Booster { gbtree: Some(gbtree), weight_drop, .. } => (gbtree.model, Some(weight_drop)),
        Booster { model: Some(model), .. } => (model, None),
        Booster { name, .. } => return Err(damaged(format!("the booster `{name}` has no trees"))),
    };
    let class_count = number("num_class", &learner.learner_model_param.num_class)?;
    let targets = learner.learner_model_param.num_target.as_deref().map_or(Ok(1), |text| number("num_target", text))?;
    let groups = class_count.max(targets).max(1);
    if groups > trees.trees.len().max(1) {
        return Err(damaged(format!("{} trees are too few for {groups} classes or targets", trees.trees.len())));
    }
    let objective = objective::of(&learner.objective, class_count)?;
    let base = base(&learner.learner_model_param.base_score, groups, objective.margin)?;
    let kept = kept(&trees, learner.attributes.get("best_iteration"), groups)?;
    let grown = Grown::of(&trees, drops.as_deref(), kept, features.len(), groups)?;
    let mut ensemble = Ensemble::of(grown.planting, grown.sets, grown.trees, features, base);
    ensemble.precision = Precision::Single;
    ensemble.link = objective.link;
    ensemble.head = objective.head;
    Ok(ensemble)
}

/// The features' names; where the file has none, `f0`, `f1` … as XGBoost itself calls them.
fn features(learner: &file::Learner) -> Result<Vec<String>, Unreadable> {
    let count = number("num_feature", &learner.learner_model_param.num_feature)?;
    if count > crate::tree::MOST_FEATURES {
        return Err(damaged(format!("`num_feature` is {count}, which is too many")));
    }
    match learner.feature_names.len() {
        0 => Ok((0..count).map(|number| format!("f{number}")).collect()),
        names if names == count => Ok(learner.feature_names.clone()),
        names => Err(damaged(format!("`num_feature` is {count}, but there are {names} feature names"))),
    }
}

/// What each group's margin begins with, from the base score in either notation: `5E-1` or `[5E-1]` or one a group.
fn base(text: &str, groups: usize, margin: fn(f32) -> Option<f32>) -> Result<Vec<f64>, Unreadable> {
    let inner = text.trim();
    let inner = inner.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(inner);
    let scores = inner.split(',').map(|score| {
        let score: f32 = score.trim().parse().map_err(|_| damaged(format!("`base_score` is `{text}`, no number")))?;
        let margin = margin(score).filter(|margin| margin.is_finite());
        margin.map(f64::from).ok_or_else(|| damaged(format!("`base_score` is {score}, which this objective forbids")))
    });
    let scores = scores.collect::<Result<Vec<_>, _>>()?;
    match scores[..] {
        [one] => Ok(vec![one; groups]),
        _ if scores.len() == groups => Ok(scores),
        _ => Err(damaged(format!("`base_score` has {} values, but there are {groups} groups", scores.len()))),
    }
}

/// How many trees count: as in XGBoost's scikit-learn interface, those up to the best iteration where there was early stopping.
fn kept(trees: &Gbtree, best: Option<&String>, groups: usize) -> Result<usize, Unreadable> {
    let all = trees.trees.len();
    let Some(best) = best else { return Ok(all) };
    let best = number("best_iteration", best)?;
    if let Some(end) = trees.iteration_indptr.get(best.saturating_add(1)) {
        return usize::try_from(*end)
            .ok()
            .filter(|end| *end <= all)
            .ok_or_else(|| damaged(format!("`iteration_indptr` ends an iteration at tree {end} of {all}")));
    }
    let parallel = trees.gbtree_model_param.num_parallel_tree.as_deref();
    let parallel = parallel.map_or(Ok(1), |text| number("num_parallel_tree", text))?.max(1);
    Ok(best.saturating_add(1).saturating_mul(parallel).saturating_mul(groups).min(all))
}

/// The trees, planted.
#[derive(Default)]
struct Grown {
    planting: Planting,
    sets: Sets,
    trees: Vec<Tree>,
}

impl Grown {
    fn of(
        model: &Gbtree,
        drops: Option<&[f32]>,
        kept: usize,
        features: usize,
        groups: usize,
    ) -> Result<Self, Unreadable> {
        if model.tree_info.len() != model.trees.len() || drops.is_some_and(|drops| drops.len() != model.trees.len()) {
            return Err(damaged("`tree_info` or `weight_drop` are not one a tree".to_owned()));
        }
        let mut grown = Self::default();
        for (number, (nodes, info)) in model.trees.iter().zip(&model.tree_info).enumerate().take(kept) {
            let group = usize::try_from(*info).ok().filter(|group| *group < groups);
            let group = group.ok_or_else(|| damaged(format!("tree {number} is of group {info} of {groups}")))?;
            // XGBoost scales a dropped tree's leaves as they are added, in f32.
            let weight = drops.and_then(|drops| drops.get(number)).copied().unwrap_or(1.0);
            grown.add(nodes, group, weight, features).map_err(|fault| match fault {
                Fault::Damaged(detail) => damaged(format!("tree {number}: {detail}")),
                Fault::Unsupported(what) => unsupported(what),
            })?;
        }
        Ok(grown)
    }

    fn add(&mut self, nodes: &Nodes, group: usize, weight: f32, features: usize) -> Result<(), Fault> {
        let count = nodes.count()?;
        let sets = self.sets_of(nodes)?;
        let sprout = |at: usize| {
            let cover = nodes.sum_hessian.get(at).copied().map_or(0.0, f64::from);
            let sprout = match (nodes.left_children[at], nodes.right_children[at]) {
                (-1, -1) => Sprout::Leaf { value: f64::from(nodes.split_conditions[at] * weight) },
                (left, right) => Sprout::Split {
                    feature: usize::try_from(nodes.split_indices[at]).unwrap_or(usize::MAX),
                    rule: nodes.rule(at, sets.get(&at).copied())?,
                    left: child(at, left)?,
                    right: child(at, right)?,
                },
            };
            Ok((sprout, cover))
        };
        let (root, depth) = self.planting.plant(count, features, sprout).map_err(Fault::Damaged)?;
        self.trees.push(Tree { root, group: group as u32, depth });
        Ok(())
    }

    /// The sets of a tree's categorical nodes, by node.
    fn sets_of(&mut self, nodes: &Nodes) -> Result<std::collections::HashMap<usize, u32>, Fault> {
        let (begins, sizes) = (&nodes.categories_segments, &nodes.categories_sizes);
        if begins.len() != nodes.categories_nodes.len() || sizes.len() != begins.len() {
            return Err(Fault::Damaged("its lists of categories are not of one length".to_owned()));
        }
        let mut sets = std::collections::HashMap::new();
        for ((node, begin), size) in nodes.categories_nodes.iter().zip(begins).zip(sizes) {
            let span = usize::try_from(*begin).ok().zip(usize::try_from(*size).ok());
            let categories = span.and_then(|(begin, size)| nodes.categories.get(begin..begin.checked_add(size)?));
            let categories =
                categories.ok_or_else(|| Fault::Damaged(format!("the categories of node {node} are not there")))?;
            let words = words(categories).map_err(Fault::Damaged)?;
            let set = self.sets.add(&words).ok_or_else(|| Fault::Damaged("it has too many categories".to_owned()))?;
            sets.insert(usize::try_from(*node).unwrap_or(usize::MAX), set);
        }
        Ok(sets)
    }
}

enum Fault {
    Damaged(String),
    Unsupported(&'static str),
}

/// Categories as bits. A hostile number cannot make it long: a set is at most as large as XGBoost's bound.
fn words(categories: &[i64]) -> Result<Vec<u32>, String> {
    let most = categories.iter().copied().max().unwrap_or(0);
    if let Some(wrong) = categories.iter().find(|category| !(0..=MOST_CATEGORY).contains(*category)) {
        return Err(format!("{wrong} is no category"));
    }
    let mut words = vec![0; (most / 32) as usize + 1];
    for category in categories {
        words[(category / 32) as usize] |= 1 << (category % 32);
    }
    Ok(words)
}

fn child(at: usize, child: i64) -> Result<usize, String> {
    usize::try_from(child).map_err(|_| format!("node {at} has the child {child}"))
}

impl Nodes {
    /// How many nodes there are, by every list alike.
    fn count(&self) -> Result<usize, Fault> {
        if self.tree_param.size_leaf_vector.as_deref().is_some_and(|size| !matches!(size, "0" | "1")) {
            return Err(Fault::Unsupported("leaves of several values (`multi_output_tree`)"));
        }
        let count = self.left_children.len();
        let lists =
            [self.right_children.len(), self.split_indices.len(), self.split_conditions.len(), self.default_left.len()];
        let types = self.split_type.len();
        if lists.iter().all(|length| *length == count) && (types == count || types == 0) {
            Ok(count)
        } else {
            Err(Fault::Damaged(format!("its lists are not of one length: {count} nodes against {lists:?}")))
        }
    }

    fn rule(&self, at: usize, set: Option<u32>) -> Result<Rule, String> {
        let missing_left = self.default_left[at].0;
        match (self.split_type.get(at).copied().unwrap_or(0), set) {
            (0, _) => Ok(Rule::Below {
                threshold: f64::from(self.split_conditions[at]),
                missing_left,
                zero_is_missing: false,
            }),
            (1, Some(set)) => Ok(Rule::In { set, members_left: false, missing_left }),
            (1, None) => Err(format!("node {at} splits by categories, but has none")),
            (kind, _) => Err(format!("node {at} has the split type {kind}")),
        }
    }
}

fn number(name: &str, text: &str) -> Result<usize, Unreadable> {
    text.trim().parse().map_err(|_| damaged(format!("`{name}` is `{text}`, no count")))
}

fn damaged(detail: String) -> Unreadable {
    Unreadable::Damaged { format: FORMAT, detail }
}

fn unsupported(what: impl Into<String>) -> Unreadable {
    Unreadable::Unsupported { format: FORMAT, what: what.into() }
}
