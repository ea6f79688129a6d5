//! What may be asked of the plugin. Owns reading the settings and refusing what means nothing; `config.schema.json` beside
//! this says the same to the gateway, and the README to people.

use crate::choose::Chooser;
use crate::measure::chi_square::Form;
use crate::measure::jensen_shannon::Base;
use crate::measure::ks::Method;
use crate::measure::multiplicity::Correction;
use crate::report::Severity;
use serde::Deserialize;
use serde_json::Value;

/// Settings that make sense.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// What to measure; where there is none, each column by what [`Config::choose`] finds.
    pub asks: Vec<Ask>,
    /// Whose choice of tests.
    pub choose: Chooser,
    /// How often a window without drift may be said to drift.
    pub alpha: f64,
    /// How the tests of a window share it.
    pub correction: Correction,
    /// From which share of drifted measurements on the whole window has.
    pub share: f64,
    /// Below this effect nothing drifted, whatever its p-value.
    pub least_effect: f64,
    /// With fewer values on either side a column is not measured.
    pub least_rows: usize,
    /// Of what drifted.
    pub severity: Severity,
}

/// One thing to measure.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    /// The measurement's name.
    pub name: String,
    /// Of what.
    pub of: Columns,
    /// What.
    pub measure: Measure,
    /// The verdict's own threshold: it then has no part in the correction.
    pub threshold: Option<f64>,
    /// The verdict's own least effect.
    pub least_effect: Option<f64>,
}

/// Which columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Columns {
    /// One.
    One(String),
    /// These together, as vectors.
    These(Vec<String>),
    /// All whose names begin so, in the reference's order, as vectors.
    Prefix(String),
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Measure {
    /// Kolmogorov and Smirnov's test.
    Ks {
        /// How its p-value is computed.
        method: Method,
    },
    /// The population stability index.
    Psi {
        /// In which bins.
        bins: Binning,
    },
    /// A chi-square test.
    ChiSquare {
        /// Which of the two.
        form: Form,
    },
    /// The z test of two proportions.
    Z,
    /// Jensen and Shannon's distance.
    JensenShannon {
        /// In which unit.
        base: Base,
        /// In which bins.
        bins: Binning,
    },
    /// Wasserstein's distance.
    Wasserstein {
        /// In which unit.
        norm: Norm,
    },
    /// The maximum mean discrepancy.
    Mmd {
        /// The kernel's width; the median heuristic's where there is none.
        sigma: Option<f64>,
        /// Of how many random splits a p-value is made; none of 0.
        permutations: u32,
        /// What chooses them.
        seed: u64,
    },
    /// Whether a classifier tells texts apart.
    Text,
}

impl Measure {
    /// As settings and measurements name it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Ks { .. } => "ks",
            Self::Psi { .. } => "psi",
            Self::ChiSquare { .. } => "chi_square",
            Self::Z => "z",
            Self::JensenShannon { .. } => "jensen_shannon",
            Self::Wasserstein { .. } => "wasserstein",
            Self::Mmd { .. } => "mmd",
            Self::Text => "text",
        }
    }
}

/// Where bins are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Binning {
    /// At the reference's deciles: bins do not move with the window, and skewed values do not fall into one.
    ReferenceDeciles,
    /// As Evidently cuts.
    Evidently,
}

/// In which unit a distance is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Norm {
    /// The values' own.
    None,
    /// Standard deviations of the reference.
    ReferenceDeviation,
}

impl Config {
    /// Reads settings; an empty text is all defaults.
    ///
    /// # Errors
    /// They are no JSON, or mean nothing; said in words, with the test's place.
    pub fn read(json: &str) -> Result<Self, String> {
        let json = if json.trim().is_empty() { "{}" } else { json };
        let written: Written = serde_json::from_str(json).map_err(|fault| fault.to_string())?;
        let asks = written.tests.unwrap_or_default();
        let asks: Vec<Ask> = (asks.into_iter().enumerate())
            .map(|(at, test)| test.ask().map_err(|fault| format!("tests[{at}]: {fault}")))
            .collect::<Result<_, _>>()?;
        if let Some(twice) = asks.iter().enumerate().find(|(at, ask)| asks[..*at].iter().any(|b| b.name == ask.name)) {
            return Err(format!("tests[{}]: there is another {}: give it a name of its own", twice.0, twice.1.name));
        }
        let choose = written.choose.unwrap_or(Chooser::Tidegate);
        let correction = match (written.correction, choose) {
            (Some(correction), _) => correction.into(),
            (None, Chooser::Tidegate) => Correction::Bonferroni,
            (None, Chooser::Evidently) => Correction::None,
        };
        Ok(Self {
            asks,
            choose,
            alpha: share("alpha", written.alpha.unwrap_or(0.05))?,
            correction,
            share: share("share", written.share.unwrap_or(0.5))?,
            least_effect: amount("least_effect", written.least_effect.unwrap_or(0.0))?,
            least_rows: written.least_rows.unwrap_or(1).max(1),
            severity: written.severity.unwrap_or(Severity::Alert),
        })
    }
}

/// The settings as they are written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    tests: Option<Vec<WrittenTest>>,
    choose: Option<Chooser>,
    alpha: Option<f64>,
    correction: Option<WrittenCorrection>,
    share: Option<f64>,
    least_effect: Option<f64>,
    least_rows: Option<usize>,
    severity: Option<Severity>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WrittenCorrection {
    None,
    Bonferroni,
    BenjaminiHochberg,
}

impl From<WrittenCorrection> for Correction {
    fn from(written: WrittenCorrection) -> Self {
        match written {
            WrittenCorrection::None => Self::None,
            WrittenCorrection::Bonferroni => Self::Bonferroni,
            WrittenCorrection::BenjaminiHochberg => Self::BenjaminiHochberg,
        }
    }
}

