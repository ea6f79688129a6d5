//! The head of a GGUF file, read without trust: every count and length is held to what is left of the file before
//! anything is allocated, and every tensor to where the file ends and the next tensor begins.

use super::value::{Value, kind};
use candle_core::quantized::GgmlDType;
use std::collections::{HashMap, HashSet};
use std::io::Read;

/// Bytes of a head at most; a vocabulary of 262,144 words with merges takes about 16 MB.
const MOST_HEAD: u64 = 128 << 20;
/// Items of a list at most.
const MOST_ITEMS: u64 = 1 << 23;
const MOST_TENSORS: u64 = 1 << 16;
const MOST_ENTRIES: u64 = 1 << 16;
const MOST_NAME: u64 = 1 << 10;
const MOST_ALIGNMENT: u64 = 1 << 16;
const MOST_DIMENSIONS: u32 = 4;

/// All but the tensors' bytes.
#[derive(Debug, Default)]
pub(crate) struct Header {
    pub(crate) entries: HashMap<String, Value>,
    pub(crate) tensors: HashMap<String, TensorInfo>,
}

/// Where a tensor is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TensorInfo {
    /// Rows first, as everywhere but in the file.
    pub(crate) shape: Vec<usize>,
    pub(crate) dtype: GgmlDType,
    /// Its first byte in the file.
    pub(crate) start: u64,
    pub(crate) bytes: usize,
}

/// What is left to read.
struct Input<R> {
    reader: R,
    read: u64,
    /// Of the file, or of what a head may have.
    left: u64,
}

impl Header {
    /// Reads it from the beginning of a file of `length` bytes.
    pub(crate) fn read(reader: impl Read, length: u64) -> Result<Self, String> {
        let mut input = Input { reader, read: 0, left: length.min(MOST_HEAD) };
        if input.bytes::<4>()? != *b"GGUF" {
            return Err("it does not begin with `GGUF`".into());
        }
        let version = input.u32()?;
        if !(2..=3).contains(&version) {
            return Err(format!("version {version} of the format is not read (2 and 3 are)"));
        }
        let tensors = input.count("tensors", MOST_TENSORS, 24)?;
        let entries = input.count("entries", MOST_ENTRIES, 13)?;
        let mut header = Self::default();
        for _ in 0..entries {
            let key = input.name()?;
            let value = input.entry().map_err(|e| format!("entry `{key}`: {e}"))?;
            if header.entries.insert(key.clone(), value).is_some() {
                return Err(format!("the entry `{key}` is there twice"));
            }
        }
        let mut infos = Vec::with_capacity(tensors as usize);
        for _ in 0..tensors {
            let name = input.name()?;
            let info = input.tensor().map_err(|e| format!("tensor `{name}`: {e}"))?;
            infos.push((name, info));
        }
        let alignment = header.alignment()?;
        place(&mut infos, input.read.next_multiple_of(alignment), alignment, length)?;
        let mut names = HashSet::with_capacity(infos.len());
        if let Some((name, _)) = infos.iter().find(|(name, _)| !names.insert(name.as_str())) {
            return Err(format!("the tensor `{name}` is there twice"));
        }
        header.tensors = infos.into_iter().collect();
        Ok(header)
    }

    fn alignment(&self) -> Result<u64, String> {
        let Some(value) = self.entries.get("general.alignment") else { return Ok(32) };
        value
            .whole()
            .filter(|a| a.is_power_of_two() && *a <= MOST_ALIGNMENT)
            .ok_or_else(|| format!("the alignment must be a power of two up to {MOST_ALIGNMENT}"))
    }
}

/// Turns offsets into places in the file, each within it and none in another.
fn place(infos: &mut [(String, TensorInfo)], data: u64, alignment: u64, length: u64) -> Result<(), String> {
    for (name, info) in infos.iter_mut() {
        if !info.start.is_multiple_of(alignment) {
            return Err(format!("tensor `{name}` begins at {}, which is not aligned to {alignment}", info.start));
        }
        let start = data.checked_add(info.start);
        let end = start.and_then(|start| start.checked_add(info.bytes as u64)).filter(|end| *end <= length);
        let (Some(start), Some(_)) = (start, end) else {
            return Err(format!(
                "tensor `{name}` of {} bytes ends after the file of {length} bytes: it is cut short",
                info.bytes
            ));
        };
        info.start = start;
    }
    let mut places: Vec<_> = infos.iter().map(|(name, info)| (info.start, info.bytes as u64, name)).collect();
    places.sort_unstable();
    match places.windows(2).find(|two| two[0].0 + two[0].1 > two[1].0) {
        Some(two) => Err(format!("the tensors `{}` and `{}` overlap", two[0].2, two[1].2)),
        None => Ok(()),
    }
}

