//! The cell of an instance: what its store holds. Owns the caps of time, memory, tables, calls to the host, log lines and
//! metrics, and what was heard of the instance; what the contract's imports do with it is in `imports`.

use crate::fault::HostCallsUsedUp;
use crate::limits::Limits;
use crate::reach::Outside;
use crate::shared::Shared;
use crate::ticker::Ticker;
use crate::wasi::Written;
use crate::web::Granted;
use serde::Serialize;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wasmtime::{ResourceLimiter, UpdateDeadline};

/// The longest name of a metric, and the most labels it may have with their lengths.
const NAME_BYTES: usize = 64;
const LABELS: usize = 16;
const LABEL_BYTES: usize = 64;

/// What is kept of an instance's time at most for its own end, where it waits for others.
const TO_END: Duration = Duration::from_secs(1);

/// A line of a plugin's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// `trace`, `debug`, `info`, `warn` or `error`.
    pub level: &'static str,
    /// Its text, without control characters.
    pub text: String,
}

/// How a metric adds up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricKind {
    /// It counts.
    Count,
    /// It stands.
    Gauge,
    /// It is one of many.
    Observation,
}

/// What a plugin said by the interface `metrics`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Metric {
    /// How it adds up.
    pub kind: MetricKind,
    /// Its name, yet without the plugin's.
    pub name: String,
    /// A finite number.
    pub value: f64,
    /// Its labels.
    pub labels: Vec<(String, String)>,
}

/// What was heard of an instance beside its answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Heard {
    /// Its log, the first lines of it.
    pub lines: Vec<Line>,
    /// How many lines more there were.
    pub dropped_lines: u64,
    /// Its metrics, the first of them.
    pub metrics: Vec<Metric>,
    /// How many more there were, or ones that were no metric.
    pub dropped_metrics: u64,
    /// How often it called the host.
    pub host_calls: u32,
    /// The most memory that it had.
    pub memory_bytes: usize,
}

/// The data of a store.
#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) plugin: Arc<str>,
    pub(crate) outside: Outside,
    pub(crate) born: Instant,
    /// What an instance of a filter shares with the others; none of an evaluator.
    pub(crate) shared: Option<Arc<Shared>>,
    /// The servers that it may reach.
    pub(crate) web: Granted,
    limits: Arc<Limits>,
    deadline: Duration,
    /// When what it does now must have ended; never, if that lies beyond all time.
    ends: Option<Instant>,
    has_grace: bool,
    refused: Option<String>,
    heard: Heard,
    /// What it wrote to the standard streams of WASI and has not ended by a line end yet.
    written: Written,
}

impl Cell {
    pub(crate) fn new(plugin: Arc<str>, outside: Outside, limits: Arc<Limits>) -> Self {
        let born = outside.clock.now();
        Self {
            plugin,
            outside,
            born,
            shared: None,
            web: Granted::default(),
            limits,
            deadline: Duration::ZERO,
            ends: None,
            has_grace: false,
            refused: None,
            heard: Heard::default(),
            written: Written::default(),
        }
    }

    /// Something begins that must end within this time, with budgets of its own.
    pub(crate) fn begin(&mut self, deadline: Duration) {
        self.end_lines();
        self.deadline = deadline;
        self.ends = Instant::now().checked_add(deadline);
        self.has_grace = true;
        self.refused = None;
        self.heard.host_calls = 0;
        self.heard.lines.clear();
        self.heard.metrics.clear();
    }

    /// How long what it does now may still take.
    pub(crate) fn left(&self) -> Duration {
        self.ends.map_or(Duration::MAX, |ends| ends.saturating_duration_since(Instant::now()))
    }

    /// What follows when the epoch's deadline is reached. Ticks that come late come many at once, so the time itself is
    /// looked at; and since a thread may have been put aside, it gets one tick more to end by itself.
    pub(crate) fn at_tick(&mut self) -> UpdateDeadline {
        let left = self.left();
        if !left.is_zero() {
            UpdateDeadline::Continue(Ticker::ticks(left))
        } else if std::mem::take(&mut self.has_grace) {
            UpdateDeadline::Continue(1)
        } else {
            UpdateDeadline::Interrupt
        }
    }

    /// How long it may wait for something: what is left of its time, but for what it needs to say how far it came. `None`
    /// where that is nothing.
    pub(crate) fn may_wait(&self) -> Option<Duration> {
        let Some(ends) = self.ends else { return Some(Duration::MAX) };
        let left = ends.checked_duration_since(Instant::now())?;
        left.checked_sub((self.deadline / 10).min(TO_END)).filter(|left| !left.is_zero())
    }

    /// The memory that it has.
    pub(crate) const fn memory_bytes(&self) -> usize {
        self.heard.memory_bytes
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) const fn deadline(&self) -> Duration {
        self.deadline
    }

    /// The memory or the table that was refused, if one was.
    pub(crate) fn refused(&self) -> Option<&str> {
        self.refused.as_deref()
    }

    pub(crate) fn into_heard(mut self) -> Heard {
        self.end_lines();
        self.heard
    }

    /// What it wrote last of what went wrong.
    pub(crate) fn last_words(&self) -> Option<&str> {
        self.written.last_words()
    }

    pub(crate) const fn written(&mut self) -> &mut Written {
        &mut self.written
    }

    /// How long it lives, by the clock that plugins see.
    pub(crate) fn lived_ns(&self) -> u64 {
        let since = self.outside.clock.now().saturating_duration_since(self.born);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }

    /// Counts a call to the host; a trap when there were too many.
    pub(crate) fn count_call(&mut self) -> wasmtime::Result<()> {
        self.heard.host_calls = self.heard.host_calls.saturating_add(1);
        if self.heard.host_calls > self.limits.host_calls {
            return Err(wasmtime::Error::from(HostCallsUsedUp));
        }
        Ok(())
    }

