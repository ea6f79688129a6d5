//! Contracts, and what they say of calls that break them.

use super::*;
use serde_json::json;

fn features() -> Vec<String> {
    ["age", "income", "score"].map(str::to_owned).to_vec()
}

fn rows(values: &[f32]) -> [Tensor; 1] {
    [Tensor::of_f32("input", vec![values.len() as u64 / 3, 3], values).unwrap()]
}

fn suite(expectations: &serde_json::Value) -> Suite {
    Suite::read(&json!({"name": "s", "expectations": expectations})).unwrap()
}

fn says(contract: &Contract, inputs: &[Tensor]) -> Vec<String> {
    contract.check(inputs, &features(), false).iter().map(Violation::to_string).collect()
}

#[test]
fn a_violation_names_field_row_and_rule() {
    let Suite { contract, unchecked } = suite(&json!([
        {"type": "expect_column_values_to_be_between", "kwargs": {"column": "age", "min_value": 0, "max_value": 120}},
        {"expectation_type": "expect_column_values_to_not_be_null", "kwargs": {"column": "income"}},
        {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": "score", "value_set": [1, 2, 3]}},
        {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1}},
        {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 2}},
    ]));
    assert_eq!(unchecked, ["expect_table_row_count_to_be_between"]);
    assert!(says(&contract, &rows(&[30.0, 1e4, 1.0, 40.0, 2e4, 3.0])).is_empty());
    let wrong = rows(&[30.0, 1e4, 1.0, 212.0, f32::NAN, 3.0, -1.0, 5.0, 4.0]);
    assert_eq!(
        says(&contract, &wrong),
        [
            "field `age`, row 1: 212 is not between 0 and 120 (2 of 3 values)",
            "field `income`, row 1: the value is missing",
            "field `score`, row 2: 4 is none of 1, 2, 3",
        ]
    );
    // The same as columns.
    let columns = [("age", [212.0]), ("income", [1.0]), ("score", [2.0])];
    let columns = columns.map(|(name, values)| Tensor::of_f64(name, vec![1], &values).unwrap());
    assert_eq!(says(&contract, &columns), ["field `age`, row 0: 212 is not between 0 and 120"]);
    assert_eq!(says(&contract, &columns[1..]), ["field `age`: is missing"]);
}

#[test]
fn a_share_of_values_may_break_a_rule_and_missing_ones_are_left_out() {
    let Suite { contract, .. } = suite(&json!([{"type": "expect_column_values_to_be_between",
        "kwargs": {"column": "age", "min_value": 0, "strict_min": true, "mostly": 0.9}}]));
    let column = |values: &[f64]| [Tensor::of_f64("age", vec![values.len() as u64], values).unwrap()];
    let mut ages = vec![5.0; 10];
    ages[3] = 0.0;
    assert!(says(&contract, &column(&ages)).is_empty(), "nine of ten are enough");
    ages[7] = f64::NAN;
    assert_eq!(says(&contract, &column(&ages)), ["field `age`, row 3: 0 is not above 0 for at least 90 % of values"]);
    assert!(says(&contract, &column(&[f64::NAN; 3])).is_empty());
}

#[test]
fn signatures_of_mlflow_are_contracts() {
    let contract = Contract::of_signature(&json!([
        {"name": "age", "type": "long", "required": true},
        {"name": "income", "type": "double", "required": true},
        {"name": "note", "type": "string", "required": false},
    ]))
    .unwrap();
    let age = Tensor::of_i64("age", vec![1], &[3]).unwrap();
    let income = Tensor::of_f32("income", vec![1], &[3.0]).unwrap();
    assert!(says(&contract, &[age, income.clone()]).is_empty());
    let wrong = Tensor::of_f32("age", vec![1], &[3.5]).unwrap();
    let note = Tensor::of_f32("note", vec![1], &[3.5]).unwrap();
    assert_eq!(
        says(&contract, &[wrong, note]),
        [
            "field `age`: is of FP32, but INT64 is agreed",
            "field `income`: is missing",
            "field `note`: is of FP32, but BYTES is agreed",
        ]
    );
    let tensors = json!([{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 4]}}]);
    let contract = Contract::of_signature(&tensors).unwrap();
    let tensor = |shape: &[u64]| [Tensor::of_f32("input-0", shape.to_vec(), &[0.0; 4]).unwrap()];
    assert!(says(&contract, &tensor(&[1, 4])).is_empty());
    assert_eq!(says(&contract, &tensor(&[2, 2])), ["field `input-0`: has the shape [2, 2], but [-1, 4] is agreed"]);
}

#[test]
fn closed_contracts_take_nothing_else_and_texts_have_sets() {
    let mut field = FieldContract::named("colour");
    field.rules.push(Rule::each(Check::OneOfTexts(vec!["red".to_owned(), "blue".to_owned()])));
    let contract = Contract { fields: vec![field], is_closed: true };
    let colours = Tensor::of_texts("colour", vec![2], &["red", "green"]).unwrap();
    let other = Tensor::of_f32("size", vec![2], &[1.0, 2.0]).unwrap();
    assert_eq!(
        says(&contract, &[colours, other]),
        ["field `colour`, row 1: `green` is none of `red`, `blue`", "field `size`: is not agreed: leave it out"]
    );
    // Numbers where texts are agreed break it, too.
    let numbers = Tensor::of_f32("colour", vec![1], &[1.0]).unwrap();
    assert_eq!(says(&contract, &[numbers]), ["field `colour`, row 0: 1 is none of `red`, `blue`"]);
}

#[test]
fn suites_that_are_wrong_say_where() {
    let says =
        |expectation: serde_json::Value| Suite::read(&json!({"expectations": [expectation]})).unwrap_err().to_string();
    let between = "expect_column_values_to_be_between";
    assert_eq!(
        says(json!({"type": between, "kwargs": {"column": "a"}})),
        format!("`{between}`: neither `min_value` nor `max_value` is given")
    );
    assert_eq!(says(json!({"type": between, "kwargs": {"min_value": 1}})), format!("`{between}`: `column` is missing"));
    let mostly = says(json!({"type": between, "kwargs": {"column": "a", "min_value": 1, "mostly": 95}}));
    assert!(mostly.ends_with("`mostly` is 95, and must lie between 0 and 1"));
    assert!(Suite::read(&json!([])).is_err());
    assert!(Contract::of_signature(&json!([{"name": "a", "type": "datetime"}])).is_err());
}

#[test]
fn whole_numbers_may_stand_in_rows_of_fractions() {
    let contract = Contract::of_signature(&json!([
        {"name": "age", "type": "long"}, {"name": "income", "type": "double"}, {"name": "score", "type": "integer"},
    ]))
    .unwrap();
    assert!(says(&contract, &rows(&[30.0, 1.5, 2.0, f32::NAN, 2.5, 3.0])).is_empty());
    let wrong = rows(&[30.0, 1.5, 2.0, 31.5, 2.5, 3.0]);
    assert_eq!(says(&contract, &wrong), ["field `age`, row 1: 31.5 is no whole number, but INT64 is agreed"]);
    assert_eq!(contract.check(&wrong, &features(), false)[0].rule, "type");
    // A tensor by itself says what it is.
    let age = Tensor::of_f32("age", vec![1], &[30.0]).unwrap();
    assert_eq!(says(&contract, std::slice::from_ref(&age))[0], "field `age`: is of FP32, but INT64 is agreed");
    // Unless that is a guess.
    let loose = contract.check(&[age], &features(), true);
    assert!(loose.iter().all(|violation| violation.field != "age"), "{loose:?}");
}
