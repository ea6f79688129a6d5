//! A classic model in this process, as a backend. Owns which tensors of a call are the model's, and where it runs; what it
//! predicts is `tidegate-classic`'s.

use bytes::Bytes;
use std::path::Path;
use std::sync::Arc;
use tidegate_classic::Model;
use tidegate_core::port::BoxFuture;
use tidegate_core::port::backend::{Answer, Backend, Call, Frames, Predict};
use tidegate_core::tensor::ModelMeta;
use tidegate_core::{Fault, FaultKind, PredictAnswer, PredictRequest, TensorMeta};

/// Calls of more elements than this go to threads that may be busy.
const FEW: usize = 4096;

/// A classic model in this process.
#[derive(Debug, Clone)]
pub(crate) struct LocalClassic {
    model: Arc<Model>,
    meta: Arc<ModelMeta>,
}

impl LocalClassic {
    /// Loads a model; `input` is the name of its only input, where it has one of its own.
    ///
    /// # Errors
    /// The file is damaged or of a kind that does not run here, or the model has several inputs, which have their names.
    pub(crate) fn open(path: &Path, input: Option<String>) -> anyhow::Result<Self> {
        let model = Model::open(path)?;
        let mut inputs = model.inputs().to_vec();
        if let Some(name) = input {
            let [only] = &mut *inputs else {
                anyhow::bail!("`input` names the only input of a model, and this one has {}", inputs.len());
            };
            only.name = name;
        }
        let meta = ModelMeta {
            platform: format!("tidegate_{}", model.format()),
            versions: Vec::new(),
            inputs,
            outputs: model.outputs().to_vec(),
        };
        Ok(Self { model: Arc::new(model), meta: Arc::new(meta) })
    }

    fn predict(&self, request: &PredictRequest) -> Result<PredictAnswer, Fault> {
        if !request.is_loose {
            self.check(request)?;
        }
        let refused = |why: tidegate_classic::Refused| Fault::field("inputs", why.to_string());
        // Where a protocol has no names of outputs, what is meant is what the library itself predicts, and it comes first.
        let prediction = || self.meta.outputs.first().map(|first| first.name.clone()).into_iter().collect();
        let is_unnamed = request.is_loose && request.outputs.is_empty();
        let wanted: Vec<String> = if is_unnamed { prediction() } else { request.outputs.clone() };
        let outputs = self.model.predict(&request.inputs, &wanted).map_err(refused)?;
        Ok(PredictAnswer { outputs, ..PredictAnswer::default() })
    }

    /// Whoever says names and datatypes says those of the model: its input, or its features one by one.
    fn check(&self, request: &PredictRequest) -> Result<(), Fault> {
        let features = self.model.features();
        let is_known = |name: &str| {
            self.meta.inputs.iter().any(|input| input.name == name) || features.iter().any(|feature| feature == name)
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
        let elements: usize = request.inputs.iter().map(tidegate_core::Tensor::elements).sum();
        let predicted = if elements <= FEW {
            self.predict(&request)
        } else {
            let this = self.clone();
            tokio::task::spawn_blocking(move || this.predict(&request)).await.map_err(Fault::internal)?
        };
        Ok(Answer { body: Bytes::new(), usage: None, endpoint: None, predicted: Some(Arc::new(predicted?)) })
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
        Box::pin(async { Ok((*self.meta).clone()) })
    }
}
