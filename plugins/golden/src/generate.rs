//! Inputs that the files describe instead of listing: SplitMix64 and what is made of it, as `generator.py` beside the
//! vectors does.

use serde_json::Value;

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
struct SplitMix(u64);

impl SplitMix {
    /// Uniform in `[0, 1)`, with 53 bits.
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        #[expect(clippy::cast_precision_loss, reason = "53 bits")]
        let bits = ((z ^ (z >> 31)) >> 11) as f64;
        bits * f64::EPSILON / 2.0
    }
}

/// A number as the files write it: null is NaN, `"inf"` and `"-inf"` are infinite.
#[must_use]
pub fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Null => Some(f64::NAN),
        Value::String(text) => match text.as_str() {
            "inf" => Some(f64::INFINITY),
            "-inf" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        other => other.as_f64(),
    }
}

/// The numbers of an input, listed or generated; none where it is neither.
#[must_use]
pub fn numbers(input: &Value) -> Option<Vec<f64>> {
    if let Some(listed) = input.as_array() {
        return listed.iter().map(number).collect();
    }
    generated(input.get("gen")?)
}

/// One digit a row, written as one text: `0110`; letters go on after 9.
#[must_use]
pub fn letters(input: &Value) -> Option<Vec<u32>> {
    input.as_str()?.chars().map(|letter| letter.to_digit(36)).collect()
}

fn generated(spec: &Value) -> Option<Vec<f64>> {
    let parameter = |name: &str, otherwise: f64| spec.get(name).map_or(Some(otherwise), Value::as_f64);
    let mut random = SplitMix(spec["seed"].as_u64()?);
    let kind = spec["kind"].as_str()?;
    let digits = spec.get("round").and_then(Value::as_i64).and_then(|digits| i32::try_from(digits).ok());
    (0..spec["n"].as_u64()?)
        .map(|_| {
            let value = match kind {
                "uniform" => {
                    let (a, b) = (parameter("a", 0.0)?, parameter("b", 1.0)?);
                    a + (b - a) * random.unit()
                }
                "normal" => {
                    let (first, second) = (1.0 - random.unit(), random.unit());
                    let normal = (-2.0 * first.ln()).sqrt() * (2.0 * std::f64::consts::PI * second).cos();
                    parameter("mu", 0.0)? + parameter("sd", 1.0)? * normal
                }
                "expo" => -(1.0 - random.unit()).ln() / parameter("rate", 1.0)?,
                "int" => (random.unit() * parameter("k", f64::NAN)?).trunc(),
                _ => return None,
            };
            let scale = digits.map(|digits| 10f64.powi(digits));
            Some(scale.map_or(value, |scale| (value * scale + 0.5).floor() / scale))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn generated_numbers_are_those_of_the_script() {
        // generator.py: gen({"kind": "uniform", "seed": 0, "n": 2})
        let uniform = numbers(&json!({"gen": {"kind": "uniform", "seed": 0, "n": 2}})).expect("it is described");
        assert_eq!(uniform, [0.883_310_808_213_642_6, 0.431_527_997_048_509_97]);
        let whole = numbers(&json!({"gen": {"kind": "int", "seed": 3, "n": 50, "k": 4}})).expect("it is described");
        assert!(whole.iter().all(|value| [0.0, 1.0, 2.0, 3.0].contains(value)));
        let round = numbers(&json!({"gen": {"kind": "normal", "seed": 3, "n": 9, "round": 1}})).expect("described");
        assert!(round.iter().all(|value| (value * 10.0 - (value * 10.0).round()).abs() < 1e-9));
    }

    #[test]
    fn lists_may_lack_numbers() {
        let listed = numbers(&json!([1.5, null, "inf", "-inf"])).expect("a list");
        assert!(listed[0] == 1.5 && listed[1].is_nan() && listed[2] == f64::INFINITY && listed[3] == f64::NEG_INFINITY);
        assert_eq!(numbers(&json!(["a"])), None);
        assert_eq!((letters(&json!("01a")), letters(&json!("0-"))), (Some(vec![0, 1, 10]), None));
        assert_eq!(numbers(&json!({"gen": {"kind": "odd", "seed": 1, "n": 1}})), None);
    }
}
