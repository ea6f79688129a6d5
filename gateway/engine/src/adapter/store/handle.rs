//! One request's hold on a generation: as long as it lives the numbers stay in memory, whatever becomes of the name.

use crate::adapter::Adapter;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many requests use a generation.
#[derive(Debug, Clone, Default)]
pub(super) struct Users(Arc<AtomicUsize>);

impl Users {
    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }
}

/// Counts one request, until dropped.
#[derive(Debug)]
struct User(Users);

impl User {
    fn new(users: &Users) -> Self {
        users.0.fetch_add(1, Ordering::AcqRel);
        Self(users.clone())
    }
}

impl Drop for User {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// An adapter as one request wears it; copies of it are the same request's.
#[derive(Debug, Clone)]
pub struct AdapterHandle {
    adapter: Arc<Adapter>,
    #[expect(dead_code, reason = "held while the request is under way, never looked at")]
    user: Arc<User>,
}

impl AdapterHandle {
    pub(super) fn new(adapter: Arc<Adapter>, users: &Users) -> Self {
        Self { adapter, user: Arc::new(User::new(users)) }
    }

    /// What its files digest to: what is cached of one generation is right for no other.
    #[must_use]
    pub fn generation(&self) -> &str {
        self.adapter.generation()
    }

    pub(crate) fn adapter(&self) -> &Arc<Adapter> {
        &self.adapter
    }
}

impl PartialEq for AdapterHandle {
    fn eq(&self, other: &Self) -> bool {
        self.generation() == other.generation()
    }
}
