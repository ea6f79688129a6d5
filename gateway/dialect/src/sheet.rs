//! A body on its way, of JSON alone or with raw tensors behind it.

use bytes::Bytes;

/// A body on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sheet {
    /// All of it, but for what stands behind.
    pub body: Bytes,
    /// How many bytes of it are JSON, where raw tensors follow (`Inference-Header-Content-Length`).
    pub header_length: Option<usize>,
    /// Large raw tensors behind `body`, which are not copied into it.
    pub behind: Vec<Bytes>,
}

impl Sheet {
    /// JSON alone.
    #[must_use]
    pub(crate) fn json(body: Vec<u8>) -> Self {
        Self::of(body.into())
    }

    /// A body without raw tensors.
    #[must_use]
    pub const fn of(body: Bytes) -> Self {
        Self { body, header_length: None, behind: Vec::new() }
    }

    /// How many bytes it is.
    #[must_use]
    pub fn length(&self) -> usize {
        self.body.len() + self.behind.iter().map(Bytes::len).sum::<usize>()
    }

    /// All of it as one.
    #[must_use]
    pub fn joined(self) -> Bytes {
        if self.behind.is_empty() {
            return self.body;
        }
        let mut all = Vec::with_capacity(self.length());
        [self.body].iter().chain(&self.behind).for_each(|part| all.extend_from_slice(part));
        all.into()
    }
}
