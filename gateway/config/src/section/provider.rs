//! `providers`: connections to what runs models.

mod address;

use super::Desk;
use crate::place::Place;
use crate::report::Notes;
use crate::scalar::{At, Count, Flaw, Scalar, Share, Size, Span, Text};
use crate::shape::{Item, Map, Placed, choice, record};
use address::Address;
use http::{HeaderName, HeaderValue, Uri};
use std::net::IpAddr;
use tidegate_core::spec::{
    AuthSpec, Balance, ClassicSpec, Device, Dialect, EndpointSpec, LocalSpec, OpenAiSpec, OutlierSpec, ProviderKind,
    ProviderSpec, ProxySpec, Speculation,
};
use tidegate_core::{EndpointName, Secret};

choice! {
    /// A connection to something that runs models.
    ProviderFile {
        maps {
            /// Any OpenAI-compatible server.
            OpenAi(Box<OpenAiFile>) = "openai",
            /// The engine in this process.
            Local(Box<LocalFile>) = "local",
            /// A server of classic models that speaks the Open Inference Protocol (KServe, MLServer, Triton): over REST, or over
            /// gRPC where its addresses begin with `grpc://` (`grpcs://` with TLS).
            OpenInference(Box<OpenAiFile>) = "open_inference",
            /// TF Serving, over REST.
            TfServing(Box<OpenAiFile>) = "tf_serving",
            /// MLflow's scoring server.
            Mlflow(Box<OpenAiFile>) = "mlflow",
            /// A server with Seldon's first protocol.
            Seldon(Box<OpenAiFile>) = "seldon",
            /// A service of BentoML; its models are the names of its APIs.
            BentoMl(Box<OpenAiFile>) = "bentoml",
            /// TorchServe, with its JSON envelope.
            TorchServe(Box<OpenAiFile>) = "torchserve",
        }
        later { "anthropic", "gemini", "azure", "bedrock" }
    }
}

record! {
    /// A server, any OpenAI-compatible one or one of classic models.
    OpenAiFile {
        required {
            /// Its addresses, at least one.
            endpoints: Vec<EndpointFile>,
        }
        optional {
            /// How calls are spread over them; `p2c` by default.
            balance: BalanceFile,
            /// How we show who we are.
            auth: AuthFile,
            /// Headers added to each call.
            headers: Map<At<Text>>,
            /// Query parameters added to each call, such as Azure's `api-version`.
            query: Map<At<Text>>,
            /// Authorities trusted instead of the system's, PEM.
            ca: At<Text>,
            /// The proxy on the way; what HTTPS_PROXY, HTTP_PROXY and NO_PROXY say by default.
            proxy: ProxyFile,
            /// Speak HTTP/2 without TLS by prior knowledge; with TLS it is negotiated.
            http2: At<bool>,
            /// The most calls at once to one endpoint; 1024 by default.
            max_connections: At<Count>,
            /// The most calls at once to one endpoint, beyond which none waits: another endpoint takes them, the route's
            /// fallback, or they are refused with 503. Without it they wait by `max_connections`.
            max_concurrency: At<Count>,
            /// When an endpoint that fails is left alone.
            outlier_detection: OutlierFile,
        }
        later { "health" }
    }
}

record! {
    /// When an endpoint that fails is left alone. A failure is a 5xx, no connection, no answer in time or one that broke
    /// off; a 429 or another refusal is none. The last endpoint that takes calls is never ejected.
    OutlierFile {
        optional {
            /// Failures in a row that eject it; 5 by default.
            consecutive_failures: At<Count>,
            /// The share of failures within `window` that ejects it; 50% by default.
            failure_share: At<Share>,
            /// Calls within `window` before the share counts; 20 by default.
            min_calls: At<Count>,
            /// Over which time the share is taken; 10s by default.
            window: At<Span>,
            /// How long the first ejection lasts, doubled with each further one; 1s by default. One that was down is
            /// tried as soon as it can be connected to.
            ejection_time: At<Span>,
            /// The longest ejection; 30s by default.
            max_ejection_time: At<Span>,
            /// The most of the endpoints that are ejected at once, rounded up; 50% by default, 0% ejects none.
            max_ejected: At<Share>,
            /// Over which time an endpoint that came back gets its full share again; 10s by default.
            slow_start: At<Span>,
        }
    }
}

record! {
    /// One address of a provider.
    EndpointFile {
        required {
            /// `http://` or `https://`, with the path before `/chat/completions`, or before what the protocol of classic models
            /// begins with (`/v2`, `/v1/models`, `/invocations`). `grpc://` or `grpcs://` for `open_inference` over gRPC.
            url: At<Address>,
        }
        later { "weight" }
    }
}

