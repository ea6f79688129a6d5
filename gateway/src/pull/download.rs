//! One file by HTTP: resumable by `Range`, redirects followed, the sender's word checked against what is wanted.

use super::landing::{Landing, blocking};
use super::source::Address;
use super::transport::{Body, TransportFault};
use super::{PullContext, Reason, Wanted};
use crate::terminal::Meter;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, Uri, header};
use http_body_util::BodyExt as _;
use std::path::Path;

/// How often a broken download goes on by itself, as long as each try brings something.
const RESUMES: u32 = 5;
const REDIRECTS: u32 = 8;

/// Downloads `wanted` to `target`.
pub(super) async fn to_file(
    address: &Address,
    wanted: &Wanted,
    target: &Path,
    ctx: &PullContext,
) -> Result<(), Reason> {
    let at = target.to_owned();
    let mut landing = blocking(move || Landing::resume(&at)).await?;
    let mut meter =
        ctx.progress.meter(&format!("{} from {}", wanted.name, address.uri.host().unwrap_or_default()), wanted.bytes);
    let mut resumes = 0;
    loop {
        let before = landing.written();
        match fill(&mut landing, address, wanted, &mut *meter, ctx).await {
            Ok(()) => {}
            Err(Reason::Broken { .. }) if landing.written() > before && resumes < RESUMES => {
                resumes += 1;
                continue;
            }
            Err(reason) => return Err(reason),
        }
        let resumed = landing.is_resumed();
        match landing.finish(wanted.sha256).await {
            // The part that an earlier try left may be of another file: once more, from nothing.
            Err(Reason::WrongDigest { .. }) if resumed => landing = Landing::fresh(target)?,
            done => return done,
        }
    }
}

/// Fills `landing` to the end of the file.
async fn fill(
    landing: &mut Landing,
    address: &Address,
    wanted: &Wanted,
    meter: &mut dyn Meter,
    ctx: &PullContext,
) -> Result<(), Reason> {
    let limit = wanted.bytes.unwrap_or(ctx.largest);
    if landing.written() > limit {
        landing.restart()?;
    }
    if wanted.bytes == Some(landing.written()) && landing.is_resumed() {
        return Ok(());
    }
    let mut response = get(address, landing.written(), ctx).await?;
    if landing.written() > 0 && !goes_on(&response, landing.written()) {
        landing.restart()?;
        if response.status() != StatusCode::OK {
            response = get(address, 0, ctx).await?;
        }
    }
    if !matches!(response.status(), StatusCode::OK | StatusCode::PARTIAL_CONTENT) {
        let host = address.uri.host().unwrap_or_default().to_owned();
        return Err(Reason::Status { host, status: response.status().as_u16() });
    }
    let total = length(&response).map(|length| length + landing.written());
    if let (Some(got), Some(bytes)) = (total, wanted.bytes)
        && got != bytes
    {
        return Err(Reason::WrongSize { got, wanted: bytes });
    }
    if total.is_some_and(|total| total > limit) {
        return Err(Reason::TooLarge { limit });
    }
    receive(response.into_body(), landing, limit, meter, ctx).await?;
    match total {
        Some(total) if landing.written() < total => Err(broken(landing, "the connection was closed early")),
        _ => Ok(()),
    }
}

async fn receive(
    mut body: Body,
    landing: &mut Landing,
    limit: u64,
    meter: &mut dyn Meter,
    ctx: &PullContext,
) -> Result<(), Reason> {
    loop {
        let frame = match tokio::time::timeout(ctx.idle, body.frame()).await {
            Ok(None) => return Ok(()),
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(e))) => return Err(broken(landing, &e.to_string())),
            Err(_) => return Err(broken(landing, &format!("nothing came for {} s", ctx.idle.as_secs()))),
        };
        let Ok(data) = frame.into_data() else { continue };
        if landing.written() + data.len() as u64 > limit {
            landing.restart()?;
            return Err(Reason::TooLarge { limit });
        }
        landing.write(&data)?;
        meter.at(landing.written());
    }
}

fn broken(landing: &Landing, why: &str) -> Reason {
    Reason::Broken { got: landing.written(), why: why.to_owned() }
}

