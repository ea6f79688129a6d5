//! What an evaluator said of a window, in one form for all worlds: numbers with their bounds, and which are out of them. Owns
//! how the reports of many answers become one of their window.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use tidegate_core::port::alerts::Measured;
use tidegate_host::{Finding, Measurement, Output, Report, Severity};

/// The most numbers of a window that are kept.
const MOST: usize = 1024;
/// The most values of a number that are kept one by one.
const MOST_VALUES: usize = 512;
/// The longest detail that is kept, in bytes of its JSON.
const LONGEST_DETAIL: usize = 512 * 1024;

/// What was found.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Found {
    /// The numbers.
    pub(super) measurements: Vec<Number>,
    /// How the values of many answers lie, by the number's name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) values: BTreeMap<String, Vec<f64>>,
    /// More, in the evaluator's own form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) detail: Option<Value>,
}

/// One number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Number {
    pub(super) name: String,
    /// `None` where it is undefined.
    pub(super) value: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) undefined: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) threshold: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) p_value: Option<f64>,
    pub(super) breached: bool,
    pub(super) severity: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) labels: BTreeMap<String, String>,
}

impl Found {
    /// Of what an evaluator gave back.
    pub(super) fn of(output: Output) -> Self {
        match output {
            Output::Report(report) => Self::of_report(report),
            Output::Reports(reports) => Self::of_answers(&reports),
            Output::Findings(findings) => {
                let measurements = findings.iter().take(MOST).map(broken).collect();
                Self { measurements, ..Self::default() }
            }
        }
    }

    fn of_report(report: Report) -> Self {
        let detail = report.detail.filter(|detail| detail.to_string().len() <= LONGEST_DETAIL);
        Self {
            measurements: report.measurements.into_iter().take(MOST).map(Number::of).collect(),
            values: BTreeMap::new(),
            detail,
        }
    }

    /// The mean of each number that answers have. It is out of its bound where it lies beyond it on the side on which single
    /// answers were.
    fn of_answers(reports: &[Report]) -> Self {
        let mut all: BTreeMap<&str, Vec<&Measurement>> = BTreeMap::new();
        for one in reports.iter().flat_map(|report| &report.measurements) {
            if all.len() < MOST || all.contains_key(one.name.as_str()) {
                all.entry(one.name.as_str()).or_default().push(one);
            }
        }
        let mut found = Self::default();
        for (name, of) in all {
            let values: Vec<f64> = of.iter().filter_map(|one| one.value).collect();
            found.measurements.push(mean(name, &of, &values));
            found.values.insert(name.to_owned(), values.into_iter().take(MOST_VALUES).collect());
        }
        found
    }

    /// Whether any number is out of its bounds.
    pub(super) fn is_breached(&self) -> bool {
        self.measurements.iter().any(|one| one.breached)
    }

    /// Those that are out of their bounds.
    pub(super) fn out_of_bounds(&self) -> Vec<Measured> {
        self.measurements.iter().filter(|one| one.breached).map(Number::measured).collect()
    }
}

#[expect(clippy::cast_precision_loss, reason = "a window keeps some thousands of answers")]
fn mean(name: &str, of: &[&Measurement], values: &[f64]) -> Number {
    let value = (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64);
    let threshold = of.iter().find_map(|one| one.threshold);
    let is_low = of.iter().any(|one| one.breached && one.value.zip(one.threshold).is_some_and(|(v, t)| v <= t));
    let is_high = of.iter().any(|one| one.breached && one.value.zip(one.threshold).is_some_and(|(v, t)| v > t));
    let beyond = value.zip(threshold).map(|(v, t)| (is_low && v <= t) || (is_high && v > t));
    let breaches = of.iter().filter(|one| one.breached).count();
    // Without a bound most answers decide.
    let breached = beyond.unwrap_or(breaches * 2 > of.len());
    let worst = of.iter().filter(|one| one.breached).map(|one| one.severity).max().unwrap_or(Severity::Info);
    let counts = [("answers", of.len()), ("breached_answers", breaches)];
    Number {
        name: name.to_owned(),
        value,
        undefined: value.is_none().then(|| {
            let why = of.iter().find_map(|one| one.undefined.as_deref());
            why.map_or_else(|| "no answer has this number".to_owned(), |why| format!("of no answer: {why}"))
        }),
        threshold,
        p_value: None,
        breached,
        severity: severity(if breached { worst } else { Severity::Info }),
        labels: counts.map(|(name, count)| (name.to_owned(), count.to_string())).into(),
    }
}

