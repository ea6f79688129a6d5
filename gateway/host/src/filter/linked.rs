//! A filter that is compiled and linked, and the functions of an instance of it. Owns which exports there may be; a component
//! has those of its world, each looked up once for an instance.

use crate::bindings::filters as bound;
use crate::cell::Cell;
use crate::imports::Cells;
use crate::ready::Described;
use bound::exports::tidegate::plugin as exports;
use wasmtime::Store;
use wasmtime::component::{Component, InstancePre, Linker};

/// What can be instantiated.
pub(crate) struct FilterPre {
    pre: InstancePre<Cell>,
    lifecycle: exports::lifecycle::GuestIndices,
    request: Option<exports::request_filter::GuestIndices>,
    answer: Option<exports::response_filter::GuestIndices>,
    stream: Option<exports::stream_filter::GuestIndices>,
    guardrail: Option<exports::guardrail::GuestIndices>,
    router: Option<exports::router::GuestIndices>,
}

/// The functions of an instance.
pub(crate) struct Guests {
    pub(crate) lifecycle: exports::lifecycle::Guest,
    pub(crate) request: Option<exports::request_filter::Guest>,
    pub(crate) answer: Option<exports::response_filter::Guest>,
    pub(crate) stream: Option<exports::stream_filter::Guest>,
    pub(crate) guardrail: Option<exports::guardrail::Guest>,
    pub(crate) router: Option<exports::router::Guest>,
}

impl FilterPre {
    /// Links a component to the imports of filters. What of these its world does not grant it does not import: that was
    /// looked at before.
    pub(crate) fn link(linker: &mut Linker<Cell>, component: &Component) -> wasmtime::Result<Self> {
        bound::Filters::add_to_linker::<_, Cells>(linker, |cell| cell)?;
        let pre = linker.instantiate_pre(component)?;
        Ok(Self {
            lifecycle: exports::lifecycle::GuestIndices::new(&pre)?,
            request: exports::request_filter::GuestIndices::new(&pre).ok(),
            answer: exports::response_filter::GuestIndices::new(&pre).ok(),
            stream: exports::stream_filter::GuestIndices::new(&pre).ok(),
            guardrail: exports::guardrail::GuestIndices::new(&pre).ok(),
            router: exports::router::GuestIndices::new(&pre).ok(),
            pre,
        })
    }

    /// Makes an instance, whose functions have the types of the contract or it is none.
    pub(crate) fn instantiate(&self, store: &mut Store<Cell>) -> wasmtime::Result<Guests> {
        let instance = self.pre.instantiate(&mut *store)?;
        /// The functions of an interface, where the component exports it.
        macro_rules! load {
            ($indices:expr) => {
                $indices.as_ref().map(|indices| indices.load(&mut *store, &instance)).transpose()?
            };
        }
        Ok(Guests {
            lifecycle: self.lifecycle.load(&mut *store, &instance)?,
            request: load!(self.request),
            answer: load!(self.answer),
            stream: load!(self.stream),
            guardrail: load!(self.guardrail),
            router: load!(self.router),
        })
    }

    /// Asks a new instance what it is.
    pub(crate) fn describe(&self, store: &mut Store<Cell>) -> wasmtime::Result<Described> {
        let info = self.instantiate(store)?.lifecycle.call_describe(&mut *store)?;
        Ok(Described { name: info.name, version: info.version, schema: info.config_schema })
    }
}
