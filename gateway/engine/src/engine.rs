//! A loaded language model with a thread of its own. Owns loading, taking requests in, and stopping; what is computed
//! when is `scheduler`'s.

use crate::constrain::{CallStyle, Grammars, Refusal};
use crate::error::{LoadError, SubmitError};
use crate::generation::Generation;
use crate::gguf::GgufFile;
use crate::kernel::Isa;
use crate::kv::{BLOCK_TOKENS, KvPool};
use crate::model::{CausalModel, Llama};
use crate::request::{GenerateRequest, Prompt, ToolChoice, ToolUse};
use crate::sample::SplitMix;
use crate::scheduler::{Job, Limits, Permit, Scheduler};
use crate::template::ChatTemplate;
use crate::threads::{Threads, default_threads};
use crate::vocabulary::Vocabulary;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::mpsc::unbounded_channel;

/// How a model is loaded and run.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// The GGUF file.
    pub path: PathBuf,
    /// Memory for keys and values; taken from the system as it is used.
    pub kv_cache_bytes: usize,
    /// The most tokens of prompt and answer together, where that is to be less than the model's own bound.
    pub context: Option<usize>,
    /// Threads that compute; 0 = cores less one.
    pub threads: usize,
    /// Answers in work at once.
    pub max_batch: usize,
    /// Requests that may wait.
    pub queue_len: usize,
    /// Tokens in one step: fewer make cancelling and the first tokens of others quicker, more make prompts quicker.
    pub step_tokens: usize,
    /// Where the seeds of requests without a seed come from.
    pub entropy: u64,
}

impl EngineOptions {
    /// The usual sizes for a file.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            kv_cache_bytes: 256 << 20,
            context: None,
            threads: 0,
            max_batch: 16,
            queue_len: 64,
            step_tokens: 128,
            entropy: 0,
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
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    stopping: Arc<AtomicBool>,
    waiting: Arc<AtomicUsize>,
    queue_len: usize,
    vocabulary: Arc<Vocabulary>,
    template: Option<ChatTemplate>,
    grammars: Grammars,
    limit: usize,
    entropy: Mutex<SplitMix>,
    steps: Arc<AtomicU64>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("limit", &self.limit).field("waiting", &self.waiting()).finish_non_exhaustive()
    }
}

impl Engine {
    /// Loads a model and starts its thread. Takes as long as reading the file; not for an async thread.
    pub fn load(options: &EngineOptions, progress: &mut dyn FnMut(LoadProgress)) -> Result<Self, LoadError> {
        let mut file = GgufFile::open(&options.path)?;
        match file.text("general.architecture") {
            Some("llama") => {}
            other => {
                let what = format!("the architecture `{}`", other.unwrap_or("none"));
                return Err(LoadError::Unsupported { what });
            }
        }
        let vocabulary = Vocabulary::read(&file)?;
        let template = file
            .text("tokenizer.chat_template")
            .map(|source| ChatTemplate::new(source, vocabulary.control(), vocabulary.borders()))
            .transpose()
            .map_err(LoadError::Template)?;
        let isa = Isa::detect();
        let count = if options.threads == 0 { default_threads() } else { options.threads };
        let threads = Threads::new(count).map_err(|e| LoadError::Threads(e.to_string()))?;
        let model = Llama::load(&mut file, isa, threads, &mut |done, total| progress(LoadProgress { done, total }))?;
        drop(file);
        tracing::info!(model = %options.path.display(), threads = count, kernel = isa.name(), "language model loaded");
        Self::start(model, vocabulary, template, isa, options)
    }