    /// Keeps a log line, cut and without control characters; `None` where it is one too many.
    pub(crate) fn keep_line(&mut self, level: &'static str, text: &str) -> Option<&Line> {
        let is_one_too_many = match &self.shared {
            Some(shared) => !shared.admits_line(&self.outside),
            None => self.heard.lines.len() >= self.limits.log_lines,
        };
        if is_one_too_many {
            self.heard.dropped_lines += 1;
            return None;
        }
        let text = harmless(text, self.limits.log_line_bytes);
        self.heard.lines.push(Line { level, text });
        self.heard.lines.last()
    }

    /// Keeps a metric, if it is one and there is room.
    pub(crate) fn keep_metric(&mut self, metric: Metric) {
        let is_short = |text: &str| text.len() <= LABEL_BYTES && !text.chars().any(char::is_control);
        let is_one = is_metric_name(&metric.name)
            && metric.value.is_finite()
            && metric.labels.len() <= LABELS
            && metric.labels.iter().all(|(name, value)| is_metric_name(name) && is_short(value));
        match &self.shared {
            Some(shared) if is_one => shared.add(metric),
            Some(shared) => shared.drop_metric(),
            None if is_one && self.heard.metrics.len() < self.limits.metrics => self.heard.metrics.push(metric),
            None => self.heard.dropped_metrics += 1,
        }
    }
}

fn is_metric_name(name: &str) -> bool {
    let is_begun = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    is_begun && name.len() <= NAME_BYTES && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// At most `most` bytes of a text of a guest, with spaces for its control characters, so that it cannot forge lines.
pub(crate) fn harmless(text: &str, most: usize) -> String {
    let cut = text.floor_char_boundary(most);
    text[..cut].chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

impl ResourceLimiter for Cell {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let wanted = self.heard.memory_bytes.saturating_add(desired.saturating_sub(current));
        if wanted > self.limits.memory_bytes {
            let most = self.limits.memory_bytes;
            self.refused =
                Some(format!("{wanted} bytes of memory and may have {most}: raise its limit or give it less"));
            return Ok(false);
        }
        self.heard.memory_bytes = wanted;
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        if desired > self.limits.table_elements {
            let most = self.limits.table_elements;
            self.refused = Some(format!("a table of {desired} elements and may have {most}"));
            return Ok(false);
        }
        Ok(true)
    }

    fn instances(&self) -> usize {
        self.limits.modules as usize
    }

    fn tables(&self) -> usize {
        self.limits.tables() as usize
    }

    fn memories(&self) -> usize {
        self.limits.memories() as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell() -> Cell {
        let limits = Limits { log_lines: 2, host_calls: 3, memory_bytes: 100, ..Limits::default() };
        Cell::new("x".into(), Outside::default(), Arc::new(limits))
    }

    #[test]
    fn lines_are_cut_counted_and_cannot_forge_others() {
        let mut cell = cell();
        assert_eq!(cell.keep_line("info", "a\nb\u{1b}c").map(|line| line.text.as_str()), Some("a b c"));
        assert_eq!(cell.keep_line("info", &"ä".repeat(1000)).map(|line| line.text.len()), Some(1024));
        assert_eq!(cell.keep_line("info", "more"), None);
        assert_eq!(cell.into_heard().dropped_lines, 1);
    }

    #[test]
    fn what_is_no_metric_is_only_counted() {
        let mut cell = cell();
        let metric =
            |name: &str, value| Metric { kind: MetricKind::Gauge, name: name.to_owned(), value, labels: vec![] };
        for bad in [metric("a b", 1.0), metric("", 1.0), metric("1a", 1.0), metric("a", f64::NAN)] {
            cell.keep_metric(bad);
        }
        cell.keep_metric(metric("a_1", 1.0));
        let heard = cell.into_heard();
        assert_eq!((heard.metrics.len(), heard.dropped_metrics), (1, 4));
    }

    #[test]
    fn a_deadline_is_by_time_and_has_one_tick_of_grace() {
        let mut cell = cell();
        cell.begin(Duration::from_secs(3600));
        assert!(matches!(cell.at_tick(), UpdateDeadline::Continue(ticks) if ticks > 1000));
        cell.begin(Duration::MAX);
        assert!(matches!(cell.at_tick(), UpdateDeadline::Continue(_)));
        cell.begin(Duration::ZERO);
        assert!(matches!(cell.at_tick(), UpdateDeadline::Continue(1)));
        assert!(matches!(cell.at_tick(), UpdateDeadline::Interrupt));
    }

    #[test]
    fn who_waits_has_time_left_for_his_end() {
        let mut cell = cell();
        let waits = |cell: &Cell| cell.may_wait().map(|time| time.as_millis());
        cell.begin(Duration::from_secs(100));
        assert!(waits(&cell).is_some_and(|ms| (90_000..=99_000).contains(&ms)));
        cell.begin(Duration::from_millis(1000));
        assert!(waits(&cell).is_none_or(|ms| ms <= 900));
        cell.begin(Duration::ZERO);
        assert_eq!(waits(&cell), None);
    }

    #[test]
    fn memory_and_calls_have_an_end() {
        let mut cell = cell();
        assert!(cell.memory_growing(0, 60, None).unwrap() && cell.memory_growing(60, 100, None).unwrap());
        assert!(!cell.memory_growing(100, 101, None).unwrap() && cell.refused().is_some());
        assert!((0..3).all(|_| cell.count_call().is_ok()) && cell.count_call().is_err());
    }
}
