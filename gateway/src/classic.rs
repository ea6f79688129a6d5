//! A classic model in this process, as a backend. Owns which tensors of a call are the model's, and what its queue says to
//! callers; what it predicts, and when, is `tidegate-classic`'s.

mod why;

use crate::agreed::Agreed;
use bytes::Bytes;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tidegate_classic::{BatchSpec, Explaining, Model, Pool, Unserved};
use tidegate_core::port::BoxFuture;
use tidegate_core::port::backend::{Answer, Backend, Call, Frames, PoolReport, Predict};
use tidegate_core::spec::{ModelSpec, PoolSpec};
use tidegate_core::tensor::ModelMeta;
use tidegate_core::{Clock, Fault, FaultKind, PredictAnswer, PredictRequest, Tensor, TensorMeta};
pub(crate) use why::is_asked as is_explained;

/// A classic model in this process.
#[derive(Debug)]
pub(crate) struct LocalClassic {
    pool: Pool,
    /// The names of a row's values.
    features: Vec<String>,
    meta: ModelMeta,
    how: Explaining,
    /// What its inputs are held to.
    agreed: Option<Agreed>,
    /// Whether the record of a call has why.
    is_governed: bool,
}

impl LocalClassic {
    /// Loads a model and takes it into service; `signature` is that of its version.
    ///
    /// # Errors
    /// The file is damaged or of a kind that does not run here, the model has several inputs, which have their names, it fails
    /// when it is warmed up, or what its inputs shall be held to is not there.
    pub(crate) fn open(
        path: &Path,
        signature: Option<&Value>,
        spec: &ModelSpec,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        let model = Model::open(path)?;
        let mut inputs = model.inputs().to_vec();
        if let Some(name) = &spec.input {
            let [only] = &mut *inputs else {
                anyhow::bail!("`input` names the only input of a model, and this one has {}", inputs.len());
            };
            only.name.clone_from(name);
        }
        let meta = ModelMeta {
            platform: format!("tidegate_{}", model.format()),
            versions: Vec::new(),
            inputs,
            outputs: model.outputs().to_vec(),
        };
        let features = model.features().to_vec();
        let width = match &*meta.inputs {
            [only] if only.shape.len() == 2 => only.shape[1].and_then(|width| usize::try_from(width).ok()),
            _ => None,
        };
        let contract = spec.contract.clone().unwrap_or_default();
        let agreed = Agreed::of(&contract, signature, &features, width)?;
        let pool = Pool::start(model, batching(&spec.pool.unwrap_or_default()), clock)?;
        let how = why::explaining(spec.explain.as_ref());
        Ok(Self { pool, features, meta, how, agreed, is_governed: spec.is_governed })
    }

    async fn predict(&self, request: &PredictRequest) -> Result<PredictAnswer, Fault> {
        if !request.is_loose {
            self.check(request)?;
        }
        let violations = self.agreed.as_ref().map(|agreed| agreed.hold(request)).transpose()?.map(u32::from);
        // Where a protocol has no names of outputs, what is meant is what the library itself predicts, and it comes first.
        let prediction = || self.meta.outputs.first().map(|first| first.name.clone()).into_iter().collect();
        let is_unnamed = request.is_loose && request.outputs.is_empty();
        let wanted: Vec<String> = if is_unnamed { prediction() } else { request.outputs.clone() };
        let is_explained = why::is_asked(request)?;
        let inputs = self.inputs(request)?;
        let explained = is_explained.then(|| inputs.clone());
        let served = self.pool.predict(inputs, wanted).await.map_err(unserved)?;
        let mut answer = PredictAnswer { outputs: served.answer, violations, ..PredictAnswer::default() };
        if let Some(inputs) = explained {
            let served = self.pool.explain(inputs, self.how.clone()).await;
            let explanation = served.map_err(unexplained)?.answer;
            answer.outputs.extend(why::tensors(&explanation)?);
            answer.reasons = self.is_governed.then(|| why::kept(&explanation));
        }
        Ok(answer)
    }

    /// The tensors as the model takes them: columns that only its signature names are the columns of its rows.
    fn inputs(&self, request: &PredictRequest) -> Result<Vec<Tensor>, Fault> {
        let ordered = self.agreed.as_ref().and_then(|agreed| agreed.in_order(&request.inputs));
        let Some(inputs) = ordered else { return Ok(request.inputs.clone()) };
        let request = PredictRequest { inputs, ..PredictRequest::default() };
        let bound = tidegate_dialect::bind(&request, &self.meta).map_err(tidegate_dialect::Wrong::of_caller)?;
        Ok(bound.inputs)
    }

