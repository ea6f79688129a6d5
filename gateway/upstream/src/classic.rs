//! A provider that serves classic models, in whichever protocol. Owns the translation of a call and of its answer, and whether
//! tensors go there raw; endpoints, connections and health are those of any provider.

use crate::ask::{Ask, Form};
use crate::endpoint::HEADER_LENGTH;
use crate::{BuildFault, OpenAiBackend, TlsRoots, grpc};
use bytes::Bytes;
use http::{HeaderMap, Method};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tidegate_core::port::BoxFuture;
use tidegate_core::port::backend::{Answer, Backend, Call, Deadlines, EndpointReport, Frames, Predict, Turn};
use tidegate_core::spec::provider::{ClassicSpec, Dialect};
use tidegate_core::tensor::ModelMeta;
use tidegate_core::{Api, Clock, Dice, EndpointName, Fault, FaultKind, PredictAnswer, PredictRequest, ProviderName};
use tidegate_dialect::grpc::write_named;
use tidegate_dialect::{
    bind, explain_path, metadata_path, read_answer, read_explained, read_metadata, request_path, wants_raw,
    write_explain, write_request,
};

/// Tensors of fewer bytes than this go as JSON where it can say them: it is not worth asking whether raw ones are taken.
const WORTH_RAW: usize = 1024;
/// How long a provider may take to say something of itself.
const PATIENCE: Duration = Duration::from_secs(5);

/// Nothing is known of whether raw tensors are taken.
const UNKNOWN: u8 = 0;
const JSON_ALONE: u8 = 1;
const RAW_TOO: u8 = 2;

/// A provider that serves classic models.
#[derive(Debug)]
pub struct ClassicBackend {
    dialect: Dialect,
    /// Whether it is asked over gRPC.
    is_grpc: bool,
    inner: OpenAiBackend,
    raw: AtomicU8,
    /// What models said that they take.
    metas: Mutex<HashMap<Arc<str>, Arc<ModelMeta>>>,
}

impl ClassicBackend {
    /// Builds a provider from its checked spec; connects to nothing.
    ///
    /// # Errors
    /// As of any provider.
    pub fn build(
        provider: &ProviderName,
        spec: &ClassicSpec,
        clock: Arc<dyn Clock>,
        dice: Arc<dyn Dice>,
        roots: &TlsRoots,
    ) -> Result<Self, BuildFault> {
        let inner = OpenAiBackend::build(provider, &spec.upstream, clock, dice, roots)?;
        let (dialect, is_grpc) = (spec.dialect, spec.is_grpc);
        Ok(Self { dialect, is_grpc, inner, raw: AtomicU8::new(UNKNOWN), metas: Mutex::default() })
    }

    async fn predict(&self, call: Call) -> Result<Answer, Fault> {
        let Some(Predict { request, model, written }) = &call.predict else {
            let says = "this provider serves classic models, and no language models";
            return Err(Fault::new(FaultKind::InvalidRequest, says));
        };
        if request.explains {
            return self.explained(&call, request, model).await;
        }
        let bound = if request.is_loose && self.dialect == Dialect::OpenInference {
            let meta = self.known(model).await;
            Some(bind(request, &meta).map_err(tidegate_dialect::Wrong::of_caller)?)
        } else {
            None
        };
        let request = bound.as_ref().unwrap_or(&**request);
        if self.is_grpc {
            let ask = grpc::ask("ModelInfer", tidegate_dialect::grpc::write_request(model, request));
            let answered = self.inner.ask(&call, &ask, |headers, body| grpc::answer(headers, &body)).await?;
            return Ok(given(request, answered));
        }
        let is_raw = self.dialect == Dialect::OpenInference
            && (request.inputs.iter().any(|tensor| tensor.data().len() >= WORTH_RAW)
                || written.as_ref().is_some_and(|written| written.header_length.is_some())
                || wants_raw(request))
            && self.takes_raw().await;
        let written = written.as_ref().filter(|_| bound.is_none());
        let sheet =
            write_request(self.dialect, request, is_raw, written).map_err(tidegate_dialect::Wrong::of_caller)?;
        let ask = Ask {
            method: Method::POST,
            path: request_path(self.dialect, model),
            form: sheet.header_length.map_or(Form::Json, Form::Raw),
            body: sheet.joined(),
        };
        let dialect = self.dialect;
        let read = |headers: &HeaderMap, body: Bytes| {
            let length = headers.get(HEADER_LENGTH).map(http::HeaderValue::as_bytes);
            read_answer(dialect, &body, length).map_err(tidegate_dialect::Wrong::of_provider)
        };
        let answered = self.inner.ask(&call, &ask, read).await?;
        if self.dialect == Dialect::OpenInference {
            return Ok(given(request, answered));
        }
        Ok(whole(answered))
    }

    /// Asks why, where KServe has that beside its predictions.
    async fn explained(&self, call: &Call, request: &PredictRequest, model: &str) -> Result<Answer, Fault> {
        let Some(path) = explain_path(self.dialect, model).filter(|_| !self.is_grpc) else {
            let says =
                "the provider of this model is asked by a protocol that has no explanations: ask for predictions";
            return Err(Fault::field("explain", says));
        };
        let sheet = write_explain(request).map_err(tidegate_dialect::Wrong::of_caller)?;
        let ask = Ask { method: Method::POST, path, body: sheet.body, form: Form::Json };
        let read = |_: &HeaderMap, body: Bytes| read_explained(&body).map_err(tidegate_dialect::Wrong::of_provider);
        let answered = self.inner.ask(call, &ask, read).await;
        answered.map(whole).map_err(|fault| match fault.upstream_status {
            Some(status @ (404 | 405 | 501)) => {
                let says = format!(
                    "the provider of this model explains nothing: it answered {status} at {}; ask for predictions",
                    ask.path
                );
                Fault::field("explain", says).with_upstream_status(status)
            }
            _ => fault,
        })
    }

