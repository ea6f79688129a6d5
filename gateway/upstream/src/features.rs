//! Servers of features that are asked over HTTP. Owns what both have in common: connections, balancing and health are those of any
//! provider; what goes over the wire is each one's file.

mod feast;
mod tecton;

pub use feast::FeastFeatures;
pub use tecton::TectonFeatures;

use crate::ask::{Ask, Form};
use crate::{BuildFault, OpenAiBackend, TlsRoots};
use bytes::Bytes;
use http::Method;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::port::backend::{Call, Deadlines, Turn};
use tidegate_core::port::features::{FeatureValue, Found, KeyValue};
use tidegate_core::spec::OpenAiSpec;
use tidegate_core::{Api, Clock, Dice, Fault, FaultKind, ModelName, ViewName, moment};

/// How long a push may take.
const PUSH: Duration = Duration::from_secs(10);

/// What a server is built with.
#[derive(Debug)]
pub struct Means<'a> {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub dice: Arc<dyn Dice>,
    /// Who certifies it.
    pub roots: &'a TlsRoots,
}

/// A server of features.
#[derive(Debug)]
struct Server {
    inner: OpenAiBackend,
    view: ModelName,
}

impl Server {
    fn build(view: &ViewName, spec: &OpenAiSpec, means: Means<'_>) -> Result<Self, BuildFault> {
        // Names have one grammar, so a view's is one of a provider and of a model.
        let name = |_| BuildFault::NoEndpoint;
        let provider = view.as_str().parse().map_err(name)?;
        let inner = OpenAiBackend::build(&provider, spec, means.clock, means.dice, means.roots)?;
        Ok(Self { inner, view: view.as_str().parse().map_err(name)? })
    }

    /// Sends `body` to `path` below the server's address.
    async fn ask<T>(
        &self,
        path: &str,
        body: &Value,
        within: Duration,
        read: impl FnOnce(Bytes) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let call = Call {
            api: Api::Predict,
            model: self.view.clone(),
            adapter: None,
            body: Bytes::new(),
            headers: Arc::default(),
            turn: Turn::default(),
            deadlines: Deadlines { connect: within, first_token: within, idle: within, total: within },
            avoid: None,
            taken: None,
            predict: None,
            aside: None,
        };
        let body = body.to_string().into();
        let ask = Ask { method: Method::POST, path: path.to_owned(), body, form: Form::Json };
        self.inner.ask(&call, &ask, |_, body| read(body)).await.map(|(read, _)| read)
    }
}

/// An answer as JSON.
fn json(body: &Bytes) -> Result<Value, Fault> {
    serde_json::from_slice(body).map_err(|e| senseless("it is no JSON").because(e))
}

/// An answer that nothing can be made of.
fn senseless(why: impl Into<String>) -> Fault {
    let why: String = why.into();
    Fault::new(FaultKind::UpstreamFailed, format!("the feature server's answer makes no sense: {why}"))
}

/// A single value of JSON; lists, maps and nulls are nothing.
fn value(json: &Value) -> Option<FeatureValue> {
    match json {
        Value::Bool(truth) => Some(FeatureValue::Truth(*truth)),
        Value::Number(number) => {
            number.as_i64().map(FeatureValue::Integer).or_else(|| number.as_f64().map(FeatureValue::Number))
        }
        Value::String(text) => Some(FeatureValue::Text(text.as_str().into())),
        _ => None,
    }
}

/// What was found, by a value and the moment since which it is so; 1970 stands for none.
fn found(given: Option<&Value>, at: Option<&Value>) -> Found {
    let at = at.and_then(Value::as_str).and_then(moment::unix_ms).filter(|at| *at > 0);
    Found { value: given.and_then(value), at }
}

fn key(value: &KeyValue) -> Value {
    match value {
        KeyValue::Integer(number) => Value::from(*number),
        KeyValue::Text(text) => Value::from(&**text),
    }
}
