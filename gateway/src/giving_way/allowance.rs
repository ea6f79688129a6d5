//! What something that takes long may have of the processor before it stands behind everything: little, but what a slow
//! filter that is asked now and then needs, or one who judges windows. Owns the account, which is pure: instants are given.
//! What a place means is `giving_way`'s.

use super::Place;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One part in so many of the time of a core is given.
const PART: u32 = 100;
/// So much is saved at most: a burst after rest.
const SAVED: Duration = Duration::from_millis(20);
/// And so much is owed at most: who is starved in the last place comes forward again after `OWED * PART`, 10 s.
const OWED: Duration = Duration::from_millis(100);

/// The account of a filter, or of a monitor.
#[derive(Debug, Default)]
pub(crate) struct Allowance(Mutex<Account>);

#[derive(Debug, Default)]
struct Account {
    /// What it took beyond what was given; at `SAVED` nothing is left, and above it is owed.
    taken: Duration,
    /// When that was so.
    at: Option<Instant>,
}

impl Allowance {
    /// Where it stands now.
    pub(crate) fn place(&self, now: Instant) -> Place {
        if self.settled(now, Duration::ZERO) < SAVED { Place::Behind } else { Place::Last }
    }

    /// That it took so much of the processor.
    pub(crate) fn charge(&self, took: Duration, now: Instant) {
        self.settled(now, took);
    }

    /// What is taken beyond what was given, after this, too.
    fn settled(&self, now: Instant, took: Duration) -> Duration {
        let mut account = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = account.at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        account.taken = (account.taken.saturating_sub(passed / PART) + took).min(SAVED + OWED);
        account.at = account.at.max(Some(now));
        account.taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_little_stays_where_he_is() {
        let (account, begun) = (Allowance::default(), Instant::now());
        for second in 0..100 {
            let now = begun + Duration::from_secs(second);
            assert_eq!(account.place(now), Place::Behind);
            account.charge(Duration::from_secs(1) / PART, now);
        }
    }

    #[test]
    fn who_takes_much_is_last_until_what_he_owes_is_given() {
        let (account, begun) = (Allowance::default(), Instant::now());
        account.charge(SAVED - Duration::from_micros(1), begun);
        assert_eq!(account.place(begun), Place::Behind);
        account.charge(Duration::from_secs(1), begun);
        assert_eq!(account.place(begun + OWED * PART), Place::Last);
        assert_eq!(account.place(begun + OWED * PART + Duration::from_millis(1)), Place::Behind);
    }

    #[test]
    fn time_does_not_go_back() {
        let (account, begun) = (Allowance::default(), Instant::now());
        account.charge(SAVED, begun + Duration::from_secs(1));
        assert_eq!(account.place(begun), Place::Last);
        account.charge(Duration::ZERO, begun + Duration::from_secs(1));
        assert_eq!(account.place(begun + Duration::from_secs(1)), Place::Last);
    }
}
