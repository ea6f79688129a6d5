//! The maximum mean discrepancy over all columns at once, by widths of the kernel.

use crate::case::{Asked, Case, Expected, Number, Tolerance, numbers};
use serde_json::{Value, json};
use tidegate_host::Frame;

pub(crate) fn ask(case: &Case) -> Vec<Asked> {
    let (reference, columns) = frame(&case.input["reference"]);
    let (current, _) = frame(&case.input["current"]);
    let by = |sigma: Value, is: &Value| {
        let expected = Expected {
            measurement: "mmd",
            number: Number::Value,
            is: is.clone(),
            tolerance: Tolerance::read(&case.tol),
        };
        let test = json!({"columns": columns, "test": "mmd", "sigma": sigma});
        Asked::test(test, (reference.clone(), current.clone()), vec![expected])
    };
    let found = &case.expected;
    vec![
        by(json!(0.5), &found["mmd2_unbiased_sigma_0.5"]),
        by(json!(1.0), &found["mmd2_unbiased_sigma_1.0"]),
        by(json!(2.0), &found["mmd2_unbiased_sigma_2.0"]),
        by(json!("median"), &found["median_heuristic"]["mmd2_unbiased"]),
    ]
}

/// Rows as columns `x0`, `x1` …, with their names.
fn frame(rows: &Value) -> (Frame, Vec<String>) {
    let rows = rows.as_array().expect("rows");
    let width = rows.first().and_then(Value::as_array).map_or(0, Vec::len);
    let column = |at: usize| numbers(&format!("x{at}"), &rows.iter().map(|row| row[at].clone()).collect());
    let frame = Frame::of((0..width).map(column).collect()).expect("columns of one length");
    let names = frame.columns.iter().map(|column| column.name.clone()).collect();
    (frame, names)
}
