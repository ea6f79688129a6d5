//! `plugins`: WebAssembly components that are loaded. Owns that a component is there and, where it is pinned, the one that is
//! meant, or that it can be fetched and nothing but its bytes be taken; what it is and whether it takes its configuration is
//! seen when it is loaded.

use super::Desk;
use crate::json::Json;
use crate::report::Notes;
use crate::scalar::{At, Count, Flaw, Scalar, Size, Span, Text};
use crate::shape::{Item, Placed as _, choice, record};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use schemars::{Schema, json_schema};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tidegate_core::digest::Digest;
use tidegate_core::spec::{ComponentAt, ComponentAuth, PluginLimits, PluginSpec, Rate, WasiGrant, WebHost, WebHosts};
use tidegate_core::{ModelName, PluginName, Secret};

/// What may be asked for an instance's memory.
const MEMORY: [u64; 2] = [1 << 20, 1 << 30];
/// What may be asked for a call's time.
const DEADLINE: [Duration; 2] = [Duration::from_millis(1), Duration::from_secs(60)];
/// The most where it waits for models, too.
const WITH_MODELS: Duration = Duration::from_secs(600);
/// What may be asked for the component's size, for the modules that it is made of, and for a table's elements.
const SIZE: [u64; 2] = [1 << 20, 64 << 20];
const MODULES: [u32; 2] = [1, 128];
const TABLE: [u32; 2] = [1024, 1 << 20];

record! {
    /// A plugin that is loaded.
    PluginFile {
        required {
            /// Its component, of WebAssembly: a file, an address such as `https://HOST/drift.wasm`, or a place in a
            /// registry of containers such as `oci://HOST/REPOSITORY:TAG`.
            component: At<Text>,
        }
        optional {
            /// What the component must digest to; a component that is fetched needs it.
            sha256: At<Digest>,
            /// What shows who fetches it.
            auth: ComponentAuthFile,
            /// The public key (ed25519, in hex or base64) whose signature must lie beside the component, as
            /// `COMPONENT.sig`; in a registry of containers it is an annotation, as `tidegate plugin push` writes it.
            signed_by: At<PublicKey>,
            /// Its settings; it says itself which there are (`tidegate plugin inspect`).
            config: Json,
            /// What it may ask of the gateway, beside what its world grants.
            capabilities: CapabilitiesFile,
            /// What it may take, beside the defaults of its world.
            limits: PluginLimitsFile,
            /// What it is granted of WASI.
            wasi: WasiFile,
        }
    }
}

record! {
    /// What a plugin may ask of the gateway. Of plugins that look at calls while these are served nobody asks models.
    CapabilitiesFile {
        optional {
            /// The models that it may ask, each of `models`. Calls of plugins pass no filters, and nobody watches them,
            /// copies them or learns from them.
            models: Vec<At<ModelName>>,
            /// The servers that it may reach by `http-out`, each as `HOST`, `HOST:PORT` (by https) or `http://HOST:PORT`.
            http: Vec<At<Server>>,
        }
    }
}

record! {
    /// What a plugin may take.
    PluginLimitsFile {
        optional {
            /// The memory of an instance, from 1MiB to 1GiB.
            memory: At<Size>,
            /// How long a call may take, from 1ms to 60s; to 10m where it may ask models, since it waits for them meanwhile.
            deadline: At<Span>,
            /// How many tokens of models it may use up in a time, such as `100000/hour`.
            tokens: At<Rate>,
            /// The largest component, from 1MiB to 64MiB: compiling a larger one may take longer.
            size: At<Size>,
            /// The core modules that the component may be made of, up to 128.
            modules: At<Count>,
            /// The elements that a table may have, from 1024 to 1048576.
            table: At<Count>,
        }
    }
}

choice! {
    /// What a plugin is granted of WASI.
    WasiFile {
        words {
            /// Nothing.
            None = "none",
            /// Clocks, chance and streams that end in the log; no files, variables or network.
            Minimal = "minimal",
        }
    }
}

choice! {
    /// What shows who fetches a component; secrets are references such as `${env:NAME}`.
    ComponentAuthFile {
        maps {
            /// `USER:PASSWORD`, for a registry of containers or basic authentication.
            Basic(At<Secret>) = "basic",
            /// A token, as it is.
            Bearer(At<Secret>) = "bearer",
        }
    }
}

/// A public key of ed25519.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PublicKey(pub(crate) [u8; 32]);

impl Scalar for PublicKey {
    const WHAT: &'static str = "a public key of ed25519";

