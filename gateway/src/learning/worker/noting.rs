//! What nobody learns from: labels and demonstrations. Owns when one is late, and that they go when the records of their day
//! do.

use super::{Worker, is_lost};
use crate::learning::saying::{kept, not_kept, note, once};
use std::time::Duration;
use tidegate_core::Fault;
use tidegate_core::port::learning::{Feedback, Kept, Noted, Taken};
use tidegate_storage::StoreFault;

/// How long after its call it is not late: as long as a reward counts where nothing is said.
const WINDOW: Duration = Duration::from_secs(7 * 24 * 3600);
const DAY_MS: u64 = 86_400_000;

impl Worker {
    /// Knows the keys again under which notes were taken.
    pub(super) fn restore_notes(&mut self) -> Result<(), StoreFault> {
        let Some(notes) = self.notes.take() else { return Ok(()) };
        notes.read(|entry| {
            if let Some(once) = entry.once {
                self.keys.add(once);
            }
        })?;
        self.notes = Some(notes);
        Ok(())
    }

    /// Takes a label or a demonstration; `None` where its call is not known.
    pub(super) fn take_note(&mut self, feedback: &Feedback, looks: bool) -> Result<Option<Taken>, Fault> {
        self.has_notes = true;
        let once = once(feedback);
        let was_known = self.keys.knows(once.as_ref())?;
        let Some(newest) = self.newest(feedback, looks) else { return Ok(None) };
        let at = self.clock.unix_ms();
        let is_late = u128::from(at.saturating_sub(newest)) > WINDOW.as_millis();
        let entry = note(feedback, self.content, at, is_late, once.clone());
        let is_kept = entry.as_ref().filter(|_| self.notes.is_some());
        let noted = Some(Noted { kept: is_kept.map_or(Kept::Nothing, |entry| kept(&entry.said)), is_late });
        if let (false, Some(entry), Some(notes)) = (was_known, entry, &mut self.notes) {
            let written = notes.append(at, &[entry], true);
            self.is_lost = is_lost(&written, self.is_lost);
            if self.is_lost {
                return Err(not_kept());
            }
        }
        if let Some(once) = once.filter(|_| !was_known) {
            self.keys.add(once);
        }
        if !was_known {
            self.pass_on(feedback, looks);
        }
        Ok(Some(Taken { learnt: Vec::new(), was_known, noted, is_passed_on: false }))
    }

