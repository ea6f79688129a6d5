//! The key file: a list of records, read with every fault and rewritten whole. Owns its form; who makes and revokes keys
//! is the program's business.

mod moment;

use crate::place::Place;
use crate::report::{Notes, Report};
use crate::scalar::{At, Text};
use crate::shape::{Map, Read as _, choice, record};
use crate::source::Sources;
use crate::suggest::nearest;
use crate::tree::{self, Kind, Node};
use moment::Moment;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use tidegate_core::digest::Digest;
use tidegate_core::{KeyId, KeyRecord, Principal, Role, RouteName, Tenant};

record! {
    /// A key as it stands in the file.
    KeyFile {
        required {
            /// The public part.
            id: At<KeyId>,
            /// SHA-256 of the secret.
            sha256: At<Digest>,
            /// Who.
            principal: At<Principal>,
            /// For whom.
            tenant: At<Tenant>,
            /// May what.
            roles: Vec<RoleFile>,
        }
        optional {
            /// The routes that it may call; all by default.
            routes: Vec<At<RouteName>>,
            /// From when on it is void, as `2027-01-31T00:00:00Z`.
            expires: At<Moment>,
            /// Free notes.
            tags: Map<At<Text>>,
        }
    }
}

choice! {
    /// What a principal may do.
    RoleFile {
        words {
            /// Call routes and list them.
            Infer = "infer",
            /// Send feedback.
            Feedback = "feedback",
            /// Read configuration, records and the registry.
            Read = "read",
            /// Change the registry and prompts.
            Write = "write",
            /// Approve what governance holds back.
            Approve = "approve",
            /// All of the admin interface.
            Admin = "admin",
        }
    }
}

impl From<RoleFile> for Role {
    fn from(role: RoleFile) -> Self {
        match role {
            RoleFile::Infer => Self::Infer,
            RoleFile::Feedback => Self::Feedback,
            RoleFile::Read => Self::Read,
            RoleFile::Write => Self::Write,
            RoleFile::Approve => Self::Approve,
            RoleFile::Admin => Self::Admin,
        }
    }
}

/// Reads a key file.
///
/// # Errors
/// All its faults.
pub fn read(path: &Path) -> Result<Vec<KeyRecord>, Report> {
    let (mut sources, mut notes) = (Sources::default(), Notes::default());
    let source = sources.read(path.to_owned(), &mut notes);
    checked(source, &sources, notes)
}

/// Reads the text of a key file; `origin` is what faults call it.
///
/// # Errors
/// All its faults.
pub fn parse(text: &str, origin: &Path) -> Result<Vec<KeyRecord>, Report> {
    checked(Some(0), &Sources::of(origin, text), Notes::default())
}

fn checked(source: Option<usize>, sources: &Sources, mut notes: Notes) -> Result<Vec<KeyRecord>, Report> {
    let tree = source.map(|source| tree::parse(source, sources.text(source), &mut notes));
    let keys = tree.map(|tree| check(&tree, None, &mut notes)).unwrap_or_default();
    if notes.has_faults() { Err(notes.settle(sources).0) } else { Ok(keys) }
}

/// The keys of a tree. `routes` are those there are, where that is known.
pub(crate) fn check(tree: &Node, routes: Option<&[&str]>, notes: &mut Notes) -> Vec<KeyRecord> {
    if matches!(tree.kind, Kind::Null) {
        return Vec::new();
    }
    let raw: Vec<KeyFile> = Vec::read(tree, notes).unwrap_or_default();
    let (mut ids, mut digests) = (HashMap::new(), HashMap::new());
    let mut keys = Vec::new();
    for raw in raw {
        if let Some(id) = &raw.id {
            once(&mut ids, id.value.clone(), &id.at, "this id", notes);
        }
        if let Some(sha256) = &raw.sha256 {
            once(&mut digests, sha256.value, &sha256.at, "this secret", notes);
        }
        for route in raw.routes.iter().flatten() {
            let unknown = routes.filter(|routes| !routes.contains(&route.value.as_str()));
            if let Some(routes) = unknown {
                let note = notes.warn(&route.at, format!("there is no route `{}`", route.value));
                note.meant(nearest(route.value.as_str(), routes.iter().copied()), || {
                    "add the route, or take it from this key".to_owned()
                });
            }
        }
        keys.extend(key_record(raw, notes));
    }
    keys
}

fn once<K: Eq + std::hash::Hash>(seen: &mut HashMap<K, usize>, key: K, at: &Place, what: &str, notes: &mut Notes) {
    if let Some(line) = seen.insert(key, at.line) {
        notes
            .fault(at, format!("{what} is in line {line} already"))
            .remedy("each key has its own; leave one of them out");
    }
}

