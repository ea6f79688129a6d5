//! What a fine-tuning leaves: the adapter as PEFT writes it, and `training.json`, which says what it was made of. Owns both
//! forms; nothing in them depends on when or where it ran.

use super::fault::TuneFault;
use super::trainer::Trainer;
use crate::adapter::{Adapter, BaseShape, PROJECTIONS};
use crate::safetensors::{Outgoing, write};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tidegate_core::digest::Digest;

const CONFIG: &str = "adapter_config.json";
const NUMBERS: &str = "adapter_model.safetensors";
/// What says how it was made.
pub(super) const TRAINING: &str = "training.json";

/// The files of a finished run.
pub(super) struct Written {
    pub(super) sha256: Digest,
}

/// Writes all of them, and reads the adapter again as the engine does.
pub(super) fn result(folder: &Path, trainer: &Trainer, base_name: &str, run: &Value) -> Result<Written, TuneFault> {
    let factors = &trainer.factors;
    let mut tensors = Vec::with_capacity(factors.pairs.len() * 2);
    for pair in &factors.pairs {
        let name = |factor: &str| format!("base_model.model.{}.{factor}.weight", pair.path);
        let a = vec![factors.rank, pair.size.cols];
        let b = vec![pair.size.rows, factors.rank];
        tensors.push(Outgoing { name: name("lora_A"), shape: a, numbers: &pair.a });
        tensors.push(Outgoing { name: name("lora_B"), shape: b, numbers: &pair.b });
    }
    let numbers = folder.join(NUMBERS);
    let failed = |path: &Path, why| TuneFault::File { what: "write", path: path.to_owned(), why };
    write(&numbers, &[("format", "pt".into())], &tensors).map_err(|e| failed(&numbers, e))?;
    let settings = &run["settings"];
    let config = json!({
        "alpha_pattern": {}, "base_model_name_or_path": base_name, "bias": "none", "fan_in_fan_out": false,
        "inference_mode": true, "init_lora_weights": true, "layers_pattern": null, "layers_to_transform": null,
        "lora_alpha": settings["alpha"], "lora_dropout": 0.0, "modules_to_save": null, "peft_type": "LORA",
        "r": factors.rank, "rank_pattern": {}, "revision": null, "target_modules": targets(trainer),
        "task_type": "CAUSAL_LM", "use_dora": false, "use_rslora": false,
    });
    text(folder.join(CONFIG), &config)?;
    let sha256 = is_loaded(folder, &trainer.base.sizes())?;
    let mut training = run.clone();
    training["trained_numbers"] = json!(factors.count());
    training["losses"] = json!(trainer.losses);
    training["adapter_sha256"] = json!(sha256);
    text(folder.join(TRAINING), &training)?;
    Ok(Written { sha256 })
}

/// The products that are adapted, by their names.
fn targets(trainer: &Trainer) -> Vec<&'static str> {
    let slots = PROJECTIONS.iter().enumerate();
    slots.filter(|(slot, _)| trainer.factors.of(0, *slot).is_some()).map(|(_, name)| *name).collect()
}

/// Writes JSON that takes its name when it is whole.
fn text(path: PathBuf, value: &Value) -> Result<(), TuneFault> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let written = std::fs::write(&part, format!("{value:#}\n")).and_then(|()| std::fs::rename(&part, &path));
    written.map_err(|why| TuneFault::File { what: "write", path, why })
}

/// Holds what was written to what the engine loads; gives the digest of the numbers.
fn is_loaded(folder: &Path, base: &BaseShape) -> Result<Digest, TuneFault> {
    let read = |name: &str| {
        let path = folder.join(name);
        std::fs::read(&path).map_err(|why| TuneFault::File { what: "read", path, why })
    };
    let (config, numbers) = (read(CONFIG)?, read(NUMBERS)?);
    Adapter::of(&config, &numbers, base)?;
    Ok(Digest::of(&numbers))
}
