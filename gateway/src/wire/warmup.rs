//! One call to a model before it serves: what cannot answer is found while the version before it still does.

use crate::pull::ModelKind;
use anyhow::{Context as _, ensure};
use bytes::Bytes;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::port::backend::{Backend, Call, Deadlines, Turn};
use tidegate_core::{Api, ModelName};

/// The longest that one token or one vector may take.
const LONGEST: Duration = Duration::from_secs(120);

/// Has `backend` embed or rank a word, or go on from one by a token.
///
/// # Errors
/// It does not answer, or with what is no answer.
pub(super) async fn warm_up(backend: &dyn Backend, model: &ModelName, kind: &ModelKind) -> anyhow::Result<()> {
    let (api, body) = match kind {
        ModelKind::Gguf { .. } | ModelKind::Folder { .. } => {
            (Api::Completions, json!({"model": model, "prompt": "a", "max_tokens": 1}))
        }
        // Its pool has run it already, unless that is not wanted.
        ModelKind::Classic { .. } => return Ok(()),
        ModelKind::Embedder { .. } => (Api::Embeddings, json!({"model": model, "input": "a"})),
        ModelKind::Reranker { .. } => (Api::Rerank, json!({"model": model, "query": "a", "documents": ["a"]})),
    };
    let call = Call {
        adapter: None,
        api,
        model: model.clone(),
        body: Bytes::from(body.to_string()),
        headers: Arc::default(),
        turn: Turn::default(),
        deadlines: Deadlines { connect: LONGEST, first_token: LONGEST, idle: LONGEST, total: LONGEST },
        avoid: None,
        taken: None,
        predict: None,
        aside: None,
    };
    let answer = tokio::time::timeout(LONGEST, backend.complete(call)).await;
    let answer = answer
        .with_context(|| format!("it did not answer a first call within {} seconds", LONGEST.as_secs()))?
        .map_err(|fault| anyhow::anyhow!("it does not answer a first call: {}", fault.says))?;
    let answer: Value = serde_json::from_slice(&answer.body).context("its first answer is no JSON")?;
    ensure!(is_answer(api, &answer), "its first answer is none: its numbers may be damaged");
    Ok(())
}

/// Whether something was answered; numbers that are none are null in JSON.
fn is_answer(api: Api, answer: &Value) -> bool {
    match api {
        Api::Embeddings => answer["data"][0]["embedding"]
            .as_array()
            .is_some_and(|vector| !vector.is_empty() && vector.iter().all(Value::is_number)),
        Api::Rerank => answer["results"][0]["relevance_score"].is_number(),
        Api::ChatCompletions | Api::Completions | Api::Predict => answer["choices"][0].is_object(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_of_what_is_no_number_is_no_answer() {
        let answer = |vector: Value| is_answer(Api::Embeddings, &json!({"data": [{"embedding": vector}]}));
        assert!(answer(json!([0.5, -0.5])));
        assert!(!answer(json!([])) && !answer(json!([0.5, null])) && !answer(Value::Null));
        assert!(is_answer(Api::Completions, &json!({"choices": [{"text": ""}]})));
        assert!(!is_answer(Api::Completions, &json!({"error": {}})));
    }
}
