//! `tidegate quantize`: a GGUF file made smaller, and what that cost.

use super::print;
use crate::terminal::{self, Style, size};
use anyhow::Context as _;
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use tidegate_engine::{Quantization, quantize};

/// The arguments of `quantize`.
#[derive(Debug, Args)]
#[command(after_help = "\
Matrices become the type; those that choose tokens keep 8 bits, norms stay as they are. The new file is read back and
compared before it gets its name.

Example:
  tidegate quantize model-f16.gguf model-q4_1.gguf --type q4_1")]
pub(super) struct Quantize {
    /// The GGUF file to read
    #[arg(value_name = "IN")]
    source: PathBuf,
    /// The GGUF file to write
    #[arg(value_name = "OUT")]
    target: PathBuf,
    /// What matrices become
    #[arg(long = "type", value_name = "TYPE")]
    to: Type,
    /// Write over a file that is there
    #[arg(long)]
    force: bool,
}

/// The types, as they are written.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Type {
    /// 8 bits: hardly any loss
    #[value(name = "q8_0")]
    Q8_0,
    /// 4 bits
    #[value(name = "q4_0")]
    Q4_0,
    /// 4 bits and a least value: a little larger and truer than q4_0
    #[value(name = "q4_1")]
    Q4_1,
    /// 6 bits, where rows are of a multiple of 256 numbers
    #[value(name = "q6_k")]
    Q6K,
    /// 4 bits, where rows are of a multiple of 256 numbers
    #[value(name = "q4_k")]
    Q4K,
    /// Half precision
    #[value(name = "f16")]
    F16,
}

impl From<Type> for Quantization {
    fn from(to: Type) -> Self {
        match to {
            Type::Q8_0 => Self::Q8_0,
            Type::Q4_0 => Self::Q4_0,
            Type::Q4_1 => Self::Q4_1,
            Type::Q6K => Self::Q6K,
            Type::Q4K => Self::Q4K,
            Type::F16 => Self::F16,
        }
    }
}

impl Quantize {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let Self { source, target, to, force } = self;
        if target.exists() && !force {
            let says = format!("{} is there already: add --force to write over it", target.display());
            return Err(super::Wrong(says).into());
        }
        let to = Quantization::from(to);
        let progress = terminal::progress();
        let length = std::fs::metadata(&source).with_context(|| format!("cannot read {}", source.display()))?.len();
        let mut meter = progress.meter("quantizing", Some(length));
        // Weights are counted, and the file's bytes are shown.
        let mut tell = |done: u64, total: u64| meter.at((length as f64 * (done as f64 / total.max(1) as f64)) as u64);
        let made = quantize(&source, &target, to, &mut tell)?;
        drop(meter);
        let style = Style::stdout();
        let mut text = format!(
            "{} {} is {} instead of {}: {} tensors of {}, {} of other types; read back, off by {:.2} % of the weights\n",
            style.good("ok:"),
            style.bold(&target.display().to_string()),
            size(made.after),
            size(made.before),
            made.quantized,
            to.name(),
            made.others,
            made.off * 100.0,
        );
        if made.twice_rounded {
            text.push_str(&format!(
                "{} the source was quantised already, so its numbers are rounded twice: a source of 16 bits gives a truer file\n",
                style.warn("note:")
            ));
        }
        print(&text)
    }
}
