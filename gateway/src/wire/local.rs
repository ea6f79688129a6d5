//! Local models: files to engines. Owns the choice between a language model, a classic one, an embedding model and a
//! reranker.

use super::following::Loaded;
use crate::classic::LocalClassic;
use crate::pull::{ModelFiles, ModelKind};
use anyhow::{Context as _, ensure};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use tidegate_core::memory::Claim;
use tidegate_core::port::backend::Backend;
use tidegate_core::spec::{self, LocalSpec, ModelSpec, Speculation};
use tidegate_core::{Clock, Dice};
use tidegate_engine::openai::{LocalEmbedder, LocalGenerator, LocalReranker};
use tidegate_engine::{
    EmbedOptions, Embedder, EncoderFiles, Engine, EngineOptions, Precision, RerankOptions, Reranker,
};

/// Tokens of a query and a document together, which most rerankers were trained on.
const MOST_RANKED: usize = 512;

/// Loads a model; it takes a while and the memory of `claim`, so it does not run on the runtime's threads.
///
/// # Errors
/// The files are damaged, or of a kind that the engine does not run, or others have the memory.
pub(super) async fn load(
    model: &ModelSpec,
    local: &LocalSpec,
    files: ModelFiles,
    claim: Claim,
    (clock, dice): (Arc<dyn Clock>, Arc<dyn Dice>),
) -> anyhow::Result<Loaded> {
    let (model, local) = (model.clone(), local.clone());
    let name = model.name.clone();
    let began = clock.now();
    let time = Arc::clone(&clock);
    let loaded = tokio::task::spawn_blocking(move || build(&model, &local, files, &claim, (clock, dice)))
        .await
        .context("loading was cut short")??;
    let took = time.now().saturating_duration_since(began);
    tracing::info!(model = %name, ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX), "model loaded");
    Ok(loaded)
}

fn build(
    model: &ModelSpec,
    local: &LocalSpec,
    files: ModelFiles,
    claim: &Claim,
    (clock, dice): (Arc<dyn Clock>, Arc<dyn Dice>),
) -> anyhow::Result<Loaded> {
    let threads = local.threads.unwrap_or(0);
    suits(model, &files.kind)?;
    let generator = |path: PathBuf, parts| -> anyhow::Result<Loaded> {
        let kv_cache_bytes =
            usize::try_from(local.kv_cache).context("kv_cache is larger than this machine can address")?;
        let options = EngineOptions {
            parts,
            kv_cache_bytes,
            context: model.context_length.map(|tokens| tokens as usize),
            precision: match model.precision {
                None | Some(spec::Precision::Q80) => Precision::Q8_0,
                Some(spec::Precision::F32) => Precision::Plain,
            },
            threads,
            max_batch: local.max_batch,
            queue_len: local.queue,
            adapter_bytes: usize::try_from(local.adapter_memory)
                .context("adapter_memory is larger than this machine can address")?,
            memory: Some(claim.clone()),
            nice: local.nice,
            prompt_lookup: local.speculate == Speculation::PromptLookup,
            entropy: dice.next_u64(),
            clock: Arc::clone(&clock),
            ..EngineOptions::new(path)
        };
        let engine = Arc::new(Engine::load(&options, &mut |_| {})?);
        let backend = LocalGenerator::new(engine, Arc::clone(&clock), Arc::clone(&dice));
        Ok(Loaded { backend: Arc::new(backend), share: None })
    };
    match files.kind {
        ModelKind::Gguf { path } => generator(path, BTreeMap::new()),
        ModelKind::Folder { files } => generator(PathBuf::new(), files),
        ModelKind::Reranker { weights, tokenizer, config } => held(claim, || {
            let files = EncoderFiles { weights, tokenizer, config };
            let options = RerankOptions { files, max_tokens: MOST_RANKED, threads, queue_len: local.queue };
            Ok(Arc::new(LocalReranker::new(Arc::new(Reranker::load(&options)?))))
        }),
        ModelKind::Classic { path, signature } => {
            held(claim, || Ok(Arc::new(LocalClassic::open(&path, signature.as_ref(), model, Arc::clone(&clock))?)))
        }
        ModelKind::Embedder { weights, tokenizer, config } => held(claim, || {
            let files = EncoderFiles { weights, tokenizer, config };
            let options = EmbedOptions { files, max_tokens: 256, threads, queue_len: local.queue };
            Ok(Arc::new(LocalEmbedder::new(Arc::new(Embedder::load(&options)?))))
        }),
    }
}

/// Whether what is said of the model is of its kind.
fn suits(model: &ModelSpec, kind: &ModelKind) -> anyhow::Result<()> {
    ensure!(
        model.precision.is_none() || matches!(kind, ModelKind::Folder { .. }),
        "it has `precision`, and only the matrices of a language model's folder of safetensors are kept as that says: leave \
         it out"
    );
    let is_classic = matches!(kind, ModelKind::Classic { .. });
    ensure!(
        is_classic || (model.pool.is_none() && model.explain.is_none() && model.contract.is_none()),
        "`batch`, `instances`, `warm_up`, `explain` and `contract` are of classic models, and this is none: leave them out; `max_batch` and `queue` \
         of its provider are what a language model has"
    );
    Ok(())
}

/// What does not sleep has its share of the memory as long as it is there.
fn held(claim: &Claim, make: impl FnOnce() -> anyhow::Result<Arc<dyn Backend>>) -> anyhow::Result<Loaded> {
    let share = claim.take()?;
    Ok(Loaded { backend: make()?, share: Some(share) })
}
