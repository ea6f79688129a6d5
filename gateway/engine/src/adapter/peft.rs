//! `adapter_config.json` as PEFT writes it, checked: what the engine runs is understood, everything else that says anything
//! is refused by its name.

use super::fault::AdapterFault;
use super::target::{Exceptions, Targets};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// The largest rank.
const MOST_RANK: usize = 256;

/// Members that say nothing about what is computed here.
const NEUTRAL: [&str; 11] = [
    "auto_mapping",
    "base_model_name_or_path",
    "ensure_weight_tying",
    "eva_config",
    "inference_mode",
    "lora_dropout",
    "megatron_core",
    "peft_version",
    "qalora_group_size",
    "revision",
    // PEFT itself turns it off for the kind of products that all models here have.
    "fan_in_fan_out",
];

/// Members that are read below.
const READ: [&str; 13] = [
    "alpha_pattern",
    "bias",
    "exclude_modules",
    "init_lora_weights",
    "layers_pattern",
    "layers_to_transform",
    "lora_alpha",
    "peft_type",
    "r",
    "rank_pattern",
    "target_modules",
    "task_type",
    "use_rslora",
];

/// Ways to begin that change the base, so that the adapter fits another base than the one that is loaded.
const OTHER_BASES: [&str; 4] = ["pissa", "olora", "corda", "loftq"];

#[derive(Deserialize)]
struct Raw {
    peft_type: Option<String>,
    task_type: Option<String>,
    r: usize,
    lora_alpha: f32,
    #[serde(default)]
    use_rslora: bool,
    #[serde(default)]
    bias: Option<String>,
    target_modules: Option<Value>,
    exclude_modules: Option<Value>,
    layers_to_transform: Option<Value>,
    layers_pattern: Option<Value>,
    #[serde(default)]
    rank_pattern: Option<Pairs<usize>>,
    #[serde(default)]
    alpha_pattern: Option<Pairs<f32>>,
    init_lora_weights: Option<Value>,
}

/// A map in the order of its file.
struct Pairs<T>(Vec<(String, T)>);

impl<T> Default for Pairs<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Pairs<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Reader<T> {
            type Value = Vec<(String, T)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map from patterns to numbers")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(pairs)
            }
        }
        deserializer.deserialize_map(Reader(std::marker::PhantomData)).map(Pairs)
    }
}

/// A configuration that the engine runs.
#[derive(Debug)]
pub(super) struct Config {
    rank: usize,
    alpha: f32,
    by_root: bool,
    targets: Targets,
    excluded: Option<Targets>,
    layers: Option<Vec<usize>>,
    ranks: Exceptions<usize>,
    alphas: Exceptions<f32>,
}

impl Config {
    /// Reads and checks it.
    pub(super) fn of(bytes: &[u8]) -> Result<Self, AdapterFault> {
        let wrong = |e: serde_json::Error| AdapterFault::Config(format!("is not what PEFT writes: {e}"));
        let members: Map<String, Value> = serde_json::from_slice(bytes).map_err(wrong)?;
        is_plain_lora(&members)?;
        let raw: Raw = serde_json::from_slice(bytes).map_err(wrong)?;
        is_runnable(&raw)?;
        let ranks = raw.rank_pattern.unwrap_or_default().0;
        let alphas = raw.alpha_pattern.unwrap_or_default().0;
        if let Some(rank) = ranks.iter().map(|(_, rank)| *rank).chain([raw.r]).find(|r| !(1..=MOST_RANK).contains(r)) {
            return Err(AdapterFault::Config(format!("a rank of {rank}: ranks are 1 to {MOST_RANK}")));
        }
        if alphas.iter().map(|(_, alpha)| *alpha).chain([raw.lora_alpha]).any(|alpha| !alpha.is_finite()) {
            return Err(AdapterFault::Config("an alpha is no number".into()));
        }
        let targets = targets(raw.target_modules.as_ref(), "target_modules")?
            .ok_or_else(|| AdapterFault::Config("has no `target_modules`".into()))?;
        Ok(Self {
            rank: raw.r,
            alpha: raw.lora_alpha,
            by_root: raw.use_rslora,
            targets,
            excluded: targets_or_none(raw.exclude_modules.as_ref())?,
            layers: raw.layers_to_transform.as_ref().map(layers).transpose()?.flatten(),
            ranks: Exceptions::of(ranks)?,
            alphas: Exceptions::of(alphas)?,
        })
    }

