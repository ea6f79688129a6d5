//! `/v1/files` and `/v1/batches`, as OpenAI has them. Owns the paths, what of a request is taken, and lists in pages;
//! each tenant sees what is his.

use super::Batches;
use super::batch::{Batch, Counts, Moments, Status, WINDOW, WINDOW_NAME};
use super::file::{File, Purpose, named};
use super::form::Form;
use super::line::APIS;
use super::shelf::none;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use tidegate_core::port::BoxFuture;
use tidegate_core::port::mount::{Content, Door, Frames, Mount, Passage};
use tidegate_core::port::prompts::Reach;
use tidegate_core::{Caller, Fault, FaultKind, Role};
use tidegate_server::mounted::refusal;
use tokio::sync::mpsc;

/// The longest body of a request that brings no file.
const LONGEST_BODY: usize = 64 << 10;
/// The longest field of a form beside its file.
const LONGEST_FIELD: usize = 1 << 10;
/// As OpenAI has it: the most entries of a batch's metadata, and how long they are.
const METADATA: (usize, usize, usize) = (16, 64, 512);

/// What a path leads to.
enum Place<'a> {
    Files,
    File(&'a str),
    Content(&'a str),
    Batches,
    Batch(&'a str),
    Cancel(&'a str),
}

impl<'a> Place<'a> {
    fn of(path: &'a str) -> Option<Self> {
        let parts: Vec<&str> = path.strip_prefix("/v1/")?.split('/').collect();
        Some(match *parts.as_slice() {
            ["files"] => Self::Files,
            ["files", id] if !id.is_empty() => Self::File(id),
            ["files", id, "content"] if !id.is_empty() => Self::Content(id),
            ["batches"] => Self::Batches,
            ["batches", id] if !id.is_empty() => Self::Batch(id),
            ["batches", id, "cancel"] if !id.is_empty() => Self::Cancel(id),
            _ => return None,
        })
    }

    const fn takes(&self) -> &'static str {
        match self {
            Self::Files | Self::Batches => "GET, HEAD, POST",
            Self::File(_) => "DELETE, GET, HEAD",
            Self::Content(_) | Self::Batch(_) => "GET, HEAD",
            Self::Cancel(_) => "POST",
        }
    }
}

/// A batch as it is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    input_file_id: String,
    endpoint: String,
    completion_window: String,
    #[serde(default)]
    metadata: Option<Map<String, Value>>,
    /// How long files are kept is set for all of them.
    #[serde(default, rename = "output_expires_after")]
    _output_expires_after: IgnoredAny,
}

/// Serves files and batches.
#[derive(Debug, Clone)]
pub(crate) struct BatchMount(pub(crate) Arc<Batches>);

impl BatchMount {
    async fn answer(&self, caller: &Caller, request: Request<Frames>) -> Result<Response<Content>, Fault> {
        let (head, body) = request.into_parts();
        let path = head.uri.path();
        let place = Place::of(path).ok_or_else(|| Fault::new(FaultKind::NotFound, "there is nothing at this path"))?;
        let tenant = &caller.0.tenant;
        let shelf = &self.0.shelf;
        let keep = shelf.spec.keep.as_secs();
        let file = |id: &str| shelf.file(tenant, id).ok_or_else(|| none("file", id));
        let batch = |id: &str| shelf.batch(tenant, id).ok_or_else(|| none("batch", id));
        let is_post = head.method == Method::POST;
        Ok(match place {
            Place::Files if is_post => {
                let kind = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
                shown(&self.upload(caller, Form::of(kind, body)?).await?.shown(keep))
            }
            Place::Files => {
                let page = Page::of(head.uri.query(), 10_000, 10_000)?;
                let mut files = shelf.files(tenant);
                files.retain(|file| page.purpose.as_ref().is_none_or(|wanted| wanted == file.purpose.name()));
                if page.is_ascending {
                    files.reverse();
                }
                shown(&page.list(&files, |file| &file.id, |file| Some(file.shown(keep)))?)
            }
            Place::File(id) if head.method == Method::DELETE => {
                shelf.remove(&file(id)?).await?;
                shown(&json!({"id": id, "object": "file", "deleted": true}))
            }
            Place::File(id) => shown(&file(id)?.shown(keep)),
            Place::Content(id) => content(&file(id)?, shelf.content(&file(id)?).await?),
            Place::Batches if is_post => shown(&self.begin(caller, &gathered(body).await?).await?.shown()),
            Place::Batches => {
                let page = Page::of(head.uri.query(), 20, 100)?;
                let one = |id: &String| shelf.batch(tenant, id).map(|batch| batch.shown());
                shown(&page.list(&shelf.batches(tenant), |id| id, one)?)
            }
            Place::Batch(id) => shown(&batch(id)?.shown()),
            Place::Cancel(id) => {
                let now = shelf.now();
                shown(&shelf.change(&batch(id)?, |batch| batch.cancel(now)).await?.shown())
            }
        })
    }

    /// Takes a file in, whatever the order of the form's fields.
    async fn upload(&self, caller: &Caller, mut form: Form) -> Result<File, Fault> {
        let shelf = &self.0.shelf;
        let (mut purpose, mut taken) = (None, None::<File>);
        let done = async {
            while let Some(part) = form.part().await? {
                match &*part.name {
                    "purpose" => purpose = Some(form.text("purpose", LONGEST_FIELD).await?),
                    "file" if taken.is_none() => {
                        let file = File {
                            id: shelf.id("file-"),
                            tenant: caller.0.tenant.clone(),
                            name: named(part.filename.as_deref().unwrap_or("file")),
                            bytes: 0,
                            created: shelf.now(),
                            purpose: Purpose::Batch,
                        };
                        taken = Some(self.received(file, &mut form).await?);
                    }
                    "file" => return Err(Fault::field("file", "there is more than one file: send one at a time")),
                    // Others say when a file expires, or what else it is for.
                    _ => drop(form.text(&part.name, LONGEST_FIELD).await?),
                }
            }
            match purpose.as_deref() {
                Some("batch") => {}
                Some(_) => return Err(Fault::field("purpose", "files are for batches here: set `purpose` to `batch`")),
                None => return Err(Fault::field("purpose", "`purpose` is missing: set it to `batch`")),
            }
            taken.clone().ok_or_else(|| Fault::field("file", "`file` is missing"))
        };
        let done = done.await;
        if let (Err(_), Some(file)) = (&done, &taken) {
            shelf.remove(file).await?;
        }
        done
    }

    /// The content goes to the store as it comes.
    async fn received(&self, file: File, form: &mut Form) -> Result<File, Fault> {
        let shelf = &self.0.shelf;
        let (tell, told) = mpsc::channel::<Result<Bytes, Fault>>(4);
        let content: Frames =
            Box::pin(futures_util::stream::unfold(told, |mut told| async move { Some((told.recv().await?, told)) }));
        let taking = shelf.take(file, content, shelf.spec.max_file);
        let pumping = async {
            // It ends with this block, and with it the content.
            let tell = tell;
            loop {
                match form.chunk().await {
                    // Where nobody takes it any more, whoever took it says why.
                    Ok(Some(chunk)) => {
                        if tell.send(Ok(chunk)).await.is_err() {
                            return Ok(());
                        }
                    }
                    Ok(None) => return Ok(()),
                    Err(fault) => {
                        drop(tell.send(Err(fault.clone())).await);
                        return Err(fault);
                    }
                }
            }
        };
        let (taken, pumped) = futures_util::future::join(taking, pumping).await;
        pumped.and(taken)
    }

    /// Takes a batch.
    async fn begin(&self, caller: &Caller, body: &Bytes) -> Result<Batch, Fault> {
        let shelf = &self.0.shelf;
        let wanted: Wanted = serde_json::from_slice(body)
            .map_err(|why| Fault::new(FaultKind::InvalidRequest, format!("the body is no batch: {why}")))?;
        let api = APIS.into_iter().find(|api| wanted.endpoint == format!("/v1{}", api.path())).ok_or_else(|| {
            let all: Vec<String> = APIS.iter().map(|api| format!("/v1{}", api.path())).collect();
            Fault::field("endpoint", format!("`endpoint` is one of {}", all.join(", ")))
        })?;
        if wanted.completion_window != WINDOW_NAME {
            return Err(Fault::field("completion_window", format!("`completion_window` is `{WINDOW_NAME}`")));
        }
        let metadata = wanted.metadata.map(checked).transpose()?;
        let input = shelf.file(&caller.0.tenant, &wanted.input_file_id);
        let input = input.filter(|file| file.purpose == Purpose::Batch).ok_or_else(|| {
            let fault = none("file", &wanted.input_file_id);
            Fault { param: Some("input_file_id".into()), ..fault }
        })?;
        if !self.0.knows(&caller.0.id) {
            let says = "a batch is asked with a key of its caller's, and this one is known by a certificate: use a key";
            return Err(Fault::new(FaultKind::Forbidden, says));
        }
        let created = shelf.now();
        let batch = Batch {
            id: shelf.id("batch_"),
            tenant: caller.0.tenant.clone(),
            key: caller.0.id.clone(),
            api,
            input: input.id,
            metadata,
            status: Status::Validating,
            moments: Moments { created, expires: created + WINDOW, ..Moments::default() },
            counts: Counts::default(),
            output: None,
            errors: None,
            faults: Vec::new(),
            is_late: false,
        };
        shelf.begin(&batch).await?;
        self.0.work(batch.clone());
        Ok(batch)
    }
}

impl Mount for BatchMount {
    fn find(&self, door: Door, method: &Method, path: &str) -> Passage {
        let Some(place) = Place::of(path).filter(|_| door == Door::Public) else { return Passage::Nothing };
        if place.takes().split(", ").any(|takes| takes == method.as_str()) {
            Passage::Needs(Role::Infer)
        } else {
            Passage::WrongMethod(place.takes().to_owned())
        }
    }

    fn serve(&self, caller: Option<Caller>, _: Reach, request: Request<Frames>) -> BoxFuture<'_, Response<Content>> {
        Box::pin(async move {
            let Some(caller) = caller else { return refusal(&Fault::internal("a file came from nobody")) };
            // It ends even where its caller hangs up: what is half done would be counted nowhere, and worked off by
            // nobody.
            let mount = self.clone();
            let answer = tokio::spawn(async move { mount.answer(&caller, request).await });
            answer.await.map_err(Fault::internal).flatten().unwrap_or_else(|fault| refusal(&fault))
        })
    }

    fn refuse(&self, fault: &Fault) -> Response<Content> {
        refusal(fault)
    }
}

