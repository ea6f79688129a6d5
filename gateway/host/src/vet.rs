//! Looks at what a guest gave back before anybody else sees it: lengths, finite numbers, JSON. Owns these rules. A number that
//! is undefined is said by a value that is not finite together with a label `undefined` that says why.

use crate::bindings::rag::tidegate::plugin::types as wit;
use crate::bindings::validator::exports::tidegate::plugin::validator as wit_validator;
use crate::report::{Finding, Measurement, Report, Severity};

/// How much a report may say.
const MEASUREMENTS: usize = 10_000;
const NAME_BYTES: usize = 128;
const LABELS: usize = 16;
const LABEL_BYTES: usize = 256;
const DETAIL_BYTES: usize = 1 << 20;
const FINDINGS: usize = 10_000;
const SAMPLE_ROWS: usize = 1000;
const MESSAGE_BYTES: usize = 1024;

/// The label that says why a number is undefined.
const UNDEFINED: &str = "undefined";

/// What is wrong with an output.
type Wrong = String;

/// One report a sample.
pub(crate) fn reports(given: Vec<wit::Report>, samples: usize) -> Result<Vec<Report>, Wrong> {
    if given.len() != samples {
        return Err(format!("it gave {} reports for {samples} samples", given.len()));
    }
    given.into_iter().map(report).collect()
}

/// A report.
pub(crate) fn report(given: wit::Report) -> Result<Report, Wrong> {
    let wit::Report { measurements, detail } = given;
    if measurements.len() > MEASUREMENTS {
        return Err(format!("it gave {} measurements; {MEASUREMENTS} are the most", measurements.len()));
    }
    let detail = match detail {
        Some(text) if text.len() > DETAIL_BYTES => {
            return Err(format!("its detail has {} bytes; {DETAIL_BYTES} are the most", text.len()));
        }
        Some(text) => Some(serde_json::from_str(&text).map_err(|error| format!("its detail is no JSON: {error}"))?),
        None => None,
    };
    Ok(Report { measurements: measurements.into_iter().map(measurement).collect::<Result<_, _>>()?, detail })
}

fn measurement(given: wit::Measurement) -> Result<Measurement, Wrong> {
    let wit::Measurement { name, value, threshold, p_value, breached, severity, mut labels } = given;
    let name = named(name, "a measurement")?;
    if labels.len() > LABELS {
        return Err(format!("`{name}` has {} labels; {LABELS} are the most", labels.len()));
    }
    for (label, value) in &labels {
        short(label, NAME_BYTES, "the name of a label")?;
        short(value, LABEL_BYTES, &format!("the label `{label}`"))?;
    }
    let undefined = labels.iter().position(|(label, _)| label == UNDEFINED);
    let (value, undefined) = match (value.is_finite(), undefined) {
        (true, _) => (Some(value), None),
        (false, Some(at)) => (None, Some(labels.remove(at).1)),
        (false, None) => {
            return Err(format!("`{name}` is {value}: what is undefined has a label `{UNDEFINED}` that says why"));
        }
    };
    if threshold.is_some_and(|threshold| !threshold.is_finite()) {
        return Err(format!("the threshold of `{name}` is no finite number"));
    }
    if p_value.is_some_and(|p| !(0.0..=1.0).contains(&p)) {
        return Err(format!("the p-value of `{name}` is not between 0 and 1"));
    }
    let severity = graded(severity);
    Ok(Measurement { name, value, undefined, threshold, p_value, breached, severity, labels })
}

/// The findings of a validator.
pub(crate) fn findings(given: Vec<wit_validator::Finding>) -> Result<Vec<Finding>, Wrong> {
    if given.len() > FINDINGS {
        return Err(format!("it gave {} findings; {FINDINGS} are the most", given.len()));
    }
    given.into_iter().map(finding).collect()
}

