//! A reranker behind the port `Backend`, in the shape that Jina and Cohere share.

use crate::openai::request::{self, DocumentBody, RerankBody};
use crate::{Ranking, RerankError, RerankRequest, Reranker};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::port::BoxFuture;
use tidegate_core::port::backend::{Answer, Backend, Call, Frames};
use tidegate_core::{Api, Fault, FaultKind, Usage};

/// A reranker of this process.
#[derive(Debug)]
pub struct LocalReranker {
    reranker: Arc<Reranker>,
}

impl LocalReranker {
    /// Serves `reranker`.
    #[must_use]
    pub const fn new(reranker: Arc<Reranker>) -> Self {
        Self { reranker }
    }

    async fn rank(&self, call: &Call) -> Result<Answer, Fault> {
        if call.api != Api::Rerank {
            return Err(Fault::field("model", "this model ranks documents: ask it at /v1/rerank"));
        }
        let body: RerankBody = request::read(&call.body)?;
        let documents: Vec<String> = body.documents.into_iter().map(DocumentBody::into_text).collect();
        let kept = if body.return_documents.unwrap_or(false) { documents.clone() } else { Vec::new() };
        let request = RerankRequest { query: body.query, documents };
        let ranking = self.reranker.rank(request).await.map_err(refused)?;
        let usage = Usage { prompt: ranking.tokens as u64, ..Usage::default() };
        let top = body.top_n.unwrap_or(usize::MAX);
        Ok(Answer {
            body: answer(&body.model, &ranking, top, &kept).into(),
            usage: Some(usage),
            endpoint: None,
            predicted: None,
        })
    }
}

/// The best `top`; with their texts where these are kept.
fn answer(model: &str, ranking: &Ranking, top: usize, documents: &[String]) -> String {
    let result = |score: &crate::DocumentScore| {
        let mut result = json!({"index": score.index, "relevance_score": score.relevance});
        if let Some(text) = documents.get(score.index) {
            result["document"] = json!({"text": text});
        }
        result
    };
    let results: Vec<Value> = ranking.scores.iter().take(top).map(result).collect();
    let usage = json!({"prompt_tokens": ranking.tokens, "total_tokens": ranking.tokens});
    json!({"object": "list", "model": model, "results": results, "usage": usage}).to_string()
}

impl Backend for LocalReranker {
    fn complete(&self, call: Call) -> BoxFuture<'_, Result<Answer, Fault>> {
        Box::pin(async move {
            let total = call.deadlines.total;
            let late = |_| {
                let says = format!("the local model gave no answer within {} s", total.as_secs_f64());
                Fault::new(FaultKind::UpstreamTimeout, says)
            };
            tokio::time::timeout(total, self.rank(&call)).await.map_err(late)?
        })
    }

    fn stream(&self, _call: Call) -> BoxFuture<'_, Result<Frames, Fault>> {
        Box::pin(std::future::ready(Err(Fault::field("stream", "this model ranks documents, which is not streamed"))))
    }

    fn ready(&self) -> bool {
        self.reranker.is_running()
    }
}

fn refused(error: RerankError) -> Fault {
    match error {
        RerankError::QueueFull => Fault::new(FaultKind::Overloaded, error.to_string()).after(Duration::from_secs(1)),
        RerankError::QueryTooLong { .. } => {
            Fault { param: Some("query".into()), ..Fault::new(FaultKind::ContextLength, error.to_string()) }
        }
        RerankError::EmptyQuery => Fault::field("query", error.to_string()),
        _ => Fault::internal(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DocumentScore;

    #[test]
    fn the_best_are_given_with_their_texts_where_asked() {
        let score = |index, relevance| DocumentScore { index, relevance, truncated: false };
        let ranking = Ranking { scores: vec![score(1, 0.75), score(0, 0.5)], tokens: 9 };
        let of =
            |top, documents: &[String]| serde_json::from_str::<Value>(&answer("m", &ranking, top, documents)).unwrap();
        let all = of(9, &[]);
        let results = json!([{"index": 1, "relevance_score": 0.75}, {"index": 0, "relevance_score": 0.5}]);
        assert_eq!((&all["results"], &all["usage"]["total_tokens"]), (&results, &json!(9)));
        let best = of(1, &["a".into(), "b".into()]);
        assert_eq!(best["results"], json!([{"index": 1, "relevance_score": 0.75, "document": {"text": "b"}}]));
    }
}
