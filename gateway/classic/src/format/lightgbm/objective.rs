//! LightGBM's objectives: what becomes of margins. One table.

use super::{damaged, unsupported};
use crate::Unreadable;
use crate::tree::{Head, Link};

/// The link and the head of a line such as `binary sigmoid:1`.
pub(super) fn of(line: &str, classes: usize) -> Result<(Link, Head), Unreadable> {
    let mut words = line.split_ascii_whitespace();
    let name = words.next().unwrap_or("none");
    let parameters: Vec<&str> = words.collect();
    let scale = parameters.iter().find_map(|word| word.strip_prefix("sigmoid:")).unwrap_or("1");
    let scale: f64 = scale.parse().map_err(|_| damaged(format!("the objective's sigmoid is `{scale}`")))?;
    let root = parameters.contains(&"sqrt");
    let meaning = match name {
        "binary" => (Link::Sigmoid { scale }, Head::Binary),
        "multiclass" | "multiclassova" if classes < 2 => {
            return Err(damaged(format!("`num_class` is {classes}, but the objective has classes")));
        }
        "multiclass" => (Link::Softmax, Head::Classes),
        "multiclassova" => (Link::Sigmoid { scale }, Head::Classes),
        "regression" if root => (Link::SignedSquare, Head::Value),
        "regression" | "regression_l1" | "huber" | "fair" | "quantile" | "mape" | "lambdarank" | "rank_xendcg" => {
            (Link::Identity, Head::Value)
        }
        "poisson" | "gamma" | "tweedie" => (Link::Exp, Head::Value),
        "cross_entropy" => (Link::Sigmoid { scale: 1.0 }, Head::Value),
        "cross_entropy_lambda" => (Link::LogOnePlusExp, Head::Value),
        // An objective of the trainer's own: what it makes of margins is in no file, so they are given as they are.
        "none" | "custom" => (Link::Identity, Head::Value),
        other => return Err(unsupported(format!("the objective `{other}`"))),
    };
    Ok(meaning)
}