fn finding(given: wit_validator::Finding) -> Result<Finding, Wrong> {
    let wit_validator::Finding { rule, column, failed, sample_rows, severity, message } = given;
    let rule = named(rule, "a rule")?;
    if let Some(column) = &column {
        short(column, LABEL_BYTES, "the name of a column")?;
    }
    if sample_rows.len() > SAMPLE_ROWS {
        return Err(format!("`{rule}` shows {} rows; {SAMPLE_ROWS} are the most", sample_rows.len()));
    }
    short(&message, MESSAGE_BYTES, &format!("the message of `{rule}`"))?;
    Ok(Finding { rule, column, failed, sample_rows, severity: graded(severity), message })
}

/// What a plugin says of itself: a name and a version that may stand in logs and metrics, and a schema.
pub(crate) fn described(
    name: String,
    version: String,
    schema: &str,
) -> Result<(String, String, serde_json::Value), Wrong> {
    let name = named(name, "the plugin")?;
    short(&version, NAME_BYTES, "its version")?;
    if schema.len() > DETAIL_BYTES {
        return Err(format!("the schema of its configuration has more than {DETAIL_BYTES} bytes"));
    }
    let schema: serde_json::Value =
        serde_json::from_str(schema).map_err(|error| format!("the schema of its configuration is no JSON: {error}"))?;
    if !schema.is_object() && !schema.is_boolean() {
        return Err("the schema of its configuration is no JSON Schema".to_owned());
    }
    Ok((name, version, schema))
}

fn named(name: String, what: &str) -> Result<String, Wrong> {
    if name.is_empty() {
        return Err(format!("{what} has no name"));
    }
    short(&name, NAME_BYTES, &format!("the name of {what}"))?;
    Ok(name)
}

fn short(text: &str, most: usize, what: &str) -> Result<(), Wrong> {
    if text.len() > most {
        return Err(format!("{what} has {} bytes; {most} are the most", text.len()));
    }
    if text.chars().any(char::is_control) {
        return Err(format!("{what} has control characters"));
    }
    Ok(())
}

const fn graded(severity: wit::Severity) -> Severity {
    match severity {
        wit::Severity::Info => Severity::Info,
        wit::Severity::Warn => Severity::Warn,
        wit::Severity::Alert => Severity::Alert,
        wit::Severity::Critical => Severity::Critical,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(value: f64, labels: &[(&str, &str)]) -> wit::Measurement {
        wit::Measurement {
            name: "psi".to_owned(),
            value,
            threshold: Some(0.1),
            p_value: None,
            breached: true,
            severity: wit::Severity::Alert,
            labels: labels.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect(),
        }
    }

    #[test]
    fn undefined_is_said_or_is_a_fault() {
        let defined = measurement(given(0.5, &[("column", "x")])).unwrap();
        assert_eq!((defined.value, defined.label("column")), (Some(0.5), Some("x")));
        let undefined = measurement(given(f64::NAN, &[("undefined", "no rows")])).unwrap();
        assert_eq!((undefined.value, undefined.undefined.as_deref()), (None, Some("no rows")));
        assert!(undefined.labels.is_empty());
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(measurement(given(bad, &[])).unwrap_err().contains("undefined"));
        }
    }

    #[test]
    fn what_is_too_long_or_no_number_is_refused() {
        assert!(measurement(given(1.0, &[("a", "x\ny")])).unwrap_err().contains("control"));
        assert!(measurement(given(1.0, &[("a", &"x".repeat(257))])).unwrap_err().contains("257 bytes"));
        assert!(measurement(given(1.0, &[("a", "b"); 17])).unwrap_err().contains("17 labels"));
        assert!(measurement(wit::Measurement { p_value: Some(1.5), ..given(1.0, &[]) }).is_err());
        assert!(measurement(wit::Measurement { p_value: Some(f64::NAN), ..given(1.0, &[]) }).is_err());
        assert!(measurement(wit::Measurement { threshold: Some(f64::NAN), ..given(1.0, &[]) }).is_err());
        assert!(measurement(wit::Measurement { name: String::new(), ..given(1.0, &[]) }).is_err());
        let detail = |text: &str| report(wit::Report { measurements: vec![], detail: Some(text.to_owned()) });
        assert!(detail("{").is_err() && detail("{}").is_ok());
        assert!(reports(vec![], 1).is_err());
        assert!(described("x".into(), "1".into(), "3").is_err() && described("x".into(), "1".into(), "{}").is_ok());
    }
}
