//! What a prediction and its explanation cost in process: 100 trees of depth 6 over 30 features. Bound: a row alone at most
//! 30 µs.
//!
//! `cargo bench -p tidegate-classic`, and `-- row` for a part.
#![expect(clippy::unwrap_used, reason = "a measuring program, run by hand")]

use criterion::{Criterion, Throughput};
use serde_json::{Value, json};
use std::hint::black_box;
use tidegate_classic::{Explaining, Model};
use tidegate_core::Dice as _;
use tidegate_core::Tensor;
use tidegate_core::dice::SplitMix;

const TREES: usize = 100;
const DEPTH: u32 = 6;
const FEATURES: usize = 30;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let dice = SplitMix::seeded(1);
    let model = Model::read(grown(&dice).to_string().as_bytes()).unwrap();
    // Not one row again and again, whose turns a processor would learn by heart.
    let rows: Vec<[Tensor; 1]> = (0..4096).map(|_| tensor(&dice, 1)).collect();
    let mut coming = rows.iter().cycle();
    criterion.bench_function("row/100_trees_30_features", |b| {
        b.iter(|| model.predict(black_box(coming.next().unwrap()), &[]).unwrap());
    });
    let many = tensor(&dice, 1024);
    let mut group = criterion.benchmark_group("rows");
    group.throughput(Throughput::Elements(1024));
    group.bench_function("1024", |b| b.iter(|| model.predict(black_box(&many), &[]).unwrap()));
    group.finish();
    #[cfg(feature = "onnx")]
    graphs(&mut criterion);
    criterion.bench_function("explain/100_trees_30_features", |b| {
        b.iter(|| model.explain(black_box(coming.next().unwrap()), &Explaining::default()).unwrap());
    });
}

/// Small models of scikit-learn, a row alone and 64 together.
#[cfg(feature = "onnx")]
fn graphs(criterion: &mut Criterion) {
    for name in ["mlp_binary", "forest_binary", "logistic_binary"] {
        let path = format!("{}/tests/golden/{name}.onnx", env!("CARGO_MANIFEST_DIR"));
        let model = Model::open(path.as_ref()).unwrap();
        for rows in [1_usize, 64] {
            let input = [Tensor::of_f32("x", vec![rows as u64, 30], &vec![1.0; 30 * rows]).unwrap()];
            criterion.bench_function(&format!("onnx/{name}/{rows}"), |b| {
                b.iter(|| model.predict(black_box(&input), &[]).unwrap());
            });
        }
    }
}

fn values(dice: &SplitMix, count: usize) -> Vec<f32> {
    (0..count).map(|_| dice.unit() as f32).collect()
}

fn tensor(dice: &SplitMix, rows: usize) -> [Tensor; 1] {
    [Tensor::of_f32("input", vec![rows as u64, FEATURES as u64], &values(dice, rows * FEATURES)).unwrap()]
}

/// Full trees with thresholds by chance, as XGBoost would write them.
fn grown(dice: &SplitMix) -> Value {
    let nodes = (1_usize << (DEPTH + 1)) - 1;
    let inner = (1_usize << DEPTH) - 1;
    let child = |at: usize, side: usize| if at < inner { json!(2 * at + side) } else { json!(-1) };
    let trees: Vec<Value> = (0..TREES)
        .map(|_| {
            json!({
                "left_children": (0..nodes).map(|at| child(at, 1)).collect::<Vec<_>>(),
                "right_children": (0..nodes).map(|at| child(at, 2)).collect::<Vec<_>>(),
                "split_indices": (0..nodes).map(|_| (dice.unit() * FEATURES as f64) as usize).collect::<Vec<_>>(),
                "split_conditions": values(dice, nodes),
                "default_left": vec![0; nodes],
                "sum_hessian": (0..nodes).map(|at| f64::from(1 << (DEPTH - (at + 1).ilog2()))).collect::<Vec<_>>(),
                "tree_param": {"size_leaf_vector": "1"},
            })
        })
        .collect();
    json!({"learner": {
        "gradient_booster": {"name": "gbtree", "model": {
            "gbtree_model_param": {"num_parallel_tree": "1"}, "tree_info": vec![0; TREES], "trees": trees,
        }},
        "learner_model_param": {"base_score": "5E-1", "num_class": "0", "num_feature": FEATURES.to_string()},
        "objective": {"name": "binary:logistic"},
    }})
}