choice! {
    /// How calls are spread over endpoints.
    BalanceFile {
        words {
            /// The less loaded of two drawn at random.
            P2c = "p2c",
            /// In turn.
            RoundRobin = "round_robin",
        }
        later { "least_loaded", "random", "prefix", "ewma" }
    }
}

choice! {
    /// How we show who we are; secrets are references such as `${env:NAME}`.
    AuthFile {
        maps {
            /// `Authorization: Bearer …`.
            Bearer(At<Secret>) = "bearer",
            /// A header of the provider's own, such as `{api-key: "${env:KEY}"}`.
            Header(Map<At<Secret>>) = "header",
        }
        later { "aws", "gcp", "azure", "oauth" }
    }
}

choice! {
    /// The proxy on the way.
    ProxyFile {
        words {
            /// What HTTPS_PROXY, HTTP_PROXY and NO_PROXY say.
            Environment = "environment",
            /// None.
            Direct = "direct",
        }
        maps {
            /// This one.
            Through(At<Proxy>) = "through",
        }
    }
}

record! {
    /// The engine in this process.
    LocalFile {
        optional {
            /// Where models run; `auto` by default.
            device: DeviceFile,
            /// Memory for keys and values of each model; 256MiB by default.
            kv_cache: At<Size>,
            /// Threads for one model; the cores less one by default.
            threads: At<Count>,
            /// The most sequences in one step; 16 by default.
            max_batch: At<Count>,
            /// The most calls that wait for one model; 64 by default.
            queue: At<Count>,
            /// Memory for LoRA adapters of each model; 256MiB by default. Beyond it, those that are idle longest go, and are
            /// read again when a call needs them.
            adapter_memory: At<Size>,
            /// How tokens are guessed ahead, several of which are then computed at once; `off` by default. Answers stay
            /// the same, and those that repeat their prompt come sooner.
            speculate: SpeculateFile,
            /// How far its threads stand behind those that serve calls, where both want one core: 0 (not at all) to 19;
            /// 10 by default.
            nice: At<Nice>,
            /// Memory of all its models that are awake together: weights, keys and values, and 64 MiB each to compute in;
            /// nothing bounds it by default. A model for which there is none left is refused, and one that sleeps is not
            /// woken.
            memory: At<Size>,
        }
    }
}

choice! {
    /// How tokens are guessed ahead.
    SpeculateFile {
        words {
            /// Not at all.
            Off = "off",
            /// What followed the last words where they stood before, in the prompt or the answer.
            PromptLookup = "prompt_lookup",
        }
    }
}

/// A niceness of threads, 0 to 19.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Nice(u8);

impl Scalar for Nice {
    const WHAT: &'static str = "a whole number from 0 to 19";

    fn parse(text: &str) -> Result<Self, Flaw> {
        let given = text.parse().ok().filter(|nice| *nice <= 19);
        given.map(Self).ok_or_else(|| Flaw::default().mend("19 stands farthest behind"))
    }

    fn schema() -> schemars::Schema {
        let number = schemars::json_schema!({"type": "integer", "minimum": 0, "maximum": 19});
        schemars::json_schema!({"anyOf": [number, {"type": "string", "pattern": "^\\$\\{"}]})
    }
}

choice! {
    /// Where a local model runs.
    DeviceFile {
        words {
            /// A GPU where the program was built for one and finds one, else the CPU.
            Auto = "auto",
            /// The CPU.
            Cpu = "cpu",
        }
        later { "cuda", "metal" }
    }
}

/// An address of the web without query, fragment and credentials; no slash at its end.
#[derive(Debug, Clone)]
pub(crate) struct Url(pub(crate) Uri);

impl Scalar for Url {
    const WHAT: &'static str = "an address such as `http://127.0.0.1:8000/v1`";

    fn parse(text: &str) -> Result<Self, Flaw> {
        if text.contains(['?', '#']) {
            return Err(Flaw::why("it has a query or fragment").mend("write parameters under `query`"));
        }
        let uri: Uri = text
            .trim_end_matches('/')
            .parse()
            .map_err(|_| Flaw::default().mend("it starts with `http://` or `https://`"))?;
        match uri.scheme_str() {
            Some("http" | "https") => {}
            None => return Err(Flaw::why("it has no scheme").mend(format!("did you mean `http://{text}`?"))),
            Some(other) => {
                return Err(
                    Flaw::why(format!("`{other}` is not spoken")).mend("it starts with `http://` or `https://`")
                );
            }
        }
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(Flaw::why("it carries credentials").mend("give them as `auth: {bearer: \"${env:NAME}\"}`"));
        }
        let authority = uri.authority().map_or("", http::uri::Authority::as_str);
        let is_bare = uri.host().is_some_and(|host| !host.is_empty() && host == authority);
        if !is_bare && uri.port_u16().is_none() {
            return Err(Flaw::why("its host or port is missing or wrong"));
        }
        Ok(Self(uri))
    }
}

