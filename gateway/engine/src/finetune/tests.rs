//! Fine-tuning against peft on torch (`tests/golden/finetune/make.py`), and a run from its files to an adapter: interrupted
//! and gone on with it is the same to the last bit, and the engine wears what it wrote.

use super::base::Base;
use super::factors::{Factors, Gradients};
use super::lesson::Lesson;
use super::trainer::Trainer;
use super::{TuneEvent, TuneFault, TuneLength, TuneOptions, TuneSchedule, TuneSettings, finetune};
use crate::adapter::PROJECTIONS;
use crate::model::tests::golden::Golden;
use crate::model::{ModelFiles, Precision};
use crate::safetensors::SafetensorsFile;
use crate::testing::As;
use crate::testing::weights::random;
use candle_core::quantized::GgmlDType;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// As `make.py` has them.
const STEPS: usize = 50;
const ROWS: usize = 12;
const RANK: usize = 2;

fn goldens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/finetune")
}

fn settings() -> TuneSettings {
    TuneSettings {
        length: TuneLength::Steps(STEPS),
        batch: 2,
        accumulate: 2,
        rate: 0.005,
        schedule: TuneSchedule::Linear,
        warmup: Some(5),
        decay: 0.01,
        clip: 1.0,
        ..TuneSettings::default()
    }
}

/// A trainer whose factors begin with the numbers of the golden.
fn trainer(path: &Path, rank: usize) -> Trainer {
    let mut files = ModelFiles::open(path, &BTreeMap::new(), Precision::Plain).unwrap();
    let base = Base::load(&mut files, &mut |_, _| {}).unwrap();
    let targets = PROJECTIONS.map(str::to_owned);
    let mut factors = Factors::begin(&base.sizes(), &targets, (rank, 8.0), 0).unwrap();
    for pair in &mut factors.pairs {
        let of = |factor: &str, count: usize| -> Vec<f32> {
            let name = format!("{}.{factor}", pair.path);
            random(&name, count).into_iter().map(|v| v * 0.15).collect()
        };
        (pair.a, pair.b) = (of("lora_A", pair.a.len()), of("lora_B", pair.b.len()));
    }
    Trainer::new(base, factors)
}

fn rows(words: usize) -> Vec<Lesson> {
    let row = |nth: usize| {
        let numbers = random(&format!("row {nth}"), 8 + nth * 5 % 17);
        let tokens: Vec<u32> = numbers.iter().map(|v| ((v + 1.0) / 2.0 * (words - 1) as f32) as u32).collect();
        Lesson::after(&tokens, 1 + nth % 4)
    };
    (0..ROWS).map(row).collect()
}

struct Peft(SafetensorsFile);

impl Peft {
    fn read(name: &str) -> Self {
        Self(SafetensorsFile::open(&goldens().join(format!("{name}.safetensors"))).unwrap())
    }

    fn numbers(&mut self, name: &str) -> Option<Vec<f32>> {
        let info = self.0.info(name)?.clone();
        let mut numbers = Vec::new();
        self.0.read(&info, 0, info.shape.iter().product(), &mut numbers).unwrap();
        Some(numbers)
    }

    /// How far off a gradient is at most, as a part of its length.
    fn compare(&mut self, trainer: &Trainer, gradients: &Gradients) -> f64 {
        let (mut worst, mut compared) = (0.0f64, 0);
        for (pair, gradients) in trainer.factors.pairs.iter().zip(&gradients.0) {
            for (factor, ours) in ["lora_A", "lora_B"].into_iter().zip(gradients) {
                let Some(theirs) = self.numbers(&format!("{}.{factor}", pair.path)) else { continue };
                let length = |of: &mut dyn Iterator<Item = f32>| of.map(|v| f64::from(v).powi(2)).sum::<f64>().sqrt();
                let off = length(&mut ours.iter().zip(&theirs).map(|(a, b)| a - b));
                let off = off / length(&mut theirs.iter().copied());
                assert!(off < 1e-3, "{}.{factor}: {off}", pair.path);
                worst = worst.max(off);
                compared += 1;
            }
        }
        assert_eq!(compared, 4 * PROJECTIONS.len(), "the first and the last layer");
        worst
    }
}

/// Holds the gradients before the first step and fifty losses to peft's.
fn agree(name: &str, mut trainer: Trainer) {
    let mut peft = Peft::read(name);
    let settings = settings();
    let rows = rows(trainer.base.embedding.rows());
    let batches = |step: usize| -> Vec<Vec<&Lesson>> {
        let of = |first: usize| (0..2).map(|j| &rows[(step * 4 + first + j) % ROWS]).collect();
        vec![of(0), of(2)]
    };
    let gradients = trainer.gradients(&batches(0)).unwrap().1;
    let off = peft.compare(&trainer, &gradients);
    let theirs = peft.numbers("losses").unwrap();
    let mut worst = 0.0f64;
    for (step, theirs) in theirs.iter().enumerate() {
        let loss = trainer.step(&settings, STEPS, &batches(step)).unwrap().loss;
        let apart = (loss / f64::from(*theirs) - 1.0).abs();
        assert!(apart < 0.02, "{name}, step {step}: {loss} for {theirs}");
        worst = worst.max(apart);
    }
    assert!(theirs[STEPS - 1] < theirs[0] * 0.7, "what learns nothing proves nothing");
    println!("figure: {name}: gradients off by {off:.1e} of their length, 50 losses by {:.4} % at most", worst * 100.0);
}

