//! `tidegate model`: the models of a registry and those that run in a gateway, by its admin interface. Owns the verbs; each
//! kind of them has a file.

mod baseline;
mod compare;
mod govern;
mod moves;
mod register;
mod show;
mod wait;

use super::admin::{Admin, Door};
use super::{Wrong, print};
use clap::Subcommand;
use std::path::PathBuf;
use tidegate_registry::facts::VersionId;

/// The commands on models.
#[derive(Debug, Subcommand)]
pub(super) enum Model {
    /// Register a version of a model, with its file or with the place where that lies
    Register(Box<register::Register>),
    /// List the models with their newest versions and aliases
    List {
        #[command(flatten)]
        door: Door,
    },
    /// Show a model, or one of its versions
    Show {
        /// NAME or NAME/3
        reference: String,
        #[command(flatten)]
        door: Door,
    },
    /// Let an alias stand for a version; a governed alias asks for what `store.governance` names
    #[command(after_help = "Example:\n  tidegate model promote support/3 production --expect 2")]
    Promote(moves::Promote),
    /// Let an alias stand for what it stood for before
    Rollback(moves::Rollback),
    /// Compare two versions: facts, lineage, card and evaluations
    Diff {
        /// NAME/1
        #[arg(value_parser = version_id)]
        from: VersionId,
        /// NAME/2
        #[arg(value_parser = version_id)]
        to: VersionId,
        #[command(flatten)]
        door: Door,
    },
    /// Say what a model is and how much harm it could do; a lower tier needs a key with the role `approve`
    Classify(govern::Classify),
    /// Show the card of a version as Markdown, or give it one
    #[command(after_help = "\
A card is a JSON file with the texts summary, owner, license, intended_use, limitations, training_data and evaluation; it
may have out_of_scope, ethics, review_by (a date), pipeline_tag, library_name and the lists languages, tags, datasets.

Example:
  tidegate model card support/3 --set card.json")]
    Card {
        /// NAME/3
        #[arg(value_parser = version_id)]
        version: VersionId,
        /// The card in JSON
        #[arg(long, value_name = "FILE")]
        set: Option<PathBuf>,
        #[command(flatten)]
        door: Door,
    },
    /// Show the profile of a version's training data, or take it of a file
    #[command(after_help = baseline::HELP)]
    Baseline(baseline::TakeBaseline),
    /// Record what a monitor found of a version
    Evaluate(govern::Evaluate),
    /// Approve of a version for a governed alias; whoever made it cannot
    Approve(govern::Approve),
    /// Have a local model of the gateway give its memory back; the next call wakes it
    Sleep {
        /// The model, as the configuration names it
        name: String,
        #[command(flatten)]
        door: Door,
    },
    /// Wake a local model, so that the next call need not wait for that
    Wake {
        /// The model, as the configuration names it
        name: String,
        #[command(flatten)]
        door: Door,
    },
    /// Check the files of a version against their digests, and what its gates ask; ends with code 1 where something fails
    Verify {
        /// NAME/3
        #[arg(value_parser = version_id)]
        version: VersionId,
        #[command(flatten)]
        door: Door,
    },
}

impl Model {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Register(register) => register.run().await,
            Self::List { door } => show::list(&door.open()).await,
            Self::Show { reference, door } => show::show(&door.open(), &reference).await,
            Self::Promote(promote) => promote.run().await,
            Self::Rollback(rollback) => rollback.run().await,
            Self::Diff { from, to, door } => compare::run(&door.open(), &from, &to).await,
            Self::Classify(classify) => classify.run().await,
            Self::Card { version, set, door } => govern::card(&door.open(), &version, set.as_deref()).await,
            Self::Baseline(baseline) => baseline.run().await,
            Self::Evaluate(evaluate) => evaluate.run().await,
            Self::Approve(approve) => approve.run().await,
            Self::Sleep { name, door } => rest(&door.open(), &name, "sleep").await,
            Self::Wake { name, door } => rest(&door.open(), &name, "wake").await,
            Self::Verify { version, door } => govern::verify(&door.open(), &version).await,
        }
    }
}

/// Has a local model sleep or wake.
async fn rest(admin: &Admin, name: &str, order: &str) -> anyhow::Result<()> {
    let now = admin.ask("POST", &[name, order], None).await?;
    let state = if now["state"] == "asleep" { "asleep" } else { "awake" };
    print(&format!("{name} is {state}\n"))
}

/// A version as NAME/3.
fn version_id(text: &str) -> Result<VersionId, String> {
    VersionId::read(text).map_err(|fault| fault.says.into_owned())
}

/// A JSON file that a command names.
fn read_json(path: &std::path::Path) -> anyhow::Result<serde_json::Value> {
    let text = std::fs::read(path).map_err(|e| Wrong(format!("{} cannot be read: {e}", path.display())))?;
    Ok(serde_json::from_slice(&text).map_err(|e| Wrong(format!("{} is no JSON: {e}", path.display())))?)
}
