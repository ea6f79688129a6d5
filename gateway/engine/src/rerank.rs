//! Reranking by a cross-encoder of the BERT family, on a thread of its own: how well each document answers a query, from
//! 0 to 1. Each document is computed alone, so that its number does not depend on what came with it.

mod cross;

use crate::desk::{Desk, Gone, Refused};
use crate::encoder::EncoderFiles;
use crate::error::LoadError;
use cross::CrossEncoder;

/// How a reranker is loaded and run.
#[derive(Debug, Clone)]
pub struct RerankOptions {
    /// Its files.
    pub files: EncoderFiles,
    /// Most tokens of query and document together, with the three that frame them; at most what the model was made for.
    pub max_tokens: usize,
    /// Threads that compute; 0 = cores less one.
    pub threads: usize,
    /// Requests that may wait.
    pub queue_len: usize,
}

/// What to rank.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RerankRequest {
    /// What is asked.
    pub query: String,
    /// What may answer it.
    pub documents: Vec<String>,
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranking {
    /// Best first; of equals the earlier document.
    pub scores: Vec<DocumentScore>,
    /// Tokens computed.
    pub tokens: usize,
}

/// How well a document answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DocumentScore {
    /// Which document.
    pub index: usize,
    /// From 0 to 1.
    pub relevance: f32,
    /// Whether its end was cut off to fit.
    pub truncated: bool,
}

/// Documents were not ranked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RerankError {
    /// Too many wait already.
    #[error("the reranker's queue is full; try again later")]
    QueueFull,
    /// The query leaves no room for a document.
    #[error("the query has {tokens} tokens, but at most {limit} leave room for a document; shorten it")]
    QueryTooLong {
        /// Its tokens.
        tokens: usize,
        /// What fits.
        limit: usize,
    },
    /// There is nothing to ask.
    #[error("the query is empty; send at least one word")]
    EmptyQuery,
    /// The computation failed.
    #[error("the ranking failed: {0}")]
    Failed(String),
    /// The model is stopping or has failed.
    #[error("the reranker has stopped")]
    Stopped,
}

/// A loaded reranker. Dropping it stops its thread after the document that it is at.
pub struct Reranker {
    desk: Desk<RerankRequest, Result<Ranking, RerankError>>,
}

impl std::fmt::Debug for Reranker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reranker").finish_non_exhaustive()
    }
}

impl Reranker {
    /// Loads a model and starts its thread. Not for an async thread.
    pub fn load(options: &RerankOptions) -> Result<Self, LoadError> {
        let model = CrossEncoder::load(&options.files, options.max_tokens)?;
        let answer = move |request: &RerankRequest, gone: &mut Gone<'_>| rank(&model, request, gone);
        Ok(Self { desk: Desk::start("rerank", options.threads, options.queue_len, answer)? })
    }

    /// Whether its thread is alive and takes requests.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.desk.is_running()
    }

    /// Ranks documents. Dropping the future cancels what has not begun.
    pub async fn rank(&self, request: RerankRequest) -> Result<Ranking, RerankError> {
        let answer = self.desk.ask(request).map_err(|refused| match refused {
            Refused::Full => RerankError::QueueFull,
            Refused::Stopped => RerankError::Stopped,
        })?;
        answer.await.unwrap_or(Err(RerankError::Stopped))
    }
}

fn rank(model: &CrossEncoder, request: &RerankRequest, gone: &mut Gone<'_>) -> Result<Ranking, RerankError> {
    let query = model.query(&request.query)?;
    let mut ranking = Ranking { scores: Vec::with_capacity(request.documents.len()), tokens: 0 };
    for (index, document) in request.documents.iter().enumerate() {
        // A caller that has gone frees the model between two documents.
        if gone.is_so() {
            return Err(RerankError::Stopped);
        }
        let scored = model.score(&query, document)?;
        ranking.tokens += scored.tokens;
        ranking.scores.push(DocumentScore { index, relevance: scored.relevance, truncated: scored.truncated });
    }
    ranking.scores.sort_by(|a, b| b.relevance.total_cmp(&a.relevance).then(a.index.cmp(&b.index)));
    Ok(ranking)
}

#[cfg(test)]
mod tests;