    /// Whether the provider takes raw tensors: it says so where it says which extensions it has. Asked once; where it cannot be
    /// asked, this call goes without.
    async fn takes_raw(&self) -> bool {
        match self.raw.load(Ordering::Relaxed) {
            RAW_TOO => return true,
            JSON_ALONE => return false,
            _ => {}
        }
        let said = self.get("/v2".to_owned(), |body| {
            let json: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
            let names = json["extensions"].as_array().cloned().unwrap_or_default();
            Ok(names.iter().any(|name| matches!(name.as_str(), Some("binary_tensor_data" | "binary_data"))))
        });
        let Ok(is_taken) = said.await else { return false };
        self.raw.store(if is_taken { RAW_TOO } else { JSON_ALONE }, Ordering::Relaxed);
        is_taken
    }

    /// What a model takes, asked once. Where it cannot be asked, nothing is known for this call.
    async fn known(&self, model: &Arc<str>) -> Arc<ModelMeta> {
        let known = self.metas.lock().unwrap_or_else(PoisonError::into_inner).get(model).cloned();
        if let Some(meta) = known {
            return meta;
        }
        let Ok(meta) = self.described(model).await else { return Arc::default() };
        let meta = Arc::new(meta);
        self.metas.lock().unwrap_or_else(PoisonError::into_inner).insert(Arc::clone(model), Arc::clone(&meta));
        meta
    }

    async fn get<T>(&self, path: String, read: impl FnOnce(Bytes) -> Result<T, Fault>) -> Result<T, Fault> {
        let ask = Ask { method: Method::GET, path, body: Bytes::new(), form: Form::Json };
        self.asked(&ask, |_, body| read(body)).await
    }

    /// What is asked beside all calls.
    async fn asked<T>(&self, ask: &Ask, read: impl FnOnce(&HeaderMap, Bytes) -> Result<T, Fault>) -> Result<T, Fault> {
        let call = Call {
            api: Api::Predict,
            model: "metadata".parse().map_err(Fault::internal)?,
            adapter: None,
            body: Bytes::new(),
            headers: Arc::default(),
            turn: Turn::default(),
            deadlines: Deadlines { connect: PATIENCE, first_token: PATIENCE, idle: PATIENCE, total: PATIENCE },
            avoid: None,
            taken: None,
            predict: None,
            aside: None,
        };
        self.inner.ask(&call, ask, read).await.map(|(said, _)| said)
    }

    async fn described(&self, model: &str) -> Result<ModelMeta, Fault> {
        if self.is_grpc {
            let ask = grpc::ask("ModelMetadata", tidegate_dialect::grpc::framed(&write_named(model)));
            return self.asked(&ask, |headers, body| grpc::metadata(headers, &body)).await;
        }
        let Some(path) = metadata_path(self.dialect, model) else {
            return Ok(ModelMeta { platform: platform(self.dialect).to_owned(), ..ModelMeta::default() });
        };
        self.get(path, |body| read_metadata(&body).map_err(tidegate_dialect::Wrong::of_provider)).await
    }
}

/// An answer of the Open Inference Protocol: some servers give all outputs, whatever is asked.
fn given(request: &PredictRequest, (mut answer, endpoint): (PredictAnswer, EndpointName)) -> Answer {
    if !request.outputs.is_empty() {
        answer.outputs.retain(|output| request.wants(output.name()));
    }
    whole((answer, endpoint))
}

fn whole((answer, endpoint): (PredictAnswer, EndpointName)) -> Answer {
    Answer { body: Bytes::new(), usage: None, endpoint: Some(endpoint), predicted: Some(Arc::new(answer)) }
}

/// What stands for a provider that says nothing of its models.
const fn platform(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenInference => "open_inference",
        Dialect::TfServing => "tensorflow_serving",
        Dialect::Mlflow => "mlflow",
        Dialect::Seldon => "seldon",
        Dialect::BentoMl => "bentoml",
        Dialect::TorchServe => "torchserve",
    }
}

impl Backend for ClassicBackend {
    fn complete(&self, call: Call) -> BoxFuture<'_, Result<Answer, Fault>> {
        Box::pin(self.predict(call))
    }

    fn stream(&self, _: Call) -> BoxFuture<'_, Result<Frames, Fault>> {
        let says = "classic models answer as a whole: leave `stream` out";
        Box::pin(async move { Err(Fault::field("stream", says)) })
    }

    fn ready(&self) -> bool {
        self.inner.ready()
    }

    fn is_classic(&self) -> bool {
        true
    }

    fn describe<'a>(&'a self, model: &'a str) -> BoxFuture<'a, Result<ModelMeta, Fault>> {
        Box::pin(self.described(model))
    }

    fn has_other(&self, than: &EndpointName) -> bool {
        self.inner.has_other(than)
    }

    fn endpoints(&self) -> Vec<EndpointReport> {
        self.inner.endpoints()
    }
}
