//! The Open Inference Protocol's REST bodies (KServe V2), with the extension for raw tensors behind the JSON.

use crate::data::{read, write_flat};
use crate::loose::members;
use crate::quick::{self, Read};
use crate::sheet::Sheet;
use crate::wrong::{Wrong, shown};
use bytes::{Buf as _, Bytes};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tidegate_core::tensor::{ModelMeta, Parameters};
use tidegate_core::{PredictAnswer, PredictRequest, Tensor, TensorMeta};

/// The parameter that says how many raw bytes a tensor has.
const SIZE: &str = "binary_data_size";
/// From so many bytes on, raw data stay where they are.
const WORTH_PARTS: usize = 32 << 10;
/// The most tensors of one body: names are compared one by one.
const MOST_TENSORS: usize = 1024;

/// How the caller wants his answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wish {
    /// Whether outputs are raw where nothing else is said of them.
    all_binary: bool,
    /// The outputs of which something is said.
    binary: Vec<(String, bool)>,
    /// Whether each server of the protocol reads what was asked as it was read here, and answers in a form that a caller may
    /// be given; nothing else is in it.
    pub(crate) is_plain: bool,
}

impl Wish {
    fn is_binary(&self, output: &str) -> bool {
        self.binary.iter().find(|(name, _)| name == output).map_or(self.all_binary, |(_, is_binary)| *is_binary)
    }
}

/// Splits a body into its JSON and the raw tensors behind it.
///
/// # Errors
/// The header says what cannot be.
pub(crate) fn split(body: &Bytes, header_length: Option<&[u8]>) -> Result<(Bytes, Bytes), Wrong> {
    let Some(given) = header_length else { return Ok((body.clone(), Bytes::new())) };
    let wrong = |says: String| Wrong::new("Inference-Header-Content-Length", says);
    let is_number = !given.is_empty() && given.len() <= 12 && given.iter().all(u8::is_ascii_digit);
    let length = is_number.then(|| std::str::from_utf8(given).ok()?.parse::<usize>().ok()).flatten();
    let length = length.ok_or_else(|| wrong("Inference-Header-Content-Length must be a number of bytes".to_owned()))?;
    if length > body.len() {
        let says = format!("Inference-Header-Content-Length is {length}, but the body has {} bytes", body.len());
        return Err(wrong(says));
    }
    Ok((body.slice(..length), body.slice(length..)))
}

/// Reads what is asked.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn read_request(body: &Bytes, header_length: Option<&[u8]>) -> Result<(PredictRequest, Wish), Wrong> {
    if let Some(read) = header_length.is_none().then(|| quick::read(body, "inputs")).flatten() {
        let Read { id, tensors: inputs, parameters, .. } = read;
        let wish = Wish { is_plain: true, ..Wish::default() };
        return Ok((PredictRequest { id, inputs, parameters, ..PredictRequest::default() }, wish));
    }
    read_request_with_care(body, header_length)
}

fn read_request_with_care(body: &Bytes, header_length: Option<&[u8]>) -> Result<(PredictRequest, Wish), Wrong> {
    let (json, mut raw) = split(body, header_length)?;
    let top = Object::top(&json)?;
    let tensors = top.tensors("inputs", &mut raw)?;
    if tensors.is_empty() {
        return Err(Wrong::new("inputs", "inputs is empty: name at least one tensor"));
    }
    if !raw.is_empty() {
        let says = format!("{} bytes of raw data are left over behind those that binary_data_size names", raw.len());
        return Err(Wrong::new("inputs", says));
    }
    let mut parameters = top.parameters("parameters")?;
    let mut wish = Wish {
        all_binary: flag(&mut parameters, "binary_data_output", "parameters")?.unwrap_or(false),
        ..Wish::default()
    };
    let outputs = top.wanted(&mut wish)?;
    // What of a tensor is written as JSON, some servers read otherwise or not at all; and of who is not asked for raw outputs
    // some have none to give.
    let all_raw = wish.all_binary || (!outputs.is_empty() && outputs.iter().all(|name| wish.is_binary(name)));
    wish.is_plain = header_length.is_some() && all_raw && top.is_plain();
    let id = top.text("id")?;
    Ok((PredictRequest { id, inputs: tensors, outputs, parameters, ..PredictRequest::default() }, wish))
}

