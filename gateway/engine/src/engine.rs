//! A loaded language model with a thread of its own. Owns loading, taking requests in, sleep and stopping; what runs on the
//! thread is `worker`'s, and what is computed when `scheduler`'s.

mod recipe;
mod worker;

pub use worker::Asleep;

use crate::adapter::{AdapterHandle, AdapterStore};
use crate::constrain::{CallStyle, Grammars, Refusal};
use crate::error::{LoadError, RestError, SubmitError};
use crate::generation::Generation;
use crate::kernel::Isa;
use crate::kv::{BLOCK_TOKENS, KvPool, PrefixChain, Salt};
use crate::model::{CausalModel, Precision};
use crate::request::{GenerateRequest, Prompt, ToolChoice, ToolUse};
use crate::sample::SplitMix;
use crate::scheduler::{Job, Limits, Pace, Permit, Places, Scheduler};
use crate::template::ChatTemplate;
use crate::vocabulary::Vocabulary;
use recipe::Recipe;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;
use tidegate_core::clock::SystemClock;
use tidegate_core::memory::{Claim, MemoryShare};
use tidegate_core::port::backend::EngineReport;
use tidegate_core::port::sleeper::Rest;
use tidegate_core::{Clock, Tenant};
use tokio::sync::mpsc::unbounded_channel;
use tokio::sync::oneshot;
use worker::{Awake, Order, Worker};

/// How a model is loaded and run.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// The GGUF file, or the Hugging Face folder.
    pub path: PathBuf,
    /// The folder's files by their names, where they lie elsewhere under other ones.
    pub parts: BTreeMap<String, PathBuf>,
    /// How a folder's matrices are kept; a GGUF file's stay as they are.
    pub precision: Precision,
    /// Memory for keys and values; taken from the system as it is used.
    pub kv_cache_bytes: usize,
    /// The most tokens of prompt and answer together, where that is to be less than the model's own bound.
    pub context: Option<usize>,
    /// Threads that compute; 0 = cores less one.
    pub threads: usize,
    /// How far these threads stand behind others of the processor, 0 to 19 (on Linux).
    pub nice: u8,
    /// Answers in work at once.
    pub max_batch: usize,
    /// Requests that may wait.
    pub queue_len: usize,
    /// Tokens in one step: fewer make cancelling and the first tokens of others quicker, more make prompts quicker.
    pub step_tokens: usize,
    /// Memory for adapters.
    pub adapter_bytes: usize,
    /// What it takes, while it is awake, of a memory that it shares with other models; nothing bounds it where there is none.
    pub memory: Option<Claim>,
    /// Whether tokens are guessed ahead from the prompt and the answer so far: the answers stay the same.
    pub prompt_lookup: bool,
    /// Where the seeds of requests without a seed come from.
    pub entropy: u64,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
}

impl EngineOptions {
    /// The usual sizes for a file.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            parts: BTreeMap::new(),
            precision: Precision::default(),
            kv_cache_bytes: 256 << 20,
            context: None,
            threads: 0,
            nice: 0,
            max_batch: 16,
            queue_len: 64,
            step_tokens: 128,
            adapter_bytes: 256 << 20,
            memory: None,
            prompt_lookup: false,
            entropy: 0,
            clock: Arc::new(SystemClock),
        }
    }
}

/// How far a load has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadProgress {
    /// Tensors read.
    pub done: usize,
    /// Tensors in all.
    pub total: usize,
}

/// A loaded language model. Dropping it stops its thread, after the step that it is in (a fraction of a second).
pub struct Engine {
    orders: Option<Sender<Order>>,
    thread: Option<JoinHandle<()>>,
    stopping: Arc<AtomicBool>,
    places: Arc<Places>,
    refused: AtomicU64,
    told: Arc<Mutex<Told>>,
    clock: Arc<dyn Clock>,
    vocabulary: Arc<Vocabulary>,
    adapters: Arc<AdapterStore>,
    template: Option<ChatTemplate>,
    grammars: Grammars,
    limit: usize,
    entropy: Mutex<SplitMix>,
}

