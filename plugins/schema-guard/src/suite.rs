//! A suite as Great Expectations writes it, of its versions before 1 (`expectation_type`, `expectation_suite_name`) and from 1 on
//! (`type`, `name`, `severity`). Owns that form; what an expectation means is [`crate::expectation`]'s.

use crate::expectation::{Expectation, Kwargs};
use serde_json::{Map, Value};
use tidegate_window::Severity;

/// A suite.
#[derive(Debug, Clone)]
pub struct Suite {
    /// Its expectations, in order.
    pub expectations: Vec<Expected>,
}

/// An expectation of a suite.
#[derive(Debug, Clone)]
pub struct Expected {
    /// The name of its type.
    pub rule: String,
    /// What it means.
    pub means: Expectation,
    /// How much it matters, where the suite says so.
    pub severity: Option<Severity>,
}

/// More expectations could give more findings than a validator may.
const MOST: usize = 2000;

impl Suite {
    /// Reads a suite.
    ///
    /// # Errors
    /// It is no suite; or, with all of them named, an expectation is not known or not as its type wants it.
    pub fn read(json: &str) -> Result<Self, String> {
        let read: Value = serde_json::from_str(json).map_err(|fault| format!("the suite is no JSON: {fault}"))?;
        let listed = read["expectations"].as_array();
        let listed = listed.ok_or("the suite has no list `expectations`: give it as Great Expectations writes it")?;
        if listed.len() > MOST {
            return Err(format!("the suite has {} expectations; {MOST} are the most", listed.len()));
        }
        let (mut expectations, mut faults) = (Vec::with_capacity(listed.len()), Vec::new());
        for (at, one) in listed.iter().enumerate() {
            match expected(one) {
                Ok(expected) => expectations.push(expected),
                Err(fault) => faults.push(format!("expectations[{at}]: {fault}")),
            }
        }
        if faults.is_empty() { Ok(Self { expectations }) } else { Err(faults.join("; ")) }
    }
}

fn expected(one: &Value) -> Result<Expected, String> {
    let rule = one["type"].as_str().or_else(|| one["expectation_type"].as_str());
    let rule = rule.ok_or("it has no `type` (nor `expectation_type`)")?;
    let empty = Map::new();
    let kwargs = match &one["kwargs"] {
        Value::Null => &empty,
        Value::Object(fields) => fields,
        _ => return Err(format!("the `kwargs` of {rule} are no object")),
    };
    let said = one["severity"].as_str().or_else(|| one["meta"]["severity"].as_str());
    let severity = match said {
        None => None,
        Some("info") => Some(Severity::Info),
        Some("warn" | "warning") => Some(Severity::Warn),
        Some("alert") => Some(Severity::Alert),
        Some("critical") => Some(Severity::Critical),
        Some(other) => return Err(format!("the severity of {rule} is info, warning, alert or critical, not {other}")),
    };
    let mut kwargs = Kwargs::of(rule, kwargs);
    let means = Expectation::read(rule, &mut kwargs)?;
    kwargs.end()?;
    Ok(Expected { rule: rule.to_owned(), means, severity })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        let suite = r#"{"expectation_suite_name": "s", "meta": {"great_expectations_version": "0.18"}, "expectations": [
            {"expectation_type": "expect_column_to_exist", "kwargs": {"column": "a"}, "meta": {}},
            {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "a"}, "severity": "warning", "id": "x"}]}"#;
        let suite = Suite::read(suite).expect("a suite");
        let said: Vec<(&str, Option<Severity>)> =
            suite.expectations.iter().map(|one| (one.rule.as_str(), one.severity)).collect();
        assert_eq!(
            said,
            [("expect_column_to_exist", None), ("expect_column_values_to_not_be_null", Some(Severity::Warn))]
        );
    }

    #[test]
    fn what_is_not_known_is_named_all_of_it() {
        let suite = r#"{"expectations": [
            {"type": "expect_column_values_to_be_pretty", "kwargs": {"column": "a"}},
            {"type": "expect_column_to_exist", "kwargs": {"column": "a"}},
            {"type": "expect_column_values_to_be_between", "kwargs": {"column": "a", "min": 3}},
            {"type": "expect_column_values_to_match_regex", "kwargs": {"column": "a", "regex": "("}},
            {"type": "expect_column_to_exist", "kwargs": {"column": "a"}, "severity": "dire"}, {}]}"#;
        let fault = Suite::read(suite).expect_err("a poor suite");
        for part in [
            "expectations[0]: expect_column_values_to_be_pretty is not known",
            "expectations[2]: expect_column_values_to_be_between",
            "expectations[3]: the `regex`",
            "expectations[4]: the severity",
            "expectations[5]: it has no `type`",
        ] {
            assert!(fault.contains(part), "{part}: {fault}");
        }
        assert!(!fault.contains("expectations[1]"));
        assert!(Suite::read("[").is_err() && Suite::read("{}").is_err_and(|fault| fault.contains("`expectations`")));
    }
}
