//! `/admin/v1/rollouts`: how rollouts stand, and what people want of them. Owns the paths and the body's form.

use super::running::Rollouts;
use bytes::BytesMut;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response};
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;
use tidegate_core::percent::decoded;
use tidegate_core::port::BoxFuture;
use tidegate_core::port::mount::{Content, Door, Frames, Mount, Passage};
use tidegate_core::port::prompts::Reach;
use tidegate_core::{Caller, Fault, FaultKind, Role};
use tidegate_route::rollout::stage::Order;
use tidegate_server::mounted::refusal;

const ALL: &str = "/admin/v1/rollouts";
const LARGEST: usize = 64 * 1024;
const ORDERS: [Order; 6] =
    [Order::Pause, Order::Resume, Order::Abort, Order::Promote, Order::PromoteFully, Order::Restart];

/// Shows rollouts and takes orders.
#[derive(Debug)]
pub(crate) struct RolloutMount {
    rollouts: Arc<Rollouts>,
}

/// What a path leads to.
enum Leads<'a> {
    All,
    /// The rollout of this route, its name as it came.
    One(&'a str),
    Order(&'a str, Order),
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Wanted {
    /// Why, for the audit log.
    why: String,
}

impl RolloutMount {
    pub(crate) const fn new(rollouts: Arc<Rollouts>) -> Self {
        Self { rollouts }
    }

    async fn answer(&self, caller: &Caller, request: Request<Frames>) -> Result<Value, Fault> {
        let (head, body) = request.into_parts();
        match leads(head.uri.path()) {
            Some(Leads::All) => Ok(self.rollouts.all()),
            Some(Leads::One(route)) => self.rollouts.one(&decoded(route)),
            Some(Leads::Order(route, order)) => {
                let wanted = wanted(body).await?;
                self.rollouts.order(&decoded(route), order, caller.0.principal.as_str(), &wanted.why).await
            }
            None => Err(Fault::internal("a path that leads nowhere")),
        }
    }
}

fn leads(path: &str) -> Option<Leads<'_>> {
    if path == ALL {
        return Some(Leads::All);
    }
    let rest = path.strip_prefix(ALL)?.strip_prefix('/').filter(|rest| !rest.is_empty())?;
    let Some((route, word)) = rest.split_once('/') else { return Some(Leads::One(rest)) };
    ORDERS.into_iter().find(|order| order.name() == word).map(|order| Leads::Order(route, order))
}

impl Mount for RolloutMount {
    fn find(&self, door: Door, method: &Method, path: &str) -> Passage {
        if door != Door::Admin {
            return Passage::Nothing;
        }
        match (leads(path), method) {
            (None, _) => Passage::Nothing,
            (Some(Leads::All | Leads::One(_)), &Method::GET) => Passage::Needs(Role::Read),
            (Some(Leads::All | Leads::One(_)), _) => Passage::WrongMethod("GET".to_owned()),
            (Some(Leads::Order(..)), &Method::POST) => Passage::Needs(Role::Write),
            (Some(Leads::Order(..)), _) => Passage::WrongMethod("POST".to_owned()),
        }
    }

    fn serve(&self, caller: Option<Caller>, _: Reach, request: Request<Frames>) -> BoxFuture<'_, Response<Content>> {
        Box::pin(async move {
            let Some(caller) = caller else { return refusal(&Fault::internal("an order came from nobody")) };
            match self.answer(&caller, request).await {
                Ok(value) => {
                    let mut response = Response::new(Content::Whole(value.to_string().into()));
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

async fn wanted(mut body: Frames) -> Result<Wanted, Fault> {
    let mut all = BytesMut::new();
    while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_next(cx)).await {
        all.extend_from_slice(&frame?);
        if all.len() > LARGEST {
            return Err(Fault::new(FaultKind::TooLarge, "an order is at most 64 KiB long"));
        }
    }
    if all.is_empty() {
        return Ok(Wanted::default());
    }
    serde_json::from_slice(&all)
        .map_err(|e| Fault::new(FaultKind::InvalidRequest, format!("an order's body is {{why}} or nothing: {e}")))
}
