//! `features`: the features of each kind of entity, in which store they are, and how they are looked up and served.

use super::Desk;
use super::provider::{self, OpenAiFile};
use super::shared;
use crate::place::Place;
use crate::report::Notes;
use crate::scalar::{At, Count, Flaw, Scalar, Span, Text};
use crate::shape::{Item, Map, Placed as _, choice, record};
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::Datatype;
use tidegate_core::port::features::FeatureValue;
use tidegate_core::spec::{CacheSpec, ColumnSpec, KeyKind, KeySpec, OnStale, PushSpec, StoreSpec, ViewSpec};

/// How long a look-up may take where nothing is said.
const DEADLINE: Duration = Duration::from_millis(50);
/// So many entities are remembered where nothing is said.
const ENTRIES: usize = 10_000;
/// More would be a store of its own.
const MOST_ENTRIES: usize = 10_000_000;
/// More features are not looked up in one question.
const MOST_COLUMNS: usize = 1024;
/// The column that says since when a pushed row is so, as Feast's examples call it.
const TIMESTAMP: &str = "event_timestamp";

record! {
    /// The features of one kind of entity.
    ViewFile {
        required {
            /// What an entity is found by: the names of its join keys, and what they are.
            keys: Map<At<KeyKind>>,
            /// The features, by the names under which the model gets them.
            columns: Map<ColumnFile>,
            /// Where they are.
            store: FeatureStoreFile,
        }
        optional {
            /// How old they may be; any age by default.
            max_age: At<Span>,
            /// What becomes of older ones; `default` by default.
            on_stale: OnStaleFile,
            /// How long a look-up may take; 50ms by default. Then defaults are served, and calls refused for what has none.
            deadline: At<Span>,
            /// How long what was found is found again without asking; not at all by default.
            cache: FeatureCacheFile,
            /// How fresh values are pushed (`POST /push`); not at all by default.
            push: PushFile,
        }
    }
}

record! {
    /// A feature.
    ColumnFile {
        required {
            /// What the model gets it as.
            datatype: At<ColumnType>,
        }
        optional {
            /// What stands for a value that is not there, is too old or cannot be looked up in time. A call is refused where
            /// one without a default lacks.
            default: At<Plain>,
            /// What the store calls it; by default as the model does.
            feature: At<Text>,
        }
    }
}

choice! {
    /// Where features are.
    FeatureStoreFile {
        maps {
            /// A Redis, in the layout of Feast's online store (entity keys of version 3).
            Redis(RedisFile) = "redis",
            /// A feature server of Feast.
            Feast(Box<FeastFile>) = "feast",
            /// Tecton's API.
            Tecton(Box<TectonFile>) = "tecton",
            /// A Parquet file, read into memory.
            Parquet(ParquetFile) = "parquet",
        }
    }
}

record! {
    /// A Redis that Feast fills.
    RedisFile {
        required {
            /// Its address, `redis://:PASSWORD@HOST:PORT/DATABASE`, `rediss://…` for TLS.
            url: At<Text>,
            /// Feast's project.
            project: At<Text>,
        }
        optional {
            /// Feast's feature view; by default called as this entry.
            view: At<Text>,
        }
    }
}

record! {
    /// A feature server of Feast.
    FeastFile {
        required {
            /// Where it is.
            server: OpenAiFile,
        }
        optional {
            /// Feast's feature view; by default called as this entry.
            view: At<Text>,
        }
    }
}

record! {
    /// Tecton's API.
    TectonFile {
        required {
            /// Where it is, and its key: `auth: {header: {authorization: "Tecton-key ${env:KEY}"}}`.
            server: OpenAiFile,
            /// The workspace.
            workspace: At<Text>,
            /// The feature service.
            service: At<Text>,
        }
    }
}

record! {
    /// A Parquet file.
    ParquetFile {
        required {
            /// The file, of 64 MiB at most. It is read again when it changes; pushed values are gone then.
            file: At<Text>,
        }
        optional {
            /// The column that says since when a row is so. Without one nobody knows how old values are, and of several rows
            /// of an entity the last one counts.
            timestamp: At<Text>,
        }
    }
}

choice! {
    /// What becomes of values that are too old.
    OnStaleFile {
        words {
            /// The default is served; a call is refused for one that has none.
            Default = "default",
            /// The call is refused.
            Refuse = "refuse",
            /// They are served all the same, and the record says so.
            Flag = "flag",
        }
    }
}

record! {
    /// How long what was found is found again without asking.
    FeatureCacheFile {
        required {
            /// So long.
            ttl: At<Span>,
        }
        optional {
            /// Of so many entities at most; 10000 by default.
            entries: At<Count>,
        }
    }
}

