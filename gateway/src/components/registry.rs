//! A repository of a registry of containers, by OCI's distribution protocol: manifests and blobs, behind a login or the
//! token of another server where the registry wants one. Owns that dance; how manifests are made is `manifest`'s.

use super::asker::{Answer, Asked, Asker, host_of, is_same_server, may_follow};
use super::challenge::Challenge;
use super::manifest::{self, Layer};
use super::{ANY, Parcel, Wants, header};
use http::{HeaderValue, StatusCode, Uri};
use serde::Deserialize;
use tidegate_core::digest::Digest;
use tidegate_core::spec::{ComponentAuth, is_this_machine};
use tidegate_core::{OciPick, OciRef};

/// The largest manifest that is taken.
const MANIFEST_BYTES: usize = 1 << 20;
/// The largest answer with a token.
const TOKEN_BYTES: usize = 256 << 10;

/// A repository, and what shows there who asks.
#[derive(Debug)]
pub(super) struct Registry<'a> {
    asker: &'a Asker,
    at: &'a OciRef,
    auth: Option<&'a ComponentAuth>,
    /// `…/v2/REPOSITORY/`.
    base: Uri,
    shown: Option<HeaderValue>,
}

#[derive(Debug, Deserialize)]
struct TokenFile {
    token: Option<String>,
    access_token: Option<String>,
}

impl<'a> Registry<'a> {
    pub(super) fn new(asker: &'a Asker, at: &'a OciRef, auth: Option<&'a ComponentAuth>) -> Result<Self, String> {
        // Docker's own is known by another name than it has.
        let host = if at.host.as_str() == "docker.io" { "registry-1.docker.io" } else { at.host.as_str() };
        // Registries on this machine have no certificate: so do all tools of containers.
        let scheme = if is_this_machine(at.host.host()) { "http" } else { "https" };
        let base = format!("{scheme}://{host}/v2/{}/", at.repository);
        let base = base.parse().map_err(|e| format!("{at} has no address: {e}"))?;
        // A login is shown when it is asked for, and to whom.
        let shown = auth.filter(|auth| matches!(auth, ComponentAuth::Bearer(_))).map(header).transpose()?;
        Ok(Self { asker, at, auth, base, shown })
    }

    /// The component that is named.
    pub(super) async fn pull(&mut self, wants: Wants, most: usize) -> Result<Parcel, String> {
        let layer = self.layer(wants).await?;
        if layer.size > most as u64 {
            return Err(format!("it has {} bytes, and {most} are taken", layer.size));
        }
        if wants.signature && layer.signature.is_none() {
            return Err(
                "it has no signature there: `tidegate plugin push` sends that which lies beside a component".to_owned()
            );
        }
        let uri = self.address(&format!("blobs/sha256:{}", layer.digest))?;
        let answer = self.send(Asked::get(uri, ANY, most)).await?;
        self.expect(&answer, &[StatusCode::OK])?;
        let got = Digest::of(&answer.body);
        if got != layer.digest {
            return Err(format!("{} gave other bytes than it said: their sha256 is {got}", self.at.host));
        }
        Ok(Parcel { component: answer.body.into(), signature: layer.signature })
    }

    async fn layer(&mut self, wants: Wants) -> Result<Layer, String> {
        let uri = self.address(&format!("manifests/{}", self.at.pick))?;
        let answer = self.send(Asked::get(uri, manifest::MANIFEST, MANIFEST_BYTES)).await?;
        self.expect(&answer, &[StatusCode::OK])?;
        if let OciPick::Digest(digest) = &self.at.pick
            && Digest::of(&answer.body) != *digest
        {
            return Err(format!("{} gave another manifest than the one with this digest", self.at.host));
        }
        Layer::of(&answer.body, wants.pinned)
    }

    pub(super) const fn reference(&self) -> &OciRef {
        self.at
    }

    /// An address of the repository.
    pub(super) fn address(&self, path: &str) -> Result<Uri, String> {
        format!("{}{path}", self.base).parse().map_err(|e| format!("{} has no address for {path}: {e}", self.at))
    }

    /// Sends a request, and once more where the registry then wants to know who asks.
    pub(super) async fn send(&mut self, asked: Asked) -> Result<Answer, String> {
        let shown = self.shown.clone().filter(|_| is_same_server(&asked.uri, &self.base));
        let answer = self.asker.send(&asked, shown.as_ref()).await?;
        // What others than the registry ask, to whom it sent us on, is not answered.
        if answer.status != StatusCode::UNAUTHORIZED || !is_same_server(&answer.uri, &self.base) {
            return Ok(answer);
        }
        match (Challenge::of(&answer.headers), self.auth) {
            (Some(_), Some(ComponentAuth::Bearer(_))) | (None, _) => return Ok(answer),
            (Some(Challenge::Basic), None) => {
                return Err(format!("{} wants a login: give one under `auth`", self.at.host));
            }
            (Some(Challenge::Basic), Some(auth)) => self.shown = Some(header(auth)?),
            (Some(Challenge::Bearer { realm, asked }), auth) => {
                self.shown = Some(self.token(&realm, &asked, auth).await?);
            }
        }
        self.asker.send(&asked, self.shown.as_ref()).await
    }

    async fn token(
        &self,
        realm: &Uri,
        asked: &[(&'static str, String)],
        auth: Option<&ComponentAuth>,
    ) -> Result<HeaderValue, String> {
        let host = &self.at.host;
        if !may_follow(&self.base, realm) {
            return Err(format!("{host} wants a token from {realm}, where we could be overheard; it is not asked"));
        }
        let uri = Challenge::address(realm, asked).ok_or_else(|| format!("{host} wants a token from no address"))?;
        let shown = auth.map(header).transpose()?;
        let answer = self.asker.send(&Asked::get(uri, "application/json", TOKEN_BYTES), shown.as_ref()).await?;
        if answer.status != StatusCode::OK {
            let status = answer.status.as_u16();
            return Err(format!("{} gives no token for {host} (status {status}): see `auth`", host_of(realm)));
        }
        let file: TokenFile = serde_json::from_slice(&answer.body)
            .map_err(|e| format!("the token of {} cannot be read: {e}", host_of(realm)))?;
        let token = file.token.or(file.access_token).filter(|token| !token.is_empty());
        let token = token.ok_or_else(|| format!("{} answered without a token", host_of(realm)))?;
        header(&ComponentAuth::Bearer(tidegate_core::Secret::new(token)))
    }

    /// An answer of one of these statuses.
    pub(super) fn expect(&self, answer: &Answer, statuses: &[StatusCode]) -> Result<(), String> {
        if statuses.contains(&answer.status) {
            return Ok(());
        }
        let means = match answer.status.as_u16() {
            401 | 403 => ": it wants to know who asks, or refuses who does; see `auth`",
            404 => ": there is no such repository, tag or digest, or not for who asks",
            429 => ": it limits callers; try again later",
            _ => "",
        };
        Err(format!("{} answered with status {}{means}", host_of(&answer.uri), answer.status.as_u16()))
    }
}
