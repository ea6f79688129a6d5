//! What a backend that runs here says of a call beside its answer, which has no place for it.

use crate::said::Sureness;
use std::sync::{Arc, OnceLock};

/// What is said of one call. Backends that are elsewhere say nothing.
#[derive(Debug, Default)]
pub struct Aside {
    /// Whether anybody wants to know how sure the model was: that costs time for each token.
    pub wants_sureness: bool,
    /// The generation of the adapter that the answer is made with; known when it begins.
    pub adapter: OnceLock<Arc<str>>,
    /// How sure the model was of each of its choices; known when the answer is whole.
    pub sureness: OnceLock<Vec<Sureness>>,
}
