//! A feature server of Feast (`feast serve`): `POST /get-online-features` for reading, `POST /push` for fresh values. Owns both
//! bodies and the answer, as Feast 0.67 has them.

use super::{Means, PUSH, Server, found, json, key, senseless};
use crate::BuildFault;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::port::BoxFuture;
use tidegate_core::port::features::{FeatureKey, Features, FoundRow, PushedRow};
use tidegate_core::spec::{OpenAiSpec, ViewSpec};
use tidegate_core::{Fault, FaultKind, moment};

/// Features at a server of Feast.
#[derive(Debug)]
pub struct FeastFeatures {
    server: Server,
    keys: Vec<Arc<str>>,
    /// As Feast calls them: `view:feature`, and in its answer `view__feature`.
    features: Vec<(String, String)>,
    /// What the store calls them.
    columns: Vec<Arc<str>>,
    push: Option<(Arc<str>, Arc<str>)>,
}

impl FeastFeatures {
    /// The features of `view`, as Feast's feature view `of` has them, at a server; connects to nothing.
    ///
    /// # Errors
    /// As of any provider.
    pub fn build(view: &ViewSpec, spec: &OpenAiSpec, of: &str, means: Means<'_>) -> Result<Self, BuildFault> {
        let columns = view.columns.iter().map(|column| Arc::clone(&column.feature)).collect::<Vec<_>>();
        Ok(Self {
            server: Server::build(&view.name, spec, means)?,
            keys: view.keys.iter().map(|key| Arc::clone(&key.name)).collect(),
            features: columns.iter().map(|name| (format!("{of}:{name}"), format!("{of}__{name}"))).collect(),
            columns,
            push: view.push.as_ref().map(|push| (Arc::clone(&push.source), Arc::clone(&push.timestamp))),
        })
    }

    fn asked(&self, keys: &[FeatureKey]) -> Value {
        let column = |(at, name): (usize, &Arc<str>)| {
            let values = keys.iter().map(|row| row.0.get(at).map_or(Value::Null, key)).collect();
            (name.to_string(), Value::Array(values))
        };
        let entities: Map<String, Value> = self.keys.iter().enumerate().map(column).collect();
        let features: Vec<&String> = self.features.iter().map(|(asked, _)| asked).collect();
        json!({"features": features, "entities": entities, "full_feature_names": true})
    }

    fn read(&self, body: &Bytes, rows: usize) -> Result<Vec<FoundRow>, Fault> {
        let answer = json(body)?;
        let names = answer["metadata"]["feature_names"].as_array().ok_or_else(|| senseless("it names no features"))?;
        let results = answer["results"].as_array().ok_or_else(|| senseless("it has no results"))?;
        let places = self.features.iter().map(|(_, name)| {
            let place = names.iter().position(|known| known.as_str() == Some(name));
            let column = place
                .and_then(|place| results.get(place))
                .filter(|column| column["values"].as_array().is_some_and(|values| values.len() == rows));
            column.ok_or_else(|| senseless(format!("it lacks `{name}`, or some of its values")))
        });
        let columns = places.collect::<Result<Vec<_>, _>>()?;
        let cell = |column: &Value, row: usize| {
            let is_there = column["statuses"].get(row).is_none_or(|status| status != "NOT_FOUND");
            found(column["values"].get(row).filter(|_| is_there), column["event_timestamps"].get(row))
        };
        Ok((0..rows).map(|row| columns.iter().map(|column| cell(column, row)).collect()).collect())
    }

    /// Feast takes tables whose columns are all there, so rows go by the columns that they have.
    fn pushed(&self, rows: &[&PushedRow], source: &str, timestamp: &str) -> Result<Value, Fault> {
        let mut table: Map<String, Value> = Map::new();
        for (at, name) in self.keys.iter().enumerate() {
            let values = rows.iter().map(|row| row.key.0.get(at).map_or(Value::Null, key)).collect();
            table.insert(name.to_string(), Value::Array(values));
        }
        for (at, name) in self.columns.iter().enumerate() {
            let values = rows.iter().map(|row| row.values.get(at).cloned().flatten().map(|value| json!(value)));
            let Some(values) = values.collect::<Option<Vec<Value>>>() else {
                let says = format!("the column `{name}` is missing: Feast takes whole rows");
                return Err(Fault::field(format!("df.{name}"), says));
            };
            table.insert(name.to_string(), Value::Array(values));
        }
        let times = rows.iter().map(|row| Value::from(moment::text(row.at))).collect();
        table.insert(timestamp.to_owned(), Value::Array(times));
        Ok(json!({"push_source_name": source, "df": table, "to": "online"}))
    }

    async fn push(&self, rows: &[PushedRow]) -> Result<usize, Fault> {
        let Some((source, timestamp)) = &self.push else {
            return Err(Fault::new(FaultKind::InvalidRequest, "nothing is pushed to this view: set `push` in it"));
        };
        let all: Vec<&PushedRow> = rows.iter().collect();
        let body = self.pushed(&all, source, timestamp)?;
        self.server.ask("/push", &body, PUSH, |_| Ok(())).await?;
        // It does not say which were newer.
        Ok(rows.len())
    }
}

impl Features for FeastFeatures {
    fn look_up<'a>(&'a self, keys: &'a [FeatureKey], within: Duration) -> BoxFuture<'a, Result<Vec<FoundRow>, Fault>> {
        Box::pin(async move {
            let body = self.asked(keys);
            self.server.ask("/get-online-features", &body, within, |body| self.read(&body, keys.len())).await
        })
    }

    fn push<'a>(&'a self, rows: &'a [PushedRow]) -> BoxFuture<'a, Result<usize, Fault>> {
        Box::pin(self.push(rows))
    }
}

#[cfg(test)]
pub(super) mod tests;
