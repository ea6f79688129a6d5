//! The component: the world `guardrail-plugin` around `numbers`: long numbers are redacted, and a text with many of them is
//! blocked. Owns the settings of an instance and the way from the contract's types to ours and back.

use self::exports::tidegate::plugin::guardrail::{self, Outcome, Span, Stage, Verdict};
use self::exports::tidegate::plugin::lifecycle;
use self::tidegate::plugin::types::{Error, RequestContext, Severity};
use crate::{Config, numbers};
use std::cell::RefCell;

wit_bindgen::generate!({ path: "wit", world: "guardrail-plugin" });

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

impl guardrail::Guest for Plugin {
    fn check(_ctx: RequestContext, _stage: Stage, text: String) -> Result<Outcome, Error> {
        let (found, block_from) =
            CONFIG.with_borrow(|config| (numbers(&text, config.digits), config.block_from));
        let score = (found.len() as f64 / block_from as f64).min(1.0);
        if found.is_empty() {
            return Ok(Outcome {
                verdict: Verdict::Allow,
                severity: Severity::Info,
                score,
            });
        }
        if found.len() >= block_from {
            let why = "the text has many long numbers: leave them out".to_owned();
            return Ok(Outcome {
                verdict: Verdict::Block(why),
                severity: Severity::Alert,
                score,
            });
        }
        let spans = found.into_iter().map(|(start, end)| Span {
            start: start as u32,
            end: end as u32,
            category: "long_number".to_owned(),
            replacement: Some("[number]".to_owned()),
        });
        Ok(Outcome {
            verdict: Verdict::Redact(spans.collect()),
            severity: Severity::Warn,
            score,
        })
    }
}
