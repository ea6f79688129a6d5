//! Features of a Parquet file, held in memory, and fresh ones over them. Owns reading the file by the view's declaration, and that
//! of an entity the newest row counts; a look-up touches no disk.

use arrow::array::{Array as _, ArrayRef, AsArray as _};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit, TimestampMillisecondType};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;
use tidegate_core::port::BoxFuture;
use tidegate_core::port::features::{FeatureKey, FeatureValue, Features, Found, FoundRow, KeyValue, PushedRow};
use tidegate_core::spec::{KeyKind, ViewSpec};
use tidegate_core::{Datatype, Fault, FaultKind};

/// Rows decoded at a time.
const BATCH: usize = 4096;
/// So many entities may be pushed beyond those of the file; a row has keys of a kibibyte at most.
const MOST_PUSHED: usize = 1 << 18;

/// Features in memory.
#[derive(Debug)]
pub struct MemoryFeatures {
    /// How many values a row has.
    columns: usize,
    rows: RwLock<HashMap<FeatureKey, Row>>,
    /// So many entities it has at most.
    most: usize,
}

#[derive(Debug)]
struct Row {
    at: Option<u64>,
    values: Box<[Option<FeatureValue>]>,
}

impl MemoryFeatures {
    /// Reads what `view` declares from a Parquet file that holds `bytes` and lies at `path`; `timestamp` is the column that says
    /// since when a row is so.
    ///
    /// # Errors
    /// The file cannot be read, lacks a column, or a column is of another type; in words that name it.
    pub fn read(path: &Path, bytes: Bytes, view: &ViewSpec, timestamp: Option<&str>) -> Result<Self, Fault> {
        let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|e| refused(path, e))?;
        let wanted = Wanted::of(view, timestamp);
        let places = wanted.names.iter().map(|(name, _)| {
            let (place, _) = builder.schema().column_with_name(name)?;
            Some(place)
        });
        let places: Vec<usize> = places
            .enumerate()
            .map(|(at, place)| place.ok_or_else(|| refused(path, format!("it has no column `{}`", wanted.names[at].0))))
            .collect::<Result<_, _>>()?;
        let mask = ProjectionMask::roots(builder.parquet_schema(), places.iter().copied());
        let reader = builder.with_projection(mask).with_batch_size(BATCH).build().map_err(|e| refused(path, e))?;
        let mut rows = HashMap::new();
        for batch in reader {
            let batch = batch.map_err(|e| refused(path, e))?;
            wanted.take(&batch, view, &mut rows).map_err(|why| refused(path, why))?;
        }
        let most = rows.len() + MOST_PUSHED;
        Ok(Self { columns: view.columns.len(), rows: RwLock::new(rows), most })
    }

    /// How many entities it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn found(&self, keys: &[FeatureKey]) -> Vec<FoundRow> {
        let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        let row = |key: &FeatureKey| match rows.get(key) {
            Some(Row { at, values }) => values.iter().map(|value| Found { value: value.clone(), at: *at }).collect(),
            None => vec![Found::default(); self.columns].into(),
        };
        keys.iter().map(row).collect()
    }
}

/// The columns that are read: join keys, features, and the time.
struct Wanted<'a> {
    names: Vec<(&'a str, DataType)>,
    keys: usize,
    has_time: bool,
}

impl<'a> Wanted<'a> {
    fn of(view: &'a ViewSpec, timestamp: Option<&'a str>) -> Self {
        let keys = view.keys.iter().map(|key| {
            let of = if key.kind == KeyKind::Text { DataType::LargeUtf8 } else { DataType::Int64 };
            (&*key.name, of)
        });
        let columns = view.columns.iter().map(|column| (&*column.feature, read_as(column.datatype)));
        let time = timestamp.map(|name| (name, DataType::Timestamp(TimeUnit::Millisecond, None)));
        Self { names: keys.chain(columns).chain(time).collect(), keys: view.keys.len(), has_time: timestamp.is_some() }
    }

    fn take(&self, batch: &RecordBatch, view: &ViewSpec, rows: &mut HashMap<FeatureKey, Row>) -> Result<(), String> {
        let column = |(name, of): &(&str, DataType)| {
            let found = batch.column_by_name(name).ok_or_else(|| format!("it has no column `{name}`"))?;
            self::plain(found, of).map_err(|why| format!("column `{name}` cannot be read as {of}: {why}"))
        };
        let columns = self.names.iter().map(column).collect::<Result<Vec<_>, _>>()?;
        let (keys, rest) = columns.split_at(self.keys);
        let (features, time) = rest.split_at(view.columns.len());
        for at in 0..batch.num_rows() {
            let key: Option<Box<[KeyValue]>> = keys.iter().map(|column| key(column, at)).collect();
            // What has no key is nobody.
            let Some(key) = key.map(FeatureKey) else { continue };
            let since = time.first().filter(|_| self.has_time).and_then(|column| moment(column, at));
            let values = features.iter().map(|column| value(column, at)).collect();
            let is_older = rows.get(&key).is_some_and(|known| known.at > since);
            if !is_older {
                rows.insert(key, Row { at: since, values });
            }
        }
        Ok(())
    }
}

