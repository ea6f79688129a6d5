//! Whether a component is signed by whom it should be: ed25519 over its bytes, detached. Pure.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// How long a signature is.
const LENGTH: usize = 64;

/// Verifies what stands in the file of a signature: its 64 bytes, or their base64.
pub(crate) fn verify(component: &[u8], file: &[u8], key: [u8; 32]) -> Result<(), String> {
    let signature = read(file).ok_or("its signature is neither 64 bytes nor their base64: sign it again")?;
    UnparsedPublicKey::new(&ED25519, key).verify(component, &signature).map_err(|_| {
        "its signature is not that of `signed_by` over these bytes: see where both came from, and sign it again"
            .to_owned()
    })
}

fn read(file: &[u8]) -> Option<[u8; LENGTH]> {
    if let Ok(signature) = file.try_into() {
        return Some(signature);
    }
    STANDARD.decode(file.trim_ascii()).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};

    #[test]
    fn only_the_right_signature_over_these_bytes_is_taken() {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let key: [u8; 32] = pair.public_key().as_ref().try_into().unwrap();
        let signature = pair.sign(b"component");
        let raw = signature.as_ref();
        assert_eq!(verify(b"component", raw, key), Ok(()));
        assert_eq!(verify(b"component", format!("{}\n", STANDARD.encode(raw)).as_bytes(), key), Ok(()));
        for (component, file, key) in [
            (&b"componenT"[..], raw, key),
            (b"component", &[0; 64], key),
            (b"component", raw, [1; 32]),
            (b"", raw, key),
        ] {
            assert!(verify(component, file, key).unwrap_err().contains("not that of `signed_by`"));
        }
        for file in [&b""[..], &raw[..63], b"no base64 !", STANDARD.encode([1; 63]).as_bytes()] {
            assert!(verify(b"component", file, key).unwrap_err().contains("64 bytes"));
        }
    }
}
