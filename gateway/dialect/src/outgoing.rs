//! Another's classic model is asked: paths and bodies by the provider's protocol.

use crate::sheet::Sheet;
use crate::wrong::{Wrong, shown};
use crate::{bentoml, mlflow, open_inference, seldon, tf_serving, torchserve};
use bytes::Bytes;
use tidegate_core::percent::segment;
use tidegate_core::port::backend::Written;
use tidegate_core::spec::Dialect;
use tidegate_core::tensor::ModelMeta;
use tidegate_core::{Datatype, PredictAnswer, PredictRequest, Tensor};

/// The path below the base address at which `model` is asked. TF Serving's and TorchServe's names have no slash, so a version or a
/// label may stand behind one as in their own paths: `half/versions/3`, `half/labels/stable`; `half/2.0`.
#[must_use]
pub fn request_path(dialect: Dialect, model: &str) -> String {
    let named = segment(model);
    match dialect {
        Dialect::OpenInference => format!("/v2/models/{named}/infer"),
        Dialect::TfServing => match versioned(model) {
            Some((name, kind, version)) => format!("/v1/models/{}{kind}{}:predict", segment(name), segment(version)),
            None => format!("/v1/models/{named}:predict"),
        },
        Dialect::Mlflow => "/invocations".to_owned(),
        Dialect::Seldon => "/api/v1.0/predictions".to_owned(),
        Dialect::BentoMl => format!("/{named}"),
        Dialect::TorchServe => match model.rsplit_once('/') {
            Some((name, version)) => format!("/predictions/{}/{}", segment(name), segment(version)),
            None => format!("/predictions/{named}"),
        },
    }
}

/// TF Serving's name of a model, and which of its versions or labels is meant.
pub(crate) fn versioned(model: &str) -> Option<(&str, &'static str, &str)> {
    let split = |kind: &'static str| model.rsplit_once(kind).map(|(name, version)| (name, kind, version));
    split("/versions/").or_else(|| split("/labels/"))
}

/// The path at which a model says what it takes, where the protocol has that in a form that we read.
#[must_use]
pub fn metadata_path(dialect: Dialect, model: &str) -> Option<String> {
    (dialect == Dialect::OpenInference).then(|| format!("/v2/models/{}", segment(model)))
}

/// Whether tensors are better sent raw, however small: of 16 bits, which Triton and KServe do not take as JSON, or with numbers
/// that JSON has not.
#[must_use]
pub fn wants_raw(request: &PredictRequest) -> bool {
    let is_half = |tensor: &Tensor| matches!(tensor.datatype(), Datatype::Fp16 | Datatype::Bf16);
    request.inputs.iter().any(|tensor| is_half(tensor) || first(tensor, |number| !number.is_finite()).is_some())
}

/// The first number of a tensor of floats that is so.
fn first(tensor: &Tensor, is_so: fn(f64) -> bool) -> Option<usize> {
    tensor.numbers().filter(|_| tensor.datatype().is_float())?.position(is_so)
}

/// JSON has no infinite numbers. As null, which NaN is sent as, they would be missing ones, and a model that takes those would
/// answer something else. TF Serving has words for them; but what it answers to them is mostly infinite too, which callers could
/// not be told, and its endpoint would be blamed for.
///
/// # Errors
/// It has one.
pub(crate) fn check_finite(tensor: &Tensor) -> Result<(), Wrong> {
    let Some(nth) = first(tensor, f64::is_infinite) else { return Ok(()) };
    let name = shown(tensor.name());
    let says = format!(
        "element {nth} of `{name}` is infinite, and this provider is asked in JSON, which has finite numbers alone"
    );
    Err(Wrong::new(name, says))
}

/// Writes what is asked; `is_binary` with raw tensors, where the protocol has them. What is `written` already goes as it came.
///
/// # Errors
/// The protocol cannot say it.
pub fn write_request(
    dialect: Dialect,
    request: &PredictRequest,
    is_binary: bool,
    written: Option<&Written>,
) -> Result<Sheet, Wrong> {
    if !is_binary {
        request.inputs.iter().try_for_each(check_finite)?;
    }
    let is_fit = |written: &&Written| dialect == Dialect::OpenInference && written.header_length.is_some() == is_binary;
    if let Some(Written { body, header_length }) = written.filter(is_fit) {
        return Ok(Sheet { body: body.clone(), header_length: *header_length, behind: Vec::new() });
    }
    match dialect {
        Dialect::OpenInference => open_inference::write_request(request, is_binary),
        Dialect::TfServing => tf_serving::write_request(request),
        Dialect::Mlflow => mlflow::write_request(request),
        Dialect::Seldon => seldon::write_request(request),
        Dialect::BentoMl => bentoml::write_request(request),
        Dialect::TorchServe => torchserve::write_request(request),
    }
}

/// Reads what was answered.
///
/// # Errors
/// It is not of the protocol.
pub fn read_answer(dialect: Dialect, body: &Bytes, header_length: Option<&[u8]>) -> Result<PredictAnswer, Wrong> {
    match dialect {
        Dialect::OpenInference => open_inference::read_answer(body, header_length),
        Dialect::TfServing => tf_serving::read_answer(body),
        Dialect::Mlflow => mlflow::read_answer(body),
        Dialect::Seldon => seldon::read_answer(body),
        Dialect::BentoMl => bentoml::read_answer(body),
        Dialect::TorchServe => torchserve::read_answer(body),
    }
}

/// Reads what a model says of itself.
///
/// # Errors
/// It is not of the protocol.
pub fn read_metadata(body: &Bytes) -> Result<ModelMeta, Wrong> {
    open_inference::read_metadata(body)
}
