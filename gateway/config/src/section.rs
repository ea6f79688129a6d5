//! The sections of a configuration, one file each: the raw types and how each is checked. Owns the whole file's shape;
//! what goes across sections is `refer`'s.

pub(crate) mod alert;
pub(crate) mod artifacts;
pub(crate) mod batches;
pub(crate) mod cascade;
pub(crate) mod classic;
pub(crate) mod feature;
pub(crate) mod filter;
pub(crate) mod governance;
pub(crate) mod graph;
pub(crate) mod hedge;
pub(crate) mod key;
pub(crate) mod limit;
pub(crate) mod listener;
pub(crate) mod lookup;
pub(crate) mod model;
pub(crate) mod monitor;
mod parameters;
pub(crate) mod plugin;
pub(crate) mod policy;
pub(crate) mod prompts;
pub(crate) mod provider;
pub(crate) mod reward;
pub(crate) mod rollout;
pub(crate) mod route;
mod router;
mod rules;
pub(crate) mod shadow;
mod shared;
pub(crate) mod steer;
pub(crate) mod store;
pub(crate) mod telemetry;
pub(crate) mod view;

use crate::load::Environment;
use crate::place::Place;
use crate::report::Notes;
use crate::scalar::{At, Flaw, Scalar, Text};
use crate::shape::{Map, record};
use crate::source::Attached;
use crate::tree::shortened;
use std::path::{Path, PathBuf};
use tidegate_core::Secret;
use tidegate_core::digest::Digest;

record! {
    /// A configuration of Tidegate, or a part of one in a folder of several.
    ConfigFile {
        required {
            /// The addresses served.
            listeners: Map<listener::ListenerFile>,
        }
        optional {
            /// The admin interface.
            admin: listener::AdminFile,
            /// Where records are kept.
            store: store::StoreFile,
            /// Prompts versioned in git.
            prompts: prompts::PromptsFile,
            /// Connections to what runs models.
            providers: Map<provider::ProviderFile>,
            /// Names bound to a provider and the model there.
            models: Map<model::ModelFile>,
            /// What is looked up of entities before classic models are asked.
            features: Map<view::ViewFile>,
            /// The rewards that callers give.
            rewards: Map<reward::RewardFile>,
            /// What callers name as `model`.
            routes: Map<route::RouteFile>,
            /// WebAssembly components that look at calls.
            plugins: Map<plugin::PluginFile>,
            /// What watches the calls of routes.
            monitors: Map<monitor::MonitorFile>,
            /// Who may call; left out, anybody may, from this machine only.
            keys: key::KeysFile,
            /// How much callers may use.
            limits: Vec<limit::LimitFile>,
            /// Files of requests that are worked off while nobody waits.
            batches: batches::BatchesFile,
            /// Traces.
            telemetry: telemetry::TelemetryFile,
            /// Who is told of alarms.
            alerts: Map<alert::AlertFile>,
        }
        later { "experiments", "guardrails", "cache" }
    }
}

/// What every check needs beside its entry.
pub(crate) struct Desk<'a> {
    pub(crate) notes: &'a mut Notes,
    pub(crate) env: Environment<'a>,
    /// What paths are relative to.
    pub(crate) base: &'a Path,
    /// Files that are part of the configuration and no text of it.
    pub(crate) attached: Vec<Attached>,
}

impl Desk<'_> {
    /// A path of the file, relative to the file's folder.
    pub(crate) fn path(&self, text: &Text) -> PathBuf {
        self.base.join(&text.0)
    }

    /// A path to a file that must be there.
    pub(crate) fn file(&mut self, given: &At<Text>) -> PathBuf {
        let path = self.path(&given.value);
        if !path.is_file() {
            let shown = path.display();
            let note = self.notes.fault(&given.at, format!("there is no file {shown}"));
            note.remedy("a path is relative to the folder of the configuration");
        }
        path
    }

    /// Takes a file in, of which only the digest is known then.
    pub(crate) fn attach(&mut self, path: &Path) -> std::io::Result<Digest> {
        let attached = Attached::read(path)?;
        let digest = attached.digest;
        self.attached.push(attached);
        Ok(digest)
    }

    /// A secret that has to be a reference.
    pub(crate) fn secret(&mut self, given: At<Secret>) -> Secret {
        if !given.is_referred {
            self.notes.conceal(&given.at);
            self.notes
                .fault(&given.at, "a secret stands in the file itself")
                .remedy("put it into the environment or a file of its own and write `${env:NAME}` or `${file:PATH}`");
        }
        given.value
    }
}

/// The name of an entry.
pub(crate) fn name<T: Scalar>(text: &str, at: &Place, desk: &mut Desk<'_>) -> Option<T> {
    T::parse(text)
        .map_err(|Flaw { why, .. }| {
            let why = why.map_or_else(String::new, |why| format!(": {why}"));
            desk.notes.fault(at, format!("`{}` is not {}{why}", shortened(text), T::WHAT)).remedy("rename it");
        })
        .ok()
}
