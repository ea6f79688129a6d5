//! What the contract's imports do: log, metrics, clock, random, registry, models, kv; http-out is `web`'s. Each call counts
//! against the budget of the instance. Owns no state: that is the `cell`'s.

use crate::bindings::filters::tidegate::plugin as filters;
use crate::bindings::rag::tidegate::plugin as wit;
use crate::cell::{Cell, Metric, MetricKind};
use crate::convert;
use crate::kv::{Kv, Unkept};
use crate::models::{Generate, Message};
use crate::reach::Unreached;
use std::time::Duration;
use wasmtime::component::HasData;
use wit::types::HostError;

/// Says that a store's whole data is what the imports work on.
pub(crate) struct Cells;

impl HasData for Cells {
    type Data<'a> = &'a mut Cell;
}

/// Where the lines of plugins stand in the program's log.
const TARGET: &str = "tidegate_host::plugin";

impl wit::types::Host for Cell {}

impl wit::log::Host for Cell {
    fn log(&mut self, level: wit::log::Level, message: String) -> wasmtime::Result<()> {
        self.count_call()?;
        self.say(level, &message);
        Ok(())
    }
}

impl Cell {
    /// Puts a line into the log, as far as there is room for it.
    pub(crate) fn say(&mut self, level: wit::log::Level, message: &str) {
        use wit::log::Level;
        let name = match level {
            Level::Trace => "trace",
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        };
        let plugin = std::sync::Arc::clone(&self.plugin);
        let Some(line) = self.keep_line(name, message) else { return };
        let (plugin, text) = (&*plugin, line.text.as_str());
        match level {
            Level::Trace => tracing::trace!(target: TARGET, plugin, "{text}"),
            Level::Debug => tracing::debug!(target: TARGET, plugin, "{text}"),
            Level::Info => tracing::info!(target: TARGET, plugin, "{text}"),
            Level::Warn => tracing::warn!(target: TARGET, plugin, "{text}"),
            Level::Error => tracing::error!(target: TARGET, plugin, "{text}"),
        }
    }
}

type Labels = Vec<(String, String)>;

impl wit::metrics::Host for Cell {
    fn count(&mut self, name: String, by: u64, labels: Labels) -> wasmtime::Result<()> {
        self.count_call()?;
        #[expect(clippy::cast_precision_loss, reason = "beyond 2^53 a count is as good as its neighbour")]
        let value = by as f64;
        self.keep_metric(Metric { kind: MetricKind::Count, name, value, labels });
        Ok(())
    }

    fn gauge(&mut self, name: String, value: f64, labels: Labels) -> wasmtime::Result<()> {
        self.count_call()?;
        self.keep_metric(Metric { kind: MetricKind::Gauge, name, value, labels });
        Ok(())
    }

    fn observe(&mut self, name: String, value: f64, labels: Labels) -> wasmtime::Result<()> {
        self.count_call()?;
        self.keep_metric(Metric { kind: MetricKind::Observation, name, value, labels });
        Ok(())
    }
}

impl wit::clock::Host for Cell {
    fn wall_ms(&mut self) -> wasmtime::Result<u64> {
        self.count_call()?;
        Ok(self.outside.clock.unix_ms())
    }

    fn monotonic_ns(&mut self) -> wasmtime::Result<u64> {
        self.count_call()?;
        Ok(self.lived_ns())
    }
}

impl wit::random::Host for Cell {
    fn next_u64(&mut self) -> wasmtime::Result<u64> {
        self.count_call()?;
        Ok(self.outside.dice.next_u64())
    }
}

/// What an import gives back: a trap, or what the contract says.
type Answer<T> = wasmtime::Result<Result<T, HostError>>;

impl wit::registry::Host for Cell {
    fn model_card(&mut self, model: String, version: String) -> Answer<String> {
        self.count_call()?;
        Ok(self.outside.registry.model_card(&model, &version).map_err(said))
    }

    fn resolve_alias(&mut self, model: String, alias: String) -> Answer<String> {
        self.count_call()?;
        Ok(self.outside.registry.resolve_alias(&model, &alias).map_err(said))
    }

