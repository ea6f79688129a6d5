//! `tidegate finetune`: an adapter trained on a local model. Owns the arguments, what is shown meanwhile, and the files that
//! people look at; the training is the engine's.

mod curve;
mod register;

use super::{Wrong, block_on, print};
use crate::pull::{self, ModelFiles, ModelKind, PullContext};
use crate::terminal::{self, Meter, Progress, Style, size};
use anyhow::Context as _;
use clap::{Args, ValueEnum};
use register::Registered;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tidegate_engine::{
    Precision, TuneEvent, TuneFault, TuneLength, TuneOptions, TuneSchedule, TuneSettings, Tuned, finetune,
};

/// The arguments of `finetune`.
#[derive(Debug, Args)]
#[command(after_help = "\
A row of the data is one line of JSON: {\"messages\": [{\"role\": \"user\", \"content\": \"…\"}, {\"role\": \"assistant\", …}]},
of which what the assistant says is learnt; {\"prompt\": \"…\", \"completion\": \"…\"}, of which the completion is; or
{\"text\": \"…\"}. The folder gets adapter_config.json and adapter_model.safetensors as PEFT writes them, training.json (all
settings, digests of base and data, every loss), loss.svg, and checkpoint.safetensors to go on from. Ctrl-C keeps what is
done and stops.

Examples:
  tidegate finetune --base smollm2 --data train.jsonl --out adapter/
  tidegate finetune --base smollm2 --data train.jsonl --out adapter/ --resume
  tidegate finetune --base model.gguf --data train.jsonl --out adapter/ --rank 16 --targets q_proj,v_proj --steps 200 --register support-lora")]
pub(super) struct Finetune {
    /// A model of the catalogue, a GGUF file, or a folder of safetensors
    #[arg(long, value_name = "NAME|PATH")]
    base: String,
    /// Rows of training data, a JSON object a line
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// The folder that is written
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// The rank of the factors
    #[arg(long, default_value_t = 8)]
    rank: usize,
    /// The difference is multiplied by alpha / rank; twice the rank where none is given
    #[arg(long)]
    alpha: Option<f32>,
    /// The products of each layer that are adapted
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        default_value = "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj"
    )]
    targets: Vec<String>,
    /// Steps in all
    #[arg(long, value_name = "COUNT", conflicts_with = "epochs")]
    steps: Option<usize>,
    /// How often all rows are seen, instead of --steps
    #[arg(long, value_name = "COUNT", default_value_t = 3)]
    epochs: usize,
    /// Rows that are computed together: more take more memory
    #[arg(long, value_name = "ROWS", default_value_t = 4)]
    batch: usize,
    /// Batches that make one step
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    accumulate: usize,
    /// The largest rate of a step
    #[arg(long, value_name = "RATE", default_value_t = 2e-4)]
    lr: f64,
    /// What the rate does after the warm-up
    #[arg(long, value_enum, default_value_t = Schedule::Linear)]
    schedule: Schedule,
    /// Steps over which the rate rises; a thirtieth of all where none is given
    #[arg(long, value_name = "STEPS")]
    warmup: Option<usize>,
    /// What numbers lose in each step, times the rate
    #[arg(long, value_name = "PART", default_value_t = 0.0)]
    weight_decay: f64,
    /// The longest gradient; longer ones are shortened to it
    #[arg(long, value_name = "LENGTH", default_value_t = 1.0)]
    clip: f64,
    /// Tokens of a row at most; longer rows lose their end
    #[arg(long, value_name = "TOKENS", default_value_t = 512)]
    seq: usize,
    /// Of the factors' first numbers and the rows' order
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How the matrices of a folder are kept
    #[arg(long, value_enum, default_value_t = FoldersAs::Q8_0)]
    folders_as: FoldersAs,
    /// What is done is kept each so many steps
    #[arg(long, value_name = "STEPS", default_value_t = 50)]
    save_every: usize,
    /// Go on from what the folder keeps; the result is that of a run that was never interrupted
    #[arg(long)]
    resume: bool,
    #[command(flatten)]
    registering: register::Registering,
}

/// What the rate does, as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Schedule {
    /// It falls to zero at the end, in a line
    Linear,
    /// It stays
    Constant,
}

/// How the matrices of a folder are kept, as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FoldersAs {
    /// Quantised to 8 bits as they are read
    #[value(name = "q8_0")]
    Q8_0,
    /// As 32-bit numbers
    #[value(name = "f32")]
    F32,
}

