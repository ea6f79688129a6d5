//! `/admin/v1/monitors`: what monitors see and found. Owns the paths, and the role that each needs.

use super::running::Monitors;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response};
use serde_json::Value;
use std::sync::Arc;
use tidegate_core::percent::decoded;
use tidegate_core::port::BoxFuture;
use tidegate_core::port::mount::{Content, Door, Frames, Mount, Passage};
use tidegate_core::port::prompts::Reach;
use tidegate_core::{Caller, Fault, Role};
use tidegate_server::mounted::refusal;

const ALL: &str = "/admin/v1/monitors";

/// Shows monitors.
#[derive(Debug)]
pub(crate) struct MonitorMount {
    monitors: Arc<Monitors>,
}

/// What a path leads to; names are as they came.
#[derive(Debug, PartialEq, Eq)]
enum Leads<'a> {
    All,
    One(&'a str),
    Reset(&'a str),
}

impl MonitorMount {
    pub(crate) const fn new(monitors: Arc<Monitors>) -> Self {
        Self { monitors }
    }

    fn answer(&self, caller: &Caller, path: &str) -> Result<Value, Fault> {
        match leads(path) {
            Some(Leads::All) => Ok(self.monitors.all()),
            Some(Leads::One(name)) => self.monitors.one(&decoded(name)),
            Some(Leads::Reset(name)) => self.monitors.reset(&decoded(name), caller.0.principal.as_str()),
            None => Err(Fault::internal("a path that leads nowhere")),
        }
    }
}

fn leads(path: &str) -> Option<Leads<'_>> {
    if path == ALL {
        return Some(Leads::All);
    }
    let rest = path.strip_prefix(ALL)?.strip_prefix('/').filter(|rest| !rest.is_empty())?;
    match rest.split_once('/') {
        None => Some(Leads::One(rest)),
        Some((name, "reset")) => Some(Leads::Reset(name)),
        Some(_) => None,
    }
}

impl Mount for MonitorMount {
    fn find(&self, door: Door, method: &Method, path: &str) -> Passage {
        if door != Door::Admin {
            return Passage::Nothing;
        }
        match (leads(path), method) {
            (None, _) => Passage::Nothing,
            (Some(Leads::All | Leads::One(_)), &Method::GET) => Passage::Needs(Role::Read),
            (Some(Leads::All | Leads::One(_)), _) => Passage::WrongMethod("GET".to_owned()),
            (Some(Leads::Reset(_)), &Method::POST) => Passage::Needs(Role::Write),
            (Some(Leads::Reset(_)), _) => Passage::WrongMethod("POST".to_owned()),
        }
    }

    fn serve(&self, caller: Option<Caller>, _: Reach, request: Request<Frames>) -> BoxFuture<'_, Response<Content>> {
        Box::pin(async move {
            let Some(caller) = caller else { return refusal(&Fault::internal("an order came from nobody")) };
            match self.answer(&caller, request.uri().path()) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_to_one_monitor_or_its_reset() {
        assert_eq!(leads("/admin/v1/monitors"), Some(Leads::All));
        assert_eq!(leads("/admin/v1/monitors/a%2Fb"), Some(Leads::One("a%2Fb")));
        assert_eq!(leads("/admin/v1/monitors/a/reset"), Some(Leads::Reset("a")));
        for other in ["/admin/v1/monitors/", "/admin/v1/monitors/a/b", "/admin/v1/monitorsx", "/v1/monitors"] {
            assert_eq!(leads(other), None, "{other}");
        }
    }
}
