//! Plugins that are loaded, used again, swapped and refused. The component is the one that ships for windows: what filters do
//! is tested at the host and end to end.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

use super::*;
use std::path::{Path, PathBuf};
use tidegate_core::digest::Digest;

const DRIFT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../plugins/dist/drift.wasm");

/// A folder with a component, and a configuration of it.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        std::fs::copy(DRIFT, home.component()).unwrap();
        home
    }

    fn component(&self) -> PathBuf {
        self.0.path().join("drift.wasm")
    }

    /// The configuration with this entry, and these filters of its route.
    fn spec(&self, entry: &str, filters: &str) -> GatewaySpec {
        let text = format!(
            "listeners: {{public: {{address: \"127.0.0.1:0\"}}}}\n\
             providers: {{p: {{openai: {{endpoints: [{{url: \"http://127.0.0.1:1/v1\"}}]}}}}}}\n\
             models: {{m: {{provider: p}}}}\nroutes: {{r: {{model: m, filters: [{filters}]}}}}\n\
             plugins: {{d: {{component: drift.wasm, {entry}}}}}\n"
        );
        let origin: &Path = &self.0.path().join("c.yaml");
        tidegate_config::load_str(&text, origin, &|_| None).unwrap_or_else(|report| panic!("{report}")).spec
    }

    fn loaded(&self, before: &Plugins, entry: &str) -> Result<Plugins, String> {
        before
            .loaded(&self.spec(entry, ""), &Workshop::default(), &Depot::default(), &BTreeMap::new())
            .map_err(|faults| faults.join("\n"))
    }
}

fn plugin(plugins: &Plugins) -> Arc<tidegate_host::Plugin> {
    plugins.evaluator(&"d".parse().unwrap()).unwrap()
}

/// Another component that does the same: a custom section behind it changes no more than its digest.
fn padded(bytes: &[u8]) -> Vec<u8> {
    [bytes, &[0, 3, 1, b'x', 0]].concat()
}

#[test]
fn what_did_not_change_is_used_again() {
    let home = Home::new();
    let first = home.loaded(&Plugins::default(), "config: {alpha: 0.01}").unwrap();
    let same = home.loaded(&first, "config: {alpha: 0.01}").unwrap();
    assert!(Arc::ptr_eq(&plugin(&first), &plugin(&same)));
    let digest = Digest::of(&std::fs::read(home.component()).unwrap());
    let pinned = home.loaded(&first, &format!("config: {{alpha: 0.01}}, sha256: \"{digest}\"")).unwrap();
    assert!(Arc::ptr_eq(&plugin(&first), &plugin(&pinned)));
    for other in ["config: {alpha: 0.02}", "config: {alpha: 0.01}, limits: {memory: 32MiB}"] {
        let other = home.loaded(&first, other).unwrap();
        assert!(!Arc::ptr_eq(&plugin(&first), &plugin(&other)));
    }
    std::fs::write(home.component(), padded(&std::fs::read(DRIFT).unwrap())).unwrap();
    let swapped = home.loaded(&first, "config: {alpha: 0.01}").unwrap();
    assert_ne!(plugin(&swapped).about().sha256, plugin(&first).about().sha256);
}

#[tokio::test]
async fn a_configuration_that_is_in_force_reads_no_file_again() {
    let home = Home::new();
    let spec = home.spec("config: {}", "");
    let plugins = Plugins::default().renewed(&spec, &Arc::default(), &Arc::default()).await.unwrap();
    std::fs::remove_file(home.component()).unwrap();
    let again = plugins.renewed(&spec, &Arc::default(), &Arc::default()).await.unwrap();
    assert!(Arc::ptr_eq(&plugin(&plugins), &plugin(&again)));
}

#[test]
fn what_cannot_be_loaded_is_named_with_its_file_and_why() {
    let home = Home::new();
    for (entry, filters, why) in [
        ("config: {alhpa: 0.01}", "", "`config` is not what it takes"),
        ("config: {alpha: 2}", "", "at /alpha"),
        ("config: {}", "{plugin: d, at: [request]}", "its world `drift-plugin` is not one of filters"),
    ] {
        let faults = faults(&home.spec(entry, filters), &Depot::default()).faults;
        let [fault] = faults.as_slice() else { panic!("{faults:?}") };
        assert!(fault.starts_with("plugin `d` (") && fault.contains("drift.wasm"), "{fault}");
        assert!(fault.contains(why), "{fault}\n{why}");
    }
    let spec = home.spec("config: {}", "");
    for (bytes, why) in [(&b"no component"[..], "no WebAssembly component"), (b"\0asm\x0d\0\x01\0\xff", "damaged")] {
        std::fs::write(home.component(), bytes).unwrap();
        let said = faults(&spec, &Depot::default()).faults.join("\n");
        assert!(said.contains(why), "{said}\n{why}");
    }
    std::fs::remove_file(home.component()).unwrap();
    assert!(faults(&spec, &Depot::default()).faults.join("\n").contains("it cannot be read"));
}

#[test]
fn a_signature_is_asked_for_and_must_be_right() {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
    let home = Home::new();
    let pair = Ed25519KeyPair::from_seed_unchecked(&[3; 32]).unwrap();
    let key = Digest::from_bytes(pair.public_key().as_ref().try_into().unwrap());
    let beside = tidegate_core::spec::PluginSpec::signature_of(&home.component());
    let bytes = std::fs::read(DRIFT).unwrap();
    std::fs::write(&beside, pair.sign(&bytes).as_ref()).unwrap();
    let entry = format!("signed_by: \"{key}\"");
    let first = home.loaded(&Plugins::default(), &entry).unwrap();
    // The component changes and its signature does not: what is in force stays, the new one is refused.
    std::fs::write(home.component(), padded(&bytes)).unwrap();
    assert!(home.loaded(&first, &entry).unwrap_err().contains("not that of `signed_by`"));
    std::fs::write(&beside, pair.sign(&padded(&bytes)).as_ref()).unwrap();
    home.loaded(&first, &entry).unwrap();
}

#[test]
fn a_plugin_with_more_memory_gets_a_house_with_room_for_it() {
    let home = Home::new();
    let first = home.loaded(&Plugins::default(), "config: {}").unwrap();
    let roomy = home.loaded(&first, "limits: {memory: 256MiB}").unwrap();
    assert_eq!(roomy.house.as_ref().unwrap().room.memory_bytes, 256 << 20);
    let again = home.loaded(&roomy, "config: {}").unwrap();
    assert_eq!(again.house.as_ref().unwrap().room.memory_bytes, 256 << 20);
    let more = home.loaded(&again, "limits: {modules: 32, table: 32768}, wasi: minimal").unwrap();
    let room = more.house.unwrap().room;
    assert_eq!((room.memory_bytes >> 20, room.modules, room.table_elements), (128, 32, 32_768));
    assert!(!Arc::ptr_eq(&plugin(&again), &plugin(&home.loaded(&again, "config: {}, wasi: minimal").unwrap())));
}
