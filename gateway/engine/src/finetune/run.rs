//! A fine-tuning from its files to its result: what is checked before it begins, the steps, and what is kept on the way.

use super::base::Base;
use super::factors::Factors;
use super::fault::TuneFault;
use super::lesson::{Lesson, Lessons, Reader};
use super::options::TuneOptions;
use super::order::Order;
use super::room::TuneRoom;
use super::trainer::Trainer;
use super::{kept, written};
use crate::model::ModelFiles;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::io::Read as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use tidegate_core::digest::Digest;

/// What happens meanwhile.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum TuneEvent {
    /// So many of so many parts of the base are read.
    Loading {
        /// Read.
        done: usize,
        /// In all.
        total: usize,
    },
    /// All is read, and the steps begin.
    Begun {
        /// Steps that were taken before.
        done: usize,
        /// Steps in all.
        steps: usize,
        /// Rows of data.
        rows: usize,
        /// Rows that lost their end.
        cut: usize,
        /// Numbers that are trained.
        numbers: usize,
        /// What memory is taken at most.
        room: TuneRoom,
    },
    /// A step was taken.
    Step {
        /// Steps that were taken.
        done: usize,
        /// Steps in all.
        steps: usize,
        /// The mean loss before it.
        loss: f64,
        /// Its rate.
        rate: f64,
        /// How long its gradient was before it was shortened.
        norm: f64,
    },
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Tuned {
    /// The mean loss of each step, before it.
    pub losses: Vec<f32>,
    /// The SHA-256 of the adapter's numbers.
    pub adapter: Digest,
    /// The SHA-256 of the base: of its file, or of its files one after another.
    pub base: Digest,
    /// The SHA-256 of the data.
    pub data: Digest,
    /// What decided it, as `training.json` has it.
    pub settings: Value,
}

/// Fine-tunes: writes an adapter into a folder. `tell` hears what happens; where it breaks off, what was done is kept.
///
/// # Errors
/// What was given is wrong, a file cannot be read or written, or the loss is no number any more.
pub fn finetune(
    options: &TuneOptions,
    tell: &mut dyn FnMut(&TuneEvent) -> ControlFlow<()>,
) -> Result<Tuned, TuneFault> {
    let settings = &options.settings;
    settings.check()?;
    is_free(options)?;
    let mut files = ModelFiles::open(&options.base, &options.parts, settings.precision)?;
    let lessons = lessons(options, &files)?;
    let steps = settings.steps(lessons.rows.len())?;
    let mut told = ControlFlow::Continue(());
    let base = Base::load(&mut files, &mut |done, total| {
        if told.is_continue() {
            told = tell(&TuneEvent::Loading { done, total });
        }
    })?;
    let (of_base, of_data) = (digest(&base_files(options)?)?, digest(std::slice::from_ref(&options.data))?);
    let run = json!({
        "base": {"name": options.base_name, "sha256": of_base},
        "data": {"sha256": of_data, "rows": lessons.rows.len(), "cut": lessons.cut},
        "settings": settings.written(steps),
    });
    let rank = (settings.rank, settings.alpha);
    let factors = Factors::begin(&base.sizes(), &settings.targets, rank, settings.seed)?;
    let mut trainer = Trainer::new(base, factors);
    if options.resume {
        kept::go_on(&options.out, &mut trainer, &run)?;
    }
    std::fs::create_dir_all(&options.out).map_err(|why| TuneFault::File {
        what: "write",
        path: options.out.clone(),
        why,
    })?;
    if told.is_continue() {
        told = tell(&TuneEvent::Begun {
            done: trainer.losses.len(),
            steps,
            rows: lessons.rows.len(),
            cut: lessons.cut,
            numbers: trainer.factors.count(),
            room: TuneRoom::of(&trainer.base, &trainer.factors, &lessons.rows, settings.batch),
        });
    }
    steps_of(options, &mut trainer, &lessons.rows, (steps, &run), told, tell)?;
    let written = written::result(&options.out, &trainer, &options.base_name, &run)?;
    Ok(Tuned {
        losses: trainer.losses,
        adapter: written.sha256,
        base: of_base,
        data: of_data,
        settings: run["settings"].clone(),
    })
}

