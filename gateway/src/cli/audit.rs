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
use tidegate_registry::audit::Erasure;
use tidegate_storage::anchors::Anchors;

/// How many entries are read at once.
const PAGE: u32 = 1000;

/// The commands on the audit log.
#[derive(Debug, Subcommand)]
pub(super) enum Audit {
    /// Follow the log from its first entry to its head; say the first entry that is not what was written
    #[command(after_help = "\
The gateway notes the head beside the records of calls (`anchors.jsonl` in the folder of `store.events`) while it serves,
and the log must still have each that stands there. The last line names the head: keep it elsewhere too, and give it to
`--anchor` later.

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
    /// Erase particulars for good; the log stays whole, and says that they were erased
    #[command(after_help = "\
Who did what to what, and when, stays: particulars are what was written, such as a description or a tag.

Examples:
  tidegate audit erase --mentions ann@example.org --by support-ticket-512
  tidegate audit erase --subject models:/churn --by ann")]
    Erase {
        #[command(flatten)]
        what: What,
        /// Who erases, as the log shall say
        #[arg(long, value_name = "NAME")]
        by: String,
        #[command(flatten)]
        store: Store,
    },
}

/// Whose particulars.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct What {
    /// Of entries whose particulars contain this text
    #[arg(long, value_name = "TEXT")]
    mentions: Option<String>,
    /// Of entries on this, its versions and its aliases, such as models:/name
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<String>,
}

impl What {
    fn erasure(self) -> anyhow::Result<Erasure> {
        let Self { mentions, subject } = self;
        let none = || Wrong("nothing is named whose particulars shall go".to_owned());
        let erasure = mentions.map(Erasure::Mentions).or(subject.map(Erasure::Subject)).ok_or_else(none)?;
        let (Erasure::Mentions(text) | Erasure::Subject(text)) = &erasure else { return Ok(erasure) };
        if text.trim().len() < 3 {
            return Err(Wrong(format!("`{text}` stands almost everywhere: name at least 3 characters")).into());
        }
        Ok(erasure)
    }
}

/// Which registry.
#[derive(Debug, Args)]
pub(super) struct Store {
    /// The configuration that names the registry
    #[arg(long, value_name = "PATH", default_value = QUICKSTART)]
    config: PathBuf,
}

impl Store {
    /// The registry, and the heads that were noted of it beside the records of calls.
    async fn open(&self) -> anyhow::Result<(Registry, Vec<(i64, Digest)>)> {
        let none = || Wrong(format!("{} has no registry: set `store.registry` in it", self.config.display()));
        let spec = load(&self.config)?.spec;
        let database = spec.registry.ok_or_else(none)?.database;
        let registry = Registry::open(&database, Arc::new(SystemClock), Arc::new(SplitMix::seeded(0)), None);
        let registry = registry.await.context("store.registry cannot be opened")?;
        let anchors = spec.events.folder.map(|folder| Anchors::at(&folder).read()).transpose()?.unwrap_or_default();
        Ok((registry, anchors.into_iter().map(|anchor| (anchor.entry, anchor.hash)).collect()))
    }
}

impl Audit {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Verify { anchor, store } => {
                let given = anchor.as_deref().map(read_anchor).transpose()?;
                let (registry, mut anchors) = store.open().await?;
                anchors.extend(given);
                verify(&registry, &anchors).await
            }
            Self::Export { store } => export(&store.open().await?.0).await,
            Self::Erase { what, by, store } => {
                let erasure = what.erasure()?;
                let count = store.open().await?.0.erase(&by, &erasure).await?;
                print(&format!("the particulars of {count} entries were erased\n"))
            }
        }
    }
}

fn read_anchor(text: &str) -> anyhow::Result<(i64, Digest)> {
    let wrong = || Wrong(format!("`{text}` is no anchor: it has the form NUMBER:HASH, as `audit verify` prints it"));
    let (number, hash) = text.split_once(':').ok_or_else(wrong)?;
    Ok((number.parse().map_err(|_| wrong())?, hash.parse().map_err(|_| wrong())?))
}

async fn verify(registry: &Registry, anchors: &[(i64, Digest)]) -> anyhow::Result<()> {
    let chain = registry.verify_audit(anchors).await?.context("the audit log is not what was written")?;
    let style = Style::stdout();
    print(&format!(
        "{} {} entries, each follows the one before it; {} heads that were noted elsewhere stand in it\nhead: {}:{}\n",
        style.good("ok:"),
        chain.length(),
        anchors.len(),
        chain.length(),
        chain.hash()
    ))
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