#[test]
fn families_learn_as_with_peft() {
    for family in ["llama", "llama3", "mistral", "qwen2", "qwen3", "gemma3"] {
        let folder = tempfile::tempdir().unwrap();
        Golden::read(family).write_folder(folder.path(), As::F32, 1);
        agree(family, trainer(folder.path(), RANK));
    }
}

#[test]
fn files_whose_rows_lie_in_pairs_learn_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    Golden::read("llama").write_gguf(&path, GgmlDType::F32);
    agree("llama", trainer(&path, RANK));
}

#[test]
fn a_base_of_four_bits_learns_as_its_dequantised_weights_do_with_peft() {
    agree("tiny-q4_1", trainer(&goldens().join("tiny-q4_1.gguf"), 4));
}

#[test]
fn what_is_computed_otherwise_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    Golden::read("phi3").write_folder(folder.path(), As::F32, 1);
    let mut files = ModelFiles::open(folder.path(), &BTreeMap::new(), Precision::Plain).unwrap();
    let fault = Base::load(&mut files, &mut |_, _| {}).map(|_| ()).unwrap_err();
    assert!(fault.to_string().contains("Phi-3"), "{fault}");
}

const DATA: &str = r#"{"messages": [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Arr!"}]}
{"prompt": "The sea is ", "completion": "deep, Arr!"}
{"text": "Ships sail, Arr!"}
{"messages": [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Me, Arr!"}, {"role": "user", "content": "Why?"}, {"role": "assistant", "content": "Arr!"}]}
{"prompt": "Gold ", "completion": "glitters, Arr!"}
"#;

/// A run in a folder; breaks off after `until` steps.
fn run(
    home: &Path,
    out: &str,
    resume: bool,
    until: usize,
    change: impl Fn(&mut TuneOptions),
) -> Result<Vec<f32>, TuneFault> {
    let data = home.join("train.jsonl");
    std::fs::write(&data, DATA).unwrap();
    let settings = TuneSettings {
        rank: 2,
        length: TuneLength::Steps(14),
        batch: 2,
        accumulate: 2,
        rate: 0.01,
        tokens: 64,
        ..TuneSettings::default()
    };
    let mut options = TuneOptions {
        base: goldens().join("tiny-q4_1.gguf"),
        parts: BTreeMap::new(),
        base_name: "tiny".into(),
        data,
        out: home.join(out),
        settings,
        keep_every: 4,
        resume,
    };
    change(&mut options);
    let mut tell = |event: &TuneEvent| match event {
        TuneEvent::Step { done, .. } if *done >= until => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    finetune(&options, &mut tell).map(|tuned| tuned.losses)
}

#[test]
fn a_run_that_was_broken_off_ends_as_one_that_was_not() {
    let home = tempfile::tempdir().unwrap();
    let whole = run(home.path(), "whole", false, 99, |_| {}).unwrap();
    assert!(whole[13] < whole[0] * 0.9, "{whole:?}");
    for until in [1, 6, 13] {
        let out = format!("broken-{until}");
        let stopped = run(home.path(), &out, false, until, |_| {}).unwrap_err();
        assert!(matches!(stopped, TuneFault::Stopped { step, steps: 14 } if step == until), "{stopped}");
        assert_eq!(run(home.path(), &out, true, 99, |_| {}).unwrap(), whole);
        for name in ["adapter_model.safetensors", "adapter_config.json", "training.json", "checkpoint.safetensors"] {
            let of = |folder: &str| std::fs::read(home.path().join(folder).join(name)).unwrap();
            assert!(of(&out) == of("whole"), "{name} is another one after a break at {until}");
        }
    }
    let other = run(home.path(), "other", false, 99, |options| options.settings.seed = 1).unwrap();
    assert_ne!(other, whole);
}

#[test]
fn what_is_gone_on_with_is_the_same_run() {
    let home = tempfile::tempdir().unwrap();
    assert!(run(home.path(), "some", true, 99, |_| {}).unwrap_err().to_string().contains("nothing was kept yet"));
    run(home.path(), "some", false, 3, |_| {}).unwrap_err();
    let taken = run(home.path(), "some", false, 99, |_| {}).unwrap_err();
    assert!(taken.to_string().contains("add --resume"), "{taken}");
    let refused = |change: fn(&mut TuneOptions)| run(home.path(), "some", true, 99, change).unwrap_err().to_string();
    assert!(refused(|options| options.settings.rank = 3).contains("`settings.rank` was 2 and is 3 now"));
    assert!(refused(|options| options.base_name = "x".into()).contains("`base.name`"));
    let fault = refused(|options| {
        options.data = options.data.with_file_name("other.jsonl");
        std::fs::write(&options.data, DATA.replace("sea", "lake")).unwrap();
    });
    assert!(fault.contains("`data.sha256`"), "{fault}");
    let path = home.path().join("some/checkpoint.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 8]).unwrap();
    assert!(refused(|_| {}).contains("cut short"));
}
