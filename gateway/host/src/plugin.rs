//! The host and its plugins: loading a component step by step, and having an evaluator look at a window. Owns the order of
//! both and the life of an evaluator's instance, which is one window long; that of a filter's is in `filter`.

use crate::cache::{Cache, EngineId, Key};
use crate::cell::{Cell, Heard};
use crate::compiler::Compiler;
use crate::counts::Failures;
use crate::fault::{Fault, Kind, is_too_much, not_compiled, told};
use crate::filter::{FilterPre, WarmFilter};
use crate::input::Input;
use crate::kv::Kv;
use crate::limits::{Bounds, Limits};
use crate::models::Models;
use crate::reach::Outside;
use crate::ready::{Raw, Ready};
use crate::report::Output;
use crate::seat::Seat;
use crate::ticker::Ticker;
use crate::web::{Granted, Web};
use crate::world::World;
use crate::{convert, engine, precompiled, vet};
use serde::Serialize;
use serde_json::Value;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use tidegate_core::PluginName;
use tidegate_core::digest::Digest;
use tidegate_core::port::filter::LooksAt;
use wasmtime::component::Component;
use wasmtime::{Engine, Store};

/// How a component begins, how a core module does, and what compiled code is (ELF).
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
const MODULE: &[u8] = b"\0asm\x01\0\0\0";
const ELF: &[u8] = b"\x7fELF";

/// How many handles of resources an instance may have: a stream is one.
const HANDLES: usize = 64;

/// The longest part of a compiler's message that is passed on.
const SAID_BYTES: usize = 512;

/// Runs plugins. Cheap to clone; the last one to go, plugins included, ends its thread.
#[derive(Debug, Clone)]
pub struct Host(Arc<House>);

#[derive(Debug)]
pub(crate) struct House {
    engine: Engine,
    engine_id: EngineId,
    pub(crate) ticker: Ticker,
    limits: Arc<Limits>,
    pub(crate) outside: Outside,
    /// Instances that are no filters', and those that are.
    inside: Arc<AtomicU32>,
    pub(crate) warm: Arc<AtomicU32>,
    /// The keys and values of plugins, as long as any filter of that name lives.
    kvs: Mutex<HashMap<PluginName, Weak<Kv>>>,
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
    /// What it looks at, if it is a filter; nothing of the three for other worlds.
    #[serde(skip_serializing_if = "is_nothing", serialize_with = "as_words")]
    pub looks_at: LooksAt,
    /// What it asks of the host.
    pub imports: Vec<String>,
    /// The length of the component.
    pub bytes: usize,
    /// The digest of the component.
    pub sha256: Digest,
    /// The JSON Schema of its configuration.
    pub config_schema: Value,
}

fn is_nothing(looks_at: &LooksAt) -> bool {
    *looks_at == LooksAt::default()
}

fn as_words<S: serde::Serializer>(looks_at: &LooksAt, s: S) -> Result<S::Ok, S::Error> {
    let LooksAt { request, answer, stream } = *looks_at;
    let all = [(request, "request"), (answer, "answer"), (stream, "stream")];
    s.collect_seq(all.into_iter().filter_map(|(is_looked_at, word)| is_looked_at.then_some(word)))
}

