//! A safetensors file, read without trust: its head is held to the file's length before anything is allocated, and no
//! tensor may reach out of the file or into another. Numbers of 32, 16 and brain-16 bits; others are refused by name.

mod writer;

pub(crate) use writer::{Outgoing, write};

use crate::error::LoadError;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Bytes of a head at most, as the format's own library has it.
const MOST_HEAD: u64 = 100_000_000;
const MOST_TENSORS: usize = 1 << 16;

/// How a tensor's numbers are kept in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Width {
    F32,
    F16,
    Bf16,
}

impl Width {
    fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }
}

/// Where a tensor is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Info {
    pub(crate) shape: Vec<usize>,
    pub(crate) width: Width,
    start: u64,
    count: usize,
}

/// An open file.
pub(crate) struct SafetensorsFile {
    path: PathBuf,
    file: File,
    words: HashMap<String, String>,
    tensors: HashMap<String, Info>,
}

/// A tensor as the head has it.
#[derive(Debug, serde::Deserialize)]
struct Raw {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

/// All of them, in the head's order, with those that are there twice.
#[derive(Debug)]
struct Head(Vec<(String, Raw)>, Words);

/// What stands beside the tensors.
type Words = HashMap<String, String>;

impl<'de> Deserialize<'de> for Head {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Head;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("tensors by name")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Head, M::Error> {
                let (mut tensors, mut words) = (Vec::new(), Words::new());
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        let Said(said) = map.next_value()?;
                        words = said;
                        continue;
                    }
                    if tensors.len() == MOST_TENSORS {
                        return Err(M::Error::custom("more tensors than any model has"));
                    }
                    tensors.push((name, map.next_value()?));
                }
                Ok(Head(tensors, words))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

/// The texts of `__metadata__`; whatever else stands there is passed over, as it says nothing of the tensors.
struct Said(Words);

impl<'de> Deserialize<'de> for Said {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let texts = value.as_object().into_iter().flatten();
        Ok(Self(texts.filter_map(|(key, text)| Some((key.clone(), text.as_str()?.to_owned()))).collect()))
    }
}

impl SafetensorsFile {
    /// Opens it and reads its head.
    pub(crate) fn open(path: &Path) -> Result<Self, LoadError> {
        let unread = |source| LoadError::Read { path: path.to_owned(), source };
        let mut file = File::open(path).map_err(unread)?;
        let length = file.metadata().map_err(unread)?.len();
        let read = head(&mut file, length).map_err(|detail| LoadError::Format { path: path.to_owned(), detail })?;
        let (tensors, words) = read;
        Ok(Self { path: path.to_owned(), file, words, tensors })
    }

    /// A text that stands beside the tensors.
    pub(crate) fn word(&self, key: &str) -> Option<&str> {
        self.words.get(key).map(String::as_str)
    }

    /// A tensor's place.
    pub(crate) fn info(&self, name: &str) -> Option<&Info> {
        self.tensors.get(name)
    }

    /// The tensors' names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Adds `count` numbers of a tensor, from the number `first`, to `out`.
    pub(crate) fn read(
        &mut self,
        info: &Info,
        first: usize,
        count: usize,
        out: &mut Vec<f32>,
    ) -> Result<(), LoadError> {
        let unread = |source| LoadError::Read { path: self.path.clone(), source };
        let width = info.width.bytes();
        debug_assert!(first + count <= info.count);
        self.file.seek(SeekFrom::Start(info.start + (first * width) as u64)).map_err(unread)?;
        // The head was held to the file's length, so this is no more than the file has.
        let mut bytes = vec![0; count * width];
        self.file.read_exact(&mut bytes).map_err(unread)?;
        match info.width {
            Width::F32 => out.extend(bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))),
            Width::F16 => out.extend(bytes.chunks_exact(2).map(|b| half::f16::from_le_bytes([b[0], b[1]]).to_f32())),
            Width::Bf16 => out.extend(bytes.chunks_exact(2).map(|b| half::bf16::from_le_bytes([b[0], b[1]]).to_f32())),
        }
        Ok(())
    }
}

/// Reads the head of a file of `length` bytes.
fn head(reader: &mut impl Read, length: u64) -> Result<(HashMap<String, Info>, Words), String> {
    let mut size = [0; 8];
    reader.read_exact(&mut size).map_err(|_| "it is shorter than any such file")?;
    let size = u64::from_le_bytes(size);
    let data = size.checked_add(8).filter(|data| *data <= length && size <= MOST_HEAD);
    let data = data.ok_or_else(|| format!("it claims a head of {size} bytes, more than it can hold"))?;
    let mut text = vec![0; size as usize];
    reader.read_exact(&mut text).map_err(|e| e.to_string())?;
    let Head(raw, words) = serde_json::from_slice(&text).map_err(|e| format!("its head cannot be read: {e}"))?;
    let mut tensors = HashMap::with_capacity(raw.len());
    for (name, raw) in raw {
        let info = place(&raw, data, length).map_err(|e| format!("tensor `{name}` {e}"))?;
        if tensors.contains_key(&name) {
            return Err(format!("the tensor `{name}` is there twice"));
        }
        tensors.insert(name, info);
    }
    let mut places: Vec<_> = tensors.iter().map(|(n, i)| (i.start, (i.count * i.width.bytes()) as u64, n)).collect();
    places.sort_unstable();
    match places.windows(2).find(|two| two[0].0 + two[0].1 > two[1].0) {
        Some(two) => Err(format!("the tensors `{}` and `{}` overlap", two[0].2, two[1].2)),
        None => Ok((tensors, words)),
    }
}

fn place(raw: &Raw, data: u64, length: u64) -> Result<Info, String> {
    let width = match raw.dtype.as_str() {
        "F32" => Width::F32,
        "F16" => Width::F16,
        "BF16" => Width::Bf16,
        other => return Err(format!("is of the type {other}; the engine reads F32, F16 and BF16")),
    };
    let shape: Option<Vec<usize>> = raw.shape.iter().map(|n| usize::try_from(*n).ok()).collect();
    let count = shape.as_ref().and_then(|shape| shape.iter().try_fold(1usize, |all, n| all.checked_mul(*n)));
    let (begin, end) = raw.data_offsets;
    let bytes = end.checked_sub(begin);
    let claimed = count.and_then(|count| count.checked_mul(width.bytes()));
    let (Some(shape), Some(count), Some(claimed), Some(bytes)) = (shape, count, claimed, bytes) else {
        return Err(format!("has an impossible shape or place ({:?}, {begin} to {end})", raw.shape));
    };
    if claimed as u64 != bytes {
        return Err(format!("has {bytes} bytes for the shape {shape:?}, which takes {claimed}"));
    }
    let start = data.checked_add(begin).filter(|_| data.checked_add(end).is_some_and(|end| end <= length));
    let start = start.ok_or_else(|| format!("ends after the file of {length} bytes: it is cut short"))?;
    Ok(Info { shape, width, start, count })
}

#[cfg(test)]
mod tests;
