//! Tecton's HTTP API: `get-features` for one entity, `get-features-batch` for up to ten. Owns the bodies and the answers, as
//! Tecton documents them (docs.tecton.ai/http-api) and its clients have them (tests/golden/peers/tecton.json): integers come as texts,
//! names as `view.feature`.

use super::{Means, Server, found, json, senseless};
use crate::BuildFault;
use bytes::Bytes;
use futures_util::future::try_join_all;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::port::BoxFuture;
use tidegate_core::port::features::{FeatureKey, Features, Found, FoundRow, PushedRow};
use tidegate_core::spec::{OpenAiSpec, ViewSpec};
use tidegate_core::{Fault, FaultKind};

const ONE: &str = "/api/v1/feature-service/get-features";
const SEVERAL: &str = "/api/v1/feature-service/get-features-batch";
/// So many entities one question may be about.
const MOST: usize = 10;
/// Requests that are under way at the same time for one call.
const AT_ONCE: usize = 8;

/// Features at Tecton.
#[derive(Debug)]
pub struct TectonFeatures {
    server: Server,
    workspace: Arc<str>,
    service: Arc<str>,
    keys: Vec<Arc<str>>,
    features: Vec<Arc<str>>,
}

impl TectonFeatures {
    /// The features of `view` from a feature service; connects to nothing.
    ///
    /// # Errors
    /// As of any provider.
    pub fn build(
        view: &ViewSpec,
        spec: &OpenAiSpec,
        (workspace, service): (&Arc<str>, &Arc<str>),
        means: Means<'_>,
    ) -> Result<Self, BuildFault> {
        Ok(Self {
            server: Server::build(&view.name, spec, means)?,
            workspace: Arc::clone(workspace),
            service: Arc::clone(service),
            keys: view.keys.iter().map(|key| Arc::clone(&key.name)).collect(),
            features: view.columns.iter().map(|column| Arc::clone(&column.feature)).collect(),
        })
    }

    fn asked(&self, keys: &[FeatureKey]) -> Value {
        let join = |key: &FeatureKey| -> Map<String, Value> {
            // Whole numbers go as texts, too.
            self.keys
                .iter()
                .zip(&key.0)
                .map(|(name, value)| (name.to_string(), Value::from(value.to_string())))
                .collect()
        };
        let mut params = json!({
            "workspaceName": *self.workspace,
            "featureServiceName": *self.service,
            "metadataOptions": {
                "includeNames": true, "includeDataTypes": true, "includeEffectiveTimes": true, "includeServingStatus": true,
            },
        });
        if let [one] = keys {
            params["joinKeyMap"] = Value::Object(join(one));
        } else {
            let rows: Vec<Value> = keys.iter().map(|key| json!({"joinKeyMap": join(key)})).collect();
            params["requestData"] = Value::Array(rows);
        }
        json!({"params": params})
    }

    fn read(&self, body: &Bytes, rows: usize) -> Result<Vec<FoundRow>, Fault> {
        let answer = json(body)?;
        let metas = answer["metadata"]["features"].as_array().ok_or_else(|| senseless("it names no features"))?;
        let vectors: Vec<&Value> = match &answer["result"] {
            Value::Array(all) => all.iter().collect(),
            one => vec![one],
        };
        if vectors.len() != rows {
            return Err(senseless(format!("it has {} vectors for {rows} entities", vectors.len())));
        }
        // A service may name a feature by its view, or by its own name.
        let place = |feature: &Arc<str>| {
            let is_it =
                |name: &str| name == &**feature || name.rsplit_once('.').is_some_and(|(_, own)| own == &**feature);
            metas
                .iter()
                .position(|meta| meta["name"].as_str().is_some_and(is_it))
                .ok_or_else(|| senseless(format!("the feature service `{}` has no feature `{feature}`", self.service)))
        };
        let places = self.features.iter().map(place).collect::<Result<Vec<_>, _>>()?;
        let row = |vector: &Value| {
            let values = vector["features"].as_array().filter(|values| values.len() == metas.len());
            let values =
                values.ok_or_else(|| senseless("a vector has another number of values than there are names"))?;
            Ok(places.iter().map(|place| typed(values.get(*place), &metas[*place])).collect())
        };
        vectors.into_iter().map(row).collect()
    }

    async fn found(&self, keys: &[FeatureKey], within: Duration) -> Result<Vec<FoundRow>, Fault> {
        let parts: Vec<&[FeatureKey]> = keys.chunks(MOST).collect();
        let mut rows = Vec::with_capacity(keys.len());
        // Not all at once: they would only wait for each other.
        for some in parts.chunks(AT_ONCE) {
            let asked = try_join_all(some.iter().map(|part| self.part(part, within))).await?;
            rows.extend(asked.into_iter().flatten());
        }
        Ok(rows)
    }

    /// What is found of as many as one request may ask for.
    async fn part(&self, part: &[FeatureKey], within: Duration) -> Result<Vec<FoundRow>, Fault> {
        let path = if part.len() == 1 { ONE } else { SEVERAL };
        self.server.ask(path, &self.asked(part), within, |body| self.read(&body, part.len())).await
    }
}

/// A value by what its feature is said to be: texts are how Tecton writes whole numbers of 64 bits.
fn typed(value: Option<&Value>, meta: &Value) -> Found {
    let is_whole = meta["dataType"]["type"] == "int64";
    let whole = value.filter(|_| is_whole).and_then(Value::as_str).and_then(|text| text.parse::<i64>().ok());
    let whole = whole.map(Value::from);
    found(whole.as_ref().or(value), meta.get("effectiveTime"))
}

impl Features for TectonFeatures {
    fn look_up<'a>(&'a self, keys: &'a [FeatureKey], within: Duration) -> BoxFuture<'a, Result<Vec<FoundRow>, Fault>> {
        Box::pin(self.found(keys, within))
    }

    fn push<'a>(&'a self, _: &'a [PushedRow]) -> BoxFuture<'a, Result<usize, Fault>> {
        let says = "Tecton takes fresh values by its own ingest API: push there";
        Box::pin(async move { Err(Fault::new(FaultKind::InvalidRequest, says)) })
    }
}

#[cfg(test)]
mod tests;