/// What a column is read as, so that nothing is rounded that the model gets whole.
const fn read_as(datatype: Datatype) -> DataType {
    match datatype {
        Datatype::Bool => DataType::Boolean,
        Datatype::Fp32 | Datatype::Fp64 => DataType::Float64,
        Datatype::Bytes => DataType::LargeUtf8,
        _ => DataType::Int64,
    }
}

fn plain(column: &ArrayRef, of: &DataType) -> Result<ArrayRef, String> {
    let is_text = matches!(column.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let wants_number = matches!(of, DataType::Int64 | DataType::Float64 | DataType::Boolean);
    // Arrow would make nothing of texts that spell no number.
    if is_text && wants_number {
        return Err(format!("it is of {}", column.data_type()));
    }
    // What has fractions is no whole number, which the verdict says; a cast would cut them off.
    let of = if column.data_type().is_floating() && *of == DataType::Int64 { &DataType::Float64 } else { of };
    let nulls = column.null_count();
    let cast = cast(column, of).map_err(|e| e.to_string())?;
    if cast.null_count() != nulls {
        return Err("a value does not fit".to_owned());
    }
    Ok(cast)
}

fn key(column: &ArrayRef, at: usize) -> Option<KeyValue> {
    if column.is_null(at) {
        return None;
    }
    match column.data_type() {
        DataType::Int64 => Some(KeyValue::Integer(column.as_primitive::<Int64Type>().value(at))),
        // pandas writes whole numbers so where one is missing.
        DataType::Float64 => whole(column.as_primitive::<Float64Type>().value(at)).map(KeyValue::Integer),
        _ => Some(KeyValue::Text(column.as_string_opt::<i64>()?.value(at).into())),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the range is checked just before")]
fn whole(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0).then_some(number as i64)
}

fn value(column: &ArrayRef, at: usize) -> Option<FeatureValue> {
    if column.is_null(at) {
        return None;
    }
    match column.data_type() {
        DataType::Int64 => Some(FeatureValue::Integer(column.as_primitive::<Int64Type>().value(at))),
        // What is written for nothing by pandas.
        DataType::Float64 => Some(column.as_primitive::<Float64Type>().value(at))
            .filter(|number| !number.is_nan())
            .map(FeatureValue::Number),
        DataType::Boolean => Some(FeatureValue::Truth(column.as_boolean().value(at))),
        _ => Some(FeatureValue::Text(column.as_string_opt::<i64>()?.value(at).into())),
    }
}

fn moment(column: &ArrayRef, at: usize) -> Option<u64> {
    let times = column.as_primitive_opt::<TimestampMillisecondType>()?;
    if times.is_null(at) { None } else { Some(u64::try_from(times.value(at)).unwrap_or(0)) }
}

fn refused(path: &Path, why: impl std::fmt::Display) -> Fault {
    Fault::new(FaultKind::InvalidRequest, format!("the features of {} cannot be read: {why}", path.display()))
}

impl Features for MemoryFeatures {
    fn look_up<'a>(&'a self, keys: &'a [FeatureKey], _: Duration) -> BoxFuture<'a, Result<Vec<FoundRow>, Fault>> {
        Box::pin(async move { Ok(self.found(keys)) })
    }

    fn push<'a>(&'a self, pushed: &'a [PushedRow]) -> BoxFuture<'a, Result<usize, Fault>> {
        Box::pin(async move { self.pushed(pushed) })
    }
}

impl MemoryFeatures {
    fn pushed(&self, pushed: &[PushedRow]) -> Result<usize, Fault> {
        let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        let unknown: HashSet<&FeatureKey> =
            pushed.iter().map(|row| &row.key).filter(|key| !rows.contains_key(*key)).collect();
        if rows.len() + unknown.len() > self.most {
            let says = format!(
                "these features are held in memory, and have room for {MOST_PUSHED} entities beyond those of their file: \
                 a store such as Redis takes more"
            );
            return Err(Fault::field("df", says));
        }
        let mut taken = 0;
        for row in pushed {
            let known = rows.get_mut(&row.key);
            if known.as_ref().is_some_and(|known| known.at >= Some(row.at)) {
                continue;
            }
            taken += 1;
            let fresh = |known: Option<&Option<FeatureValue>>, value: &Option<Option<FeatureValue>>| {
                value.clone().unwrap_or_else(|| known.cloned().flatten())
            };
            let before = known.map(|known| std::mem::take(&mut known.values)).unwrap_or_default();
            let values = row.values.iter().enumerate().map(|(at, value)| fresh(before.get(at), value)).collect();
            rows.insert(row.key.clone(), Row { at: Some(row.at), values });
        }
        Ok(taken)
    }
}

#[cfg(test)]
mod tests;
