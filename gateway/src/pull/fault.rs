//! Why a model could not be had: the reason of each source, and the one message made of them.

use super::{Tries, Wanted};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use tidegate_core::digest::Digest;

/// Why one source did not give the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Reason {
    /// No connection.
    #[error("cannot reach {host}: {why}")]
    Unreachable {
        /// The host.
        host: String,
        /// What happened.
        why: String,
    },
    /// A connection, but no answer or not all of it.
    #[error("the download broke off after {got} bytes: {why}; what came is kept for the next try")]
    Broken {
        /// Bytes that are there.
        got: u64,
        /// What happened.
        why: String,
    },
    /// An answer that is not the file.
    #[error("{host} answered with status {status}{}", hint(*.status))]
    Status {
        /// The host.
        host: String,
        /// Its status.
        status: u16,
    },
    /// Too many redirects, or one to an address that is not followed.
    #[error("{0}")]
    Redirect(String),
    /// An address that is none.
    #[error("{0:?} is not an address of the form https://host/path")]
    Address(String),
    /// Other bytes than the wanted ones.
    #[error("its sha256 is {got}, so it is another file")]
    WrongDigest {
        /// What came.
        got: Digest,
    },
    /// Another size than the wanted one.
    #[error("it has {got} bytes instead of {wanted}, so it is another file")]
    WrongSize {
        /// What it has.
        got: u64,
        /// What it should have.
        wanted: u64,
    },
    /// More than may come.
    #[error("it is larger than the {limit} bytes that are taken")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// No Python.
    #[error("{program} is not in PATH, and the wheel is fetched by its pip")]
    NoPython {
        /// What was looked for.
        program: String,
    },
    /// Python without pip.
    #[error("{program} has no pip module; install it, for example by `{program} -m ensurepip`")]
    NoPip {
        /// The Python.
        program: String,
    },
    /// pip failed.
    #[error("pip could not download {package}: {says}")]
    Pip {
        /// What was asked for.
        package: String,
        /// The core of what it printed.
        says: String,
    },
    /// The wheel makes no sense.
    #[error("the archive {name} cannot be read: {why}")]
    Archive {
        /// Its file name.
        name: String,
        /// Why.
        why: String,
    },
    /// The wheel lacks the member.
    #[error("the archive {name} has no file {member}")]
    NoMember {
        /// The archive's file name.
        name: String,
        /// What was looked for.
        member: String,
    },
    /// A file of this machine cannot be read.
    #[error("cannot read {}: {why}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A folder where a file should be.
    #[error("{} is not a file", .0.display())]
    NotAFile(PathBuf),
    /// The cache cannot be written.
    #[error("cannot write {}: {why}; set TIDEGATE_MODELS to a folder with room that you may write", .path.display())]
    Cache {
        /// The path.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The work was cut short inside.
    #[error("the work stopped early: {0}")]
    Stopped(String),
}

fn hint(status: u16) -> &'static str {
    match status {
        401 | 403 => " (a gated or private model needs HF_TOKEN)",
        404 => " (no such repository, file or revision)",
        429 => " (it limits callers; try again later)",
        _ => "",
    }
}

impl Reason {
    pub(super) fn file(path: &Path, error: &std::io::Error) -> Self {
        Self::File { path: path.to_owned(), why: error.to_string() }
    }

    pub(super) fn cache(path: &Path, error: &std::io::Error) -> Self {
        Self::Cache { path: path.to_owned(), why: error.to_string() }
    }
}

/// Why a model could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PullFault {
    /// Not in the catalogue.
    #[error("there is no model {name:?} in the catalogue; it has {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// No folder for the cache.
    #[error("there is no folder to keep models in; set TIDEGATE_MODELS or HOME")]
    NoCache,
    /// No source gave the file.
    #[error("{0}")]
    NoSource(String),
    /// Files given by hand that are not the wanted ones.
    #[error("{0}")]
    NotTheModel(String),
    /// A slip in the catalogue.
    #[error("the catalogue lists too few files for {name}")]
    Incomplete {
        /// The entry.
        name: &'static str,
    },
}

impl PullFault {
    /// One message with each source and its reason, and the way out.
    pub(super) fn none(model: Option<&str>, wanted: &Wanted, tries: Tries) -> Self {
        let Wanted { name, sha256, bytes, .. } = wanted;
        let mut text = match model {
            Some(model) => format!("no source gave {name} of the model {model}:"),
            None => format!("no source gave {name}:"),
        };
        let mut add = |line: std::fmt::Arguments<'_>| text.write_fmt(line).unwrap_or_default();
        for (source, reason) in tries {
            add(format_args!("\n  {source}\n      {reason}"));
        }
        let size = bytes.map(|bytes| format!("{bytes} bytes, ")).unwrap_or_default();
        add(format_args!("\nbring the file ({size}sha256 {sha256}) here by another way, then "));
        match model {
            Some(model) => add(format_args!("run: tidegate pull {model} --from FILE")),
            None => add(format_args!("add file:PATH to the sources of the model")),
        }
        Self::NoSource(text)
    }
}