/// One test as it is written: whatever belongs to any.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenTest {
    test: String,
    name: Option<String>,
    column: Option<String>,
    columns: Option<Vec<String>>,
    prefix: Option<String>,
    threshold: Option<f64>,
    least_effect: Option<f64>,
    method: Option<String>,
    bins: Option<Binning>,
    form: Option<String>,
    base: Option<String>,
    norm: Option<Norm>,
    sigma: Option<Value>,
    permutations: Option<u32>,
    seed: Option<u64>,
}

impl WrittenTest {
    fn ask(self) -> Result<Ask, String> {
        self.only_its_own()?;
        let of = match (self.column, self.columns, self.prefix) {
            (Some(column), None, None) => Columns::One(column),
            (None, Some(columns), None) if !columns.is_empty() => Columns::These(columns),
            (None, None, Some(prefix)) => Columns::Prefix(prefix),
            _ => return Err("say one of column, columns and prefix".to_owned()),
        };
        let measure = match self.test.as_str() {
            "ks" => Measure::Ks { method: method(self.method.as_deref())? },
            "psi" => Measure::Psi { bins: self.bins.unwrap_or(Binning::ReferenceDeciles) },
            "chi_square" => Measure::ChiSquare { form: form(self.form.as_deref())? },
            "z" => Measure::Z,
            "jensen_shannon" => Measure::JensenShannon {
                base: base(self.base.as_deref())?,
                bins: self.bins.unwrap_or(Binning::Evidently),
            },
            "wasserstein" => Measure::Wasserstein { norm: self.norm.unwrap_or(Norm::ReferenceDeviation) },
            "mmd" => Measure::Mmd {
                sigma: sigma(self.sigma.as_ref())?,
                permutations: self.permutations.unwrap_or(100).min(MOST_PERMUTATIONS),
                seed: self.seed.unwrap_or(0),
            },
            "text" => Measure::Text,
            other => return Err(format!("{other} is no test: there are {}", TESTS.join(", "))),
        };
        let whose = match &of {
            Columns::One(column) => column.clone(),
            Columns::These(columns) => columns.join("+"),
            Columns::Prefix(prefix) => format!("{prefix}*"),
        };
        if !matches!(of, Columns::One(_)) && !matches!(measure, Measure::Mmd { .. }) {
            return Err(format!("{} compares one column: say column", measure.name()));
        }
        let name = self.name.unwrap_or_else(|| format!("{}:{whose}", measure.name()));
        let threshold = self.threshold.map(|threshold| amount("threshold", threshold)).transpose()?;
        let least_effect = self.least_effect.map(|least| amount("least_effect", least)).transpose()?;
        Ok(Ask { name, of, measure, threshold, least_effect })
    }

    /// What belongs to another test is no setting of this one.
    fn only_its_own(&self) -> Result<(), String> {
        let said = [
            ("method", self.method.is_some(), &["ks"][..]),
            ("bins", self.bins.is_some(), &["psi", "jensen_shannon"][..]),
            ("form", self.form.is_some(), &["chi_square"][..]),
            ("base", self.base.is_some(), &["jensen_shannon"][..]),
            ("norm", self.norm.is_some(), &["wasserstein"][..]),
            ("sigma", self.sigma.is_some(), &["mmd"][..]),
            ("permutations", self.permutations.is_some(), &["mmd"][..]),
            ("seed", self.seed.is_some(), &["mmd"][..]),
        ];
        let stray = said.iter().find(|(_, said, of)| *said && !of.contains(&self.test.as_str()));
        stray.map_or(Ok(()), |(what, ..)| Err(format!("{what} is no setting of {}", self.test)))
    }
}

/// The tests that there are.
const TESTS: [&str; 8] = ["ks", "psi", "chi_square", "z", "jensen_shannon", "wasserstein", "mmd", "text"];
/// More say no more, and take longer than a window may.
const MOST_PERMUTATIONS: u32 = 10_000;

fn method(said: Option<&str>) -> Result<Method, String> {
    match said {
        None | Some("auto") => Ok(Method::Auto),
        Some("exact") => Ok(Method::Exact),
        Some("asymptotic") => Ok(Method::Asymptotic),
        Some(other) => Err(format!("method is auto, exact or asymptotic, not {other}")),
    }
}

fn form(said: Option<&str>) -> Result<Form, String> {
    match said {
        None | Some("contingency") => Ok(Form::Contingency),
        Some("one_way") => Ok(Form::OneWay),
        Some(other) => Err(format!("form is contingency or one_way, not {other}")),
    }
}

fn base(said: Option<&str>) -> Result<Base, String> {
    match said {
        None | Some("e") => Ok(Base::E),
        Some("2") => Ok(Base::Two),
        Some(other) => Err(format!("base is \"e\" or \"2\", not {other}")),
    }
}

fn sigma(said: Option<&Value>) -> Result<Option<f64>, String> {
    match said.map(|said| (said.as_str(), said.as_f64())) {
        None | Some((Some("median"), _)) => Ok(None),
        Some((_, Some(sigma))) if sigma > 0.0 && sigma.is_finite() => Ok(Some(sigma)),
        Some(_) => Err("sigma is \"median\" or a number above 0".to_owned()),
    }
}

fn share(name: &str, value: f64) -> Result<f64, String> {
    if value > 0.0 && value <= 1.0 { Ok(value) } else { Err(format!("{name} is above 0 and at most 1, not {value}")) }
}

fn amount(name: &str, value: f64) -> Result<f64, String> {
    if value >= 0.0 && value.is_finite() { Ok(value) } else { Err(format!("{name} is 0 or more, not {value}")) }
}

#[cfg(test)]
mod tests;
