//! Adapters made up for tests, as PEFT would write them.

use super::base::{BaseShape, Size};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A base of two layers: width 32, hidden 64, four heads of 8, two of keys.
pub(crate) fn base() -> BaseShape {
    let size = |rows, cols| Size { rows, cols };
    let layer = [size(32, 32), size(16, 32), size(16, 32), size(32, 32), size(64, 32), size(64, 32), size(32, 64)];
    BaseShape { layers: vec![layer; 2], paired: Some(8), fused: false, is_coarse: false }
}

/// An adapter that can be spoilt.
#[derive(Clone)]
pub(crate) struct Made {
    pub(crate) targets: Vec<String>,
    pub(crate) rank: usize,
    pub(crate) tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

impl Made {
    /// One of rank 4 on these products of all layers.
    pub(crate) fn on(targets: &[&str]) -> Self {
        Self::of(targets, 4, 1)
    }

    /// One of another rank; other seeds make other numbers.
    pub(crate) fn of(targets: &[&str], rank: usize, seed: u32) -> Self {
        let base = base();
        let targets: Vec<String> = targets.iter().map(|&name| name.to_owned()).collect();
        let mut made = Self { targets: targets.clone(), rank, tensors: BTreeMap::new() };
        let mut state = seed.wrapping_mul(2_654_435_761).max(1);
        let mut numbers = |count: usize| -> Vec<f32> {
            let mut next = || {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                f32::from(u16::try_from(state >> 16).unwrap_or_default()) / 65_536.0 - 0.5
            };
            (0..count).map(|_| next()).collect()
        };
        for layer in 0..base.layers.len() {
            for (path, slots) in base.modules(layer) {
                if !targets.iter().any(|target| path.ends_with(target.as_str())) {
                    continue;
                }
                let Size { rows, cols } = base.layers[layer][slots[0]];
                let name = |factor: &str| format!("base_model.model.{path}.{factor}.weight");
                made.tensors.insert(name("lora_A"), (vec![rank, cols], numbers(rank * cols)));
                made.tensors.insert(name("lora_B"), (vec![rows, rank], numbers(rows * rank)));
            }
        }
        made
    }

    /// Sets one factor to a shape full of one number.
    pub(crate) fn set(&mut self, module: &str, factor: &str, (rows, cols): (usize, usize), value: f32) {
        self.tensors.insert(format!("{module}.{factor}.weight"), (vec![rows, cols], vec![value; rows * cols]));
    }

    /// Calls its tensors otherwise.
    pub(crate) fn rename(&mut self, name: impl Fn(&str) -> String) {
        self.tensors = std::mem::take(&mut self.tensors).into_iter().map(|(old, it)| (name(&old), it)).collect();
    }

    /// `adapter_config.json`.
    pub(crate) fn config(&self) -> Vec<u8> {
        json!({
            "peft_type": "LORA", "task_type": "CAUSAL_LM", "r": self.rank, "lora_alpha": 8, "bias": "none",
            "target_modules": self.targets,
        })
        .to_string()
        .into_bytes()
    }

    /// `adapter_model.safetensors`.
    pub(crate) fn numbers(&self) -> Vec<u8> {
        let (mut header, mut data) = (Map::new(), Vec::new());
        for (name, (shape, numbers)) in &self.tensors {
            let from = data.len();
            data.extend(numbers.iter().flat_map(|v| v.to_le_bytes()));
            header.insert(name.clone(), json!({"dtype": "F32", "shape": shape, "data_offsets": [from, data.len()]}));
        }
        let header = Value::Object(header).to_string();
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend_from_slice(header.as_bytes());
        file.extend_from_slice(&data);
        file
    }

    /// Both files in a folder.
    pub(crate) fn write(&self, folder: &std::path::Path) {
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join("adapter_config.json"), self.config()).unwrap();
        std::fs::write(folder.join("adapter_model.safetensors"), self.numbers()).unwrap();
    }
}
