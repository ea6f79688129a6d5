//! A listening socket: accepts connections, gives them TLS and serves them.

use crate::listen::drain::Inside;
use crate::listen::tls::{Tls, TlsFault, certified};
use crate::listen::{Drain, Peer, Terms, connection};
use crate::server::Server;
use hyper_util::rt::TokioExecutor;
use hyper_util::server::conn::auto::Builder;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::port::prompts::Reach;
use tidegate_core::spec::Priority;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;

/// A listening socket.
#[derive(Debug)]
pub struct Listener {
    name: String,
    socket: TcpListener,
    terms: Arc<Terms>,
    tls: Option<Arc<Tls>>,
    room: Arc<Semaphore>,
}

/// Why a listener cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenFault {
    /// The address is taken or not ours.
    #[error("listener `{name}` cannot listen on {address}: {why}")]
    Address {
        /// The listener.
        name: String,
        /// Its address.
        address: SocketAddr,
        /// What the system says.
        why: std::io::Error,
    },
    /// Its TLS cannot be set up.
    #[error("listener `{name}`: {why}")]
    Tls {
        /// The listener.
        name: String,
        /// What is wrong.
        why: TlsFault,
    },
}

impl Listener {
    /// Binds the address.
    ///
    /// # Errors
    /// The address cannot be had, or the files of its TLS cannot be used.
    pub async fn bind(
        name: &str,
        address: SocketAddr,
        terms: Terms,
        tls: Option<tidegate_core::spec::TlsSpec>,
        max_connections: usize,
    ) -> Result<Self, ListenFault> {
        let name = name.to_owned();
        let tls =
            tls.map(Tls::read).transpose().map_err(|why| ListenFault::Tls { name: name.clone(), why })?.map(Arc::new);
        let socket = TcpListener::bind(address).await.map_err(|why| ListenFault::Address {
            name: name.clone(),
            address,
            why,
        })?;
        let room = Arc::new(Semaphore::new(max_connections));
        Ok(Self { name, socket, terms: Arc::new(terms), tls, room })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The address that it really has.
    ///
    /// # Errors
    /// The system does not say.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Its TLS, to be reloaded.
    #[must_use]
    pub fn tls(&self) -> Option<Arc<Tls>> {
        self.tls.clone()
    }

    /// Accepts connections until the drain begins.
    pub async fn run(self, server: Arc<Server>, drain: Drain) {
        let peer =
            |reach| Arc::new(Peer { certified: None, reach, most: Priority::High, terms: Arc::clone(&self.terms) });
        let (near, afar) = (peer(Reach::Loopback), peer(Reach::Afar));
        let builder = Arc::new(connection::builder(&near));
        loop {
            let accepted = tokio::select! {
                accepted = self.accept() => accepted,
                () = drain.begun() => return,
            };
            let (stream, reach, room) = match accepted {
                Ok(accepted) => accepted,
                Err(e) => {
                    tracing::warn!(listener = self.name, error = %e, "cannot accept connections; trying again");
                    // Out of descriptors, mostly: a busy loop would make it worse.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let mut inside = drain.enter();
            let peer = Arc::clone(if reach == Reach::Loopback { &near } else { &afar });
            let (server, builder, tls) = (Arc::clone(&server), Arc::clone(&builder), self.tls.clone());
            tokio::spawn(async move {
                let _room = room;
                meet(server, &builder, stream, peer, &mut inside, tls).await;
            });
        }
    }

    /// The next connection, once there is room for it: the others wait in the kernel's queue.
    async fn accept(&self) -> std::io::Result<(TcpStream, Reach, Option<OwnedSemaphorePermit>)> {
        // The semaphore is never closed, so the permit is always there.
        let room = Arc::clone(&self.room).acquire_owned().await.ok();
        let (stream, address) = self.socket.accept().await?;
        stream.set_nodelay(true)?;
        let reach = if address.ip().to_canonical().is_loopback() { Reach::Loopback } else { Reach::Afar };
        Ok((stream, reach, room))
    }
}

async fn meet(
    server: Arc<Server>,
    builder: &Builder<TokioExecutor>,
    stream: TcpStream,
    peer: Arc<Peer>,
    inside: &mut Inside,
    tls: Option<Arc<Tls>>,
) {
    let Some(tls) = tls else {
        return connection::serve(server, builder, stream, peer, inside).await;
    };
    let handshake = TlsAcceptor::from(tls.current()).accept(stream);
    match tokio::time::timeout(peer.terms.head_timeout, handshake).await {
        Ok(Ok(stream)) => {
            let certified = certified(stream.get_ref().1.peer_certificates());
            let peer = Arc::new(Peer { certified, reach: peer.reach, most: peer.most, terms: Arc::clone(&peer.terms) });
            connection::serve(server, builder, stream, peer, inside).await;
        }
        Ok(Err(e)) => tracing::debug!(error = %e, "TLS handshake failed"),
        Err(_) => tracing::debug!("TLS handshake took too long"),
    }
}