fn broken(finding: &Finding) -> Number {
    let mut labels = BTreeMap::from([("message".to_owned(), finding.message.clone())]);
    if let Some(column) = &finding.column {
        labels.insert("column".to_owned(), column.clone());
    }
    Number {
        name: finding.rule.clone(),
        value: Some(f64::from(finding.failed)),
        undefined: None,
        threshold: None,
        p_value: None,
        breached: finding.severity >= Severity::Alert && finding.failed > 0,
        severity: severity(finding.severity),
        labels,
    }
}

fn severity(severity: Severity) -> String {
    match severity {
        Severity::Info => "info",
        Severity::Warn => "warn",
        Severity::Alert => "alert",
        Severity::Critical => "critical",
    }
    .to_owned()
}

impl Number {
    fn of(one: Measurement) -> Self {
        Self {
            name: one.name,
            value: one.value,
            undefined: one.undefined,
            threshold: one.threshold,
            p_value: one.p_value,
            breached: one.breached,
            severity: severity(one.severity),
            labels: one.labels.into_iter().collect(),
        }
    }

    /// As alarms tell it. Of a test the bound is that of its p-value, which is told beside.
    fn measured(&self) -> Measured {
        let mut labels = self.labels.clone();
        let threshold = match self.p_value {
            None => self.threshold,
            Some(p) => {
                labels.insert("p_value".to_owned(), format!("{p:.3e}"));
                None
            }
        };
        Measured { name: self.name.clone(), value: self.value.unwrap_or_default(), threshold, labels }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, value: f64, threshold: Option<f64>, breached: bool) -> Measurement {
        Measurement {
            name: name.to_owned(),
            value: Some(value),
            undefined: None,
            threshold,
            p_value: None,
            breached,
            severity: Severity::Alert,
            labels: Vec::new(),
        }
    }

    #[test]
    fn answers_are_judged_by_their_mean_on_the_side_where_single_ones_are_out() {
        let of = |values: &[(f64, bool)]| {
            let report = |&(value, breached): &(f64, bool)| Report {
                measurements: vec![one("faithfulness", value, Some(0.5), breached)],
                detail: None,
            };
            let found = Found::of(Output::Reports(values.iter().map(report).collect()));
            (found.measurements[0].value, found.is_breached())
        };
        assert_eq!(of(&[(0.75, false), (0.25, true)]), (Some(0.5), true));
        assert_eq!(of(&[(1.0, false), (0.25, true)]), (Some(0.625), false));
        assert_eq!(of(&[(0.75, true), (0.75, true)]), (Some(0.75), true), "here more is worse");
        assert_eq!(of(&[(0.75, false)]), (Some(0.75), false));
    }

    #[test]
    fn what_no_answer_has_is_undefined_for_their_reason() {
        let reason = |all: &[Option<&str>]| {
            let report = |why: &Option<&str>| {
                let undefined = why.map(str::to_owned);
                let measurement = Measurement { value: None, undefined, ..one("faithfulness", 0.0, None, false) };
                Report { measurements: vec![measurement], detail: None }
            };
            let found = Found::of(Output::Reports(all.iter().map(report).collect()));
            found.measurements[0].undefined.clone().unwrap()
        };
        assert_eq!(reason(&[None, Some("the model took too long")]), "of no answer: the model took too long");
        assert_eq!(reason(&[None]), "no answer has this number");
    }

    #[test]
    fn of_a_test_the_bound_is_that_of_its_p_value() {
        let report = Report {
            measurements: vec![Measurement { p_value: Some(1e-9), ..one("ks:amount", 0.4, Some(0.05), true) }],
            detail: None,
        };
        let measured = Found::of(Output::Report(report)).out_of_bounds();
        assert_eq!((measured[0].threshold, measured[0].labels["p_value"].as_str()), (None, "1.000e-9"));
    }

    #[test]
    fn a_finding_is_out_of_bounds_where_somebody_should_look() {
        let finding = |severity, failed| Finding {
            rule: "not_null".to_owned(),
            column: Some("a".to_owned()),
            failed,
            sample_rows: Vec::new(),
            severity,
            message: "it is null".to_owned(),
        };
        let breached = |one: Finding| Found::of(Output::Findings(vec![one])).is_breached();
        assert!(breached(finding(Severity::Alert, 3)) && !breached(finding(Severity::Warn, 3)));
        assert!(!breached(finding(Severity::Critical, 0)));
    }
}
