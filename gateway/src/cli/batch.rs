//! `tidegate batch`: a table sent to a route of classic models, call by call, and its answers as a table. Owns the order of the
//! work; rows and tensors are `rows`', the calls `asking`'s, and what is done already `part`'s.

mod asking;
mod part;
mod rows;

use super::{Wrong, print};
use crate::terminal::counted;
use anyhow::{Context as _, bail, ensure};
use asking::Asking;
use clap::Args;
use futures_util::StreamExt as _;
use part::Part;
use rows::Chunk;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tidegate_core::Secret;
use tidegate_core::port::table::Table;
use tidegate_storage::dataset::{TableForm, write_table};
use tokio::sync::mpsc;

/// The arguments of `batch`.
#[derive(Debug, Args)]
#[command(after_help = "\
Tables are CSV, JSON lines or Parquet; what comes in is told by its beginning, what goes out by its name. The columns go to
the model by their names, and stand in the output with what the model gives behind them; what a row is refused for stands
in its column `error`. What is done stands in OUT.part until all is: the same command goes on from there. Calls go the
way of all calls, so the route's policy, limits, monitors and records have them.

Examples:
  tidegate batch --route fraud --in january.parquet --out scores.parquet --leave customer_id
  tidegate batch --route iris --in flowers.csv --out classes.jsonl --by-position --parallel 8")]
pub(super) struct Batch {
    /// The route, of classic models
    #[arg(long)]
    route: String,
    /// The table
    #[arg(long = "in", value_name = "FILE")]
    input: PathBuf,
    /// Where its answers go: .csv, .jsonl or .parquet
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// A column that the model does not get, such as an id or a label. Again for each
    #[arg(long, value_name = "COLUMN")]
    leave: Vec<String>,
    /// Send the columns as rows of numbers in the order of the file, whatever they are called
    #[arg(long)]
    by_position: bool,
    /// Rows of a call
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    rows: u32,
    /// Calls at once
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=256))]
    parallel: u32,
    /// Write over a file that is there
    #[arg(long)]
    force: bool,
    /// Where the gateway listens
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: String,
    /// The key to call with; better given by TIDEGATE_API_KEY, as others can see a program's arguments
    #[arg(long)]
    key: Option<String>,
}

impl Batch {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let out = &self.out;
        let form = TableForm::of(out)
            .ok_or_else(|| Wrong(format!("{} is to be what? let it end in .csv, .jsonl or .parquet", out.display())))?;
        if out.exists() && !self.force {
            return Err(Wrong(format!("{} is there already: give --force to write over it", out.display())).into());
        }
        let table =
            tidegate_storage::dataset::open(&self.input, &[]).map_err(|fault| Wrong(fault.says.into_owned()))?;
        if let Some(unknown) = self.leave.iter().find(|name| !table.columns().contains(name)) {
            let all = table.columns().join(", ");
            return Err(Wrong(format!("there is no column `{unknown}` to leave: there are {all}")).into());
        }
        let total = rows::count(&*table)?;
        ensure!(total > 0, "{} has no rows", self.input.display());
        let from_environment = || std::env::var("TIDEGATE_API_KEY").ok().filter(|key| !key.is_empty());
        let key = self.key.clone().or_else(from_environment).map(Secret::new);
        let asking = Asking::open(&self.url, key, &self.route, self.by_position, &self.leave).await?;
        let whole = out.with_extension(format!("{}.part", out.extension().unwrap_or_default().to_string_lossy()));
        let part = Part::open(&whole, &self.heading(&*table)?)?;
        let refused = self.work(table, asking, part, total).await?;
        let made = beside(out);
        let rows = write_table(&whole, 1, form, &made).map_err(|fault| anyhow::anyhow!("{}", fault.says))?;
        ensure!(rows == total, "{} has {rows} rows, and {total} were asked about", whole.display());
        std::fs::rename(&made, out).with_context(|| format!("{} cannot be written", out.display()))?;
        std::fs::remove_file(&whole).with_context(|| format!("{} cannot be removed", whole.display()))?;
        let refused =
            if refused > 0 { format!(", of which {refused} were refused (column `error`)") } else { String::new() };
        print(&format!("{rows} rows{refused}: {}\n", out.display()))
    }

    /// What a part that was done must be of, so that the rest is done behind it.
    fn heading(&self, table: &dyn Table) -> anyhow::Result<serde_json::Value> {
        let sha256 = part::digest(&self.input)?;
        Ok(json!({"batch": {
            "route": self.route, "sha256": sha256, "columns": table.columns(), "leave": self.leave,
            "by_position": self.by_position,
        }}))
    }

    /// Asks about the rows that are not done; how many rows were refused in all.
    async fn work(&self, table: Box<dyn Table>, asking: Asking, mut part: Part, total: u64) -> anyhow::Result<u64> {
        let mut meter = counted(&format!("asking {}", self.route), total);
        let (send, receive) = mpsc::channel(2 * self.parallel as usize);
        let (size, done) = (self.rows as usize, part.rows);
        // Reading blocks, and ends when nobody takes any more.
        let reading = tokio::task::spawn_blocking(move || rows::read(&*table, size, done, &send));
        let asking = Arc::new(asking);
        let chunks = futures_util::stream::unfold(receive, |mut receive| async {
            receive.recv().await.map(|chunk: Chunk| (chunk, receive))
        });
        let mut answered = Box::pin(
            chunks
                .map(|chunk| {
                    let asking = Arc::clone(&asking);
                    async move { asking.answer(chunk).await }
                })
                .buffered(self.parallel as usize),
        );
        while let Some(rows) = answered.next().await {
            let rows = rows?;
            if part.rows == 0
                && let Some(why) = rows::all_refused(&rows)
            {
                bail!("each of the first {} rows is refused: {why}", rows.len());
            }
            part.append(&rows)?;
            meter.at(part.rows);
        }
        reading.await.context("reading was cut short")??;
        Ok(part.refused)
    }
}

/// Where a file is written before it gets its name.
fn beside(out: &Path) -> PathBuf {
    out.with_extension(format!("{}.new", out.extension().unwrap_or_default().to_string_lossy()))
}
