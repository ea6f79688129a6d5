//! What can go wrong with prompts, and what a caller is told of it. Owns the faults; statuses are the server's.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};
use tidegate_core::{Fault, FaultKind};

/// A fault of the prompt store.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum PromptFault {
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// A field of what was asked is wrong.
    #[error("`{param}`: {why}")]
    Invalid {
        /// The field.
        param: Cow<'static, str>,
        /// What is wrong with it.
        why: String,
    },
    /// A file of a prompt is wrong.
    #[error(transparent)]
    Source(#[from] SourceFault),
    /// A version cannot be rendered with these variables.
    #[error(transparent)]
    Render(#[from] RenderFault),
    /// The state of things does not allow it.
    #[error("{0}")]
    Conflict(String),
    /// It is not for this caller.
    #[error("{0}")]
    Forbidden(String),
    /// Git refused.
    #[error("git could not {doing}: {why}")]
    Git {
        /// What was tried.
        doing: &'static str,
        /// Why it failed.
        why: String,
    },
    /// The system refused.
    #[error("cannot {doing} {}: {why}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        why: String,
    },
}

/// A wrong file of a prompt, with its place where that is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}{}: {why}", line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct SourceFault {
    /// The file, from the prompt's folder.
    pub file: String,
    /// The line, from 1.
    pub line: Option<u64>,
    /// What is wrong and how to mend it.
    pub why: String,
}

/// Why a version cannot be rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderFault {
    /// A variable is missing.
    #[error("the variable `{0}` is missing: give it, or a `default` in prompt.yaml")]
    Missing(String),
    /// A variable that the prompt does not have.
    #[error("the prompt has no variable `{name}`; it has {known}")]
    Unknown {
        /// The variable.
        name: String,
        /// Those that it has.
        known: String,
    },
    /// A variable that is not what its schema says.
    #[error("the variable `{name}` is not what its schema says: {why}")]
    Wrong {
        /// The variable.
        name: String,
        /// In what way.
        why: String,
    },
    /// The variables are too large in all.
    #[error("the variables are larger than {0} bytes in all")]
    Large(usize),
    /// What came out is too long.
    #[error("the rendered prompt is longer than {0} bytes")]
    Long(usize),
    /// The template takes too many steps.
    #[error("the template takes too many steps with these variables")]
    Endless,
    /// The template failed.
    #[error("the template failed in {place}: {why}")]
    Template {
        /// Its file and line.
        place: String,
        /// Why.
        why: String,
    },
}

impl SourceFault {
    pub(crate) fn at(file: impl Into<String>, line: Option<u64>, why: impl Into<String>) -> Self {
        Self { file: file.into(), line, why: why.into() }
    }
}

impl PromptFault {
    pub(crate) fn invalid(param: impl Into<Cow<'static, str>>, why: impl std::fmt::Display) -> Self {
        Self::Invalid { param: param.into(), why: why.to_string() }
    }

    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, path: path.to_owned(), why: source.to_string() }
    }

    pub(crate) fn git<E: std::fmt::Display>(doing: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Git { doing, why: source.to_string() }
    }
}

impl From<&PromptFault> for Fault {
    fn from(fault: &PromptFault) -> Self {
        let says = fault.to_string();
        match fault {
            PromptFault::NotFound(_) => Self::new(FaultKind::NotFound, says),
            PromptFault::Invalid { param, .. } => Self::field(param.clone(), says),
            PromptFault::Render(render) => {
                let param: Cow<'static, str> = match render {
                    RenderFault::Missing(name)
                    | RenderFault::Unknown { name, .. }
                    | RenderFault::Wrong { name, .. } => format!("variables.{name}").into(),
                    _ => "variables".into(),
                };
                Self::field(param, says)
            }
            PromptFault::Source(_) => Self::new(FaultKind::Conflict, format!("this version is broken: {says}")),
            PromptFault::Conflict(_) => Self::new(FaultKind::Conflict, says),
            PromptFault::Forbidden(_) => Self::new(FaultKind::Forbidden, says),
            PromptFault::Git { .. } | PromptFault::Io { .. } => {
                Self::new(FaultKind::Unavailable, "the prompt repository cannot be used; the gateway's log says why")
                    .because(says)
            }
        }
    }
}

impl From<PromptFault> for Fault {
    fn from(fault: PromptFault) -> Self {
        Self::from(&fault)
    }
}