    /// Whether it adapts a module of a layer.
    pub(super) fn means(&self, path: &str, layer: usize) -> bool {
        let is_excluded = self.excluded.as_ref().is_some_and(|excluded| excluded.mean(path));
        let is_layer = self.layers.as_ref().is_none_or(|layers| layers.contains(&layer));
        self.targets.mean(path) && !is_excluded && is_layer
    }

    /// The names among its targets that mean nothing of these paths.
    pub(super) fn strangers<'a>(&'a self, paths: &[String]) -> Vec<&'a str> {
        let Targets::Names(names) = &self.targets else { return Vec::new() };
        let unknown = |name: &&String| !paths.iter().any(|path| super::target::is_end_of(path, name));
        names.iter().filter(unknown).map(String::as_str).collect()
    }

    /// The rank of a module.
    pub(super) fn rank(&self, path: &str) -> usize {
        self.ranks.of_path(path).unwrap_or(self.rank)
    }

    /// What a module's difference is multiplied by.
    pub(super) fn scale(&self, path: &str) -> f32 {
        let (alpha, rank) = (self.alphas.of_path(path).unwrap_or(self.alpha), self.rank(path) as f32);
        alpha / if self.by_root { rank.sqrt() } else { rank }
    }
}

/// Whether every member is one that is read, says nothing, or is empty.
fn is_plain_lora(members: &Map<String, Value>) -> Result<(), AdapterFault> {
    let unsupported = |what: &str, remedy| AdapterFault::Unsupported { what: what.to_owned(), remedy };
    let peft = members.get("peft_type").and_then(Value::as_str).unwrap_or("none");
    if peft != "LORA" {
        return Err(unsupported(&format!("adapters of the kind `{peft}`"), "use LoRA"));
    }
    for (name, value) in members {
        if READ.contains(&name.as_str()) || NEUTRAL.contains(&name.as_str()) || is_nothing(value) {
            continue;
        }
        return Err(match name.as_str() {
            "use_dora" => unsupported("DoRA (`use_dora`)", "train it without, or merge it into the base"),
            "modules_to_save" => {
                let what = format!("modules trained in whole (`modules_to_save`: {value})");
                unsupported(&what, "train it without, or merge it into the base")
            }
            _ => unsupported(&format!("adapters with `{name}`"), "train it without, or merge it into the base"),
        });
    }
    Ok(())
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

fn is_runnable(raw: &Raw) -> Result<(), AdapterFault> {
    let unsupported = |what: String, remedy| Err(AdapterFault::Unsupported { what, remedy });
    debug_assert!(raw.peft_type.as_deref() == Some("LORA"));
    if let Some(bias) = raw.bias.as_deref().filter(|bias| *bias != "none") {
        return unsupported(format!("trained biases (`bias: {bias}`)"), "train it with `bias: none`");
    }
    if let Some(task) = raw.task_type.as_deref().filter(|task| *task != "CAUSAL_LM") {
        return unsupported(format!("adapters for the task `{task}`"), "use one for CAUSAL_LM");
    }
    if let Some(layers) = raw.layers_pattern.as_ref().filter(|v| !is_nothing(v) && *v != "layers") {
        return unsupported(format!("`layers_pattern: {layers}`"), "name the products in `target_modules`");
    }
    if let Some(Value::String(way)) = &raw.init_lora_weights
        && OTHER_BASES.iter().any(|known| way.starts_with(known))
    {
        let remedy = "save it with PEFT's `path_initial_model_for_weight_conversion`, which makes a plain LoRA of it";
        return unsupported(format!("adapters that began by changing their base (`init_lora_weights: {way}`)"), remedy);
    }
    Ok(())
}

fn targets_or_none(value: Option<&Value>) -> Result<Option<Targets>, AdapterFault> {
    match value {
        Some(value) if is_nothing(value) => Ok(None),
        value => targets(value, "exclude_modules"),
    }
}

fn targets(value: Option<&Value>, field: &str) -> Result<Option<Targets>, AdapterFault> {
    let wrong = || AdapterFault::Config(format!("`{field}` is neither a pattern nor a list of names"));
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text == "all-linear" => Ok(Some(Targets::AllLinear)),
        Some(Value::String(text)) => Targets::pattern(text).map(Some),
        Some(Value::Array(list)) => {
            let names = list.iter().map(|name| name.as_str().map(str::to_owned).ok_or_else(wrong));
            Ok(Some(Targets::Names(names.collect::<Result<_, _>>()?)))
        }
        Some(_) => Err(wrong()),
    }
}

