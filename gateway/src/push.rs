//! `POST /push`, as a feature server of Feast has it: fresh values go to all views that hear of their source. Owns the request and
//! its answer; who has the values is each view's store.

use crate::wire::views::Rack;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use tidegate_classic::features::fitted;
use tidegate_core::port::BoxFuture;
use tidegate_core::port::features::{FeatureKey, FeatureValue, KeyValue, PushedRow};
use tidegate_core::port::mount::{Content, Door, Frames, Mount, Passage};
use tidegate_core::port::prompts::Reach;
use tidegate_core::spec::{ColumnSpec, KeyKind, KeySpec, PushSpec, StoreSpec, ViewSpec};
use tidegate_core::{Caller, Clock, Fault, FaultKind, Role, moment};
use tidegate_server::mounted::refusal;

const PATH: &str = "/push";
/// The largest body taken.
const LARGEST: usize = 8 << 20;
/// The most rows in one body.
const MOST: usize = 10_000;
/// The longest text taken as a value, in bytes: each is kept in memory.
const MOST_TEXT: usize = 64 << 10;
/// So far ahead of this clock a moment may be, in milliseconds: one that is much later would keep true values out.
const AHEAD: u64 = 5 * 60 * 1000;

/// Takes fresh values of features.
#[derive(Debug)]
pub(crate) struct PushMount {
    views: Arc<Rack>,
    clock: Arc<dyn Clock>,
}

impl PushMount {
    pub(crate) const fn new(views: Arc<Rack>, clock: Arc<dyn Clock>) -> Self {
        Self { views, clock }
    }

    async fn answer(&self, body: Frames) -> Result<Value, Fault> {
        let body = gather(body).await?;
        let wrong = |e| Fault::new(FaultKind::InvalidRequest, format!("the body is no JSON: {e}"));
        let parsed: Value = serde_json::from_slice(&body).map_err(wrong)?;
        let source = parsed["push_source_name"]
            .as_str()
            .ok_or_else(|| Fault::field("push_source_name", "push_source_name is missing: it names what is pushed"))?;
        to_online(parsed.get("to"))?;
        let table = Table::of(parsed.get("df"))?;
        let views = self.views.of_push(source);
        if views.is_empty() {
            let says = "no features hear of this push source: name it in their `push: {source: …}`";
            return Err(Fault::field("push_source_name", says));
        }
        table.all_known(&views.iter().map(|view| view.spec()).collect::<Vec<_>>())?;
        let latest = self.clock.unix_ms().saturating_add(AHEAD);
        // All are read before any is written.
        let read = views.iter().map(|view| table.rows_of(view.spec(), latest)).collect::<Result<Vec<_>, _>>()?;
        let mut pushed = Map::new();
        for (view, rows) in views.iter().zip(read) {
            let newer = view.push(&rows).await?;
            pushed.insert(view.spec().name.to_string(), json!({"rows": rows.len(), "newer": newer}));
        }
        Ok(json!({"object": "push", "views": pushed}))
    }
}

/// Only what is served is here: there is no offline store.
fn to_online(to: Option<&Value>) -> Result<(), Fault> {
    match to.map(|to| to.as_str().unwrap_or_default()) {
        None | Some("online") => Ok(()),
        Some("offline" | "online_and_offline") => {
            Err(Fault::field("to", "this gateway has no offline store: send `\"to\": \"online\"`"))
        }
        Some(_) => Err(Fault::field("to", "to must be `online`")),
    }
}

/// What is pushed: columns of equally many values.
#[derive(Debug)]
struct Table<'a> {
    columns: &'a Map<String, Value>,
    rows: usize,
}

impl<'a> Table<'a> {
    fn of(df: Option<&'a Value>) -> Result<Self, Fault> {
        let shape =
            "df must be an object of lists, one for each column: {\"customer_id\": [1, 2], \"rate\": [0.5, 0.25], …}";
        let columns = df.and_then(Value::as_object).ok_or_else(|| Fault::field("df", shape))?;
        let lengths = columns.values().map(|column| column.as_array().map(Vec::len));
        let mut rows = None;
        for (length, name) in lengths.zip(columns.keys()) {
            let length = length.ok_or_else(|| Fault::field(format!("df.{name}"), shape))?;
            if *rows.get_or_insert(length) != length {
                let says = format!("df.{name} has {length} values, and other columns have {}", rows.unwrap_or(0));
                return Err(Fault::field(format!("df.{name}"), says));
            }
        }
        match rows {
            Some(rows @ 1..=MOST) => Ok(Self { columns, rows }),
            None | Some(0) => Err(Fault::field("df", "df has no rows")),
            Some(rows) => {
                let says = format!("at most {MOST} rows are taken at a time, not {rows}: send several bodies");
                Err(Fault::field("df", says))
            }
        }
    }

    /// A column that nobody knows is most likely misspelt.
    fn all_known(&self, views: &[&ViewSpec]) -> Result<(), Fault> {
        let is_known = |name: &str| {
            views.iter().any(|view| {
                view.keys.iter().any(|key| *key.name == *name)
                    || view.columns.iter().any(|column| *column.feature == *name)
                    || view.push.as_ref().is_some_and(|push| *push.timestamp == *name)
            })
        };
        match self.columns.keys().find(|name| !is_known(name)) {
            None => Ok(()),
            Some(name) => {
                let says = format!("no features that hear of this source have a column `{name}`: leave it out");
                Err(Fault::field(format!("df.{name}"), says))
            }
        }
    }

