//! Rounds: now and then the store that replicas share is asked for all monitors at once, and its answers are heard. Owns the
//! pace of that, what follows where this replica begins to lead or hears of another's alarm, and what a lost store means.

use super::{Asked, Errand, FORGOTTEN, Worker, alarm, dedup_key, held};
use crate::monitors::deed::Deed;
use crate::monitors::fleet::Replica;
use crate::monitors::seat::Seat;
use crate::monitors::watching::Record;
use std::sync::Arc;
use tidegate_core::MonitorName;
use tidegate_core::port::parcels::{Answer, Ask};
use tidegate_core::port::verdicts::Verdict;
use tidegate_core::spec::{MonitorAction, Watched};

/// How often what came is handed over, in milliseconds: who is killed takes with him what came since.
const PACE_MS: u64 = 1_000;
/// An end of an alarm that is no older is told again by whoever begins to lead, in milliseconds.
const LATELY_MS: u64 = 30_000;

/// When the store is asked, and under which name.
#[derive(Debug)]
pub(super) struct Rounds {
    name: String,
    run: String,
    /// How many monitors began in this run.
    begun: u64,
    next_ms: u64,
    is_asked: bool,
    is_up: bool,
}

impl Rounds {
    pub(super) fn new(name: String, run: &str) -> Self {
        Self { name, run: run.to_owned(), begun: 0, next_ms: 0, is_asked: false, is_up: true }
    }

    /// This replica, for a monitor that begins.
    pub(super) fn replica(&mut self) -> Replica {
        self.begun += 1;
        Replica { name: self.name.clone(), by: format!("{}.{}.{}", self.name, self.run, self.begun) }
    }
}

impl Worker {
    /// The question of this round, where one is due.
    pub(super) fn exchange(&mut self, now: u64) -> Option<Errand> {
        let rounds = self.rounds.as_mut()?;
        let is_pressed =
            || self.seats.values().any(|seat| seat.member.as_ref().is_some_and(|member| member.is_pressed()));
        // While the store is away, nothing is pressing.
        if rounds.is_asked || (now < rounds.next_ms && !(rounds.is_up && is_pressed())) {
            return None;
        }
        rounds.next_ms = now + PACE_MS;
        let (asked, asks) = self.asks(|seat| seat.ask(now));
        let is_asked = !asks.is_empty();
        if let Some(rounds) = &mut self.rounds {
            rounds.is_asked = is_asked;
        }
        is_asked.then_some(Errand::Exchange(asked, asks))
    }

    fn asks(&mut self, of: impl Fn(&mut Seat) -> Option<Ask>) -> (Vec<Asked>, Vec<Ask>) {
        let asks = self.seats.iter_mut().filter_map(|(name, seat)| {
            let ask = of(seat)?;
            Some(((name.clone(), ask.key.clone()), ask))
        });
        asks.unzip()
    }

    /// The last question, before the program ends.
    pub(in crate::monitors) fn last_exchange(&mut self) -> Option<(Vec<Asked>, Vec<Ask>)> {
        // A store that is away keeps nobody from ending.
        self.rounds.as_ref().filter(|rounds| rounds.is_up)?;
        let (asked, asks) = self.asks(Seat::last_ask);
        (!asks.is_empty()).then_some((asked, asks))
    }

    /// These follow from a window of a monitor: at once or, where replicas share it, when the state is stowed that knows why.
    pub(super) fn held_back(&mut self, name: &MonitorName, deeds: Vec<Deed>) -> Vec<Deed> {
        match self.seats.get_mut(name).and_then(|seat| seat.member.as_mut()) {
            Some(member) => {
                member.hold(deeds);
                Vec::new()
            }
            None => deeds,
        }
    }

