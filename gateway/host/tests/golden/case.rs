//! A case of the golden vectors, and what is asked of a component about it. Owns tolerances and how a number is looked up in a
//! report: by the name of its measurement, which is that of the test.

use crate::generated;
use serde::Deserialize;
use serde_json::Value;
use tidegate_host::{Column, Data, Frame, Input, Measurement, Output, Plugin, Window};

/// The column that cases of one column are asked by.
pub(crate) const COLUMN: &str = "x";

/// A file of vectors.
#[derive(Deserialize)]
pub(crate) struct Vectors {
    pub(crate) cases: Vec<Case>,
}

/// One case.
#[derive(Deserialize)]
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) desc: String,
    pub(crate) input: Value,
    pub(crate) expected: Value,
    pub(crate) tol: Value,
}

impl Vectors {
    pub(crate) fn read(file: &[u8]) -> Self {
        serde_json::from_slice(file).expect("a file of vectors")
    }
}

/// How far a number may be off.
#[derive(Clone, Copy)]
pub(crate) struct Tolerance {
    pub(crate) relative: f64,
    pub(crate) absolute: f64,
}

impl Tolerance {
    /// A number, or a text such as `rel 1e-8, abs 1e-12`.
    pub(crate) fn read(tol: &Value) -> Self {
        if let Some(absolute) = tol.as_f64() {
            return Self { relative: 0.0, absolute };
        }
        let text = tol.as_str().expect("a tolerance is a number or a text");
        let after = |word: &str| {
            let at = text.find(word)? + word.len();
            text[at..].split([',', ' ', ')']).next()?.parse().ok()
        };
        Self { relative: after("rel ").unwrap_or(0.0), absolute: after("abs ").unwrap_or(0.0) }
    }

    fn holds(self, found: f64, expected: f64) -> bool {
        (found - expected).abs() <= self.absolute.max(self.relative * expected.abs())
    }
}

/// Which number of a measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Number {
    Value,
    PValue,
}

/// What is expected of a call.
pub(crate) struct Expected {
    pub(crate) measurement: &'static str,
    pub(crate) number: Number,
    /// A number, or what stands for none: `null`, `"inf"`.
    pub(crate) is: Value,
    pub(crate) tolerance: Tolerance,
}

/// One call.
pub(crate) struct Asked {
    pub(crate) config: Value,
    pub(crate) input: Input,
    pub(crate) expected: Vec<Expected>,
}

impl Asked {
    /// One test of the one column of a case.
    pub(crate) fn test(test: Value, frames: (Frame, Frame), expected: Vec<Expected>) -> Self {
        let (reference, current) = frames;
        let input =
            Input::Drift { window: Window { id: "golden".to_owned(), ..Window::default() }, reference, current };
        Self { config: Value::from_iter([("tests", Value::Array(vec![test]))]), input, expected }
    }

    /// Calls; what is not met.
    pub(crate) fn of(&self, plugin: &Plugin) -> Vec<String> {
        let done = match plugin.call(&self.config.to_string(), &self.input) {
            Ok(done) => done,
            Err(fault) => return vec![format!("{}: {fault} ({})", self.config, fault.kind)],
        };
        let Output::Report(report) = done.output else { return vec!["it gave no report".to_owned()] };
        self.expected.iter().filter_map(|expected| expected.missed(&report.measurements, &self.config)).collect()
    }
}

impl Expected {
    fn missed(&self, measurements: &[Measurement], config: &Value) -> Option<String> {
        let Some(found) = measurements.iter().find(|found| found.name == self.measurement) else {
            let names: Vec<_> = measurements.iter().map(|found| found.name.as_str()).collect();
            return Some(format!("{config}: no measurement `{}` among {names:?}", self.measurement));
        };
        let given = match self.number {
            Number::Value => found.value,
            Number::PValue => found.p_value,
        };
        let is_met = match (given, self.is.as_f64()) {
            (Some(given), Some(expected)) => self.tolerance.holds(given, expected),
            (None, None) => true,
            _ => false,
        };
        (!is_met).then(|| format!("{config}: {:?} is {given:?} and should be {}", self.number, self.is))
    }
}

/// The two sides of a case of one numeric column.
pub(crate) fn numeric(case: &Case) -> (Frame, Frame) {
    let side = |name: &str| Frame::of(vec![numbers(COLUMN, &case.input[name])]).expect("one column");
    (side("reference"), side("current"))
}

/// A column of numbers; `null` is a missing one.
pub(crate) fn numbers(name: &str, given: &Value) -> Column {
    let values = generated::values(given);
    let missing = (0u32..).zip(&values).filter(|(_, value)| value.is_none()).map(|(row, _)| row).collect();
    let data = Data::Numbers(values.into_iter().map(Option::unwrap_or_default).collect());
    Column { name: name.to_owned(), data, missing }
}

#[test]
fn tolerances_are_read() {
    use serde_json::json;
    let read = |tol: Value| {
        let tolerance = Tolerance::read(&tol);
        (tolerance.relative, tolerance.absolute)
    };
    assert_eq!(read(json!(1e-12)), (0.0, 1e-12));
    assert_eq!(read(json!("rel 1e-8, abs 1e-12")), (1e-8, 1e-12));
    assert_eq!(read(json!("rel 1e-9")), (1e-9, 0.0));
    assert_eq!(read(json!("abs 1e-9 (1e-7 when 0: sqrt of a rounding residue)")), (0.0, 1e-9));
}
