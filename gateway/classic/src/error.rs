//! What can go wrong: when a model is read, and when it is asked. Each says what was wrong and how to mend it.

use std::path::PathBuf;

/// A model could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unreadable {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is longer than a model may be.
    #[error(
        "the model has {bytes} bytes, and at most {most} are read; raise the limit, if the model is really so large"
    )]
    TooLarge {
        /// How long it is.
        bytes: u64,
        /// The limit.
        most: u64,
    },
    /// It is none of the formats that are read.
    #[error(
        "the model is of no known format: {found}; XGBoost's JSON and UBJSON (`save_model(\"model.json\")`), LightGBM's text (`save_model(\"model.txt\")`) and ONNX are read"
    )]
    UnknownFormat {
        /// What was found.
        found: String,
    },
    /// It is of a format that is read, and damaged.
    #[error("the {format} model is damaged: {detail}")]
    Damaged {
        /// The format.
        format: &'static str,
        /// What was found, and where.
        detail: String,
    },
    /// It is sound, but of a kind that is not served in process.
    #[error("the {format} model needs {what}, which is not served in process; use a provider that runs it")]
    Unsupported {
        /// The format.
        format: &'static str,
        /// What it needs.
        what: String,
    },
}

/// A call that a model refuses: the fault is the caller's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// Rows of another width than the model's.
    #[error("each row must have {wanted} values, one for each feature, but has {given}")]
    Width {
        /// The model's features.
        wanted: usize,
        /// What came.
        given: usize,
    },
    /// The values do not fill the rows.
    #[error("{rows} rows of {columns} values are {wanted} values, but {given} came", wanted = rows.saturating_mul(*columns))]
    Count {
        /// Rows that were declared.
        rows: usize,
        /// Values of a row that were declared.
        columns: usize,
        /// Values that came.
        given: usize,
    },
    /// Tensors that are not what the model takes.
    #[error("{0}")]
    Input(String),
    /// The model cannot be explained in this way.
    #[error("{0}")]
    Unexplained(String),
    /// The model itself failed on these inputs.
    #[error("the model cannot take these inputs: {0}")]
    Failed(String),
}

impl Refused {
    /// An output is wanted that there is not.
    pub(crate) fn unknown_output(wanted: &str, outputs: &[String]) -> Self {
        Self::Input(format!("the model has no output `{wanted}`; it has {}", some_of(outputs)))
    }
}

/// The first of many names, for a message.
pub(crate) fn some_of(names: &[String]) -> String {
    const MOST: usize = 12;
    let shown: Vec<String> = names.iter().take(MOST).map(|name| format!("`{name}`")).collect();
    let more = if names.len() > MOST { format!(" and {} more", names.len() - MOST) } else { String::new() };
    shown.join(", ") + &more
}
