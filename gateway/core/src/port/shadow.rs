//! The port to what answers copies of calls. A copy is made after its caller has his answer, so a shadow that is slow,
//! full or dead costs no caller anything.

use super::backend::Call;
use crate::{InferenceId, VariantName};
use bytes::Bytes;
use std::any::Any;

/// Takes copies of the calls of one route.
pub trait Shadow: Send + Sync + std::fmt::Debug {
    /// A place for one more copy, if there is any now. Where there is none, nothing of the call is kept.
    fn place(&self) -> Option<Place>;

    /// Takes a copy. Never blocks.
    fn take(&self, copy: Copied, place: Place);
}

/// A place for a copy: free again when it is dropped.
pub struct Place(Box<dyn Any + Send + Sync>);

impl Place {
    /// A place that is held by `held`.
    #[must_use]
    pub fn new(held: impl Any + Send + Sync) -> Self {
        Self(Box::new(held))
    }
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place").field("held", &(*self.0).type_id()).finish()
    }
}

/// A copy of a call that was answered.
#[derive(Debug)]
pub struct Copied {
    /// The call that it is a copy of.
    pub of: InferenceId,
    /// What the shadow is asked.
    pub call: Call,
    /// Whether the caller asked for a stream.
    pub stream: bool,
    /// What he got.
    pub primary: Primary,
}

/// What a caller got.
#[derive(Debug)]
pub struct Primary {
    /// From which variant.
    pub variant: Option<VariantName>,
    /// The body, in the parts in which it went out.
    pub answer: Vec<Bytes>,
    /// Microseconds to its last byte.
    pub us: u64,
    /// USD, where it is known.
    pub usd: Option<f64>,
}
