//! The families of retrieval as checks of the rag-eval plugin. Owns which measurement has which number of `pytrec_eval`'s,
//! ranx's and ragas's.

use crate::draft::Draft;
use crate::generate::number;
use crate::{Asked, Case, Check, GoldenFault, Part, Passage, Sample, Tolerance};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The families that this knows, by their files.
pub const FAMILIES: [&str; 2] = ["ranking", "ragas_nonllm"];

/// What a case asks.
///
/// # Errors
/// The case is not as its family's are.
pub fn checks(case: &Case) -> Result<Vec<Check>, GoldenFault> {
    match case.family.as_str() {
        "ranking" => ranking(case),
        "ragas_nonllm" if case.body["input"].get("retrieved_context_ids").is_some() => by_ids(case),
        "ragas_nonllm" => by_likeness(case),
        _ => Err(case.odd("its family is none of retrieval")),
    }
}

/// A sample for each query, and the means over them with the last.
fn ranking(case: &Case) -> Result<Vec<Check>, GoldenFault> {
    let (run, judged) = (fields(case, "/input/run")?, fields(case, "/input/qrels")?);
    let mut samples = Vec::new();
    for (query, found) in run {
        let found = found.as_object().ok_or_else(|| case.odd(format!("{query} found nothing")))?;
        let passage = |(id, score): (&String, &Value)| {
            let score = number(score).ok_or_else(|| case.odd(format!("{id} has no score")))?;
            Ok(Passage { id: id.clone(), text: String::new(), score: Some(score) })
        };
        let passages = found.iter().map(passage).collect::<Result<_, GoldenFault>>()?;
        samples.push(Sample { request_id: query.clone(), passages, ..Sample::default() });
    }
    // ranx has its own order of equal scores.
    let has_ties = samples.iter().any(|sample| {
        let mut scores: Vec<f64> = sample.passages.iter().filter_map(|passage| passage.score).collect();
        scores.sort_unstable_by(f64::total_cmp);
        scores.windows(2).any(|pair| pair[0] == pair[1])
    });
    let tolerance = case.tolerance("")?;
    let mut expected: Vec<(usize, String, f64)> = Vec::new();
    let mut names: BTreeMap<String, ()> = BTreeMap::new();
    let mut add = |report: usize, prefix: &str, name: &str, value: &Value| {
        let name = measure(case, name)?;
        let value = number(value).ok_or_else(|| case.odd(format!("{name} is no number")))?;
        expected.push((report, format!("{prefix}{name}"), value));
        names.insert(name, ());
        Ok::<_, GoldenFault>(())
    };
    for (query, numbers) in fields(case, "/expected/trec_per_query")? {
        let at = samples.iter().position(|sample| sample.request_id == *query);
        let at = at.ok_or_else(|| case.odd(format!("{query} is not in the run")))?;
        for (name, value) in numbers.as_object().into_iter().flatten() {
            add(at, "", name, value)?;
        }
    }
    let last = samples.len().saturating_sub(1);
    for package in ["trec_mean", "ranx_mean"].into_iter().filter(|package| *package != "ranx_mean" || !has_ties) {
        for (name, value) in fields(case, &format!("/expected/{package}"))? {
            add(last, "mean.", name, value)?;
        }
    }
    let known: Map<String, Value> =
        judged.iter().map(|(query, grades)| (query.clone(), json!({"grades": grades}))).collect();
    let config = json!({
        "measures": names.into_keys().collect::<Vec<String>>(), "means": true,
        "expected": {"by": "request_id", "of": known},
    });
    let mut draft = Draft::new(case, config, Asked::Rag { samples });
    for (report, name, value) in expected {
        draft.add(report, &name, Part::Value, value, tolerance);
    }
    Ok(vec![draft.done()])
}

/// The plugin's name of a measure that one of both packages names so.
fn measure(case: &Case, name: &str) -> Result<String, GoldenFault> {
    if name == "rbp.95" {
        return Ok("rank_biased_precision@0.95".to_owned());
    }
    let (stem, k) = match name.rsplit_once(['_', '@']) {
        Some((stem, k)) if k.parse::<usize>().is_ok() => (stem, Some(k)),
        _ => (name, None),
    };
    let ours = match stem {
        "ndcg" | "ndcg_cut" => "ndcg",
        "ndcg_burges" => "ndcg_exponential",
        "P" | "precision" => "precision",
        "recall" => "recall",
        "f1" => "f1",
        "recip_rank" | "mrr" => "reciprocal_rank",
        "map" | "map_cut" => "average_precision",
        "success" | "hit_rate" => "success",
        "Rprec" => "r_precision",
        other => return Err(case.odd(format!("expects an unknown measure {other}"))),
    };
    Ok(k.map_or_else(|| ours.to_owned(), |k| format!("{ours}@{k}")))
}

