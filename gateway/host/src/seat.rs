//! A place for an instance: counted when it is taken and when it is left. Owns the counting.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A place that is taken until this is dropped.
#[derive(Debug)]
pub(crate) struct Seat(Arc<AtomicU32>);

impl Seat {
    /// Takes one of so many; `None` where all are taken.
    pub(crate) fn take(taken: &Arc<AtomicU32>, most: u32) -> Option<Self> {
        let one_more = |taken: u32| (taken < most).then(|| taken + 1);
        taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        Some(Self(Arc::clone(taken)))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_have_an_end_and_come_back() {
        let taken = Arc::default();
        let seats = [Seat::take(&taken, 2), Seat::take(&taken, 2), Seat::take(&taken, 2)];
        assert_eq!(seats.iter().flatten().count(), 2);
        drop(seats);
        assert_eq!(taken.load(Ordering::Relaxed), 0);
    }
}
