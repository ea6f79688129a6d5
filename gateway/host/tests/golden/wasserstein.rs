//! Wasserstein's distance, over the spread of the reference and raw.

use crate::case::{Asked, COLUMN, Case, Expected, Number, Tolerance, numeric};
use serde_json::json;

pub(crate) fn ask(case: &Case) -> Vec<Asked> {
    let by = |normed: bool, name: &str| {
        let expected = Expected {
            measurement: "wasserstein",
            number: Number::Value,
            is: case.expected[name].clone(),
            tolerance: Tolerance::read(&case.tol),
        };
        Asked::test(json!({"column": COLUMN, "test": "wasserstein", "normed": normed}), numeric(case), vec![expected])
    };
    vec![by(true, "wasserstein_normed"), by(false, "wasserstein_raw")]
}
