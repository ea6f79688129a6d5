//! One loaded model, whatever its format. Owns what outputs are made of an ensemble's scores.

use crate::format::{lightgbm, xgboost};
use crate::tree::shap::Explainer;
use crate::tree::{Ensemble, Head, Precision};
use crate::{Field, Kind, Matrix, Refused, Signature, Unreadable};
use std::path::Path;

/// Longer files are refused.
const MOST_BYTES: u64 = 2 << 30;
/// What a library's `predict` gives.
const PREDICT: &str = "predict";
const LABEL: &str = "label";
const PROBABILITIES: &str = "probabilities";

/// A model that is loaded.
#[derive(Debug)]
pub struct Model {
    format: &'static str,
    signature: Signature,
    ensemble: Ensemble,
    explainer: Result<Explainer, Refused>,
}

/// One output.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// Its name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its values, row after row.
    pub values: Values,
}

/// The values of an output.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// 32-bit floats.
    F32(Vec<f32>),
    /// 64-bit floats.
    F64(Vec<f64>),
    /// 64-bit integers.
    I64(Vec<i64>),
}

/// Why a model gave what it gave: contributions that add up to its margins.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// Rows, groups (classes, or 1), features + 1.
    pub shape: [usize; 3],
    /// For each row and group a contribution for each feature, then what is expected where no feature is known.
    pub contributions: Vec<f64>,
    /// The names of the features.
    pub features: Vec<String>,
}

impl Model {
    /// Reads a model of any format that is known; which, its first bytes tell.
    ///
    /// # Errors
    /// When the bytes are of no known format, damaged, or of a kind that is not served in process.
    pub fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        let begin = bytes.trim_ascii_start();
        if begin.starts_with(b"{") {
            Ok(Self::of_trees("xgboost", xgboost::read(bytes)?))
        } else if begin.starts_with(b"tree\n") || begin.starts_with(b"tree\r\n") {
            Ok(Self::of_trees("lightgbm", lightgbm::read(bytes)?))
        } else {
            let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(16)]).escape_debug().to_string();
            Err(Unreadable::UnknownFormat { found: format!("it begins with `{shown}`") })
        }
    }

    /// Reads a model from a file.
    ///
    /// # Errors
    /// As [`Model::read`], and when the file cannot be read or is too long.
    pub fn open(path: &Path) -> Result<Self, Unreadable> {
        let unread = |source| Unreadable::File { path: path.to_owned(), source };
        let bytes = std::fs::metadata(path).map_err(unread)?.len();
        if bytes > MOST_BYTES {
            return Err(Unreadable::TooLarge { bytes, most: MOST_BYTES });
        }
        Self::read(&std::fs::read(path).map_err(unread)?)
    }

    fn of_trees(format: &'static str, ensemble: Ensemble) -> Self {
        let explainer = Explainer::of(&ensemble);
        let signature = signature(&ensemble);
        Self { format, signature, ensemble, explainer }
    }

    /// The format it was read from: `xgboost`, `lightgbm`.
    #[must_use]
    pub fn format(&self) -> &'static str {
        self.format
    }

    /// What it takes and gives.
    #[must_use]
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// What the model says of each row.
    ///
    /// # Errors
    /// When the rows are not of the model's width.
    pub fn predict(&self, rows: &Matrix) -> Result<Vec<Output>, Refused> {
        let scores = self.ensemble.scores(rows)?;
        Ok(outputs(&self.ensemble, rows.rows(), scores))
    }

    /// Why: exact SHAP values of the margins.
    ///
    /// # Errors
    /// When the rows are not of the model's width, or the file lacks what explaining needs.
    pub fn explain(&self, rows: &Matrix) -> Result<Explanation, Refused> {
        let explainer = self.explainer.as_ref().map_err(Clone::clone)?;
        let features = &self.ensemble.features;
        Ok(Explanation {
            shape: [rows.rows(), self.ensemble.groups(), features.len() + 1],
            contributions: explainer.contributions(&self.ensemble, rows)?,
            features: features.clone(),
        })
    }

    /// The sums of leaves of each row and group, before any link: what contributions add up to.
    ///
    /// # Errors
    /// When the rows are not of the model's width.
    pub fn margins(&self, rows: &Matrix) -> Result<Vec<f64>, Refused> {
        self.ensemble.margins(rows)
    }
}

fn signature(ensemble: &Ensemble) -> Signature {
    let kind = if ensemble.precision == Precision::Single { Kind::F32 } else { Kind::F64 };
    let field = |name: &str, kind, inner: Option<usize>| Field {
        name: name.to_owned(),
        kind,
        shape: std::iter::once(None).chain(inner.map(Some)).collect(),
    };
    let groups = ensemble.groups();
    let several = (groups > 1 && ensemble.head != Head::Class).then_some(groups);
    let mut outputs = vec![field(PREDICT, kind, several)];
    if ensemble.head != Head::Value {
        outputs.push(field(LABEL, Kind::I64, None));
        outputs.push(field(PROBABILITIES, kind, Some(groups.max(2))));
    }
    Signature {
        inputs: vec![field("input", kind, Some(ensemble.features.len()))],
        outputs,
        features: ensemble.features.clone(),
    }
}

/// `predict` as the library gives it; of classifiers the label and the probabilities of all classes beside it.
fn outputs(ensemble: &Ensemble, rows: usize, scores: Vec<f64>) -> Vec<Output> {
    let groups = ensemble.groups();
    let floats = |values: Vec<f64>| match ensemble.precision {
        Precision::Single => Values::F32(values.into_iter().map(|value| value as f32).collect()),
        Precision::Double => Values::F64(values),
    };
    let output = |name: &str, shape, values| Output { name: name.to_owned(), shape, values };
    let of_groups = |groups: usize| if groups > 1 { vec![rows, groups] } else { vec![rows] };
    if ensemble.head == Head::Value {
        return vec![output(PREDICT, of_groups(groups), floats(scores))];
    }
    let labels: Vec<i64> = match ensemble.head {
        Head::Binary => scores.iter().map(|score| i64::from(*score > 0.5)).collect(),
        _ => scores.chunks_exact(groups).map(highest).collect(),
    };
    let predicted = match ensemble.head {
        Head::Class => output(PREDICT, vec![rows], floats(labels.iter().map(|label| *label as f64).collect())),
        _ => output(PREDICT, of_groups(groups), floats(scores.clone())),
    };
    let all = match ensemble.head {
        Head::Binary => scores.iter().flat_map(|score| [1.0 - score, *score]).collect(),
        _ => scores,
    };
    let probabilities = output(PROBABILITIES, vec![rows, groups.max(2)], floats(all));
    vec![predicted, output(LABEL, vec![rows], Values::I64(labels)), probabilities]
}

/// The first of the highest.
fn highest(row: &[f64]) -> i64 {
    let best = row
        .iter()
        .enumerate()
        .fold((0, f64::NEG_INFINITY), |best, (place, score)| if *score > best.1 { (place, *score) } else { best });
    best.0 as i64
}