    /// Drops, once a day, the notes whose records have gone.
    pub(super) fn tidy(&mut self) {
        let now = self.clock.unix_ms();
        if self.tidied == now / DAY_MS {
            return;
        }
        self.tidied = now / DAY_MS;
        if let (Some(notes), Some(retention)) = (&self.notes, self.retention)
            && let Err(fault) = notes.expire(now, retention)
        {
            tracing::warn!(%fault, "notes past their retention could not be deleted");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learning::told::Board;
    use crate::replay::testing::{Call, Shop};
    use crate::rollouts::Rollouts;
    use std::sync::{Arc, Mutex};
    use std::time::SystemTime;
    use tidegate_core::clock::ManualClock;
    use tidegate_core::port::learning::{About, Giver, Saying};
    use tidegate_core::port::verdicts::NoVerdicts;
    use tidegate_core::port::watcher::{Afterwards, Later};
    use tidegate_core::{Clock, FaultKind, InferenceId, Tenant};
    use tidegate_storage::notes::notes_at;

    fn worker(shop: &Shop, now_ms: u64) -> Worker {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(SystemTime::UNIX_EPOCH + Duration::from_millis(now_ms)));
        let rollouts = Arc::new(Rollouts::new(None, Arc::new(NoVerdicts), Arc::clone(&clock), None));
        Worker::open(None, Some(shop.folder()), clock, rollouts, Arc::new(Board::new(false))).unwrap()
    }

    fn label(about: About, class: &str, key: Option<&str>) -> Feedback {
        let by = Giver { id: "k".parse().unwrap(), principal: "ann".parse().unwrap(), tenant: "red".parse().unwrap() };
        Feedback { about, said: Saying::Label("topic".parse().unwrap(), class.into()), key: key.map(Into::into), by }
    }

    #[test]
    fn a_label_is_late_after_a_week_and_known_again_after_a_start() {
        let shop = Shop::new();
        let call = Call { episode: Some("e"), tenant: Some("red"), ..Call::at(1_000) };
        shop.called(std::slice::from_ref(&call));
        let week = 7 * DAY_MS;
        let taken =
            |now: u64, about: About, class: &str| worker(&shop, now).take(&label(about, class, Some("k")), true);
        let one = taken(1_000 + week, About::Inference(call.id()), "billing").unwrap().unwrap();
        let noted = Noted { kept: Kept::Full, is_late: false };
        assert_eq!(one, Taken { learnt: vec![], was_known: false, noted: Some(noted), is_passed_on: false });
        let again = taken(1_001 + week, About::Inference(call.id()), "billing").unwrap().unwrap();
        assert_eq!(
            again,
            Taken {
                learnt: vec![],
                was_known: true,
                noted: Some(Noted { is_late: true, ..noted }),
                is_passed_on: false
            }
        );
        let other = taken(1_001, About::Inference(call.id()), "another").map_err(|fault| fault.kind);
        assert_eq!(other, Err(FaultKind::Conflict));
        let mut all = Vec::new();
        notes_at(shop.folder()).read(|entry| all.push(entry)).unwrap();
        assert_eq!((all.len(), all[0].late), (1, false));
    }

    #[test]
    fn an_episode_is_found_among_the_records_and_another_tenants_is_not() {
        let shop = Shop::new();
        let of = |tenant, episode| Call { tenant, episode: Some(episode), ..Call::at(1_000) };
        shop.called(&[of(Some("red"), "ours"), Call { at: 2_000, ..of(Some("blue"), "theirs") }]);
        let knows = |episode: &str, looks| {
            let feedback = label(About::Episode(episode.into()), "x", None);
            worker(&shop, 3_000).take(&feedback, looks).unwrap().is_some()
        };
        assert!(knows("ours", true) && !knows("ours", false));
        assert!(!knows("theirs", true) && !knows("nobody's", true));
    }

    /// Keeps what it is told.
    #[derive(Debug, Default)]
    struct Ear(Mutex<Vec<(InferenceId, Later)>>);

    impl Afterwards for Ear {
        fn awaits(&self, _: &Later) -> bool {
            true
        }

        fn said(&self, call: InferenceId, later: Later) {
            self.0.lock().unwrap().push((call, later));
        }

        fn said_elsewhere(&self, _: InferenceId, _: &Tenant, _: Later) -> bool {
            false
        }
    }

    #[test]
    fn a_label_of_an_episode_is_passed_on_to_each_of_its_own_calls_once() {
        let shop = Shop::new();
        let of = |at, tenant| Call { tenant, episode: Some("e"), ..Call::at(at) };
        let calls = [of(1_000, Some("red")), of(1_500, Some("blue")), of(2_000, Some("red"))];
        shop.called(&calls);
        let ear = Arc::new(Ear::default());
        let mut worker = worker(&shop, 3_000);
        worker.afterwards = Some(Arc::<Ear>::clone(&ear));
        for _ in 0..2 {
            worker.take(&label(About::Episode("e".into()), "x", Some("k")), true).unwrap().unwrap();
        }
        let told = std::mem::take(&mut *ear.0.lock().unwrap());
        let later = || Later::Label("topic".parse().unwrap(), "x".into());
        assert_eq!(told, [(calls[0].id(), later()), (calls[2].id(), later())]);
        worker.take(&label(About::Inference(calls[2].id()), "y", None), true).unwrap().unwrap();
        assert_eq!(ear.0.lock().unwrap().len(), 1);
    }

    #[test]
    fn notes_go_when_records_do() {
        let shop = Shop::new();
        let call = Call { tenant: Some("red"), ..Call::at(1_000) };
        shop.called(std::slice::from_ref(&call));
        worker(&shop, 2_000).take(&label(About::Inference(call.id()), "x", None), true).unwrap().unwrap();
        let left = |now: u64, retention: Option<Duration>| {
            let mut worker = worker(&shop, now);
            worker.retention = retention;
            worker.tidy();
            let mut left = 0;
            notes_at(shop.folder()).read(|_| left += 1).unwrap();
            left
        };
        let month = Some(Duration::from_millis(30 * DAY_MS));
        assert_eq!((left(99 * DAY_MS, None), left(31 * DAY_MS - 1, month), left(31 * DAY_MS, month)), (1, 1, 0));
    }
}
