//! How messages stand in a body of gRPC: a byte that says whether it is compressed, four of its length, and it.

use crate::wrong::Wrong;
use bytes::{Buf as _, Bytes};

/// How many bytes stand before a message.
pub const HEAD: usize = 5;

/// What stands before a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// How many bytes it has.
    pub length: usize,
}

impl Head {
    /// The head that a body begins with; none where it is not there yet.
    ///
    /// # Errors
    /// The message is compressed, or this is no head.
    pub fn of(body: &[u8]) -> Result<Option<Self>, Wrong> {
        match body.first() {
            None | Some(0) => {}
            Some(1) => {
                let says = "the message is compressed, and this server takes none: send it with the encoding identity";
                return Err(Wrong::new("message", says));
            }
            Some(flag) => {
                let says =
                    format!("the message begins with the flag {flag}, which must be 0: it is no message of gRPC");
                return Err(Wrong::new("message", says));
            }
        }
        let Some((head, _)) = body.split_first_chunk::<HEAD>() else { return Ok(None) };
        let [_, a, b, c, d] = *head;
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        Ok(Some(Self { length }))
    }
}

/// The message of a body that has one and no more.
///
/// # Errors
/// It has none, more, or less of it than it says.
pub fn only(body: &Bytes) -> Result<Bytes, Wrong> {
    let wrong = |says: String| Wrong::new("message", says);
    let head = Head::of(body)?.ok_or_else(|| {
        wrong(format!("the body has {} bytes, and a message of gRPC begins with {HEAD} of its own", body.len()))
    })?;
    let mut message = body.clone();
    message.advance(HEAD);
    let found = message.len();
    match found.checked_sub(head.length) {
        Some(0) => Ok(message),
        Some(more) => Err(wrong(format!("{more} bytes are left over behind the message, and this call takes one"))),
        None => Err(wrong(format!("the message says that it has {} bytes, but {found} came", head.length))),
    }
}

/// A message as it stands in a body.
#[must_use]
pub fn framed(message: &[u8]) -> Bytes {
    let mut out = begin(message.len());
    out.extend_from_slice(message);
    end(out)
}

/// A body that begins with room for the head of its message.
pub(crate) fn begin(capacity: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD + capacity);
    out.extend_from_slice(&[0; HEAD]);
    out
}

/// The body, its head written.
pub(crate) fn end(mut out: Vec<u8>) -> Bytes {
    // Nothing that is made here is longer: tensors are bounded by the bodies that they came with.
    let length = u32::try_from(out.len() - HEAD).unwrap_or(u32::MAX);
    out[1..HEAD].copy_from_slice(&length.to_be_bytes());
    out.into()
}
