//! `filters` of a route: plugins that look at its calls. Owns that each is named once and looks at something; whether it is
//! among the plugins is `refer`'s question, what it can look at is seen when it is loaded.

use super::limit::FailureFile;
use crate::report::Notes;
use crate::scalar::{At, Flaw, Scalar};
use crate::shape::{Placed as _, record};
use crate::suggest::nearest;
use schemars::{Schema, json_schema};
use tidegate_core::PluginName;
use tidegate_core::spec::{FilterSpec, OnFailure};

record! {
    /// A plugin that looks at the calls of a route.
    FilterFile {
        required {
            /// Which.
            plugin: At<PluginName>,
            /// What it looks at: `request`, `answer` (whole or streamed), or both.
            at: Vec<At<Phase>>,
        }
        optional {
            /// What holds when it fails; `closed` by default, the call is refused then. With `open` it goes on as if the
            /// plugin were not there.
            failure: FailureFile,
        }
    }
}

/// What a filter looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Request,
    Answer,
}

const PHASES: [(&str, Phase); 2] = [("request", Phase::Request), ("answer", Phase::Answer)];

impl Scalar for Phase {
    const WHAT: &'static str = "something that a filter looks at";

    fn parse(text: &str) -> Result<Self, Flaw> {
        let found = PHASES.iter().find(|(name, _)| *name == text).map(|(_, phase)| *phase);
        found.ok_or_else(|| {
            // What others call it.
            let meant = match text {
                "response" | "stream" | "reply" | "output" => Some("answer"),
                "input" | "prompt" => Some("request"),
                _ => nearest(text, PHASES.map(|(name, _)| name)),
            };
            Flaw::default().mend(meant.map_or_else(
                || "write `request`, `answer` or both".to_owned(),
                |meant| format!("did you mean `{meant}`?"),
            ))
        })
    }

    fn schema() -> Schema {
        json_schema!({"enum": PHASES.map(|(name, _)| name)})
    }
}

/// The filters of a route, in their order.
pub(crate) fn check(raw: Option<&[FilterFile]>, notes: &mut Notes) -> Vec<FilterSpec> {
    let mut specs: Vec<FilterSpec> = Vec::new();
    for raw in raw.unwrap_or_default() {
        let phases = phases(raw, notes);
        let Some(plugin) = &raw.plugin else { continue };
        if specs.iter().any(|known| known.plugin == plugin.value) {
            notes
                .fault(&plugin.at, format!("the plugin {} is a filter of this route already", plugin.shown()))
                .remedy("name it once, with all that it looks at: `at: [request, answer]`");
        }
        specs.push(FilterSpec {
            plugin: plugin.value.clone(),
            at_request: phases.contains(&Phase::Request),
            at_answer: phases.contains(&Phase::Answer),
            failure: match raw.failure {
                None | Some(FailureFile::Closed) => OnFailure::Closed,
                Some(FailureFile::Open) => OnFailure::Open,
            },
        });
    }
    specs
}

fn phases(raw: &FilterFile, notes: &mut Notes) -> Vec<Phase> {
    let Some(given) = &raw.at else { return Vec::new() };
    if given.is_empty() {
        notes.fault(raw.at(), "this filter looks at nothing").remedy("write `at: [request]`, `[answer]` or both");
    }
    let mut phases = Vec::with_capacity(given.len());
    for phase in given {
        if phases.contains(&phase.value) {
            notes.fault(&phase.at, "this stands here twice").remedy("leave one of them out");
        }
        phases.push(phase.value);
    }
    phases
}
