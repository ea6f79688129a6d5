//! `tidegate events export`: what callers said of calls, beside what was looked up for them then, as a table to train on. Owns
//! reading and writing; which feature stands beside which label is [`asof`](super::asof)'s.

use super::Store;
use super::asof::{Labels, Said};
use crate::cli::{Wrong, print};
use anyhow::{Context as _, ensure};
use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use tidegate_core::RouteName;
use tidegate_storage::Filter;
use tidegate_storage::dataset::{TableForm, write_table};
use tidegate_storage::learning::{Learnt, log_at};
use tidegate_storage::notes::{Note, notes_at};

/// The arguments of `events export`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ExportArguments {
    /// Write what was looked up for each call, too
    #[arg(long, required = true)]
    with_features: bool,
    /// As of when features are: of the call that a label is about, so that none is newer than it
    #[arg(long, value_enum, default_value_t = AsOf::Label)]
    as_of: AsOf,
    /// The file: .parquet, .csv or .jsonl
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Of this route alone
    #[arg(long)]
    route: Option<RouteName>,
    #[command(flatten)]
    store: Store,
}

/// As of when features are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum AsOf {
    /// Of the call that a label is about.
    Label,
}

impl ExportArguments {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let AsOf::Label = self.as_of;
        let form = TableForm::of(&self.out)
            .ok_or_else(|| Wrong(format!("{} is no table: end it in .parquet, .csv or .jsonl", self.out.display())))?;
        ensure!(self.with_features, "nothing else is exported: give --with-features");
        let mut labels = Labels::new(said(&self.store.folder()?)?);
        let beside = beside(&self.out);
        let written = self.write(&mut labels, &beside).and_then(|()| finish(&mut labels, &beside));
        let table = written
            .and_then(|()| write_table(&beside, 0, form, &self.out).map_err(|fault| anyhow::anyhow!(fault.says)));
        // Whatever came of it, the rows are of no use any more; where it cannot be removed, its name says what it is.
        drop(std::fs::remove_file(&beside));
        let unclear = match labels.unclear() {
            0 => String::new(),
            n => format!("; {n} labels or rewards are of calls of several rows, and stand beside none of them"),
        };
        print(&format!("{} rows are in {}{unclear}\n", table?, self.out.display()))
    }

    /// Writes the rows of calls that are known as they are read.
    fn write(&self, labels: &mut Labels, beside: &Path) -> anyhow::Result<()> {
        let filter = Filter { route: self.route.clone(), ..Filter::default() };
        let mut out = BufWriter::new(create(beside)?);
        for event in self.store.open()?.scan(filter)? {
            lines(&mut out, &labels.take(event?))?;
        }
        Ok(out.flush()?)
    }
}

/// Writes the rows that only the end of the records tells.
fn finish(labels: &mut Labels, beside: &Path) -> anyhow::Result<()> {
    let file = File::options().append(true).open(beside);
    let mut out = BufWriter::new(file.with_context(|| format!("{} cannot be opened", beside.display()))?);
    lines(&mut out, &labels.rest())?;
    Ok(out.flush()?)
}

fn lines(out: &mut impl std::io::Write, rows: &[Map<String, Value>]) -> anyhow::Result<()> {
    for row in rows {
        serde_json::to_writer(&mut *out, row)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// Where rows stand until all are known.
fn beside(out: &Path) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(".rows.part");
    out.with_file_name(name)
}

fn create(path: &Path) -> anyhow::Result<File> {
    File::create(path).with_context(|| format!("{} cannot be written", path.display()))
}

/// All that callers said.
fn said(folder: &Path) -> anyhow::Result<Vec<Said>> {
    let mut all = Vec::new();
    notes_at(folder).read(|note| {
        if let Note::Label { name, class } = note.said {
            all.push(Said {
                at: note.at,
                id: note.id,
                episode: note.episode,
                tenant: Some(note.tenant),
                column: format!("label_{name}"),
                value: json!(class),
            });
        }
    })?;
    log_at(folder).read(|learnt| {
        if let Learnt::Feedback(one) = learnt {
            all.push(Said {
                at: one.at,
                id: one.id,
                episode: one.episode,
                tenant: one.tenant,
                column: format!("reward_{}", one.reward),
                value: json!(one.value),
            });
        }
    })?;
    Ok(all)
}
