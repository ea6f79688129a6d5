//! What a run goes on from: factors, what the optimiser remembers, and the losses so far, in one file that is whole or not
//! there. Owns its form; a run of other settings, another base or other data does not go on from it.

use super::fault::TuneFault;
use super::trainer::Trainer;
use crate::safetensors::{Outgoing, SafetensorsFile, write};
use serde_json::Value;
use std::path::Path;

/// The file's name in the folder.
pub(super) const FILE: &str = "checkpoint.safetensors";

/// Writes it; `run` is what decides the result.
pub(super) fn keep(folder: &Path, trainer: &Trainer, run: &Value) -> Result<(), TuneFault> {
    let mut tensors = Vec::new();
    let mut put = |name: String, numbers| tensors.push(Outgoing { name, shape: vec![len(numbers)], numbers });
    put("losses".into(), &trainer.losses);
    let [means, squares] = &trainer.adam.kept;
    let numbers = trainer.factors.pairs.iter().flat_map(|pair| [&pair.a, &pair.b]);
    for (nth, ((numbers, means), squares)) in numbers.zip(means).zip(squares).enumerate() {
        put(format!("numbers.{nth}"), numbers);
        put(format!("means.{nth}"), means);
        put(format!("squares.{nth}"), squares);
    }
    let path = folder.join(FILE);
    let written = write(&path, &[("run", run.to_string())], &tensors);
    written.map_err(|why| TuneFault::File { what: "write", path, why })
}

fn len(numbers: &[f32]) -> usize {
    numbers.len()
}

/// Goes on from it.
pub(super) fn go_on(folder: &Path, trainer: &mut Trainer, run: &Value) -> Result<(), TuneFault> {
    let path = folder.join(FILE);
    let refused = |why: String| TuneFault::Resume { path: path.clone(), why };
    if !path.exists() {
        return Err(refused("there is no such file: nothing was kept yet".into()));
    }
    let mut file = SafetensorsFile::open(&path)?;
    let before = file.word("run").and_then(|text| serde_json::from_str(text).ok()).unwrap_or(Value::Null);
    if let Some(other) = difference("", &before, run) {
        return Err(refused(format!("{other}; use what it began with, or begin anew in another folder")));
    }
    let mut read = |name: &str, size: Option<usize>| {
        let info = file.info(name).cloned().ok_or_else(|| refused(format!("it has no `{name}`")))?;
        let count = info.shape.iter().product();
        if size.is_some_and(|size| size != count) {
            return Err(refused(format!("its `{name}` has {count} numbers")));
        }
        let mut numbers = Vec::with_capacity(count);
        file.read(&info, 0, count, &mut numbers)?;
        Ok::<_, TuneFault>(numbers)
    };
    trainer.losses = read("losses", None)?;
    trainer.adam.steps = trainer.losses.len() as u64;
    let [means, squares] = &mut trainer.adam.kept;
    let groups = trainer.factors.all_mut().into_iter().zip(means).zip(squares).enumerate();
    for (nth, ((numbers, means), squares)) in groups {
        *numbers = read(&format!("numbers.{nth}"), Some(numbers.len()))?;
        *means = read(&format!("means.{nth}"), Some(means.len()))?;
        *squares = read(&format!("squares.{nth}"), Some(squares.len()))?;
    }
    Ok(())
}

/// The first place where two runs differ, in words.
fn difference(place: &str, before: &Value, now: &Value) -> Option<String> {
    if let (Value::Object(before), Value::Object(now)) = (before, now) {
        return now.iter().find_map(|(key, value)| {
            let place = if place.is_empty() { key.clone() } else { format!("{place}.{key}") };
            difference(&place, before.get(key).unwrap_or(&Value::Null), value)
        });
    }
    (before != now).then(|| format!("`{place}` was {before} and is {now} now"))
}
