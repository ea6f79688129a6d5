//! The interface that MLflow's clients speak: paths, parameters, answers and errors of the model registry and of its
//! artifacts, as the server of version 3.17 has them. Owns the wire; what is done is the registry's.

mod artifacts;
mod error;
mod models;
mod multipart;
mod params;
mod prompts;
mod schema;
mod table;
mod versions;
mod webhooks;

use crate::fault::{RegistryFault, RegistryFaultKind};
use crate::registry::Registry;
use crate::request::{actor, gather, of_port};
use http::header::{CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::{Method, Request, Response, StatusCode};
use params::Params;
use serde_json::{Value, json};
use std::sync::Arc;
use table::{Call, Found};
use tidegate_core::port::BoxFuture;
use tidegate_core::port::blobs::Blobs;
use tidegate_core::port::mount::{Content, Door, Frames, Mount, Passage};
use tidegate_core::port::prompts::Reach;
use tidegate_core::port::shelf::PromptShelf;
use tidegate_core::{Caller, Fault};

/// The MLflow interface of a registry.
#[derive(Debug)]
pub struct Mlflow {
    registry: Arc<Registry>,
    blobs: Arc<dyn Blobs>,
    /// The prompts, where there are any.
    shelf: Option<Arc<dyn PromptShelf>>,
    /// The longest file that is taken, in bytes.
    largest_file: u64,
}

impl Mlflow {
    /// The interface of `registry`, whose files lie in `blobs`, each of at most `largest_file` bytes.
    #[must_use]
    pub fn new(registry: Arc<Registry>, blobs: Arc<dyn Blobs>, largest_file: u64) -> Self {
        Self { registry, blobs, shelf: None, largest_file }
    }

    /// Serves the prompts of `shelf` too.
    #[must_use]
    pub fn with_prompts(mut self, shelf: Option<Arc<dyn PromptShelf>>) -> Self {
        self.shelf = shelf;
        self
    }

    /// Removes uploads that began more than a day ago and were not completed; tells how many.
    ///
    /// # Errors
    /// The artifact store cannot be read or changed.
    pub async fn sweep(&self) -> Result<usize, RegistryFault> {
        multipart::sweep(&*self.blobs, self.registry.wall()).await
    }

    async fn answer(
        &self,
        caller: Option<Caller>,
        request: Request<Frames>,
    ) -> Result<Response<Content>, RegistryFault> {
        let (head, body) = request.into_parts();
        let (call, rest) = match table::find(&head.method, head.uri.path()) {
            Found::Call(row, rest) => (row.call, rest),
            _ => return Err(no_such_call()),
        };
        match call {
            Call::ServerInfo => return Ok(reply(&server_info())),
            Call::Download => return artifacts::download(&*self.blobs, rest, &head.headers).await,
            Call::Upload => {
                return artifacts::upload(&self.registry, &*self.blobs, rest, body, self.largest_file).await;
            }
            Call::Remove => return artifacts::remove(&self.registry, &*self.blobs, rest).await,
            Call::UploadPart => {
                return multipart::part(&*self.blobs, rest, body, self.largest_file, self.registry.wall()).await;
            }
            Call::Presigned => return Err(artifacts::unsupported()),
            _ => {}
        }
        let bytes = gather(body).await?;
        let caller = caller.ok_or_else(|| RegistryFault::internal("a call that needs a role came without a caller"))?;
        let actor = actor(&caller, &head, &bytes)?;
        let params = Params::read(&head.method, head.uri.query(), &head.headers, &bytes)?;
        params.check(schema::of(call))?;
        if let Some(shelf) = &self.shelf
            && let Some(answer) = prompts::answer(shelf, &self.registry, call, &actor, &params).await?
        {
            return Ok(reply(&answer));
        }
        let answer = match call {
            Call::CreateUpload => {
                let origin = multipart::origin(&head.uri, &head.headers)?;
                let now = self.registry.wall();
                multipart::create(&self.registry, &*self.blobs, rest, &params, &origin, now).await?
            }
            Call::CompleteUpload => {
                let (most, now) = (self.largest_file, self.registry.wall());
                multipart::complete(&self.registry, &self.blobs, rest, &params, most, now).await?
            }
            Call::AbortUpload => multipart::abort(&*self.blobs, rest, &params).await?,
            Call::ListArtifacts => artifacts::list(&*self.blobs, &params).await?,
            Call::CreateModel => models::create(&self.registry, &actor, &params).await?,
            Call::GetModel => models::get(&self.registry, &params).await?,
            Call::RenameModel => models::rename(&self.registry, &actor, &params).await?,
            Call::UpdateModel => models::update(&self.registry, &actor, &params).await?,
            Call::DeleteModel => models::delete(&self.registry, &actor, &params).await?,
            Call::SearchModels => models::search(&self.registry, &params).await?,
            Call::LatestVersions => versions::latest(&self.registry, &params).await?,
            Call::SetModelTag => models::set_tag(&self.registry, &actor, &params).await?,
            Call::DeleteModelTag => models::delete_tag(&self.registry, &actor, &params).await?,
            Call::SetAlias => models::set_alias(&self.registry, &actor, &params).await?,
            Call::DeleteAlias => models::delete_alias(&self.registry, &actor, &params).await?,
            Call::GetAlias => models::get_alias(&self.registry, &params).await?,
            Call::CreateVersion => versions::create(&self.registry, &actor, &params).await?,
            Call::GetVersion => versions::get(&self.registry, &params).await?,
            Call::UpdateVersion => versions::update(&self.registry, &actor, &params).await?,
            Call::DeleteVersion => versions::delete(&self.registry, &actor, &params).await?,
            Call::TransitionStage => versions::transition(&self.registry, &actor, &params).await?,
            Call::SearchVersions => versions::search(&self.registry, &params).await?,
            Call::DownloadUri => versions::download_uri(&self.registry, &params).await?,
            Call::SetVersionTag => versions::set_tag(&self.registry, &actor, &params).await?,
            Call::DeleteVersionTag => versions::delete_tag(&self.registry, &actor, &params).await?,
            Call::CreateWebhook => webhooks::create(&self.registry, &actor, &params).await?,
            Call::ListWebhooks => webhooks::list(&self.registry, &params).await?,
            Call::GetWebhook => webhooks::get(&self.registry, rest).await?,
            Call::UpdateWebhook => webhooks::update(&self.registry, &actor, rest, &params).await?,
            Call::DeleteWebhook => webhooks::delete(&self.registry, &actor, rest).await?,
            Call::TestWebhook => {
                let id = rest.strip_suffix("/test").ok_or_else(no_such_call)?;
                webhooks::test(&self.registry, id, &params).await?
            }
            Call::ServerInfo | Call::Download | Call::Upload | Call::Remove | Call::UploadPart | Call::Presigned => {
                return Err(RegistryFault::internal("a call without a handler"));
            }
        };
        Ok(reply(&answer))
    }
}

impl Mount for Mlflow {
    fn find(&self, door: Door, method: &Method, path: &str) -> Passage {
        if door == Door::Admin {
            return Passage::Nothing;
        }
        match table::find(method, path) {
            Found::Call(row, _) => row.role.map_or(Passage::Open, Passage::Needs),
            Found::WrongMethod(allowed) => Passage::WrongMethod(allowed),
            Found::Nothing => Passage::Nothing,
        }
    }

    fn serve(&self, caller: Option<Caller>, _: Reach, request: Request<Frames>) -> BoxFuture<'_, Response<Content>> {
        Box::pin(async move {
            let mut response = self.answer(caller, request).await.unwrap_or_else(|fault| {
                if matches!(fault.kind, RegistryFaultKind::Internal | RegistryFaultKind::Unavailable) {
                    tracing::error!(fault = %fault, "a call of the registry failed");
                }
                error::respond(&fault)
            });
            no_page(&mut response);
            response
        })
    }

    fn refuse(&self, fault: &Fault) -> Response<Content> {
        let mut response = error::refuse(fault);
        no_page(&mut response);
        response
    }
}

/// What others put here must never run as a page of ours.
fn no_page(response: &mut Response<Content>) {
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

fn no_such_call() -> RegistryFault {
    RegistryFault::new(RegistryFaultKind::NoEndpoint, "there is no such call")
}

fn reply(answer: &Value) -> Response<Content> {
    let text = serde_json::to_string_pretty(answer).unwrap_or_default();
    let mut response = Response::new(Content::Whole(text.into()));
    *response.status_mut() = StatusCode::OK;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// What the client asks before it transfers files: they may come up in parts, and go down by plain requests.
fn server_info() -> Value {
    json!({
        "store_type": "SqlStore",
        "workspaces_enabled": false,
        "trace_archival_enabled": false,
        "multipart_uploads_enabled": true,
        "multipart_downloads_enabled": false,
        "presigned_upload_run_id_supported": false,
        "presigned_upload_model_id_supported": false,
        "features_enabled": {},
    })
}
