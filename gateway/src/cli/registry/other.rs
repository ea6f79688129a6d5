//! A running MLflow server, as an import asks it. Owns its addresses and that nothing it says is believed: names, numbers,
//! places and pages are checked, and answers have a bound.

use crate::pull::transport::{Body, Transport as _};
use crate::pull::web::Web;
use anyhow::Context as _;
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use http::{HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body_util::BodyExt as _;
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;
use tidegate_core::port::mount::Frames;
use tidegate_core::{Fault, FaultKind, Secret};
use tidegate_registry::RegistryFault;
use tidegate_registry::alias::AliasName;
use tidegate_registry::import::{ImportedModel, ImportedVersion};
use tidegate_registry::model::RegisteredName;
use tidegate_registry::tag::Tags;
use tidegate_registry::version::Stage;

const CONNECT: Duration = Duration::from_secs(10);
/// How long a part of an answer may take.
const IDLE: Duration = Duration::from_secs(60);
/// The longest answer but a file that is read.
const LARGEST: usize = 64 * 1024 * 1024;
/// The most files of one version.
const MOST_FILES: usize = 100_000;
/// The deepest folder of one.
const DEEPEST: usize = 32;
/// The tag of what is a prompt there.
const IS_PROMPT: &str = "mlflow.prompt.is_prompt";

/// The other server.
#[derive(Debug)]
pub(super) struct Other {
    base: String,
    authority: String,
    token: Option<Secret>,
    web: Web,
}

/// A model there, with its aliases.
#[derive(Debug)]
pub(super) struct OtherModel {
    pub(super) model: ImportedModel,
    pub(super) aliases: BTreeMap<String, i64>,
}

/// What is left out, and why.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LeftOut {
    pub(super) subject: String,
    pub(super) why: String,
}

/// Where the files of a version lie there.
#[derive(Debug)]
pub(super) struct Storage {
    /// The path below which the server itself hands them out.
    pub(super) handed_out: Option<String>,
    /// The same for clients of another server; an error where there is no such place.
    pub(super) uri: Result<String, OtherFault>,
}

/// A file there.
#[derive(Debug)]
pub(super) struct OtherFile {
    /// Its path at the server.
    pub(super) path: String,
    /// Its path below the version's folder.
    pub(super) below: String,
}

/// Why a version cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OtherFault {
    pub(super) says: String,
    /// Whether it may go well another time.
    pub(super) may_pass: bool,
}

impl OtherFault {
    pub(super) fn lasting(says: impl Into<String>) -> Self {
        Self { says: says.into(), may_pass: false }
    }

    /// A file was not kept: refused by what it is, or cut.
    pub(super) fn of_file(name: &str, fault: &RegistryFault) -> Self {
        let is_refused = fault.kind == tidegate_registry::RegistryFaultKind::Invalid;
        Self { says: format!("{name}: {}", fault.says), may_pass: !is_refused }
    }
}

impl From<anyhow::Error> for OtherFault {
    fn from(error: anyhow::Error) -> Self {
        Self { says: format!("{error:#}"), may_pass: true }
    }
}

impl Other {
    /// The server at `url`.
    pub(super) fn at(url: &str, token: Option<String>) -> Result<Self, String> {
        let wrong = || format!("{url:?} is no address such as http://mlflow:5000");
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let authority =
            uri.authority().filter(|_| matches!(uri.scheme_str(), Some("http" | "https"))).ok_or_else(wrong)?;
        if authority.as_str().contains('@') {
            return Err("an address holds no credentials here: give a token by MLFLOW_TRACKING_TOKEN".to_owned());
        }
        Ok(Self {
            base: url.trim_end_matches('/').to_owned(),
            authority: authority.to_string(),
            token: token.map(Secret::new),
            web: Web::from_environment(),
        })
    }

    /// Its address, as the audit log names it.
    pub(super) fn origin(&self) -> &str {
        &self.base
    }

