//! What was fetched and stays: components named by their digests, with their signatures beside them. Owns the folder, and
//! that what has a name there is whole; what is read is digested each time, so nobody who writes there can do harm.

use super::{Parcel, SIGNATURE_BYTES, signature};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use tidegate_core::digest::Digest;
use tidegate_core::spec::PluginSpec;

/// The folder of components.
#[derive(Debug)]
pub(super) struct Kept {
    folder: PathBuf,
}

impl Kept {
    /// The one that the environment names.
    pub(super) fn from(env: &dyn Fn(&str) -> Option<OsString>) -> Option<Self> {
        let base = env("XDG_CACHE_HOME").map(PathBuf::from);
        let base = base.or_else(|| Some(PathBuf::from(env("HOME")?).join(".cache")))?;
        Some(Self { folder: base.join("tidegate").join("components") })
    }

    /// Where the component with this digest lies, if it does.
    pub(super) fn path(&self, sha256: Digest) -> PathBuf {
        self.folder.join(format!("{sha256}.wasm"))
    }

    /// Whether it is there whole, with the signature of this key where one is asked.
    pub(super) fn has(&self, sha256: Digest, signed_by: Option<[u8; 32]>, most: usize) -> bool {
        let path = self.path(sha256);
        let Ok(component) = read(&path, most) else { return false };
        let is_signed = |key| {
            let file = read(&PluginSpec::signature_of(&path), SIGNATURE_BYTES);
            file.is_ok_and(|file| signature::verify(&component, &file, key).is_ok())
        };
        Digest::of(&component) == sha256 && signed_by.is_none_or(is_signed)
    }

    /// Keeps a component and its signature, in the place of what lay there.
    pub(super) fn put(&self, sha256: Digest, parcel: &Parcel) -> Result<(), String> {
        let path = self.path(sha256);
        let put = || {
            fs::create_dir_all(&self.folder)?;
            if let Some(signature) = &parcel.signature {
                write_whole(&PluginSpec::signature_of(&path), signature)?;
            }
            write_whole(&path, &parcel.component)
        };
        put().map_err(|why| format!("what was fetched cannot be kept in {}: {why}", self.folder.display()))
    }
}

/// A new file beside this one, which nobody else writes.
fn begun(path: &Path) -> io::Result<(File, PathBuf)> {
    for nth in 0..=u16::MAX {
        let mut beside = path.as_os_str().to_owned();
        beside.push(format!(".{}-{nth}.part", std::process::id()));
        match File::create_new(&beside) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.map(|file| (file, beside.into())),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Writes a file that is whole or not there. Others may do the same at this moment, so the beginning has a name of its own.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (mut file, beside) = begun(path)?;
    let mut written = || {
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    let done = written();
    if done.is_err() {
        fs::remove_file(&beside).unwrap_or_default();
    }
    done
}

/// A file of so many bytes at most.
fn read(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > most { Err(io::Error::other("it is too large")) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_follows_the_environment() {
        let with = |set: &'static [(&str, &str)]| {
            let env =
                move |name: &str| set.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(*value));
            Kept::from(&env).map(|kept| kept.folder)
        };
        assert_eq!(with(&[("XDG_CACHE_HOME", "/x"), ("HOME", "/h")]).unwrap(), PathBuf::from("/x/tidegate/components"));
        assert_eq!(with(&[("HOME", "/h")]).unwrap(), PathBuf::from("/h/.cache/tidegate/components"));
        assert!(with(&[]).is_none());
    }

    #[test]
    fn what_was_changed_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept { folder: folder.path().join("a") };
        let sha256 = Digest::of(b"component");
        assert!(!kept.has(sha256, None, 1 << 20));
        kept.put(sha256, &Parcel { component: b"component".to_vec(), signature: Some(b"s".to_vec()) }).unwrap();
        assert!(kept.has(sha256, None, 1 << 20));
        // The signature that lies there is none.
        assert!(!kept.has(sha256, Some([7; 32]), 1 << 20));
        fs::write(kept.path(sha256), b"componenT").unwrap();
        assert!(!kept.has(sha256, None, 1 << 20));
        let names: Vec<_> = fs::read_dir(&kept.folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names.len(), 2, "{names:?}");
        fs::write(folder.path().join("file"), b"").unwrap();
        let none = Kept { folder: folder.path().join("file") };
        assert!(
            none.put(sha256, &Parcel { component: Vec::new(), signature: None }).unwrap_err().contains("be kept in")
        );
    }
}
