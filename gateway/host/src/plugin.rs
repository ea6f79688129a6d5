//! The host and its plugins: loading a component step by step, and calling it. Owns the order of both and the life of an
//! instance, which is one window long.

use crate::cell::{Cell, Heard};
use crate::fault::{Fault, Kind, told};
use crate::input::Input;
use crate::limits::Limits;
use crate::reach::Outside;
use crate::ready::{Raw, Ready};
use crate::report::Output;
use crate::ticker::Ticker;
use crate::world::World;
use crate::{convert, engine, vet};
use serde::Serialize;
use serde_json::Value;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tidegate_core::digest::Digest;
use wasmtime::component::Component;
use wasmtime::{Engine, Store};

/// How a component begins, how a core module does, and what compiled code is (ELF).
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
const MODULE: &[u8] = b"\0asm\x01\0\0\0";
const ELF: &[u8] = b"\x7fELF";

/// How many handles of resources an instance may have: no world of evaluators has any.
const HANDLES: usize = 64;

/// The longest part of a compiler's message that is passed on.
const SAID_BYTES: usize = 512;

/// Runs plugins. Cheap to clone; the last one to go, plugins included, ends its thread.
#[derive(Debug, Clone)]
pub struct Host(Arc<House>);

#[derive(Debug)]
struct House {
    engine: Engine,
    ticker: Ticker,
    limits: Arc<Limits>,
    outside: Outside,
}

/// What is known of a plugin without calling it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct About {
    /// Its own name.
    pub name: String,
    /// Its own version.
    pub version: String,
    /// The world that it fills.
    pub world: World,
    /// What it asks of the host.
    pub imports: Vec<String>,
    /// The length of the component.
    pub bytes: usize,
    /// The digest of the component.
    pub sha256: Digest,
    /// The JSON Schema of its configuration.
    pub config_schema: Value,
}

/// A plugin that is loaded.
pub struct Plugin {
    house: Arc<House>,
    ready: Ready,
    about: About,
    label: Arc<str>,
    calls: AtomicU64,
}

/// What a call gave back.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Done {
    /// What the plugin says.
    #[serde(flatten)]
    pub output: Output,
    /// What was heard of it meanwhile.
    pub heard: Heard,
    /// How long it took, from the new instance to its answer.
    #[serde(rename = "took_us", serialize_with = "as_micros")]
    pub took: Duration,
}

fn as_micros<S: serde::Serializer>(took: &Duration, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_u64(u64::try_from(took.as_micros()).unwrap_or(u64::MAX))
}

impl Host {
    /// A host with these limits.
    ///
    /// # Errors
    /// This machine cannot run plugins within them.
    pub fn new(limits: Limits, outside: Outside) -> Result<Self, Fault> {
        let engine = engine::engine(&limits)?;
        let ticker = Ticker::start(engine.clone())
            .map_err(|error| Fault::new(Kind::Host, format!("the thread that ends calls cannot start: {error}")))?;
        Ok(Self(Arc::new(House { engine, ticker, limits: Arc::new(limits), outside })))
    }

    /// Loads a component: looks at its bytes, compiles it, recognises its world, links it and asks it what it is. Takes as
    /// long as compiling does, so it has no place on a thread that serves.
    ///
    /// # Errors
    /// What it is instead, or asks for and is not granted, or did when it was started.
    pub fn load(&self, bytes: &[u8]) -> Result<Plugin, Fault> {
        let house = &self.0;
        weigh(bytes, house.limits.component_bytes)?;
        let component = Component::from_binary(&house.engine, bytes)
            .map_err(|error| Fault::new(Kind::Damaged, format!("it cannot be compiled: {}", short(&error))))?;
        let (exports, imports) = house.faces(&component);
        let world = World::recognise(&exports, &imports)?;
        let misfit = |says: &str| Fault::new(Kind::WrongWorld, format!("it does not fit the world `{world}`: {says}"));
        let ready = Ready::link(world, &house.engine, &component).map_err(|error| misfit(&short(&error)))?;
        let ready = ready.ok_or_else(|| misfit("this version does not run it"))?;
        let (described, _) =
            house.inside("new".into(), house.limits.load_deadline, "its start", |store| ready.describe(store))?;
        let (name, version, config_schema) = vet::described(described.name, described.version, &described.schema)
            .map_err(|says| Fault::new(Kind::BadOutput, says))?;
        let label = name.as_str().into();
        let about =
            About { name, version, world, imports, bytes: bytes.len(), sha256: Digest::of(bytes), config_schema };
        Ok(Plugin { house: Arc::clone(house), ready, about, label, calls: AtomicU64::new(0) })
    }
}