    /// A page of its models, and how the next one is asked for.
    pub(super) async fn models(
        &self,
        page: Option<&str>,
    ) -> anyhow::Result<(Vec<Result<OtherModel, LeftOut>>, Option<String>)> {
        let mut query = "max_results=100".to_owned();
        if let Some(page) = page {
            query.push_str(&format!("&page_token={}", escaped(page)));
        }
        let answer = self.ask(&format!("/api/2.0/mlflow/registered-models/search?{query}")).await?;
        let models = list(&answer, "registered_models")?.iter().map(model).collect();
        Ok((models, next(&answer, page)?))
    }

    /// All versions of a model, the oldest first.
    pub(super) async fn versions(
        &self,
        name: &RegisteredName,
    ) -> anyhow::Result<Vec<Result<ImportedVersion, LeftOut>>> {
        let quote = if name.as_str().contains('\'') { '"' } else { '\'' };
        let filter = escaped(&format!("name={quote}{name}{quote}"));
        let (mut found, mut page, mut seen) = (Vec::new(), None::<String>, HashSet::new());
        loop {
            let mut query = format!("max_results=1000&filter={filter}");
            if let Some(page) = &page {
                query.push_str(&format!("&page_token={}", escaped(page)));
            }
            let answer = self.ask(&format!("/api/2.0/mlflow/model-versions/search?{query}")).await?;
            found.extend(list(&answer, "model_versions")?.iter().map(|json| version(name, json)));
            page = next(&answer, page.as_deref())?;
            match &page {
                None => break,
                Some(page) => {
                    anyhow::ensure!(
                        seen.insert(page.clone()),
                        "the server's pages of versions of {name} lead in a circle"
                    );
                }
            }
        }
        found.sort_by_key(|version| version.as_ref().map_or(0, |version| version.version));
        Ok(found)
    }

    /// Where the files of a version lie.
    pub(super) async fn storage(&self, name: &RegisteredName, version: i64) -> Result<Storage, OtherFault> {
        let path = format!(
            "/api/2.0/mlflow/model-versions/get-download-uri?name={}&version={version}",
            escaped(name.as_str())
        );
        let answer = self.ask(&path).await?;
        let uri = answer["artifact_uri"].as_str().unwrap_or_default();
        Ok(place(uri, &self.authority))
    }

    /// The files below a path; of one that is a file, itself.
    pub(super) async fn files(&self, root: &str) -> Result<Vec<OtherFile>, OtherFault> {
        let (mut files, mut folders) = (Vec::new(), vec![(root.to_owned(), String::new(), 0)]);
        while let Some((path, below, depth)) = folders.pop() {
            let answer = self.ask(&format!("/api/2.0/mlflow-artifacts/artifacts?path={}", escaped(&path))).await?;
            for entry in list(&answer, "files")? {
                let said = entry["path"].as_str().unwrap_or_default();
                let name = said.rsplit('/').next().unwrap_or_default();
                if matches!(name, "" | "." | "..") || depth > DEEPEST || files.len() > MOST_FILES {
                    return Err(OtherFault::lasting(format!(
                        "its files are too many, too deep, or oddly named: {said:?}"
                    )));
                }
                let inner = if below.is_empty() { name.to_owned() } else { format!("{below}/{name}") };
                if entry["is_dir"].as_bool().unwrap_or(false) {
                    folders.push((format!("{path}/{name}"), inner, depth + 1));
                } else {
                    files.push(OtherFile { path: format!("{path}/{name}"), below: inner });
                }
            }
        }
        if files.is_empty() {
            return Err(OtherFault::lasting("it has no files there"));
        }
        Ok(files)
    }

