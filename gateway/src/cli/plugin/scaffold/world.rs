//! The worlds for which there is a scaffold, and what stands in each. Owns the examples' texts; which worlds a host runs is
//! the host's to know.

use clap::ValueEnum;
use std::fmt;

/// A world of the contract, as `--world` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum World {
    /// Compares a window with a reference
    Drift,
    /// Compares the groups of a window
    Fairness,
    /// Judges answers that were made of passages
    Rag,
    /// Holds a table against a schema
    Validator,
    /// Looks at what will be asked
    RequestFilter,
    /// Looks at whole answers
    ResponseFilter,
    /// Looks at streamed answers
    StreamFilter,
    /// Looks at requests and at answers of both forms
    Filter,
    /// Allows, redacts or blocks a text
    Guardrail,
    /// Says which variants of a route a call may have
    Router,
}

/// The file of a template that goes with a world.
macro_rules! template {
    ($folder:literal, $file:literal) => {
        include_str!(concat!("../template/", $folder, "/", $file))
    };
}

/// The sources of a world's example.
macro_rules! sources {
    ($folder:literal) => {
        [
            ("src/lib.rs", template!($folder, "lib.rs")),
            ("src/guest.rs", template!($folder, "guest.rs")),
            ("config.schema.json", template!($folder, "config.schema.json")),
        ]
    };
}

/// The fixtures of a world's example, without `.json`.
macro_rules! fixtures {
    ($folder:literal: $($stem:literal)*) => {
        &[$(($stem, include_str!(concat!("../template/", $folder, "/fixtures/", $stem, ".json")))),*]
    };
}

impl World {
    #[cfg(test)]
    pub(in crate::cli::plugin) const ALL: [Self; 10] = [
        Self::Drift,
        Self::Fairness,
        Self::Rag,
        Self::Validator,
        Self::RequestFilter,
        Self::ResponseFilter,
        Self::StreamFilter,
        Self::Filter,
        Self::Guardrail,
        Self::Router,
    ];

    pub(super) const fn sources(self) -> [(&'static str, &'static str); 3] {
        match self {
            Self::Drift => sources!("drift"),
            Self::Fairness => sources!("fairness"),
            Self::Rag => sources!("rag"),
            Self::Validator => sources!("validator"),
            Self::RequestFilter => sources!("request-filter"),
            Self::ResponseFilter => sources!("response-filter"),
            Self::StreamFilter => sources!("stream-filter"),
            Self::Filter => sources!("filter"),
            Self::Guardrail => sources!("guardrail"),
            Self::Router => sources!("router"),
        }
    }

    pub(super) const fn fixtures(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Drift => fixtures!("drift": "moved" "undefined" "nothing"),
            Self::Fairness => fixtures!("fairness": "unfair" "too_small"),
            Self::Rag => fixtures!("rag": "two_answers"),
            Self::Validator => fixtures!("validator": "bad_rows" "good"),
            Self::RequestFilter => fixtures!("request-filter": "passes" "refused"),
            Self::ResponseFilter => fixtures!("response-filter": "masked" "no_words"),
            Self::StreamFilter => fixtures!("stream-filter": "cut_in_two" "no_words"),
            Self::Filter => fixtures!("filter": "request" "answer" "stream"),
            Self::Guardrail => fixtures!("guardrail": "redacted" "allowed" "blocked"),
            Self::Router => fixtures!("router": "sooner" "unknown"),
        }
    }

    /// What the example does, as a sentence.
    pub(super) const fn about(self) -> &'static str {
        match self {
            Self::Drift => "Says how far the mean of each column of numbers has moved from the reference.",
            Self::Fairness => "Says how far the shares of good outcomes of groups lie apart.",
            Self::Rag => "Says which share of an answer's words stands in the passages that it was made of.",
            Self::Validator => "Says which values of a table are missing or out of bounds.",
            Self::RequestFilter => "Refuses calls in which one of some words stands.",
            Self::ResponseFilter => "Masks words in whole answers.",
            Self::StreamFilter => "Masks words in streamed answers, also where deltas cut them in two.",
            Self::Filter => "Masks words in requests, in whole answers and in streamed ones.",
            Self::Guardrail => "Redacts long numbers in texts, and blocks a text with many of them.",
            Self::Router => "Gives calls to the variants that answer soonest, each by how soon it does.",
        }
    }

    /// How a gateway uses it, in the README.
    pub(super) fn usage(self, name: &str) -> String {
        let plugin = format!("plugins: {{{name}: {{component: {name}.wasm}}}}");
        match self {
            Self::Drift | Self::Fairness | Self::Rag | Self::Validator => format!(
                "A monitor calls it with the windows of a route; `tidegate plugin run {name}.wasm --input WINDOW.json` with one of a file.\n\n```yaml\n{plugin}\n```"
            ),
            Self::RequestFilter => in_route(&plugin, name, "request"),
            Self::ResponseFilter | Self::StreamFilter => in_route(&plugin, name, "answer"),
            Self::Filter | Self::Guardrail => in_route(&plugin, name, "request, answer"),
            Self::Router => format!(
                "```yaml\n{plugin}\nroutes:\n  support:\n    variants: {{small: {{model: small}}, large: {{model: large}}}}\n    policy: {{router: {{plugin: {name}}}}}\n```"
            ),
        }
    }
}

fn in_route(plugin: &str, name: &str, at: &str) -> String {
    let route = format!("routes:\n  support: {{model: small, filters: [{{plugin: {name}, at: [{at}]}}]}}");
    format!("```yaml\n{plugin}\n{route}\n```")
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Drift => "drift",
            Self::Fairness => "fairness",
            Self::Rag => "rag",
            Self::Validator => "validator",
            Self::RequestFilter => "request-filter",
            Self::ResponseFilter => "response-filter",
            Self::StreamFilter => "stream-filter",
            Self::Filter => "filter",
            Self::Guardrail => "guardrail",
            Self::Router => "router",
        };
        write!(f, "{name}-plugin")
    }
}
