//! `rewards`: the values by which the arms of a route are compared, as far as callers give them.

use super::Desk;
use crate::scalar::{At, Number, Span};
use crate::shape::{Item, Placed as _, choice, record};
use std::time::Duration;
use tidegate_core::RewardName;
use tidegate_core::spec::{Goal, Implicit, RewardKind, RewardLevel, RewardSpec};

/// How long a reward counts where nothing is said: a week.
const WINDOW: Duration = Duration::from_secs(7 * 24 * 3600);

record! {
    /// A reward that callers give by `POST /v1/feedback`.
    RewardFile {
        required {
            /// What its values are.
            kind: KindFile,
        }
        optional {
            /// The smallest and the largest value of a `float`, such as `[1, 5]`.
            range: Vec<At<Number>>,
            /// Which values are better; larger ones, and yes, by default.
            goal: GoalFile,
            /// What it is about; one call by default.
            level: LevelFile,
            /// How long after the call it still counts; 7d by default.
            window: At<Span>,
        }
    }
}

choice! {
    /// What values of a reward are.
    KindFile {
        words {
            /// Yes or no.
            Boolean = "boolean",
            /// A number.
            Float = "float",
        }
    }
}

choice! {
    /// Which values are better.
    GoalFile {
        words {
            /// Larger ones, and yes.
            Maximize = "maximize",
            /// Smaller ones, and no.
            Minimize = "minimize",
        }
    }
}

choice! {
    /// What a reward is about.
    LevelFile {
        words {
            /// One call.
            Inference = "inference",
            /// The calls of one `x-tidegate-episode`.
            Episode = "episode",
        }
    }
}

/// One reward.
pub(crate) fn check(item: Item<RewardFile>, desk: &mut Desk<'_>) -> Option<RewardSpec> {
    let name = super::name::<RewardName>(&item.name, &item.at, desk);
    if Implicit::ALL.iter().any(|implicit| implicit.as_str() == item.name) {
        desk.notes
            .fault(&item.at, format!("`{}` is known of every call, without feedback", item.name))
            .remedy("give this reward another name, or leave it out and name it in a policy");
    }
    let raw = item.value?;
    let kind = match raw.kind.as_ref()? {
        KindFile::Boolean => {
            if raw.here().has("range") {
                desk.notes
                    .fault(raw.at(), "this can never apply: a `boolean` has no range")
                    .remedy("leave `range` out, or make it a `float`");
            }
            RewardKind::Boolean
        }
        KindFile::Float => RewardKind::Float(range(&raw, desk)),
    };
    Some(RewardSpec {
        name: name?,
        kind,
        goal: match raw.goal {
            None | Some(GoalFile::Maximize) => Goal::Maximize,
            Some(GoalFile::Minimize) => Goal::Minimize,
        },
        level: match raw.level {
            None | Some(LevelFile::Inference) => RewardLevel::Inference,
            Some(LevelFile::Episode) => RewardLevel::Episode,
        },
        window: raw.window.map_or(WINDOW, |window| window.value.0),
    })
}

fn range(raw: &RewardFile, desk: &mut Desk<'_>) -> Option<(f64, f64)> {
    let given = raw.range.as_ref()?;
    let values: Vec<f64> = given.iter().map(|number| number.value.0).collect();
    match values[..] {
        [low, high] if low < high => Some((low, high)),
        _ => {
            let at = given.first().map_or_else(|| raw.at(), |first| &first.at);
            desk.notes
                .fault(at, "a range is the smallest and the largest value")
                .remedy("write two numbers, such as `[1, 5]`");
            None
        }
    }
}
