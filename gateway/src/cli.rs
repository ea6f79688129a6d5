//! The command line: its arguments as types, and one file for each command below. Owns exit codes; what serving does is
//! in `serve`, how models are fetched in `pull`.

mod admin;
mod alert;
mod audit;
mod batch;
mod chat;
mod check;
mod events;
mod experiment;
mod explain;
#[cfg(feature = "engine")]
mod finetune;
mod key;
mod model;
mod models;
mod monitor;
mod plugin;
mod prompt;
#[cfg(feature = "engine")]
mod quantize;
mod registry;
mod replay;
mod rollout;
mod said;
mod when;

use crate::terminal::Style;
use clap::{Parser, Subcommand};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

const QUICKSTART: &str = "configs/quickstart.yaml";

const EXAMPLES: &str = "\
Examples:
  tidegate serve                                    serve configs/quickstart.yaml
  tidegate serve --config configs/production        serve the files of a folder
  tidegate check configs/production                 list every fault of a configuration
  tidegate finetune --base smollm2 --data train.jsonl --out adapter/
                                                    train an adapter of a local model
  tidegate chat smollm2                             talk to a route of the running gateway
  tidegate key new --principal ann --tenant web     make a key and print it once
  tidegate events tail --follow                     watch calls as they end

Environment:
  TIDEGATE_LOG        level of the log, such as debug or tidegate_server=debug
  TIDEGATE_MODELS     the folder of models (else $XDG_CACHE_HOME/tidegate/models, or ~/.cache/tidegate/models)
  TIDEGATE_API_KEY    the key that `chat` and `batch` send
  HF_ENDPOINT         the model hub to ask;  HF_TOKEN  its token, for gated models
  NO_COLOR            set to anything: no colours

Exit codes:
  0  done
  1  it failed while running
  2  the configuration or the arguments are wrong";

/// A gateway in front of language models: decides, serves, watches and remembers.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, after_help = EXAMPLES, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve a configuration until told to stop
    #[command(
        after_help = "SIGHUP reads the configuration again; SIGTERM and Ctrl-C let running calls end, then stop."
    )]
    Serve {
        /// A YAML file, or a folder of them
        #[arg(long, value_name = "PATH", default_value = QUICKSTART)]
        config: PathBuf,
    },
    /// Check a configuration and list every fault with its place
    Check(check::Check),
    /// Print the JSON Schema of configurations, for editors
    Schema,
    /// Fetch a model into the cache, or check the one that is there
    Pull(models::Pull),
    /// Quantise the matrices of a GGUF file into another file
    #[cfg(feature = "engine")]
    Quantize(quantize::Quantize),
    /// Train a LoRA adapter of a local model on rows of text
    #[cfg(feature = "engine")]
    Finetune(Box<finetune::Finetune>),
    /// List the models of the catalogue and what the cache holds of them
    Models(models::Models),
    /// Talk to a route of a running gateway
    Chat(chat::ChatArguments),
    /// Ask a route of classic models about each row of a table
    Batch(batch::Batch),
    /// Make, list and revoke keys
    #[command(subcommand)]
    Key(key::Key),
    /// Look at the records of calls
    #[command(subcommand)]
    Events(events::Events),
    /// Compare the variants of a route by a reward, and say whether one may stop
    Experiment(experiment::Experimented),
    /// Say why a call went where it went, and draw its decision again
    Explain(explain::Explain),
    /// Reckon what another policy would have earned on the calls that were logged
    Replay(replay::Replay),
    /// List, show, render, compare, label and test the prompts of a repository
    #[command(subcommand)]
    Prompt(prompt::Prompt),
    /// Look at plugins, try them on a window, and make components of modules
    #[command(subcommand)]
    Plugin(plugin::Plugin),
    /// Compile the component that comes on standard input, within the caps that stand before it: a gateway calls this
    #[cfg(feature = "host")]
    #[command(hide = true)]
    CompilePlugin,
    /// Register, show, govern and promote the models of a gateway's registry
    #[command(subcommand)]
    Model(model::Model),
    /// Bring the models of another registry in
    #[command(subcommand)]
    Registry(registry::Registry),
    /// Look at the rollouts of a running gateway, and pause, resume, abort or promote them
    #[command(subcommand)]
    Rollout(rollout::Rollout),
    /// Try whom the configuration tells of alarms
    #[command(subcommand)]
    Alert(alert::Alert),
    /// Look at what monitors find, and write a page about one
    #[command(subcommand)]
    Monitor(monitor::Monitor),
    /// Check the registry's audit log, write it out, or erase particulars in it
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Print the version and the features built in
    Version,
}

