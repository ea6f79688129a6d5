//! `POST /v1/feedback`: what callers say of answers. Owns the body's form.

use super::learners::Learners;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use tidegate_core::port::BoxFuture;
use tidegate_core::port::learning::{About, Feedback, Giver, Learning as _, RewardValue};
use tidegate_core::port::mount::{Content, Door, Frames, Mount, Passage};
use tidegate_core::port::prompts::Reach;
use tidegate_core::{Caller, Fault, FaultKind, InferenceId, RewardName, Role};
use tidegate_server::mounted::refusal;

const PATH: &str = "/v1/feedback";
/// The largest body taken.
const LARGEST: usize = 1024 * 1024;
/// The most values of one body.
const MOST: usize = 1000;

/// Takes feedback.
#[derive(Debug)]
pub(crate) struct FeedbackMount {
    learners: Arc<Learners>,
}

impl FeedbackMount {
    pub(crate) const fn new(learners: Arc<Learners>) -> Self {
        Self { learners }
    }

    async fn answer(&self, caller: &Caller, request: Request<Frames>) -> Result<Value, Fault> {
        let (head, body) = request.into_parts();
        let body = gather(body).await?;
        let key = head.headers.get("idempotency-key").map(|key| String::from_utf8_lossy(key.as_bytes()).into_owned());
        let parsed: Value = serde_json::from_slice(&body)
            .map_err(|e| Fault::new(FaultKind::InvalidRequest, format!("the body is no JSON: {e}")))?;
        let Value::Array(all) = parsed else { return self.take(caller, parsed, key).await };
        if all.len() > MOST {
            let says = format!("a body has at most {MOST} values: send several");
            return Err(Fault::new(FaultKind::InvalidRequest, says));
        }
        let mut answers = Vec::with_capacity(all.len());
        for (at, one) in all.into_iter().enumerate() {
            // Each value of a body is a request of its own, and known again by its place.
            let key = key.as_ref().map(|key| format!("{key}#{at}"));
            answers.push(match self.take(caller, one, key).await {
                Ok(taken) => taken,
                Err(fault) => json!({"object": "feedback", "error": {"message": fault.says, "param": fault.param}}),
            });
        }
        Ok(json!({"object": "list", "data": answers}))
    }

    async fn take(&self, caller: &Caller, said: Value, key: Option<String>) -> Result<Value, Fault> {
        let feedback = feedback(caller, said, key)?;
        let taken = self.learners.take(feedback).await?;
        Ok(json!({"object": "feedback", "learnt": taken.learnt, "was_known": taken.was_known}))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    inference_id: Option<String>,
    episode_id: Option<String>,
    reward: String,
    value: Value,
    idempotency_key: Option<String>,
}

fn feedback(caller: &Caller, said: Value, key: Option<String>) -> Result<Feedback, Fault> {
    let said: Said = serde_json::from_value(said).map_err(|e| {
        let says = format!("feedback is {{inference_id or episode_id, reward, value}}: {e}");
        Fault::new(FaultKind::InvalidRequest, says)
    })?;
    let about = match (said.inference_id, said.episode_id) {
        (Some(id), None) => {
            About::Inference(id.parse::<InferenceId>().map_err(|e| Fault::field("inference_id", e.to_string()))?)
        }
        (None, Some(episode)) => About::Episode(episode.into()),
        _ => return Err(Fault::field("inference_id", "feedback has either `inference_id` or `episode_id`")),
    };
    let value = match said.value {
        Value::Bool(is) => RewardValue::Boolean(is),
        Value::Number(number) => RewardValue::Float(number.as_f64().unwrap_or(f64::NAN)),
        _ => return Err(Fault::field("value", "`value` is true, false or a number")),
    };
    Ok(Feedback {
        about,
        reward: said.reward.parse::<RewardName>().map_err(|e| Fault::field("reward", e.to_string()))?,
        value,
        key: said.idempotency_key.or(key).map(Into::into),
        by: Giver { id: caller.0.id.clone(), principal: caller.0.principal.clone(), tenant: caller.0.tenant.clone() },
    })
}

impl Mount for FeedbackMount {
    fn find(&self, door: Door, method: &Method, path: &str) -> Passage {
        match (door, path, method) {
            (Door::Public, PATH, &Method::POST) => Passage::Needs(Role::Feedback),
            (Door::Public, PATH, _) => Passage::WrongMethod("POST".to_owned()),
            _ => Passage::Nothing,
        }
    }

    fn serve(&self, caller: Option<Caller>, _: Reach, request: Request<Frames>) -> BoxFuture<'_, Response<Content>> {
        Box::pin(async move {
            let Some(caller) = caller else { return refusal(&Fault::internal("feedback came from nobody")) };
            match self.answer(&caller, request).await {
                Ok(value) => {
                    let mut response = Response::new(Content::Whole(value.to_string().into()));
                    *response.status_mut() = StatusCode::OK;
                    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                    response
                }
                Err(fault) => refusal(&fault),
            }
        })
    }

    fn refuse(&self, fault: &Fault) -> Response<Content> {
        refusal(fault)
    }
}

async fn gather(mut body: Frames) -> Result<Bytes, Fault> {
    let mut all = BytesMut::new();
    while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_next(cx)).await {
        all.extend_from_slice(&frame?);
        if all.len() > LARGEST {
            return Err(Fault::new(FaultKind::TooLarge, "feedback is at most 1 MiB long"));
        }
    }
    Ok(all.freeze())
}
