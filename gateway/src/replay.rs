//! What was decided, looked at again: decisions drawn anew from their records, and what another policy would have earned on
//! the calls that were logged. Reads the event store and the learning log; owns how the two belong together.

mod history;
mod target;

pub(crate) use history::{History, Past};
pub(crate) use target::targets;