/// A plugin that is loaded.
pub struct Plugin {
    house: Arc<House>,
    ready: Ready,
    about: About,
    limits: Arc<Limits>,
    label: Arc<str>,
    calls: AtomicU64,
    failures: Failures,
    web: Option<Arc<dyn Web>>,
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
        let (inside, warm) = Default::default();
        let limits = Arc::new(limits);
        let engine_id = EngineId::of(&engine);
        Ok(Self(Arc::new(House { engine, engine_id, ticker, limits, outside, inside, warm, kvs: Mutex::default() })))
    }

    /// Loads a component: looks at its bytes, compiles it, recognises its world, links it and asks it what it is. Takes as
    /// long as compiling does, so it has no place on a thread that serves.
    ///
    /// # Errors
    /// What it is instead, or asks for and is not granted, or did when it was started.
    pub fn load(&self, bytes: &[u8], bounds: Bounds) -> Result<Plugin, Fault> {
        weigh(bytes, bounds.most_bytes(&self.0.limits))?;
        let component = Component::from_binary(&self.0.engine, bytes).map_err(|error| not_compiled(&error))?;
        self.settle(bytes, Digest::of(bytes), &component, bounds)
    }

    /// The same with compiled code from a cache, where there is some that is whole and of this host; else it is compiled by
    /// `compiler`, or in this process where that is `None`, and kept in the cache. Who calls knows the digest of the bytes: it
    /// was compared with a pin, and to make it again would be a sixth of a start.
    ///
    /// # Errors
    /// Like those of [`Host::load`]. That code cannot be kept is only logged.
    pub fn load_cached(
        &self,
        bytes: &[u8],
        sha256: Digest,
        bounds: Bounds,
        cache: &Cache,
        compiler: Option<&Compiler>,
    ) -> Result<Plugin, Fault> {
        debug_assert_eq!(sha256, Digest::of(bytes), "the digest is that of the bytes");
        let (engine, limits) = (&self.0.engine, &*self.0.limits);
        let most = bounds.most_bytes(limits);
        weigh(bytes, most)?;
        let key = Key::of(&self.0.engine_id, &sha256);
        // Code that this host has no room for is compiled code nevertheless: it says what is too large of it.
        let kept = cache.find(&key).map(|kept| precompiled::component(engine, kept.code()));
        let component = match kept {
            Some(Ok(component)) => component,
            Some(Err(error)) if is_too_much(&error) => return Err(not_compiled(&error)),
            Some(Err(_)) | None => {
                let code = match compiler {
                    Some(compiler) => compiler.compile(bytes, most, limits)?,
                    None => compile(engine, bytes)?,
                };
                cache.keep(&key, &code);
                precompiled::component(engine, &code).map_err(|error| {
                    if is_too_much(&error) {
                        return not_compiled(&error);
                    }
                    let says = format!("what was compiled of it is not this host's: {}", short(&error));
                    Fault::new(Kind::Host, says)
                })?
            }
        };
        self.settle(bytes, sha256, &component, bounds)
    }

    /// Makes a plugin of a component that is compiled.
    fn settle(&self, bytes: &[u8], sha256: Digest, component: &Component, bounds: Bounds) -> Result<Plugin, Fault> {
        let house = &self.0;
        let (exports, imports) = house.faces(component);
        let (world, looks_at) = World::recognise(&exports, &bounds.wasi.sifted(&imports)?)?;
        let limits = house.limits.of(world, bounds).map_err(|says| Fault::new(Kind::TooLarge, says))?;
        let limits = Arc::new(limits);
        let misfit = |says: &str| Fault::new(Kind::WrongWorld, format!("it does not fit the world `{world}`: {says}"));
        let ready =
            Ready::link(world, bounds.wasi, &house.engine, component).map_err(|error| misfit(&short(&error)))?;
        let (described, _) =
            house.inside(("new".into(), &house.outside), &limits, limits.load_deadline, "its start", |store| {
                ready.describe(store)
            })?;
        let (name, version, config_schema) = vet::described(described.name, described.version, &described.schema)
            .map_err(|says| Fault::new(Kind::BadOutput, says))?;
        let label = name.as_str().into();
        let bytes = bytes.len();
        let about = About { name, version, world, looks_at, imports, bytes, sha256, config_schema };
        let (calls, failures, web) = Default::default();
        Ok(Plugin { house: Arc::clone(house), ready, about, limits, label, calls, failures, web })
    }
}

/// Compiles a component to code for an engine like this one.
pub(crate) fn compile(engine: &Engine, bytes: &[u8]) -> Result<Vec<u8>, Fault> {
    engine.precompile_component(bytes).map_err(|error| not_compiled(&error))
}

/// Looks at the bytes before anything reads them.
pub(crate) fn weigh(bytes: &[u8], most: usize) -> Result<(), Fault> {
    let not = |says: &str| Err(Fault::new(Kind::NotAComponent, says));
    if bytes.len() > most {
        let says =
            format!("it has {} bytes; {most} are the most that is compiled (raise its limit `size`)", bytes.len());
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

    /// A new store that is bounded in all respects but its time, which is for each call to say.
    pub(crate) fn store(&self, cell: Cell) -> Store<Cell> {
        let copied_bytes = cell.limits().copied_bytes;
        let mut store = Store::new(&self.engine, cell);
        store.limiter(|cell| cell);
        store.set_hostcall_fuel(copied_bytes);
        store.set_max_component_handles(HANDLES);
        store.epoch_deadline_callback(|mut store| Ok(store.data_mut().at_tick()));
        store
    }

    /// The keys and values of a plugin.
    pub(crate) fn kv(&self, name: &PluginName) -> Arc<Kv> {
        let mut kvs = self.kvs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kv) = kvs.get(name).and_then(Weak::upgrade) {
            return kv;
        }
        kvs.retain(|_, kv| kv.strong_count() > 0);
        let kv = Arc::new(Kv::new(Arc::clone(&self.outside.clock), self.limits.filters.kv_bytes));
        kvs.insert(name.clone(), Arc::downgrade(&kv));
        kv
    }

    /// Does something in a new store, which is gone afterwards.
    fn inside<T>(
        &self,
        (plugin, outside): (Arc<str>, &Outside),
        limits: &Arc<Limits>,
        deadline: Duration,
        doing: &str,
        work: impl FnOnce(&mut Store<Cell>) -> wasmtime::Result<T>,
    ) -> Result<(T, Heard), Fault> {
        let most = self.limits.at_once;
        let _seat = Seat::take(&self.inside, most).ok_or_else(|| {
            Fault::new(Kind::Busy, format!("no place for another instance is free: {most} run, which is the most"))
        })?;
        let mut store = self.store(Cell::new(plugin, outside.clone(), Arc::clone(limits)));
        store.data_mut().begin(deadline);
        let running = self.ticker.run();
        store.set_epoch_deadline(Ticker::ticks(deadline));
        let done = work(&mut store);
        drop(running);
        let done = done.map_err(|error| told(&error, store.data(), doing));
        Ok((done?, store.into_data().into_heard()))
    }
}

