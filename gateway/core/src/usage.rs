//! Tokens and money. Owns the normal form of usage, its reading from OpenAI-shaped JSON, the price arithmetic and the
//! unit in which money is summed up.

use serde::de::IgnoredAny;
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

const KEY: &[u8] = b"\"usage\"";

/// The value of the key at `at`, where that is a member of the outermost object, which is nearly always its last or
/// last but one: then what comes before, the text of the answer, need not be read. A quote inside of a string would
/// carry a backslash, so a key is what stands after `{` or `,` and before `:`; and it is a member of the outermost
/// object where the brace that ends its object ends the document.
fn last_member(json: &[u8], at: usize) -> Option<Option<Wire>> {
    if !matches!(json[..at].trim_ascii_end().last(), Some(b'{' | b',')) {
        return None;
    }
    let (wire, mut rest) = value::<Option<Wire>>(&json[at + KEY.len()..])?;
    loop {
        match rest.split_first()? {
            (b'}', tail) => return tail.trim_ascii().is_empty().then_some(wire),
            (b',', tail) => {
                let key = tail.trim_ascii_start();
                let mut names = serde_json::Deserializer::from_slice(key).into_iter::<IgnoredAny>();
                names.next()?.ok().filter(|_| key.first() == Some(&b'"'))?;
                rest = value::<IgnoredAny>(&key[names.byte_offset()..])?.1;
            }
            _ => return None,
        }
    }
}

/// Reads `: value`; gives the value and what follows it.
fn value<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<(T, &'a [u8])> {
    let from = bytes.trim_ascii_start().strip_prefix(b":")?;
    let mut values = serde_json::Deserializer::from_slice(from).into_iter::<T>();
    let value = values.next()?.ok()?;
    Some((value, from[values.byte_offset()..].trim_ascii_start()))
}

impl Usage {
    /// Reads the `usage` member of an OpenAI-shaped answer or chunk; `None` where there is none or it is null.
    #[must_use]
    pub fn from_openai(json: &[u8]) -> Option<Self> {
        let at = memchr::memmem::rfind(json, KEY)?;
        let wire = match last_member(json, at) {
            Some(wire) => wire,
            None => serde_json::from_slice::<Carrier>(json).ok()?.usage,
        }?;
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

/// Money in billionths of a USD, in which sums are exact: a token of the cheapest models costs tens of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct NanoUsd(pub u64);

impl NanoUsd {
    /// The most that is counted, four million USD: numbers of Lua and JSON are exact up to there.
    pub const MOST: Self = Self(1 << 52);

    /// `usd` rounded up, so that no call costs nothing; what is no amount of money is 0, and no amount is above
    /// [`NanoUsd::MOST`].
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "clamped to [0, 2^52] before"
    )]
    pub fn from_usd(usd: f64) -> Self {
        // A billionth of a billionth is what the arithmetic of prices errs by; it shall not round up to a whole one.
        Self((usd * 1e9 - 1e-6).ceil().clamp(0.0, (1u64 << 52) as f64) as u64)
    }

    /// In USD.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "amounts stay below 2^53")]
    pub fn usd(self) -> f64 {
        self.0 as f64 / 1e9
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
    fn what_only_looks_like_usage_is_not_taken() {
        let real = Some(Usage { prompt: 1, cached: 0, completion: 2, reasoning: 0 });
        for (json, want) in [
            (r#"{"usage":{"prompt_tokens":1,"completion_tokens":2},"system_fingerprint":null,"x":[{"y":"}"}]}"#, real),
            (r#"{"usage":{"prompt_tokens":1,"completion_tokens":2},"x":{"usage":{"prompt_tokens":9}}}"#, real),
            (r#"{ "usage" : {"prompt_tokens":1,"completion_tokens":2} , "x" : "usage" } "#, real),
            (r#"{"choices":[{"message":{"content":"\",\"usage\":{\"prompt_tokens\":7}}"}}]}"#, None),
            (r#"{"x":{"usage":{"prompt_tokens":9}}}"#, None),
            (r#"{"x":"usage","y":1}"#, None),
            (r#"{"a\"usage":{"prompt_tokens":9}}"#, None),
            (r#"{"usage":{"prompt_tokens":9}"#, None),
            (r#"{"usage":null,"x":1}"#, None),
        ] {
            assert_eq!(Usage::from_openai(json.as_bytes()), want, "{json}");
        }
    }

    proptest::proptest! {
        #[test]
        fn the_short_way_finds_what_the_long_one_does(
            before in "[ -~]{0,40}", at in 0usize..5, usage in proptest::option::of((0u64..9, 0u64..9)), pretty: bool,
        ) {
            let mut members = Vec::new();
            for (i, name) in ["id", "choices", "usage", "model", "nested"].into_iter().cycle().skip(at).take(5).enumerate() {
                let value = match name {
                    "usage" => usage.map_or(serde_json::Value::Null, |(p, c)| {
                        serde_json::json!({"prompt_tokens": p, "completion_tokens": c})
                    }),
                    "nested" => serde_json::json!({"usage": {"prompt_tokens": 77}, "k": [before, "usage"]}),
                    "choices" => serde_json::json!([{"message": {"content": before}, "n": i}]),
                    _ => serde_json::json!(before),
                };
                members.push(if pretty { format!("\n  \"{name}\" : {value:#}\n") } else { format!("\"{name}\":{value}") });
            }
            let text = format!("{{{}}}", members.join(","));
            let want = usage.map(|(prompt, completion)| Usage { prompt, completion, ..Usage::default() });
            proptest::prop_assert_eq!(Usage::from_openai(text.as_bytes()), want, "{}", text);
        }
    }

    #[test]
    fn money_is_rounded_up_to_what_is_counted() {
        let nano = |usd| NanoUsd::from_usd(usd).0;
        assert_eq!((nano(0.25e-6), nano(1.0), nano(0.1 + 0.2)), (250, 1_000_000_000, 300_000_000));
        assert_eq!((nano(1.2e-9), nano(0.0), nano(-1.0), nano(f64::NAN)), (2, 0, 0, 0));
        assert_eq!((nano(f64::INFINITY), NanoUsd(1_500_000_000).usd()), (NanoUsd::MOST.0, 1.5));
    }

    #[test]
    fn cached_tokens_cost_their_own_price() {
        let price = Price { input: 2.5, cached_input: Some(0.25), output: 10.0 };
        let usage = Usage { prompt: 1_000_000, cached: 400_000, completion: 100_000, reasoning: 0 };
        assert!((price.cost(&usage) - (0.6 * 2.5 + 0.4 * 0.25 + 1.0)).abs() < 1e-12);
    }
}
