//! One layer's weights, read and checked against the description.

use crate::error::LoadError;
use crate::matrix::Matrix;
use crate::model::description::Description;
use crate::model::part::{LayerPart, Part};
use crate::model::projection::Projection;
use crate::model::source::Source;
use candle_core::Device;
use candle_core::quantized::{QStorage, QTensor};
use std::borrow::Cow;

/// A layer.
pub(crate) struct Layer {
    pub(super) attention_norm: Vec<f32>,
    pub(super) query: Projection,
    pub(super) key: Projection,
    pub(super) value: Projection,
    pub(super) query_norm: Option<Vec<f32>>,
    pub(super) key_norm: Option<Vec<f32>>,
    pub(super) output: Projection,
    pub(super) post_attention_norm: Option<Vec<f32>>,
    pub(super) feed_norm: Vec<f32>,
    pub(super) gate: Projection,
    pub(super) up: Projection,
    pub(super) down: Projection,
    pub(super) post_feed_norm: Option<Vec<f32>>,
    /// Tokens that it sees; `None` = all.
    pub(super) window: Option<usize>,
}

/// Reads the parts of one layer.
struct Reader<'a> {
    source: &'a mut dyn Source,
    shape: &'a Description,
    layer: usize,
}

impl Layer {
    /// Reads the layer of this index; `tick` hears of each tensor.
    pub(super) fn load(
        source: &mut dyn Source,
        shape: &Description,
        layer: usize,
        tick: &mut dyn FnMut(),
    ) -> Result<Self, LoadError> {
        use LayerPart as P;
        let (width, hidden, queries, keys) = (shape.width, shape.hidden, shape.queries(), shape.keys());
        let mut read = Reader { source, shape, layer };
        let names = ["q_proj", "k_proj", "v_proj"];
        let [query, key, value] = if shape.fused {
            read.split(P::QueryKeyValue, names, [queries, keys, keys])?
        } else {
            [
                read.projection("q_proj", P::Query, Some(P::QueryBias), queries, width)?,
                read.projection("k_proj", P::Key, Some(P::KeyBias), keys, width)?,
                read.projection("v_proj", P::Value, Some(P::ValueBias), keys, width)?,
            ]
        };
        (0..3).for_each(|_| tick());
        let output = read.projection("o_proj", P::Output, None, width, queries)?;
        tick();
        let [gate, up] = if shape.fused {
            read.split(P::GateUp, ["gate_proj", "up_proj"], [hidden, hidden])?
        } else {
            [
                read.projection("gate_proj", P::Gate, None, hidden, width)?,
                read.projection("up_proj", P::Up, None, hidden, width)?,
            ]
        };
        let down = read.projection("down_proj", P::Down, None, width, hidden)?;
        (0..3).for_each(|_| tick());
        let attention_norm = read.norm(P::AttentionNorm, width)?;
        let feed_norm = read.norm(P::FeedNorm, width)?;
        (0..2).for_each(|_| tick());
        Ok(Self {
            attention_norm,
            query,
            key,
            value,
            query_norm: shape.head_norms.then(|| read.norm(P::QueryNorm, shape.dim)).transpose()?,
            key_norm: shape.head_norms.then(|| read.norm(P::KeyNorm, shape.dim)).transpose()?,
            output,
            post_attention_norm: shape.post_norms.then(|| read.norm(P::PostAttentionNorm, width)).transpose()?,
            feed_norm,
            gate,
            up,
            down,
            post_feed_norm: shape.post_norms.then(|| read.norm(P::PostFeedNorm, width)).transpose()?,
            window: shape.window(layer),
        })
    }

    /// Its matrices, in the order in which a step reads them.
    pub(super) fn matrices(&mut self) -> [&mut Matrix; 7] {
        let Self { query, key, value, output, gate, up, down, .. } = self;
        [query, key, value, output, gate, up, down].map(Projection::matrix)
    }

    /// All its products.
    pub(crate) fn projections(&self) -> [&Projection; 7] {
        [&self.query, &self.key, &self.value, &self.output, &self.gate, &self.up, &self.down]
    }
}

