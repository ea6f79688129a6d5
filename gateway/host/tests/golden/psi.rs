//! The population stability index in the form that Evidently has.

use crate::case::{Asked, COLUMN, Case, Expected, Number, Tolerance, numeric};
use serde_json::json;

pub(crate) fn ask(case: &Case) -> Vec<Asked> {
    let expected = Expected {
        measurement: "psi",
        number: Number::Value,
        is: case.expected["psi"].clone(),
        tolerance: Tolerance::read(&case.tol["psi"]),
    };
    vec![Asked::test(json!({"column": COLUMN, "test": "psi", "mode": "evidently"}), numeric(case), vec![expected])]
}
