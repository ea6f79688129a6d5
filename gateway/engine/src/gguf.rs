//! A GGUF file: its metadata with clear errors for what is missing, and its tensors one at a time, so that no second
//! copy of the weights is ever held.

use crate::error::LoadError;
use candle_core::Device;
use candle_core::quantized::QTensor;
use candle_core::quantized::gguf_file::{Content, Value};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// An open file.
pub(crate) struct GgufFile {
    content: Content,
    reader: BufReader<File>,
}

impl GgufFile {
    /// Opens it and reads all but the tensors.
    pub(crate) fn open(path: &Path) -> Result<Self, LoadError> {
        let file = File::open(path).map_err(|source| LoadError::Read { path: path.to_owned(), source })?;
        let mut reader = BufReader::with_capacity(1 << 20, file);
        let content = Content::read(&mut reader)
            .map_err(|source| LoadError::Format { path: path.to_owned(), detail: source.to_string() })?;
        Ok(Self { content, reader })
    }

    fn value(&self, key: &str) -> Result<&Value, LoadError> {
        self.content.metadata.get(key).ok_or_else(|| LoadError::Metadata { key: key.to_owned(), problem: "is missing" })
    }

    /// A whole number.
    pub(crate) fn number(&self, key: &str) -> Result<usize, LoadError> {
        self.optional_number(key)?.ok_or_else(|| LoadError::Metadata { key: key.to_owned(), problem: "is missing" })
    }

    /// A whole number that may be absent.
    pub(crate) fn optional_number(&self, key: &str) -> Result<Option<usize>, LoadError> {
        let number = match self.content.metadata.get(key) {
            None => return Ok(None),
            Some(Value::U8(v)) => Some(u64::from(*v)),
            Some(Value::U16(v)) => Some(u64::from(*v)),
            Some(Value::U32(v)) => Some(u64::from(*v)),
            Some(Value::U64(v)) => Some(*v),
            Some(Value::I32(v)) => u64::try_from(*v).ok(),
            Some(Value::I64(v)) => u64::try_from(*v).ok(),
            Some(_) => None,
        };
        let wrong = || LoadError::Metadata { key: key.to_owned(), problem: "is not a whole number" };
        Ok(Some(number.and_then(|n| usize::try_from(n).ok()).ok_or_else(wrong)?))
    }

    /// A number that may be absent.
    pub(crate) fn float(&self, key: &str) -> Option<f32> {
        self.content.metadata.get(key).and_then(|v| v.to_f32().ok())
    }

    /// A flag that may be absent.
    pub(crate) fn flag(&self, key: &str) -> Option<bool> {
        self.content.metadata.get(key).and_then(|v| v.to_bool().ok())
    }

    /// A text that may be absent.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.content.metadata.get(key).and_then(|v| v.to_string().ok()).map(String::as_str)
    }

    /// A list of texts.
    pub(crate) fn texts(&self, key: &str) -> Result<Vec<&str>, LoadError> {
        let wrong = || LoadError::Metadata { key: key.to_owned(), problem: "is not a list of texts" };
        let list = self.value(key)?.to_vec().map_err(|_| wrong())?;
        list.iter().map(|v| v.to_string().map(String::as_str).map_err(|_| wrong())).collect()
    }

    /// A list of small whole numbers.
    pub(crate) fn numbers(&self, key: &str) -> Result<Vec<i64>, LoadError> {
        let wrong = || LoadError::Metadata { key: key.to_owned(), problem: "is not a list of whole numbers" };
        let list = self.value(key)?.to_vec().map_err(|_| wrong())?;
        let number = |v: &Value| match v {
            Value::U32(v) => Some(i64::from(*v)),
            Value::I32(v) => Some(i64::from(*v)),
            _ => None,
        };
        list.iter().map(|v| number(v).ok_or_else(wrong)).collect()
    }

    /// Whether a tensor is there.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.content.tensor_infos.contains_key(name)
    }

    /// Reads a tensor.
    pub(crate) fn tensor(&mut self, name: &str) -> Result<QTensor, LoadError> {
        let failed = |e: candle_core::Error| LoadError::Tensor { name: name.to_owned(), detail: e.to_string() };
        self.content.tensor(&mut self.reader, name, &Device::Cpu).map_err(failed)
    }

    /// Reads a tensor as plain numbers, of the given count.
    pub(crate) fn plain(&mut self, name: &str, count: usize) -> Result<Vec<f32>, LoadError> {
        let failed = |e: candle_core::Error| LoadError::Tensor { name: name.to_owned(), detail: e.to_string() };
        let tensor = self.tensor(name)?;
        let plain = tensor.dequantize(&Device::Cpu).and_then(|t| t.flatten_all()?.to_vec1()).map_err(failed)?;
        if plain.len() == count {
            Ok(plain)
        } else {
            let detail = format!("has {} numbers instead of {count}", plain.len());
            Err(LoadError::Tensor { name: name.to_owned(), detail })
        }
    }
}
