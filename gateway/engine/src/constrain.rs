//! Answers held to a form: a grammar over the model's tokens says at each step which may come next, so that what is
//! not of the form cannot be sampled at all. Owns what a caller may ask for, and its bounds; the grammars themselves are
//! llguidance's. Nothing is repaired afterwards, because nothing can go wrong.
//!
//! A mask depends on the form and on the answer's own tokens, on nothing else: an answer is the same in any batch.

mod bounds;
mod calls;
mod form;
mod grammars;
mod held;
mod reader;
mod schema;

pub(crate) use calls::CallStyle;
pub(crate) use grammars::Grammars;
pub(crate) use held::{Held, allows};
pub(crate) use reader::{CallReader, Heard};

use serde_json::Value;

/// The form that an answer must have.
#[derive(Debug, Clone, PartialEq)]
pub enum Constraint {
    /// Any JSON object.
    JsonObject,
    /// JSON that is valid against this schema.
    JsonSchema(Value),
    /// Text that this regular expression matches whole.
    Regex(String),
    /// One of these texts.
    Choice(Vec<String>),
    /// Text of this grammar, in llguidance's dialect of Lark.
    Grammar(String),
}

/// A form that cannot be kept, or is too large to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Whether the tools are to blame, or else the form.
    pub(crate) of_tools: bool,
    /// What is wrong, and how to mend it.
    pub(crate) problem: String,
}

impl Refusal {
    fn form(problem: impl Into<String>) -> Self {
        Self { of_tools: false, problem: problem.into() }
    }

    fn tools(problem: impl Into<String>) -> Self {
        Self { of_tools: true, problem: problem.into() }
    }
}

#[cfg(test)]
mod tests;
