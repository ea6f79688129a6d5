//! Providers.

use crate::{EndpointName, ProviderName, Secret};
use http::{HeaderName, HeaderValue, Uri};
use std::path::PathBuf;
use std::time::Duration;

/// A connection to something that runs models.
#[derive(Debug, Clone, PartialEq)]
pub struct ProviderSpec {
    /// Its name.
    pub name: ProviderName,
    /// What it is.
    pub kind: ProviderKind,
}

/// What a provider is.
#[derive(Debug, Clone, PartialEq)]
pub enum ProviderKind {
    /// Any OpenAI-compatible server.
    OpenAi(Box<OpenAiSpec>),
    /// A server of classic models.
    Classic(Box<ClassicSpec>),
    /// The engine in this process.
    Local(LocalSpec),
}

/// A server of classic models.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassicSpec {
    /// What it speaks.
    pub dialect: Dialect,
    /// Whether over gRPC, which only the Open Inference Protocol has.
    pub is_grpc: bool,
    /// Its addresses, and how calls get there.
    pub upstream: OpenAiSpec,
}

/// What a server of classic models speaks; a closed set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// The Open Inference Protocol (KServe V2).
    OpenInference,
    /// TF Serving's REST.
    TfServing,
    /// MLflow's scoring server.
    Mlflow,
    /// Seldon's first protocol.
    Seldon,
    /// A service of BentoML.
    BentoMl,
    /// TorchServe with its JSON envelope.
    TorchServe,
}

/// Any OpenAI-compatible server.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenAiSpec {
    /// Its addresses, at least one.
    pub endpoints: Vec<EndpointSpec>,
    /// How calls are spread over them.
    pub balance: Balance,
    /// How we show who we are.
    pub auth: Option<AuthSpec>,
    /// Headers added to each call; values that come from secrets are marked sensitive.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Query parameters added to each call, such as Azure's `api-version`.
    pub query: Vec<(String, String)>,
    /// Authorities trusted instead of the system's, PEM.
    pub ca: Option<PathBuf>,
    /// The proxy on the way.
    pub proxy: ProxySpec,
    /// Speak HTTP/2 without TLS by prior knowledge (with TLS it is negotiated).
    pub http2: bool,
    /// The most calls at once to one endpoint; more wait no longer than their connect deadline.
    pub max_connections: usize,
    /// The most calls at once to one endpoint, beyond which none waits: another endpoint takes them, or nobody.
    pub max_concurrency: Option<usize>,
    /// When an endpoint that fails is left alone.
    pub outlier_detection: OutlierSpec,
}

/// When an endpoint that fails is left alone, and how it comes back.
#[derive(Debug, Clone, PartialEq)]
pub struct OutlierSpec {
    /// Failures in a row that eject it, at least 1.
    pub consecutive_failures: u32,
    /// The share of failures within `window` that ejects it, in `[0, 1]`.
    pub failure_share: f64,
    /// Calls within `window` before the share counts.
    pub min_calls: u32,
    /// Over which time the share is taken.
    pub window: Duration,
    /// How long the first ejection lasts; each further one lasts twice as long.
    pub ejection_time: Duration,
    /// The longest ejection.
    pub max_ejection_time: Duration,
    /// The most of the endpoints that are ejected at once, in `[0, 1]`, rounded up. The last one never is.
    pub max_ejected: f64,
    /// Over which time an endpoint that came back gets its full share again.
    pub slow_start: Duration,
}

impl Default for OutlierSpec {
    fn default() -> Self {
        Self {
            consecutive_failures: 5,
            failure_share: 0.5,
            min_calls: 20,
            window: Duration::from_secs(10),
            ejection_time: Duration::from_secs(1),
            max_ejection_time: Duration::from_secs(30),
            max_ejected: 0.5,
            slow_start: Duration::from_secs(10),
        }
    }
}

/// One address of a provider.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointSpec {
    /// `host:port`.
    pub name: EndpointName,
    /// The base address, `http` or `https`, with the path before `/chat/completions` and no slash at its end.
    pub url: Uri,
}

/// How calls are spread over endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Balance {
    /// The less loaded of two drawn at random.
    P2c,
    /// In turn.
    RoundRobin,
}

/// How we show a provider who we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthSpec {
    /// `Authorization: Bearer …`.
    Bearer(Secret),
    /// A header of the provider's own, such as `api-key`.
    Header(HeaderName, Secret),
}

/// The proxy on the way to a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProxySpec {
    /// What `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` said when the configuration was loaded, resolved for each
    /// endpoint at build time.
    Environment {
        /// For `https` addresses.
        https: Option<Uri>,
        /// For `http` addresses.
        http: Option<Uri>,
        /// Hosts that need none, as in `NO_PROXY`.
        except: Vec<String>,
    },
    /// None.
    Direct,
    /// This one, for all addresses.
    Through(Uri),
}

/// The engine in this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalSpec {
    /// Where models run.
    pub device: Device,
    /// Memory for keys and values, in bytes for each model.
    pub kv_cache: u64,
    /// Threads for one model; `None` takes the cores less one.
    pub threads: Option<usize>,
    /// The most sequences in one step.
    pub max_batch: usize,
    /// The most calls that wait for one model.
    pub queue: usize,
    /// Memory for LoRA adapters, in bytes for each model; those that are idle longest are read again when they are needed.
    pub adapter_memory: u64,
    /// How tokens are guessed ahead.
    pub speculate: Speculation,
    /// How far its threads stand behind those of the same processor that serve calls: 0 (not at all) to 19.
    pub nice: u8,
    /// Memory of all its models that are awake together, in bytes: weights, keys and values, and what computing takes.
    pub memory: Option<u64>,
}

/// How a local model guesses tokens ahead, to compute several at once; answers stay the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Speculation {
    /// Not at all.
    #[default]
    Off,
    /// What followed the last words where they stood before, in the prompt or the answer.
    PromptLookup,
}

/// Where a local model runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device {
    /// A GPU where the program was built for one and finds one, else the CPU.
    Auto,
    /// The CPU.
    Cpu,
}
