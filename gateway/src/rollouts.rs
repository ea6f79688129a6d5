//! Rollouts as they run: told of calls and rewards, looked at again and again, kept on disk, ordered about by people, and
//! led by one of the replicas that share a store. What
//! follows from what was seen is pure and in the crate `tidegate-route`.

mod fleet;
mod mount;
mod running;
mod seat;

pub(crate) use fleet::Fleet;
pub(crate) use mount::RolloutMount;
pub(crate) use running::Rollouts;
