//! A body on its way, of JSON alone or with raw tensors behind it.

use bytes::Bytes;

/// A body on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sheet {
    /// All of it.
    pub body: Bytes,
    /// How many bytes of it are JSON, where raw tensors follow (`Inference-Header-Content-Length`).
    pub header_length: Option<usize>,
}

impl Sheet {
    /// JSON alone.
    #[must_use]
    pub(crate) fn json(body: Vec<u8>) -> Self {
        Self { body: body.into(), header_length: None }
    }
}
