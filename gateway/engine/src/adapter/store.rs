//! Which adapters a base has: names to generations that never change, loaded and unloaded while requests run. Owns what is
//! in memory and what must be read again; reading happens on the caller's thread and never on the engine's.

mod handle;
#[cfg(test)]
mod tests;

pub use handle::AdapterHandle;

use super::fault::AdapterFault;
use super::{Adapter, BaseShape};
use handle::Users;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tidegate_core::port::adapters::{AdapterFiles, AdapterState, AdapterStatus, AdapterTotals, Expected};

/// The adapters of one base.
#[derive(Debug)]
pub struct AdapterStore {
    base: BaseShape,
    budget: usize,
    state: Mutex<State>,
    loads: AtomicU64,
    evictions: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    slots: BTreeMap<String, Slot>,
    /// Generations that no name leads to any more, while requests use them.
    draining: Vec<Leaving>,
    turn: u64,
}

/// What a name means.
#[derive(Debug)]
struct Slot {
    generation: String,
    source: String,
    files: AdapterFiles,
    rank: usize,
    bytes: usize,
    /// Absent where it must be read again first.
    resident: Option<Arc<Adapter>>,
    users: Users,
    requests: u64,
    /// The turn in which it was used last.
    used: u64,
}

#[derive(Debug)]
struct Leaving {
    name: String,
    generation: String,
    source: String,
    rank: usize,
    bytes: usize,
    users: Users,
    held: Weak<Adapter>,
}

/// An adapter that was read and fits its base, but is not in force.
#[derive(Debug)]
pub struct Prepared {
    adapter: Adapter,
    files: AdapterFiles,
    source: String,
}

impl Prepared {
    /// Its generation: a digest of its files.
    #[must_use]
    pub fn generation(&self) -> &str {
        self.adapter.generation()
    }
}

/// What taking an adapter gave.
#[derive(Debug)]
pub enum Taken {
    /// It is in memory.
    Ready(AdapterHandle),
    /// It must be read: `fetch` it where waiting is allowed.
    Cold,
}

impl AdapterStore {
    pub(crate) fn new(base: BaseShape, budget: usize) -> Self {
        let state = Mutex::default();
        Self { base, budget, state, loads: AtomicU64::new(0), evictions: AtomicU64::new(0) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.draining.retain(|leaving| leaving.held.strong_count() > 0);
        state
    }

    /// Reads an adapter and holds it to the base. Takes as long as reading the files; not for an async thread.
    ///
    /// # Errors
    /// It cannot be read, is of a kind that the engine does not run, or does not fit.
    pub fn prepare(&self, files: AdapterFiles, source: &str) -> Result<Prepared, AdapterFault> {
        let adapter = Adapter::read(&files, &self.base, self.most_file())?;
        Ok(Prepared { adapter, files, source: source.to_owned() })
    }

    /// A file of 32-bit numbers takes twice what they take here.
    fn most_file(&self) -> usize {
        self.budget.saturating_mul(2).saturating_add(1 << 20)
    }

    /// Puts a generation into force under a name, if what is expected is in force there. Requests under way keep theirs.
    ///
    /// # Errors
    /// Something else is in force, or there is no room.
    pub fn load(&self, name: &str, ready: Prepared, expected: &Expected) -> Result<AdapterStatus, AdapterFault> {
        let mut state = self.state();
        state.expect(name, expected)?;
        let Prepared { adapter, files, source } = ready;
        let old = state.slots.remove(name);
        let requests = old.as_ref().map_or(0, |old| old.requests);
        if let Some(old) = &old
            && old.generation == adapter.generation()
            && let Some(resident) = &old.resident
        {
            // The same numbers: requests under way and new ones share them.
            let (resident, users) = (Some(Arc::clone(resident)), old.users.clone());
            let slot = Slot { files, source, ..Slot::of(&adapter, resident, users, requests, state.tick()) };
            let status = slot.status(name);
            state.slots.insert(name.to_owned(), slot);
            return Ok(status);
        }
        if let Err(fault) = self.make_room(&mut state, adapter.bytes(), old.as_ref()) {
            state.slots.extend(old.map(|old| (name.to_owned(), old)));
            return Err(fault);
        }
        state.leave(name, old);
        let adapter = Arc::new(adapter);
        let resident = Some(Arc::clone(&adapter));
        let slot = Slot { files, source, ..Slot::of(&adapter, resident, Users::default(), requests, state.tick()) };
        let status = slot.status(name);
        state.slots.insert(name.to_owned(), slot);
        self.loads.fetch_add(1, Ordering::Relaxed);
        Ok(status)
    }

    /// Takes a name away, if what is expected is in force there; gives its generation. Requests under way keep it.
    ///
    /// # Errors
    /// There is none of this name, or something else is in force.
    pub fn unload(&self, name: &str, expected: &Expected) -> Result<String, AdapterFault> {
        let mut state = self.state();
        if !state.slots.contains_key(name) {
            return Err(state.unknown(name));
        }
        state.expect(name, expected)?;
        let old = state.slots.remove(name);
        let generation = old.as_ref().map(|old| old.generation.clone()).unwrap_or_default();
        state.leave(name, old);
        Ok(generation)
    }

    /// The generation in force under a name, for one request. Never waits.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn take(&self, name: &str) -> Result<Taken, AdapterFault> {
        let mut state = self.state();
        let turn = state.tick();
        let Some(slot) = state.slots.get_mut(name) else { return Err(state.unknown(name)) };
        slot.used = turn;
        Ok(match &slot.resident {
            Some(adapter) => {
                slot.requests += 1;
                Taken::Ready(AdapterHandle::new(Arc::clone(adapter), &slot.users))
            }
            None => Taken::Cold,
        })
    }