    fn rows_of(&self, view: &ViewSpec, latest: u64) -> Result<Vec<PushedRow>, Fault> {
        let PushSpec { timestamp, .. } =
            view.push.as_ref().ok_or_else(|| Fault::internal("a view hears of a push without `push`"))?;
        // A row has one time for all its values, and a feature server takes whole rows alone.
        let is_whole = view.max_age.is_some() || matches!(view.store, StoreSpec::Feast { .. });
        let lacks = |column: &&ColumnSpec| !self.columns.contains_key(&*column.feature);
        if let Some(lacking) = view.columns.iter().find(lacks).filter(|_| is_whole) {
            let name = &lacking.feature;
            let says = format!("df.{name} is missing: without it an old value would pass for a fresh one");
            return Err(Fault::field(format!("df.{name}"), says));
        }
        (0..self.rows)
            .map(|row| {
                let key = view.keys.iter().map(|key| self.key(key, row)).collect::<Result<Box<[_]>, _>>()?;
                let values = view.columns.iter().map(|column| self.value(column, row)).collect::<Result<_, _>>()?;
                Ok(PushedRow { key: FeatureKey(key), at: self.moment(timestamp, row, latest)?, values })
            })
            .collect()
    }

    fn cell(&self, name: &str, row: usize) -> Option<&'a Value> {
        self.columns.get(name)?.get(row)
    }

    fn key(&self, key: &KeySpec, row: usize) -> Result<KeyValue, Fault> {
        let name = &key.name;
        let missing = || Fault::field(format!("df.{name}"), format!("df.{name} is missing: it is a join key"));
        let cell = self.cell(name, row).ok_or_else(missing)?;
        let found = match (key.kind, cell) {
            (KeyKind::Text, Value::String(text)) => Some(KeyValue::Text(text.as_str().into())),
            (KeyKind::Int64, cell) => cell.as_i64().map(KeyValue::Integer),
            (KeyKind::Int32, cell) => {
                cell.as_i64().filter(|number| i32::try_from(*number).is_ok()).map(KeyValue::Integer)
            }
            (KeyKind::Text, _) => None,
        };
        found.filter(KeyValue::is_short).ok_or_else(|| {
            let says = format!("df.{name}[{row}] is no value of this join key");
            Fault::field(format!("df.{name}"), says)
        })
    }

    fn value(&self, column: &ColumnSpec, row: usize) -> Result<Option<Option<FeatureValue>>, Fault> {
        let name = &column.feature;
        let Some(cell) = self.cell(name, row) else { return Ok(None) };
        let given = match cell {
            Value::String(text) if text.len() > MOST_TEXT => {
                let says = format!("df.{name}[{row}] is longer than {MOST_TEXT} bytes");
                return Err(Fault::field(format!("df.{name}"), says));
            }
            Value::Null => return Ok(Some(None)),
            Value::Bool(truth) => Some(FeatureValue::Truth(*truth)),
            Value::Number(number) => {
                number.as_i64().map(FeatureValue::Integer).or_else(|| number.as_f64().map(FeatureValue::Number))
            }
            Value::String(text) => Some(FeatureValue::Text(text.as_str().into())),
            Value::Array(_) | Value::Object(_) => None,
        };
        let value = given.and_then(|value| fitted(&value, column.datatype));
        value.map(|value| Some(Some(value))).ok_or_else(|| {
            let says = format!("df.{name}[{row}] is no value of {}", column.datatype);
            Fault::field(format!("df.{name}"), says)
        })
    }

    fn moment(&self, name: &str, row: usize, latest: u64) -> Result<u64, Fault> {
        let wrong = |says: String| Fault::field(format!("df.{name}"), says);
        let cell = self.cell(name, row).ok_or_else(|| {
            wrong(format!("df.{name} is missing: it says since when values are so, as `2026-01-31T12:00:00Z`"))
        })?;
        let at = cell.as_str().and_then(moment::unix_ms);
        let at = at.ok_or_else(|| wrong(format!("df.{name}[{row}] is no moment such as `2026-01-31T12:00:00Z`")))?;
        if at > latest {
            return Err(wrong(format!("df.{name}[{row}] is in the future: no value could replace it until then")));
        }
        Ok(at)
    }
}

impl Mount for PushMount {
    fn find(&self, _: Door, method: &Method, path: &str) -> Passage {
        match (path, method) {
            (PATH, &Method::POST) => Passage::Needs(Role::Write),
            (PATH, _) => Passage::WrongMethod("POST".to_owned()),
            _ => Passage::Nothing,
        }
    }

    fn serve(&self, _: Option<Caller>, _: Reach, request: Request<Frames>) -> BoxFuture<'_, Response<Content>> {
        Box::pin(async move {
            match self.answer(request.into_body()).await {
                Ok(value) => {
                    let mut response = Response::new(Content::Whole(value.to_string().into()));
                    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                    response
                }
                Err(fault) => refusal(&fault),
            }
        })
    }

    fn refuse(&self, fault: &Fault) -> Response<Content> {
        refusal(fault)
    }
}

async fn gather(mut body: Frames) -> Result<Bytes, Fault> {
    let mut all = BytesMut::new();
    while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_next(cx)).await {
        all.extend_from_slice(&frame?);
        if all.len() > LARGEST {
            return Err(Fault::new(FaultKind::TooLarge, "a push is at most 8 MiB long"));
        }
    }
    Ok(all.freeze())
}
