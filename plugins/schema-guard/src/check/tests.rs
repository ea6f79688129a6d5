//! Small tables and suites: what is found, in which rows, and what is not.

use super::*;
use serde_json::json;

fn table() -> Table {
    let texts = |values: &[&str]| Data::Texts(values.iter().map(|value| (*value).to_owned()).collect());
    let mut amount = Column::full("amount", Data::Numbers(vec![1.0, 5.0, 50.0, 0.0, 3.0]));
    amount.missing = vec![3];
    let columns = vec![
        amount,
        Column::full("country", texts(&["DE", "FR", "DE", "XX", "de"])),
        Column::full("age", Data::Integers(vec![20, 30, 40, 50, 60])),
        Column::full("is_new", Data::Booleans(vec![true, false, true, false, true])),
    ];
    Table { rows: 5, columns }
}

fn run(expectation: &Value) -> Vec<Finding> {
    let suite = Suite::read(&json!({"expectations": [expectation]}).to_string()).expect("a suite");
    validate(&Config::read("").expect("settings"), &suite, &table())
}

fn one(rule: &str, kwargs: &Value) -> Option<(u32, Vec<u32>, String)> {
    let found = run(&json!({"type": rule, "kwargs": kwargs}));
    found.into_iter().next().map(|finding| (finding.failed, finding.sample_rows, finding.message))
}

fn met(rule: &str, kwargs: &Value) {
    assert_eq!(one(rule, kwargs), None, "{rule}");
}

fn unmet(rule: &str, kwargs: &Value, rows: &[u32], says: &str) {
    let (failed, found, message) = one(rule, kwargs).unwrap_or_else(|| panic!("{rule} is met"));
    assert_eq!((failed as usize, found.as_slice()), (rows.len(), rows), "{rule}");
    assert!(message.contains(says), "{rule}: {message}");
}

#[test]
fn values_are_as_expected_or_their_rows_are_named() {
    let between = "expect_column_values_to_be_between";
    met(between, &json!({"column": "amount", "min_value": 1, "max_value": 50}));
    unmet(
        between,
        &json!({"column": "amount", "min_value": 1, "max_value": 50, "strict_max": true}),
        &[2],
        "below the most",
    );
    unmet(between, &json!({"column": "amount", "max_value": 4}), &[1, 2], "2 of 4 values are not at most 4");
    met(between, &json!({"column": "amount", "max_value": 4, "mostly": 0.5}));
    unmet(between, &json!({"column": "amount", "max_value": 4, "mostly": 0.6}), &[1, 2], "0.6 of them should be");
    unmet(between, &json!({"column": "country", "min_value": "A", "max_value": "E"}), &[1, 3, 4], "");
    let set = "expect_column_values_to_be_in_set";
    unmet(set, &json!({"column": "country", "value_set": ["DE", "FR"]}), &[3, 4], "one of the 2 of the set");
    met(set, &json!({"column": "is_new", "value_set": [true, false]}));
    unmet("expect_column_values_to_not_be_in_set", &json!({"column": "country", "value_set": ["XX"]}), &[3], "none of");
    unmet(
        "expect_column_values_to_match_regex",
        &json!({"column": "country", "regex": "^[A-Z]{2}$"}),
        &[4],
        "with ^[A-Z]{2}$",
    );
    unmet("expect_column_values_to_not_match_regex", &json!({"column": "country", "regex": "X"}), &[3], "without X");
    unmet("expect_column_values_to_be_unique", &json!({"column": "country"}), &[0, 2], "no other row's");
    met("expect_column_value_lengths_to_equal", &json!({"column": "country", "value": 2}));
    unmet(
        "expect_column_value_lengths_to_be_between",
        &json!({"column": "country", "min_value": 3}),
        &[0, 1, 2, 3, 4],
        "length",
    );
}

#[test]
fn what_is_missing_is_a_value_only_where_that_is_asked() {
    unmet("expect_column_values_to_not_be_null", &json!({"column": "amount"}), &[3], "1 of 5 values are not there");
    met("expect_column_values_to_not_be_null", &json!({"column": "amount", "mostly": 0.8}));
    unmet("expect_column_values_to_be_null", &json!({"column": "age"}), &[0, 1, 2, 3, 4], "missing");
}

