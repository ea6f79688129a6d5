//! Features as of the calls that labels are about. Owns the rule of it, pure: the row of a label has what its call was served, and,
//! of what that call did not look up, what an earlier call of the same episode was served last. Nothing in a row is newer than its
//! call: what a store had from the future then is left out, and the row says so.

use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tidegate_core::served::{ServedFeature, ServedView};
use tidegate_core::{Event, InferenceId, Tenant};

/// Something that a caller said.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Said {
    /// When, in milliseconds since 1970.
    pub(super) at: u64,
    /// The call, where it is about one.
    pub(super) id: Option<InferenceId>,
    /// The episode, where it is about one.
    pub(super) episode: Option<Arc<str>>,
    /// For whom he spoke.
    pub(super) tenant: Option<Tenant>,
    /// Of what it says something: `label_NAME` or `reward_NAME`.
    pub(super) column: String,
    /// What.
    pub(super) value: Value,
}

/// What is said of calls and episodes, and the calls of those episodes so far.
#[derive(Debug, Default)]
pub(super) struct Labels {
    of_calls: HashMap<InferenceId, Vec<Said>>,
    of_episodes: HashMap<Arc<str>, Vec<Said>>,
    calls: HashMap<Arc<str>, Vec<Event>>,
    unclear: usize,
}

impl Labels {
    pub(super) fn new(said: impl IntoIterator<Item = Said>) -> Self {
        let mut all = Self::default();
        for one in said {
            match (one.id, &one.episode) {
                (Some(id), _) => all.of_calls.entry(id).or_default().push(one),
                (None, Some(episode)) => all.of_episodes.entry(Arc::clone(episode)).or_default().push(one),
                (None, None) => {}
            }
        }
        all
    }

    /// How much was said so far of calls of several rows, of which nobody knows which is meant. It stands beside none.
    pub(super) const fn unclear(&self) -> usize {
        self.unclear
    }

    /// The row of a call, where it is known by now: what is said of its episode may be about a later one.
    pub(super) fn take(&mut self, event: Event) -> Vec<Map<String, Value>> {
        if let Some(episode) = event.episode.as_ref().filter(|episode| self.of_episodes.contains_key(*episode)) {
            self.calls.entry(Arc::clone(episode)).or_default().push(event);
            return Vec::new();
        }
        match self.of_calls.get(&event.id) {
            Some(said) if has_several(&event) => {
                self.unclear += said.len();
                Vec::new()
            }
            Some(said) => vec![row(&event, &[], &said.iter().collect::<Vec<_>>())],
            None => Vec::new(),
        }
    }

    /// The rows of all calls of episodes that something is said of, in the order of time.
    pub(super) fn rest(&mut self) -> Vec<Map<String, Value>> {
        let mut found = Vec::new();
        for (episode, mut calls) in std::mem::take(&mut self.calls) {
            calls.sort_by_key(|event| (event.unix_ms, event.id));
            let mut about: BTreeMap<usize, Vec<&Said>> = BTreeMap::new();
            for said in self.of_episodes.get(&episode).into_iter().flatten() {
                // The last call before it was said: what came later cannot be what it is about.
                let is_it =
                    |event: &Event| event.unix_ms <= said.at && is_of(said.tenant.as_ref(), event.tenant.as_ref());
                if let Some(place) = calls.iter().rposition(is_it) {
                    about.entry(place).or_default().push(said);
                }
            }
            for (place, event) in calls.iter().enumerate() {
                for said in self.of_calls.get(&event.id).into_iter().flatten() {
                    about.entry(place).or_default().push(said);
                }
            }
            for (place, said) in about {
                let (before, rest) = calls.split_at(place);
                match rest.first() {
                    Some(event) if has_several(event) => self.unclear += said.len(),
                    Some(event) => found.push((event.unix_ms, event.id, row(event, before, &said))),
                    None => {}
                }
            }
        }
        found.sort_by_key(|(at, id, _)| (*at, *id));
        found.into_iter().map(|(.., row)| row).collect()
    }
}

/// Whether a call was about several rows.
fn has_several(event: &Event) -> bool {
    event.features.iter().any(|view| view.rows > 1 || view.served.len() > 1)
}

fn is_of(said: Option<&Tenant>, called: Option<&Tenant>) -> bool {
    match (said, called) {
        (Some(said), Some(called)) => said == called,
        _ => true,
    }
}

/// The row of a call about which this was said; `before` are the earlier calls of its episode.
fn row(event: &Event, before: &[Event], said: &[&Said]) -> Map<String, Value> {
    let mut said: Vec<&&Said> = said.iter().collect();
    // Of two that say of the same, the later one counts.
    said.sort_by_key(|one| one.at);
    let mut out = about(event);
    for one in &said {
        out.insert(one.column.clone(), one.value.clone());
        out.insert(format!("{}__at", one.column), json!(one.at));
    }
    for view in &event.features {
        for (name, feature) in view.served.first().into_iter().flat_map(|served| &served.features) {
            put(&mut out, &column(view, name), feature, event.unix_ms);
        }
    }
    fill(&mut out, before, event);
    out
}