/// The address of a proxy; credentials may stand in it.
#[derive(Debug, Clone)]
pub(crate) struct Proxy(Uri);

impl Scalar for Proxy {
    const WHAT: &'static str = "a proxy such as `http://proxy:3128`";

    fn parse(text: &str) -> Result<Self, Flaw> {
        let text = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let uri: Uri = text.trim_end_matches('/').parse().map_err(|_| Flaw::default())?;
        let fits = uri.scheme_str() == Some("http")
            && uri.host().is_some_and(|host| !host.is_empty())
            && uri.query().is_none();
        if fits {
            Ok(Self(uri))
        } else {
            Err(Flaw::default().mend("only proxies spoken to by `http://` are supported"))
        }
    }
}

impl Scalar for HeaderName {
    const WHAT: &'static str = "the name of a header";

    fn parse(text: &str) -> Result<Self, Flaw> {
        Self::from_bytes(text.as_bytes()).map_err(|_| Flaw::default().mend("use letters, digits and `-`"))
    }
}

/// The provider of an entry.
pub(crate) fn check(item: Item<ProviderFile>, desk: &mut Desk<'_>) -> Option<ProviderSpec> {
    let name = super::name(&item.name, &item.at, desk);
    let (dialect, raw) = match item.value? {
        ProviderFile::OpenAi(raw) => (None, raw),
        ProviderFile::Local(raw) => return Some(ProviderSpec { name: name?, kind: ProviderKind::Local(local(&raw)) }),
        ProviderFile::OpenInference(raw) => (Some(Dialect::OpenInference), raw),
        ProviderFile::TfServing(raw) => (Some(Dialect::TfServing), raw),
        ProviderFile::Mlflow(raw) => (Some(Dialect::Mlflow), raw),
        ProviderFile::Seldon(raw) => (Some(Dialect::Seldon), raw),
        ProviderFile::BentoMl(raw) => (Some(Dialect::BentoMl), raw),
        ProviderFile::TorchServe(raw) => (Some(Dialect::TorchServe), raw),
    };
    let is_grpc = address::is_grpc(&raw, dialect, desk);
    let mut upstream = open_ai(*raw, &item.at, desk)?;
    upstream.http2 |= is_grpc;
    let kind = match dialect {
        None => ProviderKind::OpenAi(Box::new(upstream)),
        Some(dialect) => ProviderKind::Classic(Box::new(ClassicSpec { dialect, is_grpc, upstream })),
    };
    Some(ProviderSpec { name: name?, kind })
}

fn local(raw: &LocalFile) -> LocalSpec {
    let count = |given: &Option<At<Count>>| given.as_ref().map(|count| count.value.size());
    LocalSpec {
        device: match raw.device {
            None | Some(DeviceFile::Auto) => Device::Auto,
            Some(DeviceFile::Cpu) => Device::Cpu,
        },
        kv_cache: raw.kv_cache.as_ref().map_or(256 << 20, |size| size.value.0),
        threads: count(&raw.threads),
        max_batch: count(&raw.max_batch).unwrap_or(16),
        queue: count(&raw.queue).unwrap_or(64),
        adapter_memory: raw.adapter_memory.as_ref().map_or(256 << 20, |size| size.value.0),
        speculate: match raw.speculate {
            None | Some(SpeculateFile::Off) => Speculation::Off,
            Some(SpeculateFile::PromptLookup) => Speculation::PromptLookup,
        },
        nice: raw.nice.as_ref().map_or(10, |nice| nice.value.0),
        memory: raw.memory.as_ref().map(|size| size.value.0),
    }
}