    /// Starts the thread of a model.
    pub(crate) fn start(
        model: impl CausalModel + 'static,
        vocabulary: Vocabulary,
        template: Option<ChatTemplate>,
        isa: Isa,
        options: &EngineOptions,
    ) -> Result<Self, LoadError> {
        if vocabulary.len() > model.vocabulary() {
            let detail = format!("has {} rows for {} tokens", model.vocabulary(), vocabulary.len());
            return Err(LoadError::Tensor { name: "token_embd.weight".into(), detail });
        }
        let shape = model.kv_shape();
        let kv = KvPool::new(shape, options.kv_cache_bytes);
        if kv.capacity() < 2 {
            let needed = 2 * shape.block_bytes();
            return Err(LoadError::CacheTooSmall { given: options.kv_cache_bytes, needed });
        }
        let context = options.context.map_or(model.context_length(), |wanted| wanted.min(model.context_length()));
        let limit = context.min(kv.capacity() * BLOCK_TOKENS);
        let limits = Limits { max_batch: options.max_batch.max(1), step_tokens: options.step_tokens.max(2) };
        let vocabulary = Arc::new(vocabulary);
        let (jobs, inbox) = channel();
        let stopping = Arc::new(AtomicBool::new(false));
        let steps = Arc::new(AtomicU64::new(0));
        let worker = Worker {
            scheduler: Scheduler::new(model, Arc::clone(&vocabulary), isa, kv, limits),
            inbox,
            stopping: Arc::clone(&stopping),
            steps: Arc::clone(&steps),
        };
        let thread = std::thread::Builder::new()
            .name("engine".into())
            .spawn(move || worker.run())
            .map_err(|e| LoadError::Threads(e.to_string()))?;
        Ok(Self {
            jobs: Some(jobs),
            thread: Some(thread),
            stopping,
            waiting: Arc::new(AtomicUsize::new(0)),
            queue_len: options.queue_len,
            grammars: Grammars::new(Arc::clone(&vocabulary)),
            vocabulary,
            template,
            limit,
            entropy: Mutex::new(SplitMix(options.entropy)),
            steps,
        })
    }

    /// Takes a request in: checks it, tokenises the prompt and compiles the answer's form on this thread, and queues it.
    /// Never waits for others; a form takes milliseconds, the first of a model a quarter of a second.
    pub fn submit(&self, request: GenerateRequest) -> Result<Generation, SubmitError> {
        let permit =
            Permit::take(&self.waiting, self.queue_len).map_err(|waiting| SubmitError::QueueFull { waiting })?;
        request.check(self.vocabulary.len())?;
        let tools = request.tools.as_ref().filter(|tools| tools.choice != ToolChoice::None && !tools.tools.is_empty());
        let tokens = self.tokens_of(&request.prompt, tools)?;
        // One position is left for an answer, unless none is wanted.
        let room = usize::from(request.max_tokens != Some(0));
        if tokens.len() + room > self.limit {
            let limit = self.limit - room;
            return Err(SubmitError::PromptTooLong { tokens: tokens.len(), at_least: false, limit });
        }
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
            permit: Some(permit),
        };
        self.jobs.as_ref().and_then(|jobs| jobs.send(job).ok()).ok_or(SubmitError::Stopped)?;
        Ok(generation)
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

    /// Requests whose turn has not come.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    /// Steps computed since the load.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps.load(Ordering::Relaxed)
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
        self.jobs = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the engine's thread had panicked");
        }
    }
}

/// What runs on the engine's thread.
struct Worker<M> {
    scheduler: Scheduler<M>,
    inbox: Receiver<Job>,
    stopping: Arc<AtomicBool>,
    steps: Arc<AtomicU64>,
}

impl<M: CausalModel> Worker<M> {
    /// Until the engine is dropped. What is unfinished then is dropped with its channels, which its callers see as a
    /// failure.
    fn run(mut self) {
        while !self.stopping.load(Ordering::Acquire) {
            if self.scheduler.is_idle() {
                // Asleep until there is work.
                let Ok(job) = self.inbox.recv() else { return };
                self.scheduler.add(job);
            }
            loop {
                match self.inbox.try_recv() {
                    Ok(job) => self.scheduler.add(job),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            self.scheduler.step();
            self.steps.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests;
