//! What is said of the server and of its models over gRPC, as `classic` knows it.

use super::face::answered;
use super::method::Method;
use crate::classic;
use crate::listen::Peer;
use crate::path::arrive;
use crate::reply::ReplyBody;
use crate::server::Server;
use http::Response;
use http::request::Parts;
use hyper::body::Incoming;
use tidegate_core::{Caller, Fault, FaultKind};
use tidegate_dialect::{Wrong, grpc};

/// Questions are a few names.
const MOST: u64 = 64 * 1024;

/// Answers what is asked; `caller` is who asks, where a role is needed.
///
/// # Errors
/// The question is wrong, or there is no such model for this caller.
pub(super) async fn answer(
    server: &Server,
    method: Method,
    caller: Option<&Caller>,
    head: &Parts,
    body: Incoming,
    peer: &Peer,
) -> Result<Response<ReplyBody>, Fault> {
    let body = arrive::collect(&head.headers, body, MOST, peer.terms.body_timeout).await?;
    let message = grpc::only(&body).map_err(Wrong::of_caller)?;
    let snapshot = server.snapshot();
    let named = || grpc::read_named(&message).map_err(Wrong::of_caller);
    let said = match method {
        Method::ServerLive => grpc::write_truth(true),
        Method::ServerReady => grpc::write_truth(!server.is_draining()),
        Method::ServerMetadata => grpc::write_server(classic::NAME, env!("CARGO_PKG_VERSION"), &classic::EXTENSIONS),
        Method::ModelReady => {
            let named = named()?;
            grpc::write_truth(classic::is_model_ready(&snapshot, caller, &named.name, named.version)?)
        }
        Method::ModelMetadata => {
            let named = named()?;
            let meta = classic::metadata(&snapshot, caller, &named.name, named.version).await?;
            grpc::write_metadata(&named.name, &meta)
        }
        Method::RepositoryIndex => grpc::write_index(classic::index(&snapshot, caller).into_iter()),
        Method::RepositoryModelLoad | Method::RepositoryModelUnload => {
            let name = grpc::read_repository_model(&message).map_err(Wrong::of_caller)?;
            classic::order(&snapshot, caller, &name, method == Method::RepositoryModelLoad)?;
            grpc::write_loaded(&name)
        }
        // They are calls to models, which do not come here.
        Method::ModelInfer | Method::ModelStreamInfer => {
            return Err(Fault::new(FaultKind::MethodNotAllowed, super::method::NONE));
        }
    };
    Ok(answered(grpc::framed(&said)))
}