/// Ids are texts and numbers, and both are compared as texts.
fn by_ids(case: &Case) -> Result<Vec<Check>, GoldenFault> {
    let ids = |name: &str| -> Result<Vec<String>, GoldenFault> {
        let listed = case.body["input"][name].as_array().ok_or_else(|| case.odd(format!("has no {name}")))?;
        Ok(listed.iter().map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned)).collect())
    };
    let passages = ids("retrieved_context_ids")?.into_iter().map(|id| Passage { id, ..Passage::default() }).collect();
    let relevant_ids = ids("reference_context_ids")?;
    let measures = json!(["id_precision", "id_recall"]);
    // An empty list says nothing in a sample: that nothing is relevant is said beforehand.
    let config = if relevant_ids.is_empty() {
        json!({"measures": measures, "expected": {"by": "request_id", "of": {"it": {"grades": {}}}}})
    } else {
        json!({"measures": measures})
    };
    let samples = vec![Sample { request_id: "it".to_owned(), passages, relevant_ids }];
    let draft = Draft::new(case, config, Asked::Rag { samples })
        .number("id_precision", Part::Value, "id_precision", "")?
        .number("id_recall", Part::Value, "id_recall", "")?;
    Ok(vec![draft.done()])
}

fn by_likeness(case: &Case) -> Result<Vec<Check>, GoldenFault> {
    let texts = &case.body["input"]["retrieved_contexts"];
    let texts = texts.as_array().ok_or_else(|| case.odd("nothing was retrieved"))?;
    let passages = texts.iter().enumerate().map(|(at, text)| Passage {
        id: at.to_string(),
        text: text.as_str().unwrap_or_default().to_owned(),
        score: None,
    });
    let samples = vec![Sample { request_id: "it".to_owned(), passages: passages.collect(), ..Sample::default() }];
    let likenesses = fields(case, "/expected")?;
    let both = ["context_precision", "context_recall"];
    let measures: Vec<String> =
        likenesses.keys().flat_map(|likeness| both.map(|measure| format!("{measure}:{likeness}"))).collect();
    let config = json!({
        "measures": measures, "threshold": case.body["params"]["threshold"], "likenesses": true,
        "expected": {"by": "request_id", "of": {"it": {"contexts": case.body["input"]["reference_contexts"]}}},
    });
    let mut draft = Draft::new(case, config, Asked::Rag { samples });
    let tolerance = case.tolerance("")?;
    for (likeness, expected) in likenesses {
        for measure in both {
            draft =
                draft.number(&format!("{measure}:{likeness}"), Part::Value, &format!("{likeness}/{measure}"), "")?;
        }
        // Large cases come without it.
        let Some(matrix) = expected["similarity_matrix_retrieved_x_reference"].as_array() else { continue };
        let place = format!("/likenesses/{likeness}");
        let many = |list: &[Value]| u32::try_from(list.len()).map_or(f64::NAN, f64::from);
        draft.add(0, &place, Part::Detail, many(matrix), Tolerance::NONE);
        for (at, row) in matrix.iter().enumerate() {
            let row = row.as_array().ok_or_else(|| case.odd("its likenesses have no rows"))?;
            let place = format!("{place}/{at}");
            draft.add(0, &place, Part::Detail, many(row), Tolerance::NONE);
            for (at, value) in row.iter().enumerate() {
                let value = number(value).ok_or_else(|| case.odd("a likeness is no number"))?;
                draft.add(0, &format!("{place}/{at}"), Part::Detail, value, tolerance);
            }
        }
    }
    Ok(vec![draft.done()])
}

fn fields<'a>(case: &'a Case, pointer: &str) -> Result<&'a Map<String, Value>, GoldenFault> {
    let found = case.body.pointer(pointer).and_then(Value::as_object);
    found.ok_or_else(|| case.odd(format!("it has no fields at {pointer}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(family: &str, body: Value) -> Case {
        Case { family: family.to_owned(), id: "00".to_owned(), body }
    }

    #[test]
    fn a_ranking_has_a_sample_for_each_query_and_means_with_the_last() {
        let body = json!({
            "input": {"run": {"q0": {"a": 1.0}, "q1": {"a": 2.0, "b": 1.0}}, "qrels": {"q0": {"a": 1}, "q1": {"b": 2}}},
            "expected": {"trec_per_query": {"q1": {"P_5": 0.2}}, "trec_mean": {"map_cut_5": 0.75},
                "ranx_mean": {"ndcg_burges@5": 0.5, "rbp.95": 0.1}},
            "tol": 1e-9,
        });
        let found = checks(&case("ranking", body)).expect("a case of its family");
        let expected: Vec<(usize, &str)> =
            found[0].expected.iter().map(|one| (one.report, one.measurement.as_str())).collect();
        let last =
            [(1, "mean.average_precision@5"), (1, "mean.ndcg_exponential@5"), (1, "mean.rank_biased_precision@0.95")];
        assert_eq!(expected, [&[(1, "precision@5")][..], &last[..]].concat());
        assert_eq!(found[0].config["expected"]["of"]["q1"]["grades"]["b"], 2);
    }

    #[test]
    fn ids_are_texts_and_none_is_said_beforehand() {
        let body = json!({"input": {"retrieved_context_ids": [1, "b"], "reference_context_ids": []},
            "expected": {"id_precision": 0.0, "id_recall": null}, "tol": 1e-12});
        let found = checks(&case("ragas_nonllm", body)).expect("a case of its family");
        let Asked::Rag { samples } = &found[0].asked else { panic!("{found:?}") };
        assert_eq!(samples[0].passages[0].id, "1");
        assert!(found[0].config["expected"].is_object() && found[0].expected[1].value.is_nan());
    }
}
