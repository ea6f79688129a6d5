//! A warm instance of a filter: made and configured once, called often, each time with time and budgets of its own. Owns when
//! it is worn out; who has it meanwhile is `pool`'s and `stream`'s.

use super::linked::{FilterPre, Guests};
use crate::bindings::filters::tidegate::plugin::types;
use crate::cell::Cell;
use crate::convert;
use crate::fault::{Fault, Kind, told};
use crate::plugin::House;
use crate::seat::Seat;
use crate::ticker::Ticker;
use std::fmt;
use std::time::Duration;
use wasmtime::Store;

/// What a call of a guest gives: a trap, or what the contract says.
pub(super) type Called<T> = wasmtime::Result<Result<T, types::Error>>;

/// An instance. Its seats are left when its store is gone.
pub(super) struct Instance {
    store: Store<Cell>,
    guests: Guests,
    calls: u32,
    settled_bytes: usize,
    is_spent: bool,
    _seats: [Seat; 2],
}

impl Instance {
    /// Makes one and configures it within this time.
    pub(super) fn start(
        house: &House,
        pre: &FilterPre,
        cell: Cell,
        config: &str,
        deadline: Duration,
        seats: [Seat; 2],
    ) -> Result<Self, Fault> {
        let mut store = house.store(cell);
        let started = timed(house, &mut store, deadline, "its start", |store| {
            let guests = pre.instantiate(store)?;
            let configured = guests.lifecycle.call_configure(&mut *store, config)?;
            Ok(configured.map(|()| guests))
        });
        let guests = started?.map_err(convert::filter_refused)?;
        let settled_bytes = store.data().memory_bytes();
        Ok(Self { store, guests, calls: 0, settled_bytes, is_spent: false, _seats: seats })
    }

    /// Calls it. It is spent by whatever is no answer of the contract, and by an answer that does not stand up to `vet`.
    pub(super) fn call<T, U>(
        &mut self,
        house: &House,
        deadline: Duration,
        work: impl FnOnce(&mut Store<Cell>, &Guests) -> Called<T>,
        vet: impl FnOnce(T) -> Result<U, String>,
    ) -> Result<U, Fault> {
        let Self { store, guests, .. } = self;
        self.calls = self.calls.saturating_add(1);
        // Whatever ends this function early leaves it spent.
        self.is_spent = true;
        let called = timed(house, store, deadline, "its call", |store| work(store, guests))?;
        let done = match called {
            Ok(raw) => vet(raw).map_err(|says| Fault::new(Kind::BadOutput, says))?,
            Err(error) => {
                self.is_spent = false;
                return Err(convert::filter_refused(error));
            }
        };
        self.is_spent = false;
        Ok(done)
    }

    /// Whether it is not called again: it is spent, it was called often, or it is about to run out of memory.
    pub(super) fn is_worn(&self) -> bool {
        let (bytes, limits) = (self.store.data().memory_bytes(), self.store.data().limits());
        let is_large = bytes > self.settled_bytes && bytes > limits.memory_bytes / 4 * 3;
        self.is_spent || is_large || self.calls >= limits.filters.calls_per_instance
    }
}

/// Does something in a store within this time.
fn timed<T>(
    house: &House,
    store: &mut Store<Cell>,
    deadline: Duration,
    doing: &str,
    work: impl FnOnce(&mut Store<Cell>) -> wasmtime::Result<T>,
) -> Result<T, Fault> {
    store.data_mut().begin(deadline);
    let running = house.ticker.run();
    store.set_epoch_deadline(Ticker::ticks(deadline));
    let done = work(store);
    drop(running);
    done.map_err(|error| told(&error, store.data(), doing))
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance").field("calls", &self.calls).field("is_spent", &self.is_spent).finish_non_exhaustive()
    }
}
