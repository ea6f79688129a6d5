//! Reports of single samples: what is measured of which, and what is said where models or judgements are not there.

use super::*;
use crate::sample::Passage;
use std::cell::RefCell;

/// Models that say what a test has them say.
#[derive(Default)]
struct Fake {
    says: Option<&'static str>,
    denied: bool,
    /// Whether embeddings are granted all the same.
    embeds: bool,
    asked: RefCell<Vec<String>>,
}

impl Models for Fake {
    fn generate(&self, _: &str, messages: [&str; 2], _: u32, schema: &str) -> Result<String, Unreached> {
        self.asked.borrow_mut().push(messages[1].to_owned());
        assert!(serde_json::from_str::<Value>(schema).is_ok_and(|schema| schema.is_object()));
        if self.denied {
            return Err(Unreached::Denied("no models were granted".to_owned()));
        }
        self.says.map(str::to_owned).ok_or_else(|| Unreached::Failed("it took too long".to_owned()))
    }

    /// The first letter's place, and 1.
    fn embed(&self, _: &str, texts: &[&str]) -> Result<Vec<Vec<f64>>, Unreached> {
        self.asked.borrow_mut().push(texts.join("|"));
        if self.denied && !self.embeds {
            return Err(Unreached::Denied("no models were granted".to_owned()));
        }
        let of = |text: &&str| vec![text.bytes().next().map_or(0.0, |byte| f64::from(byte) - 96.0), 1.0];
        Ok(texts.iter().map(of).collect())
    }
}

fn sample() -> Sample {
    let passage =
        |id: &str, text: &str, score| Passage { id: id.to_owned(), text: text.to_owned(), score: Some(score) };
    Sample {
        request_id: "r1".to_owned(),
        question: "a question".to_owned(),
        passages: vec![passage("x", "a cat sat", 0.1), passage("y", "dogs bark", 0.9)],
        answer: "A cat sat there. It slept.".to_owned(),
        reference: Some("A cat sat.".to_owned()),
        relevant_ids: vec!["x".to_owned()],
    }
}

fn run(config: &str, samples: &[Sample], models: &Fake) -> Vec<Report> {
    evaluate(&Config::read(config).expect("settings"), samples, models)
}

fn value(report: &Report, name: &str) -> Option<f64> {
    let found = report.measurements.iter().find(|one| one.name == name);
    found.unwrap_or_else(|| panic!("no {name} in {report:?}")).number()
}

fn why<'a>(report: &'a Report, name: &str) -> &'a str {
    let found = report.measurements.iter().find(|one| one.name == name).expect("it is named");
    found.labels.iter().find(|(label, _)| label == "undefined").map_or("", |(_, why)| why)
}

const JUDGE: &str = r#""judge": {"model": "m", "embedding_model": "e"}"#;

#[test]
fn what_there_is_all_for_is_measured() {
    let reports = run("", &[sample()], &Fake::default());
    let names: Vec<&str> = reports[0].measurements.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(
        names,
        ["ndcg@10", "reciprocal_rank", "precision@5", "recall@5", "id_precision", "id_recall", "word_support"]
    );
    assert_eq!((value(&reports[0], "reciprocal_rank"), value(&reports[0], "id_precision")), (Some(0.5), Some(0.5)));
    assert_eq!(value(&reports[0], "word_support"), Some(0.5));
    let given = run(r#"{"order": "given"}"#, &[sample()], &Fake::default());
    assert_eq!(value(&given[0], "reciprocal_rank"), Some(1.0));
}

#[test]
fn what_is_known_of_a_question_counts_before_what_a_sample_names() {
    let config = r#"{"expected": {"of": {"a question": {"grades": {"y": 2, "z": 1}, "contexts": ["a cat sits"]}}},
        "measures": ["ndcg@1", "id_recall", "context_precision", "context_recall:jaro"], "likenesses": true}"#;
    let report = &run(config, &[sample()], &Fake::default())[0];
    assert_eq!((value(report, "ndcg@1"), value(report, "id_recall")), (Some(1.0), Some(0.5)));
    assert_eq!(value(report, "context_precision:levenshtein"), Some(1.0));
    assert_eq!(report.detail["likenesses"]["levenshtein"][0][0].as_f64(), Some(0.8));
    assert_eq!(report.detail["likenesses"]["jaro"].as_array().map(Vec::len), Some(2));
}

#[test]
fn what_is_asked_and_cannot_be_had_is_undefined() {
    let bare = Sample { relevant_ids: Vec::new(), answer: String::new(), ..sample() };
    let config = r#"{"measures": ["ndcg", "id_recall", "context_recall", "word_support"]}"#;
    let report = &run(config, &[bare], &Fake::default())[0];
    assert_eq!(why(report, "ndcg"), "it is not known what is relevant");
    assert_eq!(why(report, "context_recall:levenshtein"), "no reference passages are known of this question");
    assert!(why(report, "word_support").contains("no word"));
    let mut twice = sample();
    twice.passages[1].id = "x".to_owned();
    assert!(why(&run(config, &[twice], &Fake::default())[0], "ndcg").contains("passage `x` was found twice"));
}