    /// A file, as it comes.
    pub(super) async fn file(&self, path: &str) -> Result<Frames, OtherFault> {
        let path: Vec<String> = path.split('/').map(escaped).collect();
        let answer = self.get(&format!("/api/2.0/mlflow-artifacts/artifacts/{}", path.join("/"))).await?;
        let status = answer.status();
        if status != StatusCode::OK {
            return Err(anyhow::anyhow!("a file was answered with status {}", status.as_u16()).into());
        }
        let length =
            answer.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        let body = answer.into_body().into_data_stream();
        let cut = |why: String| Fault::new(FaultKind::Unavailable, "the file was cut on its way").because(why);
        let patient = futures_util::stream::try_unfold((body, 0), move |(mut body, so_far)| async move {
            let next = tokio::time::timeout(IDLE, body.try_next()).await;
            match next.map_err(|_| cut("it stalled".to_owned()))?.map_err(|fault| cut(fault.to_string()))? {
                Some(bytes) => {
                    let bytes: Bytes = bytes;
                    let so_far = so_far + bytes.len() as u64;
                    Ok(Some((bytes, (body, so_far))))
                }
                None if length.is_some_and(|length| length != so_far) => Err(cut("it ended early".to_owned())),
                None => Ok(None),
            }
        });
        Ok(Box::pin(patient))
    }

    async fn get(&self, path: &str) -> anyhow::Result<Response<Body>> {
        let mut request = Request::get(format!("{}{path}", self.base)).header(header::ACCEPT, "application/json");
        if let Some(token) = &self.token {
            let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose()))
                .context("the token has characters that no token has")?;
            value.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, value);
        }
        let answer = tokio::time::timeout(IDLE, self.web.send(request.body(Bytes::new())?, CONNECT)).await;
        let answer = answer.map_err(|_| anyhow::anyhow!("{} answers nothing", self.base))?;
        answer.map_err(|fault| anyhow::anyhow!("{} cannot be asked: {fault}", self.base))
    }

    async fn ask(&self, path: &str) -> anyhow::Result<Value> {
        let answer = self.get(path).await?;
        let (status, mut body, mut bytes) = (answer.status(), answer.into_body(), Vec::new());
        while let Some(frame) = tokio::time::timeout(IDLE, body.frame()).await.context("its answer stalled")? {
            let frame = frame.map_err(|fault| anyhow::anyhow!("its answer was cut: {fault}"))?;
            bytes.extend_from_slice(&frame.into_data().unwrap_or_default());
            anyhow::ensure!(bytes.len() <= LARGEST, "an answer of {} is longer than {LARGEST} bytes", self.base);
        }
        let json = serde_json::from_slice::<Value>(&bytes).ok().filter(Value::is_object);
        match (status, json) {
            (StatusCode::OK, Some(json)) => Ok(json),
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => {
                anyhow::bail!(
                    "{} refuses it: give a token that may read by MLFLOW_TRACKING_TOKEN or --token-env",
                    self.base
                )
            }
            (status, Some(json)) => {
                let said = json["message"].as_str().unwrap_or("it says nothing more");
                anyhow::bail!("{} answers with status {}: {said}", self.base, status.as_u16())
            }
            (status, None) => {
                anyhow::bail!("{} is no MLflow server: status {}, and no JSON", self.base, status.as_u16())
            }
        }
    }
}

/// The place of files that lie at `uri`, for clients of another server than the one at `authority`.
fn place(uri: &str, authority: &str) -> Storage {
    let elsewhere = |uri: &str| Storage { handed_out: None, uri: Ok(uri.to_owned()) };
    let scheme = uri.split_once(':').map_or("", |(scheme, _)| scheme).to_ascii_lowercase();
    let Some(rest) = uri.strip_prefix("mlflow-artifacts:") else {
        if scheme.len() < 2 || scheme == "file" {
            let says = format!("its files lie at {uri:?}, which only the other machine can read");
            return Storage { handed_out: None, uri: Err(OtherFault::lasting(says)) };
        }
        return elsewhere(uri);
    };
    let path = match rest.strip_prefix("//") {
        None => rest.trim_start_matches('/'),
        Some(rest) => match rest.split_once('/') {
            Some((host, path)) if host == authority || host.is_empty() => path,
            _ => return elsewhere(uri),
        },
    };
    Storage { handed_out: Some(path.to_owned()), uri: Ok(format!("mlflow-artifacts://{authority}/{path}")) }
}

