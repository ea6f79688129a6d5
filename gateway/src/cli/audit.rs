//! `tidegate audit`: the registry's audit log, checked and written out.

use super::{QUICKSTART, Wrong, load, print};
use crate::terminal::Style;
use anyhow::Context as _;
use clap::{Args, Subcommand};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use tidegate_core::clock::SystemClock;
use tidegate_core::dice::SplitMix;
use tidegate_core::digest::Digest;
use tidegate_registry::Registry;
use tidegate_registry::audit::Chain;

/// How many entries are read at once.
const PAGE: u32 = 1000;

/// The commands on the audit log.
#[derive(Debug, Subcommand)]
pub(super) enum Audit {
    /// Follow the log from its first entry to its head; say the first entry that is not what was written
    #[command(after_help = "\
The last line names the head: keep it elsewhere, and give it to `--anchor` later to see that the log was only added to.

Examples:
  tidegate audit verify --config config.yaml
  tidegate audit verify --anchor 57:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    Verify {
        /// A head that was noted before, as NUMBER:HASH: the log must still have that entry
        #[arg(long, value_name = "NUMBER:HASH")]
        anchor: Option<String>,
        #[command(flatten)]
        store: Store,
    },
    /// Write the log to standard output, an entry a line in JSON
    Export {
        #[command(flatten)]
        store: Store,
    },
}

/// Which registry.
#[derive(Debug, Args)]
pub(super) struct Store {
    /// The configuration that names the registry
    #[arg(long, value_name = "PATH", default_value = QUICKSTART)]
    config: PathBuf,
}

impl Store {
    async fn open(&self) -> anyhow::Result<Registry> {
        let none = || Wrong(format!("{} has no registry: set `store.registry` in it", self.config.display()));
        let spec = load(&self.config)?.spec.registry.ok_or_else(none)?;
        let registry = Registry::open(&spec.database, Arc::new(SystemClock), Arc::new(SplitMix::seeded(0)), None);
        registry.await.context("store.registry cannot be opened")
    }
}

impl Audit {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Verify { anchor, store } => {
                let anchor = anchor.as_deref().map(read_anchor).transpose()?;
                verify(&store.open().await?, anchor).await
            }
            Self::Export { store } => export(&store.open().await?).await,
        }
    }
}

fn read_anchor(text: &str) -> anyhow::Result<(i64, Digest)> {
    let wrong = || Wrong(format!("`{text}` is no anchor: it has the form NUMBER:HASH, as `audit verify` prints it"));
    let (number, hash) = text.split_once(':').ok_or_else(wrong)?;
    Ok((number.parse().map_err(|_| wrong())?, hash.parse().map_err(|_| wrong())?))
}

async fn verify(registry: &Registry, anchor: Option<(i64, Digest)>) -> anyhow::Result<()> {
    let chain = registry.verify_audit().await?.context("the audit log is not what was written")?;
    if let Some((number, hash)) = anchor {
        let until = follow_to(registry, number).await?;
        until.end(number, hash).context("the audit log is not the one that the anchor was taken of")?;
    }
    let style = Style::stdout();
    print(&format!(
        "{} {} entries, each follows the one before it\nhead: {}:{}\n",
        style.good("ok:"),
        chain.length(),
        chain.length(),
        chain.hash()
    ))
}

/// The chain up to an entry.
async fn follow_to(registry: &Registry, number: i64) -> anyhow::Result<Chain> {
    let mut chain = Chain::default();
    loop {
        let page = registry.audit(chain.length(), PAGE).await?;
        let before = chain.length();
        for entry in page.iter().take_while(|entry| entry.seq <= number) {
            chain.follow(entry)?;
        }
        if chain.length() == before {
            return Ok(chain);
        }
    }
}

async fn export(registry: &Registry) -> anyhow::Result<()> {
    let mut after = 0;
    loop {
        let page = registry.audit(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.seq;
        let mut out = std::io::stdout().lock();
        for entry in &page {
            serde_json::to_writer(&mut out, entry)?;
            out.write_all(b"\n")?;
        }
        out.flush()?;
    }
}