pub(super) fn open_ai(raw: OpenAiFile, at: &Place, desk: &mut Desk<'_>) -> Option<OpenAiSpec> {
    let here = raw.at().clone();
    let headers = raw.headers.unwrap_or_default().0.into_iter().filter_map(|item| header(item, desk)).collect();
    let query =
        raw.query.unwrap_or_default().0.into_iter().filter_map(|item| Some((item.name, item.value?.value.0))).collect();
    let auth = raw.auth.and_then(|auth| auth_spec(auth, &here, desk));
    let ca = raw.ca.map(|file| desk.file(&file));
    let proxy = proxy_spec(raw.proxy, at, desk);
    let endpoints = raw.endpoints.map(|endpoints| {
        if endpoints.is_empty() {
            desk.notes
                .fault(&here, "a provider has at least one endpoint")
                .remedy("write `endpoints: [{url: \"http://127.0.0.1:8000/v1\"}]`");
        }
        endpoint_specs(&endpoints, desk)
    });
    let most = raw.max_connections.map_or(1024, |count| count.value.size());
    if let Some(count) = raw.max_concurrency.as_ref().filter(|count| count.value.size() > most) {
        desk.notes
            .fault(&count.at, format!("this can never apply: `max_connections` is smaller ({most})"))
            .remedy("make it smaller than that, or leave one of them out");
    }
    Some(OpenAiSpec {
        max_concurrency: raw.max_concurrency.map(|count| count.value.size()),
        outlier_detection: outlier(raw.outlier_detection.as_ref(), desk.notes),
        balance: match raw.balance {
            None | Some(BalanceFile::P2c) => Balance::P2c,
            Some(BalanceFile::RoundRobin) => Balance::RoundRobin,
        },
        auth,
        headers,
        query,
        ca,
        proxy,
        http2: raw.http2.is_some_and(|http2| http2.value),
        max_connections: most,
        endpoints: endpoints?,
    })
}

fn outlier(raw: Option<&OutlierFile>, notes: &mut Notes) -> OutlierSpec {
    let usual = OutlierSpec::default();
    let Some(raw) = raw else { return usual };
    let count = |given: &Option<At<Count>>, usual| given.as_ref().map_or(usual, |count| count.value.0);
    let share = |given: &Option<At<Share>>, usual| given.as_ref().map_or(usual, |share| share.value.0);
    let span = |given: &Option<At<Span>>, usual| given.as_ref().map_or(usual, |span| span.value.0);
    let first = span(&raw.ejection_time, usual.ejection_time);
    // A first ejection that is longer than the usual longest one makes that longer.
    let longest = span(&raw.max_ejection_time, usual.max_ejection_time.max(first));
    if let Some(given) = raw.max_ejection_time.as_ref().filter(|_| longest < first) {
        notes
            .fault(&given.at, format!("the first ejection is longer than this ({}s)", first.as_secs_f64()))
            .remedy("make it longer, or `ejection_time` shorter");
    }
    OutlierSpec {
        consecutive_failures: count(&raw.consecutive_failures, usual.consecutive_failures),
        failure_share: share(&raw.failure_share, usual.failure_share),
        min_calls: count(&raw.min_calls, usual.min_calls),
        window: span(&raw.window, usual.window),
        ejection_time: first,
        max_ejection_time: longest,
        max_ejected: share(&raw.max_ejected, usual.max_ejected),
        slow_start: span(&raw.slow_start, usual.slow_start),
    }
}

/// Endpoints are named by host and port, and by the path too where that is needed to tell them apart.
fn endpoint_specs(raw: &[EndpointFile], desk: &mut Desk<'_>) -> Vec<EndpointSpec> {
    let mut specs: Vec<EndpointSpec> = Vec::new();
    let mut seen: Vec<(&Uri, usize)> = Vec::new();
    for url in raw.iter().filter_map(|endpoint| endpoint.url.as_ref()) {
        let uri = &url.value.uri;
        if let Some((_, line)) = seen.iter().find(|(first, _)| *first == uri) {
            desk.notes
                .fault(&url.at, format!("this endpoint stands in line {line} already"))
                .remedy("leave one of them out");
            continue;
        }
        seen.push((uri, url.at.line));
        let short = host_and_port(uri);
        let text =
            if specs.iter().any(|spec| spec.name.as_str() == short) { format!("{short}{}", uri.path()) } else { short };
        match text.parse::<EndpointName>() {
            Ok(name) => specs.push(EndpointSpec { name, url: uri.clone() }),
            Err(fault) => {
                let message = format!("the host and port of this address make no name: {fault}");
                desk.notes.fault(&url.at, message).remedy("use another name of the host, or its IP address");
            }
        }
    }
    specs
}

fn host_and_port(uri: &Uri) -> String {
    let host = uri.host().unwrap_or_default();
    let default = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    let port = uri.port_u16().unwrap_or(default);
    // A name has no brackets and no leading colon, so an IPv6 address is written out.
    match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(IpAddr::V6(ip)) => {
            let parts: Vec<String> = ip.segments().iter().map(|part| format!("{part:x}")).collect();
            format!("{}:{port}", parts.join(":"))
        }
        _ => format!("{host}:{port}"),
    }
}

