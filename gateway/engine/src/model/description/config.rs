//! From the `config.json` of a Hugging Face folder to a description. Both spellings of rotary settings are read: those
//! of transformers 4 (`rope_theta`, `rope_scaling`) and of 5 (`rope_parameters`). What would change the answers and is
//! not known here is refused by name.

use super::{Activation, Description, Local, Pairing, RotaryScaling, RotarySpec};
use crate::error::LoadError;
use serde_json::Value;

/// The entries, asked for by name.
struct Config<'a>(&'a Value);

impl Config<'_> {
    fn entry(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|v| !v.is_null())
    }

    fn number(&self, key: &str) -> Result<Option<usize>, LoadError> {
        let wrong = || LoadError::Metadata { key: key.to_owned(), problem: "is not a whole number" };
        let number = |v: &Value| v.as_u64().and_then(|n| usize::try_from(n).ok()).ok_or_else(wrong);
        self.entry(key).map(number).transpose()
    }

    fn needed(&self, key: &str) -> Result<usize, LoadError> {
        self.number(key)?.ok_or_else(|| LoadError::Metadata { key: key.to_owned(), problem: "is missing" })
    }

    fn float(&self, key: &str) -> Option<f32> {
        self.entry(key).and_then(Value::as_f64).map(|v| v as f32)
    }

    fn flag(&self, key: &str) -> bool {
        self.entry(key).and_then(Value::as_bool).unwrap_or(false)
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.entry(key).and_then(Value::as_str)
    }
}

fn unsupported<T>(what: impl Into<String>) -> Result<T, LoadError> {
    Err(LoadError::Unsupported { what: what.into() })
}

impl Description {
    /// Reads a folder's architecture.
    pub(crate) fn of_config(config: &Value) -> Result<Self, LoadError> {
        let c = Config(config);
        let family = c.text("model_type").unwrap_or("none");
        if let Some(quantised) = c.entry("quantization_config") {
            let method = quantised["quant_method"].as_str().unwrap_or("unknown");
            return unsupported(format!("weights quantised by `{method}`"));
        }
        let gemma = family == "gemma3_text";
        if !matches!(family, "llama" | "mistral" | "qwen2" | "qwen3" | "phi3" | "gemma3_text") {
            return unsupported(format!("the architecture `{family}`"));
        }
        for flag in ["attention_bias", "mlp_bias", "use_bidirectional_attention"] {
            if c.flag(flag) {
                return unsupported(format!("`{flag}` of `{family}`"));
            }
        }
        let (width, heads) = (c.needed("hidden_size")?, c.needed("num_attention_heads")?);
        let dim = c.number("head_dim")?.unwrap_or(width / heads.max(1));
        let layers = c.needed("num_hidden_layers")?;
        let query_scale = match c.float("query_pre_attn_scalar") {
            Some(scalar) if gemma => 1.0 / scalar.sqrt(),
            _ => 1.0 / (dim as f32).sqrt(),
        };
        Self {
            layers,
            width,
            hidden: c.needed("intermediate_size")?,
            heads,
            kv_heads: c.number("num_key_value_heads")?.unwrap_or(heads),
            dim,
            context: c.needed("max_position_embeddings")?,
            eps: c.float("rms_norm_eps").unwrap_or(1e-6),
            norm_offset: if gemma { 1.0 } else { 0.0 },
            post_norms: gemma,
            head_norms: gemma || family == "qwen3",
            biases: family == "qwen2",
            fused: family == "phi3",
            activation: activation(&c)?,
            embedding_scale: if gemma { (width as f32).sqrt() } else { 1.0 },
            query_scale,
            attention_cap: c.float("attn_logit_softcapping"),
            logit_cap: c.float("final_logit_softcapping"),
            rotary: rotary(&c, "full_attention", dim)?,
            local: local(&c, family, layers, dim)?,
        }
        .checked()
    }
}

fn activation(c: &Config<'_>) -> Result<Activation, LoadError> {
    match c.text("hidden_activation").or_else(|| c.text("hidden_act")) {
        None | Some("silu") => Ok(Activation::Silu),
        Some("gelu_pytorch_tanh") => Ok(Activation::GeluTanh),
        Some(other) => unsupported(format!("the activation `{other}`")),
    }
}

/// The rotary positions of a kind of layer.
fn rotary(c: &Config<'_>, kind: &str, dim: usize) -> Result<RotarySpec, LoadError> {
    let parameters = c.entry("rope_parameters").map(|p| p.get(kind).unwrap_or(p));
    let scaling = parameters.or_else(|| c.entry("rope_scaling"));
    let within = |key: &str| parameters.and_then(|p| p[key].as_f64()).map(|v| v as f32);
    let base = within("rope_theta").or_else(|| c.float("rope_theta")).unwrap_or(10_000.0);
    let part = within("partial_rotary_factor").or_else(|| c.float("partial_rotary_factor")).unwrap_or(1.0);
    let scaling = match scaling {
        Some(settings) => slowing(settings)?,
        None => RotaryScaling::None,
    };
    Ok(RotarySpec { pairing: Pairing::Halves, dims: (dim as f32 * part) as usize, base, scaling })
}

fn slowing(settings: &Value) -> Result<RotaryScaling, LoadError> {
    let kind = settings["rope_type"].as_str().or_else(|| settings["type"].as_str()).unwrap_or("default");
    let number = |key: &str| {
        let value = settings[key].as_f64().filter(|v| v.is_finite() && *v > 0.0);
        let wrong = || LoadError::Metadata { key: format!("rope_scaling.{key}"), problem: "is not a positive number" };
        value.map(|v| v as f32).ok_or_else(wrong)
    };
    match kind {
        "default" => Ok(RotaryScaling::None),
        "linear" => Ok(RotaryScaling::Linear(number("factor")?)),
        "llama3" => Ok(RotaryScaling::Llama3 {
            factor: number("factor")?,
            low: number("low_freq_factor")?,
            high: number("high_freq_factor")?,
            original: number("original_max_position_embeddings")?,
        }),
        other => unsupported(format!("rotary positions scaled by `{other}`")),
    }
}

