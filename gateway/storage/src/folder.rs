//! Where the files of a store are. Owns names, listings, the lock and the atomic write; what is in the files is others'.

use crate::StoreFault;
use crate::day::Day;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use tidegate_core::RouteName;
use tidegate_core::digest::Digest;

/// The partition of events without a route, as Hive names it; no route can have this name.
const NO_ROUTE: &str = "__HIVE_DEFAULT_PARTITION__";

/// The folder of one event store.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    root: PathBuf,
}

impl Folder {
    pub(crate) fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Makes the folder with all that belongs in it.
    pub(crate) fn make(&self) -> Result<(), StoreFault> {
        for path in [self.segments(), self.tables(), self.manifests()] {
            fs::create_dir_all(&path).map_err(StoreFault::io("create the folder", &path))?;
        }
        sync_folder(&self.root).map_err(StoreFault::io("sync the folder", &self.root))
    }

    /// Takes the writer's lock; it is held as long as the file is open, and goes with the process.
    pub(crate) fn lock(&self) -> Result<File, StoreFault> {
        let path = self.root.join("lock");
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(StoreFault::io("open the lock", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(StoreFault::InUse { folder: self.root.clone() }),
            Err(TryLockError::Error(source)) => Err(StoreFault::io("lock", &path)(source)),
        }
    }

    pub(crate) fn accepted(&self) -> PathBuf {
        self.root.join("accepted")
    }

    pub(crate) fn segments(&self) -> PathBuf {
        self.root.join("segments")
    }

    pub(crate) fn segment(&self, number: u64) -> PathBuf {
        self.segments().join(format!("{number:010}.log"))
    }

    pub(crate) fn index(&self, number: u64) -> PathBuf {
        self.segments().join(format!("{number:010}.idx"))
    }

    pub(crate) fn tables(&self) -> PathBuf {
        self.root.join("tables")
    }

    pub(crate) fn manifests(&self) -> PathBuf {
        self.root.join("manifests")
    }

    pub(crate) fn manifest(&self, number: u64) -> PathBuf {
        self.manifests().join(format!("{number:010}.json"))
    }

    /// The path of a table relative to the root.
    pub(crate) fn table(day: Day, route: Option<&RouteName>, number: u64) -> String {
        format!("tables/day={day}/route={}/{number:010}.parquet", partition(route))
    }

    /// The folder of a day's tables.
    pub(crate) fn day(&self, day: Day) -> PathBuf {
        self.tables().join(format!("day={day}"))
    }

    /// The days that have tables.
    pub(crate) fn days(&self) -> Result<Vec<Day>, StoreFault> {
        let tables = self.tables();
        let mut days = Vec::new();
        for entry in fs::read_dir(&tables).map_err(StoreFault::io("list", &tables))? {
            let name = entry.map_err(StoreFault::io("list", &tables))?.file_name();
            days.extend(
                name.to_str().and_then(|name| name.strip_prefix("day=")).and_then(|day| day.parse::<Day>().ok()),
            );
        }
        Ok(days)
    }

    /// The numbers of the segments, ascending.
    pub(crate) fn segment_numbers(&self) -> Result<Vec<u64>, StoreFault> {
        numbers(&self.segments(), "log")
    }

    /// The numbers of the manifests, ascending.
    pub(crate) fn manifest_numbers(&self) -> Result<Vec<u64>, StoreFault> {
        numbers(&self.manifests(), "json")
    }
}

fn numbers(folder: &Path, extension: &str) -> Result<Vec<u64>, StoreFault> {
    let entries = fs::read_dir(folder).map_err(StoreFault::io("list", folder))?;
    let mut numbers = Vec::new();
    for entry in entries {
        let path = entry.map_err(StoreFault::io("list", folder))?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        if let Some(number) =
            stem.filter(|_| path.extension().is_some_and(|e| e == extension)).and_then(|s| s.parse().ok())
        {
            numbers.push(number);
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// The route's name as a part of a path: what is no letter, digit or `.-_@` is percent-encoded, and what would be longer
/// than file systems take is cut and made unique by its digest.
fn partition(route: Option<&RouteName>) -> String {
    let Some(route) = route else { return NO_ROUTE.to_owned() };
    let mut out = String::with_capacity(route.as_str().len());
    for byte in route.as_str().bytes() {
        if byte.is_ascii_alphanumeric() || b".-_@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    if out.len() > 200 {
        out.truncate(180);
        out.push('~');
        out.push_str(&Digest::of(route.as_str().as_bytes()).short());
    }
    out
}

/// Writes `bytes` so that `path` holds either what it held or all of them, also after a crash.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), StoreFault> {
    let part = partial(path);
    let written = File::create(&part).and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
    if let Err(source) = written {
        remove_if_there(&part)?;
        return Err(StoreFault::io("write", path)(source));
    }
    publish(&part, path)
}

/// The name under which a file is written before it is published.
pub(crate) fn partial(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

/// Gives a written and synced file its final name, durably.
pub(crate) fn publish(part: &Path, path: &Path) -> Result<(), StoreFault> {
    fs::rename(part, path).map_err(StoreFault::io("rename into place", path))?;
    match path.parent() {
        Some(parent) => sync_folder(parent).map_err(StoreFault::io("sync the folder of", path)),
        None => Ok(()),
    }
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

pub(crate) fn remove_if_there(path: &Path) -> Result<(), StoreFault> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(StoreFault::io("delete", path)(source)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_writer_is_told_who_is_in_the_way() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::at(dir.path());
        folder.make().unwrap();
        let held = folder.lock().unwrap();
        let fault = folder.lock().unwrap_err();
        assert!(matches!(fault, StoreFault::InUse { .. }));
        assert!(fault.to_string().contains("in use by another process"), "{fault}");
        drop(held);
        folder.lock().unwrap();
    }

    #[test]
    fn a_route_becomes_one_part_of_a_path() {
        let name = |text: &str| partition(Some(&text.parse().unwrap()));
        assert_eq!(name("support@production"), "support@production");
        assert_eq!(name("meta-llama/Llama-3:8b"), "meta-llama%2FLlama-3%3A8b");
        assert_eq!(partition(None), NO_ROUTE);
        let (long, other) = (["a"; 64].join("/"), ["a"; 63].join("/"));
        assert!(name(&long).len() < 220 && name(&long) != name(&other));
    }

    #[test]
    fn foreign_files_are_not_listed() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::at(dir.path());
        folder.make().unwrap();
        for name in ["0000000002.log", "0000000010.log", "x.log", "0000000003.idx", "0000000004.log.part", ".log"] {
            fs::write(folder.segments().join(name), "").unwrap();
        }
        assert_eq!(folder.segment_numbers().unwrap(), [2, 10]);
    }
}