/// Reads the arguments and does what they say.
pub(crate) fn run() -> ExitCode {
    match act(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => end(&error),
    }
}

fn act(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Serve { config } => crate::serve::run(&config),
        Command::Check(check) => check.run(),
        Command::Schema => print(&format!("{}\n", serde_json::to_string_pretty(&tidegate_config::schema())?)),
        Command::Pull(pull) => block_on(pull.run()),
        #[cfg(feature = "engine")]
        Command::Quantize(quantize) => quantize.run(),
        #[cfg(feature = "engine")]
        Command::Finetune(finetune) => finetune.run(),
        Command::Models(models) => models.run(),
        Command::Chat(chat) => block_on(chat.run()),
        Command::Batch(batch) => block_on(batch.run()),
        Command::Key(key) => key.run(),
        Command::Events(events) => events.run(),
        Command::Experiment(experiment) => experiment.run(),
        Command::Explain(explain) => explain.run(),
        Command::Replay(replay) => replay.run(),
        Command::Prompt(prompt) => block_on(prompt.run()),
        Command::Plugin(plugin) => plugin.run(),
        #[cfg(feature = "host")]
        Command::CompilePlugin => {
            Ok(tidegate_host::compile_as_child(std::io::stdin().lock(), std::io::stdout().lock())?)
        }
        Command::Model(model) => block_on(model.run()),
        Command::Registry(registry) => block_on(registry.run()),
        Command::Rollout(rollout) => block_on(rollout.run()),
        Command::Alert(alert) => block_on(alert.run()),
        Command::Monitor(monitor) => block_on(monitor.run()),
        Command::Audit(audit) => block_on(audit.run()),
        Command::Version => print(&format!("tidegate {} (features: {})\n", env!("CARGO_PKG_VERSION"), features())),
    }
}

/// The features built in.
fn features() -> String {
    let all = [
        ("engine", cfg!(feature = "engine")),
        ("host", cfg!(feature = "host")),
        ("onnx", cfg!(feature = "onnx")),
        ("otlp", cfg!(feature = "otlp")),
        ("redis", cfg!(feature = "redis")),
    ];
    let built: Vec<&str> = all.into_iter().filter(|(_, is_built)| *is_built).map(|(name, _)| name).collect();
    if built.is_empty() { "none".to_owned() } else { built.join(", ") }
}

/// The configuration or the arguments are wrong, which ends with code 2. Without a text it was told already.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Wrong(String);

/// Says why it ended, and with which code.
fn end(error: &anyhow::Error) -> ExitCode {
    let is_closed_pipe = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
    };
    if error.chain().any(is_closed_pipe) {
        // Whoever read our output has enough, as `head` does.
        return ExitCode::SUCCESS;
    }
    let text = format!("{error:#}");
    if !text.is_empty() {
        let line = format!("{} {text}\n", Style::stderr().bad("error:"));
        // Nobody is left to be told where standard error is closed.
        std::io::stderr().write_all(line.as_bytes()).unwrap_or_default();
    }
    let is_wrong = error.downcast_ref::<Wrong>().is_some() || error.downcast_ref::<tidegate_config::Report>().is_some();
    ExitCode::from(if is_wrong { 2 } else { 1 })
}

/// Writes to standard output.
fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(work);
    // A thread that waits for a lock or for input must not keep the program from ending.
    runtime.shutdown_background();
    done
}

