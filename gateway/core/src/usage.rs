//! Tokens and money. Owns the normal form of usage, its reading from OpenAI-shaped JSON and the price arithmetic.

use serde::{Deserialize, Serialize};

/// Tokens of one call, in normal form: `prompt` includes `cached`, `completion` includes `reasoning`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the prompt, cached ones included.
    pub prompt: u64,
    /// Tokens of the prompt that were read from a cache.
    #[serde(default)]
    pub cached: u64,
    /// Tokens produced, reasoning included.
    pub completion: u64,
    /// Tokens produced for reasoning.
    #[serde(default)]
    pub reasoning: u64,
}

#[derive(Deserialize)]
struct Carrier {
    usage: Option<Wire>,
}

#[derive(Deserialize)]
struct Wire {
    #[serde(default)]
    prompt_tokens: Option<u64>,
    #[serde(default)]
    completion_tokens: Option<u64>,
    #[serde(default)]
    prompt_tokens_details: Option<PromptDetails>,
    #[serde(default)]
    completion_tokens_details: Option<CompletionDetails>,
}

#[derive(Deserialize)]
struct PromptDetails {
    #[serde(default)]
    cached_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct CompletionDetails {
    #[serde(default)]
    reasoning_tokens: Option<u64>,
}

impl Usage {
    /// Reads the `usage` member of an OpenAI-shaped answer or chunk; `None` where there is none or it is null.
    #[must_use]
    pub fn from_openai(json: &[u8]) -> Option<Self> {
        let wire = serde_json::from_slice::<Carrier>(json).ok()?.usage?;
        Some(Self {
            prompt: wire.prompt_tokens.unwrap_or(0),
            cached: wire.prompt_tokens_details.and_then(|d| d.cached_tokens).unwrap_or(0),
            completion: wire.completion_tokens.unwrap_or(0),
            reasoning: wire.completion_tokens_details.and_then(|d| d.reasoning_tokens).unwrap_or(0),
        })
    }

    /// Prompt and completion together.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.prompt.saturating_add(self.completion)
    }
}

/// What a model costs, in USD per million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Price {
    /// Prompt tokens.
    pub input: f64,
    /// Prompt tokens read from a cache; the price of `input` where none is given.
    pub cached_input: Option<f64>,
    /// Produced tokens.
    pub output: f64,
}

impl Price {
    /// The cost of `usage` in USD.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "token counts stay far below 2^53")]
    pub fn cost(&self, usage: &Usage) -> f64 {
        let cached = usage.cached.min(usage.prompt);
        let fresh = (usage.prompt - cached) as f64;
        let cached_price = self.cached_input.unwrap_or(self.input);
        (fresh * self.input + cached as f64 * cached_price + usage.completion as f64 * self.output) / 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_read_with_its_details() {
        let json = br#"{"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":4,"total_tokens":14,
            "prompt_tokens_details":{"cached_tokens":6},"completion_tokens_details":{"reasoning_tokens":3}}}"#;
        assert_eq!(Usage::from_openai(json), Some(Usage { prompt: 10, cached: 6, completion: 4, reasoning: 3 }));
    }

    #[test]
    fn no_usage_is_none() {
        for json in [&b"{}"[..], br#"{"usage":null}"#, b"[]", b"data"] {
            assert_eq!(Usage::from_openai(json), None);
        }
        let embeddings = br#"{"usage":{"prompt_tokens":3,"total_tokens":3}}"#;
        assert_eq!(Usage::from_openai(embeddings).map(|u| u.completion), Some(0));
    }

    #[test]
    fn cached_tokens_cost_their_own_price() {
        let price = Price { input: 2.5, cached_input: Some(0.25), output: 10.0 };
        let usage = Usage { prompt: 1_000_000, cached: 400_000, completion: 100_000, reasoning: 0 };
        assert!((price.cost(&usage) - (0.6 * 2.5 + 0.4 * 0.25 + 1.0)).abs() < 1e-12);
    }
}
