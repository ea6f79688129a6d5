//! What calls leave behind: their records, by the admin interface, and the counts of `/metrics`.

use super::{Client, eventually};
use serde_json::Value;

/// The record of one call, once it is there.
pub(crate) async fn event(admin: &Client, id: &str) -> Value {
    eventually(&format!("the event {id}"), async || {
        let answer = admin.get(&format!("/admin/v1/events/{id}")).await;
        (answer.status() == 200).then(|| answer.json())
    })
    .await
}

/// The newest records, newest first.
pub(crate) async fn newest(admin: &Client, limit: usize) -> Vec<Value> {
    let answer = admin.get(&format!("/admin/v1/events?limit={limit}")).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    answer.json()["data"].as_array().expect("a list").clone()
}

/// The counts of `/metrics`, read at one moment.
pub(crate) struct Counts(String);

impl Counts {
    pub(crate) async fn read(admin: &Client) -> Self {
        let answer = admin.get("/metrics").await;
        assert_eq!(answer.status(), 200, "{}", answer.text());
        Self(answer.text())
    }

    /// The sum of all series of a name.
    pub(crate) fn sum(&self, name: &str) -> f64 {
        let of_name = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        let values: Vec<f64> =
            self.0.lines().filter(of_name).filter_map(|line| line.rsplit(' ').next()?.parse().ok()).collect();
        assert!(!values.is_empty(), "there is no metric {name}");
        values.iter().sum()
    }

    /// One series, by its name and labels.
    pub(crate) fn series(&self, name: &str) -> f64 {
        let line = self.0.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|value| value.trim().parse().ok()).unwrap_or_else(|| panic!("there is no series {name}"))
    }

    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

/// Waits until no call is being served and every one of them is either kept or counted as dropped.
pub(crate) async fn settled(admin: &Client, calls: f64) -> Counts {
    eventually("all calls to be recorded", async || {
        let counts = Counts::read(admin).await;
        let recorded = counts.sum("tidegate_events_total") + counts.sum("tidegate_events_dropped_total");
        (counts.sum("tidegate_calls_total") >= calls && counts.sum("tidegate_in_flight") == 0.0 && recorded >= calls)
            .then_some(counts)
    })
    .await
}
