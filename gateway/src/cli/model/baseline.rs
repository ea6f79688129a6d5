//! `tidegate model baseline`: the profile of training data, made here. The data itself stays where it is.

use super::version_id;
use crate::cli::admin::Door;
use crate::cli::{Wrong, print};
use crate::terminal::harmless;
use clap::Args;
use std::path::PathBuf;
use tidegate_core::dice::SplitMix;
use tidegate_registry::baseline::{Baseline, LARGEST};
use tidegate_registry::facts::VersionId;

/// How the command is used.
pub(super) const HELP: &str = "\
The file is CSV with the columns' names in its first line, or Parquet. Each column becomes a profile: numbers in up to 256
bins of equal shares, categories with how often they are there (the 1,000 most frequent). Only the profile is sent, with up
to 1,000 rows of the data chosen by chance as its sample: --no-sample sends none.

Example:
  tidegate model baseline fraud/3 --file training.parquet --except customer_id --no-sample";

/// The arguments of `model baseline`.
#[derive(Debug, Args)]
pub(in crate::cli) struct TakeBaseline {
    /// NAME/3
    #[arg(value_parser = version_id)]
    version: VersionId,
    /// The training data; without it the baseline that the version has is shown as JSON
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// A column to leave out; may be given several times
    #[arg(long, value_name = "COLUMN", requires = "file")]
    except: Vec<String>,
    /// Send no rows of the data
    #[arg(long, requires = "file")]
    no_sample: bool,
    #[command(flatten)]
    door: Door,
}

impl TakeBaseline {
    pub(in crate::cli) async fn run(self) -> anyhow::Result<()> {
        let VersionId { name, version } = &self.version;
        let (admin, number) = (self.door.open(), version.to_string());
        let path = [name.as_str(), "versions", &number, "baseline"];
        let Some(file) = self.file else {
            let found = admin.ask("GET", &path, None).await?;
            return print(&harmless(&format!("{}\n", serde_json::to_string_pretty(&found)?)));
        };
        let (except, no_sample) = (self.except, self.no_sample);
        let made = tokio::task::spawn_blocking(move || {
            let table =
                tidegate_storage::dataset::open(&file, &except).map_err(|fault| Wrong(fault.says.into_owned()))?;
            let made =
                Baseline::build(&*table, &SplitMix::seeded(seed()?)).map_err(|fault| Wrong(fault.says.into_owned()))?;
            anyhow::Ok(if no_sample { made.without_sample() } else { made })
        });
        let (made, json) = {
            let made = made.await??;
            let json = made.to_json();
            (made.size(), json)
        };
        let length = json.to_string().len();
        if length > LARGEST {
            let says = format!("the profile has {} MiB, and {} are taken", length >> 20, LARGEST >> 20);
            return Err(Wrong(format!("{says}: leave columns out by --except")).into());
        }
        admin.ask("PUT", &path, Some(&json)).await?;
        let rows = format!("{} rows, {} numeric and {} categorical columns", made.rows, made.numeric, made.categorical);
        print(&format!("{name}/{version} has a baseline of {rows}; {} rows are its sample\n", made.sampled))
    }
}

fn seed() -> anyhow::Result<u64> {
    let mut bytes = [0u8; 8];
    getrandom::fill(&mut bytes).map_err(|e| anyhow::anyhow!("the system gives no random numbers: {e}"))?;
    Ok(u64::from_le_bytes(bytes))
}
