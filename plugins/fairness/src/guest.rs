//! The component: the world `fairness-plugin` around [`crate::evaluate`]. Owns the settings of an instance, and nothing that
//! could be tested without WebAssembly.

use crate::{CONFIG_SCHEMA, Config};
use std::cell::RefCell;
use tidegate_plugin_sdk::fairness::{self as world, Error};
use tidegate_window::Roles;

tidegate_window::contract_types!(tables of tidegate_plugin_sdk::fairness);
tidegate_window::contract_types!(reports of tidegate_plugin_sdk::fairness);

struct Fairness;

thread_local! {
    /// The settings, once they were given.
    static CONFIG: RefCell<Option<Config>> = const { RefCell::new(None) };
}

impl world::LifecycleGuest for Fairness {
    fn describe() -> world::PluginInfo {
        world::PluginInfo {
            name: "fairness".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config_schema: CONFIG_SCHEMA.to_owned(),
        }
    }

    fn configure(config_json: String) -> Result<(), Error> {
        CONFIG.set(Some(Config::read(&config_json).map_err(Error::BadConfig)?));
        Ok(())
    }
}

impl world::Guest for Fairness {
    fn evaluate(_window: world::Window, data: world::Table, roles: world::Roles) -> Result<world::Report, Error> {
        let world::Roles { prediction, score, label, protected, positive, min_group_size } = roles;
        let roles = Roles { prediction, score, label, protected, positive, min_group_size };
        let config = match CONFIG.take() {
            Some(config) => config,
            None => Config::read("").map_err(Error::BadConfig)?,
        };
        let evaluated = crate::evaluate(&config, &contract::table(data), &roles);
        CONFIG.set(Some(config));
        evaluated.map(said::report).map_err(|fault| Error::BadInput(fault.to_string()))
    }
}

world::export!(Fairness with_types_in tidegate_plugin_sdk::fairness::bindings);
