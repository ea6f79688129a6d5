//! What a model is asked (`ModelInferRequest`), as we serve it.

use super::{MOST, bytes, keep, malformed, parameter, tensor, text};
use crate::open_inference::flag;
use crate::proto::Fields;
use crate::served::Served;
use crate::wrong::{Wrong, shown};
use bytes::Bytes;
use tidegate_core::tensor::Parameters;
use tidegate_core::{PredictRequest, Tensor};

/// How the caller wants his answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Wish {
    /// Whether outputs are raw. Those who send raw tensors get such, as with KServe, MLServer and Triton.
    pub(crate) is_raw: bool,
    /// Whether the answer is one of a stream.
    pub(crate) is_streamed: bool,
}

/// What a model is asked by a message.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// The model.
    pub model: String,
    /// Its version, where one is named.
    pub version: Option<String>,
    /// The tensors.
    pub request: PredictRequest,
    /// How the answer is written.
    pub served: Served,
}

impl Message {
    /// Reads a message; its raw tensors are parts of it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(message: &Bytes, is_streamed: bool) -> Result<Self, Wrong> {
        let (mut model, mut version, mut id) = ("", "", "");
        let (mut inputs, mut outputs, mut raw) = (Vec::new(), Vec::new(), Vec::new());
        let mut parameters = Parameters::new();
        let mut fields = Fields::of(message);
        while let Some((number, value)) = fields.next().map_err(malformed("message"))? {
            match number {
                1 => model = text(value, || "model_name".to_owned())?,
                2 => version = text(value, || "model_version".to_owned())?,
                3 => id = text(value, || "id".to_owned())?,
                4 => parameter::read(value, "parameters", &mut parameters, MOST)?,
                5 => keep(&mut inputs, bytes(value, || "inputs".to_owned())?, "inputs")?,
                6 => keep(&mut outputs, bytes(value, || "outputs".to_owned())?, "outputs")?,
                7 => keep(&mut raw, bytes(value, || "raw_input_contents".to_owned())?, "raw_input_contents")?,
                _ => {}
            }
        }
        if model.is_empty() {
            return Err(Wrong::new("model_name", "model_name is missing: name the route"));
        }
        let inputs = tensors(message, &inputs, &raw)?;
        let outputs = outputs.iter().enumerate().map(|(nth, output)| wanted(output, nth)).collect::<Result<_, _>>()?;
        let said = flag(&mut parameters, "binary_data_output", "parameters")?;
        let wish = Wish { is_raw: said.unwrap_or(!raw.is_empty()), is_streamed };
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Ok(Self {
            model: model.to_owned(),
            version: some(version),
            request: PredictRequest { id: some(id), inputs, outputs, parameters, ..PredictRequest::default() },
            served: Served::of_message(wish),
        })
    }
}

/// The caller's name of what is asked; empty where it has none or is no message.
#[must_use]
pub fn id_of(message: &[u8]) -> &str {
    let (mut id, mut fields) = ("", Fields::of(message));
    while let Ok(Some((number, value))) = fields.next() {
        if number == 3 {
            id = text(value, String::new).unwrap_or_default();
        }
    }
    id
}

fn tensors(body: &Bytes, inputs: &[&[u8]], raw: &[&[u8]]) -> Result<Vec<Tensor>, Wrong> {
    if inputs.is_empty() {
        return Err(Wrong::new("inputs", "inputs is empty: name at least one tensor"));
    }
    paired(inputs.len(), raw.len(), "raw_input_contents", "inputs")?;
    let mut tensors: Vec<Tensor> = Vec::with_capacity(inputs.len());
    for (nth, input) in inputs.iter().enumerate() {
        let place = format!("inputs[{nth}]");
        let tensor = tensor::read(body, input, raw.get(nth).copied(), &place)?;
        if tensors.iter().any(|known| known.name() == tensor.name()) {
            let says = format!("{place}.name: `{}` stands there twice", shown(tensor.name()));
            return Err(Wrong::new(format!("{place}.name"), says));
        }
        tensors.push(tensor);
    }
    Ok(tensors)
}

/// Raw contents stand for all tensors or for none.
pub(super) fn paired(tensors: usize, raw: usize, list: &str, of: &str) -> Result<(), Wrong> {
    if raw == 0 || raw == tensors {
        return Ok(());
    }
    let says =
        format!("{list} has {raw} elements, but there are {tensors} {of}: they stand for all of them or for none");
    Err(Wrong::new(list, says))
}

/// The name of an output that is wanted.
fn wanted(output: &[u8], nth: usize) -> Result<String, Wrong> {
    let place = format!("outputs[{nth}]");
    let (mut name, mut parameters, mut fields) = ("", Parameters::new(), Fields::of(output));
    while let Some((number, value)) = fields.next().map_err(malformed(&place))? {
        match number {
            1 => name = text(value, || format!("{place}.name"))?,
            2 => parameter::read(value, &format!("{place}.parameters"), &mut parameters, parameter::BESIDE)?,
            _ => {}
        }
    }
    if name.is_empty() {
        return Err(Wrong::new(format!("{place}.name"), format!("{place}.name is missing: name the output")));
    }
    for refused in ["classification", "shared_memory_region"] {
        if parameters.get(refused).is_some_and(|value| *value != 0) {
            let place = format!("{place}.parameters.{refused}");
            return Err(Wrong::new(place.as_str(), format!("{place} is not served: leave it out")));
        }
    }
    Ok(name.to_owned())
}
