//! The Jensen-Shannon distance, by natural logarithms and by those of base 2.

use crate::case::{Asked, COLUMN, Case, Expected, Number, Tolerance, numeric};
use serde_json::json;

/// Where the distance is 0 the root of a rounding residue is off by more: so says the tolerance, in words.
const AT_ZERO: f64 = 1e-7;

pub(crate) fn ask(case: &Case) -> Vec<Asked> {
    let by = |base: &str, name: &str| {
        let is = case.expected[name].clone();
        let mut tolerance = Tolerance::read(&case.tol);
        if is.as_f64() == Some(0.0) {
            tolerance.absolute = AT_ZERO;
        }
        let expected = Expected { measurement: "jensen_shannon", number: Number::Value, is, tolerance };
        let test = json!({"column": COLUMN, "test": "jensen_shannon", "mode": "evidently", "base": base});
        Asked::test(test, numeric(case), vec![expected])
    };
    vec![by("e", "js_distance_natural"), by("2", "js_distance_base2")]
}
