//! LightGBM's text (`Booster.save_model("model.txt")`), versions 2 to 4. Owns what its lines mean; the shape of the trees is
//! checked where they are planted.

mod lines;
mod objective;

use crate::Unreadable;
use crate::tree::{Ensemble, Planting, Rule, Sets, Sprout, Tree};
use lines::Lines;

const FORMAT: &str = "LightGBM";
/// The bits of `decision_type`.
const CATEGORICAL: i64 = 1;
const DEFAULT_LEFT: i64 = 2;

/// What a split takes for missing: bits 2 and 3 of `decision_type`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    None,
    Zero,
    NotANumber,
}

/// Reads a model.
pub(crate) fn read(bytes: &[u8]) -> Result<Ensemble, Unreadable> {
    let text = std::str::from_utf8(bytes).map_err(|error| damaged(format!("it is no UTF-8: {error}")))?;
    // What follows (importances, parameters) is for nobody here; without this line the file was cut.
    let (text, _) =
        text.split_once("\nend of trees").ok_or_else(|| damaged("it does not come to `end of trees`".to_owned()))?;
    let mut blocks = text.split("\nTree=");
    let head = Lines::of(blocks.next().unwrap_or_default());
    let groups = head.count("num_tree_per_iteration")?.max(1);
    let classes = head.count("num_class")?.max(1);
    let features = features(&head)?;
    let (link, head_of) = objective::of(head.text("objective").unwrap_or("none"), classes)?;
    let mut planting = Planting::default();
    let mut sets = Sets::default();
    let mut trees = Vec::new();
    for (number, block) in blocks.enumerate() {
        // The first line is what remains of `Tree=n`.
        let lines = Lines::of(block);
        let group = u32::try_from(number % groups).unwrap_or(u32::MAX);
        let (root, depth) = tree(&lines, features.len(), &mut planting, &mut sets).map_err(|fault| match fault {
            Unreadable::Damaged { format, detail } => {
                Unreadable::Damaged { format, detail: format!("tree {number}: {detail}") }
            }
            other => other,
        })?;
        trees.push(Tree { root, group, depth });
    }
    if trees.len() % groups != 0 {
        return Err(damaged(format!("{} trees do not make whole rounds of {groups}", trees.len())));
    }
    let rounds = trees.len() / groups;
    // A hostile count of groups gets no room: there are no more groups than trees.
    if rounds == 0 {
        return Err(damaged("it has no trees".to_owned()));
    }
    let mut ensemble = Ensemble::of(planting, sets, trees, features, vec![0.0; groups]);
    if head.has("average_output") {
        ensemble.divisor = rounds as f64;
    }
    ensemble.link = link;
    ensemble.head = head_of;
    Ok(ensemble)
}

fn features(head: &Lines<'_>) -> Result<Vec<String>, Unreadable> {
    let count = head.count("max_feature_idx")?.saturating_add(1);
    let names: Vec<String> = head.text("feature_names").unwrap_or_default().split(' ').map(str::to_owned).collect();
    if names.len() == count {
        Ok(names)
    } else {
        Err(damaged(format!("`max_feature_idx` says {count} features, but there are {} names", names.len())))
    }
}

/// Plants one tree; its root, and how deep it is.
fn tree(
    lines: &Lines<'_>,
    features: usize,
    planting: &mut Planting,
    sets: &mut Sets,
) -> Result<(u32, u32), Unreadable> {
    if lines.text("is_linear").is_some_and(|linear| linear.trim() == "1") {
        return Err(unsupported("linear trees (`linear_tree`)"));
    }
    let leaves = lines.count("num_leaves")?;
    let values: Vec<f64> = lines.list("leaf_value", leaves)?;
    if leaves <= 1 {
        let value = values.first().copied().unwrap_or(0.0);
        return planting.plant(1, features, |_| Ok((Sprout::Leaf { value }, 1.0))).map_err(damaged);
    }
    let splits = leaves - 1;
    let split = Splits {
        feature: lines.list("split_feature", splits)?,
        threshold: lines.list("threshold", splits)?,
        decision: lines.list("decision_type", splits)?,
        left: lines.list("left_child", splits)?,
        right: lines.list("right_child", splits)?,
        sets: categories(lines, sets)?,
    };
    let counts: Vec<f64> = lines.list_or("internal_count", splits)?;
    let leaf_counts: Vec<f64> = lines.list_or("leaf_count", leaves)?;
    // Splits come first and then leaves, so that one number names either.
    let sprout = |at: usize| match at.checked_sub(splits) {
        Some(leaf) => Ok((Sprout::Leaf { value: values[leaf] }, leaf_counts[leaf])),
        None => Ok((split.sprout(at, splits)?, counts[at])),
    };
    planting.plant(splits + leaves, features, sprout).map_err(damaged)
}