    /// The same, read from its folder where it is not in memory. Not for an async thread.
    ///
    /// # Errors
    /// There is none, its files have changed or are gone, or there is no room.
    pub fn fetch(&self, name: &str) -> Result<AdapterHandle, AdapterFault> {
        loop {
            if let Taken::Ready(handle) = self.take(name)? {
                return Ok(handle);
            }
            let Some((files, generation)) =
                self.state().slots.get(name).map(|slot| (slot.files.clone(), slot.generation.clone()))
            else {
                continue;
            };
            let adapter = Adapter::read(&files, &self.base, self.most_file())?;
            if adapter.generation() != generation {
                return Err(AdapterFault::Changed { name: name.to_owned() });
            }
            let mut state = self.state();
            self.make_room(&mut state, adapter.bytes(), None)?;
            // Another may have read it, or changed what the name means, meanwhile.
            if let Some(slot) = state.slots.get_mut(name)
                && slot.generation == generation
                && slot.resident.is_none()
            {
                slot.resident = Some(Arc::new(adapter));
                self.loads.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Sends the least recently used that no request uses back to their folders, until there is room for `needed` bytes
    /// beside what stays; `going` leaves anyway.
    fn make_room(&self, state: &mut State, needed: usize, going: Option<&Slot>) -> Result<(), AdapterFault> {
        loop {
            let leaves = going.filter(|slot| slot.resident.is_some() && slot.users.count() > 0).map_or(0, |s| s.bytes);
            let used = state.used() + leaves;
            if used + needed <= self.budget {
                return Ok(());
            }
            let idle = state.slots.values_mut().filter(|slot| slot.resident.is_some() && slot.users.count() == 0);
            let Some(oldest) = idle.min_by_key(|slot| slot.used) else {
                return Err(AdapterFault::NoRoom { needed, used, budget: self.budget });
            };
            oldest.resident = None;
            self.evictions.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// All of them by name, and those that are leaving.
    #[must_use]
    pub fn list(&self) -> Vec<AdapterStatus> {
        let state = self.state();
        let slots = state.slots.iter().map(|(name, slot)| slot.status(name));
        slots.chain(state.draining.iter().map(Leaving::status)).collect()
    }

    /// What is in force under a name.
    #[must_use]
    pub fn status(&self, name: &str) -> Option<AdapterStatus> {
        self.state().slots.get(name).map(|slot| slot.status(name))
    }

    /// The files from which a name was loaded.
    #[must_use]
    pub fn files(&self, name: &str) -> Option<AdapterFiles> {
        self.state().slots.get(name).map(|slot| slot.files.clone())
    }

    /// What those in memory take, and how often they moved.
    #[must_use]
    pub fn totals(&self) -> AdapterTotals {
        AdapterTotals {
            used: self.state().used(),
            budget: self.budget,
            loads: self.loads.load(Ordering::Relaxed),
            evictions: self.evictions.load(Ordering::Relaxed),
        }
    }
}

impl State {
    fn tick(&mut self) -> u64 {
        self.turn += 1;
        self.turn
    }

    fn used(&self) -> usize {
        let slots = self.slots.values().filter(|slot| slot.resident.is_some()).map(|slot| slot.bytes);
        slots.chain(self.draining.iter().map(|leaving| leaving.bytes)).sum()
    }

    fn expect(&self, name: &str, expected: &Expected) -> Result<(), AdapterFault> {
        let found = self.slots.get(name).map(|slot| slot.generation.clone());
        let is_so = match expected {
            Expected::Anything => true,
            Expected::Nothing => found.is_none(),
            Expected::Generation(wanted) => found.as_ref() == Some(wanted),
        };
        if is_so { Ok(()) } else { Err(AdapterFault::Conflict { name: name.to_owned(), found }) }
    }

    fn unknown(&self, name: &str) -> AdapterFault {
        AdapterFault::Unknown { name: name.to_owned(), known: self.slots.keys().cloned().collect() }
    }

    /// Remembers what a name meant while requests use it.
    fn leave(&mut self, name: &str, old: Option<Slot>) {
        let Some(Slot { generation, source, rank, bytes, resident: Some(adapter), users, .. }) = old else { return };
        if users.count() > 0 {
            let (name, held) = (name.to_owned(), Arc::downgrade(&adapter));
            self.draining.push(Leaving { name, generation, source, rank, bytes, users, held });
        }
    }
}

impl Slot {
    fn of(adapter: &Adapter, resident: Option<Arc<Adapter>>, users: Users, requests: u64, used: u64) -> Self {
        Self {
            generation: adapter.generation().to_owned(),
            source: String::new(),
            files: AdapterFiles::in_folder(std::path::Path::new("")),
            rank: adapter.rank(),
            bytes: adapter.bytes(),
            resident,
            users,
            requests,
            used,
        }
    }

    fn status(&self, name: &str) -> AdapterStatus {
        AdapterStatus {
            name: name.to_owned(),
            generation: self.generation.clone(),
            source: self.source.clone(),
            rank: self.rank,
            bytes: self.bytes,
            state: if self.resident.is_some() { AdapterState::Resident } else { AdapterState::Disk },
            active: self.users.count(),
            requests: self.requests,
        }
    }
}

impl Leaving {
    fn status(&self) -> AdapterStatus {
        AdapterStatus {
            name: self.name.clone(),
            generation: self.generation.clone(),
            source: self.source.clone(),
            rank: self.rank,
            bytes: self.bytes,
            state: AdapterState::Draining,
            active: self.users.count(),
            requests: 0,
        }
    }
}
