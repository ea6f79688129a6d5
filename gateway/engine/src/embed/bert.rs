//! The BERT model behind `Embedder`: files to weights, a text to its numbers.

use super::{EmbedError, EmbedInput, EmbedOptions, EmbedRequest, Embedding};
use crate::encoder::{Encoder, format};
use crate::error::LoadError;
use candle_core::{Device, Tensor};
use candle_transformers::models::bert::BertModel;
use tokenizers::Tokenizer;

/// A model in memory.
pub(super) struct Bert {
    model: BertModel,
    tokenizer: Tokenizer,
    dimensions: usize,
    vocabulary: usize,
    limit: usize,
    /// What begins and ends every text.
    frame: (u32, u32),
}

impl Bert {
    pub(super) fn load(options: &EmbedOptions) -> Result<Self, LoadError> {
        let Encoder { config, tokenizer, weights, frame } = Encoder::read(&options.files)?;
        let model = BertModel::load(weights, &config).map_err(|e| format(&options.files.weights, &e))?;
        let limit = options.max_tokens.clamp(3, config.max_position_embeddings);
        let (dimensions, vocabulary) = (config.hidden_size, config.vocab_size);
        Ok(Self { model, tokenizer, dimensions, vocabulary, limit, frame })
    }

    pub(super) fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// One text's embedding.
    pub(super) fn embed(
        &self,
        index: usize,
        input: &EmbedInput,
        request: &EmbedRequest,
    ) -> Result<Embedding, EmbedError> {
        let mut tokens = self.tokens(index, input)?;
        let truncated = tokens.len() > self.limit;
        if truncated {
            if !request.truncate {
                return Err(EmbedError::TooLong { index, tokens: tokens.len(), limit: self.limit });
            }
            tokens.truncate(self.limit - 1);
            tokens.push(self.frame.1);
        }
        let mut values = self.mean(&tokens).map_err(|e| EmbedError::Failed(e.to_string()))?;
        values.truncate(request.dimensions.unwrap_or(usize::MAX));
        let length = values.iter().map(|v| v * v).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
        values.iter_mut().for_each(|v| *v /= length);
        if values.iter().any(|v| !v.is_finite()) {
            return Err(EmbedError::Failed("the model gave values that are not numbers".into()));
        }
        Ok(Embedding { values, tokens: tokens.len(), truncated })
    }

    fn tokens(&self, index: usize, input: &EmbedInput) -> Result<Vec<u32>, EmbedError> {
        let (first, last) = self.frame;
        let tokens = match input {
            EmbedInput::Text(text) if text.is_empty() => return Err(EmbedError::Empty { index }),
            EmbedInput::Text(text) => {
                let encoding = self.tokenizer.encode_fast(text.as_str(), true);
                encoding.map_err(|e| EmbedError::Failed(e.to_string()))?.get_ids().to_vec()
            }
            EmbedInput::Tokens(tokens) if tokens.is_empty() => return Err(EmbedError::Empty { index }),
            EmbedInput::Tokens(tokens) => {
                if let Some(token) = tokens.iter().find(|t| **t as usize >= self.vocabulary) {
                    let most = self.vocabulary as u32 - 1;
                    return Err(EmbedError::UnknownToken { index, token: *token, most });
                }
                let begins = (tokens.first() != Some(&first)).then_some(first);
                let ends = (tokens.last() != Some(&last)).then_some(last);
                begins.into_iter().chain(tokens.iter().copied()).chain(ends).collect()
            }
        };
        Ok(tokens)
    }

    fn mean(&self, tokens: &[u32]) -> candle_core::Result<Vec<f32>> {
        let ids = Tensor::new(tokens, &Device::Cpu)?.unsqueeze(0)?;
        let states = self.model.forward(&ids, &ids.zeros_like()?, None)?;
        states.squeeze(0)?.mean(0)?.to_vec1()
    }
}
