//! The instances of a filter: those that wait for a call are lent and taken back, more are made when none waits, up to a
//! bound. Owns how many are kept and how long a new one may take; the lock is held to move one in or out, never while a
//! guest runs or a store is made or dropped.

use super::instance::Instance;
use crate::cell::Cell;
use crate::fault::{Fault, Kind};
use crate::plugin::Plugin;
use crate::seat::Seat;
use crate::shared::Shared;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A new instance may take so many times as long as the first one took, and this much more.
const TIMES: u32 = 4;
const MORE: Duration = Duration::from_millis(10);

/// The instances.
#[derive(Debug)]
pub(super) struct Pool {
    plugin: Arc<Plugin>,
    label: Arc<str>,
    config: String,
    shared: Arc<Shared>,
    idle: Mutex<Vec<Instance>>,
    alive: Arc<AtomicU32>,
    made: AtomicU64,
    start_deadline: Duration,
}

impl Pool {
    /// A pool with its first instance, by which the configuration is tried.
    pub(super) fn new(
        plugin: Arc<Plugin>,
        label: Arc<str>,
        config: String,
        shared: Arc<Shared>,
    ) -> Result<Self, Fault> {
        let load_deadline = plugin.limits().load_deadline;
        let mut pool = Self {
            plugin,
            label,
            config,
            shared,
            idle: Mutex::default(),
            alive: Arc::default(),
            made: AtomicU64::new(0),
            start_deadline: load_deadline,
        };
        let began = Instant::now();
        let first = pool.start()?;
        // Others are made while a call waits: what takes much longer than the first did is stuck.
        let took = began.elapsed();
        pool.start_deadline = load_deadline.min(took.saturating_mul(TIMES).max(pool.plugin.limits().deadline) + MORE);
        pool.give_back(first);
        Ok(pool)
    }

    /// One that waits, or a new one.
    pub(super) fn lend(&self) -> Result<Instance, Fault> {
        let waiting = self.idle().pop();
        waiting.map_or_else(|| self.start(), Ok)
    }

    /// Takes one back, unless it is worn or enough wait.
    pub(super) fn give_back(&self, instance: Instance) {
        let mut left = Some(instance);
        if left.as_ref().is_some_and(|instance| !instance.is_worn()) {
            let mut idle = self.idle();
            if idle.len() < self.plugin.limits().filters.idle {
                idle.extend(left.take());
            }
        }
        // Whatever is left is dropped behind the lock.
        drop(left);
    }

    fn start(&self) -> Result<Instance, Fault> {
        let (house, limits) = (self.plugin.house(), self.plugin.limits());
        let most = limits.filters.at_once_each;
        let busy = |says: String| Fault::new(Kind::Busy, says);
        let own = Seat::take(&self.alive, most)
            .ok_or_else(|| busy(format!("all {most} instances that it may have are at work")))?;
        let all = Seat::take(&house.warm, limits.filters.at_once)
            .ok_or_else(|| busy(format!("all {} places for instances of filters are taken", limits.filters.at_once)))?;
        let pre = self.plugin.as_filter().ok_or_else(|| {
            let says = format!("it is of the world `{}` and looks at no calls", self.plugin.about().world);
            Fault::new(Kind::WrongWorld, says)
        })?;
        let mut cell = Cell::new(Arc::clone(&self.label), house.outside.clone(), Arc::clone(limits));
        cell.shared = Some(Arc::clone(&self.shared));
        let instance = Instance::start(house, pre, cell, &self.config, self.start_deadline, [own, all])?;
        self.made.fetch_add(1, Ordering::Relaxed);
        Ok(instance)
    }

    pub(super) const fn plugin(&self) -> &Arc<Plugin> {
        &self.plugin
    }

    /// How many were ever made.
    pub(super) fn made(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }

    /// How many live, and how many of them wait.
    pub(super) fn alive(&self) -> (u32, u32) {
        let idle = u32::try_from(self.idle().len()).unwrap_or(u32::MAX);
        (self.alive.load(Ordering::Relaxed), idle)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Instance>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
