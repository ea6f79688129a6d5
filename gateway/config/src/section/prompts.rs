//! `prompts`: the git repository that they are versioned in.

use super::Desk;
use crate::scalar::{At, Span, Text};
use crate::shape::{Placed, record};
use http::Uri;
use std::path::PathBuf;
use std::time::Duration;
use tidegate_core::Secret;
use tidegate_core::digest::Digest;
use tidegate_core::spec::{PromptsSpec, RemoteSpec};

/// How often a remote repository is fetched, unless it is said.
const POLL: Duration = Duration::from_secs(30);
/// Servers count requests.
const LEAST_POLL: Duration = Duration::from_secs(1);

record! {
    /// The git repository that prompts are versioned in.
    PromptsFile {
        required {
            /// The repository's folder, bare or with a work tree; a bare one named `….git` is made where there is none. Or
            /// the address of a remote one, which is only read: `https://HOST/PATH`, `ssh://USER@HOST/PATH` or
            /// `USER@HOST:PATH`.
            repository: At<Text>,
        }
        optional {
            /// The folder of prompts in the repository; `prompts` by default.
            path: At<Text>,
            /// The branch that is followed and written; the one that `HEAD` names by default.
            branch: At<Text>,
            /// The token that a repository is read with by https.
            token: At<Secret>,
            /// The user that the token belongs to, where the server asks; `git` by default.
            user: At<Text>,
            /// The file of the key that a repository is read with by ssh; what `ssh` finds by itself by default.
            identity: At<Text>,
            /// How often a remote repository is fetched; 30s by default.
            poll: At<Span>,
            /// The forge tells by `POST /v1/webhooks/prompts` when something was pushed, which is then fetched at once.
            webhook: HookFile,
        }
    }
}

record! {
    /// What the forge tells of pushes.
    HookFile {
        required {
            /// The secret that is set at the forge too.
            secret: At<Secret>,
        }
    }
}

/// How a remote repository is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Https,
    Ssh,
}

/// The repository of prompts.
pub(crate) fn check(mut raw: Option<PromptsFile>, desk: &mut Desk<'_>) -> Option<PromptsSpec> {
    let given = raw.as_mut()?.repository.take()?;
    let raw = raw?;
    let way = way(&given, desk)?;
    refuse_unused(way, &raw, desk);
    let (repository, remote) = match way {
        None => (folder(&given, desk), None),
        Some(_) => {
            let url = given.value.0;
            let identity = raw.identity.map(|path| desk.path(&path.value));
            let user = raw.user.map_or_else(|| "git".to_owned(), |user| user.value.0);
            let login = raw.token.map(|token| (user, token.value));
            let poll = raw.poll.map_or(POLL, |poll| poll.value.0);
            let webhook = raw.webhook.and_then(|hook| hook.secret).map(|secret| desk.secret(secret));
            (mirror(&url), Some(RemoteSpec { url, login, identity, poll, webhook }))
        }
    };
    let path = match raw.path {
        None => "prompts".to_owned(),
        Some(path) => {
            let text = path.value.0.trim_end_matches('/').to_owned();
            if text.split('/').any(|part| matches!(part, "" | "." | ".." | ".git")) {
                desk.notes
                    .fault(&path.at, "this is no folder of a repository")
                    .remedy("write its path from the repository's root, such as `prompts`");
            }
            text
        }
    };
    Some(PromptsSpec { repository, remote, path, branch: raw.branch.map(|branch| branch.value.0) })
}

/// How the repository is reached: nothing where it is a folder. `None` where it cannot be.
#[expect(clippy::option_option, reason = "no way at all is another thing than none to go")]
fn way(given: &At<Text>, desk: &mut Desk<'_>) -> Option<Option<Way>> {
    let text = given.value.0.as_str();
    let Some((scheme, rest)) = text.split_once("://") else {
        // `user@host:path`, as git reads it: a colon before any slash.
        let is_ssh = text.split_once(':').is_some_and(|(host, _)| host.contains('@') && !host.contains('/'));
        return Some(is_ssh.then_some(Way::Ssh));
    };
    let host = rest.split('/').next().unwrap_or_default();
    let uri = text.parse::<Uri>().ok();
    let is_here =
        uri.as_ref().and_then(Uri::host).is_some_and(|host| ["127.0.0.1", "localhost", "[::1]"].contains(&host));
    match scheme {
        "https" | "http" if host.contains('@') => {
            desk.notes.conceal(&given.at);
            desk.notes
                .fault(&given.at, "who we are there stands in the address")
                .remedy("write `token: ${env:NAME}` beside it, and `user` where the server asks for one");
            None
        }
        "https" => Some(Some(Way::Https)),
        "http" if is_here => Some(Some(Way::Https)),
        "ssh" => Some(Some(Way::Ssh)),
        _ => {
            desk.notes
                .fault(&given.at, format!("a repository is not read by `{scheme}`"))
                .remedy("write `https://…`, `ssh://…`, `USER@HOST:PATH` or a folder");
            None
        }
    }
}

/// Says which settings have nothing to do here.
fn refuse_unused(way: Option<Way>, raw: &PromptsFile, desk: &mut Desk<'_>) {
    let https = [raw.token.as_ref().map(|it| &it.at), raw.user.as_ref().map(|it| &it.at)];
    let ssh = [raw.identity.as_ref().map(|it| &it.at)];
    let remote = [raw.poll.as_ref().map(|it| &it.at), raw.webhook.as_ref().map(Placed::at)];
    let unused = |at: &[Option<&_>], says: &str, desk: &mut Desk<'_>| {
        for at in at.iter().copied().flatten() {
            desk.notes.fault(at, says).remedy("leave it out");
        }
    };
    if way != Some(Way::Https) {
        unused(&https, "only a repository that is read by https has a use for this", desk);
    }
    if way != Some(Way::Ssh) {
        unused(&ssh, "only a repository that is read by ssh has a use for this", desk);
    }
    if way.is_none() {
        unused(&remote, "only a remote repository is fetched; a folder is looked at twice a second", desk);
    }
    if let Some(poll) = raw.poll.as_ref().filter(|poll| poll.value.0 < LEAST_POLL) {
        desk.notes.fault(&poll.at, "that is too often for the server").remedy("write `1s` or more");
    }
    if let (Some(user), None) = (&raw.user, &raw.token) {
        desk.notes.fault(&user.at, "a user without a token").remedy("add `token: ${env:NAME}`, or leave it out");
    }
}

fn folder(given: &At<Text>, desk: &mut Desk<'_>) -> PathBuf {
    let repository = desk.path(&given.value);
    let is_made = !repository.exists() && repository.extension().is_some_and(|end| end == "git");
    if !is_made && !repository.is_dir() {
        let shown = repository.display();
        desk.notes.fault(&given.at, format!("there is no folder {shown}")).remedy(
            "a path is relative to the folder of the configuration; a bare repository is made where the name ends in `.git`",
        );
    }
    repository
}

/// Where the mirror of a remote repository lies: by the working directory, as all that is written.
fn mirror(url: &str) -> PathBuf {
    let digest = Digest::of(url.as_bytes()).to_string();
    PathBuf::from(format!(".tidegate/prompts/{}.git", digest.get(..16).unwrap_or(&digest)))
}
