//! Plain types into those of the bindings. The other way goes through `vet`.

use crate::bindings::fairness::exports::tidegate::plugin::fairness as wit_fairness;
use crate::bindings::filters::tidegate::plugin::types as filters;
use crate::bindings::rag::exports::tidegate::plugin::rag as wit_rag;
use crate::bindings::rag::tidegate::plugin::types as wit;
use crate::cell::harmless;
use crate::fault::{Fault, Kind, Refusal};
use crate::frame::{Data, Frame};
use crate::input::{Roles, Sample, Window};

/// The longest text of a plugin's refusal that is passed on.
const SAID_BYTES: usize = 1024;

pub(crate) fn table(frame: &Frame) -> wit::Table {
    let columns = frame.columns.iter().map(|column| wit::Column {
        name: column.name.clone(),
        data: match &column.data {
            Data::Numbers(values) => wit::ColumnData::Numbers(values.clone()),
            Data::Integers(values) => wit::ColumnData::Integers(values.clone()),
            Data::Categories { codes, levels } => {
                wit::ColumnData::Categories(wit::CategoryColumn { codes: codes.clone(), levels: levels.clone() })
            }
            Data::Texts(values) => wit::ColumnData::Texts(values.clone()),
            Data::Booleans(values) => wit::ColumnData::Booleans(values.clone()),
        },
        missing: column.missing.clone(),
    });
    wit::Table { rows: frame.rows, columns: columns.collect() }
}

pub(crate) fn window(window: &Window) -> wit::Window {
    wit::Window {
        id: window.id.clone(),
        model: window.model.clone(),
        model_version: window.model_version.clone(),
        start_ms: window.start_ms,
        end_ms: window.end_ms,
    }
}

pub(crate) fn roles(roles: &Roles) -> wit_fairness::Roles {
    wit_fairness::Roles {
        prediction: roles.prediction.clone(),
        score: roles.score.clone(),
        label: roles.label.clone(),
        protected: roles.protected.clone(),
        positive: roles.positive.clone(),
        min_group_size: roles.min_group_size,
    }
}

pub(crate) fn samples(samples: &[Sample]) -> Vec<wit_rag::Sample> {
    let passages = |sample: &Sample| {
        sample
            .passages
            .iter()
            .map(|passage| wit_rag::Passage {
                id: passage.id.clone(),
                text: passage.text.clone(),
                score: passage.score,
            })
            .collect()
    };
    samples
        .iter()
        .map(|sample| wit_rag::Sample {
            request_id: sample.request_id.clone(),
            question: sample.question.clone(),
            passages: passages(sample),
            answer: sample.answer.clone(),
            reference: sample.reference.clone(),
            relevant_ids: sample.relevant_ids.clone(),
        })
        .collect()
}

/// What a plugin says when it refuses: the types of evaluators and those of filters say the same.
macro_rules! refused {
    ($types:ident, $error:expr) => {{
        let lacked = |error| match error {
            $types::HostError::Denied(says) => format!("denied: {says}"),
            $types::HostError::NotFound => "not found".to_owned(),
            $types::HostError::Quota(says) => format!("its quota is used up: {says}"),
            $types::HostError::Timeout => "it took too long".to_owned(),
            $types::HostError::Conflict => "a conflict".to_owned(),
            $types::HostError::Unavailable(says) => format!("unavailable: {says}"),
        };
        let (refusal, says) = match $error {
            $types::Error::BadConfig(says) => (Refusal::Config, format!("it refuses its configuration: {says}")),
            $types::Error::BadInput(says) => (Refusal::Input, format!("it refuses its input: {says}")),
            $types::Error::Host(error) => {
                (Refusal::Host, format!("it goes on no further without the host: {}", lacked(error)))
            }
            $types::Error::RetryAfter(ms) => {
                (Refusal::RetryAfter(ms), format!("it asks to be called again after {ms} ms"))
            }
            $types::Error::Internal(says) => (Refusal::Internal, format!("it says that it failed: {says}")),
        };
        Fault::new(Kind::Refused(refusal), harmless(&says, SAID_BYTES))
    }};
}

/// What an evaluator says when it refuses.
pub(crate) fn refused(error: wit::Error) -> Fault {
    refused!(wit, error)
}

/// What a filter says when it refuses.
pub(crate) fn filter_refused(error: filters::Error) -> Fault {
    refused!(filters, error)
}
