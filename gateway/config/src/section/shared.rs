//! `store.shared`: where replicas share what limits count.

use super::Desk;
use super::store::refuse_password;
use crate::scalar::{At, Text};
use tidegate_core::Secret;
use tidegate_core::spec::SharedSpec;

/// The schemes by which a Redis is reached.
const SCHEMES: [&str; 3] = ["redis://", "rediss://", "redis+unix:///"];

/// The shared store, where there is one.
pub(super) fn check(raw: Option<At<Text>>, desk: &mut Desk<'_>) -> Option<SharedSpec> {
    let to = raw?;
    let text = to.value.0.as_str();
    if text == "memory" {
        return None;
    }
    Some(SharedSpec { url: redis(&to, desk)? })
}

/// The address of a Redis.
pub(super) fn redis(to: &At<Text>, desk: &mut Desk<'_>) -> Option<Secret> {
    let text = to.value.0.as_str();
    let is_redis = SCHEMES.iter().any(|scheme| text.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()));
    if !is_redis {
        desk.notes
            .fault(&to.at, "this is no store that replicas can share")
            .remedy("write `redis://HOST:PORT/DATABASE`, `rediss://…` for TLS, `redis+unix:///SOCKET`, or `memory`");
        return None;
    }
    refuse_password(to, "put it into the environment: `redis://:${env:NAME}@HOST:PORT`", desk);
    Some(Secret::new(text))
}
