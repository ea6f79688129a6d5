//! The path of a call to a model, from its head to its last byte.
//!
//! `gate` (strict HTTP, before anything; in `server`) → the ledger opens → [`caller`] (who) → [`arrive`] (the body, read
//! and validated in one pass) → [`permit`] (may it, and is there room in the limits) → [`features`] (what stores know of its entities) → [`prompt`] (what stands before
//! its messages) → [`choose`] (policy → plan) → [`send`] (the route's [`filter`]s look at what is asked; try, try again, fall
//! back; each [`attempt`] perhaps in a race of two, [`hedge`]; in a [`cascade`] go on from poor answers) → [`reply`] (JSON or
//! events, which the [`filter`]s look at, then [`examine`]; then [`copy`] for shadows and [`watch`] for those who watch; they are all [`told`] what goes out) → the
//! ledger closes. A caller hears of it in the [`voice`] of his interface. Where an answer must be known before any of it goes out, a stream is put on [`hold`].
//!
//! Each step consumes what the one before it made, so their order is the only one that compiles. The limits are asked
//! after the body, since what is reserved (the tokens asked for) stands in it; a caller without a key is refused before.

pub(crate) mod advise;
pub(crate) mod arrive;
pub(crate) mod attempt;
pub(crate) mod caller;
pub(crate) mod cascade;
pub(crate) mod choose;
pub(crate) mod copy;
pub(crate) mod examine;
pub(crate) mod facts;
pub(crate) mod features;
pub(crate) mod filter;
pub(crate) mod hedge;
pub(crate) mod hold;
pub(crate) mod keep;
pub(crate) mod parameters;
pub(crate) mod permit;
pub(crate) mod prompt;
pub(crate) mod reply;
pub(crate) mod send;
pub(crate) mod steer;
pub(crate) mod told;
pub(crate) mod voice;
pub(crate) mod watch;
pub(crate) mod withheld;

use crate::classic::Target;
use crate::listen::Peer;
use crate::reply::ReplyBody;
use crate::server::Server;
use crate::snapshot::Snapshot;
use bytes::Bytes;
use http::Response;
use http::request::Parts;
use http_body::Body;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::{Api, Fault, FaultKind, Ledger, Outcome};
use voice::Voice;

/// How a call comes in, with its body.
#[derive(Debug)]
pub(crate) enum Entry<B> {
    /// To a language model, in OpenAI's form.
    Text(Api, B),
    /// To a classic model.
    Tensors(Target, B),
    /// To a classic model, by gRPC.
    Message(B),
    /// The same, as one of a stream; it is there already.
    Streamed(Bytes),
}

impl<B> Entry<B> {
    const fn api(&self) -> Api {
        match self {
            Self::Text(api, _) => *api,
            Self::Tensors(..) | Self::Message(_) | Self::Streamed(_) => Api::Predict,
        }
    }

    fn voice(&self) -> Voice {
        match self {
            Self::Text(..) => Voice::OpenAi,
            Self::Tensors(..) => Voice::Plain,
            Self::Message(_) => Voice::Message,
            Self::Streamed(message) => Voice::Streamed(tidegate_dialect::grpc::id_of(message).to_owned()),
        }
    }
}

/// Serves one call, for which its caller waits no longer than `limit`. Whatever happens, the ledger leaves one record.
pub(crate) async fn serve<B>(
    server: &Arc<Server>,
    snapshot: Arc<Snapshot>,
    entry: Entry<B>,
    head: &Parts,
    peer: &Peer,
    limit: Option<Duration>,
) -> Response<ReplyBody>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let mut ledger = server.open(entry.api(), &snapshot);
    let voice = entry.voice();
    let walked = {
        // Where it stands, since moving it would cost each call.
        let walk = pin!(walk(server, &snapshot, entry, head, peer, &mut ledger));
        match limit {
            None => walk.await,
            Some(limit) => tokio::time::timeout(limit, walk).await.unwrap_or_else(|_| Err(late(limit))),
        }
    };
    match walked {
        Ok(answered) => reply::send(answered, ledger, &voice).await,
        Err(fault) => reply::refuse(&fault, ledger, &voice).await,
    }
}

/// Refuses a call of gRPC before any message of it is read; it leaves a record as well.
pub(crate) async fn refuse(server: &Arc<Server>, head: &Parts, peer: &Peer, fault: &Fault) -> Response<ReplyBody> {
    let snapshot = server.snapshot();
    let mut ledger = server.open(Api::Predict, &snapshot);
    // For the record alone: where the caller is why it is refused, that is the fault already.
    drop(caller::identify(&snapshot, &head.headers, peer, &mut ledger));
    reply::refuse(fault, ledger, &Voice::Message).await
}

/// The fault of a call that took longer than its caller waits.
pub(crate) fn late(limit: Duration) -> Fault {
    let says = format!("the call took longer than the {limit:?} that it came with: give it more time");
    Fault::new(FaultKind::RequestTimeout, says)
}

async fn walk<B>(
    server: &Server,
    snapshot: &Arc<Snapshot>,
    entry: Entry<B>,
    head: &Parts,
    peer: &Peer,
    ledger: &mut Ledger,
) -> Result<send::Answered, Fault>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let caller = caller::identify(snapshot, &head.headers, peer, ledger)?;
    let arrived = match entry {
        Entry::Text(api, body) => arrive::read(api, &head.headers, body, peer, ledger).await?,
        Entry::Message(body) => arrive::message(&head.headers, body, peer, ledger).await?,
        Entry::Streamed(message) => arrive::one(&message, true, peer, ledger)?,
        Entry::Tensors(target, body) => {
            let from = arrive::From { snapshot, caller: &caller, headers: &head.headers, peer };
            arrive::tensors(target, &from, body, ledger).await?
        }
    };
    let mut admitted = permit::admit(snapshot, caller, arrived, ledger).await?;
    features::join(&mut admitted, snapshot, ledger).await?;
    let prepared = prompt::read(admitted, peer)?;
    let planned = choose::plan(prepared, &head.headers, server.ports(), ledger);
    send::send(server, snapshot, planned, &head.headers, ledger).await
}

/// The outcome of a call that ended with `fault`.
const fn failed(fault: &Fault) -> Outcome {
    Outcome::Fault(fault.kind)
}
