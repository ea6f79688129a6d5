//! What is said of a classic model: how its calls are put together and how it is explained, where it runs in this process, and what
//! its inputs are held to, wherever it runs.

use super::Desk;
use crate::report::Notes;
use crate::scalar::{At, Count, Number, Span, Text};
use crate::shape::{choice, record};
use std::time::Duration;
use tidegate_core::model_ref::ModelRef;
use tidegate_core::spec::{ContractSpec, ExplainSpec, PoolSpec, SignatureSpec, SuiteSpec};

/// More rows are never put together, and no more calls wait.
const MOST: usize = 1 << 20;
/// More threads of one model do not make it quicker.
const MOST_INSTANCES: usize = 64;
/// More orders ask a model too often.
const MOST_ORDERS: usize = 1024;
/// No call waits longer for others.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

record! {
    /// How calls of a classic model are put together.
    BatchFile {
        optional {
            /// The most rows that are run together; 64 by default. One call alone may have more.
            max: At<Count>,
            /// The longest that a call waits for others; 2ms by default. None waits where that would save nothing.
            wait: At<Span>,
            /// The most calls that wait; 1024 by default. More are refused with 429 and `Retry-After`.
            queue: At<Count>,
        }
    }
}

record! {
    /// How a classic model that is not made of trees is explained: by Shapley values over random orders of the features.
    ExplainFile {
        optional {
            /// How many random orders, each of which is gone both ways; 8 by default. More are more exact and take longer.
            orders: At<Count>,
            /// What stands for a feature that is not known, one value each: the means of the training, as a rule. Zeros by
            /// default.
            background: Vec<At<Number>>,
        }
    }
}

record! {
    /// What inputs of a classic model are held to before it sees them.
    ContractFile {
        optional {
            /// Whether the signature of the registered version counts. Where nothing is said it does as far as there is one
            /// that can be checked; with `true` a version without one does not serve.
            signature: At<bool>,
            /// Of a model that runs elsewhere: where its signature stands. Either a version of the registry
            /// (`models:/fraud@champion`) or a file of JSON as MLflow writes it: `{"inputs": [{"name": "age", "type": "long"}]}`.
            of: At<Text>,
            /// A suite of Great Expectations, a JSON file: `{"expectations": [{"type", "kwargs"}]}`.
            suite: At<Text>,
            /// What becomes of a call that breaks it; `refuse` by default.
            on_violation: OnViolationFile,
        }
    }
}

choice! {
    /// What becomes of a call that breaks a contract.
    OnViolationFile {
        words {
            /// It is answered with 400, which names field, row and rule.
            Refuse = "refuse",
            /// It is answered all the same; metrics and monitors have what it breaks.
            Note = "note",
        }
    }
}

/// What inputs of a classic model are held to.
pub(super) fn contract(raw: ContractFile, desk: &mut Desk<'_>) -> ContractSpec {
    ContractSpec {
        signature: raw.signature.map(|given| given.value),
        of: raw.of.and_then(|given| signature(&given, desk)),
        suite: raw.suite.and_then(|given| suite(&given, desk)),
        notes_only: matches!(raw.on_violation, Some(OnViolationFile::Note)),
    }
}

fn signature(given: &At<Text>, desk: &mut Desk<'_>) -> Option<SignatureSpec> {
    if !given.value.0.starts_with("models:") {
        return attached(given, "signature", desk).map(SignatureSpec::File);
    }
    match given.value.0.parse::<ModelRef>() {
        Ok(reference) => Some(SignatureSpec::Registry(reference)),
        Err(why) => {
            desk.notes.fault(&given.at, "this is no model of the registry").remedy(why.to_string());
            None
        }
    }
}

fn suite(given: &At<Text>, desk: &mut Desk<'_>) -> Option<SuiteSpec> {
    attached(given, "suite", desk)
}

/// A file is read for its digest: other rules are another configuration.
fn attached(given: &At<Text>, what: &str, desk: &mut Desk<'_>) -> Option<SuiteSpec> {
    let file = desk.path(&given.value);
    match desk.attach(&file) {
        Ok(sha256) => Some(SuiteSpec { file, sha256 }),
        Err(why) => {
            desk.notes
                .fault(&given.at, format!("the {what} {} cannot be read: {why}", file.display()))
                .remedy("a path is relative to the folder of the configuration");
            None
        }
    }
}

/// How a classic model is explained.
pub(super) fn explain(raw: ExplainFile, notes: &mut Notes) -> ExplainSpec {
    ExplainSpec {
        orders: counted(raw.orders, ExplainSpec::default().orders, MOST_ORDERS, notes),
        background: raw.background.map(|values| values.into_iter().map(|value| value.value.0).collect()),
    }
}

/// How a classic model is served, where anything is said of it.
pub(super) fn pool(
    batch: Option<BatchFile>,
    instances: Option<At<Count>>,
    warm_up: Option<At<bool>>,
    notes: &mut Notes,
) -> Option<PoolSpec> {
    if batch.is_none() && instances.is_none() && warm_up.is_none() {
        return None;
    }
    let (max, wait, queue) = batch.map_or((None, None, None), |batch| (batch.max, batch.wait, batch.queue));
    let usual = PoolSpec::default();
    let wait = wait.map_or(usual.max_wait, |given| {
        if given.value.0 > LONGEST_WAIT {
            notes.fault(&given.at, "no call waits so long for others").remedy("write 10s at most, such as `2ms`");
        }
        given.value.0
    });
    Some(PoolSpec {
        max_rows: counted(max, usual.max_rows, MOST, notes),
        max_wait: wait,
        queue: counted(queue, usual.queue, MOST, notes),
        instances: counted(instances, usual.instances, MOST_INSTANCES, notes),
        warm_up: warm_up.map_or(usual.warm_up, |given| given.value),
    })
}

fn counted(given: Option<At<Count>>, usual: usize, most: usize, notes: &mut Notes) -> usize {
    let Some(given) = given else { return usual };
    let count = given.value.size();
    if count > most {
        notes.fault(&given.at, format!("{count} is more than {most}")).remedy(format!("write {most} at most"));
    }
    count
}
