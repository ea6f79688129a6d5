//! The base as fine-tuning holds it: its weights as the file has them, once, and what its layers do. Owns how rows of GGUF
//! files are put as adapters know them; the arithmetic of a layer is `layer`'s.

use super::fault::TuneFault;
use super::frozen::Frozen;
use super::norm::Norm;
use crate::adapter::{BaseShape, PROJECTIONS, Size};
use crate::error::LoadError;
use crate::model::{Description, LayerPart, ModelFiles, Pairing, Part, Rotary, RotarySpec, Source};
use candle_core::{Device, Tensor};
use std::sync::Arc;

/// A base in memory.
pub(super) struct Base {
    pub(super) shape: Description,
    pub(super) embedding: Frozen,
    pub(super) layers: Vec<Layer>,
    pub(super) norm: Norm,
    /// Absent where the embedding serves.
    head: Option<Frozen>,
    pub(super) rotary: Arc<Rotary>,
    /// Of layers with a window, where they have their own.
    pub(super) local_rotary: Option<Arc<Rotary>>,
}

/// A layer's weights.
pub(super) struct Layer {
    pub(super) attention_norm: Norm,
    pub(super) query_norm: Option<Norm>,
    pub(super) key_norm: Option<Norm>,
    pub(super) post_attention_norm: Option<Norm>,
    pub(super) feed_norm: Norm,
    pub(super) post_feed_norm: Option<Norm>,
    /// In the order of [`PROJECTIONS`].
    pub(super) products: [Product; PROJECTIONS.len()],
    /// Tokens that it sees; `None` = all.
    pub(super) window: Option<usize>,
}

/// A product of a layer.
pub(super) struct Product {
    pub(super) weight: Frozen,
    pub(super) bias: Option<Tensor>,
}

/// Reads tensors of a base.
struct Reader<'a> {
    source: &'a mut dyn Source,
    shape: &'a Description,
    /// Where the row that adapters call so lies in the file.
    rows: BaseShape,
}

impl Base {
    /// Reads the weights; `progress` hears how many of how many tensors are there.
    pub(super) fn load(files: &mut ModelFiles, progress: &mut dyn FnMut(usize, usize)) -> Result<Self, TuneFault> {
        let shape = files.description()?;
        is_trained(&shape)?;
        let paired = (shape.rotary.pairing == Pairing::Interleaved).then_some(shape.dim);
        let rows = BaseShape { paired, ..BaseShape::default() };
        let mut read = Reader { source: files.source(), shape: &shape, rows };
        let total = shape.layers + 2;
        progress(0, total);
        let embedding = read.matrix(Part::Embedding, None, shape.width)?;
        progress(1, total);
        let mut layers = Vec::with_capacity(shape.layers);
        for index in 0..shape.layers {
            layers.push(read.layer(index)?);
            progress(index + 2, total);
        }
        let norm = read.norm(Part::Norm, shape.width)?;
        let words = Some(embedding.rows());
        let head = read.source.has(Part::Head).then(|| read.matrix(Part::Head, words, shape.width)).transpose()?;
        let rotary = read.rotary(&shape.rotary)?;
        let local = shape.local.as_ref().and_then(|local| local.rotary.as_ref());
        let local_rotary = local.map(|spec| read.rotary(spec)).transpose()?;
        progress(total, total);
        Ok(Self { embedding, layers, norm, head, rotary, local_rotary, shape })
    }

    /// What adapters of it must fit, rows being as adapters know them.
    pub(super) fn sizes(&self) -> BaseShape {
        let size = |product: &Product| Size { rows: product.weight.rows(), cols: product.weight.cols() };
        let layers = self.layers.iter().map(|layer| layer.products.each_ref().map(size)).collect();
        BaseShape { layers, paired: None, fused: false, is_coarse: false }
    }

    /// From states to the scores of words.
    pub(super) fn head(&self) -> &Frozen {
        self.head.as_ref().unwrap_or(&self.embedding)
    }

    /// All its matrices.
    pub(super) fn matrices(&self) -> impl Iterator<Item = &Frozen> {
        let products = self.layers.iter().flat_map(|layer| layer.products.iter().map(|product| &product.weight));
        products.chain([&self.embedding]).chain(&self.head)
    }

    /// The rows of some tokens, as they go into the first layer.
    pub(super) fn embed(&self, tokens: &[u32]) -> candle_core::Result<Tensor> {
        let mut rows = Vec::with_capacity(tokens.len() * self.shape.width);
        for token in tokens {
            rows.extend(self.embedding.some(*token as usize, 1)?.flatten_all()?.to_vec1::<f32>()?);
        }
        rows.iter_mut().for_each(|v| *v *= self.shape.embedding_scale);
        Tensor::from_vec(rows, (tokens.len(), self.shape.width), &Device::Cpu)
    }
}

