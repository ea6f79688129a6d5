//! What a decoder looks like, checked: sizes, norms, rotary positions, windows, activations. Families differ only in
//! this; how it is read from a file is `description/`'s, how it is computed is `decoder`'s.

mod config;
mod gguf;

use crate::error::LoadError;
use crate::kernel::SUMS;

/// More than any model that exists has; what is above is a damaged file.
const MOST_LAYERS: usize = 1024;
/// Most numbers in a row of activations.
const MOST_WIDTH: usize = 1 << 20;
/// Query heads that may share a key-value head (`attention` keeps their sums in a fixed array).
pub(crate) const MOST_GROUP: usize = 64;

/// A decoder of the llama kind, with all that its relatives do otherwise.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Description {
    pub(crate) layers: usize,
    /// Numbers of a token between layers.
    pub(crate) width: usize,
    /// Numbers within the feed-forward.
    pub(crate) hidden: usize,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    /// Numbers in a head.
    pub(crate) dim: usize,
    /// Positions that it was made for.
    pub(crate) context: usize,
    /// Of all norms.
    pub(crate) eps: f32,
    /// Added to every norm's weight when it is read (Gemma keeps weights less one, GGUF files of it do not).
    pub(crate) norm_offset: f32,
    /// Whether attention's and the feed-forward's results are normalised before they are added.
    pub(crate) post_norms: bool,
    /// Whether each query and key head is normalised.
    pub(crate) head_norms: bool,
    /// Whether query, key and value have biases.
    pub(crate) biases: bool,
    /// Whether query, key and value are one tensor, and gate and up one (split at load).
    pub(crate) fused: bool,
    pub(crate) activation: Activation,
    /// Embeddings are multiplied by this.
    pub(crate) embedding_scale: f32,
    /// Queries are multiplied by this.
    pub(crate) query_scale: f32,
    /// Scores of attention are kept within this, smoothly.
    pub(crate) attention_cap: Option<f32>,
    /// Scores of tokens are kept within this, smoothly.
    pub(crate) logit_cap: Option<f32>,
    pub(crate) rotary: RotarySpec,
    /// Layers that see only a window, where there are any.
    pub(crate) local: Option<Local>,
}

/// The layers that see only the latest tokens.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Local {
    /// Tokens that they see, the one that looks included.
    pub(crate) window: usize,
    /// Which they are, by index.
    pub(crate) layers: Vec<bool>,
    /// Their rotary positions, where they have their own.
    pub(crate) rotary: Option<RotarySpec>,
}

/// The function of the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activation {
    /// `x / (1 + e^-x)`.
    Silu,
    /// The approximation of GELU by tanh.
    GeluTanh,
}

/// Which numbers of a head are turned together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pairing {
    /// Neighbours: 0 with 1, 2 with 3.
    Interleaved,
    /// Halves: the first with the first of the second half.
    Halves,
}

/// Rotary positions.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RotarySpec {
    pub(crate) pairing: Pairing,
    /// Numbers of each head that are turned, from the first; the rest stays.
    pub(crate) dims: usize,
    pub(crate) base: f32,
    pub(crate) scaling: RotaryScaling,
}

/// How the turning is slowed for contexts longer than a model was first trained on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum RotaryScaling {
    None,
    /// All speeds divided by this.
    Linear(f32),
    /// Speeds divided by the file's own factors, a number for each pair.
    Factors,
    /// Llama 3's: slow turns divided by `factor`, fast ones kept, and what lies between in between; a turn is slow or
    /// fast by how often it comes round within `original` positions.
    Llama3 {
        factor: f32,
        low: f32,
        high: f32,
        original: f32,
    },
}

impl Description {
    /// Whether its parts fit each other and the kernels.
    pub(crate) fn checked(self) -> Result<Self, LoadError> {
        let unfit = |what: &str| Err(LoadError::Unsupported { what: format!("{what} ({self:?})") });
        if !(1..=MOST_LAYERS).contains(&self.layers) {
            return unfit("so many layers");
        }
        let rows = [self.width, self.hidden, self.heads.saturating_mul(self.dim), self.context];
        if rows.iter().any(|n| *n == 0 || *n > MOST_WIDTH << 8) || rows[..3].iter().any(|n| *n > MOST_WIDTH) {
            return unfit("sizes that are zero or absurd");
        }
        if self.kv_heads == 0 || !self.heads.is_multiple_of(self.kv_heads) || self.heads / self.kv_heads > MOST_GROUP {
            return unfit("heads that cannot share keys evenly");
        }
        if !self.dim.is_multiple_of(SUMS) {
            return unfit("heads whose size is not a multiple of eight");
        }
        let rotaries = std::iter::once(&self.rotary).chain(self.local.iter().filter_map(|l| l.rotary.as_ref()));
        for rotary in rotaries {
            if rotary.dims == 0 || rotary.dims > self.dim || !rotary.dims.is_multiple_of(2) {
                return unfit("rotary positions that do not fit its heads");
            }
            if !(rotary.base.is_finite() && rotary.base > 1.0) {
                return unfit("rotary positions on an impossible base");
            }
        }
        if self.local.as_ref().is_some_and(|l| l.window == 0 || l.layers.len() != self.layers) {
            return unfit("a sliding window that does not fit its layers");
        }
        let finite = [self.eps, self.norm_offset, self.embedding_scale, self.query_scale];
        let caps = [self.attention_cap, self.logit_cap];
        if finite.iter().any(|v| !v.is_finite()) || caps.iter().flatten().any(|v| !(v.is_finite() && *v > 0.0)) {
            return unfit("scales that are not numbers");
        }
        Ok(self)
    }

    /// What a layer sees; `None` = everything.
    pub(crate) fn window(&self, layer: usize) -> Option<usize> {
        self.local.as_ref().filter(|l| l.layers[layer]).map(|l| l.window)
    }

    /// Numbers of all query heads.
    pub(crate) fn queries(&self) -> usize {
        self.heads * self.dim
    }

    /// Numbers of all key heads.
    pub(crate) fn keys(&self) -> usize {
        self.kv_heads * self.dim
    }
}
