//! Golden vectors as what a plugin is asked and what it has to answer. Owns reading the files (README of the golden
//! folder) and turning each case into settings, what is asked and the numbers that have to come back; runs nothing itself,
//! so that the same checks go natively and through a component.
//!
//! [`folder`] says where the files are, [`cases`] reads a family, [`PLUGINS`] has who answers for it and turns its cases into
//! checks, [`run`] has them answered and says what was missed.

pub mod calibration;
mod draft;
pub mod drift;
pub mod fairness;
pub mod generate;
pub mod rag;
mod run;
pub mod tolerance;

pub use run::{Run, run};

use serde_json::Value;
use std::path::{Path, PathBuf};
pub use tolerance::Tolerance;

/// Why the vectors cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GoldenFault {
    /// The folder is not there.
    #[error("no golden vectors in {}: say where they are in GOLDEN_DIR", .0.display())]
    NoFolder(PathBuf),
    /// A file cannot be read.
    #[error("{}: {why}", .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system says.
        why: std::io::Error,
    },
    /// A file is no JSON.
    #[error("{}: {why}", .path.display())]
    NoJson {
        /// Which.
        path: PathBuf,
        /// Where it ends to be.
        why: serde_json::Error,
    },
    /// A case is not as its family's are.
    #[error("{family}, case {id}: {what}")]
    Odd {
        /// The family.
        family: String,
        /// The case.
        id: String,
        /// What is odd.
        what: String,
    },
}

/// The folder of the vectors: `GOLDEN_DIR`, else `../shared/golden` beside the repository.
///
/// # Errors
/// It is not there. Say so, and let it be a failure where nothing may be left out (`CI=true`).
pub fn folder(repository: &Path) -> Result<PathBuf, GoldenFault> {
    let named = std::env::var_os("GOLDEN_DIR").map(PathBuf::from);
    let folder = named.unwrap_or_else(|| repository.join("../shared/golden"));
    if folder.join("README.md").is_file() { Ok(folder) } else { Err(GoldenFault::NoFolder(folder)) }
}

/// One case of a family, as its file has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// The family: the file's name.
    pub family: String,
    /// Its number in the file.
    pub id: String,
    /// All that is written.
    pub body: Value,
}

impl Case {
    /// A fault of this case.
    #[must_use]
    pub fn odd(&self, what: impl Into<String>) -> GoldenFault {
        GoldenFault::Odd { family: self.family.clone(), id: self.id.clone(), what: what.into() }
    }

    /// An expected number.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn expected(&self, pointer: &str) -> Result<f64, GoldenFault> {
        let found = self.body.pointer(&format!("/expected/{pointer}"));
        found.and_then(generate::number).ok_or_else(|| self.odd(format!("expects no number {pointer}")))
    }

    /// An expected yes or no.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn verdict(&self, pointer: &str) -> Result<bool, GoldenFault> {
        let found = self.body.pointer(&format!("/expected/{pointer}"));
        found.and_then(Value::as_bool).ok_or_else(|| self.odd(format!("expects no verdict {pointer}")))
    }

    /// How near an expected number has to be met.
    ///
    /// # Errors
    /// Nothing that is understood is said of it.
    pub fn tolerance(&self, name: &str) -> Result<Tolerance, GoldenFault> {
        let all = &self.body["tol"];
        let said = if all.is_object() { &all[name] } else { all };
        Tolerance::read(said).ok_or_else(|| self.odd(format!("has no tolerance of {name} that is understood: {said}")))
    }
}

/// All cases of a family.
///
/// # Errors
/// The file cannot be read, or has none.
pub fn cases(folder: &Path, family: &str) -> Result<Vec<Case>, GoldenFault> {
    let path = folder.join(format!("{family}.json"));
    let text = std::fs::read_to_string(&path).map_err(|why| GoldenFault::Unreadable { path: path.clone(), why })?;
    let read: Value = serde_json::from_str(&text).map_err(|why| GoldenFault::NoJson { path, why })?;
    let body = |case: &Value| Case {
        family: family.to_owned(),
        id: case["id"].as_str().unwrap_or_default().to_owned(),
        body: case.clone(),
    };
    let cases: Vec<Case> = read["cases"].as_array().map_or(&[][..], Vec::as_slice).iter().map(body).collect();
    if cases.is_empty() {
        let what = "there are no cases".to_owned();
        return Err(GoldenFault::Odd { family: family.to_owned(), id: "none".to_owned(), what });
    }
    Ok(cases)
}

/// A column as a plugin gets it.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What is in it.
    pub values: Values,
}

/// What is in a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Numbers; what is missing is NaN, to be sent as missing or as it is.
    Numbers(Vec<f64>),
    /// Categories: an index into `levels` for each row.
    Categories {
        /// One for each row.
        codes: Vec<u32>,
        /// Their names.
        levels: Vec<String>,
    },
}

/// What the columns of a table are to fairness.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roles {
    /// The column of predictions.
    pub prediction: String,
    /// The column of scores.
    pub score: Option<String>,
    /// The column of labels.
    pub label: Option<String>,
    /// The columns whose groups are compared.
    pub protected: Vec<String>,
    /// The prediction that is the good outcome.
    pub positive: String,
}

/// A passage as a plugin gets it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Passage {
    /// Its id.
    pub id: String,
    /// Its text.
    pub text: String,
    /// What the retriever gave it.
    pub score: Option<f64>,
}

