//! A component that is compiled, linked and known by its types, one form a world. Owns what is called in an instance and in
//! which order; the bounds are its store's.

use crate::bindings::rag::tidegate::plugin::types as wit;
use crate::bindings::validator::exports::tidegate::plugin::validator::Finding;
use crate::bindings::{drift, fairness, rag, validator};
use crate::cell::Cell;
use crate::convert;
use crate::filter::FilterPre;
use crate::imports::Cells;
use crate::input::Input;
use crate::wasi::Wasi;
use crate::world::World;
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store};

/// What can be instantiated.
pub(crate) enum Ready {
    Drift(drift::DriftPluginPre<Cell>),
    Fairness(fairness::FairnessPluginPre<Cell>),
    Rag(rag::RagPluginPre<Cell>),
    Validator(validator::ValidatorPluginPre<Cell>),
    Filter(Box<FilterPre>),
}

/// What a plugin says of itself, not looked at yet.
pub(crate) struct Described {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) schema: String,
}

/// What an evaluator gave back, not looked at yet.
pub(crate) enum Raw {
    Report(wit::Report),
    Reports(Vec<wit::Report>),
    Findings(Vec<Finding>),
}

/// What a call of a guest gives: a trap, or what the contract says.
type Answer<T> = wasmtime::Result<Result<T, wit::Error>>;

/// Makes an instance and asks it what it is. Each world has types of its own for that.
macro_rules! described {
    ($pre:expr, $store:expr) => {{
        let instance = $pre.instantiate(&mut *$store)?;
        let info = instance.tidegate_plugin_lifecycle().call_describe(&mut *$store)?;
        Ok(Described { name: info.name, version: info.version, schema: info.config_schema })
    }};
}

/// Makes an instance and gives it its configuration, or gives back what it has against it.
macro_rules! configured {
    ($pre:expr, $store:expr, $config:expr) => {{
        let instance = $pre.instantiate(&mut *$store)?;
        if let Err(error) = instance.tidegate_plugin_lifecycle().call_configure(&mut *$store, $config)? {
            return Ok(Err(error));
        }
        instance
    }};
}

impl Ready {
    /// Links a component to the imports of its world and to what it is granted of WASI, and looks whether its exports have the types of it.
    pub(crate) fn link(world: World, wasi: Wasi, engine: &Engine, component: &Component) -> wasmtime::Result<Self> {
        let mut linker = Linker::<Cell>::new(engine);
        wasi.link(&mut linker, engine, component)?;
        Ok(match world {
            World::Drift => {
                drift::DriftPlugin::add_to_linker::<_, Cells>(&mut linker, |cell| cell)?;
                Self::Drift(drift::DriftPluginPre::new(linker.instantiate_pre(component)?)?)
            }
            World::Fairness => {
                fairness::FairnessPlugin::add_to_linker::<_, Cells>(&mut linker, |cell| cell)?;
                Self::Fairness(fairness::FairnessPluginPre::new(linker.instantiate_pre(component)?)?)
            }
            World::Rag => {
                rag::RagPlugin::add_to_linker::<_, Cells>(&mut linker, |cell| cell)?;
                Self::Rag(rag::RagPluginPre::new(linker.instantiate_pre(component)?)?)
            }
            World::Validator => {
                validator::ValidatorPlugin::add_to_linker::<_, Cells>(&mut linker, |cell| cell)?;
                Self::Validator(validator::ValidatorPluginPre::new(linker.instantiate_pre(component)?)?)
            }
            World::RequestFilter
            | World::ResponseFilter
            | World::StreamFilter
            | World::Filter
            | World::Guardrail
            | World::Router => Self::Filter(Box::new(FilterPre::link(&mut linker, component)?)),
        })
    }

    /// Asks a new instance what it is.
    pub(crate) fn describe(&self, store: &mut Store<Cell>) -> wasmtime::Result<Described> {
        match self {
            Self::Drift(pre) => described!(pre, store),
            Self::Fairness(pre) => described!(pre, store),
            Self::Rag(pre) => described!(pre, store),
            Self::Validator(pre) => described!(pre, store),
            Self::Filter(pre) => pre.describe(store),
        }
    }

    /// Configures a new instance and has it look at a window. `None` where the window is of another world.
    pub(crate) fn evaluate(&self, store: &mut Store<Cell>, config: &str, input: &Input) -> Answer<Option<Raw>> {
        Ok(match (self, input) {
            (Self::Drift(pre), Input::Drift { window, reference, current }) => {
                let instance = configured!(pre, store, config);
                let (window, tables) = (convert::window(window), (convert::table(reference), convert::table(current)));
                let called = instance.tidegate_plugin_drift().call_evaluate(store, &window, &tables.0, &tables.1)?;
                called.map(|report| Some(Raw::Report(report)))
            }
            (Self::Fairness(pre), Input::Fairness { window, data, roles }) => {
                let instance = configured!(pre, store, config);
                let (window, data, roles) = (convert::window(window), convert::table(data), convert::roles(roles));
                let called = instance.tidegate_plugin_fairness().call_evaluate(store, &window, &data, &roles)?;
                called.map(|report| Some(Raw::Report(report)))
            }
            (Self::Rag(pre), Input::Rag { samples }) => {
                let instance = configured!(pre, store, config);
                let called = instance.tidegate_plugin_rag().call_evaluate(store, &convert::samples(samples))?;
                called.map(|reports| Some(Raw::Reports(reports)))
            }
            (Self::Validator(pre), Input::Validator { schema, data }) => {
                let instance = configured!(pre, store, config);
                let called =
                    instance.tidegate_plugin_validator().call_validate(store, schema, &convert::table(data))?;
                called.map(|findings| Some(Raw::Findings(findings)))
            }
            _ => Ok(None),
        })
    }
}
