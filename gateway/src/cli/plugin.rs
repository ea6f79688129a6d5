//! `tidegate plugin`: components looked at, run on a window and packed. Owns the arguments; what is done with them is
//! `doing`'s, which is there with the feature `host`.

#[cfg(feature = "host")]
mod doing;

use clap::Subcommand;
use std::path::PathBuf;

/// The commands on plugins.
#[derive(Debug, Subcommand)]
pub(super) enum Plugin {
    /// Load a component and say what it is: its world, what it asks for, its size and digest, what it is configured by
    #[command(after_help = "Example:\n  tidegate plugin inspect plugins/dist/drift.wasm")]
    Inspect {
        /// The component
        file: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Have a component look at one window, and print what it says and how long it took
    #[command(after_help = "\
The window is a JSON file. A column is a list, of numbers, texts (categories) or booleans, or {\"KIND\": list} with numbers,
integers, categories, texts or booleans; null is a missing value.

  drift      {\"reference\": {\"amount\": [1, 2]}, \"current\": {\"amount\": [7, null]}, \"window\": {\"id\": \"today\"}}
  fairness   {\"data\": {…}, \"roles\": {\"prediction\": \"p\", \"protected\": [\"group\"], \"positive\": \"1\"}}
  rag        {\"samples\": [{\"question\": \"…\", \"passages\": [{\"id\": \"1\", \"text\": \"…\"}], \"answer\": \"…\"}]}
  validator  {\"schema\": {…}, \"data\": {…}}

Example:
  tidegate plugin run plugins/dist/drift.wasm --input window.json --config config.json")]
    Run {
        /// The component
        file: PathBuf,
        /// The window
        #[arg(long, value_name = "WINDOW.json", visible_alias = "window")]
        input: PathBuf,
        /// The plugin's configuration; {} where none is given
        #[arg(long, value_name = "CONFIG.json")]
        config: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a component of a core module that was built for wasm32-unknown-unknown
    #[command(
        after_help = "Example:\n  tidegate plugin pack target/wasm32-unknown-unknown/release/mine.wasm -o mine.wasm"
    )]
    Pack {
        /// The core module
        core: PathBuf,
        /// Where the component is written
        #[arg(short, long, value_name = "OUT.wasm")]
        output: PathBuf,
    },
}

impl Plugin {
    #[cfg(feature = "host")]
    pub(super) fn run(self) -> anyhow::Result<()> {
        doing::run(self)
    }

    #[cfg(not(feature = "host"))]
    pub(super) fn run(self) -> anyhow::Result<()> {
        let (command, file) = match self {
            Self::Inspect { file, json: _ } => ("inspect", file),
            Self::Run { file, input: _, config: _, json: _ } => ("run", file),
            Self::Pack { core, output: _ } => ("pack", core),
        };
        anyhow::bail!(
            "this program was built without the feature `host`, which `plugin {command} {}` needs",
            file.display()
        )
    }
}
