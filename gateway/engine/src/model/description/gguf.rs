//! From a GGUF file's entries to a description.

use super::{Activation, Description, Local, Pairing, RotaryScaling, RotarySpec};
use crate::error::LoadError;
use crate::gguf::GgufFile;
use crate::model::part::Part;

/// The turning base of Gemma's layers with a window where a file does not say it.
const LOCAL_BASE: f32 = 10_000.0;
/// Of so many of Gemma's layers the last sees everything.
const LOCAL_PATTERN: usize = 6;

/// A file's entries under its family's name.
struct Entries<'a> {
    file: &'a GgufFile,
    family: &'a str,
}

impl Entries<'_> {
    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.family)
    }

    fn number(&self, name: &str) -> Result<usize, LoadError> {
        self.file.number(&self.key(name))
    }

    fn optional(&self, name: &str) -> Result<Option<usize>, LoadError> {
        self.file.optional_number(&self.key(name))
    }

    fn float(&self, name: &str) -> Option<f32> {
        self.file.float(&self.key(name))
    }
}

impl Description {
    /// Reads a file's architecture.
    pub(crate) fn of_gguf(file: &GgufFile) -> Result<Self, LoadError> {
        let family = match file.text("general.architecture") {
            Some(name @ ("llama" | "qwen2" | "qwen3" | "gemma3" | "phi3")) => name,
            other => {
                let what = format!("the architecture `{}`", other.unwrap_or("none"));
                return Err(LoadError::Unsupported { what });
            }
        };
        let e = Entries { file, family };
        let gemma = family == "gemma3";
        if e.optional("expert_count")?.unwrap_or(0) > 0 {
            return Err(LoadError::Unsupported { what: "a mixture of experts".into() });
        }
        let (width, heads, layers) =
            (e.number("embedding_length")?, e.number("attention.head_count")?, e.number("block_count")?);
        let dim = e.optional("attention.key_length")?.unwrap_or(width / heads.max(1));
        let rotary = rotary(&e, dim)?;
        Self {
            layers,
            width,
            hidden: e.number("feed_forward_length")?,
            heads,
            kv_heads: e.optional("attention.head_count_kv")?.unwrap_or(heads),
            dim,
            context: e.number("context_length")?,
            eps: e.float("attention.layer_norm_rms_epsilon").unwrap_or(1e-5),
            norm_offset: 0.0,
            post_norms: gemma,
            head_norms: gemma || family == "qwen3",
            biases: family == "qwen2",
            fused: family == "phi3",
            activation: if gemma { Activation::GeluTanh } else { Activation::Silu },
            embedding_scale: if gemma { (width as f32).sqrt() } else { 1.0 },
            query_scale: query_scale(&e, dim, width, heads, layers),
            attention_cap: e.float("attn_logit_softcapping"),
            logit_cap: e.float("final_logit_softcapping"),
            local: local(&e, layers, &rotary)?,
            rotary,
        }
        .checked()
    }
}

/// Gemma 3 of 27 billion has 62 layers and scales by another size than its heads'; files do not say so.
fn query_scale(e: &Entries<'_>, dim: usize, width: usize, heads: usize, layers: usize) -> f32 {
    let size = if e.family == "gemma3" && layers == 62 { width / heads.max(1) } else { dim };
    1.0 / (size as f32).sqrt()
}

fn rotary(e: &Entries<'_>, dim: usize) -> Result<RotarySpec, LoadError> {
    let long = ["rope_factors_long.weight", "rope_factors_short.weight"];
    if long.iter().any(|name| e.file.has(name)) {
        return Err(LoadError::Unsupported { what: "rotary positions scaled by `longrope`".into() });
    }
    let factor = e.float("rope.scaling.factor").filter(|f| f.is_finite() && *f > 0.0);
    let scaling = match e.file.text(&e.key("rope.scaling.type")) {
        _ if e.file.has(&Part::RotaryFactors.gguf()) => RotaryScaling::Factors,
        None | Some("none") => RotaryScaling::None,
        Some("linear") => RotaryScaling::Linear(factor.unwrap_or(1.0)),
        Some(other) => {
            return Err(LoadError::Unsupported { what: format!("rotary positions scaled by `{other}`") });
        }
    };
    // Llama files have each head's pairs beside each other.
    let pairing = if e.family == "llama" { Pairing::Interleaved } else { Pairing::Halves };
    let dims = e.optional("rope.dimension_count")?.unwrap_or(dim);
    Ok(RotarySpec { pairing, dims, base: e.float("rope.freq_base").unwrap_or(10_000.0), scaling })
}

fn local(e: &Entries<'_>, layers: usize, rotary: &RotarySpec) -> Result<Option<Local>, LoadError> {
    let window = e.optional("attention.sliding_window")?.filter(|window| *window > 0);
    Ok(match (e.family, window) {
        ("gemma3", Some(window)) => {
            let base = e.float("rope.freq_base_swa").unwrap_or(LOCAL_BASE);
            let own = RotarySpec { base, scaling: RotaryScaling::None, ..rotary.clone() };
            let which = (1..=layers).map(|layer| !layer.is_multiple_of(LOCAL_PATTERN)).collect();
            Some(Local { window, layers: which, rotary: Some(own) })
        }
        ("phi3", Some(window)) => Some(Local { window, layers: vec![true; layers], rotary: None }),
        _ => None,
    })
}
