//! `POST /v1/feedback`: what callers say of answers, and the same in Seldon's form. Owns the request and its answer; the form of what is said is
//! [`form`](super::form)'s.

use super::form::feedback;
use super::learners::Learners;
use super::seldon;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;
use tidegate_core::port::BoxFuture;
use tidegate_core::port::learning::Learning as _;
use tidegate_core::port::mount::{Content, Door, Frames, Mount, Passage};
use tidegate_core::port::prompts::Reach;
use tidegate_core::{Caller, Fault, FaultKind, Role};
use tidegate_server::mounted::refusal;

const PATH: &str = "/v1/feedback";
/// The same by Seldon's protocol.
const SELDON: &str = "/api/v1.0/feedback";
/// The largest body taken.
const LARGEST: usize = 1024 * 1024;
/// The most of them in one body.
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
        if head.uri.path() == SELDON {
            for (at, one) in seldon::said(&parsed)?.into_iter().enumerate() {
                let key = key.as_ref().map(|key| format!("{key}#{at}"));
                self.take(caller, one, key).await?;
            }
            return Ok(json!({"meta": parsed.pointer("/response/meta").cloned().unwrap_or_default()}));
        }
        let Value::Array(all) = parsed else { return self.take(caller, parsed, key).await };
        if all.len() > MOST {
            let says = format!("a body has at most {MOST} feedbacks: send several bodies");
            return Err(Fault::new(FaultKind::InvalidRequest, says));
        }
        let mut answers = Vec::with_capacity(all.len());
        for (at, one) in all.into_iter().enumerate() {
            // Each of a body is a request of its own, and known again by its place.
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
        let mut answer = json!({"object": "feedback", "learnt": taken.learnt, "was_known": taken.was_known});
        if taken.is_passed_on {
            answer["passed_on"] = json!(true);
        }
        if let Some(noted) = taken.noted {
            answer["kept"] = json!(noted.kept);
            answer["late"] = json!(noted.is_late);
        }
        Ok(answer)
    }
}

impl Mount for FeedbackMount {
    fn find(&self, door: Door, method: &Method, path: &str) -> Passage {
        match (door, path, method) {
            (Door::Public, PATH | SELDON, &Method::POST) => Passage::Needs(Role::Feedback),
            (Door::Public, PATH | SELDON, _) => Passage::WrongMethod("POST".to_owned()),
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