/// Reads what was answered.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn read_answer(body: &Bytes, header_length: Option<&[u8]>) -> Result<PredictAnswer, Wrong> {
    if let Some(read) = header_length.is_none().then(|| quick::read(body, "outputs")).flatten() {
        let Read { model_version, tensors: outputs, parameters, .. } = read;
        return Ok(PredictAnswer { model_version, outputs, parameters, ..PredictAnswer::default() });
    }
    read_answer_with_care(body, header_length)
}

fn read_answer_with_care(body: &Bytes, header_length: Option<&[u8]>) -> Result<PredictAnswer, Wrong> {
    let (json, mut raw) = split(body, header_length)?;
    let top = Object::top(&json)?;
    let outputs = top.tensors("outputs", &mut raw)?;
    let (model_version, parameters) = (top.text("model_version")?, top.parameters("parameters")?);
    Ok(PredictAnswer { model_version, outputs, parameters, ..PredictAnswer::default() })
}

/// Writes what is asked; `is_binary` with raw tensors, and the wish for them.
///
/// # Errors
/// A tensor is none that JSON can have.
pub(crate) fn write_request(request: &PredictRequest, is_binary: bool) -> Result<Sheet, Wrong> {
    let mut out = Vec::with_capacity(256);
    out.push(b'{');
    if let Some(id) = &request.id {
        member(&mut out, "id", id);
    }
    let mut parameters = request.parameters.clone();
    if is_binary {
        parameters.insert("binary_data_output".to_owned(), json!(true));
    }
    if !parameters.is_empty() {
        member(&mut out, "parameters", &parameters);
    }
    if !request.outputs.is_empty() {
        let names: Value = request.outputs.iter().map(|name| json!({"name": name})).collect();
        member(&mut out, "outputs", &names);
    }
    finish(out, "inputs", &request.inputs, &|_| is_binary)
}

/// Writes what was answered, under the name of the route.
///
/// # Errors
/// A tensor is none that JSON can have.
pub(crate) fn write_answer(model: &str, id: Option<&str>, answer: &PredictAnswer, wish: &Wish) -> Result<Sheet, Wrong> {
    let mut out = Vec::with_capacity(256);
    out.push(b'{');
    member(&mut out, "model_name", model);
    if let Some(version) = &answer.model_version {
        member(&mut out, "model_version", version);
    }
    if let Some(id) = id {
        member(&mut out, "id", id);
    }
    if !answer.parameters.is_empty() {
        member(&mut out, "parameters", &answer.parameters);
    }
    finish(out, "outputs", &answer.outputs, &|name| wish.is_binary(name))
}

fn member<T: Serialize + ?Sized>(out: &mut Vec<u8>, name: &str, value: &T) {
    if out.len() > 1 {
        out.push(b',');
    }
    put(out, name);
    out.push(b':');
    put(out, value);
}

/// Writes into memory, which does not fail.
fn put<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    drop(serde_json::to_writer(out, value));
}