/// Looks at the bytes before anything reads them.
fn weigh(bytes: &[u8], most: usize) -> Result<(), Fault> {
    let not = |says: &str| Err(Fault::new(Kind::NotAComponent, says));
    if bytes.len() > most {
        let says = format!("it has {} bytes; {most} are the most that is compiled", bytes.len());
        return Err(Fault::new(Kind::TooLarge, says));
    }
    if bytes.starts_with(MODULE) {
        return not("it is a core module: make a component of it by `tidegate plugin pack`");
    }
    if bytes.starts_with(ELF) {
        return not("it is compiled code, which is never taken: give the component that it was made of");
    }
    if !bytes.starts_with(COMPONENT) {
        return not("it is no WebAssembly component");
    }
    Ok(())
}

fn short(error: &wasmtime::Error) -> String {
    crate::cell::harmless(&format!("{error:#}"), SAID_BYTES)
}

impl House {
    /// The names of what a component exports and imports.
    fn faces(&self, component: &Component) -> (Vec<String>, Vec<String>) {
        let kind = component.component_type();
        let exports = kind.exports(&self.engine).map(|(name, _)| name.to_owned()).collect();
        let imports = kind.imports(&self.engine).map(|(name, _)| name.to_owned()).collect();
        (exports, imports)
    }

    /// Does something in a new store that is bounded in all respects, and is gone afterwards.
    fn inside<T>(
        &self,
        plugin: Arc<str>,
        deadline: Duration,
        doing: &str,
        work: impl FnOnce(&mut Store<Cell>) -> wasmtime::Result<T>,
    ) -> Result<(T, Heard), Fault> {
        let cell = Cell::new(plugin, self.outside.clone(), Arc::clone(&self.limits), deadline);
        let mut store = Store::new(&self.engine, cell);
        store.limiter(|cell| cell);
        store.set_hostcall_fuel(self.limits.copied_bytes);
        store.set_max_component_handles(HANDLES);
        let running = self.ticker.run();
        store.set_epoch_deadline(Ticker::ticks(deadline));
        let done = work(&mut store);
        drop(running);
        let done = done.map_err(|error| told(&error, store.data(), doing));
        Ok((done?, store.into_data().into_heard()))
    }
}

impl Plugin {
    /// What is known of it.
    #[must_use]
    pub const fn about(&self) -> &About {
        &self.about
    }

    /// How often it was called, whatever came of it.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Has it look at a window, in an instance of its own: configured, called once, dropped. Blocks as long as that takes,
    /// which is [`Limits::deadline`] at most.
    ///
    /// # Errors
    /// Of what kind it is and what happened; the plugin may be called again.
    pub fn call(&self, config: &str, input: &Input) -> Result<Done, Fault> {
        if input.world() != self.about.world {
            let says = format!("it is of the world `{}` and takes no window of `{}`", self.about.world, input.world());
            return Err(Fault::new(Kind::BadInput, says));
        }
        self.calls.fetch_add(1, Ordering::Relaxed);
        let done = self.evaluate(config, input);
        if let Err(fault) = &done {
            tracing::warn!(plugin = &*self.label, kind = %fault.kind, "{}", fault.says);
        }
        done
    }

    fn evaluate(&self, config: &str, input: &Input) -> Result<Done, Fault> {
        let began = Instant::now();
        let deadline = self.house.limits.deadline;
        let work = |store: &mut Store<Cell>| self.ready.evaluate(store, config, input);
        let (answer, heard) = self.house.inside(Arc::clone(&self.label), deadline, "its call", work)?;
        let took = began.elapsed();
        let raw = answer.map_err(convert::refused)?;
        let output = match (raw, input) {
            (Some(Raw::Report(report)), _) => vet::report(report).map(Output::Report),
            (Some(Raw::Reports(reports)), Input::Rag { samples }) => {
                vet::reports(reports, samples.len()).map(Output::Reports)
            }
            (Some(Raw::Findings(findings)), _) => vet::findings(findings).map(Output::Findings),
            (Some(Raw::Reports(_)) | None, _) => Err("it answered for another world".to_owned()),
        };
        let output = output.map_err(|says| Fault::new(Kind::BadOutput, says))?;
        Ok(Done { output, heard, took })
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin").field("about", &self.about).field("calls", &self.calls()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_weighed_before_they_are_read() {
        let kind = |bytes: &[u8]| weigh(bytes, 16).map_err(|fault| fault.kind);
        assert_eq!(kind(COMPONENT), Ok(()));
        assert_eq!(kind(&[0; 17]), Err(Kind::TooLarge));
        for bytes in [MODULE, ELF, b"(component)", b"", b"PK\x03\x04"] {
            assert_eq!(kind(bytes), Err(Kind::NotAComponent), "{bytes:?}");
        }
    }
}