/// A page of a list.
#[derive(Debug, Default, PartialEq, Eq)]
struct Page {
    limit: usize,
    after: Option<String>,
    purpose: Option<String>,
    is_ascending: bool,
}

impl Page {
    fn of(query: Option<&str>, usual: usize, most: usize) -> Result<Self, Fault> {
        let mut page = Self { limit: usual, ..Self::default() };
        for pair in query.unwrap_or_default().split('&') {
            match pair.split_once('=') {
                Some(("limit", text)) => {
                    let limit = text.parse().ok().filter(|limit| (1..=most).contains(limit));
                    page.limit = limit.ok_or_else(|| Fault::field("limit", format!("`limit` is 1 to {most}")))?;
                }
                Some(("after", text)) => page.after = Some(text.to_owned()).filter(|text| !text.is_empty()),
                Some(("purpose", text)) => page.purpose = Some(text.to_owned()).filter(|text| !text.is_empty()),
                Some(("order", "asc")) => page.is_ascending = true,
                // Others are no wishes of ours.
                _ => {}
            }
        }
        Ok(page)
    }

    /// The list of these, from behind the one that it names; only what is on the page is shown.
    fn list<T>(&self, all: &[T], id: fn(&T) -> &str, shown: impl Fn(&T) -> Option<Value>) -> Result<Value, Fault> {
        let from = match &self.after {
            None => 0,
            Some(after) => {
                let at = all.iter().position(|one| id(one) == after);
                at.ok_or_else(|| Fault::field("after", "`after` names nothing of this list"))? + 1
            }
        };
        let page = &all[from..all.len().min(from + self.limit)];
        let data: Vec<Value> = page.iter().filter_map(shown).collect();
        Ok(json!({
            "object": "list", "first_id": page.first().map(id), "last_id": page.last().map(id),
            "has_more": all.len() > from + self.limit, "data": data,
        }))
    }
}

