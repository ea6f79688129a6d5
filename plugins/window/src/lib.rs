//! What evaluators get and give as plain types, so that their logic is tested without WebAssembly: tables by columns, the
//! roles of columns, reports with what their numbers are held against.
//!
//! - [`Table`] and [`Roles`] are the contract's; [`Roles::groups`], [`Roles::positives`] and [`Roles::scores`] read columns
//!   by what they are to a measure;
//! - [`Measurement`] says a number or that there is none, [`Bounds`] when it is too much;
//! - [`contract_types!`] makes these of the contract's types and back, in a guest.

mod bounds;
mod contract;
mod groups;
mod report;
mod roles;
mod table;

pub use bounds::{Bound, Bounds};
pub use groups::{Groups, group_name, smallest_shown};
pub use report::{Found, Measurement, Report, Severity, short};
pub use roles::{Fault, Roles};
pub use table::{Column, Data, Table};