    /// Hears what the store answered.
    pub(in crate::monitors) fn exchanged(
        &mut self,
        now: u64,
        asked: Vec<Asked>,
        answers: Result<Vec<Answer>, String>,
    ) -> Vec<Errand> {
        if let Some(rounds) = &mut self.rounds {
            rounds.is_asked = false;
            match (&answers, std::mem::replace(&mut rounds.is_up, answers.is_ok())) {
                (Err(why), true) => {
                    tracing::error!(
                        why,
                        "the shared store does not answer: what monitors see waits, and no window ends"
                    );
                }
                (Ok(_), false) => tracing::warn!("the shared store answers again: what monitors saw is handed over"),
                _ => {}
            }
        }
        let mut deeds = Vec::new();
        let mut answers = answers.ok().map(Vec::into_iter);
        for (name, key) in asked {
            let answer = answers.as_mut().map(Iterator::next);
            let Some(mut seat) = self.seats.remove(&name) else { continue };
            // It may be another one meanwhile.
            if seat.member.as_ref().is_some_and(|member| member.key == key) {
                match answer {
                    Some(Some(answer)) => deeds.extend(self.heard(now, &mut seat, answer)),
                    Some(None) | None => seat.cut_off(),
                }
            }
            self.seats.insert(name, seat);
        }
        self.put_up();
        deeds.into_iter().map(Errand::Do).collect()
    }

    /// Hears an answer for one monitor; what follows.
    fn heard(&mut self, now: u64, seat: &mut Seat, answer: Answer) -> Vec<Deed> {
        let (before, led) = (is_alarm(seat), leads(seat));
        let told: Vec<String> = seat.alarms().map(|(watched, _)| dedup_key(&seat.spec, Some(watched))).collect();
        let heard = seat.answered_by_store(now, answer);
        let mut deeds = heard.deeds;
        if led && !leads(seat) && !told.is_empty() {
            deeds.push(Deed::Leave(seat.spec.alert.clone(), told));
        }
        if heard.begins {
            deeds.extend(held(seat, true, now));
            deeds.extend(ended_lately(seat, now));
        }
        for parcel in heard.parcels {
            if let Some(by) = seat.absorb(now, &parcel) {
                tracing::warn!(monitor = %seat.spec.name, by, "a monitor begins anew");
                let over = self.forgotten(seat);
                seat.start_over();
                seat.member.iter_mut().for_each(|member| member.hold(over.clone()));
            }
        }
        if heard.more {
            if let Some(rounds) = &mut self.rounds {
                rounds.next_ms = now;
            }
        } else {
            seat.caught_up(now);
        }
        if !leads(seat) && before != is_alarm(seat) {
            deeds.extend(followed(seat, now));
        }
        deeds
    }
}

/// What another one's alarm, or its end, means here: a variant is closed in each replica. Everything else is his who leads.
pub(super) fn followed(seat: &Seat, now: u64) -> Option<Deed> {
    let MonitorAction::DisableVariant(_) = seat.spec.action else { return None };
    let (firing, says) = match seat.verdict() {
        Verdict::Alarm(says) => (true, says),
        Verdict::Well | Verdict::Unknown => (false, FORGOTTEN.to_owned()),
    };
    let alarm = alarm(&seat.spec, None, firing, (says, now, now), Vec::new());
    Some(Deed::Act(seat.spec.action.clone(), Arc::new(alarm)))
}

/// Ends of alarms that the one who led before may have had no time to tell.
fn ended_lately(seat: &Seat, now: u64) -> Vec<Deed> {
    let had_one = |record: &Record| record.breached >= u64::from(seat.spec.alarm.breaches) && !record.judge.firing();
    let lately = |record: &Record| now.saturating_sub(record.since_ms) < LATELY_MS;
    let ended = seat.all().filter(|(_, record)| had_one(record) && lately(record));
    let tell = |(watched, record): (&Watched, &Record)| {
        let says = (record.summary.clone(), record.since_ms, now);
        Deed::Tell(seat.spec.alert.clone(), Arc::new(alarm(&seat.spec, Some(watched), false, says, Vec::new())))
    };
    ended.map(tell).collect()
}

fn leads(seat: &Seat) -> bool {
    seat.member.as_ref().is_some_and(|member| member.is_leader)
}

fn is_alarm(seat: &Seat) -> bool {
    matches!(seat.verdict(), Verdict::Alarm(_))
}

#[cfg(test)]
mod tests;
