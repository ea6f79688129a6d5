//! The component: the world `response-filter-plugin` around `mask`: the words are masked in whole answers. Owns the settings
//! of an instance and the way from the contract's types to ours and back.

use self::exports::tidegate::plugin::{lifecycle, response_filter};
use self::tidegate::plugin::types::{Error, RequestContext};
use self::tidegate::plugin::view::{Action, Edit, Message, Outcome, PartKind};
use crate::{Config, mask};
use std::cell::RefCell;

wit_bindgen::generate!({ path: "wit", world: "response-filter-plugin" });

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

impl response_filter::Guest for Plugin {
    fn on_response(_ctx: RequestContext, choices: Vec<Message>) -> Result<Outcome, Error> {
        Ok(masked(&choices))
    }
}

/// The same texts, masked: an edit for each part in which one of the words stands.
fn masked(messages: &[Message]) -> Outcome {
    let (mut edits, mut found) = (Vec::new(), 0);
    CONFIG.with_borrow(|config| {
        for (message, of) in (0u32..).zip(messages) {
            for (part, of) in (0u32..).zip(&of.parts) {
                // What is trusted is the route's own and cannot be edited; an image or a sound has no text.
                if !of.untrusted || of.kind == PartKind::Other {
                    continue;
                }
                let (text, count) = mask(&of.text, &config.words);
                if count > 0 {
                    edits.push(Edit {
                        message,
                        part,
                        text,
                    });
                    found += count;
                }
            }
        }
    });
    let annotations = if found > 0 {
        vec![("masked".to_owned(), found.to_string())]
    } else {
        Vec::new()
    };
    let action = if edits.is_empty() {
        Action::Pass
    } else {
        Action::Edit(edits)
    };
    Outcome {
        action,
        annotations,
    }
}
