//! Features in a Redis that Feast fills, or `POST /push`. Owns what is asked and what answers mean; the bytes are `feast`'s, the
//! connection is `wire`'s.

use super::wire::RedisWire;
use crate::feast::key::redis_key;
use crate::feast::value::{As, read_timestamp, read_value, write_timestamp, write_value};
use crate::feast::{field, timestamp_field};
use ::redis::Pipeline;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::port::BoxFuture;
use tidegate_core::port::features::{FeatureKey, Features, Found, FoundRow, PushedRow};
use tidegate_core::spec::{ColumnSpec, KeySpec, ViewSpec};
use tidegate_core::{Datatype, Fault, FaultKind};

/// How long a push may take.
const PUSH: Duration = Duration::from_secs(5);
/// So often a row is written again of which somebody else wrote a newer one meanwhile.
const TRIES: usize = 8;
/// See its own words.
const SCRIPT: &str = include_str!("push.lua");

/// The features of a view in Redis.
#[derive(Debug)]
pub struct RedisFeatures {
    wire: Arc<RedisWire>,
    project: Arc<str>,
    keys: Vec<KeySpec>,
    columns: Vec<ColumnSpec>,
    fields: Vec<[u8; 4]>,
    time: String,
}

/// A row of a hash: the values in the order of the columns, then the time.
type Cells = Vec<Option<Vec<u8>>>;

impl RedisFeatures {
    /// The features of `view`, as Feast's feature view `of` in `project` has them.
    #[must_use]
    pub fn new(wire: Arc<RedisWire>, view: &ViewSpec, project: &Arc<str>, of: &str) -> Self {
        Self {
            wire,
            project: Arc::clone(project),
            keys: view.keys.clone(),
            columns: view.columns.clone(),
            fields: view.columns.iter().map(|column| field(of, &column.feature)).collect(),
            time: timestamp_field(of),
        }
    }

    fn key(&self, key: &FeatureKey) -> Vec<u8> {
        redis_key(&self.keys, key, &self.project)
    }

    async fn found(&self, keys: &[FeatureKey], within: Duration) -> Result<Vec<FoundRow>, Fault> {
        let mut pipe = Pipeline::with_capacity(keys.len());
        for key in keys {
            let asked = pipe.cmd("HMGET").arg(self.key(key));
            for field in &self.fields {
                asked.arg(field);
            }
            asked.arg(&self.time);
        }
        let answers: Vec<Cells> = self.wire.ask(&pipe, within).await?;
        Ok(answers.iter().map(|cells| self.row(cells)).collect())
    }

    fn row(&self, cells: &[Option<Vec<u8>>]) -> FoundRow {
        let at = cells.last().and_then(|time| read_timestamp(time.as_deref()?).ok());
        let found = |(column, cell): (&ColumnSpec, &Option<Vec<u8>>)| {
            let value = cell.as_deref().map_or(Ok(None), read_value).unwrap_or_else(|why| {
                tracing::debug!(feature = %column.feature, %why, "a feature cannot be served");
                None
            });
            Found { value, at }
        };
        self.columns.iter().zip(cells).map(found).collect()
    }

    async fn pushed(&self, rows: &[PushedRow]) -> Result<usize, Fault> {
        let mut left: Vec<&PushedRow> = rows.iter().collect();
        let mut written = 0;
        for _ in 0..TRIES {
            let known = self.times(&left).await?;
            // A time that nobody can read is older than any.
            let is_newer = |(row, known): &(&PushedRow, Vec<u8>)| {
                known.is_empty() || read_timestamp(known).ok().is_none_or(|at| row.at > at)
            };
            let newer = in_turn(left.into_iter().zip(known).filter(is_newer).collect());
            if newer.is_empty() {
                return Ok(written);
            }
            let done = self.written(&newer).await?;
            written += done.iter().filter(|done| **done).count();
            left = newer.iter().zip(&done).filter(|(_, done)| !**done).map(|((row, _), _)| *row).collect();
            if left.is_empty() {
                return Ok(written);
            }
        }
        Err(Fault::new(FaultKind::Conflict, "others write the same features all the time: push again"))
    }

    /// Since when the features of these rows are so, as it stands there; nothing where there are none.
    async fn times(&self, rows: &[&PushedRow]) -> Result<Vec<Vec<u8>>, Fault> {
        let mut pipe = Pipeline::with_capacity(rows.len());
        for row in rows {
            pipe.cmd("HGET").arg(self.key(&row.key)).arg(&self.time);
        }
        let times: Vec<Option<Vec<u8>>> = self.wire.ask(&pipe, PUSH).await?;
        Ok(times.into_iter().map(Option::unwrap_or_default).collect())
    }

    /// Writes rows over what was known of them; which of them were.
    async fn written(&self, rows: &[(&PushedRow, Vec<u8>)]) -> Result<Vec<bool>, Fault> {
        let mut pipe = Pipeline::with_capacity(rows.len());
        for (row, known) in rows {
            let script = pipe.cmd("EVAL").arg(SCRIPT).arg(1).arg(self.key(&row.key)).arg(&self.time).arg(&known[..]);
            script.arg(&self.time).arg(write_timestamp(row.at));
            for ((value, field), column) in row.values.iter().zip(&self.fields).zip(&self.columns) {
                if let Some(value) = value {
                    script.arg(field).arg(write_value(value.as_ref(), written_as(column.datatype)));
                }
            }
        }
        let done: Vec<i64> = self.wire.ask(&pipe, PUSH).await?;
        Ok(done.into_iter().map(|one| one == 1).collect())
    }
}

/// Rows in the order of their times, each of which expects what the one before it of the same entity writes: scripts of one
/// pipeline run one after another. Of equal times the first stays.
fn in_turn(mut rows: Vec<(&PushedRow, Vec<u8>)>) -> Vec<(&PushedRow, Vec<u8>)> {
    rows.sort_by_key(|(row, _)| row.at);
    let mut last: HashMap<&FeatureKey, u64> = HashMap::new();
    rows.retain_mut(|(row, known)| match last.get(&row.key) {
        Some(at) if *at >= row.at => false,
        before => {
            if let Some(at) = before {
                *known = write_timestamp(*at);
            }
            last.insert(&row.key, row.at);
            true
        }
    });
    rows
}

const fn written_as(datatype: Datatype) -> As {
    match datatype {
        Datatype::Bool => As::Truth,
        Datatype::Int32 => As::Int32,
        Datatype::Fp32 => As::Float,
        Datatype::Fp64 => As::Double,
        Datatype::Bytes => As::Text,
        _ => As::Int64,
    }
}

impl Features for RedisFeatures {
    fn look_up<'a>(&'a self, keys: &'a [FeatureKey], within: Duration) -> BoxFuture<'a, Result<Vec<FoundRow>, Fault>> {
        Box::pin(self.found(keys, within))
    }

    fn push<'a>(&'a self, rows: &'a [PushedRow]) -> BoxFuture<'a, Result<usize, Fault>> {
        Box::pin(self.pushed(rows))
    }
}
