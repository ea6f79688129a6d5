//! A Hugging Face folder as a source of a decoder: `config.json`, the tokenizer's files, and one safetensors file or
//! several with an index. Matrices are quantised as they are read, a piece at a time, or kept plain.

use super::description::Description;
use super::part::Part;
use super::source::Source;
use crate::error::LoadError;
use crate::kernel::BLOCK;
use crate::safetensors::{Info, SafetensorsFile};
use crate::template::ChatTemplate;
use crate::vocabulary::{Settings, Vocabulary};
use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use candle_core::{Device, Tensor};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Bytes of a settings file at most.
const MOST_SETTINGS: u64 = 256 << 20;
/// Numbers that are quantised together.
const PIECE: usize = 1 << 20;

/// How the matrices of a folder are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// Quantised to 8 bits as they are read: a quarter of the memory, and several times as fast.
    #[default]
    Q8_0,
    /// As 32-bit numbers.
    Plain,
}

/// An open folder.
pub(crate) struct Folder {
    path: PathBuf,
    config: Value,
    precision: Precision,
    files: Vec<SafetensorsFile>,
    /// Which file has a tensor.
    places: HashMap<String, usize>,
    tied: bool,
    four_norms: bool,
}

impl Folder {
    /// Opens it and reads all but the tensors.
    pub(crate) fn open(path: &Path, precision: Precision) -> Result<Self, LoadError> {
        let config = json(&path.join("config.json"))?;
        let four_norms = config["model_type"].as_str().is_some_and(|kind| kind.starts_with("gemma3"));
        // Gemma's settings leave it out where it is true.
        let tied = config["tie_word_embeddings"].as_bool().unwrap_or(four_norms);
        let index = path.join("model.safetensors.index.json");
        let names = if index.exists() { shards(&index)? } else { vec!["model.safetensors".to_owned()] };
        let (mut files, mut places) = (Vec::with_capacity(names.len()), HashMap::new());
        for name in names {
            let file = SafetensorsFile::open(&path.join(&name))?;
            for tensor in file.names() {
                if places.insert(tensor.to_owned(), files.len()).is_some() {
                    let detail = format!("the tensor `{tensor}` is in another file of the folder too");
                    return Err(LoadError::Format { path: path.join(name), detail });
                }
            }
            files.push(file);
        }
        Ok(Self { path: path.to_owned(), config, precision, files, places, tied, four_norms })
    }

    /// What the model looks like.
    pub(crate) fn description(&self) -> Result<Description, LoadError> {
        Description::of_config(&self.config)
    }

    /// Its tokenizer.
    pub(crate) fn vocabulary(&self) -> Result<Vocabulary, LoadError> {
        Vocabulary::of_folder(&Settings {
            tokenizer: &bytes(&self.path.join("tokenizer.json"))?,
            tokenizer_config: &self.settings("tokenizer_config.json")?,
            config: &self.config,
            generation: &self.settings("generation_config.json")?,
        })
    }

    /// Its chat template: a file of its own, or an entry of the tokenizer's settings.
    pub(crate) fn template(&self, vocabulary: &Vocabulary) -> Result<Option<ChatTemplate>, LoadError> {
        let own = self.path.join("chat_template.jinja");
        let source = if own.exists() {
            Some(String::from_utf8_lossy(&bytes(&own)?).into_owned())
        } else {
            template_of(&self.settings("tokenizer_config.json")?["chat_template"])
        };
        let template = source.map(|s| ChatTemplate::new(&s, vocabulary.control(), vocabulary.borders()));
        template.transpose().map_err(LoadError::Template)
    }

    /// A settings file that may be absent.
    fn settings(&self, name: &str) -> Result<Value, LoadError> {
        let path = self.path.join(name);
        if path.exists() { json(&path) } else { Ok(Value::Null) }
    }

    fn place(&self, part: Part) -> Result<(usize, Info, String), LoadError> {
        let name = self.name(part);
        let found = self.places.get(&name).and_then(|file| Some((*file, self.files[*file].info(&name)?.clone())));
        match found {
            Some((file, info)) => Ok((file, info, name)),
            None => Err(LoadError::Tensor { name, detail: "is missing".into() }),
        }
    }
}

