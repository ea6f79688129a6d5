//! What is asked and said about servers and models: messages of a few texts and truths.

use super::{bytes, keep, malformed, text};
use crate::proto::{Fields, put_bytes, put_number, put_text, put_varint};
use crate::wrong::{Wrong, shown};
use bytes::Bytes;
use tidegate_core::TensorMeta;
use tidegate_core::tensor::ModelMeta;

/// A model that is asked about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Named {
    /// Its name.
    pub name: String,
    /// Its version, where one is named.
    pub version: Option<String>,
}

/// Reads which model is asked about (`ModelReadyRequest`, `ModelMetadataRequest`).
///
/// # Errors
/// What is wrong with it.
pub fn read_named(message: &[u8]) -> Result<Named, Wrong> {
    let [name, version] = texts(message, ["name", "version"])?;
    if name.is_empty() {
        return Err(Wrong::new("name", "name is missing: name the model"));
    }
    Ok(Named { name: name.to_owned(), version: (!version.is_empty()).then(|| version.to_owned()) })
}

/// Writes which model is asked about.
#[must_use]
pub fn write_named(name: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len() + 2);
    put_text(&mut out, 1, name);
    out
}

/// Reads which model of the repository is meant (`RepositoryModelLoadRequest`): its name is the second text, and in KServe's
/// form of the message the first.
///
/// # Errors
/// What is wrong with it.
pub fn read_repository_model(message: &[u8]) -> Result<String, Wrong> {
    let [first, second] = texts(message, ["repository_name", "model_name"])?;
    let name = if second.is_empty() { first } else { second };
    if name.is_empty() {
        return Err(Wrong::new("model_name", "model_name is missing: name the model"));
    }
    Ok(name.to_owned())
}

/// The texts of the first two fields.
fn texts<'a>(message: &'a [u8], names: [&str; 2]) -> Result<[&'a str; 2], Wrong> {
    let (mut found, mut fields) = ([""; 2], Fields::of(message));
    while let Some((number, value)) = fields.next().map_err(malformed("message"))? {
        match number {
            1 => found[0] = text(value, || names[0].to_owned())?,
            2 => found[1] = text(value, || names[1].to_owned())?,
            _ => {}
        }
    }
    Ok(found)
}

/// Writes a truth (`ServerLiveResponse`, `ServerReadyResponse`, `ModelReadyResponse`).
#[must_use]
pub fn write_truth(truth: bool) -> Vec<u8> {
    let mut out = Vec::new();
    if truth {
        put_number(&mut out, 1, 1);
    }
    out
}

/// Writes what the server is (`ServerMetadataResponse`).
#[must_use]
pub fn write_server(name: &str, version: &str, extensions: &[&str]) -> Vec<u8> {
    let mut out = Vec::new();
    put_text(&mut out, 1, name);
    put_text(&mut out, 2, version);
    extensions.iter().for_each(|extension| put_text(&mut out, 3, extension));
    out
}

/// Writes what is said of a model (`ModelMetadataResponse`).
#[must_use]
pub fn write_metadata(name: &str, meta: &ModelMeta) -> Vec<u8> {
    let mut out = Vec::new();
    put_text(&mut out, 1, name);
    meta.versions.iter().for_each(|version| put_text(&mut out, 2, version));
    put_text(&mut out, 3, &meta.platform);
    for (field, tensors) in [(4, &meta.inputs), (5, &meta.outputs)] {
        for tensor in tensors {
            let (mut message, mut packed) = (Vec::new(), Vec::new());
            put_text(&mut message, 1, &tensor.name);
            put_text(&mut message, 2, tensor.datatype.name());
            // A dimension of any size is -1.
            tensor.shape.iter().for_each(|size| put_varint(&mut packed, size.unwrap_or(u64::MAX)));
            if !packed.is_empty() {
                put_bytes(&mut message, 3, &packed);
            }
            put_bytes(&mut out, field, &message);
        }
    }
    out
}

/// Writes which models there are: name, version and whether it is ready (`RepositoryIndexResponse`).
#[must_use]
pub fn write_index<'a>(models: impl Iterator<Item = (&'a str, String, bool)>) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, version, is_ready) in models {
        let mut message = Vec::new();
        put_text(&mut message, 1, name);
        put_text(&mut message, 2, &version);
        put_text(&mut message, 3, if is_ready { "READY" } else { "UNAVAILABLE" });
        put_bytes(&mut out, 1, &message);
    }
    out
}

/// Writes that a model is loaded: nothing in Triton's form, whose clients pass over what KServe's read.
#[must_use]
pub fn write_loaded(name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    put_text(&mut out, 1, name);
    put_number(&mut out, 2, 1);
    out
}

/// Reads what another says of a model, a message.
///
/// # Errors
/// What is wrong with it.
pub fn read_metadata(message: &Bytes) -> Result<ModelMeta, Wrong> {
    let (mut meta, mut fields) = (ModelMeta::default(), Fields::of(message));
    while let Some((number, value)) = fields.next().map_err(malformed("message"))? {
        match number {
            2 => keep(&mut meta.versions, text(value, || "versions".to_owned())?.to_owned(), "versions")?,
            3 => text(value, || "platform".to_owned())?.clone_into(&mut meta.platform),
            4 => keep(&mut meta.inputs, tensor(bytes(value, || "inputs".to_owned())?, "inputs")?, "inputs")?,
            5 => keep(&mut meta.outputs, tensor(bytes(value, || "outputs".to_owned())?, "outputs")?, "outputs")?,
            _ => {}
        }
    }
    Ok(meta)
}

fn tensor(message: &[u8], place: &str) -> Result<TensorMeta, Wrong> {
    use crate::proto::{Value, varint};
    let (mut name, mut datatype, mut shape) = ("", "", Vec::new());
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.next().map_err(malformed(place))? {
        match (number, value) {
            (1, value) => name = text(value, || format!("{place}.name"))?,
            (2, value) => datatype = text(value, || format!("{place}.datatype"))?,
            (3, Value::Varint(size)) => keep(&mut shape, known(size), place)?,
            (3, Value::Bytes(mut packed)) => {
                while !packed.is_empty() {
                    keep(&mut shape, known(varint(&mut packed).map_err(malformed(place))?), place)?;
                }
            }
            _ => {}
        }
    }
    let datatype = datatype.parse().map_err(|why| {
        Wrong::new(format!("{place}.datatype"), format!("{place}.datatype: `{}` {why}", shown(datatype)))
    })?;
    Ok(TensorMeta { name: name.to_owned(), datatype, shape })
}

/// A dimension, unless it is of any size.
fn known(size: u64) -> Option<u64> {
    i64::try_from(size).ok().map(i64::cast_unsigned)
}
