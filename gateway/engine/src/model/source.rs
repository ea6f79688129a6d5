//! Where a decoder's weights come from: a format's file or folder, asked for one tensor at a time, so that no second
//! copy of the weights is ever held.

use super::part::Part;
use crate::error::LoadError;
use crate::gguf::GgufFile;
use candle_core::quantized::QTensor;

/// A format's tensors.
pub(crate) trait Source {
    /// What the format calls a tensor.
    fn name(&self, part: Part) -> String;

    /// Whether it is there.
    fn has(&self, part: Part) -> bool;

    /// Reads it.
    fn tensor(&mut self, part: Part) -> Result<QTensor, LoadError>;

    /// Reads it as plain numbers, of the given count.
    fn plain(&mut self, part: Part, count: usize) -> Result<Vec<f32>, LoadError>;
}

impl Source for GgufFile {
    fn name(&self, part: Part) -> String {
        part.gguf()
    }

    fn has(&self, part: Part) -> bool {
        Self::has(self, &part.gguf())
    }

    fn tensor(&mut self, part: Part) -> Result<QTensor, LoadError> {
        Self::tensor(self, &part.gguf())
    }

    fn plain(&mut self, part: Part, count: usize) -> Result<Vec<f32>, LoadError> {
        Self::plain(self, &part.gguf(), count)
    }
}
