//! A GGUF file made smaller: its matrices quantised anew into another file, which is then read back and compared with the
//! first, so that what is said of it is measured and not hoped.

use crate::error::LoadError;
use crate::gguf::{Coming, GgufFile, Value, Writer};
use candle_core::Device;
use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use std::borrow::Cow;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

/// Numbers that are worked on together.
const PIECE: usize = 1 << 22;

/// What matrices are quantised to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantization {
    /// 8 bits, with a scale for 32.
    Q8_0,
    /// 4 bits, with a scale for 32.
    Q4_0,
    /// 4 bits, with a scale and a least value for 32.
    Q4_1,
    /// 6 bits, in blocks of 256.
    Q6K,
    /// 4 bits, in blocks of 256.
    Q4K,
    /// Half precision, not quantised.
    F16,
}

impl Quantization {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Q8_0, Self::Q4_0, Self::Q4_1, Self::Q6K, Self::Q4K, Self::F16];

    /// Its name as people write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Q8_0 => "q8_0",
            Self::Q4_0 => "q4_0",
            Self::Q4_1 => "q4_1",
            Self::Q6K => "q6_k",
            Self::Q4K => "q4_k",
            Self::F16 => "f16",
        }
    }

    const fn dtype(self) -> GgmlDType {
        match self {
            Self::Q8_0 => GgmlDType::Q8_0,
            Self::Q4_0 => GgmlDType::Q4_0,
            Self::Q4_1 => GgmlDType::Q4_1,
            Self::Q6K => GgmlDType::Q6K,
            Self::Q4K => GgmlDType::Q4K,
            Self::F16 => GgmlDType::F16,
        }
    }

    /// The number that the format's entry `general.file_type` has for it.
    const fn file_type(self) -> u64 {
        match self {
            Self::F16 => 1,
            Self::Q4_0 => 2,
            Self::Q4_1 => 3,
            Self::Q8_0 => 7,
            Self::Q4K => 14,
            Self::Q6K => 18,
        }
    }

    /// How far off the weights may be, as a part of their size: more is a defect of the writer, not of the type.
    const fn most_off(self) -> f64 {
        match self {
            Self::F16 => 0.001,
            Self::Q8_0 => 0.02,
            Self::Q6K => 0.06,
            Self::Q4K | Self::Q4_0 | Self::Q4_1 => 0.25,
        }
    }
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantized {
    /// Bytes before.
    pub before: u64,
    /// Bytes after.
    pub after: u64,
    /// Tensors of the type that was asked for.
    pub quantized: usize,
    /// Tensors of another type: norms, biases, and matrices that do not fit its blocks or choose tokens.
    pub others: usize,
    /// How far the weights that were read back are off, by root mean square, as a part of theirs.
    pub off: f64,
    /// Whether a source tensor had fewer than 16 bits: its numbers were rounded twice.
    pub twice_rounded: bool,
}

/// A file was not quantised.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuantizeError {
    /// The source cannot be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The target cannot be written.
    #[error("cannot write {path}: {source}", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A tensor cannot be quantised.
    #[error("tensor `{name}` cannot be quantised: {detail}")]
    Tensor {
        /// The tensor.
        name: String,
        /// Why.
        detail: String,
    },
    /// What was read back is not what was written.
    #[error("what was read back of tensor `{name}` is not the source's: {detail}; the file was not kept")]
    NotTheSame {
        /// The tensor.
        name: String,
        /// What is wrong with it.
        detail: String,
    },
}

/// A tensor and what becomes of it.
struct Planned {
    name: String,
    shape: Vec<usize>,
    from: GgmlDType,
    to: GgmlDType,
}

