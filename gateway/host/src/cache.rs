//! Compiled code on disk: a file for each component and engine, which only this program can have written. Owns its names, its
//! form and the digest over it, keyed by a secret beside it; a file that is damaged, of another engine or another's is as
//! good as none. What code does when it is loaded is `precompiled`'s.
//!
//! The digest is BLAKE3 in its keyed form: a start reads a megabyte of code for each plugin, and an HMAC of SHA-256 over it
//! would take half of the millisecond that a start may take.

use sha2::{Digest as _, Sha256};
use std::hash::{Hash as _, Hasher};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use tidegate_core::digest::Digest;
use wasmtime::Engine;

/// How a file begins.
const MAGIC: &[u8; 8] = b"tgcode2\n";
const TAG: usize = blake3::OUT_LEN;
/// The largest file that is read.
const MOST: u64 = 512 << 20;
/// The secret's name in the folder.
const SECRET: &str = "key";

/// An engine as its code knows it: another processor, version or setting is another one. Made once for each engine, since
/// its flags are many.
#[derive(Debug)]
pub(crate) struct EngineId(Digest);

impl EngineId {
    pub(crate) fn of(engine: &Engine) -> Self {
        let mut hasher = Sha(Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Self(Digest::from_bytes(hasher.0.finalize().into()))
    }
}

/// A folder of compiled code.
#[derive(Debug)]
pub struct Cache {
    folder: PathBuf,
    secret: Secret,
}

struct Secret([u8; 32]);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Key {
    /// That of a component for an engine.
    pub(crate) fn of(engine: &EngineId, component: &Digest) -> Self {
        Self(format!("{component}-{}", engine.0.short()))
    }
}

/// A file whose digest was right.
pub(crate) struct Found {
    bytes: Vec<u8>,
    /// Where the code begins: a megabyte is not moved for the sake of what stands before it.
    code: usize,
}

impl Found {
    /// The code.
    pub(crate) fn code(&self) -> &[u8] {
        self.bytes.get(self.code..).unwrap_or_default()
    }
}

/// What a file is of: a component and an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key(String);

impl Cache {
    /// The cache in this folder, which is made where there is none, as is its secret. Only this user may look into either.
    ///
    /// # Errors
    /// The folder cannot be used.
    pub fn open(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        close(folder, 0o700)?;
        let path = folder.join(SECRET);
        if !path.exists() {
            let mut secret = [0; 32];
            getrandom::fill(&mut secret).map_err(|error| io::Error::other(error.to_string()))?;
            // Who is a moment later than another process takes what that one made.
            match write_new(&path, &secret) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                done => done?,
            }
        }
        let secret: [u8; 32] = std::fs::read(&path)?.try_into().map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{} is no key: delete it", path.display()))
        })?;
        Ok(Self { folder: folder.to_owned(), secret: Secret(secret) })
    }

    /// The code that is kept under a key, if its file is whole.
    pub(crate) fn find(&self, key: &Key) -> Option<Found> {
        let path = self.path(key);
        let file = std::fs::File::open(&path).ok()?;
        let length = file.metadata().ok()?.len().min(MOST);
        let mut bytes = Vec::with_capacity(usize::try_from(length).ok()?.saturating_add(1));
        let read = file.take(MOST).read_to_end(&mut bytes);
        let whole = read.is_ok().then(|| self.opened(key, &bytes)).flatten();
        if whole.is_none() {
            tracing::warn!(path = %path.display(), "compiled code is damaged or not ours: it is compiled anew");
        }
        Some(Found { code: whole?, bytes })
    }

    /// Where the code begins in a file of this key, if its digest is right.
    fn opened(&self, key: &Key, bytes: &[u8]) -> Option<usize> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let (tag, code) = rest.split_at_checked(TAG)?;
        // Compared in constant time.
        let is_ours = self.mac(key, code) == blake3::Hash::from_slice(tag).ok()?;
        is_ours.then_some(MAGIC.len() + TAG)
    }

    /// Keeps code. That it cannot is logged: the next start compiles again.
    pub(crate) fn keep(&self, key: &Key, code: &[u8]) {
        if let Err(error) = self.write(key, code) {
            let folder = self.folder.display();
            tracing::warn!(%folder, "compiled code cannot be kept, so that the next start takes longer: {error}");
        }
    }

    fn write(&self, key: &Key, code: &[u8]) -> io::Result<()> {
        let mut file = Vec::with_capacity(MAGIC.len() + TAG + code.len());
        file.extend_from_slice(MAGIC);
        file.extend_from_slice(self.mac(key, code).as_bytes());
        file.extend_from_slice(code);
        // Whole or not there, also where two processes write at once.
        let part = self.folder.join(format!("{}.{}.part", key.0, std::process::id()));
        match std::fs::remove_file(&part) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        write_new(&part, &file)?;
        std::fs::rename(&part, self.path(key))
    }

    fn mac(&self, key: &Key, code: &[u8]) -> blake3::Hash {
        let mut mac = blake3::Hasher::new_keyed(&self.secret.0);
        mac.update(key.0.as_bytes()).update(&[0]).update(code);
        mac.finalize()
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.folder.join(format!("{}.code", key.0))
    }
}