/// Whether the operations here are those of the family.
fn is_trained(shape: &Description) -> Result<(), TuneFault> {
    let unsupported = |what: &str| Err(TuneFault::Unsupported(what.to_owned()));
    if shape.fused {
        return unsupported("a model whose query, key and value are one product (Phi-3)");
    }
    if shape.attention_cap.is_some() || shape.logit_cap.is_some() {
        return unsupported("a model whose scores are capped");
    }
    if shape.rotary.pairing == Pairing::Interleaved && shape.rotary.dims != shape.dim {
        return unsupported("a GGUF file of a model that turns a part of each head");
    }
    Ok(())
}

impl Reader<'_> {
    fn layer(&mut self, index: usize) -> Result<Layer, TuneFault> {
        use LayerPart as P;
        let part = |part| Part::Layer(index, part);
        let (width, hidden, queries, keys) =
            (self.shape.width, self.shape.hidden, self.shape.queries(), self.shape.keys());
        let heads = self.shape.head_norms;
        let around = self.shape.post_norms;
        Ok(Layer {
            attention_norm: self.norm(part(P::AttentionNorm), width)?,
            query_norm: heads.then(|| self.norm(part(P::QueryNorm), self.shape.dim)).transpose()?,
            key_norm: heads.then(|| self.norm(part(P::KeyNorm), self.shape.dim)).transpose()?,
            post_attention_norm: around.then(|| self.norm(part(P::PostAttentionNorm), width)).transpose()?,
            feed_norm: self.norm(part(P::FeedNorm), width)?,
            post_feed_norm: around.then(|| self.norm(part(P::PostFeedNorm), width)).transpose()?,
            products: [
                self.product(0, part(P::Query), Some(part(P::QueryBias)), (queries, width))?,
                self.product(1, part(P::Key), Some(part(P::KeyBias)), (keys, width))?,
                self.product(2, part(P::Value), Some(part(P::ValueBias)), (keys, width))?,
                self.product(3, part(P::Output), None, (width, queries))?,
                self.product(4, part(P::Gate), None, (hidden, width))?,
                self.product(5, part(P::Up), None, (hidden, width))?,
                self.product(6, part(P::Down), None, (width, hidden))?,
            ],
            window: self.shape.window(index),
        })
    }

    fn product(
        &mut self,
        slot: usize,
        part: Part,
        bias: Option<Part>,
        (rows, cols): (usize, usize),
    ) -> Result<Product, TuneFault> {
        let is_moved = self.rows.paired.is_some() && slot < 2;
        let place = |rows: &BaseShape, row| if is_moved { rows.row(slot, row) } else { row };
        let weight = self.matrix_of(part, Some(rows), cols, place)?;
        let bias = bias.filter(|_| self.shape.biases).map(|bias| self.source.plain(bias, rows)).transpose()?;
        let moved = |bias: Vec<f32>| -> Vec<f32> {
            if is_moved { (0..rows).map(|row| bias[self.rows.row(slot, row)]).collect() } else { bias }
        };
        let bias = bias.map(|bias| Tensor::from_vec(moved(bias), rows, &Device::Cpu)).transpose()?;
        Ok(Product { weight, bias })
    }

    fn matrix(&mut self, part: Part, rows: Option<usize>, cols: usize) -> Result<Frozen, TuneFault> {
        self.matrix_of(part, rows, cols, |_, row| row)
    }

    /// A matrix, row `r` of which is the file's `place(r)`.
    fn matrix_of(
        &mut self,
        part: Part,
        rows: Option<usize>,
        cols: usize,
        place: impl Fn(&BaseShape, usize) -> usize,
    ) -> Result<Frozen, TuneFault> {
        let name = self.source.name(part);
        let failed = |detail: String| LoadError::Tensor { name: name.clone(), detail };
        let fits = |there: usize, across: usize| {
            let detail = || format!("is {there} × {across}, which does not fit the model's shape");
            let is_fit = across == cols && rows.is_none_or(|rows| rows == there);
            is_fit.then_some(()).ok_or_else(|| failed(detail()))
        };
        let from = |row| place(&self.rows, row);
        if let Some(raw) = self.source.raw(part)? {
            fits(raw.rows, raw.cols)?;
            return Ok(Frozen::of((raw.dtype, (raw.rows, raw.cols)), &raw.data, from));
        }
        let tensor = self.source.tensor(part)?;
        let wrong = |e: candle_core::Error| failed(e.to_string());
        let (there, across) = tensor.shape().dims2().map_err(wrong)?;
        fits(there, across)?;
        let data = tensor.data().map_err(|e| failed(e.to_string()))?;
        Ok(Frozen::of((tensor.dtype(), (there, across)), &data, from))
    }

    fn norm(&mut self, part: Part, count: usize) -> Result<Norm, TuneFault> {
        let mut weights = self.source.plain(part, count)?;
        weights.iter_mut().for_each(|w| *w += self.shape.norm_offset);
        Ok(Norm::new(weights, self.shape.eps))
    }

    /// Rows are put in halves, whatever the file has.
    fn rotary(&mut self, spec: &RotarySpec) -> Result<Arc<Rotary>, TuneFault> {
        let spec = RotarySpec { pairing: Pairing::Halves, ..spec.clone() };
        Ok(Arc::new(Rotary::new(&spec, self.source)?))
    }
}
