//! A component sent to a registry of containers: its layer, its configuration, then the manifest that names both, so that
//! nobody ever finds a manifest without what it names.

use super::asker::{Asked, next};
use super::registry::Registry;
use super::{ANY, Parcel, manifest};
use bytes::Bytes;
use http::{Method, StatusCode};
use tidegate_core::OciPick;
use tidegate_core::digest::Digest;

/// Answers to what is sent say nothing that is read.
const ANSWER_BYTES: usize = 64 << 10;

/// Sends it; the digest of the manifest comes back.
pub(super) async fn push(registry: &mut Registry<'_>, parcel: Parcel) -> Result<Digest, String> {
    let tag = match &registry.reference().pick {
        OciPick::Tag(tag) => tag.clone(),
        OciPick::Digest(_) => return Err("a component is sent under a tag; its digest follows from it".to_owned()),
    };
    let (config, manifest) = manifest::made(&parcel);
    let digest = Digest::of(&manifest);
    blob(registry, parcel.component.into()).await?;
    blob(registry, config.into()).await?;
    let uri = registry.address(&format!("manifests/{tag}"))?;
    let asked = Asked {
        method: Method::PUT,
        uri,
        accept: ANY,
        body: Some((manifest::MANIFEST, manifest.into())),
        most: ANSWER_BYTES,
    };
    let answer = registry.send(asked).await?;
    registry.expect(&answer, &[StatusCode::CREATED])?;
    Ok(digest)
}

/// Sends bytes under their digest, in one piece.
async fn blob(registry: &mut Registry<'_>, bytes: Bytes) -> Result<(), String> {
    let digest = Digest::of(&bytes);
    let post = Asked {
        method: Method::POST,
        uri: registry.address("blobs/uploads/")?,
        accept: ANY,
        body: None,
        most: ANSWER_BYTES,
    };
    let begun = registry.send(post).await?;
    registry.expect(&begun, &[StatusCode::ACCEPTED])?;
    let there = next(&begun.uri, &begun.headers)?;
    let between = if there.query().is_some() { '&' } else { '?' };
    let uri = format!("{there}{between}digest=sha256:{digest}");
    let uri = uri.parse().map_err(|e| format!("the registry names no address to send to: {e}"))?;
    let put = Asked {
        method: Method::PUT,
        uri,
        accept: ANY,
        body: Some(("application/octet-stream", bytes)),
        most: ANSWER_BYTES,
    };
    let done = registry.send(put).await?;
    registry.expect(&done, &[StatusCode::CREATED])
}