impl Reader<'_> {
    fn part(&self, part: LayerPart) -> Part {
        Part::Layer(self.layer, part)
    }

    fn norm(&mut self, part: LayerPart, count: usize) -> Result<Vec<f32>, LoadError> {
        let part = self.part(part);
        norm(self.source, self.shape, part, count)
    }

    fn projection(
        &mut self,
        name: &'static str,
        part: LayerPart,
        bias: Option<LayerPart>,
        rows: usize,
        cols: usize,
    ) -> Result<Projection, LoadError> {
        let part = self.part(part);
        let matrix = matrix(self.source, part, Some(rows), cols)?;
        let bias = bias.filter(|_| self.shape.biases).map(|bias| self.part(bias));
        let bias = bias.map(|bias| self.source.plain(bias, rows)).transpose()?;
        Ok(Projection::new(name, self.layer, matrix, bias))
    }

    /// Products that are one tensor in the file, their rows one after another.
    fn split<const N: usize>(
        &mut self,
        part: LayerPart,
        names: [&'static str; N],
        rows: [usize; N],
    ) -> Result<[Projection; N], LoadError> {
        let part = self.part(part);
        let (name, tensor) = (self.source.name(part), self.source.tensor(part)?);
        let failed = |detail: String| LoadError::Tensor { name: name.clone(), detail };
        let (all, cols) = tensor.shape().dims2().map_err(|e| failed(e.to_string()))?;
        if all != rows.iter().sum::<usize>() || cols != self.shape.width {
            return Err(failed(format!("is {all} × {cols}, which does not fit the model's shape")));
        }
        let mut made = Vec::with_capacity(N);
        let mut first = 0;
        for (name, rows) in names.into_iter().zip(rows) {
            let matrix = rows_of(&tensor, first, rows).and_then(|rows| Matrix::new(&rows));
            made.push(Projection::new(name, self.layer, matrix.map_err(|e| failed(e.to_string()))?, None));
            first += rows;
        }
        made.try_into().map_err(|_| failed("cannot be split".into()))
    }
}

/// Some rows of a tensor; its rows are whole blocks, one after another.
fn rows_of(tensor: &QTensor, first: usize, rows: usize) -> candle_core::Result<QTensor> {
    let (all, cols) = tensor.shape().dims2()?;
    let data = tensor.data()?;
    let row = data.len() / all.max(1);
    let storage = QStorage::from_data(Cow::Borrowed(&data[first * row..][..rows * row]), &Device::Cpu, tensor.dtype())?;
    QTensor::new(storage, (rows, cols))
}

/// Reads a matrix and holds it to its shape.
pub(super) fn matrix(
    source: &mut dyn Source,
    part: Part,
    rows: Option<usize>,
    cols: usize,
) -> Result<Matrix, LoadError> {
    let raw = source.raw(part)?;
    let packed = raw.and_then(|raw| Matrix::packed(raw.dtype, raw.rows, raw.cols, &raw.data));
    let failed = |source: &dyn Source, detail: String| LoadError::Tensor { name: source.name(part), detail };
    let matrix = match packed {
        Some(matrix) => matrix,
        None => Matrix::new(&source.tensor(part)?).map_err(|e| failed(source, e.to_string()))?,
    };
    if matrix.cols() != cols || rows.is_some_and(|rows| rows != matrix.rows()) {
        let detail = format!("is {} × {}, which does not fit the model's shape", matrix.rows(), matrix.cols());
        return Err(failed(source, detail));
    }
    Ok(matrix)
}

/// Reads a norm's weights.
pub(super) fn norm(
    source: &mut dyn Source,
    shape: &Description,
    part: Part,
    count: usize,
) -> Result<Vec<f32>, LoadError> {
    let mut weights = source.plain(part, count)?;
    if shape.norm_offset != 0.0 {
        weights.iter_mut().for_each(|w| *w += shape.norm_offset);
    }
    Ok(weights)
}
