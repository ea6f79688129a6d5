//! Inputs of the vectors: lists of numbers, or the recipe of generated ones (`generator.py` beside the vectors), which gives
//! the same numbers here.

use serde_json::Value;
use tidegate_core::Dice as _;
use tidegate_core::dice::SplitMix;

/// The numbers; `None` where one is missing.
pub(crate) fn values(given: &Value) -> Vec<Option<f64>> {
    if let Some(recipe) = given.get("gen") {
        return generate(recipe).into_iter().map(Some).collect();
    }
    given.as_array().expect("a list of numbers").iter().map(number).collect()
}

fn number(value: &Value) -> Option<f64> {
    match value.as_str() {
        Some("inf") => Some(f64::INFINITY),
        Some("-inf") => Some(f64::NEG_INFINITY),
        _ => value.as_f64(),
    }
}

fn generate(recipe: &Value) -> Vec<f64> {
    let of = |name: &str, default: f64| recipe[name].as_f64().unwrap_or(default);
    let dice = SplitMix::seeded(recipe["seed"].as_u64().expect("a seed"));
    let count = recipe["n"].as_u64().expect("a number of rows");
    let draw = || match recipe["kind"].as_str() {
        Some("uniform") => of("a", 0.0) + (of("b", 1.0) - of("a", 0.0)) * dice.unit(),
        Some("normal") => {
            let (first, second) = (1.0 - dice.unit(), dice.unit());
            let cosine = (2.0 * std::f64::consts::PI * second).cos();
            of("mu", 0.0) + of("sd", 1.0) * (-2.0 * first.ln()).sqrt() * cosine
        }
        Some("expo") => -(1.0 - dice.unit()).ln() / of("rate", 1.0),
        Some("int") => (dice.unit() * of("k", 1.0)).floor(),
        kind => panic!("no kind {kind:?} is known"),
    };
    let rounded = |value: f64| match recipe["round"].as_i64() {
        Some(digits) => {
            let scale = 10f64.powi(i32::try_from(digits).expect("a few digits"));
            (value * scale + 0.5).floor() / scale
        }
        None => value,
    };
    (0..count).map(|_| rounded(draw())).collect()
}
