//! What one alert still has to tell, and when what is sent. Pure: time comes in, deliveries go out. Owns the order (what has
//! one `dedup_key` is told in the order in which it came, a begin before its end, also where the end is known already), the
//! waits between tries, when telling is given up, and that an alarm is told again where its receiver forgets it otherwise.

use super::verdict::Verdict;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidegate_core::port::alerts::Alarm;

/// The most that waits.
const MOST: usize = 1000;
/// The wait before the second try; doubled with each.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest of these waits.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// When a delivery is given up.
const GIVEN_UP: Duration = Duration::from_secs(3600);
/// The wait after an alarm that is told again could not be.
const BEAT_AGAIN: Duration = Duration::from_secs(15);

/// One thing to tell.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    /// Names it in each try.
    pub(super) id: String,
    /// What.
    pub(super) alarm: Arc<Alarm>,
    /// Whether it was told before, and is only told again.
    pub(super) is_beat: bool,
    born: Instant,
    due: Instant,
    tries: u32,
}

/// What is to be done.
#[derive(Debug)]
pub(super) enum Next {
    /// This is to be told now.
    Send(Delivery),
    /// Nothing until then, unless something comes.
    Wait(Instant),
    /// Nothing until something comes.
    Idle,
}

/// What a try came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// It is told.
    Delivered,
    /// It was refused for good.
    Refused,
    /// It is given up.
    Expired,
    /// It is tried again after this.
    Again(Duration),
    /// It was no delivery but an alarm told again.
    Beat,
}

/// An alarm that lasts.
#[derive(Debug)]
struct Beat {
    alarm: Arc<Alarm>,
    due: Instant,
}

/// What one alert still has to tell.
#[derive(Debug)]
pub(super) struct Backlog {
    /// What waits, by its `dedup_key`; no line is empty.
    lines: BTreeMap<String, VecDeque<Delivery>>,
    /// How much waits or is under way.
    count: usize,
    /// How often alarms that last are told again, where they are.
    every: Option<Duration>,
    beats: BTreeMap<String, Beat>,
    /// The receiver wants nothing before this.
    not_before: Option<Instant>,
}

impl Backlog {
    /// An empty one. With `every`, alarms that last are told again so often.
    pub(super) const fn new(every: Option<Duration>) -> Self {
        Self { lines: BTreeMap::new(), count: 0, every, beats: BTreeMap::new(), not_before: None }
    }

    /// Takes one more; false where too much waits.
    pub(super) fn take(&mut self, id: String, alarm: Arc<Alarm>, now: Instant) -> bool {
        let alarm = self.note(alarm, now);
        if self.count >= MOST {
            return false;
        }
        self.count += 1;
        let line = self.lines.entry(alarm.dedup_key.clone()).or_default();
        line.push_back(Delivery { id, alarm, is_beat: false, born: now, due: now, tries: 0 });
        true
    }

    /// Notes an alarm that lasts, or is over. What it is the alarm of stays what it was at its begin: by that a receiver
    /// knows its end.
    fn note(&mut self, alarm: Arc<Alarm>, now: Instant) -> Arc<Alarm> {
        let Some(every) = self.every else { return alarm };
        let known = self.beats.remove(&alarm.dedup_key);
        let alarm = match known {
            None => alarm,
            Some(Beat { alarm: began, .. }) => Arc::new(Alarm {
                monitor: began.monitor.clone(),
                route: began.route.clone(),
                variant: began.variant.clone(),
                model: began.model.clone(),
                model_version: began.model_version,
                since_ms: began.since_ms,
                ..(*alarm).clone()
            }),
        };
        if alarm.firing {
            self.beats.insert(alarm.dedup_key.clone(), Beat { alarm: Arc::clone(&alarm), due: now + every });
        }
        alarm
    }

    /// This alarm is not told again as long as it lasts: others do that.
    pub(super) fn forget(&mut self, dedup_key: &str) {
        self.beats.remove(dedup_key);
    }

    /// What is to be done at `now`. What is to be sent is out until it is settled.
    pub(super) fn next(&mut self, now: Instant) -> Next {
        if let Some(until) = self.not_before.filter(|until| *until > now) {
            return Next::Wait(until);
        }
        let first = self.lines.iter().filter_map(|(key, line)| Some((line.front()?.due, key))).min();
        let beat = self.beats.iter().filter(|(key, _)| !self.lines.contains_key(*key));
        let beat = beat.map(|(key, beat)| (beat.due, key)).min();
        match (first, beat) {
            (Some((due, key)), _) if due <= now => {
                let key = key.clone();
                self.pop(&key).map_or(Next::Idle, Next::Send)
            }
            (_, Some((due, key))) if due <= now => {
                let key = key.clone();
                self.beat(&key, now).map_or(Next::Idle, Next::Send)
            }
            (None, None) => Next::Idle,
            (first, beat) => {
                let dues = first.into_iter().chain(beat).map(|(due, _)| due);
                dues.min().map_or(Next::Idle, Next::Wait)
            }
        }
    }

    fn pop(&mut self, key: &str) -> Option<Delivery> {
        let line = self.lines.get_mut(key)?;
        let delivery = line.pop_front();
        if line.is_empty() {
            self.lines.remove(key);
        }
        delivery
    }

    fn beat(&mut self, key: &str, now: Instant) -> Option<Delivery> {
        let every = self.every?;
        let beat = self.beats.get_mut(key)?;
        beat.due = now + every;
        let alarm = Arc::clone(&beat.alarm);
        Some(Delivery { id: String::new(), alarm, is_beat: true, born: now, due: now, tries: 0 })
    }

    /// Says what became of what was sent. `jitter` is from `[0, 1)`.
    pub(super) fn settle(&mut self, delivery: Delivery, verdict: &Verdict, now: Instant, jitter: f64) -> Settled {
        if let Verdict::Again(_, Some(asked)) = verdict {
            self.not_before = Some(now + *asked);
        }
        if let Verdict::Refused(_) = verdict {
            self.beats.remove(&delivery.alarm.dedup_key);
        }
        if delivery.is_beat {
            if let (Verdict::Again(..), Some(beat)) = (verdict, self.beats.get_mut(&delivery.alarm.dedup_key)) {
                beat.due = now + BEAT_AGAIN.mul_f64(0.5 + jitter);
            }
            return Settled::Beat;
        }
        self.count = self.count.saturating_sub(1);
        match verdict {
            Verdict::Told(_) => Settled::Delivered,
            Verdict::Refused(_) => Settled::Refused,
            Verdict::Again(_, asked) => {
                let doubled = FIRST_WAIT.saturating_mul(1 << delivery.tries.min(16)).min(LONGEST_WAIT);
                let wait = doubled.mul_f64(0.5 + jitter).max(asked.unwrap_or_default());
                if now + wait >= delivery.born + GIVEN_UP {
                    return Settled::Expired;
                }
                self.count += 1;
                let key = delivery.alarm.dedup_key.clone();
                let again = Delivery { due: now + wait, tries: delivery.tries + 1, ..delivery };
                self.lines.entry(key).or_default().push_front(again);
                Settled::Again(wait)
            }
        }
    }

    /// Whether nothing waits and nothing is under way.
    pub(super) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How much waits or is under way.
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// Tells alarms that last so often from now on, or not at all.
    pub(super) fn tell_again(&mut self, every: Option<Duration>) {
        self.every = every;
        if every.is_none() {
            self.beats.clear();
        }
    }
}

#[cfg(test)]
mod tests;
