//! A second opinion on answers: how alike two are by the embeddings of a model, which of two a judge prefers, or how good
//! one is. Owns what models are asked, and how their word is read.

mod judge;

pub(crate) use judge::ModelJudge;

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::port::backend::{Backend, Call, Deadlines, Turn};
use tidegate_core::{Api, Fault, ModelName, Said};

/// How much of a text is shown to a model, in characters.
const MOST: usize = 4_000;

const JUDGE: &str = "You compare two answers to the same request. Reply with one number from 0 to 10 and nothing else: \
                     10 if answer B is as good as answer A or better, 0 if it is useless beside it.";

const GRADE: &str = "You judge an answer to a request. Reply with one number from 0 to 10 and nothing else: 10 if the answer \
                     is right and complete, 0 if it is wrong, evades the request or says nothing.";

/// How long a model is waited for that nobody waits for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A model that is asked.
#[derive(Debug, Clone)]
pub(crate) struct Second {
    /// Its name.
    pub(crate) model: ModelName,
    /// Its name at its provider.
    pub(crate) upstream: String,
    /// What runs it.
    pub(crate) backend: Arc<dyn Backend>,
}

impl Second {
    /// The cosine of the embeddings of two texts.
    pub(crate) async fn similarity(&self, a: &str, b: &str) -> Result<Option<f64>, Fault> {
        let body = json!({"model": self.upstream, "input": [cut(a), cut(b)]});
        let answer = self.ask(Api::Embeddings, &body, PATIENCE).await?;
        let doc: Value = serde_json::from_slice(&answer).unwrap_or_default();
        let vector = |at: usize| -> Vec<f64> {
            doc["data"][at]["embedding"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
        };
        Ok(cosine(&vector(0), &vector(1)))
    }

    /// What the model says of the shadow's answer beside the caller's, in `[0, 1]`; nothing where it says no number.
    pub(crate) async fn judged(&self, request: &[u8], primary: &str, shadow: &str) -> Result<Option<f64>, Fault> {
        let asked = format!(
            "Request:\n{}\n\nAnswer A:\n{}\n\nAnswer B:\n{}\n\nThe number:",
            cut(&question(request)),
            cut(primary),
            cut(shadow)
        );
        let body = json!({
            "model": self.upstream, "max_tokens": 8, "temperature": 0,
            "messages": [{"role": "system", "content": JUDGE}, {"role": "user", "content": asked}],
        });
        let answer = self.ask(Api::ChatCompletions, &body, PATIENCE).await?;
        Ok(number(&Said::read(&[answer]).first()))
    }

    /// How good an answer is, in `[0, 1]`, and what was said; nothing where it says no number.
    async fn graded(&self, request: &[u8], answer: &str, total: Duration) -> Result<(Option<f64>, Said), Fault> {
        let asked = format!("Request:\n{}\n\nAnswer:\n{}\n\nThe number:", cut(&question(request)), cut(answer));
        let body = json!({
            "model": self.upstream, "max_tokens": 8, "temperature": 0,
            "messages": [{"role": "system", "content": GRADE}, {"role": "user", "content": asked}],
        });
        let said = Said::read(&[self.ask(Api::ChatCompletions, &body, total).await?]);
        Ok((number(&said.first()), said))
    }

    /// Has it answer this body within so long.
    pub(crate) async fn ask(&self, api: Api, body: &Value, total: Duration) -> Result<Bytes, Fault> {
        let call = Call {
            api,
            model: self.model.clone(),
            adapter: None,
            body: body.to_string().into(),
            headers: Arc::new(HeaderMap::new()),
            turn: Turn::default(),
            deadlines: Deadlines { connect: total.min(Duration::from_secs(5)), first_token: total, idle: total, total },
            avoid: None,
            taken: None,
            predict: None,
            aside: None,
        };
        Ok(self.backend.complete(call).await?.body)
    }
}

/// What the caller said last.
fn question(request: &[u8]) -> String {
    let doc: Value = serde_json::from_slice(request).unwrap_or_default();
    let last = doc["messages"].as_array().and_then(|messages| messages.last());
    let content = last.map_or(&doc["prompt"], |message| &message["content"]);
    content.as_str().map_or_else(|| content.to_string(), str::to_owned)
}

fn cut(text: &str) -> &str {
    text.char_indices().nth(MOST).map_or(text, |(at, _)| &text[..at])
}

/// The first number from 0 to 10 in a text, as a share.
fn number(text: &str) -> Option<f64> {
    let from = text.find(|c: char| c.is_ascii_digit())?;
    let digits = text[from..].split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
    let number: f64 = digits.trim_end_matches('.').parse().ok()?;
    (0.0..=10.0).contains(&number).then_some(number / 10.0)
}

/// The cosine of two vectors, in `[-1, 1]`; `None` where one of them has no direction or their lengths differ.
fn cosine(a: &[f64], b: &[f64]) -> Option<f64> {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let (norm_a, norm_b) = (dot(a, a).sqrt(), dot(b, b).sqrt());
    (a.len() == b.len() && norm_a > 0.0 && norm_b > 0.0).then(|| (dot(a, b) / (norm_a * norm_b)).clamp(-1.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_judge_says_a_number() {
        for (says, is) in
            [("8", Some(0.8)), ("Score: 7.5.", Some(0.75)), ("10/10", Some(1.0)), ("good", None), ("11", None)]
        {
            assert_eq!(number(says), is, "{says}");
        }
        assert_eq!(question(br#"{"messages":[{"content":"a"},{"content":"b"}]}"#), "b");
        assert_eq!((question(br#"{"prompt":"p"}"#), cut("äöü")), ("p".to_owned(), "äöü"));
    }

    #[test]
    fn a_cosine_needs_directions() {
        assert_eq!(cosine(&[1.0, 0.0], &[0.0, 2.0]), Some(0.0));
        assert!((cosine(&[1.0, 2.0], &[2.0, 4.0]).unwrap() - 1.0).abs() < 1e-12);
        assert_eq!((cosine(&[0.0], &[1.0]), cosine(&[1.0], &[1.0, 2.0])), (None, None));
    }
}