/// What a row says of its call.
fn about(event: &Event) -> Map<String, Value> {
    let text = |name: Option<&dyn std::fmt::Display>| name.map_or(Value::Null, |name| json!(name.to_string()));
    let mut out = Map::new();
    out.insert("id".to_owned(), json!(event.id));
    out.insert("unix_ms".to_owned(), json!(event.unix_ms));
    out.insert("route".to_owned(), text(event.route.as_ref().map(|name| name as _)));
    out.insert("variant".to_owned(), text(event.variant.as_ref().map(|name| name as _)));
    out.insert("model".to_owned(), text(event.model.as_ref().map(|name| name as _)));
    out.insert("model_version".to_owned(), json!(event.model_version));
    out.insert("episode".to_owned(), json!(event.episode));
    out
}

/// What earlier calls were served of columns that this one did not look up, the newest first. Of a call of several rows nobody knows
/// which of them is meant.
fn fill(out: &mut Map<String, Value>, before: &[Event], event: &Event) {
    for earlier in before.iter().rev().filter(|earlier| earlier.tenant == event.tenant) {
        for view in &earlier.features {
            let [served] = &*view.served else { continue };
            for (name, feature) in &served.features {
                let column = column(view, name);
                if !out.contains_key(&column) {
                    put(out, &column, feature, earlier.unix_ms);
                }
            }
        }
    }
}

fn column(view: &ServedView, feature: &str) -> String {
    format!("{}__{feature}", view.view)
}