/// `layers_to_transform`: a number or several.
fn layers(value: &Value) -> Result<Option<Vec<usize>>, AdapterFault> {
    let wrong = || AdapterFault::Config("`layers_to_transform` is neither a number nor a list of numbers".into());
    let number = |value: &Value| value.as_u64().and_then(|n| usize::try_from(n).ok()).ok_or_else(wrong);
    match value {
        value if is_nothing(value) => Ok(None),
        Value::Array(list) => list.iter().map(number).collect::<Result<_, _>>().map(Some),
        value => Ok(Some(vec![number(value)?])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn plain() -> Value {
        json!({
            "peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 4, "lora_alpha": 8, "bias": "none",
            "target_modules": ["q_proj"], "lora_dropout": 0.1, "use_dora": false, "modules_to_save": null,
        })
    }

    fn with(name: &str, value: Value) -> Result<Config, AdapterFault> {
        let mut config = plain();
        config[name] = value;
        Config::of(config.to_string().as_bytes())
    }

    #[test]
    fn what_the_engine_does_not_run_is_refused_by_name() {
        for (name, value, says) in [
            ("use_dora", json!(true), "DoRA"),
            ("modules_to_save", json!(["lm_head"]), "modules_to_save"),
            ("bias", json!("all"), "bias: all"),
            ("bias", json!("lora_only"), "bias: lora_only"),
            ("peft_type", json!("IA3"), "`IA3`"),
            ("peft_type", Value::Null, "`none`"),
            ("task_type", json!("SEQ_CLS"), "SEQ_CLS"),
            ("lora_bias", json!(true), "lora_bias"),
            ("use_qalora", json!(true), "use_qalora"),
            ("trainable_token_indices", json!([1]), "trainable_token_indices"),
            ("target_parameters", json!(["x"]), "target_parameters"),
            ("layer_replication", json!([[0, 2]]), "layer_replication"),
            ("alora_invocation_tokens", json!([1, 2]), "alora_invocation_tokens"),
            ("something_new", json!(1), "something_new"),
            ("init_lora_weights", json!("pissa_niter_4"), "pissa_niter_4"),
            ("layers_pattern", json!("blocks"), "blocks"),
            ("target_modules", json!(3), "neither a pattern"),
            ("target_modules", Value::Null, "has no `target_modules`"),
            ("target_modules", json!("("), "cannot be read"),
            ("layers_to_transform", json!(["x"]), "layers_to_transform"),
            ("r", json!(0), "a rank of 0"),
            ("r", json!(257), "a rank of 257"),
            ("rank_pattern", json!({"q_proj": 0}), "a rank of 0"),
            ("r", json!(-1), "not what PEFT writes"),
        ] {
            let said = with(name, value.clone()).unwrap_err().to_string();
            assert!(said.contains(says), "{name}: {value}: {said}");
        }
        assert!(Config::of(b"no").is_err());
    }

    #[test]
    fn ranks_and_scales_follow_the_patterns() {
        let mut config = plain();
        config["rank_pattern"] = json!({"v_proj": 2});
        config["alpha_pattern"] = json!({r"layers\.1\.self_attn\.q_proj": 3});
        let (first, second, value) =
            ("model.layers.0.self_attn.q_proj", "model.layers.1.self_attn.q_proj", "model.layers.1.self_attn.v_proj");
        let checked = Config::of(config.to_string().as_bytes()).unwrap();
        assert_eq!((checked.rank(first), checked.rank(value)), (4, 2));
        assert_eq!([first, second, value].map(|path| checked.scale(path)), [2.0, 0.75, 4.0]);
        config["use_rslora"] = json!(true);
        let checked = Config::of(config.to_string().as_bytes()).unwrap();
        assert_eq!(checked.scale(first), 4.0);
    }

    #[test]
    fn layers_and_exclusions_narrow_the_targets() {
        let path = |layer: usize, name: &str| format!("model.layers.{layer}.self_attn.{name}");
        let only = with("layers_to_transform", json!(1)).unwrap();
        assert!(only.means(&path(1, "q_proj"), 1) && !only.means(&path(0, "q_proj"), 0));
        let mut config = plain();
        config["target_modules"] = json!("all-linear");
        config["exclude_modules"] = json!(["k_proj"]);
        let all = Config::of(config.to_string().as_bytes()).unwrap();
        assert!(all.means(&path(0, "o_proj"), 0) && !all.means(&path(0, "k_proj"), 0));
        let strange = with("target_modules", json!(["q_proj", "c_attn"])).unwrap();
        assert_eq!(strange.strangers(&[path(0, "q_proj")]), ["c_attn"]);
    }
}
