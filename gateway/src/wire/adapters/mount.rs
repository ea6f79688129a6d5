//! `/admin/v1/models/{model}/adapters`: the adapters of a local model, listed, loaded and unloaded while it serves. Owns
//! the paths with the role that each needs, and the body's form.

use crate::wire::Reloader;
use bytes::BytesMut;
use http::header::{CONTENT_TYPE, ETAG, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::{Arc, OnceLock, Weak};
use tidegate_core::percent::decoded;
use tidegate_core::port::BoxFuture;
use tidegate_core::port::adapters::Expected;
use tidegate_core::port::mount::{Content, Door, Frames, Mount, Passage};
use tidegate_core::port::prompts::Reach;
use tidegate_core::{AdapterName, Caller, Fault, FaultKind, ModelName, Role};
use tidegate_server::mounted::refusal;

const MODELS: &str = "/admin/v1/models/";
const LARGEST: usize = 64 * 1024;

/// Everything that is served below a model's `adapters`: the method, whether an adapter is named, and the role.
static TABLE: [(Method, bool, Role); 4] = [
    (Method::GET, false, Role::Read),
    (Method::GET, true, Role::Read),
    (Method::PUT, true, Role::Write),
    (Method::DELETE, true, Role::Write),
];

/// Shows adapters, loads and unloads them.
#[derive(Debug)]
pub(crate) struct AdapterMount {
    reloader: Arc<OnceLock<Weak<Reloader>>>,
}

/// What a path names.
#[derive(Debug, PartialEq, Eq)]
struct Names {
    model: String,
    adapter: Option<String>,
}

/// The adapter that is wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// `models:/NAME/VERSION`, `models:/NAME@ALIAS`, or a folder below that of the configuration.
    source: String,
    /// The generation that must be in force; null for none.
    #[serde(default, deserialize_with = "given")]
    expected_generation: Option<Option<String>>,
}

/// Tells null from what is not there.
fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl AdapterMount {
    /// Over the reloader that `slot` will hold.
    pub(crate) const fn new(slot: Arc<OnceLock<Weak<Reloader>>>) -> Self {
        Self { reloader: slot }
    }

    async fn answer(&self, caller: &Caller, request: Request<Frames>) -> Result<Response<Content>, Fault> {
        let reloader = self.reloader.get().and_then(Weak::upgrade);
        let reloader = reloader
            .ok_or_else(|| Fault::new(FaultKind::Unavailable, "the gateway is starting or stopping: come again"))?;
        let (head, body) = request.into_parts();
        let names = names(head.uri.path()).ok_or_else(|| Fault::internal("a path that leads nowhere"))?;
        let model: ModelName = names.model.parse().map_err(|e| Fault::field("model", format!("{e}")))?;
        let adapter = names.adapter.map(|name| name.parse::<AdapterName>()).transpose();
        let adapter = adapter.map_err(|e| Fault::field("adapter", format!("{e}")))?;
        let by = caller.0.principal.as_str();
        match (&head.method, adapter) {
            (&Method::PUT, Some(adapter)) => {
                let wanted = wanted(body).await?;
                let expected = match wanted.expected_generation {
                    None => Expected::Anything,
                    Some(None) => Expected::Nothing,
                    Some(Some(generation)) => Expected::Generation(generation),
                };
                let status = reloader.load_adapter(by, &model, &adapter, &wanted.source, expected).await?;
                Ok(shown(StatusCode::OK, &json!(status)))
            }
            (&Method::DELETE, Some(adapter)) => {
                let expected = expected_in(head.uri.query());
                let generation = reloader.unload_adapter(by, &model, &adapter, &expected).await?;
                Ok(shown(StatusCode::OK, &json!({"name": adapter, "generation": generation, "unloaded": true})))
            }
            (_, adapter) => {
                let all = reloader.adapters_of(&model).await?;
                let Some(adapter) = adapter else {
                    return Ok(shown(StatusCode::OK, &json!({"object": "list", "data": all})));
                };
                let one = all.into_iter().find(|one| one.name == adapter.as_str());
                let none = || Fault::new(FaultKind::NotFound, format!("`{model}` has no adapter `{adapter}`"));
                Ok(shown(StatusCode::OK, &json!(one.ok_or_else(none)?)))
            }
        }
    }
}

