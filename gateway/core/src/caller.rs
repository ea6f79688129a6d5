//! Who calls. Owns keys as records, roles and what a key may reach; where keys come from is the configuration's.

use crate::digest::Digest;
use crate::{KeyId, Principal, RouteName, Tenant};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

/// What a principal may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Call routes and list them.
    Infer,
    /// Send feedback.
    Feedback,
    /// Read configuration, records and the registry.
    Read,
    /// Change the registry and prompts.
    Write,
    /// Approve what governance holds back.
    Approve,
    /// All of the admin interface.
    Admin,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 6] = [Self::Infer, Self::Feedback, Self::Read, Self::Write, Self::Approve, Self::Admin];
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Infer => "infer",
            Self::Feedback => "feedback",
            Self::Read => "read",
            Self::Write => "write",
            Self::Approve => "approve",
            Self::Admin => "admin",
        })
    }
}

/// A key as it is stored: its secret only as a digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// The public part.
    pub id: KeyId,
    /// SHA-256 of the 256-bit random secret: no slow hash is needed, and a look-up is no scan.
    pub digest: Digest,
    /// Who.
    pub principal: Principal,
    /// For whom.
    pub tenant: Tenant,
    /// May what.
    pub roles: BTreeSet<Role>,
    /// The routes that it may call; all where none are listed.
    pub routes: Option<BTreeSet<RouteName>>,
    /// From when on it is void.
    pub expires: Option<SystemTime>,
    /// Free notes of its owner.
    pub tags: BTreeMap<String, String>,
}

/// An authenticated caller.
#[derive(Debug, Clone)]
pub struct Caller(pub Arc<KeyRecord>);

impl Caller {
    /// Whether it has `role`.
    #[must_use]
    pub fn may(&self, role: Role) -> bool {
        self.0.roles.contains(&role)
    }

    /// Whether it may call `route`.
    #[must_use]
    pub fn may_call(&self, route: &RouteName) -> bool {
        self.0.routes.as_ref().is_none_or(|routes| routes.contains(route))
    }
}
