//! Local models: files to engines. Owns the choice between a language model and an embedding model.

use crate::pull::{ModelFiles, ModelKind};
use anyhow::Context as _;
use std::sync::Arc;
use tidegate_core::port::backend::Backend;
use tidegate_core::spec::{LocalSpec, ModelSpec, Speculation};
use tidegate_core::{Clock, Dice};
use tidegate_engine::openai::{LocalEmbedder, LocalGenerator};
use tidegate_engine::{EmbedOptions, Embedder, Engine, EngineOptions};

/// Loads a model; it takes a while and some memory, so it does not run on the runtime's threads.
///
/// # Errors
/// The files are damaged, or of a kind that the engine does not run.
pub(crate) async fn load(
    model: &ModelSpec,
    local: &LocalSpec,
    files: ModelFiles,
    clock: Arc<dyn Clock>,
    dice: Arc<dyn Dice>,
) -> anyhow::Result<Arc<dyn Backend>> {
    let (name, local, context) = (model.name.clone(), local.clone(), model.context_length);
    super::pages::allow_huge();
    let began = clock.now();
    let time = Arc::clone(&clock);
    let backend = tokio::task::spawn_blocking(move || build(&local, context, files, clock, dice))
        .await
        .context("loading was cut short")??;
    let took = time.now().saturating_duration_since(began);
    tracing::info!(model = %name, ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX), "model loaded");
    Ok(backend)
}

fn build(
    local: &LocalSpec,
    context: Option<u32>,
    files: ModelFiles,
    clock: Arc<dyn Clock>,
    dice: Arc<dyn Dice>,
) -> anyhow::Result<Arc<dyn Backend>> {
    let threads = local.threads.unwrap_or(0);
    Ok(match files.kind {
        ModelKind::Gguf { path } => {
            let kv_cache_bytes =
                usize::try_from(local.kv_cache).context("kv_cache is larger than this machine can address")?;
            let options = EngineOptions {
                kv_cache_bytes,
                context: context.map(|tokens| tokens as usize),
                threads,
                max_batch: local.max_batch,
                queue_len: local.queue,
                nice: local.nice,
                prompt_lookup: local.speculate == Speculation::PromptLookup,
                entropy: dice.next_u64(),
                clock: Arc::clone(&clock),
                ..EngineOptions::new(path)
            };
            let engine = Engine::load(&options, &mut |_| {})?;
            Arc::new(LocalGenerator::new(Arc::new(engine), clock, dice))
        }
        ModelKind::Embedder { weights, tokenizer, config } => {
            let options = EmbedOptions { weights, tokenizer, config, max_tokens: 256, threads, queue_len: local.queue };
            Arc::new(LocalEmbedder::new(Arc::new(Embedder::load(&options)?)))
        }
    })
}
