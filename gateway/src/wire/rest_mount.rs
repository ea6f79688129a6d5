//! `/admin/v1/models/{model}/sleep` and `…/wake`: a local model gives its memory back and takes it again. Owns the paths
//! with the role that each needs.

use super::Reloader;
use super::reload::RestOrder;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response};
use serde_json::json;
use std::sync::{Arc, OnceLock, Weak};
use tidegate_core::percent::decoded;
use tidegate_core::port::BoxFuture;
use tidegate_core::port::mount::{Content, Door, Frames, Mount, Passage};
use tidegate_core::port::prompts::Reach;
use tidegate_core::{Caller, Fault, FaultKind, ModelName, Role};
use tidegate_server::mounted::refusal;

const MODELS: &str = "/admin/v1/models/";

/// What is served: the method, the last part of the path, and the role.
static TABLE: [(Method, &str, Role); 3] =
    [(Method::GET, "sleep", Role::Read), (Method::POST, "sleep", Role::Write), (Method::POST, "wake", Role::Write)];

/// Has models sleep and wakes them.
#[derive(Debug)]
pub(crate) struct RestMount {
    reloader: Arc<OnceLock<Weak<Reloader>>>,
}

impl RestMount {
    /// Over the reloader that `slot` will hold.
    pub(crate) const fn new(slot: Arc<OnceLock<Weak<Reloader>>>) -> Self {
        Self { reloader: slot }
    }

    async fn answer(&self, caller: &Caller, request: Request<Frames>) -> Result<Response<Content>, Fault> {
        let reloader = self.reloader.get().and_then(Weak::upgrade);
        let reloader = reloader
            .ok_or_else(|| Fault::new(FaultKind::Unavailable, "the gateway is starting or stopping: come again"))?;
        let (model, verb) = names(request.uri().path()).ok_or_else(|| Fault::internal("a path that leads nowhere"))?;
        let model: ModelName = model.parse().map_err(|e| Fault::field("model", format!("{e}")))?;
        let by = caller.0.principal.as_str();
        let rest = match (request.method(), verb) {
            (&Method::POST, "sleep") => reloader.rest(by, &model, RestOrder::Sleep).await?,
            (&Method::POST, _) => reloader.rest(by, &model, RestOrder::Wake).await?,
            _ => reloader.rest_of(&model).await?,
        };
        let shown = json!({"model": model, "state": rest.as_str()});
        let mut response = Response::new(Content::Whole(shown.to_string().into()));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(response)
    }
}

/// The model in a path, and what stands behind it.
fn names(path: &str) -> Option<(String, &str)> {
    let (model, verb) = path.strip_prefix(MODELS)?.split_once('/')?;
    let is_known = TABLE.iter().any(|(_, known, _)| *known == verb);
    (is_known && !model.is_empty()).then(|| (decoded(model), verb))
}

impl Mount for RestMount {
    fn find(&self, door: Door, method: &Method, path: &str) -> Passage {
        let Some((_, verb)) = names(path).filter(|_| door == Door::Admin) else { return Passage::Nothing };
        let method = if method == Method::HEAD { &Method::GET } else { method };
        let here = || TABLE.iter().filter(|(_, known, _)| *known == verb);
        match here().find(|(known, ..)| known == method) {
            Some((.., role)) => Passage::Needs(*role),
            None => Passage::WrongMethod(here().map(|(method, ..)| method.as_str()).collect::<Vec<_>>().join(", ")),
        }
    }

    fn serve(&self, caller: Option<Caller>, _: Reach, request: Request<Frames>) -> BoxFuture<'_, Response<Content>> {
        Box::pin(async move {
            let Some(caller) = caller else { return refusal(&Fault::internal("an order came from nobody")) };
            self.answer(&caller, request).await.unwrap_or_else(|fault| refusal(&fault))
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
    fn looking_needs_read_and_every_order_needs_write() {
        let mount = RestMount::new(Arc::default());
        for (method, verb, role) in &TABLE {
            let path = format!("/admin/v1/models/a%2Fb/{verb}");
            assert_eq!(mount.find(Door::Admin, method, &path), Passage::Needs(*role), "{method} {path}");
            assert_eq!(mount.find(Door::Public, method, &path), Passage::Nothing);
            assert_eq!(*role == Role::Read, *method == Method::GET, "{method}");
        }
        let wrong = mount.find(Door::Admin, &Method::GET, "/admin/v1/models/a/wake");
        assert_eq!(wrong, Passage::WrongMethod("POST".into()));
        for elsewhere in
            ["/admin/v1/models", "/admin/v1/models/sleep", "/admin/v1/models//sleep", "/admin/v1/models/a/b/wake"]
        {
            assert_eq!(mount.find(Door::Admin, &Method::POST, elsewhere), Passage::Nothing, "{elsewhere}");
        }
        assert_eq!(names("/admin/v1/models/a%2Fb/sleep"), Some(("a/b".to_owned(), "sleep")));
    }
}
