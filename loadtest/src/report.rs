//! What a run came to: counts and latencies, as one line of JSON.

use crate::client::{Outcome, Served};
use crate::histogram::Histogram;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The sums of a run.
#[derive(Debug, Default)]
pub(crate) struct Report {
    outcomes: BTreeMap<String, u64>,
    first: Histogram,
    total: Histogram,
    late: u64,
}

/// A call that was sent this long after it should have been was sent late: the sender, not the gateway, was the limit.
const LATE: Duration = Duration::from_millis(5);

impl Report {
    /// Takes one call in, whose intended time was `intended` and which was really sent at `sent`.
    pub(crate) fn add(&mut self, intended: Instant, sent: Instant, served: Served) {
        let name = match served.outcome {
            Outcome::Whole => "ok".to_owned(),
            Outcome::Left => "left".to_owned(),
            Outcome::Refused(status) => format!("status_{status}"),
            Outcome::Short => "short".to_owned(),
            Outcome::Broken => "broken".to_owned(),
        };
        *self.outcomes.entry(name).or_default() += 1;
        self.late += u64::from(sent.saturating_duration_since(intended) > LATE);
        if served.outcome == Outcome::Whole {
            self.total.add(micros(served.over.saturating_duration_since(intended)));
        }
        if let (Some(first), Outcome::Whole | Outcome::Left) = (served.first, served.outcome) {
            self.first.add(micros(first.saturating_duration_since(intended)));
        }
    }

    /// How many calls ended in any other way than wanted.
    pub(crate) fn failed(&self) -> u64 {
        self.outcomes.iter().filter(|(name, _)| !matches!(name.as_str(), "ok" | "left")).map(|(_, count)| count).sum()
    }

    /// As JSON; `took` is the length of the run.
    pub(crate) fn to_json(&self, took: Duration) -> Value {
        let calls: u64 = self.outcomes.values().sum();
        json!({
            "calls": calls, "outcomes": self.outcomes, "failed": self.failed(), "sent_late": self.late,
            "seconds": took.as_secs_f64(), "per_second": calls as f64 / took.as_secs_f64().max(f64::EPSILON),
            "first_byte_us": spread(&self.first), "total_us": spread(&self.total),
        })
    }
}

fn spread(histogram: &Histogram) -> Value {
    let q = |q| histogram.quantile(q);
    json!({"count": histogram.total(), "p50": q(0.5), "p90": q(0.9), "p99": q(0.99), "p999": q(0.999), "max": histogram.greatest()})
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latency_counts_from_the_intended_time() {
        let intended = Instant::now();
        let sent = intended + Duration::from_millis(20);
        let mut report = Report::default();
        let over = sent + Duration::from_millis(1);
        report.add(intended, sent, Served { outcome: Outcome::Whole, first: Some(over), over });
        report.add(intended, intended, Served { outcome: Outcome::Refused(503), first: None, over });
        let json = report.to_json(Duration::from_secs(1));
        assert_eq!(json["total_us"]["max"], 21_000);
        assert_eq!(
            (json["sent_late"].clone(), json["failed"].clone(), json["outcomes"]["status_503"].clone()),
            (json!(1), json!(1), json!(1))
        );
    }
}