fn key_record(raw: KeyFile, notes: &mut Notes) -> Option<KeyRecord> {
    let tags = raw.tags.unwrap_or_default().0.into_iter().filter_map(|item| Some((item.name, item.value?.value.0)));
    let routes = raw.routes.map(|routes| routes.into_iter().map(|route| route.value).collect::<BTreeSet<_>>());
    let roles = raw.roles?.into_iter().map(Role::from).collect::<BTreeSet<_>>();
    let id = raw.id?;
    if roles.is_empty() {
        notes.warn(&id.at, "this key has no role: it may do nothing").remedy("add `roles: [infer]`");
    }
    Some(KeyRecord {
        digest: raw.sha256?.value,
        principal: raw.principal?.value,
        tenant: raw.tenant?.value,
        roles,
        routes: routes.filter(|routes| !routes.is_empty()),
        expires: raw.expires.map(|moment| moment.value.0),
        tags: tags.collect::<BTreeMap<_, _>>(),
        id: id.value,
    })
}

/// Why a key file could not be changed. It is then as it was.
#[derive(Debug)]
pub enum ChangeFault {
    /// It is malformed.
    Malformed(Report),
    /// The system refused.
    System {
        /// Of which file.
        path: PathBuf,
        /// Why.
        why: io::Error,
    },
}

impl std::fmt::Display for ChangeFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Malformed(report) => write!(f, "{report}"),
            Self::System { path, why } => write!(f, "cannot change {}: {why}", path.display()),
        }
    }
}

impl std::error::Error for ChangeFault {}

/// Changes a key file, which need not be there yet. Of changes at once, by whatever process, one comes after the other,
/// each upon what the one before it wrote. Where `change` says that it changed nothing, nothing is written; tells which.
///
/// # Errors
/// The file is malformed, or cannot be locked or written.
pub fn change(path: &Path, change: impl FnOnce(&mut Vec<KeyRecord>) -> bool) -> Result<bool, ChangeFault> {
    let system = |path: &Path| {
        let path = path.to_owned();
        move |why| ChangeFault::System { path, why }
    };
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".lock");
    let beside = path.with_file_name(name);
    let lock = OpenOptions::new().write(true).create(true).truncate(false).open(&beside).map_err(system(&beside))?;
    lock.lock().map_err(system(&beside))?;
    let mut records = if path.exists() { read(path).map_err(ChangeFault::Malformed)? } else { Vec::new() };
    let changed = change(&mut records);
    if changed {
        write(path, &records).map_err(system(path))?;
    }
    Ok(changed)
}

/// Writes a key file: it is whole or not there, kept when this returns, and for its owner's eyes only.
///
/// # Errors
/// What the system says; the old file is then as it was.
pub fn write(path: &Path, keys: &[KeyRecord]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().ok_or_else(|| io::Error::other("the path names no file"))?);
    name.push(format!(".{}.new", std::process::id()));
    let fresh = folder.join(name);
    let written = write_fresh(&fresh, &shown(keys)).and_then(|()| fs::rename(&fresh, path));
    if let Err(fault) = written {
        // What failed is the news; a left-over beside it is not.
        drop(fs::remove_file(&fresh));
        return Err(fault);
    }
    File::open(folder)?.sync_all()
}

fn write_fresh(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// The text of a key file.
fn shown(keys: &[KeyRecord]) -> String {
    let mut text =
        String::from("# Keys, by the digests of their secrets. Written by `tidegate key`; comments do not last.\n");
    if keys.is_empty() {
        text.push_str("[]\n");
    }
    for key in keys {
        let KeyRecord { id, digest, principal, tenant, roles, routes, expires, tags } = key;
        let roles: Vec<String> = roles.iter().map(|role| format!("{role:?}").to_lowercase()).collect();
        let mut line =
            |start: &str, name: &str, value: String| writeln!(text, "{start} {name}: {value}").unwrap_or_default();
        line("-", "id", quoted(id.as_str()));
        line(" ", "sha256", quoted(&digest.to_string()));
        line(" ", "principal", quoted(principal.as_str()));
        line(" ", "tenant", quoted(tenant.as_str()));
        line(" ", "roles", format!("[{}]", roles.join(", ")));
        if let Some(routes) = routes {
            let routes: Vec<String> = routes.iter().map(|route| quoted(route.as_str())).collect();
            line(" ", "routes", format!("[{}]", routes.join(", ")));
        }
        if let Some(expires) = expires {
            line(" ", "expires", quoted(&Moment(*expires).to_string()));
        }
        if !tags.is_empty() {
            let tags: Vec<String> =
                tags.iter().map(|(name, value)| format!("{}: {}", quoted(name), quoted(value))).collect();
            line(" ", "tags", format!("{{{}}}", tags.join(", ")));
        }
    }
    text
}

/// A text in double quotes, all but plain ASCII escaped: what YAML would fold or refuse cannot stand in it.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            c => write!(out, "\\U{:08X}", u32::from(c)).unwrap_or_default(),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests;