/// An answer that was made of passages, as a plugin gets it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample {
    /// The call.
    pub request_id: String,
    /// What was found.
    pub passages: Vec<Passage>,
    /// What should have been found.
    pub relevant_ids: Vec<String>,
}

/// What a plugin is given.
#[derive(Debug, Clone, PartialEq)]
pub enum Asked {
    /// Of the world drift.
    Drift {
        /// What the window is compared with.
        reference: Vec<Column>,
        /// The window.
        current: Vec<Column>,
    },
    /// Of the world fairness.
    Fairness {
        /// The window.
        data: Vec<Column>,
        /// What its columns are.
        roles: Roles,
    },
    /// Of the world rag.
    Rag {
        /// The answers.
        samples: Vec<Sample>,
    },
}

/// A plugin that answers for families.
#[derive(Debug, Clone, Copy)]
pub struct Plugin {
    /// Its name: that of its folder, and of its component.
    pub name: &'static str,
    /// The families, by their files.
    pub families: &'static [&'static str],
    /// What a case of them asks.
    pub checks: fn(&Case) -> Result<Vec<Check>, GoldenFault>,
}

/// All plugins that families have.
pub const PLUGINS: [Plugin; 4] = [
    Plugin { name: "drift", families: &drift::FAMILIES, checks: drift::checks },
    Plugin { name: "fairness", families: &fairness::FAMILIES, checks: fairness::checks },
    Plugin { name: "calibration", families: &calibration::FAMILIES, checks: calibration::checks },
    Plugin { name: "rag-eval", families: &rag::FAMILIES, checks: rag::checks },
];

/// Something that a plugin is asked, and what it has to answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// The family that it belongs to.
    pub family: String,
    /// The case.
    pub id: String,
    /// The plugin's settings: give them to `configure` as JSON.
    pub config: Value,
    /// What it is given.
    pub asked: Asked,
    /// All that has to be met.
    pub expected: Vec<Expected>,
}

/// A number that has to come back.
#[derive(Debug, Clone, PartialEq)]
pub struct Expected {
    /// Of which report, from 0.
    pub report: usize,
    /// Which measurement of the report; `*` for any of them (where [`Part::Breached`] is asked), a JSON pointer where
    /// [`Part::Detail`] is.
    pub measurement: String,
    /// Which of its numbers.
    pub part: Part,
    /// What it has to be; 1 for yes and 0 for no, NaN for undefined.
    pub value: f64,
    /// How near.
    pub tolerance: Tolerance,
}

/// A number of a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// `value`.
    Value,
    /// `p-value`.
    P,
    /// `threshold`.
    Threshold,
    /// `breached`, as 1 or 0.
    Breached,
    /// Whether there is such a measurement at all, as 1 or 0.
    Present,
    /// The label of this name, read as a number.
    Label(&'static str),
    /// What the report's detail has there: a number, or how many items a list has.
    Detail,
}

/// A measurement that came back, from whichever side.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answer {
    /// Its name.
    pub name: String,
    /// Its value; NaN where it is undefined.
    pub value: f64,
    /// Its p-value.
    pub p: Option<f64>,
    /// What its verdict used.
    pub threshold: Option<f64>,
    /// Its verdict.
    pub breached: bool,
    /// Its labels.
    pub labels: Vec<(String, String)>,
}

/// A report that came back.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Said {
    /// Its measurements.
    pub answers: Vec<Answer>,
    /// Its detail.
    pub detail: Value,
}

impl Check {
    /// What of the expected was not met, in words, and the largest error in tolerances among what was (1 is just met).
    #[must_use]
    pub fn judge(&self, reports: &[Said]) -> (Vec<String>, f64) {
        let mut missed = Vec::new();
        let mut worst = 0.0f64;
        for expected in &self.expected {
            let got = reports.get(expected.report).and_then(|said| expected.part_of(said));
            let error = got.map_or(f64::INFINITY, |got| expected.tolerance.error(got, expected.value));
            if error <= 1.0 {
                worst = worst.max(error);
            } else {
                let Expected { measurement, part, value, report, .. } = expected;
                let whose = format!("{} {}: {part:?} of {measurement} in report {report}", self.family, self.id);
                missed.push(format!("{whose} is {got:?}, not {value}"));
            }
        }
        (missed, worst)
    }
}

impl Expected {
    fn part_of(&self, said: &Said) -> Option<f64> {
        let answers = &said.answers;
        if self.part == Part::Detail {
            let found = said.detail.pointer(&self.measurement)?;
            return found
                .as_array()
                .map_or_else(|| found.as_f64(), |list| u32::try_from(list.len()).ok().map(f64::from));
        }
        let truth = |yes: bool| f64::from(u8::from(yes));
        if self.measurement == "*" {
            return Some(truth(answers.iter().any(|answer| answer.breached)));
        }
        let answer = answers.iter().find(|answer| answer.name == self.measurement);
        if self.part == Part::Present {
            return Some(truth(answer.is_some()));
        }
        let answer = answer?;
        match self.part {
            Part::Value => Some(answer.value),
            Part::P => answer.p,
            Part::Threshold => answer.threshold,
            Part::Breached => Some(truth(answer.breached)),
            Part::Present => Some(1.0),
            Part::Detail => None,
            Part::Label(name) => answer.labels.iter().find(|(known, _)| known == name)?.1.parse().ok(),
        }
    }
}
