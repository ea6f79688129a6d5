//! Places in the queue of a model: bounded in all, and yet nobody is kept out by others who ask much.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The places that are taken.
pub(crate) struct Places {
    limit: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    /// Of each caller that has any.
    by_caller: HashMap<u64, usize>,
}

/// A place in the queue, given back when the call's turn comes or it is dropped.
pub(crate) struct Permit {
    places: Arc<Places>,
    caller: u64,
}

impl Places {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, taken: Mutex::default() })
    }

    /// How many are taken.
    pub(crate) fn waiting(&self) -> usize {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).all
    }

    /// A place, if fewer than the limit are taken; a caller that has none gets one even then, until twice the limit is
    /// reached. Else how many are taken.
    pub(crate) fn take(self: &Arc<Self>, caller: u64) -> Result<Permit, usize> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = !taken.by_caller.contains_key(&caller);
        if taken.all >= self.limit && !(is_first && taken.all < 2 * self.limit) {
            return Err(taken.all);
        }
        taken.all += 1;
        *taken.by_caller.entry(caller).or_default() += 1;
        drop(taken);
        Ok(Permit { places: Arc::clone(self), caller })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all = taken.all.saturating_sub(1);
        if let Some(own) = taken.by_caller.get_mut(&self.caller) {
            *own -= 1;
            if *own == 0 {
                taken.by_caller.remove(&self.caller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_still_takes_one_call_of_each_caller_that_has_none() {
        let places = Places::new(2);
        let greedy: Vec<_> = (0..2).map(|_| places.take(1).unwrap_or_else(|_| panic!("a place"))).collect();
        assert_eq!(places.take(1).err(), Some(2));
        let others: Vec<_> = [2, 3].map(|caller| places.take(caller).unwrap_or_else(|_| panic!("a place"))).into();
        assert_eq!((places.take(2).err(), places.take(4).err()), (Some(4), Some(4)), "it is bounded all the same");
        drop((greedy, others));
        assert_eq!(places.waiting(), 0);
        assert!(places.taken.lock().unwrap().by_caller.is_empty(), "callers that left are forgotten");
    }
}
