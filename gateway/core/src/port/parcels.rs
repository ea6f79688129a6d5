//! The port to a store in which replicas hand parcels to the one of them that leads, and in which he keeps how far he is:
//! under each key a lead, a queue of parcels, a state, and posts that all may read. Owns what is asked there and what is
//! answered; what the texts say is not its concern.
//!
//! The state and the queue change together: whoever stows a state takes those parcels away in the same step that are in it.
//! So a leader that dies loses nothing: the next one goes on from the state with the parcels behind it.

use super::BoxFuture;

/// A store of parcels.
pub trait Parcels: Send + Sync + std::fmt::Debug {
    /// Asks all of this at once, and answers in the order of the questions.
    ///
    /// # Errors
    /// The store cannot be reached, or does not answer in time; then nobody knows what of it was done. In words.
    fn exchange(&self, asks: Vec<Ask>) -> BoxFuture<'_, Result<Vec<Answer>, String>>;
}

/// A question about one key, and what is done under it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ask {
    /// The key.
    pub key: String,
    /// What is handed over; all of it or, where there is no room, nothing.
    pub parcels: Vec<String>,
    /// Which state the asker has; empty where he has none.
    pub state: String,
    /// How many of the parcels behind it he has.
    pub taken: u64,
    /// What he stows, where he leads.
    pub stow: Option<Stow>,
    /// Which posts he knows, by [`Post::ALL`]; empty where he knows none.
    pub known: [String; 2],
    /// Whether he goes: he leads no longer.
    pub leaves: bool,
}

/// A state that takes the place of the one that the asker has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stow {
    /// Its name, which no other one has.
    pub name: String,
    /// It.
    pub text: String,
    /// So many of the parcels behind the one before are in it.
    pub taken: u64,
    /// Posts that change: which one, its name, its text.
    pub posts: Vec<(Post, String, String)>,
}

/// What all may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Post {
    /// What the leader shows.
    Page,
    /// What all have in common.
    Basis,
}

impl Post {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Page, Self::Basis];
}

/// What is so under a key now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// Who leads; empty where nobody does.
    pub leader: String,
    /// Whether what was handed over is in the queue.
    pub is_taken: bool,
    /// The name of the state; empty where there is none.
    pub state: String,
    /// The state, for a leader who has another one.
    pub text: Option<String>,
    /// For the leader, the parcels behind those that he has; behind the state where he has another one.
    pub parcels: Vec<String>,
    /// How many more there are.
    pub more: u64,
    /// The posts that the asker does not know, by [`Post::ALL`]: name and text.
    pub posts: [Option<(String, String)>; 2],
}
