//! What ragas says of the same contexts.

use rag_eval::{Contexts, Likeness, id_precision, id_recall};
use tidegate_golden::vectors::{Case, Compared, Value, cases, list, number, text};

/// Ids are texts and numbers, and both are compared as texts.
fn ids(value: &Value) -> Vec<String> {
    list(value).iter().map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned)).collect()
}

fn by_ids(compared: &mut Compared, case: &Case) {
    let (retrieved, references) =
        (ids(&case.input["retrieved_context_ids"]), ids(&case.input["reference_context_ids"]));
    let retrieved: Vec<&str> = retrieved.iter().map(String::as_str).collect();
    let references: Vec<&str> = references.iter().map(String::as_str).collect();
    let (precision, recall) = (id_precision(&retrieved, &references), id_recall(&retrieved, &references));
    compared.same(&format!("ragas {} precision", case.name), precision, &case.expected["id_precision"], case.tolerance);
    compared.same(&format!("ragas {} recall", case.name), recall, &case.expected["id_recall"], case.tolerance);
}

fn by_likeness(compared: &mut Compared, case: &Case) {
    let retrieved: Vec<&str> = list(&case.input["retrieved_contexts"]).iter().map(text).collect();
    let references: Vec<&str> = list(&case.input["reference_contexts"]).iter().map(text).collect();
    let threshold = number(&case.params["threshold"]);
    for likeness in Likeness::ALL {
        let expected = &case.expected[likeness.name()];
        let what = |of: &str| format!("ragas {} {} {of}", case.name, likeness.name());
        let contexts = Contexts::compare(&retrieved, &references, likeness);
        let (precision, recall) = (contexts.precision(threshold), contexts.recall(threshold));
        compared.same(&what("precision"), precision, &expected["context_precision"], case.tolerance);
        compared.same(&what("recall"), recall, &expected["context_recall"], case.tolerance);
        // Large cases come without it.
        let Some(matrix) = expected["similarity_matrix_retrieved_x_reference"].as_array() else { continue };
        assert_eq!(matrix.len(), contexts.likenesses().len(), "{}", what("rows"));
        for (row, expected) in contexts.likenesses().iter().zip(matrix) {
            assert_eq!(row.len(), list(expected).len(), "{}", what("columns"));
            for (got, expected) in row.iter().zip(list(expected)) {
                compared.same(&what("likeness"), Some(*got), expected, case.tolerance);
            }
        }
    }
}

#[test]
fn ragas_nonllm() {
    let Some(cases) = cases("ragas_nonllm") else { return };
    let mut compared = Compared::default();
    for case in &cases {
        if case.input.get("retrieved_context_ids").is_some() {
            by_ids(&mut compared, case);
        } else {
            by_likeness(&mut compared, case);
        }
    }
    compared.say("ragas_nonllm", cases.len());
}
