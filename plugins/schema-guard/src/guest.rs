//! The component: the world `validator-plugin` around [`crate::validate`]. Owns the settings of an instance, and nothing that
//! could be tested without WebAssembly.

use crate::{CONFIG_SCHEMA, Config, Finding, Suite, validate};
use std::cell::Cell;
use tidegate_plugin_sdk::validator::{self as world, Error};
use tidegate_window::Severity;

tidegate_window::contract_types!(tables of tidegate_plugin_sdk::validator);

struct SchemaGuard;

thread_local! {
    /// The settings, once they were given.
    static CONFIG: Cell<Option<Config>> = const { Cell::new(None) };
}

impl world::LifecycleGuest for SchemaGuard {
    fn describe() -> world::PluginInfo {
        world::PluginInfo {
            name: "schema-guard".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config_schema: CONFIG_SCHEMA.to_owned(),
        }
    }

    fn configure(config_json: String) -> Result<(), Error> {
        CONFIG.set(Some(Config::read(&config_json).map_err(Error::BadConfig)?));
        Ok(())
    }
}

impl world::Guest for SchemaGuard {
    fn validate(schema_json: String, data: world::Table) -> Result<Vec<world::Finding>, Error> {
        let config = match CONFIG.get() {
            Some(config) => config,
            None => Config::read("").map_err(Error::BadConfig)?,
        };
        let suite = Suite::read(&schema_json).map_err(Error::BadInput)?;
        Ok(validate(&config, &suite, &contract::table(data)).into_iter().map(finding).collect())
    }
}

fn finding(finding: Finding) -> world::Finding {
    let Finding { rule, column, failed, sample_rows, severity, message } = finding;
    let severity = match severity {
        Severity::Info => world::Severity::Info,
        Severity::Warn => world::Severity::Warn,
        Severity::Alert => world::Severity::Alert,
        Severity::Critical => world::Severity::Critical,
    };
    world::Finding { rule, column, failed, sample_rows, severity, message }
}

world::export!(SchemaGuard with_types_in tidegate_plugin_sdk::validator::bindings);
