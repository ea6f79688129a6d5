//! `tidegate plugin keygen|sign|verify`: ed25519 signatures beside components. Owns the form of keys and signatures in files:
//! a private key is PKCS#8 in PEM, as OpenSSL writes it, a public one 32 bytes in base64, a signature the base64 of its
//! 64 bytes over the component's, in `COMPONENT.sig`. A gateway that has the public key as `signed_by` takes no other file.

use super::super::{Wrong, print};
use anyhow::Context as _;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";

/// The largest file of each kind that is read.
const MOST_KEY: u64 = 16 << 10;
const MOST_COMPONENT: u64 = 256 << 20;

/// Makes a key, writes it where there is none yet, and prints its public half.
pub(super) fn keygen(file: &Path) -> anyhow::Result<()> {
    let pair = Ed25519KeyPair::generate().map_err(|_| anyhow::anyhow!("no key could be made on this machine"))?;
    let document = pair.to_pkcs8v1().map_err(|_| anyhow::anyhow!("the key has no form as a file"))?;
    let pem = format!("{BEGIN}\n{}\n{END}\n", STANDARD.encode(document.as_ref()));
    let made = || {
        let mut written = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
        written.write_all(pem.as_bytes())?;
        written.sync_all()
    };
    made().map_err(|error| Wrong(format!("{} cannot be written: {error}", file.display())))?;
    print(&format!("signed_by: \"{}\"\n", public(&pair)))
}

/// Signs a component and prints the public half of the key.
pub(super) fn sign(component: &Path, key: &Path) -> anyhow::Result<()> {
    let pair = read_key(key)?;
    let bytes = read(component, MOST_COMPONENT)?;
    let signature = pair.try_sign(&bytes).map_err(|_| anyhow::anyhow!("the key does not sign"))?;
    let beside = beside(component);
    std::fs::write(&beside, format!("{}\n", STANDARD.encode(signature.as_ref())))
        .with_context(|| format!("{} cannot be written", beside.display()))?;
    let digest = tidegate_core::digest::Digest::of(&bytes);
    print(&format!("{}\nsha256: \"{digest}\"\nsigned_by: \"{}\"\n", beside.display(), public(&pair)))
}

/// Looks whether a component has the signature of a key. Ends with an error where it has not.
pub(super) fn verify(component: &Path, key: &str) -> anyhow::Result<()> {
    let key = public_key(key).map_err(Wrong)?;
    let bytes = read(component, MOST_COMPONENT)?;
    let beside = beside(component);
    let signature = read(&beside, MOST_KEY)?;
    let signature = signature_of(&signature).map_err(|says| Wrong(format!("{} {says}", beside.display())))?;
    let is_good = UnparsedPublicKey::new(&ED25519, key).verify(&bytes, &signature).is_ok();
    let shown = component.display();
    anyhow::ensure!(
        is_good,
        "{shown} does not have the signature of this key: another key signed it, or it was changed"
    );
    print(&format!("{shown} is signed by {}\n", STANDARD.encode(key)))
}

/// Where the signature of a component lies.
fn beside(component: &Path) -> PathBuf {
    let mut name = component.as_os_str().to_owned();
    name.push(".sig");
    name.into()
}

fn public(pair: &Ed25519KeyPair) -> String {
    STANDARD.encode(pair.public_key().as_ref())
}

fn public_key(text: &str) -> Result<[u8; 32], String> {
    let decoded = STANDARD.decode(text.trim()).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    decoded.ok_or_else(|| "a public key is the base64 of 32 bytes, as `tidegate plugin keygen` prints it".to_owned())
}

fn signature_of(text: &[u8]) -> Result<[u8; 64], String> {
    let decoded = STANDARD.decode(text.trim_ascii()).ok().and_then(|bytes| <[u8; 64]>::try_from(bytes).ok());
    decoded
        .ok_or_else(|| "is no signature: it is the base64 of 64 bytes, as `tidegate plugin sign` writes it".to_owned())
}

/// A private key that nobody else may read.
fn read_key(file: &Path) -> anyhow::Result<Ed25519KeyPair> {
    let shown = file.display();
    let text = read(file, MOST_KEY)?;
    let mode = std::fs::metadata(file)
        .map_err(|error| Wrong(format!("{shown} cannot be read: {error}")))?
        .permissions()
        .mode();
    if mode & 0o077 != 0 {
        return Err(Wrong(format!("others may read {shown}: `chmod 600 {shown}` first, or make a new key")).into());
    }
    let not = || Wrong(format!("{shown} is no ed25519 key in PKCS#8 (PEM), as `tidegate plugin keygen` makes it"));
    let text = std::str::from_utf8(&text).map_err(|_| not())?;
    let inner = text.trim().strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END)).ok_or_else(not)?;
    let inner: String = inner.split_whitespace().collect();
    let document = STANDARD.decode(inner).map_err(|_| not())?;
    Ok(Ed25519KeyPair::from_pkcs8(&document).map_err(|_| not())?)
}

fn read(path: &Path, most: u64) -> anyhow::Result<Vec<u8>> {
    let absent = |error| Wrong(format!("{} cannot be read: {error}", path.display()));
    let mut bytes = Vec::new();
    std::fs::File::open(path).map_err(absent)?.take(most + 1).read_to_end(&mut bytes).map_err(absent)?;
    if bytes.len() as u64 > most {
        return Err(Wrong(format!("{} has more than {most} bytes", path.display())).into());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_signed_is_verified_and_what_was_changed_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (component, key) = (folder.path().join("x.wasm"), folder.path().join("key.pem"));
        std::fs::write(&component, b"\0asm").unwrap();
        keygen(&key).unwrap();
        assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(keygen(&key).is_err(), "a key was written over");
        sign(&component, &key).unwrap();
        let ours = public(&read_key(&key).unwrap());
        verify(&component, &ours).unwrap();
        let other = STANDARD.encode([7; 32]);
        assert!(verify(&component, &other).is_err());
        std::fs::write(&component, b"\0asM").unwrap();
        assert!(verify(&component, &ours).unwrap_err().to_string().contains("changed"));
        std::fs::write(beside(&component), "no signature").unwrap();
        assert!(verify(&component, &ours).unwrap_err().downcast_ref::<Wrong>().is_some());
    }

    #[test]
    fn keys_are_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key.pem");
        keygen(&key).unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(read_key(&key).unwrap_err().to_string().contains("chmod 600"));
        for text in
            ["", "-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
        {
            std::fs::write(&key, text).unwrap();
            std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
            assert!(read_key(&key).unwrap_err().to_string().contains("PKCS#8"), "{text}");
        }
        for text in ["", "AAAA", "?", &"A".repeat(64)] {
            assert!(public_key(text).is_err(), "{text}");
        }
    }

    /// A key that OpenSSL made (`openssl genpkey -algorithm ed25519`), and what it derives from it.
    #[test]
    fn keys_of_openssl_are_taken() {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key.pem");
        std::fs::write(&key, "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n").unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
        // The first vector of RFC 8032, 7.1: this seed and this public key belong together.
        let hex: String =
            read_key(&key).unwrap().public_key().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    }
}
