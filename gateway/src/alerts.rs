//! Alerts: whoever is to be told of a monitor's alarms is told, and what shall be started by them is started. Owns what is
//! sent to whom (a file for each), when it is tried again, and that of one alarm nothing is told out of order; when there
//! is an alarm is the monitors' business.
//!
//! `errand` chooses the builder of a request, `messenger` sends it once, `verdict` says what came of it, `backlog` decides
//! what is sent when, `lane` does so for one alert, and `teller` is the port with a lane for each.

mod alertmanager;
mod backlog;
mod counts;
mod errand;
mod lane;
mod messenger;
mod pagerduty;
mod run;
mod slack;
mod teller;
mod text;
mod verdict;
mod webhook;

#[cfg(test)]
mod testing;

pub(crate) use messenger::Messenger;
pub(crate) use teller::Teller;
pub(crate) use verdict::Verdict;
