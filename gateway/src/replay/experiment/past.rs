//! What units were like before an experiment began: the mean of the same measure over their earlier calls. Owns which of
//! those calls may tell; how it is taken out is `tidegate_experiment::cuped`'s.
//!
//! Taking it out leaves a difference what it is only where it has nothing to do with the arm that a unit has now. So a call
//! tells nothing where the hash that draws the unit's arm had drawn its arm already (a sticky unit while more than one arm had
//! a share): that unit was in the experiment before it began. And a value tells nothing that came when it had begun.

use super::asked::Asking;
use crate::replay::history::{History, Past};
use std::path::Path;
use tidegate_core::RouteName;
use tidegate_experiment::Units;

/// What is known of units from before.
#[derive(Debug)]
pub(super) struct Before {
    /// Their values, in one arm.
    pub(super) units: Units,
    /// Calls that may not tell.
    pub(super) left_out: u64,
    pub(super) since: u64,
}

impl Before {
    /// Reads it, where it was asked for.
    pub(super) fn read(folder: &Path, routes: &[RouteName], asking: &Asking) -> anyhow::Result<Option<Self>> {
        let Some(since) = asking.covariate_since else { return Ok(None) };
        let mut before = Self { units: Units::among(1), left_out: 0, since };
        let rewards = std::slice::from_ref(&asking.reward);
        let span = since..asking.since;
        History::each(folder, routes, rewards, span, |_, call| before.take(&call, asking.since))?;
        Ok(Some(before))
    }

    fn take(&mut self, call: &Past, until: u64) {
        if !tells(call) {
            self.left_out += 1;
            return;
        }
        let known = call.rewards.iter().flatten().filter(|(at, _)| *at < until);
        for (_, value) in known {
            self.units.add(0, call.unit(), *value);
        }
    }
}

/// Whether a call's arm has nothing to do with the arm that its unit has later: it was drawn anew, or none was left to chance.
fn tells(call: &Past) -> bool {
    !call.decision.sticky || call.decision.shares.iter().filter(|share| **share > 0.0).count() == 1
}
