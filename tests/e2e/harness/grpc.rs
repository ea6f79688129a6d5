//! gRPC that is not ours: a client and a server of tonic's, and a client that sends whatever bytes it is told.

#[path = "../../../gateway/dialect/tests/grpc/about.rs"]
pub(crate) mod about;
#[path = "../../../gateway/dialect/tests/grpc/messages.rs"]
pub(crate) mod messages;

use super::soon;
use about::{ModelMetadataResponse, ModelRequest, ModelStreamInferResponse};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, Request, Response, Uri, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use messages::{ModelInferRequest, ModelInferResponse};
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::{TcpListener, TcpStream};
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_prost::ProstCodec;

const SERVICE: &str = "/inference.GRPCInferenceService/";

/// A client of tonic's.
#[derive(Clone)]
pub(crate) struct Grpc {
    channel: Channel,
    /// The metadata of all calls.
    metadata: Vec<(&'static str, String)>,
}

impl Grpc {
    pub(crate) async fn of(address: SocketAddr) -> Self {
        Self::over(Endpoint::from_shared(format!("http://{address}")).expect("an address")).await
    }

    pub(crate) async fn over(endpoint: Endpoint) -> Self {
        let channel = soon("a connection", endpoint.connect()).await.expect("the gateway accepts connections");
        Self { channel, metadata: Vec::new() }
    }

    pub(crate) fn with_key(self, key: &str) -> Self {
        self.with("authorization", &format!("Bearer {key}"))
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.metadata.push((name, value.to_owned()));
        self
    }

    fn dressed<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        for (name, value) in &self.metadata {
            request.metadata_mut().insert(*name, value.parse().expect("metadata"));
        }
        request
    }

    /// Calls a method that takes and gives one message.
    pub(crate) async fn call<Asked, Said>(&self, method: &str, message: Asked) -> Result<tonic::Response<Said>, Status>
    where
        Asked: prost::Message + Default + 'static,
        Said: prost::Message + Default + 'static,
    {
        let mut client = tonic::client::Grpc::new(self.channel.clone());
        client.ready().await.expect("a connection");
        let path = format!("{SERVICE}{method}").parse().expect("a path");
        soon("an answer", client.unary(self.dressed(message), path, ProstCodec::default())).await
    }

    pub(crate) async fn infer(&self, asked: ModelInferRequest) -> Result<tonic::Response<ModelInferResponse>, Status> {
        self.call("ModelInfer", asked).await
    }

    /// All answers of a stream of calls, and how it ended.
    pub(crate) async fn stream(
        &self,
        asked: Vec<ModelInferRequest>,
    ) -> (Vec<ModelStreamInferResponse>, Option<Status>) {
        let mut client = tonic::client::Grpc::new(self.channel.clone());
        client.ready().await.expect("a connection");
        let path = format!("{SERVICE}ModelStreamInfer").parse().expect("a path");
        let request = self.dressed(stream::iter(asked));
        let begun = client.streaming(request, path, ProstCodec::default());
        let mut answers = match soon("a stream", begun).await {
            Ok(begun) => begun.into_inner(),
            Err(status) => return (Vec::new(), Some(status)),
        };
        let mut all = Vec::new();
        while let Some(answer) = soon("an answer of a stream", answers.next()).await {
            match answer {
                Ok(answer) => all.push(answer),
                Err(status) => return (all, Some(status)),
            }
        }
        (all, None)
    }

    /// A stream of calls with one so far, which stays open.
    pub(crate) async fn waiting(&self, first: ModelInferRequest) -> tonic::Streaming<ModelStreamInferResponse> {
        let mut client = tonic::client::Grpc::new(self.channel.clone());
        client.ready().await.expect("a connection");
        let path = format!("{SERVICE}ModelStreamInfer").parse().expect("a path");
        let request = self.dressed(stream::iter([first]).chain(stream::pending()));
        soon("a stream", client.streaming(request, path, ProstCodec::default())).await.expect("a stream").into_inner()
    }
}

/// What came back on bytes that may be no message.
#[derive(Debug)]
pub(crate) struct Came {
    pub(crate) code: Code,
    pub(crate) says: String,
    pub(crate) http: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// A connection of HTTP/2 on which a test sends what it likes.
pub(crate) struct Bytewise {
    send: hyper::client::conn::http2::SendRequest<Full<Bytes>>,
    key: String,
}

impl Bytewise {
    pub(crate) async fn of(address: SocketAddr, key: &str) -> Self {
        let stream = TcpStream::connect(address).await.expect("the gateway accepts connections");
        let (send, machine) = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .expect("HTTP/2 by prior knowledge");
        tokio::spawn(async move { drop(machine.await) });
        Self { send, key: key.to_owned() }
    }