impl Source for Folder {
    fn name(&self, part: Part) -> String {
        part.hugging_face(self.four_norms)
    }

    fn has(&self, part: Part) -> bool {
        match part {
            Part::Head => !self.tied,
            part => self.places.contains_key(&self.name(part)),
        }
    }

    fn tensor(&mut self, part: Part) -> Result<QTensor, LoadError> {
        let (file, info, name) = self.place(part)?;
        let failed = |detail: String| LoadError::Tensor { name: name.clone(), detail };
        let (rows, cols) = match info.shape[..] {
            [rows, cols] if rows > 0 && cols > 0 => (rows, cols),
            _ => return Err(failed(format!("has the shape {:?}", info.shape))),
        };
        let quantised = self.precision == Precision::Q8_0 && cols.is_multiple_of(BLOCK);
        let dtype = if quantised { GgmlDType::Q8_0 } else { GgmlDType::F32 };
        let step = (PIECE / cols.max(1)).max(1);
        let mut data = Vec::with_capacity(rows * cols / dtype.block_size() * dtype.type_size());
        for first in (0..rows).step_by(step) {
            let count = step.min(rows - first);
            let mut piece = Vec::with_capacity(count * cols);
            self.files[file].read(&info, first * cols, count * cols, &mut piece)?;
            let mut quantise = |piece| {
                let piece = Tensor::from_vec(piece, (count, cols), &Device::Cpu)?;
                QTensor::quantize(&piece, dtype)?.data().map(|bytes| data.extend_from_slice(&bytes))
            };
            quantise(piece).map_err(|e: candle_core::Error| failed(e.to_string()))?;
        }
        QStorage::from_data(Cow::Owned(data), &Device::Cpu, dtype)
            .and_then(|storage| QTensor::new(storage, (rows, cols)))
            .map_err(|e| failed(e.to_string()))
    }

    fn plain(&mut self, part: Part, count: usize) -> Result<Vec<f32>, LoadError> {
        let (file, info, name) = self.place(part)?;
        let numbers: usize = info.shape.iter().product();
        if numbers != count {
            let detail = format!("has {numbers} numbers instead of {count}");
            return Err(LoadError::Tensor { name, detail });
        }
        let mut plain = Vec::with_capacity(count);
        self.files[file].read(&info, 0, count, &mut plain)?;
        Ok(plain)
    }
}

/// The files that an index names, each within the folder.
fn shards(index: &Path) -> Result<Vec<String>, LoadError> {
    let wrong = |detail: String| LoadError::Format { path: index.to_owned(), detail };
    let json = json(index)?;
    let map = json["weight_map"].as_object().ok_or_else(|| wrong("it has no `weight_map`".into()))?;
    let mut names: Vec<String> = Vec::new();
    for (tensor, file) in map {
        let name = file.as_str().filter(|name| {
            let plain = Path::new(name).file_name().is_some_and(|own| own == *name);
            plain && name.ends_with(".safetensors")
        });
        let name = name.ok_or_else(|| wrong(format!("it puts `{tensor}` into {file}, which is no file beside it")))?;
        names.push(name.to_owned());
    }
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return Err(wrong("it names no files".into()));
    }
    Ok(names)
}

/// The default one where there are several.
fn template_of(value: &Value) -> Option<String> {
    let of = |v: &Value| v["template"].as_str().map(str::to_owned);
    match value {
        Value::String(source) => Some(source.clone()),
        Value::Array(list) => list.iter().find(|t| t["name"] == "default").or(list.first()).and_then(of),
        _ => None,
    }
}

fn bytes(path: &Path) -> Result<Vec<u8>, LoadError> {
    let unread = |source| LoadError::Read { path: path.to_owned(), source };
    let length = std::fs::metadata(path).map_err(unread)?.len();
    if length > MOST_SETTINGS {
        let detail = format!("it has {length} bytes, more than any such file");
        return Err(LoadError::Format { path: path.to_owned(), detail });
    }
    std::fs::read(path).map_err(unread)
}

fn json(path: &Path) -> Result<Value, LoadError> {
    let bytes = bytes(path)?;
    serde_json::from_slice(&bytes).map_err(|e| LoadError::Format { path: path.to_owned(), detail: e.to_string() })
}
