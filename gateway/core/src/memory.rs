//! Memory that the models of one provider share: who has how much of it, and whether there is room for one more. Owns the
//! account, and no memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// An account of memory with a limit.
#[derive(Debug)]
pub struct Memory {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    limit: u64,
    shares: BTreeMap<u64, (Arc<str>, u64)>,
    next: u64,
}

impl State {
    fn used(&self) -> u64 {
        self.shares.values().fold(0, |sum, (_, bytes)| sum.saturating_add(*bytes))
    }
}

impl Memory {
    /// Of which so many bytes may be taken; `u64::MAX` where nothing bounds it.
    #[must_use]
    pub fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(State { limit, shares: BTreeMap::new(), next: 0 }) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is taken.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.state().used()
    }

    /// From here on so much may be taken. What is taken stays, even where it is more.
    pub fn allow(&self, limit: u64) {
        self.state().limit = limit;
    }
}

/// What a model takes of a memory while it is awake.
#[derive(Debug, Clone)]
pub struct Claim {
    /// Of which.
    pub memory: Arc<Memory>,
    /// Who takes it, for those for whom no room is left.
    pub name: Arc<str>,
    /// How much.
    pub bytes: u64,
}

impl Claim {
    /// Takes it.
    ///
    /// # Errors
    /// There is not so much left.
    pub fn take(&self) -> Result<MemoryShare, NoMemory> {
        let mut state = self.memory.state();
        let left = state.limit.saturating_sub(state.used());
        if self.bytes > left {
            let others = state.shares.values().map(|(name, bytes)| (Arc::clone(name), *bytes)).collect();
            return Err(NoMemory { needed: self.bytes, left, limit: state.limit, others });
        }
        let number = state.next;
        state.next += 1;
        state.shares.insert(number, (Arc::clone(&self.name), self.bytes));
        drop(state);
        Ok(MemoryShare { memory: Arc::clone(&self.memory), number })
    }
}

/// What was taken, until dropped.
#[derive(Debug)]
pub struct MemoryShare {
    memory: Arc<Memory>,
    number: u64,
}

impl Drop for MemoryShare {
    fn drop(&mut self) {
        self.memory.state().shares.remove(&self.number);
    }
}

/// There is not so much memory left.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "it needs {} MiB, and of the {} MiB of its provider's `memory` {} MiB are left{}: set a larger `memory`, a smaller `kv_cache`, or `sleep_after` for models that are seldom called",
    mib(*needed), limit >> 20, left >> 20, taken(others)
)]
pub struct NoMemory {
    /// What was to be taken.
    pub needed: u64,
    /// What is left.
    pub left: u64,
    /// What there is.
    pub limit: u64,
    /// Who has the rest.
    pub others: Vec<(Arc<str>, u64)>,
}

/// Rounded up, so that what does not fit is never said to need no more than what is left.
const fn mib(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

fn taken(others: &[(Arc<str>, u64)]) -> String {
    if others.is_empty() {
        return String::new();
    }
    let each: Vec<String> = others.iter().map(|(name, bytes)| format!("`{name}` {} MiB", mib(*bytes))).collect();
    format!(" ({} in use)", each.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(memory: &Arc<Memory>, name: &str, mib: u64) -> Claim {
        Claim { memory: Arc::clone(memory), name: name.into(), bytes: mib << 20 }
    }

    #[test]
    fn what_is_taken_is_left_to_nobody_else_until_it_is_given_back() {
        let memory = Memory::new(100 << 20);
        let small = claim(&memory, "small", 60).take().unwrap();
        let refused = claim(&memory, "large", 41).take().unwrap_err();
        assert_eq!((refused.needed, refused.left), (41 << 20, 40 << 20));
        let says = refused.to_string();
        assert!(says.starts_with("it needs 41 MiB, and of the 100 MiB"), "{says}");
        assert!(says.contains("40 MiB are left (`small` 60 MiB in use)"), "{says}");
        let exact = claim(&memory, "exact", 40).take().unwrap();
        assert_eq!(memory.used(), 100 << 20);
        drop((small, exact));
        assert_eq!(memory.used(), 0);
        let alone = claim(&memory, "huge", 101).take().unwrap_err().to_string();
        assert!(alone.contains("100 MiB are left: set"), "{alone}");
    }

    #[test]
    fn a_smaller_limit_takes_nothing_away_and_a_larger_one_makes_room() {
        let memory = Memory::new(u64::MAX);
        let held = claim(&memory, "a", 50).take().unwrap();
        memory.allow(10 << 20);
        assert_eq!((memory.used(), claim(&memory, "b", 1).take().unwrap_err().left), (50 << 20, 0));
        memory.allow(51 << 20);
        assert!(claim(&memory, "b", 1).take().is_ok());
        drop(held);
        assert_eq!(memory.used(), 0);
    }
}