/// Which layers see a window: by name, by a pattern, from some layer on, or all.
fn local(c: &Config<'_>, family: &str, layers: usize, dim: usize) -> Result<Option<Local>, LoadError> {
    let Some(window) = c.number("sliding_window")? else { return Ok(None) };
    if family.starts_with("qwen") && !c.flag("use_sliding_window") {
        return Ok(None);
    }
    let which: Vec<bool> = if let Some(kinds) = c.entry("layer_types").and_then(Value::as_array) {
        let known = |kind: &Value| match kind.as_str() {
            Some("sliding_attention") => Ok(true),
            Some("full_attention") => Ok(false),
            _ => unsupported(format!("layers of the kind {kind}")),
        };
        kinds.iter().map(known).collect::<Result<_, _>>()?
    } else if family == "gemma3_text" {
        let every = c.number("sliding_window_pattern")?.or(c.number("_sliding_window_pattern")?).unwrap_or(6).max(1);
        (1..=layers).map(|layer| !layer.is_multiple_of(every)).collect()
    } else if family.starts_with("qwen") {
        let first = c.needed("max_window_layers")?;
        (0..layers).map(|layer| layer >= first).collect()
    } else {
        vec![true; layers]
    };
    if !which.contains(&true) {
        return Ok(None);
    }
    let own = family == "gemma3_text";
    let rotary = own.then(|| local_rotary(c, dim)).transpose()?;
    Ok(Some(Local { window, layers: which, rotary }))
}

/// Gemma's layers with a window have their own base, and no scaling.
fn local_rotary(c: &Config<'_>, dim: usize) -> Result<RotarySpec, LoadError> {
    if c.entry("rope_parameters").is_some_and(|p| p.get("sliding_attention").is_some()) {
        return rotary(c, "sliding_attention", dim);
    }
    let base = c.float("rope_local_base_freq").unwrap_or(10_000.0);
    Ok(RotarySpec { pairing: Pairing::Halves, dims: dim, base, scaling: RotaryScaling::None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn config(family: &str) -> Value {
        json!({"model_type": family, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3,
            "num_attention_heads": 4, "max_position_embeddings": 128, "rope_theta": 5e5})
    }

    fn with(family: &str, key: &str, value: Value) -> Result<Description, LoadError> {
        let mut config = config(family);
        config[key] = value;
        Description::of_config(&config)
    }

    #[test]
    fn what_would_change_the_answers_is_refused() {
        for (family, key, value, says) in [
            ("mixtral", "x", json!(1), "architecture `mixtral`"),
            ("phi3", "rope_scaling", json!({"type": "longrope", "long_factor": [1.0]}), "`longrope`"),
            ("llama", "rope_scaling", json!({"rope_type": "yarn", "factor": 4.0}), "`yarn`"),
            ("llama", "attention_bias", json!(true), "attention_bias"),
            ("llama", "quantization_config", json!({"quant_method": "gptq"}), "quantised by `gptq`"),
            ("llama", "hidden_act", json!("relu"), "activation `relu`"),
            ("llama", "num_hidden_layers", json!("3"), "num_hidden_layers"),
            ("llama", "num_hidden_layers", json!(1_000_000), "so many layers"),
            ("llama", "num_key_value_heads", json!(3), "share keys"),
            ("llama", "head_dim", json!(12), "multiple of eight"),
            ("llama", "hidden_size", json!(1u64 << 40), "absurd"),
            ("llama", "rope_scaling", json!({"rope_type": "linear"}), "rope_scaling.factor"),
            ("gemma3_text", "sliding_window", json!(0), "window"),
        ] {
            let error = with(family, key, value).unwrap_err().to_string();
            assert!(error.contains(says), "`{error}` for `{says}`");
        }
    }

    #[test]
    fn windows_are_found_as_each_family_says_them() {
        let windows = |d: Description| (0..3).map(|i| d.window(i)).collect::<Vec<_>>();
        let sliding = |family: &str, more: Value| {
            let mut config = config(family);
            config["sliding_window"] = json!(16);
            for (key, value) in more.as_object().unwrap() {
                config[key] = value.clone();
            }
            windows(Description::of_config(&config).unwrap())
        };
        assert_eq!(sliding("mistral", json!({})), [Some(16); 3]);
        assert_eq!(sliding("qwen2", json!({})), [None; 3]);
        assert_eq!(
            sliding("qwen2", json!({"use_sliding_window": true, "max_window_layers": 2})),
            [None, None, Some(16)]
        );
        assert_eq!(sliding("gemma3_text", json!({"sliding_window_pattern": 2})), [Some(16), None, Some(16)]);
        let named = json!({"layer_types": ["full_attention", "sliding_attention", "full_attention"]});
        assert_eq!(sliding("gemma3_text", named), [None, Some(16), None]);
        assert_eq!(windows(with("mistral", "sliding_window", Value::Null).unwrap()), [None; 3]);
    }

    #[test]
    fn both_spellings_of_rotary_settings_are_read() {
        let settings = json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64});
        let old = with("llama", "rope_scaling", settings.clone()).unwrap();
        let mut new = settings;
        new["rope_theta"] = json!(5e5);
        assert_eq!(old, with("llama", "rope_parameters", new).unwrap());
        assert_eq!(old.rotary.base, 5e5);
    }
}
