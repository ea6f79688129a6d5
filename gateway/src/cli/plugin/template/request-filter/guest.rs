//! The component: the world `request-filter-plugin` around `count`: a call in which a caller wrote one of the words is
//! refused. Owns the settings of an instance and the way from the contract's types to ours and back.

use self::exports::tidegate::plugin::{lifecycle, request_filter};
use self::tidegate::plugin::types::{Error, RequestContext};
use self::tidegate::plugin::view::{Action, Message, Outcome, PartKind, Refusal};
use crate::{Config, count};
use std::cell::RefCell;

wit_bindgen::generate!({ path: "wit", world: "request-filter-plugin" });

struct Plugin;
export!(Plugin);

thread_local! {
    static CONFIG: RefCell<Config> = RefCell::default();
}

impl lifecycle::Guest for Plugin {
    fn describe() -> lifecycle::PluginInfo {
        lifecycle::PluginInfo {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config_schema: include_str!("../config.schema.json").to_owned(),
        }
    }

    fn configure(config_json: String) -> Result<(), Error> {
        CONFIG.set(Config::read(&config_json).map_err(Error::BadConfig)?);
        Ok(())
    }
}

impl request_filter::Guest for Plugin {
    fn on_request(
        _ctx: RequestContext,
        _headers: Vec<(String, String)>,
        messages: Vec<Message>,
    ) -> Result<Outcome, Error> {
        // The route's own prompt is trusted; an image or a sound has no text.
        let parts = messages.iter().flat_map(|message| &message.parts);
        let written = parts.filter(|part| part.untrusted && part.kind != PartKind::Other);
        let found = CONFIG.with_borrow(|config| {
            written
                .map(|part| count(&part.text, &config.words))
                .sum::<usize>()
        });
        if found == 0 {
            return Ok(Outcome {
                action: Action::Pass,
                annotations: Vec::new(),
            });
        }
        let refusal = Refusal {
            status: 400,
            code: "word_not_allowed".to_owned(),
            message: "the call has a word that is not allowed here: leave it out".to_owned(),
        };
        // Annotations stand in the record of the call: facts, never its text.
        Ok(Outcome {
            action: Action::Refuse(refusal),
            annotations: vec![("words".to_owned(), found.to_string())],
        })
    }
}
