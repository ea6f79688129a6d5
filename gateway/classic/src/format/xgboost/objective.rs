//! XGBoost's objectives: what becomes of margins, and of the base score. One table.

use super::file::Objective;
use crate::Unreadable;
use crate::tree::{Head, Link};

/// What an objective means for a prediction.
pub(super) struct Meaning {
    pub(super) link: Link,
    pub(super) head: Head,
    /// The margin of a base score; none where it is out of bounds.
    pub(super) margin: fn(f32) -> Option<f32>,
}

pub(super) fn of(objective: &Objective, classes: usize) -> Result<Meaning, Unreadable> {
    let sigmoid = Link::Sigmoid { scale: 1.0 };
    let (link, head, margin): (_, _, fn(f32) -> Option<f32>) = match objective.name.as_str() {
        "binary:logistic" => (sigmoid, Head::Binary, logit),
        "reg:logistic" => (sigmoid, Head::Value, logit),
        "binary:logitraw" => (Link::Identity, Head::Value, Some),
        "binary:hinge" => (Link::Step, Head::Binary, Some),
        "multi:softprob" | "multi:softmax" if classes < 2 => {
            return Err(super::damaged(format!("`num_class` is {classes}, but the objective has classes")));
        }
        "multi:softprob" => (Link::Softmax, Head::Classes, Some),
        "multi:softmax" => (Link::Softmax, Head::Class, Some),
        "count:poisson" | "reg:gamma" | "reg:tweedie" | "survival:cox" | "survival:aft" => {
            (Link::Exp, Head::Value, positive)
        }
        "reg:squarederror"
        | "reg:linear"
        | "reg:squaredlogerror"
        | "reg:pseudohubererror"
        | "reg:absoluteerror"
        | "reg:quantileerror"
        | "reg:expectileerror"
        | "rank:pairwise"
        | "rank:ndcg"
        | "rank:map" => (Link::Identity, Head::Value, Some),
        other => return Err(super::unsupported(format!("the objective `{other}`"))),
    };
    Ok(Meaning { link, head, margin })
}

fn logit(score: f32) -> Option<f32> {
    (score > 0.0 && score < 1.0).then(|| -(1.0 / score - 1.0).ln())
}

fn positive(score: f32) -> Option<f32> {
    (score > 0.0).then(|| score.ln())
}