record! {
    /// How fresh values are pushed.
    PushFile {
        required {
            /// The `push_source_name`; several views may hear of one.
            source: At<Text>,
        }
        optional {
            /// The column that says since when a row is so; `event_timestamp` by default.
            timestamp: At<Text>,
        }
    }
}

impl Scalar for KeyKind {
    const WHAT: &'static str = "one of int32, int64 and string";

    fn parse(text: &str) -> Result<Self, Flaw> {
        match text {
            "int32" => Ok(Self::Int32),
            "int64" => Ok(Self::Int64),
            "string" => Ok(Self::Text),
            _ => Err(Flaw::default().mend("write `int64`, `int32` or `string`, as the store has the key")),
        }
    }

    fn schema() -> schemars::Schema {
        schemars::json_schema!({"enum": ["int32", "int64", "string"]})
    }
}

/// A value of whatever type, as it is written.
#[derive(Debug, Clone)]
pub(crate) struct Plain(String);

impl Scalar for Plain {
    const WHAT: &'static str = "a number, a text, `true` or `false`";

    fn parse(text: &str) -> Result<Self, Flaw> {
        Ok(Self(text.to_owned()))
    }

    fn schema() -> schemars::Schema {
        schemars::json_schema!({"type": ["number", "string", "boolean"]})
    }
}

/// What a model gets a feature as.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ColumnType(Datatype);

const TYPES: [Datatype; 6] =
    [Datatype::Bool, Datatype::Int32, Datatype::Int64, Datatype::Fp32, Datatype::Fp64, Datatype::Bytes];

impl Scalar for ColumnType {
    const WHAT: &'static str = "one of BOOL, INT32, INT64, FP32, FP64 and BYTES";

    fn parse(text: &str) -> Result<Self, Flaw> {
        let found = TYPES.into_iter().find(|datatype| datatype.name() == text);
        found.map(Self).ok_or_else(|| Flaw::default().mend("write `FP32` for numbers, `BYTES` for texts"))
    }

    fn schema() -> schemars::Schema {
        schemars::json_schema!({"enum": TYPES.map(Datatype::name)})
    }
}

/// The view of an entry.
pub(crate) fn check(item: Item<ViewFile>, desk: &mut Desk<'_>) -> Option<ViewSpec> {
    let name = super::name(&item.name, &item.at, desk);
    let raw = item.value?;
    let at = raw.at().clone();
    let has_age = raw.here().has("max_age");
    if !has_age && raw.here().has("on_stale") {
        desk.notes
            .fault(&at, "`on_stale` can never apply: values of any age are served")
            .remedy("add `max_age: 1h`, or leave `on_stale` out");
    }
    let keys = raw.keys.map(|keys| self::keys(keys, &at, desk.notes));
    let columns = raw.columns.map(|columns| self::columns(columns, &at, desk.notes));
    if let Some(keys) = &keys {
        for twice in columns.iter().flatten().filter(|column| keys.iter().any(|key| key.name == column.name)) {
            desk.notes
                .fault(&at, format!("`{}` is a join key and a feature", twice.name))
                .remedy("call the feature otherwise, and write what the store calls it: `feature: NAME`");
        }
    }
    let store = raw.store.and_then(|store| self::store(store, &item.name, &item.at, has_age, desk));
    let push = raw.push.and_then(|push| self::push(push, store.as_ref(), &at, desk.notes));
    Some(ViewSpec {
        name: name?,
        keys: keys?,
        columns: columns?,
        store: store?,
        max_age: raw.max_age.map(|age| age.value.0),
        on_stale: match raw.on_stale {
            None | Some(OnStaleFile::Default) => OnStale::Default,
            Some(OnStaleFile::Refuse) => OnStale::Refuse,
            Some(OnStaleFile::Flag) => OnStale::Flag,
        },
        deadline: raw.deadline.map_or(DEADLINE, |deadline| deadline.value.0),
        cache: raw.cache.and_then(|cache| self::cache(cache, desk.notes)),
        push,
    })
}

fn keys(raw: Map<At<KeyKind>>, at: &Place, notes: &mut Notes) -> Vec<KeySpec> {
    if raw.0.is_empty() {
        notes.fault(at, "an entity is found by one join key at least").remedy("write `keys: {customer_id: int64}`");
    }
    let key = |item: Item<At<KeyKind>>| Some(KeySpec { name: item.name.into(), kind: item.value?.value });
    raw.0.into_iter().filter_map(key).collect()
}

fn columns(raw: Map<ColumnFile>, at: &Place, notes: &mut Notes) -> Vec<ColumnSpec> {
    if raw.0.is_empty() {
        notes
            .fault(at, "a view has one feature at least")
            .remedy("write `columns: {rate: {datatype: FP32, default: 0}}`");
    }
    if raw.0.len() > MOST_COLUMNS {
        notes
            .fault(at, format!("a view has {MOST_COLUMNS} features at most, and this one has {}", raw.0.len()))
            .remedy("make several views of it");
    }
    raw.0.into_iter().filter_map(|item| column(item, notes)).collect()
}