/// Puts what was served into a row, unless it is newer than the call that it was served to.
fn put(out: &mut Map<String, Value>, column: &str, feature: &ServedFeature, called: u64) {
    let is_newer = feature.at.is_some_and(|at| at > called);
    let value = feature.value.as_ref().filter(|_| !is_newer);
    out.insert(column.to_owned(), json!(value));
    out.insert(format!("{column}__at"), json!(feature.at.filter(|_| !is_newer)));
    let lacks = if is_newer { json!("newer") } else { json!(feature.lacks) };
    out.insert(format!("{column}__lacks"), lacks);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tidegate_core::port::features::FeatureValue;
    use tidegate_core::served::ServedRow;

    fn event(n: u64, at: u64, episode: Option<&str>, features: &[(&str, i64, u64)]) -> Event {
        let features: BTreeMap<Arc<str>, ServedFeature> = features
            .iter()
            .map(|(name, value, since)| {
                let value = Some(FeatureValue::Integer(*value));
                ((*name).into(), ServedFeature { value, at: Some(*since), ..ServedFeature::default() })
            })
            .collect();
        let view = ServedView {
            view: "v".parse().unwrap(),
            rows: 1,
            us: 1,
            failed: None,
            served: vec![ServedRow { features, ..ServedRow::default() }],
        };
        let id = InferenceId::from_parts(at, n, n);
        let mut event: Event = serde_json::from_value(json!({
            "id": id, "unix_ms": at, "api": "predict", "config": "c", "episode": episode, "tenant": "t", "stream": false,
            "outcome": "ok", "status": 200, "request_bytes": 1, "answer_bytes": 2, "total_us": 1,
        }))
        .unwrap();
        event.features = vec![view];
        event
    }

    fn label(at: u64, id: Option<InferenceId>, episode: Option<&str>, class: u64) -> Said {
        Said {
            at,
            id,
            episode: episode.map(Into::into),
            tenant: Some("t".parse().unwrap()),
            column: "label_fraud".to_owned(),
            value: json!(class),
        }
    }

    #[test]
    fn a_label_of_a_call_has_what_that_call_was_served() {
        let (one, other) = (event(1, 100, None, &[("a", 7, 90), ("b", 8, 101)]), event(2, 200, None, &[("a", 9, 150)]));
        let mut labels = Labels::new([label(500, Some(one.id), None, 0), label(400, Some(one.id), None, 1)]);
        let rows = labels.take(one);
        assert!(labels.take(other).is_empty(), "nothing is said of it");
        let [row] = &*rows else { panic!("{rows:?}") };
        assert_eq!((&row["label_fraud"], &row["label_fraud__at"]), (&json!(0), &json!(500)), "the later one counts");
        assert_eq!((&row["v__a"], &row["v__a__at"], &row["v__a__lacks"]), (&json!(7), &json!(90), &Value::Null));
        assert_eq!(
            (&row["v__b"], &row["v__b__at"], &row["v__b__lacks"]),
            (&Value::Null, &Value::Null, &json!("newer"))
        );
    }

    #[test]
    fn a_label_of_a_call_of_several_rows_stands_beside_none() {
        let mut several = event(1, 100, None, &[("a", 7, 90)]);
        several.features[0].rows = 3;
        let mut of_episode = event(2, 200, Some("e"), &[("a", 9, 150)]);
        of_episode.features[0].rows = 2;
        let said = [label(500, Some(several.id), None, 0), label(500, None, Some("e"), 1)];
        let mut labels = Labels::new(said);
        assert!(labels.take(several).is_empty() && labels.take(of_episode).is_empty());
        assert!(labels.rest().is_empty());
        assert_eq!(labels.unclear(), 2);
    }

    #[test]
    fn a_label_of_an_episode_is_about_its_last_call_before() {
        let calls = [
            event(1, 100, Some("e"), &[("a", 1, 50), ("c", 5, 60)]),
            event(2, 200, Some("e"), &[("a", 2, 150)]),
            event(3, 300, Some("e"), &[("a", 3, 250)]),
        ];
        let mut labels = Labels::new([label(250, None, Some("e"), 1), label(99, None, Some("e"), 0)]);
        for call in calls {
            assert!(labels.take(call).is_empty());
        }
        let rows = labels.rest();
        let [row] = &*rows else { panic!("{rows:?}") };
        assert_eq!((&row["unix_ms"], &row["v__a"], &row["v__c"]), (&json!(200), &json!(2), &json!(5)));
    }

    proptest! {
        /// Whatever the times of calls, values and labels are: nothing in a row is newer than its call, its call is not newer than the
        /// label of an episode, and values are those that a walk through all calls finds.
        #[test]
        fn nothing_is_newer_than_the_call_of_its_label(
            calls in prop::collection::vec((0u64..100, 0usize..3, prop::collection::vec((0usize..3, 0u64..120), 0..3)), 1..25),
            said in prop::collection::vec((0u64..150, any::<bool>(), 0usize..25), 0..20),
        ) {
            let episodes = [None, Some("x"), Some("y")];
            let names = ["a", "b", "c"];
            let mut events: Vec<Event> = Vec::new();
            for (n, (at, episode, features)) in calls.iter().enumerate() {
                let features: Vec<(&str, i64, u64)> =
                    features.iter().enumerate().map(|(nth, (name, since))| (names[*name], (n * 10 + nth) as i64, *since)).collect();
                events.push(event(n as u64, *at, episodes[*episode], &features));
            }
            let said: Vec<Said> = said.iter().enumerate().map(|(n, (at, is_of_call, which))| {
                let event = &events[which % events.len()];
                match (is_of_call, &event.episode) {
                    (false, Some(episode)) => label(*at, None, Some(episode), n as u64),
                    _ => label(*at, Some(event.id), None, n as u64),
                }
            }).collect();
            let mut labels = Labels::new(said.clone());
            let mut rows: Vec<Map<String, Value>> = events.iter().flat_map(|event| labels.take(event.clone())).collect();
            rows.extend(labels.rest());
            // Nothing that was said of a call is lost.
            for one in said.iter().filter(|one| one.id.is_some()) {
                prop_assert!(rows.iter().any(|row| row["id"] == json!(one.id)), "{one:?}");
            }
            for row in &rows {
                let called = row["unix_ms"].as_u64().unwrap();
                let mine = events.iter().find(|event| json!(event.id) == row["id"]).unwrap();
                for (name, value) in row {
                    let since = name.strip_suffix("__at").filter(|stem| stem.starts_with("v__")).and(value.as_u64());
                    prop_assert!(since.is_none_or(|since| since <= called), "{row:?}");
                }
                // A label of an episode is never of before its call.
                let of = said.iter().filter(|one| json!(one.at) == row["label_fraud__at"] && one.value == row["label_fraud"]);
                for one in of {
                    prop_assert!(one.id == Some(mine.id) || (one.episode == mine.episode && mine.unix_ms <= one.at));
                }
                for name in names {
                    let served = |event: &Event| event.features[0].served[0].features.get(name).cloned();
                    let is_earlier = |event: &&Event| {
                        event.episode == mine.episode && (event.unix_ms, event.id) < (mine.unix_ms, mine.id)
                    };
                    let is_deferred = mine.episode.as_ref().is_some_and(|episode| said.iter().any(|one| one.episode.as_ref() == Some(episode)));
                    let mut earlier: Vec<&Event> = events.iter().filter(is_earlier).filter(|_| is_deferred).collect();
                    earlier.sort_by_key(|event| (event.unix_ms, event.id));
                    let from = std::iter::once(mine).chain(earlier.into_iter().rev()).find(|event| served(event).is_some());
                    let wanted = from.and_then(|event| {
                        let feature = served(event)?;
                        feature.value.filter(|_| feature.at.is_none_or(|at| at <= event.unix_ms))
                    });
                    prop_assert_eq!(row.get(&format!("v__{name}")).cloned().unwrap_or_default(), json!(wanted));
                }
            }
        }
    }
}
