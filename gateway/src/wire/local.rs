//! Local models: files to engines. Owns the choice between a language model, a classic one, an embedding model and a
//! reranker.

use crate::classic::LocalClassic;
use crate::pull::{ModelFiles, ModelKind};
use anyhow::{Context as _, ensure};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use tidegate_core::port::backend::Backend;
use tidegate_core::spec::{LocalSpec, ModelSpec, Speculation};
use tidegate_core::{Clock, Dice};
use tidegate_engine::openai::{LocalEmbedder, LocalGenerator, LocalReranker};
use tidegate_engine::{EmbedOptions, Embedder, EncoderFiles, Engine, EngineOptions, RerankOptions, Reranker};

/// Tokens of a query and a document together, which most rerankers were trained on.
const MOST_RANKED: usize = 512;

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
    let (local, of) = (local.clone(), model.clone());
    super::pages::allow_huge();
    let began = clock.now();
    let time = Arc::clone(&clock);
    let backend = tokio::task::spawn_blocking(move || build(&local, &of, files, clock, dice))
        .await
        .context("loading was cut short")??;
    let took = time.now().saturating_duration_since(began);
    tracing::info!(model = %model.name, ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX), "model loaded");
    Ok(backend)
}

fn build(
    local: &LocalSpec,
    model: &ModelSpec,
    files: ModelFiles,
    clock: Arc<dyn Clock>,
    dice: Arc<dyn Dice>,
) -> anyhow::Result<Arc<dyn Backend>> {
    let threads = local.threads.unwrap_or(0);
    let is_classic = matches!(files.kind, ModelKind::Classic { .. });
    ensure!(
        is_classic || (model.pool.is_none() && model.explain.is_none() && model.contract.is_none()),
        "`batch`, `instances`, `warm_up`, `explain` and `contract` are of classic models, and this is none: leave them out; `max_batch` and `queue` \
         of its provider are what a language model has"
    );
    let generator = |path: PathBuf, parts| -> anyhow::Result<Arc<Engine>> {
        let kv_cache_bytes =
            usize::try_from(local.kv_cache).context("kv_cache is larger than this machine can address")?;
        let options = EngineOptions {
            parts,
            kv_cache_bytes,
            context: model.context_length.map(|tokens| tokens as usize),
            threads,
            max_batch: local.max_batch,
            queue_len: local.queue,
            adapter_bytes: usize::try_from(local.adapter_memory)
                .context("adapter_memory is larger than this machine can address")?,
            nice: local.nice,
            prompt_lookup: local.speculate == Speculation::PromptLookup,
            entropy: dice.next_u64(),
            clock: Arc::clone(&clock),
            ..EngineOptions::new(path)
        };
        Ok(Arc::new(Engine::load(&options, &mut |_| {})?))
    };
    Ok(match files.kind {
        ModelKind::Gguf { path } => Arc::new(LocalGenerator::new(generator(path, BTreeMap::new())?, clock, dice)),
        ModelKind::Folder { files } => Arc::new(LocalGenerator::new(generator(PathBuf::new(), files)?, clock, dice)),
        ModelKind::Reranker { weights, tokenizer, config } => {
            let files = EncoderFiles { weights, tokenizer, config };
            let options = RerankOptions { files, max_tokens: MOST_RANKED, threads, queue_len: local.queue };
            Arc::new(LocalReranker::new(Arc::new(Reranker::load(&options)?)))
        }
        ModelKind::Classic { path, signature } => {
            Arc::new(LocalClassic::open(&path, signature.as_ref(), model, clock)?)
        }
        ModelKind::Embedder { weights, tokenizer, config } => {
            let files = EncoderFiles { weights, tokenizer, config };
            let options = EmbedOptions { files, max_tokens: 256, threads, queue_len: local.queue };
            Arc::new(LocalEmbedder::new(Arc::new(Embedder::load(&options)?)))
        }
    })
}
