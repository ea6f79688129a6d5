//! Kolmogorov-Smirnov: the statistic, and p-values by both methods.

use crate::case::{Asked, COLUMN, Case, Expected, Number, Tolerance, numeric};
use serde_json::json;

pub(crate) fn ask(case: &Case) -> Vec<Asked> {
    let by = |method: &str| {
        let p = format!("p_value_{method}");
        let expected = |number, name: &str| Expected {
            measurement: "ks",
            number,
            is: case.expected[name].clone(),
            tolerance: Tolerance::read(&case.tol[name]),
        };
        let expected = vec![expected(Number::Value, "statistic"), expected(Number::PValue, &p)];
        Asked::test(json!({"column": COLUMN, "test": "ks", "method": method}), numeric(case), expected)
    };
    vec![by("auto"), by("asymp")]
}