/// Quantises a file into another, which appears under its name only when it was read back. `progress` hears how many of
/// how many weights are done, each counted once when it is written and once when it is compared.
pub fn quantize(
    source: &Path,
    target: &Path,
    to: Quantization,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Quantized, QuantizeError> {
    let unwritten = |path: &Path, source| QuantizeError::Write { path: path.to_owned(), source };
    let mut file = GgufFile::open(source)?;
    let plan = plan(&file, to);
    let total = 2 * plan.iter().map(|p| p.shape.iter().product::<usize>() as u64).sum::<u64>();
    let mut done = 0;
    let mut tell = |numbers: usize| {
        done += numbers as u64;
        progress(done, total);
    };
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let partial = target.with_file_name(name);
    let made = write(&mut file, &partial, to, &plan, &mut tell)
        .and_then(|()| compare(&mut file, &partial, &plan, to, &mut tell));
    let off = match made {
        Ok(off) => off,
        Err(error) => {
            // What is not whole is of no use to anybody.
            drop(std::fs::remove_file(&partial));
            return Err(error);
        }
    };
    let length = |path: &Path| std::fs::metadata(path).map(|m| m.len()).map_err(|e| unwritten(path, e));
    let (before, after) = (length(source)?, length(&partial)?);
    std::fs::rename(&partial, target).map_err(|e| unwritten(target, e))?;
    let quantized = plan.iter().filter(|p| p.to == to.dtype()).count();
    let twice_rounded = plan.iter().any(|p| p.from != p.to && p.from.block_size() > 1);
    Ok(Quantized { before, after, quantized, others: plan.len() - quantized, off, twice_rounded })
}

/// Matrices become the type asked for. Those that choose tokens keep 8 bits at least, since errors there are errors of
/// the answer itself; norms and biases stay as they are.
fn plan(file: &GgufFile, to: Quantization) -> Vec<Planned> {
    let head = if file.has("output.weight") { "output.weight" } else { "token_embd.weight" };
    let fits = |shape: &[usize], dtype: GgmlDType| shape.last().is_some_and(|c| c.is_multiple_of(dtype.block_size()));
    let planned = |(name, info): (&str, &crate::gguf::TensorInfo)| {
        let (shape, from) = (info.shape.clone(), info.dtype);
        let is_matrix = shape.len() >= 2 && name.ends_with(".weight");
        let wanted = if name == head && to != Quantization::F16 { GgmlDType::Q8_0 } else { to.dtype() };
        let to = match [wanted, GgmlDType::Q8_0].into_iter().find(|dtype| fits(&shape, *dtype)) {
            Some(dtype) if is_matrix => dtype,
            _ => from,
        };
        Planned { name: name.to_owned(), shape, from, to }
    };
    file.tensors().into_iter().map(planned).collect()
}

fn write(
    file: &mut GgufFile,
    path: &Path,
    to: Quantization,
    plan: &[Planned],
    tell: &mut dyn FnMut(usize),
) -> Result<(), QuantizeError> {
    let unwritten = |source| QuantizeError::Write { path: path.to_owned(), source };
    let mut entries: Vec<(String, Value)> = file.entries().map(|(k, v)| (k.to_owned(), v.clone())).collect();
    let ours = [("general.file_type", to.file_type()), ("general.quantization_version", 2)];
    entries.retain(|(key, _)| key != "general.alignment" && ours.iter().all(|(own, _)| key != own));
    entries.extend(ours.map(|(key, value)| (key.to_owned(), Value::Unsigned(value))));
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    let entries: Vec<(&str, &Value)> = entries.iter().map(|(k, v)| (k.as_str(), v)).collect();
    let coming: Vec<Coming<'_>> = plan.iter().map(|p| Coming { name: &p.name, shape: &p.shape, dtype: p.to }).collect();
    let out = BufWriter::with_capacity(1 << 20, File::create(path).map_err(unwritten)?);
    let mut writer = Writer::begin(out, &entries, &coming).map_err(unwritten)?;
    for planned in plan {
        let tensor = file.tensor(&planned.name)?;
        let data = converted(&tensor, planned, tell)
            .map_err(|e| QuantizeError::Tensor { name: planned.name.clone(), detail: e.to_string() })?;
        writer.tensor(&data).map_err(unwritten)?;
    }
    let out = writer.finish().map_err(unwritten)?.into_inner().map_err(|e| unwritten(e.into_error()))?;
    out.sync_all().map_err(unwritten)
}

/// The bytes of a tensor in its new type, a piece at a time.
fn converted(tensor: &QTensor, planned: &Planned, tell: &mut dyn FnMut(usize)) -> candle_core::Result<Vec<u8>> {
    if planned.from == planned.to {
        tell(planned.shape.iter().product());
        return Ok(tensor.data()?.into_owned());
    }
    let mut out = Vec::new();
    pieces(tensor, &planned.shape, &mut |piece, _| {
        let piece = piece.dequantize(&Device::Cpu)?;
        tell(piece.elem_count());
        out.extend_from_slice(&QTensor::quantize(&piece, planned.to)?.data()?);
        Ok(())
    })?;
    Ok(out)
}

/// Calls `work` with some rows of a tensor at a time, and the number of the first.
fn pieces(
    tensor: &QTensor,
    shape: &[usize],
    work: &mut dyn FnMut(QTensor, usize) -> candle_core::Result<()>,
) -> candle_core::Result<()> {
    let cols = shape.last().copied().unwrap_or(1).max(1);
    let rows = shape.iter().product::<usize>() / cols;
    let data = tensor.data()?;
    let (row, step) = (data.len() / rows.max(1), (PIECE / cols).max(1));
    for first in (0..rows).step_by(step) {
        let count = step.min(rows - first);
        let bytes = Cow::Owned(data[first * row..][..count * row].to_vec());
        let storage = QStorage::from_data(bytes, &Device::Cpu, tensor.dtype())?;
        work(QTensor::new(storage, (count, cols))?, first)?;
    }
    Ok(())
}

/// Reads the new file and holds every tensor to the source's; how far all of them together are off.
fn compare(
    source: &mut GgufFile,
    path: &Path,
    plan: &[Planned],
    to: Quantization,
    tell: &mut dyn FnMut(usize),
) -> Result<f64, QuantizeError> {
    let mut target = GgufFile::open(path)?;
    let (mut square, mut error) = (0.0, 0.0);
    for planned in plan {
        let not_the_same = |detail: String| QuantizeError::NotTheSame { name: planned.name.clone(), detail };
        let (old, new) = (source.tensor(&planned.name)?, target.tensor(&planned.name)?);
        if new.dtype() != planned.to || new.shape().dims() != planned.shape {
            return Err(not_the_same(format!("it is {:?} of {:?}", new.shape(), new.dtype())));
        }
        let (size, off) = distance(&old, &new, planned, tell).map_err(|e| not_the_same(e.to_string()))?;
        let (part, most) = ((off / size.max(f64::MIN_POSITIVE)).sqrt(), to.most_off());
        if !part.is_finite() || part > most {
            return Err(not_the_same(format!(
                "it is off by {:.1} % where {:.1} % are possible",
                part * 100.0,
                most * 100.0
            )));
        }
        square += size;
        error += off;
    }
    Ok((error / square.max(f64::MIN_POSITIVE)).sqrt())
}

/// The sum of a tensor's squares, and that of the differences' squares.
fn distance(
    old: &QTensor,
    new: &QTensor,
    planned: &Planned,
    tell: &mut dyn FnMut(usize),
) -> candle_core::Result<(f64, f64)> {
    let (mut size, mut off) = (0.0f64, 0.0f64);
    let cols = planned.shape.last().copied().unwrap_or(1).max(1);
    let rows = planned.shape.iter().product::<usize>() / cols;
    let data = new.data()?;
    let row = data.len() / rows.max(1);
    pieces(old, &planned.shape, &mut |piece, first| {
        let old: Vec<f32> = piece.dequantize(&Device::Cpu)?.flatten_all()?.to_vec1()?;
        let count = old.len() / cols;
        let bytes = Cow::Owned(data[first * row..][..count * row].to_vec());
        let new = QTensor::new(QStorage::from_data(bytes, &Device::Cpu, new.dtype())?, (count, cols))?;
        let new: Vec<f32> = new.dequantize(&Device::Cpu)?.flatten_all()?.to_vec1()?;
        for (old, new) in old.iter().zip(&new) {
            size += f64::from(*old) * f64::from(*old);
            off += f64::from(old - new) * f64::from(old - new);
        }
        tell(old.len());
        Ok(())
    })?;
    Ok((size, off))
}

#[cfg(test)]
mod tests;