impl Finetune {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let (base, parts, base_name) = block_on(found(&self.base))?;
        let options = self.options(base, parts, base_name);
        let tuned = block_on(tuned(options.clone())).map_err(|error| match error.downcast::<TuneFault>() {
            Ok(fault) if fault.is_wrong_input() => Wrong(fault.to_string()).into(),
            Ok(fault) => fault.into(),
            Err(error) => error,
        })?;
        let picture = options.out.join("loss.svg");
        std::fs::write(&picture, curve::picture(&options.base_name, &tuned.losses))
            .with_context(|| format!("cannot write {}", picture.display()))?;
        print(&said(&options, &tuned))?;
        let Some(name) = &self.registering.register else { return Ok(()) };
        let Registered { reference } = block_on(self.registering.register(name, &options, &tuned))?;
        print(&format!("{} it is {reference} in the registry\n", Style::stdout().good("ok:")))
    }

    fn options(&self, base: PathBuf, parts: BTreeMap<String, PathBuf>, base_name: String) -> TuneOptions {
        let length = self.steps.map_or(TuneLength::Epochs(self.epochs), TuneLength::Steps);
        #[expect(clippy::cast_precision_loss, reason = "ranks are small")]
        let alpha = self.alpha.unwrap_or(2.0 * self.rank as f32);
        let settings = TuneSettings {
            rank: self.rank,
            alpha,
            targets: self.targets.clone(),
            length,
            batch: self.batch,
            accumulate: self.accumulate,
            rate: self.lr,
            schedule: match self.schedule {
                Schedule::Linear => TuneSchedule::Linear,
                Schedule::Constant => TuneSchedule::Constant,
            },
            warmup: self.warmup,
            decay: self.weight_decay,
            clip: self.clip,
            tokens: self.seq,
            seed: self.seed,
            precision: match self.folders_as {
                FoldersAs::Q8_0 => Precision::Q8_0,
                FoldersAs::F32 => Precision::Plain,
            },
        };
        let (data, out) = (self.data.clone(), self.out.clone());
        TuneOptions { base, parts, base_name, data, out, settings, keep_every: self.save_every, resume: self.resume }
    }
}

/// The files of the base, and what it is called: never where it lies.
async fn found(base: &str) -> anyhow::Result<(PathBuf, BTreeMap<String, PathBuf>, String)> {
    let path = Path::new(base);
    if path.exists() {
        let name = path.canonicalize().ok().and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
        return Ok((path.to_owned(), BTreeMap::new(), name.unwrap_or_else(|| base.to_owned())));
    }
    let entry = pull::catalogue::find(base)
        .map_err(|fault| Wrong(format!("`{base}` is neither a file nor a folder, and {fault}")))?;
    let ModelFiles { kind } = pull::ensure_entry(entry, &PullContext::from_environment()?).await?;
    match kind {
        ModelKind::Gguf { path } => Ok((path, BTreeMap::new(), base.to_owned())),
        ModelKind::Folder { files } => Ok((PathBuf::new(), files, base.to_owned())),
        _ => Err(Wrong(format!("`{base}` is no language model")).into()),
    }
}

/// Trains on a thread that may compute, and stops it at Ctrl-C.
async fn tuned(options: TuneOptions) -> anyhow::Result<Tuned> {
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    let mut work = tokio::task::spawn_blocking(move || {
        let mut shown = Shown { progress: terminal::progress(), meter: None };
        finetune(&options, &mut |event| {
            shown.event(event);
            if told.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
    });
    let done = tokio::select! {
        done = &mut work => done,
        _ = tokio::signal::ctrl_c() => {
            stop.store(true, Ordering::Relaxed);
            work.await
        }
    };
    Ok(done??)
}

/// What a person sees meanwhile.
struct Shown {
    progress: Arc<dyn Progress>,
    meter: Option<Box<dyn Meter>>,
}

impl Shown {
    fn event(&mut self, event: &TuneEvent) {
        match event {
            TuneEvent::Begun { done, steps, rows, cut, numbers, room } => {
                let memory = size(room.total() as u64);
                let mut text =
                    format!("{rows} rows, {steps} steps, {numbers} numbers to train, {memory} of memory at most");
                if *cut > 0 {
                    text.push_str(&format!("; {cut} rows are longer than --seq and lose their end"));
                }
                if *done > 0 {
                    text.push_str(&format!("; {done} steps are done"));
                }
                self.progress.note(&text);
                self.meter = Some(self.progress.steps("fine-tuning", *steps as u64));
            }
            TuneEvent::Step { done, loss, .. } => {
                if let Some(meter) = &mut self.meter {
                    meter.beside(&format!("loss {loss:.4}"));
                    meter.at(*done as u64);
                }
            }
            _ => {}
        }
    }
}

/// What came of it, in words.
fn said(options: &TuneOptions, tuned: &Tuned) -> String {
    let style = Style::stdout();
    let of = |loss: Option<&f32>| loss.copied().unwrap_or(f32::NAN);
    format!(
        "{} {} is an adapter of {}: loss {:.4} at first, {:.4} at last, in {} steps\n",
        style.good("ok:"),
        style.bold(&options.out.display().to_string()),
        options.base_name,
        of(tuned.losses.first()),
        of(tuned.losses.last()),
        tuned.losses.len(),
    )
}