#[test]
fn columns_and_tables_are_as_expected_or_it_is_said() {
    met("expect_table_row_count_to_be_between", &json!({"min_value": 5, "max_value": 5}));
    unmet("expect_table_row_count_to_be_between", &json!({"min_value": 100}), &[], "there are 5 rows, not 100 or more");
    unmet("expect_table_row_count_to_equal", &json!({"value": 4}), &[], "not 4");
    met("expect_table_column_count_to_equal", &json!({"value": 4}));
    unmet(
        "expect_table_columns_to_match_set",
        &json!({"column_set": ["amount", "x"]}),
        &[],
        "missing: x; there are too many: age, country",
    );
    met("expect_table_columns_to_match_set", &json!({"column_set": ["amount"], "exact_match": false}));
    unmet("expect_table_columns_to_match_ordered_list", &json!({"column_list": ["age"]}), &[], "not age");
    met("expect_column_to_exist", &json!({"column": "age"}));
    unmet("expect_column_to_exist", &json!({"column": "x"}), &[], "no such column");
    unmet("expect_column_values_to_be_between", &json!({"column": "x", "min_value": 0}), &[], "no such column");
    met("expect_column_values_to_be_of_type", &json!({"column": "age", "type_": "int64"}));
    unmet(
        "expect_column_values_to_be_of_type",
        &json!({"column": "age", "type_": "StringType"}),
        &[],
        "it has integers",
    );
    met("expect_column_values_to_be_in_type_list", &json!({"column": "amount", "type_list": ["int", "float64"]}));
}

#[test]
fn numbers_of_columns_are_as_expected_or_it_is_said() {
    let between = |of: &str| format!("expect_column_{of}_to_be_between");
    unmet(&between("mean"), &json!({"column": "amount", "max_value": 10}), &[], "it is 14.75, not at most 10");
    for (of, value) in [
        ("mean", 14.75),
        ("median", 4.0),
        ("min", 1.0),
        ("max", 50.0),
        ("sum", 59.0),
        ("unique_value_count", 4.0),
        ("proportion_of_unique_values", 1.0),
    ] {
        met(&between(of), &json!({"column": "amount", "min_value": value, "max_value": value}));
    }
    met(&between("stdev"), &json!({"column": "age", "min_value": 15.8, "max_value": 15.82}));
    met(&between("unique_value_count"), &json!({"column": "country", "max_value": 4}));
    unmet(&between("mean"), &json!({"column": "country", "max_value": 4}), &[], "it has texts");
    unmet(
        "expect_column_distinct_values_to_be_in_set",
        &json!({"column": "country", "value_set": ["DE", "FR", "de"]}),
        &[3],
        "set",
    );
}

#[test]
fn pairs_are_compared_row_by_row() {
    met(
        "expect_column_pair_values_a_to_be_greater_than_b",
        &json!({"column_A": "age", "column_B": "amount", "mostly": 0.7}),
    );
    unmet(
        "expect_column_pair_values_a_to_be_greater_than_b",
        &json!({"column_A": "age", "column_B": "amount"}),
        &[2],
        "amount",
    );
    unmet(
        "expect_column_pair_values_to_be_equal",
        &json!({"column_A": "age", "column_B": "country"}),
        &[0, 1, 2, 3, 4],
        "country",
    );
}

#[test]
fn few_rows_are_shown_and_the_severity_is_the_expectations() {
    let suite = json!({"expectations": [{"type": "expect_column_values_to_be_null", "kwargs": {"column": "age"}, "severity": "critical"},
        {"type": "expect_column_to_exist", "kwargs": {"column": "x"}}]});
    let suite = Suite::read(&suite.to_string()).expect("a suite");
    let found =
        validate(&Config::read(r#"{"sample_rows": 2, "severity": "warn"}"#).expect("settings"), &suite, &table());
    assert_eq!((found[0].failed, found[0].sample_rows.len(), found[0].severity), (5, 2, Severity::Critical));
    assert_eq!((found[1].severity, found[1].column.as_deref()), (Severity::Warn, Some("x")));
}
