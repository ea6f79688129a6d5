//! `store`: where records are kept.

use super::Desk;
use super::artifacts::{self, S3File};
use super::governance::{self, GovernanceFile};
use super::provider::Url;
use super::shared;
use crate::scalar::{At, Scalar as _, Size, Span, Text};
use crate::shape::{Placed, Read, choice, record};
use crate::tree::{Kind, Node};
use http::HeaderName;
use std::path::PathBuf;
use std::time::Duration;
use tidegate_core::Secret;
use tidegate_core::port::outbound::Reach;
use tidegate_core::spec::{
    ContentPolicy, DatabaseSpec, Durability, EventsSpec, GovernanceSpec, RegistrySpec, SharedSpec, SubjectSpec,
};

record! {
    /// Where records are kept.
    StoreFile {
        optional {
            /// The record of every call.
            events: EventsFile,
            /// The registry of models: `sqlite:FILE`, relative to the working directory, or
            /// `postgres://USER:PASSWORD@HOST/DATABASE`. Left out, there is none.
            registry: At<Text>,
            /// Where the registry's files lie: `file:FOLDER`, relative to the working directory;
            /// `file:.tidegate/artifacts` by default; or `s3://BUCKET/PREFIX`.
            artifacts: At<Text>,
            /// How the bucket of `artifacts` is reached.
            s3: S3File,
            /// The longest file that the registry takes; 100GiB by default.
            max_artifact: At<Size>,
            /// Where the registry's webhooks may go; `public` by default.
            webhooks: ReachFile,
            /// A tracking server of MLflow, asked where the files of a logged model lie that a version is made of.
            tracking: At<Url>,
            /// What a version must have before an alias may stand for it.
            governance: GovernanceFile,
            /// Where replicas share what limits count: `memory`, the default, where each counts for itself; or the
            /// address of a Redis, `redis://:PASSWORD@HOST:PORT/DATABASE`, `rediss://…` for TLS.
            shared: At<Text>,
        }
        later { "cache" }
    }
}

record! {
    /// The record of every call.
    EventsFile {
        optional {
            /// `file:FOLDER`, relative to the working directory, or `none`; `file:.tidegate/events` by default.
            to: At<Text>,
            /// When a record counts as kept; `queue` by default.
            durability: DurabilityFile,
            /// What is kept of requests and answers; `none` by default.
            content: ContentFile,
            /// How long records are kept; 30d by default.
            retention: Retention,
            /// Whose data a call is.
            subject: SubjectFile,
        }
    }
}

choice! {
    /// Where webhooks may go.
    ReachFile {
        words {
            /// By https to public addresses alone.
            Public = "public",
            /// Anywhere: whoever may make a webhook can send requests into your network.
            Any = "any",
        }
    }
}

choice! {
    /// When a record counts as kept.
    DurabilityFile {
        words {
            /// When it is in the queue: written each 10 ms, synced each second.
            Queue = "queue",
            /// When its group is synced; the last byte of the answer waits for it.
            Ack = "ack",
        }
    }
}

choice! {
    /// What is kept of requests and answers.
    ContentFile {
        words {
            /// Nothing.
            None = "none",
            /// SHA-256 digests.
            Hash = "hash",
            /// The bodies with every text replaced by its length.
            Redacted = "redacted",
            /// The bodies.
            Full = "full",
        }
    }
}

choice! {
    /// Whose data a call is.
    SubjectFile {
        maps {
            /// What this header says.
            Header(At<HeaderName>) = "header",
        }
    }
}

/// How long records are kept: a duration, or `forever`.
#[derive(Debug)]
pub(crate) struct Retention(pub(crate) Option<Duration>);

impl Read for Retention {
    fn read(node: &Node, notes: &mut crate::report::Notes) -> Option<Self> {
        match &node.kind {
            Kind::Scalar(scalar) if scalar.value == "forever" => Some(Self(None)),
            _ => At::<Span>::read(node, notes).map(|span| Self(Some(span.value.0))),
        }
    }
}

impl schemars::JsonSchema for Retention {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Retention".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"anyOf": [{"const": "forever"}, Span::schema()]})
    }
}

/// What the section says.
pub(crate) struct Stores {
    pub(crate) events: EventsSpec,
    pub(crate) registry: Option<RegistrySpec>,
    pub(crate) shared: Option<SharedSpec>,
}

/// The event store, and the others where there are any.
pub(crate) fn check(raw: Option<StoreFile>, desk: &mut Desk<'_>) -> Stores {
    let Some(raw) = raw else { return Stores { events: check_events(None, desk), registry: None, shared: None } };
    let shared = shared::check(raw.shared, desk);
    let webhooks = match raw.webhooks {
        None | Some(ReachFile::Public) => Reach::Public,
        Some(ReachFile::Any) => Reach::Any,
    };
    let place = raw.governance.as_ref().map(|governance| governance.at().clone());
    if let Some(at) = place.as_ref().filter(|_| raw.registry.is_none()) {
        desk.notes
            .fault(at, "there is no registry whose aliases could be governed")
            .remedy("add `registry: sqlite:.tidegate/registry.db`, or leave this out");
    }
    let governance = governance::check(raw.governance, desk);
    let keeps_decisions = governance.keeps_decisions;
    let registry =
        check_registry(raw.registry, (raw.artifacts, raw.s3), raw.max_artifact, webhooks, raw.tracking, desk)
            .map(|registry| RegistrySpec { governance, ..registry });
    let says_retention = raw.events.as_ref().is_some_and(|events| events.retention.is_some());
    let mut events = check_events(raw.events, desk);
    if let Some(at) = place.filter(|_| keeps_decisions) {
        if !says_retention {
            events.retention = None;
        }
        governance::check_decisions(&at, &events, desk);
    }
    Stores { events, registry, shared }
}

