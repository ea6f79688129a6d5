//! The forge's word that something was pushed: verified by the secret that both know, and worth a fetch. Owns the ways in
//! which forges sign; nothing that the word says is read.

use bytes::Bytes;
use hmac::{Hmac, Mac as _};
use http::{HeaderMap, Method, Response, StatusCode};
use sha2::Sha256;
use tidegate_core::digest::Digest;
use tidegate_core::port::mount::{Content, Door, Frames, Passage};
use tidegate_core::{Fault, FaultKind, Secret};
use tokio::sync::Notify;

/// Where forges send it.
const PATH: &str = "/v1/webhooks/prompts";

/// The longest that is taken: no forge sends more.
const LARGEST: usize = 25 * 1024 * 1024;

/// Takes the word of a forge.
#[derive(Debug)]
pub(super) struct Hook {
    secret: Secret,
    /// Who fetches; however many words come while one fetch is under way, one follows it.
    pushed: Notify,
}

/// How a request is signed.
enum Signature {
    /// With the HMAC of its body: GitHub's, Gitea's and Forgejo's way.
    Body(Vec<u8>),
    /// With the secret itself: GitLab's.
    Token(Digest),
}

impl Hook {
    pub(super) fn new(secret: Secret) -> Self {
        Self { secret, pushed: Notify::new() }
    }

    /// What a request leads to here.
    pub(super) fn find(door: Door, method: &Method, path: &str) -> Passage {
        match (door, path, method) {
            (Door::Public, PATH, &Method::POST) => Passage::Open,
            (Door::Public, PATH, _) => Passage::WrongMethod("POST".to_owned()),
            _ => Passage::Nothing,
        }
    }

    /// Resolves when a forge said that something was pushed.
    pub(super) async fn pushed(&self) {
        self.pushed.notified().await;
    }

    /// Takes a word.
    ///
    /// # Errors
    /// It is not signed with our secret, or too long.
    pub(super) async fn take(&self, headers: &HeaderMap, mut body: Frames) -> Result<Response<Content>, Fault> {
        let signature = Signature::of(headers).ok_or_else(|| {
            let says =
                "a webhook is signed: set its secret at the forge, and the same as `prompts.webhook.secret` here";
            Fault::new(FaultKind::Unauthenticated, says)
        })?;
        let mut length = 0;
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.expose().as_bytes()).map_err(Fault::internal)?;
        while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_next(cx)).await {
            let frame = frame?;
            length += frame.len();
            if length > LARGEST {
                return Err(Fault::new(FaultKind::TooLarge, "a webhook is at most 25 MiB long"));
            }
            mac.update(&frame);
        }
        let is_ours = match signature {
            Signature::Body(said) => mac.verify_slice(&said).is_ok(),
            // Digests are compared, so that the time tells nothing of the secret.
            Signature::Token(said) => said == Digest::of(self.secret.expose().as_bytes()),
        };
        if !is_ours {
            let says =
                "the webhook is signed with another secret: the forge's must be that of `prompts.webhook.secret`";
            return Err(Fault::new(FaultKind::Unauthenticated, says));
        }
        self.pushed.notify_one();
        let mut response = Response::new(Content::Whole(Bytes::from_static(b"{\"accepted\":true}")));
        *response.status_mut() = StatusCode::ACCEPTED;
        Ok(response)
    }
}

impl Signature {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        if let Some(said) = text("x-hub-signature-256") {
            return hex(said.strip_prefix("sha256=")?).map(Self::Body);
        }
        if let Some(said) = text("x-gitea-signature").or_else(|| text("x-forgejo-signature")) {
            return hex(said).map(Self::Body);
        }
        headers.get("x-gitlab-token").map(|token| Self::Token(Digest::of(token.as_bytes())))
    }
}

/// The bytes of 64 hex digits.
fn hex(digits: &str) -> Option<Vec<u8>> {
    digits.parse::<Digest>().ok().map(|digest| digest.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{FutureExt as _, stream};
    use http::HeaderValue;

    fn body(parts: &[&'static [u8]]) -> Frames {
        Box::pin(stream::iter(parts.iter().map(|part| Ok(Bytes::from_static(part))).collect::<Vec<_>>()))
    }

    async fn status(name: &'static str, value: &'static str) -> Result<StatusCode, FaultKind> {
        let hook = Hook::new(Secret::new("It's a Secret to Everybody".to_owned()));
        let headers = HeaderMap::from_iter([(http::HeaderName::from_static(name), HeaderValue::from_static(value))]);
        let taken = hook.take(&headers, body(&[b"Hello, ", b"World!"])).await;
        assert_eq!(
            hook.pushed().now_or_never().is_some(),
            taken.is_ok(),
            "a fetch follows what is ours, and that alone"
        );
        taken.map(|response| response.status()).map_err(|fault| fault.kind)
    }

    /// GitHub's own example: docs.github.com, "Validating webhook deliveries".
    const GITHUB: &str = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    #[tokio::test]
    async fn each_forges_signature_is_known() {
        let of_github = concat!("sha256=", "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17");
        assert_eq!(status("x-hub-signature-256", of_github).await, Ok(StatusCode::ACCEPTED));
        assert_eq!(status("x-gitea-signature", GITHUB).await, Ok(StatusCode::ACCEPTED));
        assert_eq!(status("x-gitlab-token", "It's a Secret to Everybody").await, Ok(StatusCode::ACCEPTED));
    }

    #[tokio::test]
    async fn any_other_is_refused() {
        for (name, value) in [
            ("x-hub-signature-256", GITHUB),
            ("x-hub-signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e18"),
            ("x-hub-signature-256", "sha256="),
            ("x-gitea-signature", "757107"),
            ("x-gitlab-token", "It's a secret to everybody"),
            ("x-gitlab-token", ""),
            ("x-other", "1"),
        ] {
            assert_eq!(status(name, value).await, Err(FaultKind::Unauthenticated), "{name}: {value}");
        }
    }

    #[tokio::test]
    async fn many_words_are_one_fetch() {
        let hook = Hook::new(Secret::new("s".to_owned()));
        let headers =
            HeaderMap::from_iter([(http::HeaderName::from_static("x-gitlab-token"), HeaderValue::from_static("s"))]);
        for _ in 0..5 {
            hook.take(&headers, body(&[])).await.unwrap();
        }
        assert!(hook.pushed().now_or_never().is_some() && hook.pushed().now_or_never().is_none());
    }
}