    fn parse(text: &str) -> Result<Self, Flaw> {
        let is_hex = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let bytes = if is_hex {
            text.parse::<Digest>().ok().map(|digits| *digits.as_bytes())
        } else {
            STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok())
        };
        bytes.map(Self).ok_or_else(|| Flaw::default().mend("write its 32 bytes in hex or base64"))
    }

    fn schema() -> Schema {
        json_schema!({"type": "string", "pattern": "^([0-9a-fA-F]{64}|[0-9A-Za-z+/]{43}=|.*\\$\\{.*)$"})
    }
}

/// A server that a plugin may reach.
#[derive(Debug, Clone)]
pub(crate) struct Server(WebHost);

impl Scalar for Server {
    const WHAT: &'static str = "a server that can be granted";

    fn parse(text: &str) -> Result<Self, Flaw> {
        let remedy = "write it as `api.example.com`, `api.example.com:8443` or `http://127.0.0.1:9000`";
        WebHost::listed(text).map(Self).map_err(|why| Flaw::why(why).mend(remedy))
    }
}

/// The plugin of an entry.
pub(crate) fn check(item: Item<PluginFile>, desk: &mut Desk<'_>) -> Option<PluginSpec> {
    let name = super::name::<PluginName>(&item.name, &item.at, desk);
    let raw = item.value?;
    let component = raw.component.as_ref().and_then(|given| component(given, raw.sha256.as_ref(), desk));
    if let (Some(ComponentAt::File(path)), Some(key)) = (&component, &raw.signed_by) {
        signature(path, key, desk);
    }
    let auth = raw.auth.and_then(|given| shown(given, raw.component.as_ref(), component.as_ref(), desk));
    let asks = raw.capabilities.as_ref().is_some_and(|given| given.models.is_some());
    let models = raw.capabilities.as_ref().map_or_else(Vec::new, |given| models(given, desk.notes));
    let servers = raw.capabilities.into_iter().filter_map(|given| given.http).flatten();
    let web = WebHosts(servers.map(|given| given.value.0).collect());
    let limits = raw.limits.map_or_else(PluginLimits::default, |limits| within(limits, asks, desk.notes));
    let config = raw.config.unwrap_or_else(Json::nothing);
    Some(PluginSpec {
        name: name?,
        component: component?,
        sha256: raw.sha256.map(|given| given.value),
        auth,
        signed_by: raw.signed_by.map(|given| given.value.0),
        config: config.value.to_string(),
        shown: config.shown.to_string(),
        models,
        limits,
        wasi: match raw.wasi {
            None | Some(WasiFile::None) => WasiGrant::None,
            Some(WasiFile::Minimal) => WasiGrant::Minimal,
        },
        web,
    })
}

/// Where the component lies.
fn component(given: &At<Text>, pinned: Option<&At<Digest>>, desk: &mut Desk<'_>) -> Option<ComponentAt> {
    let at = match given.value.0.parse() {
        Ok(ComponentAt::File(path)) => return file(given, &path, pinned, desk).map(ComponentAt::File),
        Ok(far) => far,
        Err(fault) => {
            desk.notes
                .fault(&given.at, format!("this is no place of a component: {fault}"))
                .remedy("name a file, `https://HOST/PATH` or `oci://HOST/REPOSITORY:TAG`");
            return None;
        }
    };
    if pinned.is_none() {
        desk.notes
            .fault(
                &given.at,
                "a component that is fetched needs its `sha256`: what lies there may be another one tomorrow",
            )
            .remedy(format!(
                "see that it is the right one, and pin it: `tidegate plugin inspect {at}` says its sha256"
            ));
        return None;
    }
    Some(at)
}

/// A component that is a file is read for its digest: another component is another configuration.
fn file(given: &At<Text>, path: &Path, pinned: Option<&At<Digest>>, desk: &mut Desk<'_>) -> Option<PathBuf> {
    let path = desk.file(&At { value: Text(path.display().to_string()), ..given.clone() });
    if !path.is_file() {
        return None;
    }
    match desk.attach(&path) {
        Ok(digest) => {
            if let Some(pinned) = pinned.filter(|pinned| pinned.value != digest) {
                let says = format!("the component {} has another sha256: {digest}", path.display());
                desk.notes
                    .fault(&pinned.at, says)
                    .remedy("see where it came from; if it is the one that you want, pin that");
            }
            Some(path)
        }
        Err(why) => {
            desk.notes
                .fault(&given.at, format!("the component {} cannot be read: {why}", path.display()))
                .remedy("see that it is the file of a component, and that it may be read");
            None
        }
    }
}

