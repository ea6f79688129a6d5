//! What a model answers (`ModelInferResponse`, and `ModelStreamInferResponse` around it), and what others are asked.

use super::call::{Wish, paired};
use super::frame::{begin, end};
use super::{MOST, bytes, contents, keep, malformed, parameter, tensor, text};
use crate::proto::{Fields, put_bytes, put_text};
use crate::wrong::Wrong;
use bytes::Bytes;
use serde_json::json;
use tidegate_core::tensor::Parameters;
use tidegate_core::{PredictAnswer, PredictRequest, Tensor};

/// The parameter by which an answer of a stream has the id that it has here.
const INFERENCE: &str = "inference_id";

/// Writes the answer to `request` as a body of one message, under the name of the route; `call` is its id here.
pub(crate) fn write_answer(
    model: &str,
    call: &str,
    request: &PredictRequest,
    answer: &PredictAnswer,
    wish: Wish,
) -> Bytes {
    // Halves of numbers have no list of their own, and raw ones stand for all outputs.
    let is_raw = wish.is_raw || answer.outputs.iter().any(|output| contents::list(output.datatype()).is_none());
    let size: usize = answer.outputs.iter().map(|output| output.data().len() + 96 + output.name().len()).sum();
    let mut out = if wish.is_streamed { Vec::with_capacity(size + 128) } else { begin(size + 128) };
    put_text(&mut out, 1, model);
    put_text(&mut out, 2, answer.model_version.as_deref().unwrap_or_default());
    put_text(&mut out, 3, request.id.as_deref().unwrap_or_default());
    parameter::write(&mut out, 4, &answer.parameters);
    if wish.is_streamed {
        parameter::write(&mut out, 4, &named(call));
    }
    answer.outputs.iter().for_each(|output| tensor::write(&mut out, 5, output, is_raw));
    if is_raw {
        answer.outputs.iter().for_each(|output| put_bytes(&mut out, 6, output.data()));
    }
    if wish.is_streamed { streamed("", &out) } else { end(out) }
}

/// Writes that a call of a stream failed, as a body of one message: `id` is the caller's name of it, `call` its id here.
#[must_use]
pub fn write_failed(says: &str, id: &str, call: &str) -> Bytes {
    let mut inner = Vec::with_capacity(96);
    put_text(&mut inner, 3, id);
    parameter::write(&mut inner, 4, &named(call));
    streamed(if says.is_empty() { "the call failed" } else { says }, &inner)
}

fn named(call: &str) -> Parameters {
    [(INFERENCE.to_owned(), json!(call))].into_iter().collect()
}

fn streamed(says: &str, inner: &[u8]) -> Bytes {
    let mut out = begin(says.len() + inner.len() + 16);
    put_text(&mut out, 1, says);
    put_bytes(&mut out, 2, inner);
    end(out)
}

/// Writes what `model` is asked as a body of one message, with raw tensors.
#[must_use]
pub fn write_request(model: &str, request: &PredictRequest) -> Bytes {
    let size: usize = request.inputs.iter().map(|input| input.data().len() + 96 + input.name().len()).sum();
    let mut out = begin(size + 128);
    put_text(&mut out, 1, model);
    put_text(&mut out, 3, request.id.as_deref().unwrap_or_default());
    parameter::write(&mut out, 4, &request.parameters);
    request.inputs.iter().for_each(|input| tensor::write(&mut out, 5, input, true));
    for output in &request.outputs {
        let mut message = Vec::with_capacity(output.len() + 4);
        put_text(&mut message, 1, output);
        put_bytes(&mut out, 6, &message);
    }
    request.inputs.iter().for_each(|input| put_bytes(&mut out, 7, input.data()));
    end(out)
}

/// Reads what another answered, a message; its raw tensors are parts of it.
///
/// # Errors
/// What is wrong with it.
pub fn read_answer(message: &Bytes) -> Result<PredictAnswer, Wrong> {
    let (mut version, mut outputs, mut raw) = ("", Vec::new(), Vec::new());
    let mut parameters = Parameters::new();
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.next().map_err(malformed("message"))? {
        match number {
            2 => version = text(value, || "model_version".to_owned())?,
            4 => parameter::read(value, "parameters", &mut parameters, MOST)?,
            5 => keep(&mut outputs, bytes(value, || "outputs".to_owned())?, "outputs")?,
            6 => keep(&mut raw, bytes(value, || "raw_output_contents".to_owned())?, "raw_output_contents")?,
            _ => {}
        }
    }
    paired(outputs.len(), raw.len(), "raw_output_contents", "outputs")?;
    let read = |(nth, output): (usize, &&[u8])| {
        tensor::read(message, output, raw.get(nth).copied(), &format!("outputs[{nth}]"))
    };
    let outputs = outputs.iter().enumerate().map(read).collect::<Result<Vec<Tensor>, _>>()?;
    let model_version = (!version.is_empty()).then(|| version.to_owned());
    Ok(PredictAnswer { model_version, outputs, parameters, ..PredictAnswer::default() })
}