/// Whether the answer holds the bytes from `from` on, which were asked for.
fn goes_on(response: &Response<Body>, from: u64) -> bool {
    let start = || {
        response
            .headers()
            .get(header::CONTENT_RANGE)?
            .to_str()
            .ok()?
            .strip_prefix("bytes ")?
            .split('-')
            .next()?
            .parse::<u64>()
            .ok()
    };
    response.status() == StatusCode::PARTIAL_CONTENT && start() == Some(from)
}

fn length(response: &Response<Body>) -> Option<u64> {
    response.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Asks for the bytes from `from` on, and follows redirects.
async fn get(address: &Address, from: u64, ctx: &PullContext) -> Result<Response<Body>, Reason> {
    let mut uri = address.uri.clone();
    for _ in 0..REDIRECTS {
        let host = uri.host().unwrap_or_default().to_owned();
        let response = ask(&uri, address, from, ctx).await.map_err(|fault| match fault {
            TransportFault::Unreachable(why) => Reason::Unreachable { host: host.clone(), why },
            TransportFault::Failed(why) => Reason::Broken { got: from, why },
        })?;
        if !response.status().is_redirection() || response.status() == StatusCode::NOT_MODIFIED {
            return Ok(response);
        }
        let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
        let next = location.and_then(|location| join(&uri, location));
        uri = next.ok_or_else(|| Reason::Redirect(format!("{host} redirects to no address")))?;
        if address.uri.scheme_str() == Some("https") && uri.scheme_str() != Some("https") {
            return Err(Reason::Redirect(format!("{host} redirects to an unencrypted address, which is not followed")));
        }
    }
    Err(Reason::Redirect(format!("more than {REDIRECTS} redirects")))
}

async fn ask(uri: &Uri, address: &Address, from: u64, ctx: &PullContext) -> Result<Response<Body>, TransportFault> {
    let mut request =
        http::Request::get(uri.clone()).header(header::ACCEPT, "*/*").header(header::ACCEPT_ENCODING, "identity");
    if from > 0 {
        request = request.header(header::RANGE, format!("bytes={from}-"));
    }
    // A token goes to the host that it is for, never to where that one redirects.
    if let Some(token) = address
        .token
        .as_ref()
        .filter(|_| uri.authority() == address.uri.authority() && uri.scheme() == address.uri.scheme())
    {
        let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose())).map_err(TransportFault::failed)?;
        value.set_sensitive(true);
        request = request.header(header::AUTHORIZATION, value);
    }
    let request = request.body(Bytes::new()).map_err(TransportFault::failed)?;
    match tokio::time::timeout(ctx.idle, ctx.transport.send(request, ctx.connect)).await {
        Ok(answer) => answer,
        Err(_) => Err(TransportFault::Failed(format!("no answer within {} s", ctx.idle.as_secs()))),
    }
}

/// The address that `location` means where `base` sent it.
pub(crate) fn join(base: &Uri, location: &str) -> Option<Uri> {
    let (scheme, authority) = (base.scheme_str()?, base.authority()?);
    let location = location.split('#').next().unwrap_or_default();
    let text = if location.contains("://") {
        location.to_owned()
    } else if let Some(rest) = location.strip_prefix("//") {
        format!("{scheme}://{rest}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else {
        let folder = base.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{scheme}://{authority}{folder}/{location}")
    };
    text.parse::<Uri>().ok().filter(|uri| uri.host().is_some() && matches!(uri.scheme_str(), Some("https" | "http")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_are_joined_as_browsers_do() {
        let base = Uri::from_static("https://hub/a/b?c");
        let joined = |location| join(&base, location).map(|uri| uri.to_string());
        assert_eq!(joined("https://cdn/x?y=1#z").as_deref(), Some("https://cdn/x?y=1"));
        assert_eq!(joined("//cdn/x").as_deref(), Some("https://cdn/x"));
        assert_eq!(joined("/api/x").as_deref(), Some("https://hub/api/x"));
        assert_eq!(joined("x").as_deref(), Some("https://hub/a/x"));
        assert_eq!(joined("file:///etc/passwd"), None);
    }
}