fn shown(status: StatusCode, value: &Value) -> Response<Content> {
    let mut response = Response::new(Content::Whole(value.to_string().into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let tag =
        value["generation"].as_str().and_then(|generation| HeaderValue::try_from(format!("\"{generation}\"")).ok());
    if let Some(tag) = tag {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

/// The names in a path below a model's adapters; each part is decoded by itself.
fn names(path: &str) -> Option<Names> {
    let parts: Vec<&str> = path.strip_prefix(MODELS)?.split('/').collect();
    let (model, adapter) = match parts[..] {
        [model, "adapters"] => (model, None),
        [model, "adapters", adapter] => (model, Some(adapter)),
        _ => return None,
    };
    let adapter = adapter.map(decoded);
    (!model.is_empty()).then(|| Names { model: decoded(model), adapter })
}

fn expected_in(query: Option<&str>) -> Expected {
    let pairs = query.unwrap_or_default().split('&');
    let given = pairs.filter_map(|pair| pair.split_once('=')).find(|(name, _)| *name == "expected_generation");
    given.map_or(Expected::Anything, |(_, generation)| Expected::Generation(decoded(generation)))
}

async fn wanted(mut body: Frames) -> Result<Wanted, Fault> {
    let mut all = BytesMut::new();
    while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_next(cx)).await {
        all.extend_from_slice(&frame?);
        if all.len() > LARGEST {
            return Err(Fault::new(FaultKind::TooLarge, "what is wanted is at most 64 KiB long"));
        }
    }
    serde_json::from_slice(&all).map_err(|e| {
        let says = format!("the body is {{\"source\": …, \"expected_generation\": …}}, the latter if you like: {e}");
        Fault::new(FaultKind::InvalidRequest, says)
    })
}

impl Mount for AdapterMount {
    fn find(&self, door: Door, method: &Method, path: &str) -> Passage {
        let Some(names) = names(path).filter(|_| door == Door::Admin) else { return Passage::Nothing };
        let method = if method == Method::HEAD { &Method::GET } else { method };
        let here = || TABLE.iter().filter(|(_, is_one, _)| *is_one == names.adapter.is_some());
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
    fn reading_needs_read_and_every_change_needs_write() {
        let mount = AdapterMount::new(Arc::default());
        for (method, is_one, role) in &TABLE {
            let path = if *is_one { "/admin/v1/models/a%2Fb/adapters/x" } else { "/admin/v1/models/a%2Fb/adapters" };
            assert_eq!(mount.find(Door::Admin, method, path), Passage::Needs(*role), "{method} {path}");
            assert_eq!(mount.find(Door::Public, method, path), Passage::Nothing);
            assert_eq!(*role == Role::Read, *method == Method::GET, "{method}");
        }
        let wrong = Passage::WrongMethod("GET, PUT, DELETE".into());
        assert_eq!(mount.find(Door::Admin, &Method::POST, "/admin/v1/models/a/adapters/x"), wrong);
        for elsewhere in
            ["/admin/v1/models", "/admin/v1/models/a", "/admin/v1/models/a/versions", "/admin/v1/models//adapters"]
        {
            assert_eq!(mount.find(Door::Admin, &Method::GET, elsewhere), Passage::Nothing, "{elsewhere}");
        }
    }

    #[test]
    fn names_are_decoded_and_what_is_expected_is_told_apart() {
        let found = names("/admin/v1/models/a%2Fb/adapters/c%3Ad").unwrap();
        assert_eq!(found, Names { model: "a/b".into(), adapter: Some("c:d".into()) });
        assert_eq!(expected_in(None), Expected::Anything);
        assert_eq!(expected_in(Some("x=1&expected_generation=ab")), Expected::Generation("ab".into()));
        let wanted = |text: &str| serde_json::from_str::<Wanted>(text).map(|wanted| wanted.expected_generation);
        assert_eq!(wanted(r#"{"source": "x"}"#).unwrap(), None);
        assert_eq!(wanted(r#"{"source": "x", "expected_generation": null}"#).unwrap(), Some(None));
        assert_eq!(wanted(r#"{"source": "x", "expected_generation": "a"}"#).unwrap(), Some(Some("a".into())));
        assert!(wanted(r#"{"source": "x", "other": 1}"#).is_err());
    }
}
