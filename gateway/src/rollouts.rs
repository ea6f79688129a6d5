//! Rollouts as they run: told of calls and rewards, looked at again and again, kept on disk, ordered about by people. What
//! follows from what was seen is pure and in the crate `tidegate-route`.

mod mount;
mod running;
mod seat;

pub(crate) use mount::RolloutMount;
pub(crate) use running::Rollouts;
