//! The port of the admin interface: what it asks of the program, which alone knows files and stores.

use serde_json::Value;
use tidegate_core::port::BoxFuture;
use tidegate_core::{Event, Fault, InferenceId};

/// What the admin interface can do.
pub trait Operations: Send + Sync + std::fmt::Debug {
    /// The configuration that runs, without its secrets.
    fn config(&self) -> Value;

    /// Reads the configuration again and puts it into force, or keeps the old one and says every fault.
    fn reload(&self) -> BoxFuture<'_, Result<Value, ReloadRefused>>;

    /// The newest events first, at most `limit`.
    fn events(&self, limit: usize) -> BoxFuture<'_, Result<Vec<Event>, Fault>>;

    /// One event.
    fn event(&self, id: InferenceId) -> BoxFuture<'_, Result<Option<Event>, Fault>>;

    /// The keys, without secrets or digests.
    fn keys(&self) -> Value;

    /// Makes a key and returns it with its secret, this once.
    fn new_key(&self, wanted: WantedKey) -> BoxFuture<'_, Result<Value, Fault>>;

    /// What each replica serves of the registry's models.
    fn serving(&self) -> BoxFuture<'_, Result<Value, Fault>>;

    /// Revokes a key; false where there is none of this id.
    fn revoke_key<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<bool, Fault>>;
}

/// Why a configuration was not put into force.
#[derive(Debug, Clone)]
pub struct ReloadRefused {
    /// All faults in words.
    pub report: String,
    /// The same, machine-readable.
    pub findings: Value,
}

/// A key to be made.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedKey {
    /// Who.
    pub principal: tidegate_core::Principal,
    /// For whom.
    pub tenant: tidegate_core::Tenant,
    /// May what.
    pub roles: std::collections::BTreeSet<tidegate_core::Role>,
    /// Which routes; all where none are given.
    #[serde(default)]
    pub routes: Option<std::collections::BTreeSet<tidegate_core::RouteName>>,
    /// For how many seconds it is valid; for ever where none is given.
    #[serde(default)]
    pub expires_in: Option<u64>,
}