/// Writes a file that was not there, for this user alone.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(bytes)
}

#[cfg(unix)]
fn close(path: &Path, mode: u32) -> io::Result<()> {
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode))
}

#[cfg(not(unix))]
fn close(_: &Path, _: u32) -> io::Result<()> {
    Ok(())
}

/// SHA-256 as what `Hash` writes to, so that the digest is the same in each process.
struct Sha(Sha256);

impl Hasher for Sha {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Nobody asks for this form.
    fn finish(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        Key(text.to_owned())
    }

    #[test]
    fn code_is_found_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        let found = |name: &str| cache.find(&key(name)).map(|found| found.code().to_vec());
        assert_eq!(found("a"), None);
        cache.keep(&key("a"), b"code");
        cache.keep(&key("a"), b"newer code");
        assert_eq!(found("a").as_deref(), Some(&b"newer code"[..]));
        let path = cache.path(&key("a"));
        let whole = std::fs::read(&path).unwrap();
        // Under another name, cut short at each byte, and with each byte changed.
        std::fs::write(cache.path(&key("b")), &whole).unwrap();
        assert_eq!(found("b"), None);
        for at in 0..whole.len() {
            std::fs::write(&path, &whole[..at]).unwrap();
            assert_eq!(found("a"), None, "cut at {at}");
            let mut changed = whole.clone();
            changed[at] ^= 1;
            std::fs::write(&path, &changed).unwrap();
            assert_eq!(found("a"), None, "changed at {at}");
        }
        std::fs::write(&path, &whole).unwrap();
        assert!(Cache::open(folder.path()).unwrap().find(&key("a")).is_some());
    }

    #[test]
    fn another_folders_code_is_not_ours() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [one, other] = folders.each_ref().map(|folder| Cache::open(folder.path()).unwrap());
        one.keep(&key("a"), b"code");
        std::fs::copy(one.path(&key("a")), other.path(&key("a"))).unwrap();
        assert!(other.find(&key("a")).is_none());
    }

    #[test]
    fn the_secret_is_this_users() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(&folder.path().join("code")).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&cache.folder), mode(&cache.folder.join(SECRET))), (0o700, 0o600));
        assert!(!format!("{cache:?}").contains("["));
        std::fs::write(cache.folder.join(SECRET), b"short").unwrap();
        assert!(Cache::open(&cache.folder).unwrap_err().to_string().contains("delete it"));
    }

    #[test]
    fn engines_of_other_settings_have_other_keys() {
        let component = Digest::of(b"x");
        let mut config = wasmtime::Config::new();
        config.epoch_interruption(true);
        let other = Engine::new(&config).unwrap();
        let key = |engine: &Engine, component: &Digest| Key::of(&EngineId::of(engine), component);
        let plain = || key(&Engine::default(), &component);
        assert_eq!(plain(), plain());
        assert_ne!(plain(), key(&other, &component));
        assert_ne!(plain(), key(&Engine::default(), &Digest::of(b"y")));
    }
}