impl<R: Read> Input<R> {
    fn claim(&mut self, bytes: u64) -> Result<(), String> {
        self.left = self.left.checked_sub(bytes).ok_or("it ends within its head")?;
        self.read += bytes;
        Ok(())
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], String> {
        self.claim(N as u64)?;
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes).map_err(|e| e.to_string())?;
        Ok(bytes)
    }

    fn u32(&mut self) -> Result<u32, String> {
        self.bytes().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, String> {
        self.bytes().map(u64::from_le_bytes)
    }

    /// How many of something that takes at least `least` bytes each.
    fn count(&mut self, what: &str, most: u64, least: u64) -> Result<u64, String> {
        let count = self.u64()?;
        if count > most || count.saturating_mul(least) > self.left {
            return Err(format!("it claims to have {count} {what}, more than it can hold"));
        }
        Ok(count)
    }

    fn text(&mut self, most: u64) -> Result<String, String> {
        let length = self.u64()?;
        if length > most.min(self.left) {
            return Err(format!("it claims a text of {length} bytes, more than it can hold"));
        }
        self.claim(length)?;
        let mut bytes = vec![0; length as usize];
        self.reader.read_exact(&mut bytes).map_err(|e| e.to_string())?;
        // Words of some vocabularies are no whole characters.
        Ok(String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
    }

    fn name(&mut self) -> Result<String, String> {
        self.text(MOST_NAME)
    }

    fn entry(&mut self) -> Result<Value, String> {
        match self.u32()? {
            kind::LIST => self.list(),
            kind => self.value(kind),
        }
    }

    fn value(&mut self, kind: u32) -> Result<Value, String> {
        Ok(match kind {
            kind::U8 => Value::Unsigned(u8::from_le_bytes(self.bytes()?).into()),
            kind::U16 => Value::Unsigned(u16::from_le_bytes(self.bytes()?).into()),
            kind::U32 => Value::Unsigned(self.u32()?.into()),
            kind::U64 => Value::Unsigned(self.u64()?),
            kind::I8 => Value::Signed(i8::from_le_bytes(self.bytes()?).into()),
            kind::I16 => Value::Signed(i16::from_le_bytes(self.bytes()?).into()),
            kind::I32 => Value::Signed(i32::from_le_bytes(self.bytes()?).into()),
            kind::I64 => Value::Signed(i64::from_le_bytes(self.bytes()?)),
            kind::F32 => Value::Float(f32::from_le_bytes(self.bytes()?).into()),
            kind::F64 => Value::Float(f64::from_le_bytes(self.bytes()?)),
            kind::BOOL => Value::Flag(self.bytes::<1>()?[0] != 0),
            kind::TEXT => Value::Text(self.text(MOST_HEAD)?),
            other => return Err(format!("values of the kind {other} are unknown")),
        })
    }

    fn list(&mut self) -> Result<Value, String> {
        let kind = self.u32()?;
        let least = kind::least(kind).filter(|_| kind != kind::LIST);
        let least = least.ok_or_else(|| format!("lists of the kind {kind} are not read"))?;
        let count = self.count("items", MOST_ITEMS, least)? as usize;
        let mut list = match kind {
            kind::TEXT => Value::Texts(Vec::with_capacity(count)),
            kind::F32 | kind::F64 => Value::Floats(Vec::with_capacity(count)),
            kind::BOOL => Value::Flags(Vec::with_capacity(count)),
            _ => Value::Integers(Vec::with_capacity(count)),
        };
        for _ in 0..count {
            match (&mut list, self.value(kind)?) {
                (Value::Texts(list), Value::Text(v)) => list.push(v),
                (Value::Floats(list), Value::Float(v)) => list.push(v as f32),
                (Value::Flags(list), Value::Flag(v)) => list.push(v),
                (Value::Integers(list), Value::Signed(v)) => list.push(v),
                (Value::Integers(list), Value::Unsigned(v)) => {
                    list.push(i64::try_from(v).map_err(|_| format!("the number {v} is too large"))?);
                }
                _ => return Err("a list has items of two kinds".into()),
            }
        }
        Ok(list)
    }

    fn tensor(&mut self) -> Result<TensorInfo, String> {
        let rank = self.u32()?;
        if !(1..=MOST_DIMENSIONS).contains(&rank) {
            return Err(format!("has {rank} dimensions"));
        }
        let mut shape = Vec::with_capacity(rank as usize);
        for _ in 0..rank {
            shape.push(usize::try_from(self.u64()?).map_err(|e| e.to_string())?);
        }
        shape.reverse();
        let number = self.u32()?;
        let dtype = dtype(number).ok_or_else(|| format!("is of the type {number}, which the engine does not read"))?;
        let start = self.u64()?;
        let elements = shape.iter().try_fold(1usize, |all, n| all.checked_mul(*n)).filter(|n| *n > 0);
        let elements = elements.ok_or_else(|| format!("has the impossible shape {shape:?}"))?;
        if !shape.last().is_some_and(|cols| cols.is_multiple_of(dtype.block_size())) {
            return Err(format!("has rows that are not whole blocks of {dtype:?} ({shape:?})"));
        }
        let bytes = (elements / dtype.block_size()).checked_mul(dtype.type_size());
        let bytes = bytes.ok_or_else(|| format!("has the impossible shape {shape:?}"))?;
        Ok(TensorInfo { shape, dtype, start, bytes })
    }
}

/// The types that the engine reads.
fn dtype(number: u32) -> Option<GgmlDType> {
    use GgmlDType as T;
    Some(match number {
        0 => T::F32,
        1 => T::F16,
        2 => T::Q4_0,
        3 => T::Q4_1,
        6 => T::Q5_0,
        7 => T::Q5_1,
        8 => T::Q8_0,
        10 => T::Q2K,
        11 => T::Q3K,
        12 => T::Q4K,
        13 => T::Q5K,
        14 => T::Q6K,
        30 => T::BF16,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