fn list<'a>(answer: &'a Value, field: &str) -> anyhow::Result<&'a [Value]> {
    match &answer[field] {
        Value::Null => Ok(&[]),
        Value::Array(items) => Ok(items),
        _ => anyhow::bail!("the server's `{field}` is no list"),
    }
}

/// How the page after `this` is asked for.
fn next(answer: &Value, this: Option<&str>) -> anyhow::Result<Option<String>> {
    let next = answer["next_page_token"].as_str().filter(|token| !token.is_empty());
    anyhow::ensure!(next.is_none() || next != this, "the server's pages lead in a circle");
    Ok(next.map(str::to_owned))
}

fn model(json: &Value) -> Result<OtherModel, LeftOut> {
    let said = json["name"].as_str().unwrap_or_default();
    let left = |why: String| LeftOut { subject: format!("models:/{said}"), why };
    let tags = tags(json).map_err(left)?;
    if tags.get(IS_PROMPT).is_some_and(|is| is.eq_ignore_ascii_case("true")) {
        return Err(left("it is a prompt, which belongs into git".to_owned()));
    }
    let mut aliases = BTreeMap::new();
    for entry in json["aliases"].as_array().into_iter().flatten() {
        let alias = entry["alias"].as_str().unwrap_or_default();
        AliasName::new(alias).map_err(|fault| left(fault.says.into_owned()))?;
        aliases.insert(alias.to_owned(), number(&entry["version"]));
    }
    Ok(OtherModel {
        model: ImportedModel {
            name: RegisteredName::new(said).map_err(|fault| left(fault.says.into_owned()))?,
            description: text(json, "description"),
            deployment_job: text(json, "deployment_job_id"),
            tags,
            created: number(&json["creation_timestamp"]),
            updated: number(&json["last_updated_timestamp"]),
        },
        aliases,
    })
}

fn version(name: &RegisteredName, json: &Value) -> Result<ImportedVersion, LeftOut> {
    let number_there = number(&json["version"]);
    let left = |why: String| LeftOut { subject: format!("models:/{name}/{number_there}"), why };
    if number_there < 1 || json["name"].as_str() != Some(name.as_str()) {
        return Err(left("it has no number, or is another model's".to_owned()));
    }
    match json["status"].as_str() {
        None | Some("READY") => {}
        Some(status) => return Err(left(format!("it is not ready there: {status}"))),
    }
    let stage = json["current_stage"].as_str().filter(|stage| !stage.is_empty()).unwrap_or("None");
    Ok(ImportedVersion {
        name: name.clone(),
        version: number_there,
        source: text(json, "source"),
        storage: String::new(),
        run_id: text(json, "run_id"),
        run_link: text(json, "run_link"),
        logged_model: text(json, "model_id"),
        owner: text(json, "user_id"),
        description: text(json, "description"),
        stage: Stage::read(stage).map_err(|fault| left(fault.says.into_owned()))?,
        tags: tags(json).map_err(left)?,
        created: number(&json["creation_timestamp"]),
        updated: number(&json["last_updated_timestamp"]),
    })
}

fn tags(json: &Value) -> Result<Tags, String> {
    let mut tags = Tags::default();
    for tag in json["tags"].as_array().into_iter().flatten() {
        let (key, value) = (text(tag, "key"), text(tag, "value"));
        tags.add(&key, &value).map_err(|fault| fault.says.into_owned())?;
    }
    Ok(tags)
}

fn text(json: &Value, field: &str) -> String {
    json[field].as_str().unwrap_or_default().to_owned()
}

/// MLflow writes long numbers as texts.
fn number(json: &Value) -> i64 {
    json.as_i64().or_else(|| json.as_str()?.parse().ok()).unwrap_or_default()
}

/// A value of a query or one part of a path.
fn escaped(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests;
