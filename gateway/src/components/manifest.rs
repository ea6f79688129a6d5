//! Manifests of components in registries of containers, in the form that `wkg` and other tools for WebAssembly share: a
//! configuration of `application/vnd.wasm.config.v0+json` and one layer of `application/wasm`. Pure.

use super::Parcel;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tidegate_core::digest::Digest;

/// The kind of a manifest.
pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The kind of a component's configuration.
pub(super) const CONFIG: &str = "application/vnd.wasm.config.v0+json";
/// The kind of a component.
pub(super) const LAYER: &str = "application/wasm";
/// Where the layer has the base64 of its signature.
const SIGNATURE: &str = "io.github.tidegate.signature.ed25519";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ManifestFile {
    #[serde(default)]
    layers: Vec<LayerFile>,
    /// An index has these in the place of layers.
    #[serde(default)]
    manifests: Vec<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LayerFile {
    media_type: String,
    digest: String,
    size: u64,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// The layer that is the component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layer {
    /// What it digests to.
    pub(super) digest: Digest,
    /// How long it is.
    pub(super) size: u64,
    /// The signature that is noted there.
    pub(super) signature: Option<Vec<u8>>,
}

impl Layer {
    /// The component of a manifest: the one that is pinned, or the only one.
    pub(super) fn of(manifest: &[u8], pinned: Option<Digest>) -> Result<Self, String> {
        let file: ManifestFile =
            serde_json::from_slice(manifest).map_err(|e| format!("its manifest cannot be read: {e}"))?;
        if !file.manifests.is_empty() {
            return Err("it is an index of several things: name the one that is the component".to_owned());
        }
        let mut found = Vec::new();
        for layer in file.layers.into_iter().filter(|layer| layer.media_type == LAYER) {
            let digest = layer.digest.strip_prefix("sha256:").and_then(|hex| hex.parse().ok());
            let digest = digest.ok_or_else(|| format!("its layer has no sha256, but {:?}", layer.digest))?;
            let signature = layer.annotations.get(SIGNATURE).map(|text| text.clone().into_bytes());
            found.push(Self { digest, size: layer.size, signature });
        }
        match (pinned, found.as_slice()) {
            (_, []) => Err(format!("it is no component: none of its layers is `{LAYER}`")),
            (Some(pinned), layers) => {
                let layer = layers.iter().find(|layer| layer.digest == pinned).cloned();
                layer
                    .ok_or_else(|| format!("its component has the sha256 {}, and {pinned} is pinned", layers[0].digest))
            }
            (None, [layer]) => Ok(layer.clone()),
            (None, layers) => Err(format!("it has {} components, of which nobody knows which is meant", layers.len())),
        }
    }
}

/// The configuration and the manifest of a component. Nothing of the time is in them: what is the same has the same digest.
pub(super) fn made(parcel: &Parcel) -> (Vec<u8>, Vec<u8>) {
    let digest = |bytes: &[u8]| format!("sha256:{}", Digest::of(bytes));
    let layer = digest(&parcel.component);
    let config = json!({
        "created": "1970-01-01T00:00:00Z", "architecture": "wasm", "os": "wasip2", "layerDigests": [layer],
    });
    let config = config.to_string().into_bytes();
    let mut described = json!({"mediaType": LAYER, "digest": layer, "size": parcel.component.len()});
    if let Some(signature) = &parcel.signature {
        // The file of a signature is its bytes or their base64; a note is a text.
        let text = String::from_utf8(signature.clone()).map(|text| text.trim().to_owned());
        described["annotations"] = json!({SIGNATURE: text.unwrap_or_else(|_| STANDARD.encode(signature))});
    }
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": digest(&config), "size": config.len()},
        "layers": [described],
    });
    (config, manifest.to_string().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(digest: &str, kind: &str) -> Value {
        json!({"mediaType": kind, "digest": digest, "size": 3})
    }

    #[test]
    fn the_layer_is_the_one_that_is_pinned_or_the_only_one() {
        let (one, two) = (Digest::of(b"one"), Digest::of(b"two"));
        let (first, second) = (format!("sha256:{one}"), format!("sha256:{two}"));
        let of = |layers: Value, pinned| Layer::of(json!({"layers": layers}).to_string().as_bytes(), pinned);
        let both = json!([layer(&first, LAYER), layer("sha512:x", "text/plain"), layer(&second, LAYER)]);
        assert_eq!(of(both.clone(), Some(two)).unwrap().digest, two);
        assert!(of(both, None).unwrap_err().contains("2 components"));
        assert_eq!(of(json!([layer(&first, LAYER)]), None).unwrap().digest, one);
        let says = of(json!([layer(&first, LAYER)]), Some(two)).unwrap_err();
        assert!(says.contains(&one.to_string()) && says.contains("is pinned"), "{says}");
        assert!(of(json!([layer(&first, "text/plain")]), None).unwrap_err().contains("none of its layers"));
        assert!(of(json!([layer("sha512:00", LAYER)]), None).unwrap_err().contains("no sha256"));
        assert!(Layer::of(b"{\"manifests\": [{}]}", None).unwrap_err().contains("an index"));
        assert!(Layer::of(b"<html>", None).unwrap_err().contains("cannot be read"));
    }

    #[test]
    fn what_is_made_is_read_again_with_its_signature() {
        let raw: Vec<u8> = (0..64).map(|byte| byte | 0x80).collect();
        for signature in
            [STANDARD.encode(&raw).into_bytes(), [STANDARD.encode(&raw).as_bytes(), b"\n"].concat(), raw.clone()]
        {
            let parcel = Parcel { component: b"component".to_vec(), signature: Some(signature) };
            let (_, manifest) = made(&parcel);
            let layer = Layer::of(&manifest, None).unwrap();
            assert_eq!((layer.digest, layer.size), (Digest::of(b"component"), 9));
            assert_eq!(layer.signature.unwrap(), STANDARD.encode(&raw).into_bytes());
            assert_eq!(made(&parcel).1, manifest);
        }
    }
}