#[test]
fn denied_models_are_left_out_by_name_and_not_asked_again() {
    let models = Fake { denied: true, ..Fake::default() };
    let reports = run(&format!("{{{JUDGE}}}"), &[sample(), sample()], &models);
    assert_eq!(models.asked.borrow().len(), 2, "the judge once, and the embedding model");
    for report in &reports {
        let left: Vec<&str> = report.detail["left_out"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(|one| one["measure"].as_str())
            .collect();
        assert_eq!(left, Judged::ALL.map(Judged::name));
        assert!(report.measurements.iter().all(|one| one.name != "faithfulness"));
        assert_eq!(value(report, "id_recall"), Some(1.0), "the others are measured");
    }
    assert_eq!(reports[1].detail["left_out"][0]["why"], "no models were granted");
    let all = "answer_relevancy, faithfulness, groundedness, hallucination, llm_context_precision, llm_context_recall";
    assert_eq!(left_out(&reports), [format!("left out: {all}: no models were granted")]);
    assert!(left_out(&run("", &[sample()], &models)).is_empty());
}

#[test]
fn a_model_that_is_denied_takes_no_other_with_it() {
    let models = Fake { denied: true, embeds: true, ..Fake::default() };
    let report =
        &run(&format!("{{{JUDGE}, \"measures\": [\"faithfulness\", \"groundedness\"]}}"), &[sample()], &models)[0];
    assert!(value(report, "groundedness").is_some());
    assert_eq!(report.detail["left_out"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_long_passage_is_looked_at_piece_by_piece() {
    let config = r#"{"judge": {"embedding_model": "e"}, "measures": ["groundedness"]}"#;
    let mut long = Sample { answer: "dogs bark.".to_owned(), ..sample() };
    long.passages.truncate(1);
    long.passages[0].text = format!("{} dogs bark.", "a cat sat. ".repeat(80));
    let models = Fake::default();
    let report = &run(config, &[long], &models)[0];
    assert!(models.asked.borrow()[0].split('|').count() > 2 && models.asked.borrow()[0].len() > 800);
    assert!(value(report, "groundedness").is_some_and(|value| value < 1.0), "no piece begins with d");
}

#[test]
fn verdicts_become_numbers() {
    let says = r#"{"statements": [{"statement": "A cat sat.", "supported": true}, {"statement": "It slept.", "supported": false}],
        "useful": [true, false], "questions": [{"question": "a", "noncommittal": false}]}"#;
    let models = Fake { says: Some(says), ..Fake::default() };
    let config = format!(r#"{{{JUDGE}, "faithful_from": 0.6, "thresholds": {{"faithfulness": {{"least": 0.9}}}}}}"#);
    let report = &run(&config, &[sample()], &models)[0];
    assert_eq!((value(report, "faithfulness"), value(report, "llm_context_recall")), (Some(0.5), Some(0.5)));
    assert_eq!((value(report, "llm_context_precision"), value(report, "hallucination")), (Some(1.0), Some(1.0)));
    assert!(value(report, "answer_relevancy").is_some_and(|value| (value - 1.0).abs() < 1e-12));
    assert!(report.measurements.iter().any(|one| one.name == "faithfulness" && one.breached));
    assert_eq!(report.detail["supported"], json!([true, false]));
    // Asked once for faithfulness, which the hallucination rests on.
    assert_eq!(
        models
            .asked
            .borrow()
            .iter()
            .filter(|asked| asked.contains("bears it out") || asked.contains("bear it out"))
            .count(),
        1
    );
}

#[test]
fn sentences_are_grounded_in_the_nearest_passage() {
    let config = r#"{"judge": {"embedding_model": "e"}, "measures": ["groundedness", "hallucination"]}"#;
    let sample = Sample { answer: "dogs bark. dogs too.".to_owned(), ..sample() };
    let report = &run(config, &[sample], &Fake::default())[0];
    assert!(value(report, "groundedness").is_some_and(|value| (value - 1.0).abs() < 1e-12));
    assert_eq!(value(report, "hallucination"), Some(0.0));
}

#[test]
fn a_judge_that_talks_nonsense_is_no_judge() {
    let of = |models: Fake| run(&format!(r#"{{{JUDGE}, "measures": ["faithfulness"]}}"#), &[sample()], &models);
    assert!(why(&of(Fake { says: Some("Yes."), ..Fake::default() })[0], "faithfulness").contains("the JSON"));
    assert_eq!(why(&of(Fake::default())[0], "faithfulness"), "it took too long");
    let few = run(
        &format!(r#"{{{JUDGE}, "measures": ["llm_context_precision"]}}"#),
        &[sample()],
        &Fake { says: Some(r#"{"useful": [true]}"#), ..Fake::default() },
    );
    assert!(why(&few[0], "llm_context_precision").contains("1 verdicts on 2 passages"));
}

#[test]
fn the_last_report_has_the_means() {
    let other = Sample { relevant_ids: vec!["y".to_owned()], ..sample() };
    let unknown = Sample { relevant_ids: Vec::new(), ..sample() };
    let config =
        r#"{"means": true, "measures": ["reciprocal_rank"], "thresholds": {"mean.reciprocal_rank": {"least": 0.8}}}"#;
    let reports = run(config, &[sample(), other, unknown], &Fake::default());
    assert_eq!(reports.iter().map(|report| report.measurements.len()).collect::<Vec<_>>(), [1, 1, 2]);
    let mean = &reports[2].measurements[1];
    assert_eq!((mean.name.as_str(), mean.value, mean.breached), ("mean.reciprocal_rank", 0.75, true));
    assert_eq!(mean.labels, [("samples", "2"), ("undefined_samples", "1")].map(|(a, b)| (a.to_owned(), b.to_owned())));
    assert!(run(config, &[], &Fake::default()).is_empty());
}