fn column(item: Item<ColumnFile>, notes: &mut Notes) -> Option<ColumnSpec> {
    let raw = item.value?;
    let datatype = raw.datatype?.value.0;
    let name: Arc<str> = item.name.into();
    let default = raw.default.and_then(|given| default(&given, datatype, notes));
    let feature = raw.feature.map_or_else(|| Arc::clone(&name), |given| given.value.0.into());
    Some(ColumnSpec { name, feature, datatype, default })
}

/// A default as a value of the column's type.
fn default(given: &At<Plain>, datatype: Datatype, notes: &mut Notes) -> Option<FeatureValue> {
    let text = given.value.0.as_str();
    let found = match datatype {
        Datatype::Bool => text.parse().ok().map(FeatureValue::Truth),
        Datatype::Int32 => text.parse::<i32>().ok().map(|number| FeatureValue::Integer(number.into())),
        Datatype::Int64 => text.parse().ok().map(FeatureValue::Integer),
        // What models of trees read as a missing value.
        Datatype::Fp32 | Datatype::Fp64 if text == "nan" => Some(FeatureValue::Number(f64::NAN)),
        Datatype::Fp32 | Datatype::Fp64 => {
            text.parse().ok().filter(|number: &f64| number.is_finite()).map(FeatureValue::Number)
        }
        _ => Some(FeatureValue::Text(text.into())),
    };
    if found.is_none() {
        notes
            .fault(&given.at, format!("the default is no value of {datatype}"))
            .remedy("write one of that type, `nan` for a number that is missing, or leave it out");
    }
    found
}

fn store(raw: FeatureStoreFile, name: &str, at: &Place, has_age: bool, desk: &mut Desk<'_>) -> Option<StoreSpec> {
    let of = |given: Option<At<Text>>| -> Arc<str> { given.map_or_else(|| name.into(), |given| given.value.0.into()) };
    match raw {
        FeatureStoreFile::Redis(raw) => {
            let url = raw.url.and_then(|url| shared::redis(&url, desk));
            Some(StoreSpec::Redis { url: url?, project: raw.project?.value.0.into(), view: of(raw.view) })
        }
        FeatureStoreFile::Feast(raw) => {
            let server = provider::open_ai(raw.server?, at, desk)?;
            Some(StoreSpec::Feast { server: Box::new(server), view: of(raw.view) })
        }
        FeatureStoreFile::Tecton(raw) => {
            let server = provider::open_ai(raw.server?, at, desk);
            let (workspace, service) = (raw.workspace?.value.0.into(), raw.service?.value.0.into());
            Some(StoreSpec::Tecton { server: Box::new(server?), workspace, service })
        }
        FeatureStoreFile::Parquet(raw) => {
            if has_age && !raw.here().has("timestamp") {
                desk.notes
                    .fault(raw.at(), "nobody knows how old these values are, and `max_age` goes by that")
                    .remedy("add `timestamp: COLUMN`, or leave `max_age` out");
            }
            let given = raw.file?;
            let file = desk.path(&given.value);
            match desk.attach(&file) {
                Ok(sha256) => {
                    let timestamp = raw.timestamp.map(|given| given.value.0.into());
                    Some(StoreSpec::Parquet { file, sha256, timestamp })
                }
                Err(why) => {
                    desk.notes
                        .fault(&given.at, format!("the features {} cannot be read: {why}", file.display()))
                        .remedy("a path is relative to the folder of the configuration");
                    None
                }
            }
        }
    }
}

fn cache(raw: FeatureCacheFile, notes: &mut Notes) -> Option<CacheSpec> {
    let entries = raw.entries.map_or(ENTRIES, |given| {
        let entries = given.value.size();
        if entries > MOST_ENTRIES {
            let note = notes.fault(&given.at, format!("{entries} is more than {MOST_ENTRIES}"));
            note.remedy(format!("write {MOST_ENTRIES} at most"));
        }
        entries
    });
    Some(CacheSpec { ttl: raw.ttl?.value.0, entries })
}

fn push(raw: PushFile, store: Option<&StoreSpec>, at: &Place, notes: &mut Notes) -> Option<PushSpec> {
    if matches!(store, Some(StoreSpec::Tecton { .. })) {
        notes
            .fault(at, "Tecton takes fresh values by its own ingest API: this can never apply")
            .remedy("leave `push` out");
    }
    let timestamp = raw.timestamp.map_or_else(|| TIMESTAMP.into(), |given| given.value.0.into());
    Some(PushSpec { source: raw.source?.value.0.into(), timestamp })
}
