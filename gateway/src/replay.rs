//! What was decided, looked at again: decisions drawn anew from their records, and what another policy would have earned on
//! the calls that were logged. Reads the event store and the learning log; owns how the two belong together.

mod experiment;
mod history;
mod kept;
mod mount;
mod said;
mod states;
mod target;
#[cfg(test)]
pub(crate) mod testing;

pub(crate) use experiment::{
    Against, Experiment, Guard, Measure, RailWords, Words, asked, experiment, least_of, meant, rail_of,
};
#[cfg(test)]
pub(crate) use experiment::{Arm, Cuped, Moment, Needed};
pub(crate) use history::{History, Past, drawn_again};
pub(crate) use kept::{Kept, kept_form, kept_of_states};
pub(crate) use mount::ExperimentMount;
pub(crate) use states::{Refolded, known, learner_at, reckoned, refolded, same_bits};
pub(crate) use target::targets;