/// Refuses an address whose password stands in the file itself.
pub(super) fn refuse_password(to: &At<Text>, remedy: &'static str, desk: &mut Desk<'_>) {
    let who = to.value.0.split_once("://").and_then(|(_, rest)| rest.split_once('@'));
    if who.is_some_and(|(who, _)| who.contains(':')) && !to.is_referred {
        desk.notes.conceal(&to.at);
        desk.notes.fault(&to.at, "a secret stands in the file itself").remedy(remedy);
    }
}

fn check_registry(
    to: Option<At<Text>>,
    (artifacts, s3): (Option<At<Text>>, Option<S3File>),
    largest: Option<At<Size>>,
    webhooks: Reach,
    tracking: Option<At<Url>>,
    desk: &mut Desk<'_>,
) -> Option<RegistrySpec> {
    let Some(to) = to else {
        let given = artifacts.iter().map(|given| &given.at).chain(s3.iter().map(Placed::at));
        for at in given.chain(largest.iter().map(|given| &given.at)) {
            desk.notes
                .fault(at, "there is no registry that keeps files")
                .remedy("add `registry: sqlite:.tidegate/registry.db`, or leave this out");
        }
        return None;
    };
    let artifacts = artifacts::check(artifacts, s3, desk);
    let text = to.value.0.as_str();
    let database = if let Some(path) = text.strip_prefix("sqlite:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        (!path.is_empty() && path != ":memory:").then(|| DatabaseSpec::Sqlite(path.into()))
    } else {
        let is_server = text.starts_with("postgres://") || text.starts_with("postgresql://");
        is_server.then(|| DatabaseSpec::Postgres(Secret::new(text)))
    };
    if database.is_none() {
        desk.notes
            .fault(&to.at, "this is no database for the registry")
            .remedy("write `sqlite:FILE` or `postgres://USER:PASSWORD@HOST/DATABASE`");
    }
    refuse_password(&to, "put it into the environment: `postgres://USER:${env:NAME}@HOST/DATABASE`", desk);
    let largest_artifact = largest.map_or(100 << 30, |given| given.value.0);
    Some(RegistrySpec {
        database: database?,
        artifacts: artifacts?,
        largest_artifact,
        webhooks,
        tracking: tracking.map(|given| given.value.0),
        governance: GovernanceSpec::default(),
    })
}

/// The path of `file:PATH`.
pub(super) fn file_of(text: &str) -> Option<PathBuf> {
    let path = text.strip_prefix("file:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    (!path.is_empty()).then(|| path.into())
}

fn check_events(raw: Option<EventsFile>, desk: &mut Desk<'_>) -> EventsSpec {
    let mut spec = EventsSpec {
        folder: Some(".tidegate/events".into()),
        durability: Durability::Queue,
        content: ContentPolicy::None,
        retention: Some(Duration::from_secs(30 * 86400)),
        subject: None,
    };
    let Some(events) = raw else { return spec };
    if let Some(to) = &events.to {
        spec.folder = folder(to, desk);
    }
    spec.durability = match events.durability {
        None | Some(DurabilityFile::Queue) => Durability::Queue,
        Some(DurabilityFile::Ack) => Durability::Ack,
    };
    spec.content = match events.content {
        None | Some(ContentFile::None) => ContentPolicy::None,
        Some(ContentFile::Hash) => ContentPolicy::Hash,
        Some(ContentFile::Redacted) => ContentPolicy::Redacted,
        Some(ContentFile::Full) => ContentPolicy::Full,
    };
    if let Some(Retention(retention)) = events.retention {
        spec.retention = retention;
    }
    spec.subject = events.subject.map(|SubjectFile::Header(name)| SubjectSpec::Header(name.value.as_str().to_owned()));
    if let Some(to) = events.to.filter(|to| to.value.0 == "none" && spec.durability == Durability::Ack) {
        desk.notes
            .fault(&to.at, "no events are kept, and calls shall wait until theirs is")
            .remedy("leave out `durability: ack`, or name a folder");
    }
    spec
}

/// What is written lies by the working directory, as the default does; only what is read lies by the configuration.
fn folder(to: &At<Text>, desk: &mut Desk<'_>) -> Option<PathBuf> {
    match to.value.0.as_str() {
        "none" => None,
        text => {
            let folder = file_of(text);
            if folder.is_none() {
                desk.notes
                    .fault(&to.at, "this is no place for events")
                    .remedy("write `file:FOLDER`, or `none` to keep no events");
            }
            folder
        }
    }
}
