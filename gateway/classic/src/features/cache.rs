//! What was found is found again for a short time, without asking. Owns the time and the bound; the oldest goes first.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use tidegate_core::port::features::{FeatureKey, FoundRow};
use tidegate_core::spec::CacheSpec;

/// What was found a short time ago.
#[derive(Debug)]
pub(super) struct Cache {
    spec: CacheSpec,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    rows: HashMap<FeatureKey, (Instant, FoundRow)>,
    /// In the order in which they came; one that was replaced stands here twice, with its times.
    order: VecDeque<(Instant, FeatureKey)>,
    /// How often something was forgotten.
    forgotten: u64,
}

impl Cache {
    pub(super) fn new(spec: CacheSpec) -> Self {
        Self { spec, kept: Mutex::default() }
    }

    /// What is known of these entities at `now`, and how often something had been forgotten until then.
    pub(super) fn get(&self, keys: &[FeatureKey], now: Instant) -> (Vec<Option<FoundRow>>, u64) {
        let kept = self.kept();
        let fresh =
            |(at, row): &(Instant, FoundRow)| (now.saturating_duration_since(*at) < self.spec.ttl).then(|| row.clone());
        (keys.iter().map(|key| kept.rows.get(key).and_then(fresh)).collect(), kept.forgotten)
    }

    /// Keeps what was asked for at `now`, unless something was forgotten since it was `seen`: it may be older than what was
    /// pushed meanwhile.
    pub(super) fn put(&self, found: impl IntoIterator<Item = (FeatureKey, FoundRow)>, now: Instant, seen: u64) {
        let mut kept = self.kept();
        if kept.forgotten != seen {
            return;
        }
        for (key, row) in found {
            kept.order.push_back((now, key.clone()));
            kept.rows.insert(key, (now, row));
        }
        while let Some((at, key)) = kept.order.front() {
            let is_over = now.saturating_duration_since(*at) >= self.spec.ttl;
            // Entries that were replaced take room in the order alone, and no more of it than rows have.
            if !is_over && kept.rows.len() <= self.spec.entries && kept.order.len() <= self.spec.entries * 2 {
                break;
            }
            let (at, key) = (*at, key.clone());
            kept.order.pop_front();
            if kept.rows.get(&key).is_some_and(|(known, _)| *known == at) {
                kept.rows.remove(&key);
            }
        }
    }

    /// Forgets entities of which something new is known.
    pub(super) fn forget<'a>(&self, keys: impl IntoIterator<Item = &'a FeatureKey>) {
        let mut kept = self.kept();
        kept.forgotten = kept.forgotten.wrapping_add(1);
        for key in keys {
            kept.rows.remove(key);
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tidegate_core::port::features::{Found, KeyValue};

    /// A look-up that began before a push may have read what the push replaced.
    #[test]
    fn what_was_read_before_a_push_is_not_remembered_behind_it() {
        let cache = Cache::new(CacheSpec { ttl: Duration::from_secs(60), entries: 10 });
        let (key, now) = (FeatureKey([KeyValue::Integer(7)].into()), Instant::now());
        let row: FoundRow = [Found::default()].into();
        let (known, seen) = cache.get(std::slice::from_ref(&key), now);
        assert_eq!(known, [None]);
        cache.forget([&key]);
        cache.put([(key.clone(), row.clone())], now, seen);
        let (known, seen) = cache.get(std::slice::from_ref(&key), now);
        assert_eq!(known, [None]);
        cache.put([(key.clone(), row.clone())], now, seen);
        assert_eq!(cache.get(&[key], now).0, [Some(row)]);
    }
}
