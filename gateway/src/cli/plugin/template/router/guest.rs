//! The component: the world `router-plugin` around `shares`. Owns the settings of an instance and the way from the
//! contract's types to ours and back.

use self::exports::tidegate::plugin::router::{Advice, Arm};
use self::exports::tidegate::plugin::{lifecycle, router};
use self::tidegate::plugin::types::{Error, RequestContext};
use crate::{Config, shares};
use std::cell::RefCell;

wit_bindgen::generate!({ path: "wit", world: "router-plugin" });

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

impl router::Guest for Plugin {
    fn choose(
        _ctx: RequestContext,
        _headers: Vec<(String, String)>,
        _features: Vec<f64>,
        arms: Vec<Arm>,
    ) -> Result<Advice, Error> {
        let seen: Vec<crate::Arm> = arms
            .iter()
            .map(|arm| crate::Arm {
                ready: arm.ready,
                in_flight: arm.in_flight,
                first_byte_ms: arm.first_byte_ms,
            })
            .collect();
        let known = seen
            .iter()
            .filter(|arm| arm.first_byte_ms.is_some())
            .count();
        // The reason stands in the record of the call: facts, never its text.
        Ok(Advice {
            shares: CONFIG.with_borrow(|config| shares(&seen, *config)),
            reason: Some(format!("{known} of {} measured", seen.len())),
        })
    }
}
