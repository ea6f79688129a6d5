//! What callers say of calls goes on to those who watch calls. Owns what of it does where the call is another replica's.

use super::Worker;
use tidegate_core::port::learning::{About, Feedback, Saying, Taken};
use tidegate_core::port::watcher::Later;

impl Worker {
    /// Passes on what was said, of an episode to each of its calls.
    pub(super) fn pass_on(&self, feedback: &Feedback, looks: bool) {
        let (Some(afterwards), Some(later)) = (&self.afterwards, later(&feedback.said)) else { return };
        if !afterwards.awaits(&later) {
            return;
        }
        for call in self.ids(feedback, looks) {
            afterwards.said(call, later.clone());
        }
    }

    /// Passes on what was said of a call that is not known here, where somebody waits for it who may know the call of another
    /// replica. What routes here learn from is not: it would be lost for them, so whoever says it has to hear that.
    pub(super) fn pass_elsewhere(&self, feedback: &Feedback) -> Option<Taken> {
        let (Some(afterwards), About::Inference(call)) = (&self.afterwards, &feedback.about) else { return None };
        if let Saying::Reward(name, value) = &feedback.said {
            let is_one = self.rewards.get(name).is_some_and(|spec| super::check(spec, &feedback.about, *value).is_ok());
            let learns = self.seats.values().any(|seat| seat.learned.reward.name() == name.as_str());
            if !is_one || learns {
                return None;
            }
        }
        let is_passed_on = afterwards.said_elsewhere(*call, &feedback.by.tenant, later(&feedback.said)?);
        is_passed_on.then(|| Taken { learnt: Vec::new(), was_known: false, noted: None, is_passed_on })
    }
}

fn later(said: &Saying) -> Option<Later> {
    match said {
        Saying::Reward(name, value) => Some(Later::Reward(name.clone(), *value)),
        Saying::Label(name, class) => Some(Later::Label(name.clone(), std::sync::Arc::clone(class))),
        Saying::Demonstration(_) => None,
    }
}