impl Plugin {
    /// The same under this name, which its windows' faults are told by; else that is its own.
    #[must_use]
    pub fn named(mut self, name: &PluginName) -> Self {
        self.label = name.as_str().into();
        self
    }

    /// The same with other servers to reach, of those that it was granted. Only what looks at windows gets there.
    #[must_use]
    pub fn with_web(mut self, web: Arc<dyn Web>) -> Self {
        self.web = Some(web);
        self
    }

    /// What is known of it.
    #[must_use]
    pub const fn about(&self) -> &About {
        &self.about
    }

    /// A filter of it under this name and with this configuration. Its first instance is made here, so that what it has
    /// against the configuration is said here too.
    ///
    /// # Errors
    /// It is no filter, does not take the configuration, or did something else when it was started.
    pub fn filter(self: &Arc<Self>, name: PluginName, config: &str) -> Result<WarmFilter, Fault> {
        WarmFilter::new(Arc::clone(self), name, config)
    }

    /// How often it was called, whatever came of it.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// How many of its windows failed, by the kinds that occurred ([`Kind::as_str`]); those of a filter count its failures.
    #[must_use]
    pub fn failures(&self) -> Vec<(&'static str, u64)> {
        self.failures.counted()
    }

    /// Has it look at a window, in an instance of its own: configured, called once, dropped. Blocks as long as that takes,
    /// which is [`Limits::deadline`] at most.
    ///
    /// # Errors
    /// Of what kind it is and what happened; the plugin may be called again.
    pub fn call(&self, config: &str, input: &Input) -> Result<Done, Fault> {
        self.call_with(config, input, &self.house.outside.models)
    }

    /// The same, and it may ask these models. What it waits for them is part of its time; it is told that time is over a
    /// little before it is.
    ///
    /// # Errors
    /// Like those of [`Plugin::call`].
    pub fn call_with(&self, config: &str, input: &Input, models: &Arc<dyn Models>) -> Result<Done, Fault> {
        if input.world() != self.about.world {
            let says = format!("it is of the world `{}` and takes no window of `{}`", self.about.world, input.world());
            return Err(Fault::new(Kind::BadInput, says));
        }
        self.calls.fetch_add(1, Ordering::Relaxed);
        let done = self.evaluate(config, input, models);
        if let Err(fault) = &done {
            self.failures.count(fault.kind);
            tracing::warn!(plugin = &*self.label, kind = %fault.kind, "{}", fault.says);
        }
        done
    }

    pub(crate) const fn house(&self) -> &Arc<House> {
        &self.house
    }

    /// What it may take.
    pub(crate) const fn limits(&self) -> &Arc<Limits> {
        &self.limits
    }

    /// What its instances are made of, if it is a filter.
    pub(crate) fn as_filter(&self) -> Option<&FilterPre> {
        match &self.ready {
            Ready::Filter(pre) => Some(pre),
            _ => None,
        }
    }

    fn evaluate(&self, config: &str, input: &Input, models: &Arc<dyn Models>) -> Result<Done, Fault> {
        let began = Instant::now();
        let work = |store: &mut Store<Cell>| {
            store.data_mut().web = Granted::to(self.web.clone());
            self.ready.evaluate(store, config, input)
        };
        let label = Arc::clone(&self.label);
        let outside = Outside { models: Arc::clone(models), ..self.house.outside.clone() };
        let (answer, heard) =
            self.house.inside((label, &outside), &self.limits, self.limits.deadline, "its call", work)?;
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
