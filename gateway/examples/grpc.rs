//! Measures the CPU time of a call over gRPC through the program, with key, limits, records and two variants, beside a bare proxy
//! of tonic's, which reads each message, asks the upstream and writes the answer:
//! `grpc PROGRAM [CALLS] [ROUNDS]`, where the program was built as it ships. Both stand in front of the same upstream of tonic's,
//! on core 0, and take turns; upstream and callers are on core 1. It prints microseconds per call, all threads of the process
//! counted, and fails where a call through the program takes more than 1.5 times that of the proxy. Linux only.

#![expect(clippy::print_stdout, reason = "an example that reports to its user")]

#[path = "../dialect/tests/grpc/messages.rs"]
mod messages;

use http::uri::PathAndQuery;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use messages::{InferTensor, ModelInferRequest, ModelInferResponse};
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tonic::server::UnaryService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Answer = Result<Response<ModelInferResponse>, Status>;

const INFER: &str = "/inference.GRPCInferenceService/ModelInfer";
/// Calls at once.
const CALLERS: usize = 8;
/// The most that a call may take, as a multiple of the proxy's.
const MOST: f64 = 1.5;
/// The secret of `configs/acceptance.keys.yaml`, which is published.
const KEY: &str = "Bearer sk-test";

/// What answers: the upstream itself, or the proxy in front of it.
#[derive(Clone)]
enum Server {
    Upstream(usize),
    Proxy(Channel),
}

impl UnaryService<ModelInferRequest> for Server {
    type Response = ModelInferResponse;
    type Future = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn call(&mut self, request: Request<ModelInferRequest>) -> Self::Future {
        match self {
            Self::Upstream(bytes) => {
                let bytes = *bytes;
                Box::pin(async move { Ok(Response::new(answer(&request.into_inner(), bytes))) })
            }
            Self::Proxy(channel) => {
                let channel = channel.clone();
                Box::pin(async move { ask(&channel, Request::new(request.into_inner())).await })
            }
        }
    }
}

fn tensor(name: &str, values: usize) -> InferTensor {
    let shape = vec![1, i64::try_from(values).unwrap_or(i64::MAX)];
    InferTensor { name: name.to_owned(), datatype: "FP32".to_owned(), shape, ..Default::default() }
}

fn answer(asked: &ModelInferRequest, bytes: usize) -> ModelInferResponse {
    ModelInferResponse {
        model_name: asked.model_name.clone(),
        id: asked.id.clone(),
        outputs: vec![tensor("y", bytes / 4)],
        raw_output_contents: vec![vec![0; bytes]],
        ..Default::default()
    }
}

async fn ask(channel: &Channel, mut request: Request<ModelInferRequest>) -> Answer {
    request.metadata_mut().insert("authorization", tonic::metadata::MetadataValue::from_static(KEY));
    let most = 64 << 20;
    let mut client = tonic::client::Grpc::new(channel.clone()).max_decoding_message_size(most);
    client.ready().await.map_err(|fault| Status::unavailable(fault.to_string()))?;
    client.unary(request, PathAndQuery::from_static(INFER), ProstCodec::default()).await
}

