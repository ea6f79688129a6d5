//! An embedding model behind the port `Backend`.

use crate::openai::embedding;
use crate::openai::request::{self, EmbeddingBody, Piece};
use crate::{EmbedError, EmbedInput, EmbedRequest, Embedder};
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::port::BoxFuture;
use tidegate_core::port::backend::{Answer, Backend, Call, Frames};
use tidegate_core::{Api, Fault, FaultKind, Usage};

/// An embedding model of this process.
#[derive(Debug)]
pub struct LocalEmbedder {
    embedder: Arc<Embedder>,
}

impl LocalEmbedder {
    /// Serves `embedder`.
    #[must_use]
    pub const fn new(embedder: Arc<Embedder>) -> Self {
        Self { embedder }
    }

    async fn embed(&self, call: &Call) -> Result<Answer, Fault> {
        if call.api != Api::Embeddings {
            return Err(Fault::field("model", "this model makes embeddings: ask a language model for text"));
        }
        let body: EmbeddingBody = request::read(&call.body)?;
        let inputs = body.input.pieces().into_iter().map(|piece| match piece {
            Piece::Text(text) => EmbedInput::Text(text),
            Piece::Tokens(tokens) => EmbedInput::Tokens(tokens),
        });
        let base64 = body.encoding_format.as_deref() == Some("base64");
        let request = EmbedRequest { inputs: inputs.collect(), dimensions: body.dimensions, truncate: false };
        let made = self.embedder.embed(request).await.map_err(refused)?;
        let tokens = made.tokens();
        let vectors: Vec<_> = made.embeddings.into_iter().map(|embedding| embedding.values).collect();
        let body = embedding::answer(&body.model, &vectors, base64, tokens);
        let usage = Usage { prompt: tokens as u64, ..Usage::default() };
        Ok(Answer { body: body.into(), usage: Some(usage), endpoint: None, predicted: None })
    }
}

impl Backend for LocalEmbedder {
    fn complete(&self, call: Call) -> BoxFuture<'_, Result<Answer, Fault>> {
        Box::pin(async move {
            let total = call.deadlines.total;
            let late = |_| {
                Fault::new(
                    FaultKind::UpstreamTimeout,
                    format!("the local model gave no answer within {} s", total.as_secs_f64()),
                )
            };
            tokio::time::timeout(total, self.embed(&call)).await.map_err(late)?
        })
    }

    fn stream(&self, _call: Call) -> BoxFuture<'_, Result<Frames, Fault>> {
        Box::pin(std::future::ready(Err(Fault::field("stream", "this model makes embeddings, which are not streamed"))))
    }

    fn ready(&self) -> bool {
        true
    }
}

fn refused(error: EmbedError) -> Fault {
    match error {
        EmbedError::QueueFull => {
            Fault::new(FaultKind::Overloaded, error.to_string()).after(Duration::from_secs(1)).with_upstream_status(429)
        }
        EmbedError::TooLong { .. } => {
            Fault { param: Some("input".into()), ..Fault::new(FaultKind::ContextLength, error.to_string()) }
        }
        EmbedError::Empty { .. } | EmbedError::UnknownToken { .. } => Fault::field("input", error.to_string()),
        EmbedError::Dimensions { .. } => Fault::field("dimensions", error.to_string()),
        _ => Fault::internal(error),
    }
}