/// The tensors behind all else, then their raw data.
fn finish(mut out: Vec<u8>, list: &str, tensors: &[Tensor], is_binary: &dyn Fn(&str) -> bool) -> Result<Sheet, Wrong> {
    if out.len() > 1 {
        out.push(b',');
    }
    put(&mut out, list);
    out.extend_from_slice(b":[");
    let mut raw: Vec<&Bytes> = Vec::new();
    for (nth, tensor) in tensors.iter().enumerate() {
        out.extend_from_slice(if nth > 0 { b",{\"name\":" } else { b"{\"name\":" });
        put(&mut out, tensor.name());
        out.extend_from_slice(b",\"datatype\":");
        put(&mut out, tensor.datatype().name());
        out.extend_from_slice(b",\"shape\":");
        put(&mut out, tensor.shape());
        let is_raw = is_binary(tensor.name());
        if is_raw || !tensor.parameters().is_empty() {
            let mut parameters = tensor.parameters().clone();
            if is_raw {
                parameters.insert(SIZE.to_owned(), json!(tensor.data().len()));
            }
            out.extend_from_slice(b",\"parameters\":");
            put(&mut out, &parameters);
        }
        if is_raw {
            raw.push(tensor.data());
        } else {
            out.extend_from_slice(b",\"data\":");
            write_flat(tensor, &mut out)?;
        }
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
    if raw.is_empty() {
        return Ok(Sheet::json(out));
    }
    let header_length = Some(out.len());
    let length = raw.iter().map(|data| data.len()).sum();
    if length >= WORTH_PARTS {
        return Ok(Sheet { body: out.into(), header_length, behind: raw.into_iter().cloned().collect() });
    }
    out.reserve_exact(length);
    raw.into_iter().for_each(|data| out.extend_from_slice(data));
    Ok(Sheet { body: out.into(), header_length, behind: Vec::new() })
}

/// An object of a body, with the field that it stands in.
struct Object<'a> {
    members: Vec<(String, &'a RawValue)>,
    field: String,
}

impl<'a> Object<'a> {
    fn top(json: &'a [u8]) -> Result<Self, Wrong> {
        let text = std::str::from_utf8(json).map_err(|_| {
            Wrong::new(
                "body",
                "the body is no UTF-8: its JSON ends before its raw data, as Inference-Header-Content-Length says",
            )
        })?;
        let raw: &RawValue =
            serde_json::from_str(text).map_err(|fault| Wrong::new("body", format!("the body is no JSON: {fault}")))?;
        Ok(Self { members: members(raw, "body")?, field: String::new() })
    }

    fn of(json: &'a RawValue, field: String) -> Result<Self, Wrong> {
        Ok(Self { members: members(json, &field)?, field })
    }

    fn raw(&self, name: &str) -> Option<&'a RawValue> {
        let found = self.members.iter().find(|(known, _)| known == name).map(|(_, json)| *json);
        found.filter(|json| json.get() != "null")
    }

    /// Whether there is nothing in a body with raw tensors but what is read here, in the form that the protocol knows: nulls, and
    /// members of any depth, are the reader's own to bear.
    fn is_plain(&self) -> bool {
        let objects = |name: &str| {
            let list: Option<Vec<&RawValue>> = self.raw(name).and_then(|json| serde_json::from_str(json.get()).ok());
            let all = list.unwrap_or_default().into_iter().map(|json| Object::of(json, String::new()).ok());
            all.collect::<Option<Vec<Self>>>().unwrap_or_default()
        };
        let has_raw = |tensor: &Self| tensor.parameters("parameters").is_ok_and(|said| said.contains_key(SIZE));
        self.has_only(&["id", "parameters", "inputs", "outputs"])
            && objects("inputs")
                .iter()
                .all(|tensor| tensor.has_only(&["name", "shape", "datatype", "parameters"]) && has_raw(tensor))
            && objects("outputs").iter().all(|output| output.has_only(&["name", "parameters"]))
    }

    fn has_only(&self, known: &[&str]) -> bool {
        self.members.iter().all(|(name, json)| known.contains(&name.as_str()) && json.get() != "null")
    }

    fn place(&self, name: &str) -> String {
        if self.field.is_empty() { name.to_owned() } else { format!("{}.{name}", self.field) }
    }

    fn get<T: DeserializeOwned>(&self, name: &str, what: &str) -> Result<Option<T>, Wrong> {
        let Some(json) = self.raw(name) else { return Ok(None) };
        let place = self.place(name);
        serde_json::from_str(json.get())
            .map(Some)
            .map_err(|_| Wrong::new(place.as_str(), format!("{place} must be {what}")))
    }

    fn must<T: DeserializeOwned>(&self, name: &str, what: &str) -> Result<T, Wrong> {
        let place = self.place(name);
        self.get(name, what)?
            .ok_or_else(|| Wrong::new(place.as_str(), format!("{place} is missing: it must be {what}")))
    }

    fn text(&self, name: &str) -> Result<Option<String>, Wrong> {
        self.get(name, "a text")
    }

    /// What is said beside: values, no lists and no objects.
    fn parameters(&self, name: &str) -> Result<Parameters, Wrong> {
        let place = self.place(name);
        let found: Map<String, Value> = self.get(name, "an object")?.unwrap_or_default();
        if let Some((inner, _)) = found.iter().find(|(_, value)| value.is_array() || value.is_object()) {
            let says = format!("{place}.{} must be a text, a number or a truth", shown(inner));
            return Err(Wrong::new(place, says));
        }
        Ok(found)
    }

    fn list(&self, name: &str) -> Result<Option<Vec<&'a RawValue>>, Wrong> {
        let Some(json) = self.raw(name) else { return Ok(None) };
        let place = self.place(name);
        let list: Vec<&RawValue> = serde_json::from_str(json.get())
            .map_err(|_| Wrong::new(place.as_str(), format!("{place} must be a list of objects")))?;
        if list.len() > MOST_TENSORS {
            return Err(Wrong::new(place.as_str(), format!("{place} has more than {MOST_TENSORS} elements")));
        }
        Ok(Some(list))
    }

    /// The tensors of a list, whose raw data are taken from the beginning of `raw`.
    fn tensors(&self, name: &str, raw: &mut Bytes) -> Result<Vec<Tensor>, Wrong> {
        let place = self.place(name);
        let list = self
            .list(name)?
            .ok_or_else(|| Wrong::new(place.as_str(), format!("{place} is missing: it must be a list of tensors")))?;
        let mut tensors: Vec<Tensor> = Vec::with_capacity(list.len());
        for (nth, json) in list.into_iter().enumerate() {
            let tensor = Object::of(json, format!("{place}[{nth}]"))?.tensor(raw)?;
            if tensors.iter().any(|known| known.name() == tensor.name()) {
                let says = format!("{place}[{nth}].name: `{}` stands there twice", shown(tensor.name()));
                return Err(Wrong::new(format!("{place}[{nth}].name"), says));
            }
            tensors.push(tensor);
        }
        Ok(tensors)
    }

    fn tensor(&self, raw: &mut Bytes) -> Result<Tensor, Wrong> {
        let name: String = self.must("name", "the tensor's name, a text")?;
        let datatype: String = self.must("datatype", "a datatype, such as \"FP32\"")?;
        let datatype = datatype.parse().map_err(|why| {
            let place = self.place("datatype");
            Wrong::new(place.as_str(), format!("{place}: `{}` {why}", shown(&datatype)))
        })?;
        let shape: Vec<u64> = self.must("shape", "a list of whole numbers of 0 and above")?;
        let mut parameters = self.parameters("parameters")?;
        let size = parameters.remove(SIZE);
        if parameters.keys().any(|name| name.starts_with("shared_memory_")) {
            let place = self.place("parameters");
            return Err(Wrong::new(place.as_str(), format!("{place}: shared memory is not served: send the data")));
        }
        let tensor = match (size, self.raw("data")) {
            (Some(_), Some(_)) => {
                let place = self.place("data");
                let says = format!("{place} and parameters.binary_data_size exclude each other");
                return Err(Wrong::new(place, says));
            }
            (Some(size), None) => self.binary(name, datatype, shape, &size, raw)?,
            (None, Some(json)) => read(&name, datatype, shape, json.get(), &self.field)?,
            (None, None) => {
                let place = self.place("data");
                let says =
                    format!("{place} is missing: give the elements as a list, or as raw data with binary_data_size");
                return Err(Wrong::new(place, says));
            }
        };
        Ok(tensor.with_parameters(parameters))
    }

    fn binary(
        &self,
        name: String,
        datatype: tidegate_core::Datatype,
        shape: Vec<u64>,
        size: &Value,
        raw: &mut Bytes,
    ) -> Result<Tensor, Wrong> {
        let place = self.place("parameters.binary_data_size");
        let wanted = size.as_u64().and_then(|size| usize::try_from(size).ok());
        let wanted = wanted
            .ok_or_else(|| Wrong::new(place.as_str(), format!("{place} must be a whole number of 0 and above")))?;
        if wanted > raw.len() {
            let says = format!("{place} is {wanted}, but {} bytes of raw data are left behind the JSON", raw.len());
            return Err(Wrong::new(place, says));
        }
        let data = raw.slice(..wanted);
        raw.advance(wanted);
        Tensor::new(name, datatype, shape, data).map_err(|fault| Wrong::tensor(place, &fault))
    }

    /// The names of the outputs that are wanted.
    fn wanted(&self, wish: &mut Wish) -> Result<Vec<String>, Wrong> {
        let mut names: Vec<String> = Vec::new();
        for (nth, json) in self.list("outputs")?.unwrap_or_default().into_iter().enumerate() {
            let output = Object::of(json, format!("outputs[{nth}]"))?;
            let name: String = output.must("name", "the output's name, a text")?;
            let mut parameters = output.parameters("parameters")?;
            if parameters.contains_key("classification") {
                let place = output.place("parameters.classification");
                return Err(Wrong::new(place.as_str(), format!("{place} is not served: leave it out")));
            }
            if parameters.keys().any(|name| name.starts_with("shared_memory_")) {
                let place = output.place("parameters");
                return Err(Wrong::new(place.as_str(), format!("{place}: shared memory is not served: leave it out")));
            }
            if let Some(is_binary) = flag(&mut parameters, "binary_data", &output.field)? {
                wish.binary.push((name.clone(), is_binary));
            }
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Ok(names)
    }
}

