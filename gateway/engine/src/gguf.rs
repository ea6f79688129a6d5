//! A GGUF file: its entries with clear errors for what is missing, and its tensors one at a time, so that no second
//! copy of the weights is ever held. It is read, not mapped: weights are repacked as they come, so nothing would be
//! shared, and a file that shrinks while it is read is an error and no signal.

mod header;
mod value;
mod writer;

use crate::error::LoadError;
use crate::matrix::Matrix;
use crate::model::Raw;
use candle_core::Device;
use candle_core::quantized::{QStorage, QTensor};
use header::Header;
pub(crate) use header::TensorInfo;
use memmap2::MmapMut;
use std::borrow::Cow;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
pub(crate) use value::Value;
pub(crate) use writer::{Coming, Writer};

/// An open file.
pub(crate) struct GgufFile {
    path: PathBuf,
    header: Header,
    file: File,
}

impl GgufFile {
    /// Opens it and reads all but the tensors.
    pub(crate) fn open(path: &Path) -> Result<Self, LoadError> {
        let unread = |source| LoadError::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(unread)?;
        let length = file.metadata().map_err(unread)?.len();
        let header = Header::read(BufReader::with_capacity(1 << 20, &file), length)
            .map_err(|detail| LoadError::Format { path: path.to_owned(), detail })?;
        Ok(Self { path: path.to_owned(), header, file })
    }

    /// All entries.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.header.entries.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// All tensors, in the order of the file.
    pub(crate) fn tensors(&self) -> Vec<(&str, &TensorInfo)> {
        let mut tensors: Vec<_> = self.header.tensors.iter().map(|(name, info)| (name.as_str(), info)).collect();
        tensors.sort_by_key(|(_, info)| info.start);
        tensors
    }

    fn value(&self, key: &str) -> Option<&Value> {
        self.header.entries.get(key)
    }

    /// A whole number.
    pub(crate) fn number(&self, key: &str) -> Result<usize, LoadError> {
        self.optional_number(key)?.ok_or_else(|| missing(key))
    }

    /// A whole number that may be absent.
    pub(crate) fn optional_number(&self, key: &str) -> Result<Option<usize>, LoadError> {
        let Some(value) = self.value(key) else { return Ok(None) };
        let wrong = || LoadError::Metadata { key: key.to_owned(), problem: "is not a whole number" };
        value.whole().and_then(|n| usize::try_from(n).ok()).map(Some).ok_or_else(wrong)
    }

    /// A number that may be absent.
    pub(crate) fn float(&self, key: &str) -> Option<f32> {
        self.value(key).and_then(Value::float)
    }

    /// A flag that may be absent.
    pub(crate) fn flag(&self, key: &str) -> Option<bool> {
        match self.value(key) {
            Some(Value::Flag(flag)) => Some(*flag),
            _ => None,
        }
    }

    /// A text that may be absent.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        match self.value(key) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// A list of texts.
    pub(crate) fn texts(&self, key: &str) -> Result<&[String], LoadError> {
        match self.value(key).ok_or_else(|| missing(key))? {
            Value::Texts(list) => Ok(list),
            _ => Err(LoadError::Metadata { key: key.to_owned(), problem: "is not a list of texts" }),
        }
    }

    /// A list of whole numbers.
    pub(crate) fn numbers(&self, key: &str) -> Result<&[i64], LoadError> {
        match self.value(key).ok_or_else(|| missing(key))? {
            Value::Integers(list) => Ok(list),
            _ => Err(LoadError::Metadata { key: key.to_owned(), problem: "is not a list of whole numbers" }),
        }
    }

    /// A list of numbers.
    pub(crate) fn floats(&self, key: &str) -> Result<&[f32], LoadError> {
        match self.value(key).ok_or_else(|| missing(key))? {
            Value::Floats(list) => Ok(list),
            _ => Err(LoadError::Metadata { key: key.to_owned(), problem: "is not a list of numbers" }),
        }
    }

    /// Whether a tensor is there.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.header.tensors.contains_key(name)
    }

    /// Reads the bytes of a matrix that is packed; nothing where it is none, or there is no memory to map.
    pub(crate) fn raw(&mut self, name: &str) -> Result<Option<Raw>, LoadError> {
        let Some(info) = self.header.tensors.get(name) else { return Ok(None) };
        let [rows, cols] = info.shape[..] else { return Ok(None) };
        let Some(mut data) = Matrix::packs(info.dtype, cols).then(|| MmapMut::map_anon(info.bytes).ok()).flatten()
        else {
            return Ok(None);
        };
        let unread = |source| LoadError::Read { path: self.path.clone(), source };
        self.file.seek(SeekFrom::Start(info.start)).map_err(unread)?;
        // The head was held to the file's length, so this is no more than the file has.
        self.file.read_exact(&mut data).map_err(unread)?;
        Ok(Some(Raw { dtype: info.dtype, rows, cols, data }))
    }

    /// Reads a tensor.
    pub(crate) fn tensor(&mut self, name: &str) -> Result<QTensor, LoadError> {
        let failed = |detail: String| LoadError::Tensor { name: name.to_owned(), detail };
        let info = self.header.tensors.get(name).ok_or_else(|| failed("is missing".into()))?;
        let unread = |source| LoadError::Read { path: self.path.clone(), source };
        self.file.seek(SeekFrom::Start(info.start)).map_err(unread)?;
        // The head was held to the file's length, so this is no more than the file has.
        let mut data = vec![0; info.bytes];
        self.file.read_exact(&mut data).map_err(unread)?;
        QStorage::from_data(Cow::Owned(data), &Device::Cpu, info.dtype)
            .and_then(|storage| QTensor::new(storage, info.shape.clone()))
            .map_err(|e| failed(e.to_string()))
    }

    /// Reads a tensor as plain numbers, of the given count.
    pub(crate) fn plain(&mut self, name: &str, count: usize) -> Result<Vec<f32>, LoadError> {
        let failed = |detail: String| LoadError::Tensor { name: name.to_owned(), detail };
        let tensor = self.tensor(name)?;
        let plain = tensor.dequantize(&Device::Cpu).and_then(|t| t.flatten_all()?.to_vec1());
        let plain: Vec<f32> = plain.map_err(|e| failed(e.to_string()))?;
        if plain.len() == count {
            Ok(plain)
        } else {
            Err(failed(format!("has {} numbers instead of {count}", plain.len())))
        }
    }
}

fn missing(key: &str) -> LoadError {
    LoadError::Metadata { key: key.to_owned(), problem: "is missing" }
}