    /// Whoever says names and datatypes says those of the model: its input, or its features one by one.
    fn check(&self, request: &PredictRequest) -> Result<(), Fault> {
        let is_known = |name: &str| {
            self.agreed.as_ref().is_some_and(|agreed| agreed.names(name))
                || self.meta.inputs.iter().any(|input| input.name == name)
                || self.features.iter().any(|feature| feature == name)
        };
        for (nth, tensor) in request.inputs.iter().enumerate() {
            if !is_known(tensor.name()) {
                let has = self.meta.inputs.iter().map(shown).collect::<Vec<_>>().join(", ");
                let given: String = tensor.name().chars().filter(|c| !c.is_control()).take(64).collect();
                let says = format!("inputs[{nth}].name: the model has no input `{given}`; it has {has}");
                return Err(Fault::field(format!("inputs[{nth}].name"), says));
            }
        }
        Ok(())
    }

    async fn answer(&self, call: Call) -> Result<Answer, Fault> {
        let Some(Predict { request, .. }) = call.predict else {
            let says = "this is a classic model: ask it at /v2/models/NAME/infer";
            return Err(Fault::new(FaultKind::InvalidRequest, says));
        };
        let total = call.deadlines.total;
        let late = |_| {
            let says = format!("the model did not answer within {total:?}, which this route allows");
            Fault::new(FaultKind::UpstreamTimeout, says)
        };
        // A call that is dropped leaves the queue.
        let predicted = tokio::time::timeout(total, self.predict(&request)).await.map_err(late)??;
        Ok(Answer { body: Bytes::new(), usage: None, endpoint: None, predicted: Some(Arc::new(predicted)) })
    }
}

/// What a caller is told who got no explanation.
fn unexplained(why: Unserved) -> Fault {
    match why {
        Unserved::Refused(refused) => Fault::field("parameters.explain", refused.to_string()),
        other => unserved(other),
    }
}

fn batching(spec: &PoolSpec) -> BatchSpec {
    let &PoolSpec { max_rows, max_wait, queue, instances, warm_up } = spec;
    BatchSpec { max_rows, max_wait, queue, instances, warm_up }
}

/// What a caller is told who got no answer.
fn unserved(why: Unserved) -> Fault {
    match why {
        Unserved::Busy { waiting, retry_after } => {
            let says = format!("{waiting} calls wait for this model already: try again later");
            // A second is what `Retry-After` can say at least.
            let wait = retry_after.clamp(Duration::from_millis(1), Duration::from_secs(60));
            Fault::new(FaultKind::Overloaded, says).after(wait).with_upstream_status(429)
        }
        Unserved::Refused(refused) => Fault::field("inputs", refused.to_string()),
        Unserved::Stopped => Fault::new(FaultKind::Unavailable, "the model is served no longer: try again"),
        other => Fault::internal(other),
    }
}

/// An input as a message names it.
fn shown(meta: &TensorMeta) -> String {
    let sizes: Vec<String> =
        meta.shape.iter().map(|size| size.map_or_else(|| "-1".to_owned(), |size| size.to_string())).collect();
    format!("`{}` {} [{}]", meta.name, meta.datatype, sizes.join(", "))
}

impl Backend for LocalClassic {
    fn complete(&self, call: Call) -> BoxFuture<'_, Result<Answer, Fault>> {
        Box::pin(self.answer(call))
    }

    fn stream(&self, _: Call) -> BoxFuture<'_, Result<Frames, Fault>> {
        Box::pin(async { Err(Fault::field("stream", "classic models answer as a whole: leave `stream` out")) })
    }

    fn ready(&self) -> bool {
        true
    }

    fn is_classic(&self) -> bool {
        true
    }

    fn describe<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<ModelMeta, Fault>> {
        Box::pin(async { Ok(self.meta.clone()) })
    }

    fn pool(&self) -> Option<PoolReport> {
        let state = self.pool.state();
        Some(PoolReport {
            waiting: state.waiting,
            running: state.running,
            sizes: state.sizes.to_vec(),
            rows: state.rows,
            at_once: state.at_once,
            refused: state.busy,
        })
    }

    fn violations(&self) -> Vec<(String, &'static str, u64)> {
        self.agreed.as_ref().map(Agreed::broken).unwrap_or_default()
    }
}
