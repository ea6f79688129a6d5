//! What a monitor costs a call, and what a window costs at its end. Bounds, on a core of a usual server: a call of 30 numbers
//! at most 2 µs.
//!
//! `cargo bench -p tidegate-watch`, and `-- take` or `-- close` for a part.
#![expect(clippy::unwrap_used, reason = "a measuring program, run by hand")]

use criterion::{BatchSize, Criterion};
use std::hint::black_box;
use std::sync::Arc;
use tidegate_core::Dice as _;
use tidegate_core::InferenceId;
use tidegate_core::dice::SplitMix;
use tidegate_core::spec::{FieldFrom, FieldKind, FieldSpec};
use tidegate_watch::{Gathering, Keep, Pane, Plan, Shape, Value};

const COLUMNS: usize = 30;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let dice = SplitMix::seeded(1);
    // Not one call again and again, which a processor would learn by heart.
    let rows: Vec<Vec<Value<'static>>> = (0..4096).map(|_| row(&dice)).collect();
    for (name, keep) in [("30_numbers", Keep::NONE), ("30_numbers_and_rows", Keep::USUAL)] {
        let plan = plan(&rows, keep);
        let mut coming = (0u64..).zip(rows.iter().cycle());
        let mut pane = Pane::new(&plan);
        criterion.bench_function(&format!("take/{name}"), |b| {
            b.iter(|| {
                let (number, row) = coming.next().unwrap();
                pane.take(id(number), number, black_box(row));
            });
        });
    }
    let plan = plan(&rows, Keep::NONE);
    let pane = filled(&plan, &rows);
    criterion.bench_function("close/table", |b| b.iter(|| black_box(&pane).table(100_000)));
    criterion.bench_function("close/packed", |b| b.iter(|| serde_json::to_string(&black_box(&pane).packed()).unwrap()));
    criterion.bench_function("close/merge", |b| {
        b.iter_batched_ref(|| pane.clone(), |one| one.merge(&pane).unwrap(), BatchSize::LargeInput);
    });
    criterion.final_summary();
}

fn row(dice: &SplitMix) -> Vec<Value<'static>> {
    // A sum of four: near enough to a normal one.
    (0..COLUMNS).map(|_| Value::Number((0..4).map(|_| dice.unit()).sum())).collect()
}

fn id(number: u64) -> InferenceId {
    InferenceId::from_u128(number.into())
}

fn plan(rows: &[Vec<Value<'static>>], keep: Keep) -> Arc<Plan> {
    let field = |at| FieldSpec {
        name: format!("x{at}"),
        from: FieldFrom::Request(format!("/x{at}")),
        kind: Some(FieldKind::Number),
    };
    let shape = Shape::of(&(0..COLUMNS).map(field).collect::<Vec<_>>());
    let mut gathering = Gathering::new(&shape, rows.len() as u64, Keep::NONE);
    (0..).zip(rows).for_each(|(number, row)| gathering.take(&shape, id(number), number, row));
    let reference = Arc::new(gathering.finish(&shape));
    Arc::new(Plan::new(shape, Some(reference), keep).unwrap())
}

fn filled(plan: &Arc<Plan>, rows: &[Vec<Value<'static>>]) -> Pane {
    let mut pane = Pane::new(plan);
    (0..).zip(rows.iter().cycle().take(10_000)).for_each(|(number, row)| pane.take(id(number), number, row));
    pane
}
