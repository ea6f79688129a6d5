//! What calls say of themselves. Owns which value a call has by each implicit reward, and that all of one round are written
//! down together, in the order in which they are folded: at thousands of calls a second the learner would else cost each of
//! them more than its decision does.

use super::{Ended, Worker, is_lost};
use crate::learning::calls::Arm;
use crate::learning::seat::Seat;
use tidegate_core::spec::{Implicit, RewardSource};
use tidegate_storage::learning::calls::Calls;

impl Worker {
    /// Takes a call's reward, where its route learns from calls themselves; remembers the call, where somebody may judge it.
    pub(super) fn ended(&mut self, ended: Ended) {
        let Some(variant) = self.routes.get(&ended.route).and_then(|arms| arms.get(ended.arm)) else { return };
        if let Some(seat) = self.seats.get_mut(&ended.route) {
            let value = match &seat.learned.reward {
                RewardSource::Feedback(_) => None,
                // The decision is judged: an arm whose call another had to answer has failed.
                RewardSource::Call(Implicit::Error) => {
                    Some(f64::from(u8::from(!ended.is_ok || ended.answered != *variant)))
                }
                RewardSource::Call(_) if !ended.is_ok => None,
                RewardSource::Call(Implicit::Latency) => Some(ended.latency),
                RewardSource::Call(Implicit::FirstToken) => ended.first,
                RewardSource::Call(Implicit::Cost) => ended.cost,
                RewardSource::Call(Implicit::Tokens) => ended.tokens,
                RewardSource::Call(Implicit::ValidJson) => ended.checks.json.map(|is| f64::from(u8::from(is))),
                RewardSource::Call(Implicit::ValidToolCall) => {
                    ended.checks.tool_calls.map(|is| f64::from(u8::from(is)))
                }
            };
            if let Some(value) = value {
                seat.take(ended.id, variant, value, ended.regarded.clone());
            }
        }
        if self.has_notes || !self.rewards.is_empty() {
            let Ended { id, route, tenant, regarded, episode, .. } = ended;
            self.calls.add(Arm { id, route, variant: variant.clone(), tenant, regarded }, episode);
        }
    }

    /// Writes down what calls said of themselves, then folds it.
    pub(super) fn learn(&mut self) {
        let waiting: Vec<Calls<'_>> = self.seats.iter().filter_map(|(route, seat)| seat.waiting(route)).collect();
        if waiting.is_empty() {
            return;
        }
        let now = self.clock.unix_ms();
        let written = self.log.as_mut().map_or(Ok(()), |log| log.append_calls(now, &waiting));
        self.is_lost = is_lost(&written, self.is_lost);
        self.seats.values_mut().for_each(Seat::fold_waiting);
    }
}

#[cfg(test)]
mod tests;
