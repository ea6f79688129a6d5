//! What is asked of a fine-tuning: its files, and the settings that decide what comes of it.

use super::fault::TuneFault;
use super::schedule::TuneSchedule;
use crate::model::Precision;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Tokens of a row at most.
const MOST_TOKENS: usize = 1 << 16;
/// Rows of a step at most.
const MOST_ROWS: usize = 1 << 16;
/// Steps at most.
const MOST_STEPS: usize = 10_000_000;

/// A fine-tuning that is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct TuneOptions {
    /// The base: a GGUF file or a safetensors folder.
    pub base: PathBuf,
    /// Files of the folder that lie elsewhere, by their names.
    pub parts: BTreeMap<String, PathBuf>,
    /// What the base is called in what is written.
    pub base_name: String,
    /// Rows of training data, a JSON object a line.
    pub data: PathBuf,
    /// The folder that is written.
    pub out: PathBuf,
    /// What decides the result.
    pub settings: TuneSettings,
    /// What is done is kept each so many steps, to go on from.
    pub keep_every: usize,
    /// Whether to go on from what was kept.
    pub resume: bool,
}

/// What decides the result, beside the base and the data.
#[derive(Debug, Clone, PartialEq)]
pub struct TuneSettings {
    /// The rank of the factors.
    pub rank: usize,
    /// The difference is multiplied by alpha / rank.
    pub alpha: f32,
    /// The products of each layer that are adapted.
    pub targets: Vec<String>,
    /// When it ends.
    pub length: TuneLength,
    /// Rows that are computed together.
    pub batch: usize,
    /// So many batches make a step.
    pub accumulate: usize,
    /// The largest rate of a step.
    pub rate: f64,
    /// What becomes of the rate.
    pub schedule: TuneSchedule,
    /// Steps over which the rate rises; `None` = a thirtieth of all.
    pub warmup: Option<usize>,
    /// What numbers lose in each step, times the rate.
    pub decay: f64,
    /// The longest gradient; longer ones are shortened.
    pub clip: f64,
    /// Tokens of a row at most.
    pub tokens: usize,
    /// Of the factors' first numbers and the rows' order.
    pub seed: u64,
    /// How the matrices of a folder are kept.
    pub precision: Precision,
}

/// When a fine-tuning ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TuneLength {
    /// After so many steps.
    Steps(usize),
    /// After all rows were seen so many times.
    Epochs(usize),
}

impl Default for TuneSettings {
    fn default() -> Self {
        Self {
            rank: 8,
            alpha: 16.0,
            targets: crate::adapter::PROJECTIONS.map(str::to_owned).to_vec(),
            length: TuneLength::Epochs(3),
            batch: 4,
            accumulate: 1,
            rate: 2e-4,
            schedule: TuneSchedule::default(),
            warmup: None,
            decay: 0.0,
            clip: 1.0,
            tokens: 512,
            seed: 0,
            precision: Precision::default(),
        }
    }
}

impl TuneSettings {
    /// Whether each is possible.
    pub(super) fn check(&self) -> Result<(), TuneFault> {
        let wrong = |text: String| Err(TuneFault::Options(text));
        let count = match self.length {
            TuneLength::Steps(count) | TuneLength::Epochs(count) => count,
        };
        for (what, value, most) in [
            ("steps or epochs", count, MOST_STEPS),
            ("rows of a batch", self.batch, MOST_ROWS),
            ("batches of a step", self.accumulate, MOST_ROWS),
            ("tokens of a row", self.tokens, MOST_TOKENS),
        ] {
            if !(1..=most).contains(&value) {
                return wrong(format!("{value} {what}: from 1 to {most} are possible"));
            }
        }
        if self.tokens < 2 {
            return wrong("1 token of a row: nothing would come after it".into());
        }
        if !(self.rate.is_finite() && self.rate > 0.0) {
            return wrong(format!("a rate of {}: it is a number above 0", self.rate));
        }
        if !(self.clip.is_finite() && self.clip > 0.0) {
            return wrong(format!("a longest gradient of {}: it is a number above 0", self.clip));
        }
        if !(self.decay.is_finite() && (0.0..1.0).contains(&self.decay)) {
            return wrong(format!("a weight decay of {}: it is from 0 to below 1", self.decay));
        }
        super::factors::wanted(&self.targets, (self.rank, self.alpha)).map(drop)
    }

    /// Rows of a step.
    pub(super) fn rows(&self) -> usize {
        self.batch * self.accumulate
    }

    /// Steps in all, for so many rows of data.
    pub(super) fn steps(&self, rows: usize) -> Result<usize, TuneFault> {
        let steps = match self.length {
            TuneLength::Steps(steps) => steps,
            TuneLength::Epochs(epochs) => epochs.saturating_mul(rows).div_ceil(self.rows()),
        };
        if steps > MOST_STEPS {
            return Err(TuneFault::Options(format!("{steps} steps: {MOST_STEPS} are possible at most")));
        }
        Ok(steps)
    }

    /// Steps over which the rate rises.
    pub(super) fn warmup(&self, steps: usize) -> usize {
        self.warmup.unwrap_or(steps / 30).min(steps)
    }

    /// All that decides the result, as it is written.
    pub(super) fn written(&self, steps: usize) -> Value {
        let precision = match self.precision {
            Precision::Q8_0 => "q8_0",
            Precision::Plain => "f32",
        };
        json!({
            "rank": self.rank, "alpha": self.alpha, "targets": self.targets, "steps": steps, "batch": self.batch,
            "accumulate": self.accumulate, "lr": self.rate, "schedule": self.schedule.name(),
            "warmup": self.warmup(steps), "weight_decay": self.decay, "clip": self.clip, "seq": self.tokens,
            "seed": self.seed, "folders_as": precision, "optimizer": "adamw", "betas": [0.9, 0.999], "eps": 1e-8,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_impossible_is_refused() {
        type Change = fn(&mut TuneSettings);
        let changes: [(Change, &str); 6] = [
            (|s| s.batch = 0, "0 rows of a batch"),
            (|s| s.length = TuneLength::Steps(0), "0 steps or epochs"),
            (|s| s.tokens = 1, "nothing would come after"),
            (|s| s.rate = f64::NAN, "a rate of NaN"),
            (|s| s.clip = 0.0, "a longest gradient of 0"),
            (|s| s.decay = 1.0, "a weight decay of 1"),
        ];
        for (change, says) in changes {
            let mut settings = TuneSettings::default();
            change(&mut settings);
            let said = settings.check().unwrap_err().to_string();
            assert!(said.contains(says), "{said}");
        }
        assert!(TuneSettings::default().check().is_ok());
    }

    #[test]
    fn epochs_are_steps_of_all_rows() {
        let settings =
            TuneSettings { length: TuneLength::Epochs(3), batch: 4, accumulate: 2, ..TuneSettings::default() };
        assert_eq!((settings.steps(10).unwrap(), settings.steps(16).unwrap()), (4, 6));
        assert_eq!((settings.warmup(90), settings.warmup(4)), (3, 0));
    }
}
