//! The component: the world `rag-plugin` around `grounded`. Owns the settings of an instance and the way from the
//! contract's types to ours and back.

use self::exports::tidegate::plugin::{lifecycle, rag};
use self::tidegate::plugin::types::{Error, Measurement, Report, Severity};
use crate::{Config, grounded};
use std::cell::RefCell;

wit_bindgen::generate!({ path: "wit", world: "rag-plugin" });

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

impl rag::Guest for Plugin {
    fn evaluate(samples: Vec<rag::Sample>) -> Result<Vec<Report>, Error> {
        Ok(CONFIG.with_borrow(|config| {
            samples
                .iter()
                .map(|sample| report(sample, config))
                .collect()
        }))
    }
}

fn report(sample: &rag::Sample, config: &Config) -> Report {
    let passages = sample.passages.iter().map(|passage| passage.text.as_str());
    let share = grounded(&sample.answer, passages, config);
    let breached = share.is_ok_and(|share| share < config.threshold);
    let undefined = share
        .err()
        .map(|why| ("undefined".to_owned(), why.to_owned()));
    let measurement = Measurement {
        name: "words_grounded".to_owned(),
        value: share.unwrap_or(f64::NAN),
        threshold: Some(config.threshold),
        p_value: None,
        breached,
        severity: if breached {
            Severity::Warn
        } else {
            Severity::Info
        },
        // A number that is none needs this label: the host refuses the whole report otherwise.
        labels: undefined.into_iter().collect(),
    };
    Report {
        measurements: vec![measurement],
        detail: None,
    }
}
