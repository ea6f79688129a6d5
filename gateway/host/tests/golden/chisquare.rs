//! Tests of categories, whose counts are given: one-way and by contingency, two shares by z, and PSI and Jensen-Shannon over
//! categories.

use crate::case::{Asked, COLUMN, Case, Expected, Number, Tolerance};
use serde_json::{Value, json};
use tidegate_host::{Column, Data, Frame};

pub(crate) fn ask(case: &Case) -> Vec<Asked> {
    let tolerance = Tolerance::read(&case.tol);
    let expected = |measurement, number, is: &Value| Expected { measurement, number, is: is.clone(), tolerance };
    let one = |test: Value, expected: Vec<Expected>| {
        Asked::test(test, (counted(case, "reference_counts"), counted(case, "current_counts")), expected)
    };
    let found = &case.expected;
    let contingency = &found["alibi_style_contingency"];
    let mut asked = vec![
        one(
            json!({"column": COLUMN, "test": "chi2", "mode": "contingency"}),
            vec![
                expected("chi2", Number::Value, &contingency["statistic"]),
                expected("chi2", Number::PValue, &contingency["p"]),
            ],
        ),
        one(
            json!({"column": COLUMN, "test": "chi2", "mode": "one_way"}),
            vec![expected("chi2", Number::PValue, &found["evidently_chi2_p"])],
        ),
        one(
            json!({"column": COLUMN, "test": "psi", "mode": "evidently"}),
            vec![expected("psi", Number::Value, &found["evidently_psi"])],
        ),
        one(
            json!({"column": COLUMN, "test": "jensen_shannon", "mode": "evidently", "base": "e"}),
            vec![expected("jensen_shannon", Number::Value, &found["evidently_js_distance"])],
        ),
    ];
    if let Some(p) = found.get("evidently_z_p") {
        asked.push(one(json!({"column": COLUMN, "test": "z"}), vec![expected("z", Number::PValue, p)]));
    }
    asked
}

/// A column that has each key as often as was counted.
fn counted(case: &Case, counts: &str) -> Frame {
    let keys = case.input["keys"].as_array().expect("keys");
    let levels = keys.iter().map(|key| key.as_str().map_or_else(|| key.to_string(), str::to_owned)).collect();
    let counts = case.input[counts].as_array().expect("counts");
    let mut codes = Vec::new();
    for (code, count) in (0u32..).zip(counts) {
        let count = usize::try_from(count.as_u64().expect("a count")).expect("a count");
        codes.resize(codes.len() + count, code);
    }
    Frame::of(vec![Column::full(COLUMN, Data::Categories { codes, levels })]).expect("one column")
}