/// Takes a truth out of parameters.
pub(crate) fn flag(parameters: &mut Parameters, name: &str, field: &str) -> Result<Option<bool>, Wrong> {
    match parameters.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(truth)) => Ok(Some(truth)),
        Some(_) => Err(Wrong::new(format!("{field}.{name}"), format!("{field}.{name} must be true or false"))),
    }
}

/// Writes what is said of a model.
pub(crate) fn write_metadata(name: &str, meta: &ModelMeta) -> Value {
    let tensors = |all: &[TensorMeta]| -> Vec<Value> {
        let shape = |tensor: &TensorMeta| -> Vec<Value> {
            tensor.shape.iter().map(|size| size.map_or_else(|| json!(-1), |size| json!(size))).collect()
        };
        all.iter().map(|one| json!({"name": one.name, "datatype": one.datatype.name(), "shape": shape(one)})).collect()
    };
    json!({
        "name": name, "versions": meta.versions, "platform": meta.platform,
        "inputs": tensors(&meta.inputs), "outputs": tensors(&meta.outputs),
    })
}

/// Reads what is said of a model.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn read_metadata(body: &Bytes) -> Result<ModelMeta, Wrong> {
    let top = Object::top(body)?;
    let tensors = |name: &str| -> Result<Vec<TensorMeta>, Wrong> {
        let list = top.list(name)?.unwrap_or_default();
        list.into_iter()
            .enumerate()
            .map(|(nth, json)| {
                let one = Object::of(json, format!("{name}[{nth}]"))?;
                let datatype: String = one.must("datatype", "a datatype")?;
                let shape: Vec<i64> = one.get("shape", "a list of whole numbers")?.unwrap_or_default();
                Ok(TensorMeta {
                    name: one.must("name", "a text")?,
                    datatype: datatype.parse().map_err(|_| Wrong::new(one.place("datatype"), "it is none"))?,
                    shape: shape.into_iter().map(|size| u64::try_from(size).ok()).collect(),
                })
            })
            .collect()
    };
    Ok(ModelMeta {
        platform: top.text("platform")?.unwrap_or_default(),
        versions: top.get("versions", "a list of texts")?.unwrap_or_default(),
        inputs: tensors("inputs")?,
        outputs: tensors("outputs")?,
    })
}

#[cfg(test)]
mod tests;
