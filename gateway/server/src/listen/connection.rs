//! One connection: bytes to requests, over HTTP/1.1 or HTTP/2. Owns the bounds that hyper is given.

use crate::listen::Peer;
use crate::listen::drain::Inside;
use crate::listen::stall::StallGuard;
use crate::server::Server;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use std::convert::Infallible;
use std::future::{Future as _, poll_fn};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};

const HEAD_BYTES: usize = 64 * 1024;
const STREAMS: u32 = 128;
/// How long the other end may leave what we send unread.
const STALL: std::time::Duration = std::time::Duration::from_secs(60);

/// How hyper shall speak; made once for a listener.
#[must_use]
pub fn builder(peer: &Peer) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(peer.terms.head_timeout)
        .max_buf_size(HEAD_BYTES)
        .half_close(false);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(32 * 1024)
        .initial_stream_window_size(256 * 1024)
        .initial_connection_window_size(1024 * 1024)
        .keep_alive_interval(std::time::Duration::from_secs(30))
        .keep_alive_timeout(std::time::Duration::from_secs(20));
    builder
}

/// Serves a connection until it ends, or until the drain lets its last request finish.
pub async fn serve<Io>(
    server: Arc<Server>,
    builder: &Builder<TokioExecutor>,
    io: Io,
    peer: Arc<Peer>,
    inside: &mut Inside,
) where
    Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let (server, peer) = (Arc::clone(&server), Arc::clone(&peer));
        async move { Ok::<_, Infallible>(server.handle(request, peer).await) }
    });
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(StallGuard::new(io, STALL)), service));
    let mut finishes = false;
    let ended = poll_fn(|cx| {
        if !finishes && inside.must_finish(cx) {
            finishes = true;
            connection.as_mut().graceful_shutdown();
        }
        connection.as_mut().poll(cx)
    })
    .await;
    if let Err(e) = ended {
        // What clients do to their connections is theirs: it matters only to whoever looks for it.
        tracing::debug!(error = %e, "connection ended");
    }
}
