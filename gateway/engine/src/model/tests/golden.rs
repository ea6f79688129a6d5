//! A golden of `tests/models`, and the files of its model: a safetensors folder, in one file or several, and a GGUF file.

use crate::gguf::{Coming, Value as Entry, Writer};
use crate::testing::weights::weight;
use crate::testing::{As, safetensors};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

#[derive(Deserialize)]
pub(crate) struct Golden {
    pub(crate) config: Value,
    pub(crate) tensors: BTreeMap<String, Vec<usize>>,
    zero_norms: bool,
    pub(crate) tokens: Vec<u32>,
    pub(crate) positions: Vec<usize>,
    pub(crate) top: Vec<usize>,
    pub(crate) scores: Vec<Vec<f32>>,
    pub(crate) gguf: Option<Recipe>,
}

/// What a GGUF file of the model has.
#[derive(Deserialize)]
pub(crate) struct Recipe {
    entries: BTreeMap<String, Value>,
    tensors: BTreeMap<String, Made>,
}

/// What one of its tensors is made of.
#[derive(Deserialize)]
struct Made {
    of: String,
    shape: Vec<usize>,
    permute: Option<usize>,
    add: Option<f32>,
}

impl Golden {
    pub(crate) fn read(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models").join(format!("{name}.json"));
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    fn weight(&self, name: &str) -> Vec<f32> {
        weight(name, &self.tensors[name], self.zero_norms)
    }

    /// Writes a folder; its tensors are dealt out to so many files.
    pub(crate) fn write_folder(&self, folder: &Path, kept: As, files: usize) {
        std::fs::write(folder.join("config.json"), self.config.to_string()).unwrap();
        let mut index = serde_json::Map::new();
        for file in 0..files {
            let name = if files == 1 { "model.safetensors".into() } else { format!("model-{file}.safetensors") };
            let names: Vec<&String> = self.tensors.keys().skip(file).step_by(files).collect();
            std::fs::write(folder.join(&name), self.safetensors(&names, kept)).unwrap();
            index.extend(names.into_iter().map(|tensor| (tensor.clone(), json!(name))));
        }
        if files > 1 {
            let index = json!({"metadata": {}, "weight_map": index}).to_string();
            std::fs::write(folder.join("model.safetensors.index.json"), index).unwrap();
        }
    }

    fn safetensors(&self, names: &[&String], kept: As) -> Vec<u8> {
        let tensors = names.iter().map(|name| (name.as_str(), &self.tensors[*name][..], self.weight(name)));
        safetensors(tensors, kept)
    }

    /// Writes a GGUF file with matrices of this type.
    pub(crate) fn write_gguf(&self, path: &Path, matrices: GgmlDType) {
        let recipe = self.gguf.as_ref().unwrap();
        let entries: Vec<(String, Entry)> = recipe.entries.iter().map(|(k, v)| (k.clone(), entry(v))).collect();
        let entries: Vec<(&str, &Entry)> = entries.iter().map(|(k, v)| (k.as_str(), v)).collect();
        let dtype = |made: &Made| if made.shape.len() == 2 { matrices } else { GgmlDType::F32 };
        let coming: Vec<Coming<'_>> =
            recipe.tensors.iter().map(|(name, made)| Coming { name, shape: &made.shape, dtype: dtype(made) }).collect();
        let mut writer = Writer::begin(Vec::new(), &entries, &coming).unwrap();
        for made in recipe.tensors.values() {
            let tensor = Tensor::from_vec(self.made(made), made.shape.clone(), &Device::Cpu).unwrap();
            let tensor = QTensor::quantize(&tensor, dtype(made)).unwrap();
            writer.tensor(&tensor.data().unwrap()).unwrap();
        }
        std::fs::write(path, writer.finish().unwrap()).unwrap();
    }

    fn made(&self, made: &Made) -> Vec<f32> {
        let mut weight = self.weight(&made.of);
        if let Some(add) = made.add {
            weight.iter_mut().for_each(|w| *w += add);
        }
        let Some(heads) = made.permute else { return weight };
        // Row `half * n + i` of a head goes to `2 i + half`.
        let (rows, cols) = (made.shape[0], made.shape[1]);
        let n = rows / heads / 2;
        let mut permuted = vec![0.0; weight.len()];
        for row in 0..rows {
            let (head, half, i) = (row / (2 * n), row / n % 2, row % n);
            let to = head * 2 * n + 2 * i + half;
            permuted[to * cols..][..cols].copy_from_slice(&weight[row * cols..][..cols]);
        }
        permuted
    }
}

fn entry(value: &Value) -> Entry {
    match value {
        Value::String(text) => Entry::Text(text.clone()),
        Value::Number(n) => n.as_u64().map_or_else(|| Entry::Float(n.as_f64().unwrap()), Entry::Unsigned),
        other => panic!("{other}"),
    }
}
