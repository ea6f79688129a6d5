//! The component: the world `stream-filter-plugin` around `flow`: the words are masked in streamed answers. Owns the
//! settings of an instance, what is held of each stream, and the way from the contract's types to ours and back.

use self::exports::tidegate::plugin::lifecycle;
use self::exports::tidegate::plugin::stream_filter::{
    self, AnswerStream, DeltaAction, Held, Place,
};
use self::tidegate::plugin::types::{Error, RequestContext};
use crate::{Config, flow, mask};
use std::cell::RefCell;

wit_bindgen::generate!({ path: "wit", world: "stream-filter-plugin" });

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

/// What is known of one stream: what is held of each place.
struct Stream {
    words: Vec<String>,
    held: RefCell<Vec<(Place, String)>>,
}

impl stream_filter::Guest for Plugin {
    type AnswerStream = Stream;
}

impl stream_filter::GuestAnswerStream for Stream {
    fn open(_ctx: RequestContext) -> Result<Option<AnswerStream>, Error> {
        let words = CONFIG.with_borrow(|config| config.words.clone());
        if words.is_empty() {
            return Ok(None);
        }
        Ok(Some(AnswerStream::new(Self {
            words,
            held: RefCell::default(),
        })))
    }

    fn on_delta(&self, place: Place, text: String) -> Result<DeltaAction, Error> {
        let mut held = self.held.borrow_mut();
        let at = held
            .iter()
            .position(|(other, _)| is_same(*other, place))
            .unwrap_or_else(|| {
                held.push((place, String::new()));
                held.len() - 1
            });
        let of = &mut held[at].1;
        let had_nothing = of.is_empty();
        let (out, _) = flow(of, &text, &self.words);
        Ok(match out.is_empty() {
            true if text.is_empty() => DeltaAction::Pass,
            true => DeltaAction::Hold,
            false if had_nothing && out == text => DeltaAction::Pass,
            false => DeltaAction::Replace(out),
        })
    }

    fn on_end(&self, choice: u32, _finish_reason: String) -> Result<Vec<Held>, Error> {
        let mut held = self.held.borrow_mut();
        let (ended, open) = held
            .drain(..)
            .partition(|(place, _)| place.choice == choice);
        *held = open;
        let ended: Vec<(Place, String)> = ended;
        let last = ended.into_iter().filter(|(_, text)| !text.is_empty());
        Ok(last
            .map(|(place, text)| Held {
                place,
                text: mask(&text, &self.words).0,
            })
            .collect())
    }
}

fn is_same(a: Place, b: Place) -> bool {
    (a.choice, a.kind, a.index) == (b.choice, b.kind, b.index)
}
