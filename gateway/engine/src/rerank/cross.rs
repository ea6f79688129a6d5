//! The cross-encoder behind `Reranker`: a BERT model over query and document together, its pooler and a classifier of one
//! label.

use super::RerankError;
use crate::encoder::{Encoder, EncoderFiles, format};
use crate::error::LoadError;
use candle_core::{Device, Tensor};
use candle_nn::{Linear, Module, linear};
use candle_transformers::models::bert::BertModel;
use tokenizers::Tokenizer;

/// A model in memory.
pub(super) struct CrossEncoder {
    model: BertModel,
    pooler: Linear,
    classifier: Linear,
    tokenizer: Tokenizer,
    limit: usize,
    frame: (u32, u32),
}

/// One document's result.
pub(super) struct Scored {
    pub(super) relevance: f32,
    pub(super) tokens: usize,
    pub(super) truncated: bool,
}

impl CrossEncoder {
    pub(super) fn load(files: &EncoderFiles, max_tokens: usize) -> Result<Self, LoadError> {
        let Encoder { config, tokenizer, weights, frame } = Encoder::read(files)?;
        if config.type_vocab_size < 2 {
            let what = "a reranker that cannot tell a query from a document (its `type_vocab_size` is below 2)";
            return Err(LoadError::Unsupported { what: what.into() });
        }
        let failed = |e: candle_core::Error| format(&files.weights, &e);
        let model = BertModel::load(weights.clone(), &config).map_err(failed)?;
        let width = config.hidden_size;
        // The body of a model with a head has its family's name before it, a body alone has not.
        let kind = config.model_type.clone().unwrap_or_else(|| "bert".into());
        let body = if weights.contains_tensor("pooler.dense.weight") { weights.clone() } else { weights.pp(kind) };
        let pooler = linear(width, width, body.pp("pooler").pp("dense")).map_err(failed)?;
        let classifier = linear(width, 1, weights.pp("classifier")).map_err(failed)?;
        let limit = max_tokens.clamp(5, config.max_position_embeddings);
        Ok(Self { model, pooler, classifier, tokenizer, limit, frame })
    }

    /// The tokens of a query, if they leave room for a document.
    pub(super) fn query(&self, text: &str) -> Result<Vec<u32>, RerankError> {
        let query = self.tokens(text)?;
        if query.is_empty() {
            return Err(RerankError::EmptyQuery);
        }
        // Three tokens frame the two, and a document has one at least.
        let limit = self.limit - 4;
        if query.len() > limit {
            return Err(RerankError::QueryTooLong { tokens: query.len(), limit });
        }
        Ok(query)
    }

    /// How well a document answers.
    pub(super) fn score(&self, query: &[u32], document: &str) -> Result<Scored, RerankError> {
        let mut document = self.tokens(document)?;
        let room = self.limit - 3 - query.len();
        let truncated = document.len() > room;
        document.truncate(room);
        let (first, last) = self.frame;
        let tokens: Vec<u32> =
            [first].iter().chain(query).chain(&[last]).chain(&document).chain(&[last]).copied().collect();
        let kinds: Vec<u32> = (0..tokens.len()).map(|i| u32::from(i > query.len() + 1)).collect();
        let logit = self.logit(&tokens, &kinds).map_err(|e| RerankError::Failed(e.to_string()))?;
        let relevance = 1.0 / (1.0 + (-logit).exp());
        if !relevance.is_finite() {
            return Err(RerankError::Failed("the model gave values that are not numbers".into()));
        }
        Ok(Scored { relevance, tokens: tokens.len(), truncated })
    }

    fn tokens(&self, text: &str) -> Result<Vec<u32>, RerankError> {
        let encoding = self.tokenizer.encode_fast(text, false);
        Ok(encoding.map_err(|e| RerankError::Failed(e.to_string()))?.get_ids().to_vec())
    }

    fn logit(&self, tokens: &[u32], kinds: &[u32]) -> candle_core::Result<f32> {
        let ids = Tensor::new(tokens, &Device::Cpu)?.unsqueeze(0)?;
        let kinds = Tensor::new(kinds, &Device::Cpu)?.unsqueeze(0)?;
        let states = self.model.forward(&ids, &kinds, None)?;
        let first = states.narrow(1, 0, 1)?.squeeze(1)?.contiguous()?;
        let pooled = self.pooler.forward(&first)?.tanh()?;
        self.classifier.forward(&pooled)?.flatten_all()?.get(0)?.to_scalar()
    }
}