    fn baseline(&mut self, model: String, version: String, columns: Vec<String>) -> Answer<wit::types::Table> {
        self.count_call()?;
        let found = self.outside.registry.baseline(&model, &version, &columns);
        Ok(found.map(|frame| convert::table(&frame)).map_err(said))
    }

    fn baseline_histogram(&mut self, model: String, version: String, column: String) -> Answer<(Vec<f64>, Vec<f64>)> {
        self.count_call()?;
        Ok(self.outside.registry.baseline_histogram(&model, &version, &column).map_err(said))
    }

    fn prompt(&mut self, name: String, version: String) -> Answer<String> {
        self.count_call()?;
        Ok(self.outside.registry.prompt(&name, &version).map_err(said))
    }
}

fn said(unreached: Unreached) -> HostError {
    match unreached {
        Unreached::Denied(says) => HostError::Denied(says),
        Unreached::NotFound => HostError::NotFound,
        Unreached::Quota(says) => HostError::Quota(says),
        Unreached::Timeout => HostError::Timeout,
        Unreached::Unavailable(says) => HostError::Unavailable(says),
    }
}

impl wit::models::Host for Cell {
    fn generate(
        &mut self,
        messages: Vec<wit::models::Message>,
        options: wit::models::GenerateOptions,
    ) -> Answer<wit::models::Generation> {
        self.count_call()?;
        let Some(within) = self.may_wait() else { return Ok(Err(HostError::Timeout)) };
        let wit::models::GenerateOptions { model, max_tokens, temperature, seed, json_schema } = options;
        let messages = messages.into_iter().map(|wit::models::Message { role, content }| Message { role, content });
        let asked = Generate { model, messages: messages.collect(), max_tokens, temperature, seed, json_schema };
        let said = self.outside.models.generate(&asked, within).map_err(self::said);
        Ok(said.map(|said| wit::models::Generation {
            text: said.text,
            prompt_tokens: said.prompt_tokens,
            completion_tokens: said.completion_tokens,
            finish_reason: said.finish_reason,
        }))
    }

    fn embed(&mut self, model: String, inputs: Vec<String>) -> Answer<wit::models::Embeddings> {
        self.count_call()?;
        let Some(within) = self.may_wait() else { return Ok(Err(HostError::Timeout)) };
        let found = self.outside.models.embed(&model, &inputs, within).map_err(said);
        Ok(found.map(|found| wit::models::Embeddings { dim: found.dim, values: found.values }))
    }
}

impl filters::types::Host for Cell {}

impl filters::view::Host for Cell {}

/// The same of the imports that only filters have.
type FilterAnswer<T> = wasmtime::Result<Result<T, filters::types::HostError>>;

impl Cell {
    /// Counts a call and does it on the plugin's keys and values.
    fn on_kv<T>(&mut self, does: impl FnOnce(&Kv) -> Result<T, Unkept>) -> FilterAnswer<T> {
        use filters::types::HostError;
        self.count_call()?;
        let Some(shared) = &self.shared else {
            return Ok(Err(HostError::Denied("this plugin has no keys and values".to_owned())));
        };
        Ok(does(&shared.kv).map_err(|unkept| match unkept {
            Unkept::Quota(says) => HostError::Quota(says),
            Unkept::Conflict => HostError::Conflict,
        }))
    }
}

impl filters::kv::Host for Cell {
    fn get(&mut self, key: String) -> FilterAnswer<Option<Vec<u8>>> {
        self.on_kv(|kv| Ok(kv.get(&key)))
    }

    fn set(&mut self, key: String, value: Vec<u8>, ttl_ms: Option<u64>) -> FilterAnswer<()> {
        self.on_kv(|kv| kv.set(key, value, ttl_ms.map(Duration::from_millis)))
    }

    fn delete(&mut self, key: String) -> FilterAnswer<()> {
        self.on_kv(|kv| {
            kv.delete(&key);
            Ok(())
        })
    }

    fn incr(&mut self, key: String, by: i64) -> FilterAnswer<i64> {
        self.on_kv(|kv| kv.incr(key, by))
    }

    fn compare_and_set(&mut self, key: String, expected: Option<Vec<u8>>, value: Vec<u8>) -> FilterAnswer<bool> {
        self.on_kv(|kv| kv.compare_and_set(key, expected.as_deref(), value))
    }
}
