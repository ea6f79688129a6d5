//! `tidegate registry`: a registry's models brought in from another one. Owns the order of an import and what is said of
//! it; how the other server is asked is `other`'s, what is written and what stays is the registry's.

mod other;
mod report;

use super::{QUICKSTART, Wrong, load};
use crate::wire::registry::open_blobs;
use anyhow::Context as _;
use clap::{Args, Subcommand};
use other::{Other, OtherFault, OtherModel};
use report::Report;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use tidegate_core::clock::SystemClock;
use tidegate_core::dice::SplitMix;
use tidegate_core::port::blobs::{BlobPath, Blobs};
use tidegate_core::{Clock, Dice};
use tidegate_registry::Registry as Models;
use tidegate_registry::import::{Imported, ImportedVersion, Known};
use tidegate_registry::registry::{Import, import_file};

/// Where files of imported versions go.
const FOLDER: &str = "imported";

/// The commands on a registry as a whole.
#[derive(Debug, Subcommand)]
pub(super) enum Registry {
    /// Bring in the models of a running MLflow server: names, versions with their numbers, aliases, tags, stages
    #[command(after_help = "\
Run it again to bring in what changed there since; one that was cut goes on where it stopped. What was changed or deleted
here stays as it is here, and is said. Aliases and stages that are governed here are left out: promote those versions with
`tidegate model promote`. Prompts are left out too: they belong into git. Webhooks are not told. The gateway may serve
meanwhile.

Without --artifacts the files stay where they are, and versions lead there. With it those that the other server itself
hands out are copied; files in buckets stay.

Examples:
  tidegate registry import --from http://mlflow:5000 --config config.yaml --by ann
  MLFLOW_TRACKING_TOKEN=… tidegate registry import --from https://mlflow.example --artifacts --by ann")]
    Import(ImportArguments),
}

/// What is imported, and how.
#[derive(Debug, Args)]
pub(super) struct ImportArguments {
    /// The other server, as its clients write it
    #[arg(long, value_name = "URL")]
    from: String,
    /// The environment variable that holds the token for it
    #[arg(long, value_name = "NAME", default_value = "MLFLOW_TRACKING_TOKEN")]
    token_env: String,
    /// Copy the files of versions too
    #[arg(long)]
    artifacts: bool,
    /// End with code 1 where anything was left out or stayed as it is here
    #[arg(long)]
    strict: bool,
    /// Who imports, as the audit log shall say
    #[arg(long, value_name = "NAME")]
    by: String,
    /// The configuration that names the registry
    #[arg(long, value_name = "PATH", default_value = QUICKSTART)]
    config: PathBuf,
}

impl Registry {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let Self::Import(arguments) = self;
        arguments.run().await
    }
}

impl ImportArguments {
    async fn run(self) -> anyhow::Result<()> {
        let token = std::env::var(&self.token_env).ok().filter(|token| !token.is_empty());
        let other = Other::at(&self.from, token).map_err(Wrong)?;
        let none = || Wrong(format!("{} has no registry: set `store.registry` in it", self.config.display()));
        let spec = load(&self.config)?.spec.registry.ok_or_else(none)?;
        let (clock, dice): (Arc<dyn Clock>, Arc<dyn Dice>) =
            (Arc::new(SystemClock), Arc::new(SplitMix::seeded(seed()?)));
        let models = Models::open(&spec.database, Arc::clone(&clock), Arc::clone(&dice), None).await;
        let models = models.context("store.registry cannot be opened")?.governed(spec.governance.clone());
        let files = match self.artifacts {
            true => Some((open_blobs(&spec.artifacts, &clock, &dice).await?, spec.largest_artifact)),
            false => None,
        };
        let import = Import { origin: other.origin().to_owned(), by: self.by };
        let mut importing = Importing { models, files, other, import, report: Report::default() };
        let done = importing.all().await;
        importing.models.close().await;
        // What was done is said, whatever ended it.
        importing.report.say()?;
        done?;
        importing.report.verdict(self.strict)
    }
}

fn seed() -> anyhow::Result<u64> {
    let mut bytes = [0u8; 8];
    getrandom::fill(&mut bytes).map_err(|e| anyhow::anyhow!("the system gives no random numbers: {e}"))?;
    Ok(u64::from_le_bytes(bytes))
}

