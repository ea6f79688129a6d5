//! A case on its way to a check. Owns where an expected number and its tolerance are taken from.

use crate::{Asked, Case, Check, Expected, GoldenFault, Part, Tolerance};
use serde_json::Value;

/// Settings, what is asked, and what was added so far of what has to come back.
pub(crate) struct Draft<'a> {
    case: &'a Case,
    config: Value,
    asked: Asked,
    expected: Vec<Expected>,
}

impl<'a> Draft<'a> {
    pub(crate) const fn new(case: &'a Case, config: Value, asked: Asked) -> Self {
        Self { case, config, asked, expected: Vec::new() }
    }

    /// A number that stands in the case; its tolerance may have a name.
    pub(crate) fn number(
        mut self,
        measurement: &str,
        part: Part,
        pointer: &str,
        named: &str,
    ) -> Result<Self, GoldenFault> {
        let (value, tolerance) = (self.case.expected(pointer)?, self.case.tolerance(named)?);
        self.add(0, measurement, part, value, tolerance);
        Ok(self)
    }

    /// Yes or no.
    pub(crate) fn exactly(mut self, measurement: &str, part: Part, yes: bool) -> Self {
        self.add(0, measurement, part, f64::from(u8::from(yes)), Tolerance::NONE);
        self
    }

    /// A number of a report.
    pub(crate) fn add(&mut self, report: usize, measurement: &str, part: Part, value: f64, tolerance: Tolerance) {
        self.expected.push(Expected { report, measurement: measurement.to_owned(), part, value, tolerance });
    }

    pub(crate) fn done(self) -> Check {
        let Self { case, config, asked, expected } = self;
        Check { family: case.family.clone(), id: case.id.clone(), config, asked, expected }
    }
}