/// The splits of a tree, list by list.
struct Splits {
    feature: Vec<usize>,
    threshold: Vec<f64>,
    decision: Vec<i64>,
    left: Vec<i64>,
    right: Vec<i64>,
    /// The numbers of the tree's sets of categories.
    sets: Vec<u32>,
}

impl Splits {
    fn sprout(&self, at: usize, splits: usize) -> Result<Sprout, String> {
        let child = |child: i64| -> Result<usize, String> {
            // A leaf is written as the complement of its number.
            let (number, first) = if child < 0 { (!child, splits) } else { (child, 0) };
            usize::try_from(number)
                .ok()
                .and_then(|number| number.checked_add(first))
                .filter(|_| child < 0 || child < splits as i64)
                .ok_or_else(|| format!("node {at} has the child {child}"))
        };
        let rule = self.rule(at)?;
        Ok(Sprout::Split {
            feature: self.feature[at],
            rule,
            left: child(self.left[at])?,
            right: child(self.right[at])?,
        })
    }

    fn rule(&self, at: usize) -> Result<Rule, String> {
        let (decision, threshold) = (self.decision[at], self.threshold[at]);
        if decision & CATEGORICAL != 0 {
            let set = (threshold >= 0.0).then_some(threshold as usize).and_then(|number| self.sets.get(number));
            let set = *set.ok_or_else(|| format!("node {at} has the set of categories {threshold}"))?;
            return Ok(Rule::In { set, members_left: true, missing_left: false });
        }
        let missing = match decision >> 2 & 3 {
            0 => Missing::None,
            1 => Missing::Zero,
            2 => Missing::NotANumber,
            other => return Err(format!("node {at} has the missing type {other}")),
        };
        let missing_left = match missing {
            // What is missing counts as zero.
            Missing::None => 0.0 <= threshold,
            Missing::Zero | Missing::NotANumber => decision & DEFAULT_LEFT != 0,
        };
        // LightGBM sends what equals the threshold left, the walk what is below: the next number is the same bound.
        Ok(Rule::Below { threshold: threshold.next_up(), missing_left, zero_is_missing: missing == Missing::Zero })
    }
}

/// The sets of categories of a tree.
fn categories(lines: &Lines<'_>, sets: &mut Sets) -> Result<Vec<u32>, Unreadable> {
    let count = lines.text("num_cat").map_or(Ok(0), |_| lines.count("num_cat"))?;
    if count == 0 {
        return Ok(Vec::new());
    }
    let bounds: Vec<usize> = lines.list("cat_boundaries", count.saturating_add(1))?;
    let words: Vec<u32> = lines.list("cat_threshold", bounds.last().copied().unwrap_or(0))?;
    let spans = bounds.windows(2).map(|pair| words.get(pair[0]..pair[1]).and_then(|words| sets.add(words)));
    spans.map(|set| set.ok_or_else(|| damaged("`cat_boundaries` does not rise".to_owned()))).collect()
}

fn damaged(detail: String) -> Unreadable {
    Unreadable::Damaged { format: FORMAT, detail }
}

fn unsupported(what: impl Into<String>) -> Unreadable {
    Unreadable::Unsupported { format: FORMAT, what: what.into() }
}