struct Importing {
    models: Models,
    /// Where files go, and the longest that is taken.
    files: Option<(Arc<dyn Blobs>, u64)>,
    other: Other,
    import: Import,
    report: Report,
}

impl Importing {
    async fn all(&mut self) -> anyhow::Result<()> {
        let (mut page, mut seen) = (None, HashSet::new());
        loop {
            let (models, next) = self.other.models(page.as_deref()).await?;
            for model in models {
                match model {
                    Ok(model) => self.model(model).await?,
                    Err(left) => self.report.left(&left.subject, &left.why),
                }
            }
            match next {
                Some(next) => {
                    anyhow::ensure!(seen.insert(next.clone()), "the server's pages of models lead in a circle");
                    page = Some(next);
                }
                None => return Ok(()),
            }
        }
    }

    async fn model(&mut self, found: OtherModel) -> anyhow::Result<()> {
        let name = found.model.name.clone();
        let subject = format!("models:/{name}");
        let outcome = self.models.import_model(&self.import, &found.model).await?;
        let is_here = self.models.model(&name).await.is_ok();
        self.report.model(&subject, outcome);
        if !is_here {
            return Ok(());
        }
        for version in self.other.versions(&name).await? {
            match version {
                Ok(version) => self.version(version).await?,
                Err(left) => self.report.left(&left.subject, &left.why),
            }
        }
        let (outcome, left) = self.models.import_aliases(&self.import, &name, &found.aliases).await?;
        self.report.aliases(&subject, outcome);
        for alias in left {
            self.report.left(&subject, &format!("the alias {alias}"));
        }
        Ok(())
    }

    async fn version(&mut self, mut version: ImportedVersion) -> anyhow::Result<()> {
        let subject = format!("models:/{}/{}", version.name, version.version);
        match self.storage(&version).await? {
            Ok(storage) => version.storage = storage,
            Err(why) => {
                self.report.left(&subject, &why.says);
                if why.may_pass {
                    self.report.failed();
                }
                return Ok(());
            }
        }
        let governed = version.stage;
        let outcome = self.models.import_version(&self.import, &version).await?;
        if matches!(outcome, Imported::Created | Imported::Changed) {
            let here = self.models.version(&version.name, version.version).await?;
            if here.stage != governed {
                self.report.left(&subject, &format!("the stage {} is governed here", governed.as_str()));
            }
        }
        self.report.version(&subject, outcome);
        Ok(())
    }

    /// Where the files of a version lie for those who ask here, after they were fetched if they shall be.
    async fn storage(&self, version: &ImportedVersion) -> anyhow::Result<Result<String, OtherFault>> {
        let ours = format!("mlflow-artifacts:/{FOLDER}/{}/{}", version.name, version.version);
        match self.models.known(&version.name, version.version).await? {
            Known::Here(storage) if self.files.is_none() || storage == ours => return Ok(Ok(storage)),
            Known::Here(_) | Known::New => {}
        }
        let there = match self.other.storage(&version.name, version.version).await {
            Ok(there) => there,
            Err(fault) => return Ok(Err(fault)),
        };
        let (Some((blobs, most)), Some(folder)) = (&self.files, there.handed_out.as_deref()) else {
            return Ok(there.uri);
        };
        let target = format!("{FOLDER}/{}/{}", version.name, version.version);
        match self.copy(&**blobs, *most, folder, &target).await {
            Ok(()) => Ok(Ok(ours)),
            Err(fault) => {
                // A part of the files is none.
                if let Ok(path) = BlobPath::new(&target) {
                    blobs.delete(&path).await?;
                }
                Ok(Err(fault))
            }
        }
    }

    async fn copy(&self, blobs: &dyn Blobs, most: u64, folder: &str, target: &str) -> Result<(), OtherFault> {
        for file in self.other.files(folder).await? {
            let path =
                BlobPath::new(&format!("{target}/{}", file.below)).map_err(|fault| OtherFault::lasting(fault.says))?;
            let content = self.other.file(&file.path).await?;
            let kept = import_file(blobs, &path, content, most).await;
            kept.map_err(|fault| OtherFault::of_file(&file.below, &fault))?;
        }
        Ok(())
    }
}
