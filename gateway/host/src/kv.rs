//! Keys and values of a plugin, which outlive its instances and are shared by them. Owns the bound of what they may take, when
//! they expire, and what counters look like. In memory, of this process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tidegate_core::Clock;

/// The longest key.
const KEY_BYTES: usize = 256;
/// What an entry takes beside its key and value.
const ENTRY_BYTES: usize = 64;
/// The longest time that an entry may have to live: more is as good as for ever.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unkept {
    /// There is no room, or the key is too long.
    Quota(String),
    /// What stands there is no counter.
    Conflict,
}

/// The keys and values of one plugin.
#[derive(Debug)]
pub(crate) struct Kv {
    clock: Arc<dyn Clock>,
    most: usize,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    by_key: HashMap<String, Entry>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    value: Vec<u8>,
    until: Option<Instant>,
}

impl Kv {
    pub(crate) fn new(clock: Arc<dyn Clock>, most: usize) -> Self {
        Self { clock, most, entries: Mutex::default() }
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<Vec<u8>> {
        let now = self.clock.now();
        self.lock().current(key, now).cloned()
    }

    /// Sets a key, for so long.
    pub(crate) fn set(&self, key: String, value: Vec<u8>, ttl: Option<Duration>) -> Result<(), Unkept> {
        let now = self.clock.now();
        let until = ttl.and_then(|ttl| now.checked_add(ttl.min(LONGEST)));
        self.lock().put(key, value, until, now, self.most)
    }

    /// Removes a key; nothing happens where there is none.
    pub(crate) fn delete(&self, key: &str) {
        self.lock().take(key);
    }

    /// Adds to a counter, which is a number of 8 bytes, little-endian, and 0 where there is none; it stays within its range
    /// and keeps its time.
    pub(crate) fn incr(&self, key: String, by: i64) -> Result<i64, Unkept> {
        let now = self.clock.now();
        let mut entries = self.lock();
        let before = match entries.current(&key, now) {
            Some(value) => i64::from_le_bytes(value.as_slice().try_into().map_err(|_| Unkept::Conflict)?),
            None => 0,
        };
        let after = before.saturating_add(by);
        let until = entries.by_key.get(&key).and_then(|entry| entry.until);
        entries.put(key, after.to_le_bytes().to_vec(), until, now, self.most)?;
        Ok(after)
    }

    /// Sets a key if it has the value that was expected.
    pub(crate) fn compare_and_set(&self, key: String, expected: Option<&[u8]>, value: Vec<u8>) -> Result<bool, Unkept> {
        let now = self.clock.now();
        let mut entries = self.lock();
        if entries.current(&key, now).map(Vec::as_slice) != expected {
            return Ok(false);
        }
        entries.put(key, value, None, now, self.most)?;
        Ok(true)
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn weight(key: &str, value: &[u8]) -> usize {
    key.len().saturating_add(value.len()).saturating_add(ENTRY_BYTES)
}

impl Entries {
    /// The value of a key whose time is not over; one whose time is over goes.
    fn current(&mut self, key: &str, now: Instant) -> Option<&Vec<u8>> {
        if self.by_key.get(key).is_some_and(|entry| entry.is_over(now)) {
            self.take(key);
        }
        self.by_key.get(key).map(|entry| &entry.value)
    }

    fn take(&mut self, key: &str) {
        if let Some(entry) = self.by_key.remove(key) {
            self.bytes -= weight(key, &entry.value);
        }
    }

    fn put(
        &mut self,
        key: String,
        value: Vec<u8>,
        until: Option<Instant>,
        now: Instant,
        most: usize,
    ) -> Result<(), Unkept> {
        if key.len() > KEY_BYTES {
            return Err(Unkept::Quota(format!("a key has {KEY_BYTES} bytes at most, not {}", key.len())));
        }
        let wanted = weight(&key, &value);
        let stands = |entries: &Self| entries.by_key.get(&key).map_or(0, |entry| weight(&key, &entry.value));
        if self.bytes - stands(self) + wanted > most {
            self.sweep(now);
        }
        if self.bytes - stands(self) + wanted > most {
            return Err(Unkept::Quota(format!(
                "keys and values take {most} bytes at most: delete some, or let them expire"
            )));
        }
        self.take(&key);
        self.bytes += wanted;
        self.by_key.insert(key, Entry { value, until });
        Ok(())
    }

    /// Lets go of what has expired.
    fn sweep(&mut self, now: Instant) {
        let bytes = &mut self.bytes;
        self.by_key.retain(|key, entry| {
            let is_over = entry.is_over(now);
            if is_over {
                *bytes -= weight(key, &entry.value);
            }
            !is_over
        });
    }
}

impl Entry {
    fn is_over(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_core::clock::{ManualClock, SystemClock};

    fn kv(most: usize) -> (Kv, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(SystemClock.wall()));
        (Kv::new(Arc::clone(&clock) as Arc<dyn Clock>, most), clock)
    }

    #[test]
    fn values_are_kept_until_their_time() {
        let (kv, clock) = kv(1 << 10);
        kv.set("a".to_owned(), b"1".to_vec(), Some(Duration::from_millis(10))).unwrap();
        kv.set("b".to_owned(), b"2".to_vec(), None).unwrap();
        assert_eq!((kv.get("a"), kv.get("b"), kv.get("c")), (Some(b"1".to_vec()), Some(b"2".to_vec()), None));
        clock.advance(Duration::from_millis(10));
        assert_eq!((kv.get("a"), kv.get("b")), (None, Some(b"2".to_vec())));
        kv.set("c".to_owned(), vec![], Some(Duration::MAX)).unwrap();
        kv.delete("b");
        kv.delete("b");
        assert_eq!((kv.get("b"), kv.get("c")), (None, Some(vec![])));
    }

    #[test]
    fn room_has_an_end_and_comes_back() {
        let (kv, clock) = kv(3 * 128);
        let put = |key: &str, ttl: Option<u64>| {
            kv.set(key.to_owned(), vec![0; 127 - ENTRY_BYTES], ttl.map(Duration::from_secs))
        };
        assert_eq!((put("a", None), put("b", Some(1)), put("c", Some(2))), (Ok(()), Ok(()), Ok(())));
        assert!(matches!(put("d", None), Err(Unkept::Quota(says)) if says.contains("384 bytes")));
        assert_eq!(put("a", None), Ok(()), "what is replaced makes room");
        clock.advance(Duration::from_secs(1));
        assert_eq!(put("d", None), Ok(()), "what has expired makes room");
        kv.delete("a");
        assert_eq!(put("e", None), Ok(()));
        assert!(put(&"k".repeat(257), None).is_err());
        for key in ["a", "b", "c", "d", "e"] {
            kv.delete(key);
        }
        assert_eq!(kv.lock().bytes, 0);
    }

    #[test]
    fn counters_count_and_swaps_are_by_what_was_expected() {
        let (kv, _) = kv(1 << 10);
        let count = |by| kv.incr("n".to_owned(), by);
        assert_eq!((count(2), count(-5), count(i64::MIN)), (Ok(2), Ok(-3), Ok(i64::MIN)));
        let swap = |expected: Option<&[u8]>, value: &[u8]| {
            kv.compare_and_set("x".to_owned(), expected, value.to_vec()).unwrap()
        };
        assert_eq!((swap(Some(b"1"), b"2"), swap(None, b"1")), (false, true));
        assert_eq!((swap(None, b"3"), swap(Some(b"1"), b"2")), (false, true));
        assert_eq!((kv.get("x"), kv.incr("x".to_owned(), 1)), (Some(b"2".to_vec()), Err(Unkept::Conflict)));
    }
}
