//! `store`: where records are kept.

use super::Desk;
use crate::scalar::{At, Scalar as _, Span, Text};
use crate::shape::{Read, choice, record};
use crate::tree::{Kind, Node};
use http::HeaderName;
use std::path::PathBuf;
use std::time::Duration;
use tidegate_core::spec::{ContentPolicy, Durability, EventsSpec, SubjectSpec};

record! {
    /// Where records are kept.
    StoreFile {
        optional {
            /// The record of every call.
            events: EventsFile,
        }
        later { "registry", "artifacts", "shared", "cache" }
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
pub(crate) struct Retention(Option<Duration>);

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

/// The event store.
pub(crate) fn check(raw: Option<StoreFile>, desk: &mut Desk<'_>) -> EventsSpec {
    let mut spec = EventsSpec {
        folder: Some(".tidegate/events".into()),
        durability: Durability::Queue,
        content: ContentPolicy::None,
        retention: Some(Duration::from_secs(30 * 86400)),
        subject: None,
    };
    let Some(events) = raw.and_then(|store| store.events) else { return spec };
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
            let folder = text
                .strip_prefix("file:")
                .map(|path| path.strip_prefix("//").unwrap_or(path))
                .filter(|path| !path.is_empty());
            if folder.is_none() {
                desk.notes
                    .fault(&to.at, "this is no place for events")
                    .remedy("write `file:FOLDER`, or `none` to keep no events");
            }
            folder.map(PathBuf::from)
        }
    }
}
