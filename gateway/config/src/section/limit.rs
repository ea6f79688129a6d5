//! `limits`: how much callers may use.

use super::Desk;
use crate::scalar::At;
use crate::shape::{Placed, choice, record};
use tidegate_core::spec::{LimitSpec, OnFailure, Per, Rate};

record! {
    /// One limit; all that apply to a call must have room for it.
    LimitFile {
        required {
            /// For whom it counts.
            per: PerFile,
        }
        optional {
            /// Calls in a time, such as `600/min`.
            requests: At<Rate>,
            /// Tokens in a time, such as `100000/min`.
            tokens: At<Rate>,
            /// What holds when the limit cannot be asked; `open` by default.
            failure: FailureFile,
        }
        later { "cost", "concurrent" }
    }
}

choice! {
    /// For whom a limit counts.
    PerFile {
        words {
            /// Each key.
            Key = "key",
            /// Each tenant.
            Tenant = "tenant",
        }
        later { "principal", "route", "user", "model", "ip" }
    }
}

choice! {
    /// What holds when a limit cannot be asked.
    FailureFile {
        words {
            /// Calls pass.
            Open = "open",
            /// Calls are refused.
            Closed = "closed",
        }
    }
}

/// One limit.
pub(crate) fn check(raw: LimitFile, has_keys: bool, desk: &mut Desk<'_>) -> Option<LimitSpec> {
    if !has_keys {
        desk.notes
            .fault(raw.at(), "this limit can never apply: callers have no keys")
            .remedy("add `keys: {file: keys.yaml}`, or leave the limit out");
    }
    let here = raw.here();
    if !["requests", "tokens", "cost"].iter().any(|field| here.has(field)) {
        desk.notes
            .fault(raw.at(), "this limit limits nothing")
            .remedy("add `requests: 600/min` or `tokens: 100000/min`");
    }
    let per = match raw.per? {
        PerFile::Key => Per::Key,
        PerFile::Tenant => Per::Tenant,
    };
    let failure = match raw.failure {
        None | Some(FailureFile::Open) => OnFailure::Open,
        Some(FailureFile::Closed) => OnFailure::Closed,
    };
    Some(LimitSpec {
        per,
        requests: raw.requests.map(|rate| rate.value),
        tokens: raw.tokens.map(|rate| rate.value),
        failure,
    })
}
