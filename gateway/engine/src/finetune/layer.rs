//! A layer of the base with the factors that are trained, as candle's graph. Owns the order of its operations.

use super::attention::Attention;
use super::base::{Base, Layer};
use super::factors::Factors;
use super::gated::Gated;
use super::turned::Turned;
use crate::adapter::PROJECTIONS;
use candle_core::{Device, Result, Tensor, Var};
use std::ops::Range;
use std::sync::Arc;

/// What is known of the rows of a batch: which belong together, and how each is turned.
pub(super) struct Rows {
    spans: Arc<Vec<Range<usize>>>,
    turned: Turned,
    local: Option<Turned>,
}

impl Rows {
    /// Of spans that follow each other, each beginning at position 0.
    pub(super) fn new(base: &Base, spans: Vec<Range<usize>>) -> Self {
        let positions: Vec<u32> = spans.iter().flat_map(|span| 0..span.len() as u32).collect();
        let turned = |rotary| Turned::new(rotary, &positions, base.shape.dim);
        let local = base.local_rotary.as_ref().map(turned);
        Self { spans: Arc::new(spans), turned: turned(&base.rotary), local }
    }
}

/// The factors of one layer as they take part in a graph: as variables where gradients are wanted.
pub(super) struct Worn {
    pairs: [Option<Pair>; PROJECTIONS.len()],
    scale: f64,
}

struct Pair {
    index: usize,
    a: Tensor,
    b: Tensor,
}

impl Worn {
    /// Those of a layer.
    pub(super) fn of(factors: &Factors, layer: usize, as_variables: bool) -> Result<Self> {
        let tensor = |numbers: &[f32], shape: (usize, usize)| {
            let tensor = Tensor::from_slice(numbers, shape, &Device::Cpu)?;
            if as_variables { Var::from_tensor(&tensor).map(Var::into_inner) } else { Ok(tensor) }
        };
        let mut pairs = [const { None }; PROJECTIONS.len()];
        for (slot, pair) in pairs.iter_mut().enumerate() {
            if let Some((index, factor)) = factors.of(layer, slot) {
                let a = tensor(&factor.a, (factors.rank, factor.size.cols))?;
                let b = tensor(&factor.b, (factor.size.rows, factors.rank))?;
                *pair = Some(Pair { index, a, b });
            }
        }
        Ok(Self { pairs, scale: factors.scale })
    }

    /// The factors with their index among all.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (usize, [&Tensor; 2])> {
        self.pairs.iter().flatten().map(|pair| (pair.index, [&pair.a, &pair.b]))
    }
}

/// What a layer makes of its rows.
pub(super) fn forward(base: &Base, layer: &Layer, worn: &Worn, rows: &Rows, x: &Tensor) -> Result<Tensor> {
    let product = |slot: usize, x: &Tensor| product(layer, worn, slot, x);
    let shape = &base.shape;
    let input = layer.attention_norm.apply(x)?;
    let [mut query, mut key, value] = [product(0, &input)?, product(1, &input)?, product(2, &input)?];
    if let Some(norm) = &layer.query_norm {
        query = norm.apply(&query)?;
    }
    if let Some(norm) = &layer.key_norm {
        key = norm.apply(&key)?;
    }
    let turned = rows.local.as_ref().filter(|_| layer.window.is_some()).unwrap_or(&rows.turned);
    let attention = Attention {
        spans: Arc::clone(&rows.spans),
        heads: shape.heads,
        kv_heads: shape.kv_heads,
        dim: shape.dim,
        scale: shape.query_scale,
        window: layer.window,
    };
    let attended = attention.apply(&turned.apply(&query)?, &turned.apply(&key)?, &value)?;
    let mut attended = product(3, &attended)?;
    if let Some(norm) = &layer.post_attention_norm {
        attended = norm.apply(&attended)?;
    }
    let x = (x + attended)?;
    let input = layer.feed_norm.apply(&x)?;
    let gated = Gated(shape.activation).apply(&product(4, &input)?, &product(5, &input)?)?;
    let mut fed = product(6, &gated)?;
    if let Some(norm) = &layer.post_feed_norm {
        fed = norm.apply(&fed)?;
    }
    x + fed
}

/// `x Wᵀ + b + scale · (x Aᵀ) Bᵀ`.
fn product(layer: &Layer, worn: &Worn, slot: usize, x: &Tensor) -> Result<Tensor> {
    let product = &layer.products[slot];
    let mut out = product.weight.apply(x)?;
    if let Some(bias) = &product.bias {
        out = out.broadcast_add(bias)?;
    }
    let Some(pair) = &worn.pairs[slot] else { return Ok(out) };
    let between = (x.matmul(&pair.a.t()?)? * worn.scale)?;
    out + between.matmul(&pair.b.t()?)?
}
