//! The component: the world `rag-plugin` around [`crate::evaluate`]. Owns the settings of an instance and the way to the
//! gateway's models, and nothing that could be tested without WebAssembly.

use crate::judge::{Models, Unreached};
use crate::sample::{Passage, Sample};
use crate::{CONFIG_SCHEMA, Config};
use std::cell::RefCell;
use tidegate_plugin_sdk::rag::{self as world, Error, HostError, log, models};

tidegate_window::contract_types!(reports of tidegate_plugin_sdk::rag);

struct RagEval;

thread_local! {
    /// The settings, once they were given.
    static CONFIG: RefCell<Option<Config>> = const { RefCell::new(None) };
}

impl world::LifecycleGuest for RagEval {
    fn describe() -> world::PluginInfo {
        world::PluginInfo {
            name: "rag-eval".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config_schema: CONFIG_SCHEMA.to_owned(),
        }
    }

    fn configure(config_json: String) -> Result<(), Error> {
        CONFIG.set(Some(Config::read(&config_json).map_err(Error::BadConfig)?));
        Ok(())
    }
}

impl world::Guest for RagEval {
    fn evaluate(samples: Vec<world::Sample>) -> Result<Vec<world::Report>, Error> {
        let samples: Vec<Sample> = samples.into_iter().map(sample).collect();
        let config = match CONFIG.take() {
            Some(config) => config,
            None => Config::read("").map_err(Error::BadConfig)?,
        };
        let reports = crate::evaluate(&config, &samples, &Gateway);
        CONFIG.set(Some(config));
        for line in crate::left_out(&reports) {
            log::log(log::Level::Warn, &line);
        }
        Ok(reports.into_iter().map(said::report).collect())
    }
}

fn sample(given: world::Sample) -> Sample {
    let world::Sample { request_id, question, passages, answer, reference, relevant_ids } = given;
    let passages = passages.into_iter().map(|world::Passage { id, text, score }| Passage { id, text, score });
    Sample { request_id, question, passages: passages.collect(), answer, reference, relevant_ids }
}

/// The gateway's models, by the contract.
struct Gateway;

impl Models for Gateway {
    fn generate(&self, model: &str, messages: [&str; 2], max_tokens: u32, schema: &str) -> Result<String, Unreached> {
        let message =
            |role: &str, content: &str| models::Message { role: role.to_owned(), content: content.to_owned() };
        let [system, user] = messages;
        let options = models::GenerateOptions {
            model: model.to_owned(),
            max_tokens,
            temperature: 0.0,
            seed: Some(0),
            json_schema: Some(schema.to_owned()),
        };
        let said = models::generate(&[message("system", system), message("user", user)], &options);
        said.map(|generation| generation.text).map_err(unreached)
    }

    fn embed(&self, model: &str, texts: &[&str]) -> Result<Vec<Vec<f64>>, Unreached> {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        let models::Embeddings { dim, values } = models::embed(model, &texts).map_err(unreached)?;
        let dim = usize::try_from(dim).unwrap_or(0).max(1);
        Ok(values.chunks_exact(dim).map(|row| row.iter().copied().map(f64::from).collect()).collect())
    }
}

fn unreached(error: HostError) -> Unreached {
    match error {
        HostError::Denied(why) => Unreached::Denied(why),
        HostError::NotFound => Unreached::Failed("there is no such model".to_owned()),
        HostError::Quota(why) => Unreached::Failed(format!("the quota of tokens is used up: {why}")),
        HostError::Timeout => Unreached::Failed("the model took too long".to_owned()),
        HostError::Conflict => Unreached::Failed("the model was in conflict".to_owned()),
        HostError::Unavailable(why) => Unreached::Failed(format!("the model cannot be reached: {why}")),
    }
}

world::export!(RagEval with_types_in tidegate_plugin_sdk::rag::bindings);