fn header(item: Item<At<Text>>, desk: &mut Desk<'_>) -> Option<(HeaderName, HeaderValue)> {
    let name = header_name(&item.name, &item.at, desk);
    let given = item.value?;
    let Ok(mut value) = HeaderValue::from_str(&given.value.0) else {
        desk.notes.fault(&given.at, "this is no value of a header").remedy("use visible ASCII only");
        return None;
    };
    if let Some(name) = name.as_ref().filter(|name| CREDENTIALS.contains(&name.as_str()) && !given.is_referred) {
        desk.notes.conceal(&given.at);
        desk.notes
            .fault(&given.at, "a secret stands in the file itself")
            .remedy(format!("write `{name}: \"${{env:NAME}}\"`, or use `auth`"));
    }
    value.set_sensitive(given.is_referred);
    Some((name?, value))
}

/// Headers whose values are secrets wherever they stand.
const CREDENTIALS: [&str; 5] = ["authorization", "proxy-authorization", "x-api-key", "api-key", "cookie"];

/// Headers that the gateway sets itself, or that belong to one connection.
const OURS: [&str; 8] =
    ["host", "content-length", "content-type", "transfer-encoding", "connection", "te", "upgrade", "accept-encoding"];

fn header_name(text: &str, at: &Place, desk: &mut Desk<'_>) -> Option<HeaderName> {
    match HeaderName::from_bytes(text.as_bytes()) {
        Ok(name) if OURS.contains(&name.as_str()) => {
            desk.notes.fault(at, format!("the gateway sets `{name}` itself")).remedy("leave it out");
            None
        }
        Ok(name) => Some(name),
        Err(_) => {
            desk.notes.fault(at, "this is not the name of a header").remedy("use letters, digits and `-`");
            None
        }
    }
}

fn auth_spec(raw: AuthFile, at: &Place, desk: &mut Desk<'_>) -> Option<AuthSpec> {
    match raw {
        AuthFile::Bearer(secret) => {
            check_fits(&secret, desk);
            Some(AuthSpec::Bearer(desk.secret(secret)))
        }
        AuthFile::Header(Map(mut items)) => {
            if items.len() != 1 {
                desk.notes
                    .fault(at, "`auth: {header: …}` takes exactly one header")
                    .remedy("write others under `headers`");
                return None;
            }
            let item = items.pop()?;
            let name = header_name(&item.name, &item.at, desk);
            let secret = item.value?;
            check_fits(&secret, desk);
            let secret = desk.secret(secret);
            Some(AuthSpec::Header(name?, secret))
        }
    }
}

fn check_fits(secret: &At<Secret>, desk: &mut Desk<'_>) {
    if HeaderValue::from_str(secret.value.expose()).is_err() {
        let note = desk.notes.fault(&secret.at, "this secret fits into no header");
        note.remedy("see that it has no line break and no other odd character");
    }
}

fn proxy_spec(raw: Option<ProxyFile>, at: &Place, desk: &mut Desk<'_>) -> ProxySpec {
    match raw {
        Some(ProxyFile::Direct) => ProxySpec::Direct,
        Some(ProxyFile::Through(proxy)) => {
            if proxy.value.0.authority().is_some_and(|authority| authority.as_str().contains('@')) && !proxy.is_referred
            {
                desk.notes.conceal(&proxy.at);
                desk.notes
                    .fault(&proxy.at, "a secret stands in the file itself")
                    .remedy("write `through: \"${env:NAME}\"`");
            }
            ProxySpec::Through(proxy.value.0)
        }
        None | Some(ProxyFile::Environment) => ProxySpec::Environment {
            https: from_environment(["HTTPS_PROXY", "https_proxy"], at, desk),
            http: from_environment(["HTTP_PROXY", "http_proxy"], at, desk),
            except: ["NO_PROXY", "no_proxy"].iter().find_map(|name| (desk.env)(name)).map_or_else(Vec::new, |list| {
                list.split(',').map(|host| host.trim().to_owned()).filter(|host| !host.is_empty()).collect()
            }),
        },
    }
}

fn from_environment(names: [&str; 2], at: &Place, desk: &mut Desk<'_>) -> Option<Uri> {
    let (name, value) =
        names.iter().find_map(|name| (desk.env)(name).filter(|value| !value.is_empty()).map(|value| (name, value)))?;
    match Proxy::parse(&value) {
        Ok(Proxy(uri)) => Some(uri),
        Err(_) => {
            let note = desk.notes.fault(at, format!("the environment variable `{name}` is not {}", Proxy::WHAT));
            note.remedy("mend it, or write `proxy: direct` if this provider needs none");
            None
        }
    }
}
