//! A tiny cross-encoder against what transformers computes for it (`tests/models/make.py`).

use super::*;
use crate::testing::weights::weight;
use crate::testing::{As, safetensors};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

#[derive(Deserialize)]
struct Golden {
    config: Value,
    tokenizer: Value,
    tensors: BTreeMap<String, Vec<usize>>,
    query: String,
    pairs: Vec<Pair>,
}

#[derive(Deserialize)]
struct Pair {
    document: String,
    tokens: usize,
    logit: f32,
}

fn golden() -> Golden {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models/reranker.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn write(golden: &Golden, folder: &Path) {
    let tensors = golden.tensors.iter().map(|(name, shape)| (name.as_str(), &shape[..], weight(name, shape, false)));
    std::fs::write(folder.join("model.safetensors"), safetensors(tensors, As::F32)).unwrap();
    std::fs::write(folder.join("tokenizer.json"), golden.tokenizer.to_string()).unwrap();
    std::fs::write(folder.join("config.json"), golden.config.to_string()).unwrap();
}

fn load(change: impl FnOnce(&mut Golden)) -> (tempfile::TempDir, Result<Reranker, LoadError>) {
    let folder = tempfile::tempdir().unwrap();
    let mut golden = golden();
    change(&mut golden);
    write(&golden, folder.path());
    let files = EncoderFiles::folder(folder.path());
    let loaded = Reranker::load(&RerankOptions { files, max_tokens: 512, threads: 1, queue_len: 4 });
    (folder, loaded)
}

fn ask(reranker: &Reranker, query: &str, documents: &[&str]) -> Result<Ranking, RerankError> {
    let documents = documents.iter().map(|d| (*d).to_owned()).collect();
    let request = RerankRequest { query: query.to_owned(), documents };
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(reranker.rank(request))
}

#[test]
fn relevance_agrees_with_transformers() {
    let golden = golden();
    let (_folder, reranker) = load(|_| {});
    let reranker = reranker.unwrap();
    let documents: Vec<&str> = golden.pairs.iter().map(|p| p.document.as_str()).collect();
    let all = ask(&reranker, &golden.query, &documents).unwrap();
    assert_eq!(all.tokens, golden.pairs.iter().map(|p| p.tokens).sum::<usize>());
    for score in &all.scores {
        let pair = &golden.pairs[score.index];
        let logit = (score.relevance / (1.0 - score.relevance)).ln();
        assert!((logit - pair.logit).abs() < 2e-3, "{logit} for {}: {}", pair.logit, pair.document);
        assert_eq!(score.truncated, pair.document.len() > 100, "{}", pair.document);
        let alone = ask(&reranker, &golden.query, &[&pair.document]).unwrap();
        assert_eq!(alone.scores[0].relevance, score.relevance, "alone as among others");
    }
    assert!(all.scores.windows(2).all(|two| two[0].relevance >= two[1].relevance));
    let logits = golden.pairs.iter().map(|pair| pair.logit);
    let spread = logits.clone().fold(f32::MIN, f32::max) - logits.fold(f32::MAX, f32::min);
    assert!(spread > 0.5, "documents that all score alike would prove nothing: {spread}");
    let twice = ask(&reranker, &golden.query, &["the river", "the river"]).unwrap();
    assert_eq!(twice.scores.iter().map(|s| s.index).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn what_cannot_be_ranked_is_said() {
    let (_folder, reranker) = load(|_| {});
    let reranker = reranker.unwrap();
    assert_eq!(ask(&reranker, "", &["a"]), Err(RerankError::EmptyQuery));
    let long = "the ".repeat(37);
    assert_eq!(ask(&reranker, &long, &["a"]), Err(RerankError::QueryTooLong { tokens: 37, limit: 36 }));
    assert!(ask(&reranker, &"the ".repeat(36), &["a red apple"]).unwrap().scores[0].truncated);
}

#[test]
fn what_is_no_reranker_is_refused() {
    let (_folder, many) = load(|g| drop(g.tensors.insert("classifier.weight".into(), vec![3, 32])));
    assert!(many.unwrap_err().to_string().contains("classifier.weight"));
    let (_folder, none) = load(|g| drop(g.tensors.remove("bert.pooler.dense.weight")));
    assert!(none.unwrap_err().to_string().contains("pooler"));
    let (_folder, blind) = load(|g| g.config["type_vocab_size"] = Value::from(1));
    assert!(blind.unwrap_err().to_string().contains("type_vocab_size"));
}
