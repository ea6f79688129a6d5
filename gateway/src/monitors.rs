//! Monitors as they run: calls that were answered come in from their routes, and what is said of them later; windows of them
//! are judged by plugins; of what is found alerts, rollouts, routes, the registry and people hear. Windows, sketches and when
//! they are an alarm are pure and in the crate `tidegate-watch`; judging is the plugins'.

#[cfg(feature = "host")]
mod basis;
mod board;
#[cfg(feature = "host")]
mod counts;
#[cfg(feature = "host")]
mod deed;
#[cfg(feature = "host")]
mod evaluator;
#[cfg(feature = "host")]
mod extract;
#[cfg(feature = "host")]
mod fleet;
#[cfg(feature = "host")]
mod found;
#[cfg(feature = "host")]
mod mount;
#[cfg(feature = "host")]
mod running;
#[cfg(feature = "host")]
mod seat;
#[cfg(feature = "host")]
mod taker;
#[cfg(test)]
mod testing;
mod valves;
#[cfg(feature = "host")]
mod watching;
#[cfg(feature = "host")]
mod window;
#[cfg(not(feature = "host"))]
mod without;
#[cfg(feature = "host")]
mod worker;

pub(crate) use board::Board;
pub(crate) use valves::Valves;

#[cfg(feature = "host")]
pub(crate) use {
    basis::Baseline,
    deed::{Book, Evaluation},
    evaluator::{Evaluate, Evaluators},
    mount::MonitorMount,
    running::{Monitors, Shared, faults},
};

#[cfg(not(feature = "host"))]
pub(crate) use without::Monitors;