/// Reads a configuration for a command that needs a part of it.
fn load(path: &std::path::Path) -> anyhow::Result<tidegate_config::Loaded> {
    let env = |name: &str| std::env::var_os(name).and_then(|value| value.into_string().ok());
    Ok(tidegate_config::load(path, &env)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_arguments_make_sense() {
        Cli::command().debug_assert();
    }

    #[test]
    fn commands_are_read_as_documented() {
        for line in [
            "tidegate serve",
            "tidegate serve --config x.yaml",
            "tidegate check x.yaml --format json",
            "tidegate schema",
            "tidegate pull smollm2",
            "tidegate pull smollm2 --from a.gguf b.whl",
            "tidegate pull --list",
            "tidegate models",
            "tidegate chat",
            "tidegate chat smollm2 --url http://h:1 --key k",
            "tidegate batch --route r --in a.csv --out b.parquet --leave id --leave label --rows 64 --parallel 8",
            "tidegate batch --route r --in a.parquet --out b.jsonl --by-position --force",
            "tidegate key new --principal p --tenant t --role infer --role read --route a --expires 90d --keys-file k.yaml",
            "tidegate key list --config c.yaml",
            "tidegate key revoke key-1",
            "tidegate events tail --follow --route a --json",
            "tidegate events show 01931c2e-8f10-7cc3-98c4-dc0c0c07398f",
            "tidegate experiment support --config c.yaml --reward error --since 7d --least 2% --svg x.svg",
            "tidegate explain 01931c2e-8f10-7cc3-98c4-dc0c0c07398f --json",
            "tidegate replay --config c.yaml --route r --since 7d --relearn",
            "tidegate replay --config c.yaml --verify",
            "tidegate audit verify --config c.yaml --anchor 1:00",
            "tidegate audit export",
            "tidegate prompt list",
            "tidegate prompt show a@production --config c.yaml",
            "tidegate prompt render a/3 --var x=1 --var y=z",
            "tidegate prompt diff a 1 2",
            "tidegate prompt label a production 3 --why better",
            "tidegate prompt rollback a production",
            "tidegate prompt test a@candidate --route r --judge-route j",
            "tidegate plugin inspect x.wasm --json",
            "tidegate plugin run x.wasm --input w.json --config c.json --json",
            "tidegate plugin run x.wasm --window w.json",
            "tidegate plugin pack core.wasm -o x.wasm",
            "tidegate rollout status",
            "tidegate rollout status support",
            "tidegate rollout promote support --full --why reviewed",
            "tidegate alert test duty",
            "tidegate alert test duty --config c.yaml --json",
            "tidegate monitor list",
            "tidegate monitor show fraud-drift --json",
            "tidegate monitor report fraud-drift --html x.html",
            "tidegate monitor reset fraud-drift",
            "tidegate version",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_ok(), "{line}");
        }
        for line in [
            "tidegate",
            "tidegate check",
            "tidegate batch --route r --in a.csv",
            "tidegate batch --route r --in a.csv --out b.csv --rows 0",
            "tidegate pull",
            "tidegate key new",
            "tidegate key new --principal p --role none",
            "tidegate events show x",
            "tidegate rollout abort",
            "tidegate monitor report fraud-drift",
            "tidegate alert test",
            "tidegate plugin run x.wasm",
            "tidegate plugin pack core.wasm",
            "tidegate prompt test a",
            "tidegate prompt test ../a --route r",
        ] {
            let fault = Cli::try_parse_from(line.split(' ')).unwrap_err();
            assert_eq!(fault.exit_code(), 2, "{line}");
        }
    }

    #[cfg(feature = "engine")]
    #[test]
    fn fine_tuning_is_read_as_documented() {
        let whole = "tidegate finetune --base smollm2 --data train.jsonl --out adapter/";
        for more in [
            "",
            " --resume",
            " --rank 16 --alpha 8 --targets q_proj,v_proj --steps 9 --batch 2 --accumulate 2 --lr 1e-3 --seq 64",
            " --epochs 1 --schedule constant --warmup 3 --weight-decay 0.01 --clip 2 --seed 1 --save-every 5 --folders-as f32",
            " --register support-lora --parent base/3 --gateway http://h:1 --url http://h:2 --key k",
        ] {
            assert!(Cli::try_parse_from(format!("{whole}{more}").split(' ')).is_ok(), "{more}");
        }
        for wrong in [" --steps 1 --epochs 2", " --parent base/3", " --schedule cosine", " --rank x"] {
            let fault = Cli::try_parse_from(format!("{whole}{wrong}").split(' ')).unwrap_err();
            assert_eq!(fault.exit_code(), 2, "{wrong}");
        }
    }

    #[test]
    fn the_code_tells_wrong_from_failed() {
        let code = |error: anyhow::Error| format!("{:?}", end(&error));
        assert_eq!(code(anyhow::anyhow!("x")), format!("{:?}", ExitCode::from(1)));
        assert_eq!(code(Wrong("x".to_owned()).into()), format!("{:?}", ExitCode::from(2)));
        let closed = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        assert_eq!(code(anyhow::Error::from(closed).context("writing")), format!("{:?}", ExitCode::SUCCESS));
    }
}