/// What shows who fetches.
fn shown(
    given: ComponentAuthFile,
    named: Option<&At<Text>>,
    component: Option<&ComponentAt>,
    desk: &mut Desk<'_>,
) -> Option<ComponentAuth> {
    if let (Some(named), Some(ComponentAt::File(_))) = (named, component) {
        desk.notes
            .fault(&named.at, "this component is a file, so nobody is shown who asks for it")
            .remedy("leave `auth` out, or name where it is fetched: `https://…` or `oci://…`");
    }
    match given {
        ComponentAuthFile::Basic(login) => {
            if login.is_referred && !login.value.expose().contains(':') {
                desk.notes
                    .fault(&login.at, "what the reference stands for has no `:` between user and password")
                    .remedy("write `USER:PASSWORD` there");
            }
            Some(ComponentAuth::Basic(desk.secret(login)))
        }
        ComponentAuthFile::Bearer(token) => {
            if HeaderValue::from_str(token.value.expose()).is_err() {
                desk.notes
                    .fault(&token.at, "this secret fits into no header")
                    .remedy("see that it has no line break and no other odd character");
            }
            Some(ComponentAuth::Bearer(desk.secret(token)))
        }
    }
}

/// Whether the signature of a component lies beside it; whether it is right is seen when the component is loaded.
fn signature(component: &std::path::Path, key: &At<PublicKey>, desk: &mut Desk<'_>) {
    let path = PluginSpec::signature_of(component);
    let why = if path.is_file() {
        desk.attach(&path).err().map(|why| why.to_string())
    } else {
        Some("it is not there".to_owned())
    };
    if let Some(why) = why {
        desk.notes.fault(&key.at, format!("the signature {} cannot be read: {why}", path.display())).remedy(
            "lay the 64 bytes of the signature, or their base64, beside the component, or leave `signed_by` out",
        );
    }
}

/// The models that are granted. Whether there are such is `refer`'s question.
fn models(raw: &CapabilitiesFile, notes: &mut Notes) -> Vec<ModelName> {
    if !raw.here().has("models") && !raw.here().has("http") {
        notes.fault(raw.at(), "this grants nothing").remedy("grant `models` or `http`, or leave `capabilities` out");
    }
    if raw.http.as_ref().is_some_and(Vec::is_empty) {
        notes.fault(raw.at(), "this grants no server").remedy("list one under `http`, or leave it out");
    }
    let Some(given) = &raw.models else { return Vec::new() };
    if given.is_empty() {
        notes.fault(raw.at(), "this grants no model").remedy("name one of `models`, or leave it out");
    }
    let mut models: Vec<ModelName> = Vec::with_capacity(given.len());
    for model in given {
        if models.contains(&model.value) {
            notes.fault(&model.at, "this stands here twice").remedy("leave one of them out");
        }
        models.push(model.value.clone());
    }
    models
}

fn within(raw: PluginLimitsFile, asks: bool, notes: &mut Notes) -> PluginLimits {
    let memory = raw.memory.map(|given| {
        if !(MEMORY[0]..=MEMORY[1]).contains(&given.value.0) {
            notes
                .fault(&given.at, "the memory of a plugin is from 1MiB to 1GiB")
                .remedy("write a size between them, such as `16MiB`");
        }
        given.value.0
    });
    let deadline = raw.deadline.map(|given| {
        let (most, shown) = if asks { (WITH_MODELS, "10m") } else { (DEADLINE[1], "60s") };
        if !(DEADLINE[0]..=most).contains(&given.value.0) {
            notes
                .fault(&given.at, format!("the deadline of a plugin is from 1ms to {shown}"))
                .remedy("write a duration between them, such as `5ms`");
        }
        given.value.0
    });
    let tokens = raw.tokens.map(|given| {
        if !asks {
            notes
                .fault(&given.at, "this limit can never apply: no models are granted")
                .remedy("add `capabilities: {models: [NAME]}`, or leave it out");
        }
        given.value
    });
    let size = raw.size.map(|given| {
        if !(SIZE[0]..=SIZE[1]).contains(&given.value.0) {
            notes
                .fault(&given.at, "the size of a component is from 1MiB to 64MiB")
                .remedy("write a size between them, such as `32MiB`");
        }
        given.value.0
    });
    let modules = raw.modules.map(|given| counted(&given, MODULES, "the modules of a component are", notes));
    let table = raw.table.map(|given| counted(&given, TABLE, "the elements of a table are", notes));
    PluginLimits { memory, deadline, tokens, size, modules, table }
}

/// A count within its bounds.
fn counted(given: &At<Count>, [least, most]: [u32; 2], what: &str, notes: &mut Notes) -> u32 {
    if !(least..=most).contains(&given.value.0) {
        notes
            .fault(&given.at, format!("{what} from {least} to {most}"))
            .remedy("write a number between them, or leave it out");
    }
    given.value.0
}