/// Metadata within bounds.
fn checked(metadata: Map<String, Value>) -> Result<Map<String, Value>, Fault> {
    let (most, name, value) = METADATA;
    let fits = metadata.len() <= most
        && metadata.iter().all(|(key, one)| key.len() <= name && one.as_str().is_some_and(|text| text.len() <= value));
    let says =
        || format!("`metadata` has at most {most} texts, with names of {name} and values of {value} bytes at most");
    if fits { Ok(metadata) } else { Err(Fault::field("metadata", says())) }
}

async fn gathered(mut body: Frames) -> Result<Bytes, Fault> {
    let mut all = BytesMut::new();
    while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_next(cx)).await {
        all.extend_from_slice(&frame?);
        if all.len() > LONGEST_BODY {
            return Err(Fault::new(FaultKind::TooLarge, "the body of a batch is at most 64 KiB long"));
        }
    }
    Ok(all.freeze())
}

fn shown(value: &Value) -> Response<Content> {
    let mut response = Response::new(Content::Whole(value.to_string().into()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn content(file: &File, blob: tidegate_core::port::blobs::Blob) -> Response<Content> {
    let mut response = Response::new(Content::Parts { length: blob.length, frames: blob.frames });
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    // A browser that follows a link shall keep what callers wrote, and not show it.
    let name: String = file.name.chars().filter(|c| c.is_ascii_alphanumeric() || "._- ".contains(*c)).collect();
    if let Ok(value) = HeaderValue::try_from(format!("attachment; filename=\"{name}\"")) {
        response.headers_mut().insert(CONTENT_DISPOSITION, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_go_on_behind_the_last_one() {
        let of = |page: Page, all: &[&str]| page.list(all, |id| id, |id| Some(json!({"id": id})));
        let all = ["c", "b", "a"];
        let page = |query| Page::of(Some(query), 20, 100).unwrap();
        let first = of(page("limit=2&unknown=1"), &all).unwrap();
        assert_eq!(
            (&first["has_more"], &first["last_id"], first["data"].as_array().unwrap().len()),
            (&json!(true), &json!("b"), 2)
        );
        let last = of(page("limit=2&after=b"), &all).unwrap();
        assert_eq!((&last["has_more"], &last["first_id"]), (&json!(false), &json!("a")));
        assert_eq!(of(page(""), &[]).unwrap()["first_id"], Value::Null);
        assert!(of(page("after=x"), &all).is_err());
        for wrong in ["limit=0", "limit=101", "limit=x"] {
            assert!(Page::of(Some(wrong), 20, 100).is_err(), "{wrong}");
        }
    }

    #[test]
    fn metadata_is_bounded() {
        let of = |value: Value| checked(value.as_object().unwrap().clone());
        assert!(of(json!({"a": "b"})).is_ok());
        for wrong in [json!({"a": 1}), json!({"a".repeat(65): "b"}), json!({"a": "b".repeat(513)})] {
            assert!(of(wrong).is_err());
        }
        let many: Map<String, Value> = (0..17).map(|n| (n.to_string(), json!("x"))).collect();
        assert!(checked(many).is_err());
    }
}
