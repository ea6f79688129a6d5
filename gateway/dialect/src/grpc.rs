//! The Open Inference Protocol's messages over gRPC (`inference.GRPCInferenceService`), by the field numbers of its published
//! definition. Owns their reading and writing; paths, trailers and connections are elsewhere. They are read by hand and not by
//! generated code, so that how many parts there are is bounded before any is made, raw tensors stay where they are in the
//! body, and what is wrong is named.

mod about;
mod answer;
mod call;
mod contents;
mod frame;
mod parameter;
mod status;
mod tensor;

pub use about::{
    Named, read_metadata, read_named, read_repository_model, write_index, write_loaded, write_metadata, write_named,
    write_server, write_truth,
};
pub use answer::{read_answer, write_failed, write_request};
pub use call::{Message, id_of};
pub use frame::{HEAD, Head, framed, only};
pub use status::{Code, Status};

pub(crate) use answer::write_answer;
pub(crate) use call::Wish;

use crate::proto::{Malformed, Value};
use crate::wrong::Wrong;

/// The most parts of one kind in a message: names are compared one by one.
const MOST: usize = 1024;

/// What is wrong with the bytes of a message.
fn malformed(place: &str) -> impl Fn(Malformed) -> Wrong {
    move |why| Wrong::new(place, format!("{place} is no protobuf message: {why}"))
}

/// The text of a field.
fn text<'a>(value: Value<'a>, place: impl Fn() -> String) -> Result<&'a str, Wrong> {
    let found = bytes(value, &place)?;
    std::str::from_utf8(found).map_err(|_| Wrong::new(place(), format!("{} must be a text in UTF-8", place())))
}

/// The bytes of a field.
fn bytes<'a>(value: Value<'a>, place: impl Fn() -> String) -> Result<&'a [u8], Wrong> {
    match value {
        Value::Bytes(bytes) => Ok(bytes),
        _ => Err(unkind(&place())),
    }
}

/// A field of another kind than its message says.
fn unkind(place: &str) -> Wrong {
    Wrong::new(place, format!("{place} is of another kind than the protocol's messages have it"))
}

/// Keeps a part, unless there are too many of its kind.
fn keep<T>(all: &mut Vec<T>, part: T, place: &str) -> Result<(), Wrong> {
    if all.len() >= MOST {
        return Err(Wrong::new(place, format!("{place} has more than {MOST} elements")));
    }
    all.push(part);
    Ok(())
}
