//! What is seen of traffic, window by window: from calls to tables that a plugin compares, and from its verdicts to alarms.
//! No clock, no chance, no I/O: times and ids are given, and what is chosen is chosen by hashes of ids.
//!
//! - [`Shape`] says which columns there are, [`Value`] what they hold, [`Share`] which calls are looked at;
//! - a [`Reference`] is made of a registry's baseline or of the calls that come first ([`Gathering`]);
//! - a [`Pane`] is what was seen in one window, in little room: counts in the reference's bins ([`cells`], 256 of
//!   equal mass: [`distribution`]), [`categories`], quantiles of what lies outside ([`sketch`]), a sample of whole rows
//!   ([`reservoir`]). All of it is whole numbers and sets, so panes of parts **add up to the pane of the whole, bit for
//!   bit and in any order**;
//! - a [`Table`] is what plugins take, made of a pane or a reference ([`spread`] says how values are made of counts);
//! - [`Windows`] makes panes of calls: by number and time, with calls that wait for their labels ([`waiting`]);
//! - what replicas collect is [`Handed`] over to one of them, which takes each parcel once ([`Marks`]);
//! - a [`Judge`] hears windows, and says when they are an alarm.
//!
//! # How good what is counted is
//!
//! Against the values themselves: the two-sample Kolmogorov-Smirnov statistic is less than 1/256 off, whatever the
//! distributions are ([`distribution`] has the proof); the first Wasserstein distance is as exact as the means of cells
//! make it (its integral over a cell depends on the mean alone, wherever the distribution functions do not cross in it);
//! category counts are exact for the reference's and 1,000 others; quantiles are within a 256th of the rows inside of the
//! reference and within 1 % of themselves outside. `tests/simulated.rs` measures all that.
//!
//! # What it is not
//!
//! Tests and thresholds are plugins'; who is told of an alarm, and where states are kept, is the program's.

pub mod categories;
pub mod cells;
mod columns;
pub mod distribution;
pub mod gathering;
pub mod handed;
pub mod judge;
pub mod knots;
pub mod numbers;
pub mod packed;
pub mod pane;
pub mod plan;
pub mod reference;
pub mod reservoir;
pub mod shape;
pub mod share;
pub mod sketch;
pub mod spread;
pub mod table;
pub mod value;
pub mod vocabulary;
pub mod waiting;
pub mod windows;

pub use gathering::Gathering;
pub use handed::{Handed, Marks};
pub use judge::{Change, Judge, Told};
pub use pane::{Packed, Pane};
pub use plan::{Keep, Plan, Unlike};
pub use reference::Reference;
pub use reservoir::Kept;
pub use shape::Shape;
pub use share::Share;
pub use table::Table;
pub use value::{Row, Value};
pub use waiting::Room;
pub use windows::{Closed, Ended, Part, Saved, Windows};
