//! A monitor as JSON, for people and programs. Owns what of it is shown.

use super::Seat;
use crate::monitors::watching::{Record, Watching};
use crate::monitors::window::Past;
use serde_json::{Value, json};
use std::collections::HashSet;
use tidegate_core::port::verdicts::Verdict;
use tidegate_core::spec::{MonitorAction, Watched};
use tidegate_server::observe::monitors::MonitorFigures;

/// So many numbers of a monitor are metrics; of more, those that come first.
const MOST_VALUES: usize = 256;

impl Seat {
    /// In short.
    pub(in crate::monitors) fn line(&self) -> Value {
        let Some(page) = self.shown_by_leader() else { return self.own_line() };
        let names =
            ["object", "name", "plugin", "route", "variant", "state", "says", "reference", "counts", "replicas"];
        names.into_iter().map(|name| (name.to_owned(), page[name].clone())).collect()
    }

    fn own_line(&self) -> Value {
        let spec = &self.spec;
        let verdict = self.verdict();
        let says = match &verdict {
            Verdict::Alarm(says) => Some(says.as_str()),
            Verdict::Well | Verdict::Unknown => None,
        };
        let sum = |of: fn(&Record) -> u64| self.all().map(|(_, record)| of(record)).sum::<u64>();
        json!({
            "object": "monitor",
            "name": spec.name,
            "plugin": spec.plugin,
            "route": spec.route,
            "variant": spec.variant,
            "state": word(&verdict),
            "says": says,
            "reference": self.basis.shown(self.gathered()),
            "counts": {
                "rows": if self.member.is_some() { self.seen() } else { self.counts.rows() },
                "left_out": self.counts.left_out().into_iter().map(|(why, n)| (why.to_owned(), json!(n))).collect::<serde_json::Map<_, _>>(),
                "windows": sum(|record| record.heard),
                "breached": sum(|record| record.breached),
                "failed": sum(|record| record.failed),
                "silent": sum(|record| record.silent),
                "not_judged_in_time": sum(|record| record.left),
            },
            "replicas": self.member.as_ref().map(|member| member.shown()),
        })
    }

    /// How many calls of all replicas came.
    fn seen(&self) -> u64 {
        let of = |watching: &Watching| {
            let (counts, windows) = (watching.windows.counts(), &watching.windows);
            counts.taken + counts.gathered + windows.waiting() as u64
        };
        self.watched.values().map(of).sum()
    }

    /// With all that is known.
    pub(in crate::monitors) fn page(&self) -> Value {
        self.shown_by_leader().unwrap_or_else(|| self.own_page())
    }

    /// What it shows of itself.
    pub(super) fn own_page(&self) -> Value {
        let spec = &self.spec;
        let mut page = self.own_line();
        page["world"] = json!(self.judge.world().to_string());
        page["share"] = json!(spec.share);
        page["fields"] = spec.fields.iter().map(|field| field.name.as_str()).collect();
        page["window"] = json!({
            "size": spec.window.size,
            "every_ms": spec.window.every.map(|every| u64::try_from(every.as_millis()).unwrap_or(u64::MAX)),
            "min": spec.window.min,
        });
        page["alarm"] = json!({"breaches": spec.alarm.breaches, "of": spec.alarm.of});
        page["alert"] = json!(spec.alert);
        page["action"] = match &spec.action {
            MonitorAction::None => json!("none"),
            MonitorAction::Rollback => json!("rollback"),
            MonitorAction::PauseRollout => json!("pause_rollout"),
            MonitorAction::DisableVariant(variant) => json!({"disable_variant": variant}),
        };
        page["watched"] = self.all().map(|(watched, record)| shown(self, watched, record)).collect();
        page
    }

    /// How many calls of how many were gathered, by the version that has most.
    fn gathered(&self) -> Option<(u64, u64)> {
        self.watched.values().filter_map(|watching| watching.windows.gathering()).max()
    }

    /// What is told as metrics.
    pub(in crate::monitors) fn figures(&self) -> MonitorFigures {
        let sum = |of: fn(&Record) -> u64| self.all().map(|(_, record)| of(record)).sum::<u64>();
        let newest = self
            .watched
            .values()
            .filter_map(|watching| watching.record.past.iter().rev().find(|past| past.fault.is_none()));
        let newest = newest.max_by_key(|past| past.end_ms);
        let numbers = newest.into_iter().flat_map(|past| &past.found.measurements);
        let mut names = HashSet::new();
        let values = numbers.filter_map(|one| Some((one.name.clone(), one.value?)));
        // Two series of one name would spoil the whole page.
        let values = values.filter(|(name, _)| names.insert(name.clone())).take(MOST_VALUES).collect();
        MonitorFigures {
            name: self.spec.name.clone(),
            windows: sum(|record| record.heard),
            breached: sum(|record| record.breached),
            failed: sum(|record| record.failed),
            is_alarm: matches!(self.verdict(), Verdict::Alarm(_)),
            rows: self.counts.rows(),
            left: self.counts.left_out().to_vec(),
            values,
        }
    }
}

fn shown(seat: &Seat, watched: &Watched, record: &Record) -> Value {
    let open = seat.watched.get(watched).map(|watching| {
        let (counts, waited) = (watching.windows.counts(), watching.windows.waited());
        json!({
            "rows": watching.windows.rows(), "taken": counts.taken, "gathered": counts.gathered, "late": counts.late,
            "waiting": watching.windows.waiting(), "waited": waited, "bytes": watching.windows.bytes(),
            "last_ms": watching.last_ms,
        })
    });
    let verdict = record.verdict();
    json!({
        "model": watched.model,
        "version": watched.version,
        "state": word(&verdict),
        "says": record.summary,
        "since_ms": record.since_ms,
        "open": open,
        "windows": record.past.iter().map(window).collect::<Vec<_>>(),
    })
}

fn window(past: &Past) -> Value {
    let mut all = json!({
        "id": past.id, "start_ms": past.start_ms, "end_ms": past.end_ms, "rows": past.rows, "fault": past.fault,
        "took_us": past.took_us, "breached": past.found.is_breached(), "measurements": past.found.measurements,
    });
    if !past.found.values.is_empty() {
        all["values"] = json!(past.found.values);
    }
    if let Some(detail) = &past.found.detail {
        all["detail"] = detail.clone();
    }
    if !past.columns.is_null() {
        all["columns"] = past.columns.clone();
    }
    if !past.worst.is_empty() {
        all["worst"] = json!(past.worst);
    }
    all
}

const fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Well => "well",
        Verdict::Alarm(_) => "alarm",
        Verdict::Unknown => "unknown",
    }
}
