//! What a backend that runs here says of a call beside its answer, which has no place for it.

use crate::said::Sureness;
use crate::{InferenceId, Visit};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// What is said of one call. Backends that are elsewhere say nothing.
#[derive(Debug, Default)]
pub struct Aside {
    /// Whether anybody wants to know how sure the model was: that costs time for each token.
    pub wants_sureness: bool,
    /// The call, for what draws by it.
    pub call: Option<InferenceId>,
    /// The generation of the adapter that the answer is made with; known when it begins.
    pub adapter: OnceLock<Arc<str>>,
    /// How sure the model was of each of its choices; known when the answer is whole.
    pub sureness: OnceLock<Vec<Sureness>>,
    /// What a graph came by so far.
    pub visits: Visits,
}

/// What a graph came by.
#[derive(Debug, Default)]
pub struct Visits(Mutex<Vec<Visit>>);

impl Visits {
    /// It comes by something; the index of that.
    pub fn begin(&self, visit: Visit) -> u32 {
        let mut visits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        visits.push(visit);
        u32::try_from(visits.len() - 1).unwrap_or(u32::MAX)
    }

    /// Writes down more of a visit.
    pub fn write(&self, index: u32, write: impl FnOnce(&mut Visit)) {
        let mut visits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(visit) = usize::try_from(index).ok().and_then(|index| visits.get_mut(index)) {
            write(visit);
        }
    }

    /// All of it; nothing is left.
    #[must_use]
    pub fn take(&self) -> Vec<Visit> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