    /// Sends a body to a method, with further headers.
    pub(crate) async fn send(&mut self, method: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Came {
        let mut request = Request::post(format!("http://gateway{SERVICE}{method}"))
            .header("te", "trailers")
            .header("authorization", format!("Bearer {}", self.key));
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/grpc");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).expect("a request");
        soon("a connection", self.send.ready()).await.expect("the connection lives");
        let answer = soon("an answer", self.send.send_request(request)).await.expect("an answer");
        let (head, body) = answer.into_parts();
        let body = soon("a body", body.collect()).await.expect("a whole body");
        let mut headers = head.headers;
        headers.extend(body.trailers().cloned().unwrap_or_default());
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let code = text("grpc-status").parse::<i32>().map_or(Code::Unknown, Code::from);
        Came { code, says: text("grpc-message"), http: head.status.as_u16(), headers, body: body.to_bytes() }
    }
}

/// A body of one message.
pub(crate) fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("a short message");
    [&[0][..], &length.to_be_bytes(), message].concat()
}

/// How a server answers a call.
type By = dyn Fn(&ModelInferRequest) -> Result<ModelInferResponse, Status> + Send + Sync;

/// A server of tonic's.
pub(crate) struct GrpcUpstream {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<(MetadataMap, ModelInferRequest)>>>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Clone)]
struct Infers(Arc<By>, Arc<Mutex<Vec<(MetadataMap, ModelInferRequest)>>>);

impl tonic::server::UnaryService<ModelInferRequest> for Infers {
    type Response = ModelInferResponse;
    type Future = Ready<Result<tonic::Response<ModelInferResponse>, Status>>;

    fn call(&mut self, request: tonic::Request<ModelInferRequest>) -> Self::Future {
        let (metadata, _, message) = request.into_parts();
        let answer = self.0(&message);
        self.1.lock().expect("no thread panicked").push((metadata, message));
        ready(answer.map(tonic::Response::new))
    }
}

#[derive(Clone)]
struct Describes(ModelMetadataResponse);

impl tonic::server::UnaryService<ModelRequest> for Describes {
    type Response = ModelMetadataResponse;
    type Future = Ready<Result<tonic::Response<ModelMetadataResponse>, Status>>;

    fn call(&mut self, _: tonic::Request<ModelRequest>) -> Self::Future {
        ready(Ok(tonic::Response::new(self.0.clone())))
    }
}

impl GrpcUpstream {
    /// A server that describes its models so, and answers by a function.
    pub(crate) async fn start(
        meta: ModelMetadataResponse,
        by: impl Fn(&ModelInferRequest) -> Result<ModelInferResponse, Status> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::<Mutex<Vec<_>>>::default();
        let (infers, describes) = (Infers(Arc::new(by), Arc::clone(&asked)), Describes(meta));
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (infers, describes) = (infers.clone(), describes.clone());
                let service = service_fn(move |request: Request<Incoming>| {
                    let (infers, describes) = (infers.clone(), describes.clone());
                    async move { Ok::<_, std::convert::Infallible>(answer(request, infers, describes).await) }
                });
                connections.spawn(async move {
                    let io = TokioIo::new(stream);
                    let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    drop(builder.serve_connection(io, service).await);
                });
            }
        });
        Self { address, asked, task }
    }

    /// Its address in a configuration.
    pub(crate) fn url(&self) -> String {
        format!("grpc://{}", self.address)
    }

    /// What it was asked, with its metadata.
    pub(crate) fn asked(&self) -> Vec<(MetadataMap, ModelInferRequest)> {
        self.asked.lock().expect("no thread panicked").clone()
    }
}

impl Drop for GrpcUpstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(request: Request<Incoming>, infers: Infers, describes: Describes) -> Response<tonic::body::Body> {
    assert_eq!(request.version(), Version::HTTP_2);
    let path: &Uri = request.uri();
    match path.path().strip_prefix(SERVICE) {
        Some("ModelInfer") => tonic::server::Grpc::new(ProstCodec::default()).unary(infers, request).await,
        Some("ModelMetadata") => tonic::server::Grpc::new(ProstCodec::default()).unary(describes, request).await,
        _ => Status::unimplemented("there is no such method").into_http(),
    }
}