fn steps_of(
    options: &TuneOptions,
    trainer: &mut Trainer,
    lessons: &[Lesson],
    (steps, run): (usize, &Value),
    mut told: ControlFlow<()>,
    tell: &mut dyn FnMut(&TuneEvent) -> ControlFlow<()>,
) -> Result<(), TuneFault> {
    let settings = &options.settings;
    let mut order = Order::new(lessons.len(), settings.seed);
    while trainer.losses.len() < steps {
        let done = trainer.losses.len();
        if told.is_break() {
            kept::keep(&options.out, trainer, run)?;
            return Err(TuneFault::Stopped { step: done, steps });
        }
        let first = (done * settings.rows()) as u64;
        let rows: Vec<&Lesson> =
            (first..first + settings.rows() as u64).map(|place| &lessons[order.at(place)]).collect();
        let batches: Vec<Vec<&Lesson>> = rows.chunks(settings.batch).map(<[&Lesson]>::to_vec).collect();
        let stepped = trainer.step(settings, steps, &batches)?;
        if !(stepped.loss.is_finite() && stepped.norm.is_finite()) {
            return Err(TuneFault::NotFinite(done + 1));
        }
        if (done + 1).is_multiple_of(options.keep_every.max(1)) || done + 1 == steps {
            kept::keep(&options.out, trainer, run)?;
        }
        let (loss, rate, norm) = (stepped.loss, stepped.rate, stepped.norm);
        told = tell(&TuneEvent::Step { done: done + 1, steps, loss, rate, norm });
    }
    Ok(())
}

/// Whether the folder has nothing of another run.
fn is_free(options: &TuneOptions) -> Result<(), TuneFault> {
    if options.resume {
        return Ok(());
    }
    let there = [(kept::FILE, "a run that can be gone on with"), (written::TRAINING, "the result of a run")];
    match there.into_iter().find(|(name, _)| options.out.join(name).exists()) {
        Some((_, what)) => Err(TuneFault::Taken { path: options.out.clone(), what }),
        None => Ok(()),
    }
}

/// Reads the data on a thread of its own: what a tokenizer needed goes back as a whole when the thread ends, and is not
/// kept for this one.
fn lessons(options: &TuneOptions, files: &ModelFiles) -> Result<Lessons, TuneFault> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("reads-lessons".to_owned());
        match thread.spawn_scoped(scope, || read(options, files)).map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(lessons)) => lessons,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            // Where no thread can be had it costs but memory.
            Err(_) => read(options, files),
        }
    })
}

fn read(options: &TuneOptions, files: &ModelFiles) -> Result<Lessons, TuneFault> {
    let vocabulary = files.vocabulary()?;
    let template = files.template(&vocabulary)?;
    let context = files.description()?.context;
    if options.settings.tokens > context {
        let tokens = options.settings.tokens;
        return Err(TuneFault::Options(format!("rows of {tokens} tokens: the base was made for {context}")));
    }
    let reader = Reader { vocabulary: &vocabulary, template: template.as_ref(), most: options.settings.tokens };
    reader.file(&options.data)
}

/// The files that make the base, in the order of their names.
fn base_files(options: &TuneOptions) -> Result<Vec<PathBuf>, TuneFault> {
    if !options.base.is_dir() && options.parts.is_empty() {
        return Ok(vec![options.base.clone()]);
    }
    let mut files = options.parts.clone();
    if options.parts.is_empty() {
        let unread = |why| TuneFault::File { what: "read", path: options.base.clone(), why };
        for entry in std::fs::read_dir(&options.base).map_err(unread)? {
            let entry = entry.map_err(unread)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name == "config.json" || name == "tokenizer.json" || name.ends_with(".safetensors") {
                files.insert(name, entry.path());
            }
        }
    }
    Ok(files.into_values().collect())
}

/// The digest of files, one after another.
fn digest(paths: &[PathBuf]) -> Result<Digest, TuneFault> {
    let unread = |path: &Path| {
        let path = path.to_owned();
        move |why| TuneFault::File { what: "read", path, why }
    };
    let (mut hash, mut piece) = (Sha256::new(), vec![0; 1 << 20]);
    for path in paths {
        let mut file = std::fs::File::open(path).map_err(unread(path))?;
        loop {
            match file.read(&mut piece).map_err(unread(path))? {
                0 => break,
                count => hash.update(&piece[..count]),
            }
        }
    }
    Ok(Digest::from_bytes(hash.finalize().into()))
}
