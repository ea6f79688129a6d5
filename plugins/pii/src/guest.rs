//! The component: the world `filter-plugin` around [`crate::filter`]. Owns the settings of an instance and its streams, and
//! nothing that could be tested without WebAssembly.

use crate::filter::{Stream, answer, request};
use crate::{CONFIG_SCHEMA, Config};
use std::cell::RefCell;
use std::rc::Rc;
use tidegate_plugin_sdk::filter::{self as world, Error};

tidegate_view::contract_view!(tidegate_plugin_sdk::filter);

struct Pii;

thread_local! {
    /// The settings, once they were given.
    static CONFIG: RefCell<Option<Rc<Config>>> = const { RefCell::new(None) };
}

fn config() -> Result<Rc<Config>, Error> {
    CONFIG.with_borrow(Clone::clone).map_or_else(|| Config::read("").map(Rc::new).map_err(Error::BadConfig), Ok)
}

impl world::LifecycleGuest for Pii {
    fn describe() -> world::PluginInfo {
        world::PluginInfo {
            name: "pii".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config_schema: CONFIG_SCHEMA.to_owned(),
        }
    }

    fn configure(config_json: String) -> Result<(), Error> {
        CONFIG.set(Some(Rc::new(Config::read(&config_json).map_err(Error::BadConfig)?)));
        Ok(())
    }
}

impl world::RequestGuest for Pii {
    fn on_request(
        _ctx: world::RequestContext,
        _headers: world::Headers,
        messages: Vec<world::Message>,
    ) -> Result<world::Outcome, Error> {
        Ok(view::outcome(request(&*config()?, &view::messages(messages))))
    }
}

impl world::ResponseGuest for Pii {
    fn on_response(_ctx: world::RequestContext, choices: Vec<world::Message>) -> Result<world::Outcome, Error> {
        Ok(view::outcome(answer(&*config()?, &view::messages(choices))))
    }
}

impl world::StreamGuest for Pii {
    type AnswerStream = Running;
}

/// One stream.
struct Running {
    config: Rc<Config>,
    stream: RefCell<Stream>,
}

impl world::GuestAnswerStream for Running {
    fn open(_ctx: world::RequestContext) -> Result<Option<world::AnswerStream>, Error> {
        let running = Self { config: config()?, stream: RefCell::default() };
        Ok(Some(world::AnswerStream::new(running)))
    }

    fn on_delta(&self, place: world::Place, text: String) -> Result<world::DeltaAction, Error> {
        let action = self.stream.borrow_mut().delta(&self.config, view::place(place), &text);
        Ok(view::delta(action))
    }

    fn on_end(&self, choice: u32, _finish_reason: String) -> Result<Vec<world::Held>, Error> {
        Ok(self.stream.borrow_mut().end(&self.config, choice).into_iter().map(view::held).collect())
    }
}

world::export!(Pii with_types_in tidegate_plugin_sdk::filter::bindings);
