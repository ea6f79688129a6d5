//! Parquet files as pandas and others write them, and fresh rows over them.

use super::*;
use arrow::array::{BooleanArray, Float64Array, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{Field, Schema};
use parquet::arrow::ArrowWriter;
use std::sync::Arc;
use tidegate_core::spec::{ColumnSpec, KeySpec, OnStale, StoreSpec};

fn view(columns: &[(&str, Datatype)]) -> ViewSpec {
    let column = |(name, datatype): &(&str, Datatype)| ColumnSpec {
        name: format!("my_{name}").into(),
        feature: (*name).into(),
        datatype: *datatype,
        default: None,
    };
    ViewSpec {
        name: "v".parse().unwrap(),
        keys: vec![
            KeySpec { name: "id".into(), kind: KeyKind::Int64 },
            KeySpec { name: "shop".into(), kind: KeyKind::Text },
        ],
        columns: columns.iter().map(column).collect(),
        store: StoreSpec::Redis { url: tidegate_core::Secret::new("redis://x"), project: "p".into(), view: "v".into() },
        max_age: None,
        on_stale: OnStale::Default,
        deadline: Duration::from_secs(1),
        cache: None,
        push: None,
    }
}

fn file(folder: &Path) -> std::path::PathBuf {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("shop", Arc::new(StringArray::from(vec![Some("a"), Some("a"), Some("b"), None]))),
        ("id", Arc::new(Int32Array::from(vec![1, 1, 1, 2]))),
        ("rate", Arc::new(Float64Array::from(vec![Some(0.1), Some(0.2), Some(f64::NAN), None]))),
        ("count", Arc::new(Int64Array::from(vec![i64::MAX, i64::MAX - 1, 3, 4]))),
        ("vip", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false), None]))),
        ("at", Arc::new(TimestampMicrosecondArray::from(vec![2_000_000, 1_000_000, 5_000, 1]))),
    ];
    let fields: Vec<Field> =
        columns.iter().map(|(name, column)| Field::new(*name, column.data_type().clone(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns.into_iter().map(|(_, column)| column).collect());
    let path = folder.join("features.parquet");
    let mut writer = ArrowWriter::try_new(std::fs::File::create(&path).unwrap(), schema, None).unwrap();
    writer.write(&batch.unwrap()).unwrap();
    writer.close().unwrap();
    path
}

fn read(path: &Path, view: &ViewSpec, timestamp: Option<&str>) -> Result<MemoryFeatures, Fault> {
    MemoryFeatures::read(path, std::fs::read(path).unwrap().into(), view, timestamp)
}

fn key(id: i64, shop: &str) -> FeatureKey {
    FeatureKey([KeyValue::Integer(id), KeyValue::Text(shop.into())].into())
}

fn number(value: f64, at: Option<u64>) -> Found {
    Found { value: Some(FeatureValue::Number(value)), at }
}

#[tokio::test]
async fn of_an_entity_the_newest_row_counts() {
    let folder = tempfile::tempdir().unwrap();
    let columns = [("rate", Datatype::Fp32), ("count", Datatype::Int64), ("vip", Datatype::Bool)];
    let table = read(&file(folder.path()), &view(&columns), Some("at")).unwrap();
    assert_eq!(table.len(), 2, "a row without a key is nobody's");
    let found = table.look_up(&[key(1, "b"), key(9, "a"), key(1, "a")], Duration::ZERO).await.unwrap();
    let at = Some(2000);
    let integer = Found { value: Some(FeatureValue::Integer(i64::MAX)), at };
    assert_eq!(*found[2], [number(0.1, at), integer, Found { value: Some(FeatureValue::Truth(true)), at }]);
    assert_eq!(*found[1], [Found::default(), Found::default(), Found::default()]);
    assert_eq!(found[0][0], Found { value: None, at: Some(5) }, "not a number is nothing");
}

#[tokio::test]
async fn fresh_rows_replace_older_ones_and_keep_what_they_do_not_tell() {
    let folder = tempfile::tempdir().unwrap();
    let columns = [("rate", Datatype::Fp32), ("count", Datatype::Int64)];
    let table = read(&file(folder.path()), &view(&columns), Some("at")).unwrap();
    let push = async |at, rate: Option<Option<f64>>| {
        let values = vec![rate.map(|rate| rate.map(FeatureValue::Number)), None].into();
        table.push(&[PushedRow { key: key(1, "a"), at, values }]).await.unwrap()
    };
    let rate = async || table.look_up(&[key(1, "a")], Duration::ZERO).await.unwrap()[0].clone();
    assert_eq!((push(2000, Some(Some(0.9))).await, push(1999, Some(Some(0.8))).await), (0, 0));
    assert_eq!(rate().await[0], number(0.1, Some(2000)));
    assert_eq!(push(2001, Some(Some(0.9))).await, 1);
    assert_eq!(rate().await[0], number(0.9, Some(2001)));
    assert_eq!(rate().await[1].value, Some(FeatureValue::Integer(i64::MAX)));
    assert_eq!(push(2002, Some(None)).await, 1);
    assert_eq!(rate().await[0].value, None);
}

#[test]
fn what_the_file_lacks_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path());
    for (columns, timestamp, says) in [
        (("more", Datatype::Fp32), None, "has no column `more`"),
        (("rate", Datatype::Fp32), Some("since"), "has no column `since`"),
        (("shop", Datatype::Fp32), None, "column `shop` cannot be read as Float64"),
    ] {
        let fault = read(&path, &view(&[columns]), timestamp).unwrap_err();
        assert!(fault.says.contains(says), "{fault}");
    }
    std::fs::write(&path, "PAR1 and nothing else").unwrap();
    assert!(read(&path, &view(&[("rate", Datatype::Fp32)]), None).is_err());
}

#[tokio::test]
async fn no_more_entities_are_pushed_than_there_is_room_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = read(&file(folder.path()), &view(&[("rate", Datatype::Fp32)]), Some("at")).unwrap();
    table.most = 3;
    let row =
        |id| PushedRow { key: key(id, "a"), at: 9000, values: vec![Some(Some(FeatureValue::Number(0.5)))].into() };
    let fault = table.push(&[row(1), row(7), row(8)]).await.unwrap_err();
    assert!(fault.says.contains("have room for"), "{fault}");
    assert_eq!(table.len(), 2, "a push is taken whole or not at all");
    assert_eq!(table.push(&[row(1), row(7), row(7)]).await.unwrap(), 2);
    assert!(table.push(&[row(9)]).await.is_err());
    let newer = PushedRow { at: 9001, ..row(7) };
    assert_eq!((table.push(&[newer]).await.unwrap(), table.len()), (1, 3));
}
