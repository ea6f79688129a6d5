//! Writes a GGUF file (version 3): the head first, for which all shapes must be known, then the tensors in its order.

use super::value::{Value, kind};
use candle_core::quantized::GgmlDType;
use std::io::{self, Write};

const ALIGNMENT: usize = 32;

/// A file in the making: its head is written, its tensors are awaited.
pub(crate) struct Writer<W> {
    out: W,
    /// Bytes of the tensors to come, in order.
    awaited: std::collections::VecDeque<usize>,
}

/// A tensor that is to come.
#[derive(Debug, Clone)]
pub(crate) struct Coming<'a> {
    pub(crate) name: &'a str,
    /// Rows first.
    pub(crate) shape: &'a [usize],
    pub(crate) dtype: GgmlDType,
}

impl Coming<'_> {
    fn bytes(&self) -> usize {
        self.shape.iter().product::<usize>() / self.dtype.block_size() * self.dtype.type_size()
    }
}

impl<W: Write> Writer<W> {
    /// Writes the head.
    pub(crate) fn begin(out: W, entries: &[(&str, &Value)], tensors: &[Coming<'_>]) -> io::Result<Self> {
        let mut head = Vec::new();
        head.extend_from_slice(b"GGUF");
        head.extend_from_slice(&3u32.to_le_bytes());
        head.extend_from_slice(&(tensors.len() as u64).to_le_bytes());
        head.extend_from_slice(&(entries.len() as u64).to_le_bytes());
        for (key, entry) in entries {
            text(&mut head, key);
            value(&mut head, entry);
        }
        let mut offset = 0usize;
        for tensor in tensors {
            text(&mut head, tensor.name);
            head.extend_from_slice(&(tensor.shape.len() as u32).to_le_bytes());
            for size in tensor.shape.iter().rev() {
                head.extend_from_slice(&(*size as u64).to_le_bytes());
            }
            head.extend_from_slice(&number(tensor.dtype).to_le_bytes());
            head.extend_from_slice(&(offset as u64).to_le_bytes());
            offset = (offset + tensor.bytes()).next_multiple_of(ALIGNMENT);
        }
        head.resize(head.len().next_multiple_of(ALIGNMENT), 0);
        let mut writer = Self { out, awaited: tensors.iter().map(Coming::bytes).collect() };
        writer.out.write_all(&head)?;
        Ok(writer)
    }

    /// Writes the next tensor.
    pub(crate) fn tensor(&mut self, data: &[u8]) -> io::Result<()> {
        if self.awaited.pop_front() != Some(data.len()) {
            return Err(io::Error::other(format!("a tensor of {} bytes was not announced", data.len())));
        }
        self.out.write_all(data)?;
        let rest = data.len().next_multiple_of(ALIGNMENT) - data.len();
        self.out.write_all(&[0; ALIGNMENT][..rest])
    }

    /// Ends the file, which must be whole.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        if !self.awaited.is_empty() {
            return Err(io::Error::other(format!("{} tensors were announced and did not come", self.awaited.len())));
        }
        self.out.flush()?;
        Ok(self.out)
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as u64).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn list<T>(out: &mut Vec<u8>, kind: u32, items: &[T], mut write: impl FnMut(&mut Vec<u8>, &T)) {
    out.extend_from_slice(&kind::LIST.to_le_bytes());
    out.extend_from_slice(&kind.to_le_bytes());
    out.extend_from_slice(&(items.len() as u64).to_le_bytes());
    items.iter().for_each(|item| write(out, item));
}

/// A value, in the narrowest kind that readers expect: they ask for whole numbers and fractions of 32 bits.
fn value(out: &mut Vec<u8>, value: &Value) {
    let mut scalar = |kind: u32, bytes: &[u8]| {
        out.extend_from_slice(&kind.to_le_bytes());
        out.extend_from_slice(bytes);
    };
    match value {
        Value::Unsigned(v) => match u32::try_from(*v) {
            Ok(v) => scalar(kind::U32, &v.to_le_bytes()),
            Err(_) => scalar(kind::U64, &v.to_le_bytes()),
        },
        Value::Signed(v) => match i32::try_from(*v) {
            Ok(v) => scalar(kind::I32, &v.to_le_bytes()),
            Err(_) => scalar(kind::I64, &v.to_le_bytes()),
        },
        Value::Float(v) => scalar(kind::F32, &(*v as f32).to_le_bytes()),
        Value::Flag(v) => scalar(kind::BOOL, &[u8::from(*v)]),
        Value::Text(v) => {
            out.extend_from_slice(&kind::TEXT.to_le_bytes());
            text(out, v);
        }
        Value::Texts(v) => list(out, kind::TEXT, v, |out, v| text(out, v)),
        Value::Floats(v) => list(out, kind::F32, v, |out, v| out.extend_from_slice(&v.to_le_bytes())),
        Value::Flags(v) => list(out, kind::BOOL, v, |out, v| out.push(u8::from(*v))),
        Value::Integers(v) if v.iter().all(|v| i32::try_from(*v).is_ok()) => {
            list(out, kind::I32, v, |out, v| out.extend_from_slice(&(*v as i32).to_le_bytes()));
        }
        Value::Integers(v) => list(out, kind::I64, v, |out, v| out.extend_from_slice(&v.to_le_bytes())),
    }
}

fn number(dtype: GgmlDType) -> u32 {
    use GgmlDType as T;
    match dtype {
        T::F32 => 0,
        T::F16 => 1,
        T::Q4_0 => 2,
        T::Q4_1 => 3,
        T::Q5_0 => 6,
        T::Q5_1 => 7,
        T::Q8_0 => 8,
        T::Q8_1 => 9,
        T::Q2K => 10,
        T::Q3K => 11,
        T::Q4K => 12,
        T::Q5K => 13,
        T::Q6K => 14,
        T::Q8K => 15,
        T::BF16 => 30,
    }
}