/// What the thread tells of itself, after each step.
#[derive(Default)]
struct Told {
    report: EngineReport,
    pace: Pace,
    /// Since when it has nothing to do, while it is awake.
    idle: Option<Instant>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("limit", &self.limit).field("waiting", &self.waiting()).finish_non_exhaustive()
    }
}

impl Engine {
    /// Loads a model and starts its thread. Takes as long as reading the file; not for an async thread.
    pub fn load(options: &EngineOptions, progress: &mut dyn FnMut(LoadProgress)) -> Result<Self, LoadError> {
        let share = options.memory.as_ref().map(Claim::take).transpose()?;
        let recipe = Recipe::of(options);
        let mut files = recipe.open()?;
        let vocabulary = files.vocabulary()?;
        let template = files.template(&vocabulary)?;
        let model = recipe.weights(&mut files, progress)?;
        drop(files);
        let (threads, isa) = (recipe.threads, recipe.isa);
        tracing::info!(model = %options.path.display(), threads, kernel = isa.name(), "language model loaded");
        Self::start((model, share), move || recipe.again(), (vocabulary, template), isa, options)
    }

    /// Starts the thread of a model, which `again` makes again.
    pub(crate) fn start<M: CausalModel + 'static>(
        (model, share): (M, Option<MemoryShare>),
        mut again: impl FnMut() -> Result<M, LoadError> + Send + 'static,
        (vocabulary, template): (Vocabulary, Option<ChatTemplate>),
        isa: Isa,
        options: &EngineOptions,
    ) -> Result<Self, LoadError> {
        if vocabulary.len() > model.vocabulary() {
            let detail = format!("has {} rows for {} tokens", model.vocabulary(), vocabulary.len());
            return Err(LoadError::Tensor { name: "token_embd.weight".into(), detail });
        }
        let (shape, kv_bytes) = (model.kv_shape(), options.kv_cache_bytes);
        let kv = KvPool::new(shape, kv_bytes);
        if kv.capacity() < 2 {
            return Err(LoadError::CacheTooSmall { given: kv_bytes, needed: 2 * shape.block_bytes() });
        }
        let context = options.context.map_or(model.context_length(), |wanted| wanted.min(model.context_length()));
        let limit = context.min(kv.capacity() * BLOCK_TOKENS);
        let adapters = Arc::new(AdapterStore::new(model.base(), options.adapter_bytes));
        let limits = Limits {
            max_batch: options.max_batch.max(1),
            step_tokens: options.step_tokens.max(2),
            guesses: options.prompt_lookup,
        };
        let vocabulary = Arc::new(vocabulary);
        let awake = Awake { scheduler: Scheduler::new(model, Arc::clone(&vocabulary), isa, kv, limits), share };
        let (words, memory) = (Arc::clone(&vocabulary), options.memory.clone());
        let raise = move || {
            let share = memory.as_ref().map(Claim::take).transpose()?;
            let (model, kv) = (again()?, KvPool::new(shape, kv_bytes));
            Ok(Awake { scheduler: Scheduler::new(model, Arc::clone(&words), isa, kv, limits), share })
        };
        let (orders, inbox) = channel();
        let stopping = Arc::new(AtomicBool::new(false));
        let told = Told { idle: Some(options.clock.now()), ..Told::default() };
        let told = Arc::new(Mutex::new(told));
        let worker = Worker {
            awake: Some(awake),
            raise: Box::new(raise),
            counts: EngineReport::default(),
            inbox,
            stopping: Arc::clone(&stopping),
            told: Arc::clone(&told),
            clock: Arc::clone(&options.clock),
            nice: options.nice,
        };
        let thread = std::thread::Builder::new()
            .name("engine".into())
            .spawn(move || worker.run())
            .map_err(|e| LoadError::Threads(e.to_string()))?;
        Ok(Self {
            orders: Some(orders),
            thread: Some(thread),
            stopping,
            places: Places::new(options.queue_len),
            refused: AtomicU64::new(0),
            told,
            clock: Arc::clone(&options.clock),
            grammars: Grammars::new(Arc::clone(&vocabulary)),
            vocabulary,
            adapters,
            template,
            limit,
            entropy: Mutex::new(SplitMix(options.entropy)),
        })
    }

    /// Takes a request in: checks it, tokenises the prompt and compiles the answer's form on this thread, and queues it.
    /// Never waits for others; a form takes milliseconds, the first of a model a quarter of a second.
    pub fn submit(&self, request: GenerateRequest) -> Result<Generation, SubmitError> {
        let mut all = self.submit_all(vec![request])?;
        all.pop().ok_or(SubmitError::Stopped)
    }

    /// Takes the requests of one call in, all or none; together they have one place in the queue, that of the first's
    /// caller, until the turn of the last has come.
    pub fn submit_all(&self, requests: Vec<GenerateRequest>) -> Result<Vec<Generation>, SubmitError> {
        let caller = requests.first().map_or(0, |request| request.caller);
        let permit = Arc::new(self.places.take(caller).map_err(|waiting| self.full(waiting))?);
        let made = requests.into_iter().map(|request| self.prepare(request, &permit));
        let made = made.collect::<Result<Vec<_>, SubmitError>>()?;
        let orders = self.orders.as_ref().ok_or(SubmitError::Stopped)?;
        let mut generations = Vec::with_capacity(made.len());
        for (job, generation) in made {
            orders.send(Order::Answer(Box::new(job))).map_err(|_| SubmitError::Stopped)?;
            generations.push(generation);
        }
        Ok(generations)
    }

    fn full(&self, waiting: usize) -> SubmitError {
        self.refused.fetch_add(1, Ordering::Relaxed);
        SubmitError::QueueFull { waiting, wait: self.told().pace.wait(self.clock.now()) }
    }

    fn prepare(&self, request: GenerateRequest, permit: &Arc<Permit>) -> Result<(Job, Generation), SubmitError> {
        request.check(self.vocabulary.len())?;
        let tools = request.tools.as_ref().filter(|tools| tools.choice != ToolChoice::None && !tools.tools.is_empty());
        let tokens = self.tokens_of(&request.prompt, tools)?;
        // One position is left for an answer, unless none is wanted.
        let room = usize::from(request.max_tokens != Some(0));
        if tokens.len() + room > self.limit {
            let limit = self.limit - room;
            return Err(SubmitError::PromptTooLong { tokens: tokens.len(), at_least: false, limit });
        }
        let salt = Salt {
            tenant: request.tenant.as_ref().map(Tenant::as_str),
            adapter: request.adapter.as_ref().map(AdapterHandle::generation),
        };
        let mut prefix = PrefixChain::new(salt);
        prefix.cover(&tokens);
        let held = self.grammars.hold(request.constraint.as_ref(), tools.map(|tools| (tools, self.call_style())));
        let held = held.map_err(|Refusal { of_tools, problem }| SubmitError::Invalid {
            field: if of_tools { "tools" } else { "constraint" },
            problem,
        })?;
        let echo = request.echo.then(|| self.text_of(&request.prompt, &tokens));
        let (events, receiver) = unbounded_channel();
        let generation = Generation::new(receiver, tokens.len(), request.n);
        let job = Job {
            caller: request.caller,
            max_tokens: request.max_tokens.unwrap_or(usize::MAX).min(self.limit - tokens.len()),
            seed: request.sampling.seed.unwrap_or_else(|| self.any_seed()),
            tokens,
            request,
            echo,
            held,
            events,
            since: self.clock.now(),
            prefix,
            permit: Some(Arc::clone(permit)),
        };
        Ok((job, generation))
    }

    /// The tokens of a prompt, as `submit` counts them.
    pub fn tokenize(&self, prompt: &Prompt) -> Result<Vec<u32>, SubmitError> {
        self.tokens_of(prompt, None)
    }

    /// How the model writes calls of tools.
    pub(crate) fn call_style(&self) -> CallStyle {
        self.template.as_ref().map_or(CallStyle::Tagged, ChatTemplate::call_style)
    }

    fn tokens_of(&self, prompt: &Prompt, tools: Option<&ToolUse>) -> Result<Vec<u32>, SubmitError> {
        let bytes = match prompt {
            Prompt::Text(text) => text.len(),
            Prompt::Chat(messages) => messages.iter().map(|m| m.content.len()).sum(),
            Prompt::Tokens(_) => 0,
        };
        // What cannot fit however it is cut is not worth the time to cut it.
        let fewest = self.vocabulary.fewest_tokens(bytes);
        if fewest > self.limit {
            return Err(SubmitError::PromptTooLong { tokens: fewest, at_least: true, limit: self.limit - 1 });
        }
        let failed = |problem| SubmitError::Invalid { field: "prompt", problem };
        match prompt {
            Prompt::Text(text) => self.vocabulary.encode_text(text).map_err(failed),
            Prompt::Tokens(tokens) if tokens.is_empty() => self.vocabulary.encode_text("").map_err(failed),
            Prompt::Tokens(tokens) => Ok(tokens.clone()),
            Prompt::Chat(messages) => {
                let template = self.template.as_ref().ok_or(SubmitError::NoTemplate)?;
                let tools = tools.map_or(&[][..], |tools| &tools.tools);
                let pieces = template.render_with(messages, tools).map_err(SubmitError::Template)?;
                let tokens = self.vocabulary.encode_pieces(&pieces).map_err(failed)?;
                if tokens.is_empty() {
                    return Err(SubmitError::Template("they leave nothing to answer".into()));
                }
                Ok(tokens)
            }
        }
    }

    fn text_of(&self, prompt: &Prompt, tokens: &[u32]) -> String {
        match prompt {
            Prompt::Text(text) => text.clone(),
            _ => {
                let bytes: Vec<u8> = tokens.iter().flat_map(|t| self.vocabulary.bytes(*t)).copied().collect();
                String::from_utf8_lossy(&bytes).into_owned()
            }
        }
    }

    fn any_seed(&self) -> u64 {
        self.entropy.lock().unwrap_or_else(PoisonError::into_inner).next()
    }

    /// The adapters that its model can wear.
    #[must_use]
    pub fn adapters(&self) -> &Arc<AdapterStore> {
        &self.adapters
    }

    /// Most tokens that prompt and answer can have together.
    #[must_use]
    pub fn context_length(&self) -> usize {
        self.limit
    }

    /// Tokens that the model knows.
    #[must_use]
    pub fn vocabulary(&self) -> usize {
        self.vocabulary.len()
    }

    /// Calls whose turn has not come.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.places.waiting()
    }

    /// Gives weights and cache back to the system. The next call has them read again, and waits for that.
    pub async fn sleep(&self) -> Result<(), RestError> {
        self.order(Order::Sleep).await
    }

    /// Reads the weights again where it sleeps.
    pub async fn wake(&self) -> Result<(), RestError> {
        self.order(Order::Wake).await
    }

    /// Gives the thread an order that it confirms.
    async fn order(&self, of: impl FnOnce(oneshot::Sender<Result<(), RestError>>) -> Order) -> Result<(), RestError> {
        let (done, is_done) = oneshot::channel();
        let orders = self.orders.as_ref().ok_or(RestError::Stopped)?;
        orders.send(of(done)).map_err(|_| RestError::Stopped)?;
        is_done.await.map_err(|_| RestError::Stopped)?
    }

    /// Whether it sleeps, works or has nothing to do.
    #[must_use]
    pub fn rest(&self) -> Rest {
        let told = self.told();
        match told.idle {
            _ if told.report.asleep => Rest::Asleep,
            Some(since) if self.places.waiting() == 0 => Rest::Idle { since },
            _ => Rest::Busy,
        }
    }

    /// How it stands, and what it did since the load.
    #[must_use]
    pub fn report(&self) -> EngineReport {
        let refused = self.refused.load(Ordering::Relaxed);
        EngineReport { waiting: self.places.waiting(), refused, ..self.told().report }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether its thread is alive and takes requests.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        self.orders = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the engine's thread had panicked");
        }
    }
}

#[cfg(test)]
mod tests;
