//! Golden vectors as what a plugin is asked and what it has to answer. Owns reading the files (README of the golden
//! folder) and turning each case into settings, two tables and the numbers that have to come back; runs nothing itself,
//! so that the same checks go natively and through a component.
//!
//! [`folder`] says where the files are, [`cases`] reads a family, [`drift::checks`] turns it into checks.

pub mod drift;
pub mod generate;
pub mod tolerance;
pub mod vectors;

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

/// Something that a plugin is asked, and what it has to answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// The family that it belongs to.
    pub family: String,
    /// The case.
    pub id: String,
    /// The plugin's settings: give them to `configure` as JSON.
    pub config: Value,
    /// What the window is compared with.
    pub reference: Vec<Column>,
    /// The window.
    pub current: Vec<Column>,
    /// All that has to be met.
    pub expected: Vec<Expected>,
}

/// A number that has to come back.
#[derive(Debug, Clone, PartialEq)]
pub struct Expected {
    /// Which measurement of the report; `*` for any of them (where [`Part::Breached`] is asked).
    pub measurement: String,
    /// Which of its numbers.
    pub part: Part,
    /// What it has to be; 1 for yes and 0 for no.
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
}

/// A measurement that came back, from whichever side.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Its name.
    pub name: String,
    /// Its value.
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

impl Check {
    /// What of the expected was not met, in words, and the largest error in tolerances among what was (1 is just met).
    #[must_use]
    pub fn judge(&self, answers: &[Answer]) -> (Vec<String>, f64) {
        let mut missed = Vec::new();
        let mut worst = 0.0f64;
        for expected in &self.expected {
            let got = expected.part_of(answers);
            let error = got.map_or(f64::INFINITY, |got| expected.tolerance.error(got, expected.value));
            if error <= 1.0 {
                worst = worst.max(error);
            } else {
                let Expected { measurement, part, value, .. } = expected;
                missed.push(format!("{} {}: {part:?} of {measurement} is {got:?}, not {value}", self.family, self.id));
            }
        }
        (missed, worst)
    }
}

impl Expected {
    fn part_of(&self, answers: &[Answer]) -> Option<f64> {
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
            Part::Label(name) => answer.labels.iter().find(|(known, _)| known == name)?.1.parse().ok(),
        }
    }
}
