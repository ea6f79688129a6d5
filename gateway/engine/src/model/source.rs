//! Where a decoder's weights come from: a format's file or folder, asked for one tensor at a time, so that no second
//! copy of the weights is ever held.

use super::part::Part;
use crate::error::LoadError;
use crate::gguf::GgufFile;
use candle_core::quantized::{GgmlDType, QTensor};
use memmap2::MmapMut;

/// A format's tensors.
pub(crate) trait Source {
    /// What the format calls a tensor.
    fn name(&self, part: Part) -> String;

    /// Whether it is there.
    fn has(&self, part: Part) -> bool;

    /// Its bytes as the format has them, where it is a matrix of quantised numbers: read into memory that goes back to the
    /// system as soon as it is dropped.
    fn raw(&mut self, _part: Part) -> Result<Option<Raw>, LoadError> {
        Ok(None)
    }

    /// Reads it.
    fn tensor(&mut self, part: Part) -> Result<QTensor, LoadError>;

    /// Reads it as plain numbers, of the given count.
    fn plain(&mut self, part: Part, count: usize) -> Result<Vec<f32>, LoadError>;
}

/// The bytes of a matrix.
pub(crate) struct Raw {
    pub(crate) dtype: GgmlDType,
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) data: MmapMut,
}

impl Source for GgufFile {
    fn name(&self, part: Part) -> String {
        part.gguf()
    }

    fn has(&self, part: Part) -> bool {
        Self::has(self, &part.gguf())
    }

    fn raw(&mut self, part: Part) -> Result<Option<Raw>, LoadError> {
        Self::raw(self, &part.gguf())
    }

    fn tensor(&mut self, part: Part) -> Result<QTensor, LoadError> {
        Self::tensor(self, &part.gguf())
    }

    fn plain(&mut self, part: Part, count: usize) -> Result<Vec<f32>, LoadError> {
        Self::plain(self, &part.gguf(), count)
    }
}
