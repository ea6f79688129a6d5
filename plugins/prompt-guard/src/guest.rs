//! The component: the world `filter-plugin` around [`crate::filter`]. Owns the settings of an instance, and nothing that could be
//! tested without WebAssembly.

use crate::filter::request;
use crate::{CONFIG_SCHEMA, Config};
use std::cell::RefCell;
use std::rc::Rc;
use tidegate_plugin_sdk::filter::{self as world, Error};

tidegate_view::contract_view!(tidegate_plugin_sdk::filter);

struct Guard;

thread_local! {
    /// The settings, once they were given.
    static CONFIG: RefCell<Option<Rc<Config>>> = const { RefCell::new(None) };
}

fn config() -> Result<Rc<Config>, Error> {
    CONFIG.with_borrow(Clone::clone).map_or_else(|| Config::read("").map(Rc::new).map_err(Error::BadConfig), Ok)
}

impl world::LifecycleGuest for Guard {
    fn describe() -> world::PluginInfo {
        world::PluginInfo {
            name: "prompt-guard".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config_schema: CONFIG_SCHEMA.to_owned(),
        }
    }

    fn configure(config_json: String) -> Result<(), Error> {
        CONFIG.set(Some(Rc::new(Config::read(&config_json).map_err(Error::BadConfig)?)));
        Ok(())
    }
}

impl world::RequestGuest for Guard {
    fn on_request(
        _ctx: world::RequestContext,
        _headers: world::Headers,
        messages: Vec<world::Message>,
    ) -> Result<world::Outcome, Error> {
        Ok(view::outcome(request(&*config()?, &view::messages(messages))))
    }
}

/// Answers are the model's own.
impl world::ResponseGuest for Guard {
    fn on_response(_ctx: world::RequestContext, _choices: Vec<world::Message>) -> Result<world::Outcome, Error> {
        Ok(view::outcome(tidegate_view::Outcome::pass()))
    }
}

impl world::StreamGuest for Guard {
    type AnswerStream = Never;
}

/// No stream is looked at.
enum Never {}

impl world::GuestAnswerStream for Never {
    fn open(_ctx: world::RequestContext) -> Result<Option<world::AnswerStream>, Error> {
        Ok(None)
    }

    fn on_delta(&self, _place: world::Place, _text: String) -> Result<world::DeltaAction, Error> {
        match *self {}
    }

    fn on_end(&self, _choice: u32, _finish_reason: String) -> Result<Vec<world::Held>, Error> {
        match *self {}
    }
}

world::export!(Guard with_types_in tidegate_plugin_sdk::filter::bindings);