async fn serve(server: Server) -> Result<(), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let server = server.clone();
        let service = service_fn(move |request: http::Request<Incoming>| {
            let server = server.clone();
            async move {
                let mut grpc = tonic::server::Grpc::new(ProstCodec::default()).max_decoding_message_size(64 << 20);
                Ok::<_, std::convert::Infallible>(grpc.unary(server, request).await)
            }
        });
        tokio::spawn(async move {
            let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            builder.initial_stream_window_size(256 * 1024).initial_connection_window_size(1024 * 1024);
            drop(builder.serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

async fn channel(address: &str) -> Result<Channel, Failure> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?.tcp_nodelay(true);
    let endpoint = endpoint.initial_stream_window_size(1 << 20).initial_connection_window_size(4 << 20);
    Ok(endpoint.connect().await?)
}

/// A process that ends with this one.
struct Process {
    child: Child,
    address: String,
}

impl Drop for Process {
    fn drop(&mut self) {
        // Where it has ended there is nothing to end.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Process {
    /// This program in another part, on core `core`.
    fn part(core: &str, arguments: &[&str]) -> Result<Self, Failure> {
        let own = std::env::current_exe()?;
        let mut command = Command::new("taskset");
        command.args(["-c", core]).arg(own).args(arguments).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let out = child.stdout.take().ok_or("it has no output")?;
        let mut address = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut address)?;
        Ok(Self { child, address: address.trim().to_owned() })
    }

    /// The program in front of `upstream`.
    async fn gateway(program: &str, upstream: &str, folder: &std::path::Path) -> Result<Self, Failure> {
        let address = free()?.to_string();
        let keys = include_str!("../../configs/acceptance.keys.yaml");
        std::fs::write(folder.join("keys.yaml"), keys)?;
        let text = format!(
            "listeners: {{public: {{address: \"{address}\"}}}}\nkeys: {{file: keys.yaml}}\n\
             store: {{events: {{to: \"file:events\"}}}}\n\
             providers: {{far: {{open_inference: {{endpoints: [{{url: \"grpc://{upstream}\"}}], proxy: direct}}}}}}\n\
             models: {{a: {{provider: far, model: up}}, b: {{provider: far, model: up}}}}\n\
             routes: {{m: {{variants: {{a: {{model: a}}, b: {{model: b}}}}, policy: {{weighted: {{a: 90%, b: 10%}}}}}}}}\n\
             limits: [{{per: key, requests: 100000000/min}}]\n"
        );
        std::fs::write(folder.join("tidegate.yaml"), text)?;
        let mut command = Command::new("taskset");
        command.args(["-c", "0", program, "serve", "--config", "tidegate.yaml"]).current_dir(folder);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let process = Self { child, address };
        let end = Instant::now() + Duration::from_secs(20);
        while channel(&process.address).await.is_err() {
            if Instant::now() > end {
                return Err("the program does not answer".into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(process)
    }

    /// Nanoseconds on a CPU, summed over its threads.
    fn cpu(&self) -> Result<u64, Failure> {
        let mut total = 0;
        for task in std::fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
            total += text.split(' ').next().unwrap_or_default().parse::<u64>()?;
        }
        Ok(total)
    }

    /// Microseconds of a call, of so many.
    async fn calls(&self, bytes: usize, calls: usize) -> Result<f64, Failure> {
        let channel = channel(&self.address).await?;
        let run = |calls: usize| {
            let channel = channel.clone();
            async move {
                for _ in 0..calls {
                    let asked = ModelInferRequest {
                        model_name: "m".to_owned(),
                        id: "1".to_owned(),
                        inputs: vec![tensor("x", bytes / 4)],
                        raw_input_contents: vec![vec![0; bytes]],
                        ..Default::default()
                    };
                    ask(&channel, Request::new(asked)).await?;
                }
                Ok::<_, Status>(())
            }
        };
        run(50.min(calls)).await?;
        let before = self.cpu()?;
        let mut callers = tokio::task::JoinSet::new();
        (0..CALLERS).for_each(|_| drop(callers.spawn(run(calls / CALLERS))));
        while let Some(done) = callers.join_next().await {
            done??;
        }
        let spent = self.cpu()? - before;
        #[expect(clippy::cast_precision_loss, reason = "microseconds for people")]
        Ok(spent as f64 / 1000.0 / (calls / CALLERS * CALLERS) as f64)
    }
}

fn free() -> Result<SocketAddr, Failure> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or_default()
}

async fn compare(program: &str, calls: usize, rounds: usize) -> Result<bool, Failure> {
    let own = std::process::id().to_string();
    Command::new("taskset").args(["-a", "-cp", "1", &own]).stdout(Stdio::null()).status()?;
    let mut is_good = true;
    for (bytes, calls) in [(120, calls), (1 << 20, calls / 40)] {
        let folder = tempfile::tempdir()?;
        let upstream = Process::part("1", &["upstream", &(if bytes > 4096 { bytes } else { 4 }).to_string()])?;
        let proxy = Process::part("0", &["proxy", &upstream.address])?;
        let gateway = Process::gateway(program, &upstream.address, folder.path()).await?;
        let (mut bare, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            bare.push(proxy.calls(bytes, calls).await?);
            ours.push(gateway.calls(bytes, calls).await?);
        }
        let (bare, ours) = (median(bare), median(ours));
        let ratio = ours / bare;
        println!(
            "figure: a tensor of {bytes} bytes: {ours:.1} us a call through the program, {bare:.1} us through the bare proxy: {ratio:.2}"
        );
        is_good &= ratio <= MOST;
    }
    Ok(is_good)
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let number = |nth: usize, usual: usize| arguments.get(nth).map_or(Ok(usual), |text| text.parse());
    match arguments.first().map(String::as_str) {
        Some("upstream") => runtime.block_on(serve(Server::Upstream(number(1, 4)?))),
        Some("proxy") => runtime.block_on(async {
            let upstream = channel(arguments.get(1).ok_or("which upstream?")?).await?;
            serve(Server::Proxy(upstream)).await
        }),
        Some(program) => {
            let program = std::fs::canonicalize(program)?.display().to_string();
            let (calls, rounds) = (number(1, 8000)?, number(2, 5)?);
            if runtime.block_on(compare(&program, calls, rounds))? {
                return Ok(());
            }
            Err(format!("a call takes more than {MOST} times that of the proxy").into())
        }
        None => Err("which program? `grpc PROGRAM [CALLS] [ROUNDS]`".into()),
    }
}
