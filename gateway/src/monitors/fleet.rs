//! How a monitor stands among replicas that share a store: what it collects for the one that leads, what it is owed of by
//! the store, and what the leader shows. Owns that nothing follows from a window before the state that knows of it is
//! stowed; what windows are is the seat's, and the way to the store the shell's.
//!
//! All go the same way: whoever leads hands over what came to himself, too, and takes it out of the queue with that of the
//! others. So his state is nothing but what was in the queue, and whoever leads next goes on from what is stowed there.

mod collector;

pub(super) use collector::{Collector, LATENESS};

use super::board::Standing;
use super::deed::Deed;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tidegate_core::port::parcels::{Answer, Ask, Post, Stow};
use tidegate_core::port::verdicts::Verdict;
use tidegate_core::spec::Watched;
use tidegate_watch::Marks;

/// How often others hear of a leader's state, in milliseconds; of a large one less often.
const STOW_MS: u64 = 2_000;
const STOW_LARGE_MS: u64 = 30_000;
/// From so many bytes on one is large.
const LARGE: usize = 4 << 20;
/// So many parcels may be in no state that is stowed.
const MOST_TAKEN: u64 = 128;

/// How a replica stands to a monitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Footing {
    /// It has asked nobody yet.
    Begins,
    /// Windows end here.
    Leads,
    /// Another one leads.
    Follows,
    /// Nothing is known of the others.
    CutOff,
}

impl Footing {
    /// In a word, for people and programs.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Begins => "begins",
            Self::Leads => "leads",
            Self::Follows => "follows",
            Self::CutOff => "cut_off",
        }
    }
}

/// A replica, as others know it.
#[derive(Debug, Clone)]
pub(super) struct Replica {
    pub(super) name: String,
    /// This run of it, and which of its monitors: nobody hands over under the same name again.
    pub(super) by: String,
}

/// A monitor among replicas.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) key: String,
    pub(super) replica: Replica,
    pub(super) collector: Collector,
    pub(super) footing: Footing,
    /// Whether its state is the one of all, as far as it knows: it leads, or did when it was cut off.
    pub(super) is_leader: bool,
    leader: String,
    /// Which parcels are in the state.
    pub(super) marks: Marks,
    /// The state that is stowed, and how many of the parcels behind it are taken.
    state: String,
    taken: u64,
    /// What was handed over, until it is known to be in the queue.
    pending: Vec<String>,
    /// What is being stowed, and what follows when it is.
    stow: Option<(Stow, Vec<Deed>)>,
    /// What follows when the state is stowed that knows of it.
    held: Vec<Deed>,
    /// Whether anything is new since it was stowed.
    pub(super) is_new: bool,
    stowed_ms: u64,
    stows: u64,
    /// The names of the posts that are known.
    known: [String; 2],
    /// What the leader shows, and what he says.
    page: Value,
    standing: Standing,
    /// Windows end no sooner.
    pub(super) rests_ms: u64,
    handed: u64,
}

/// What an answer of the store means.
#[derive(Debug)]
pub(super) struct Came {
    /// What follows now.
    pub(super) deeds: Vec<Deed>,
    pub(super) turn: Turn,
    /// What another one's posts say, where they are new: of what all compare with (empty where there is nothing).
    pub(super) basis: Option<String>,
    /// What came, for the leader.
    pub(super) parcels: Vec<String>,
    /// Whether more did.
    pub(super) more: bool,
}

/// How the standing changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It goes on leading.
    Leads,
    /// It leads from now on, and goes on from this state, or from its own where none is stowed.
    Begins(Option<String>),
    /// It goes on following.
    Follows,
    /// Another one leads from now on.
    Ends,
}

impl Member {
    pub(super) fn new(key: String, replica: Replica, collector: Collector) -> Self {
        Self {
            key,
            replica,
            collector,
            footing: Footing::Begins,
            is_leader: false,
            leader: String::new(),
            marks: Marks::default(),
            state: String::new(),
            taken: 0,
            pending: Vec::new(),
            stow: None,
            held: Vec::new(),
            is_new: false,
            stowed_ms: 0,
            stows: 0,
            known: Default::default(),
            page: Value::Null,
            standing: Standing { all: Verdict::Unknown, of: BTreeMap::new() },
            rests_ms: 0,
            handed: 0,
        }
    }

    /// These follow when the state is stowed that knows why.
    pub(super) fn hold(&mut self, deeds: Vec<Deed>) {
        self.is_new = true;
        self.held.extend(deeds);
    }

    /// Whether something waits to be stowed that others wait for.
    pub(super) fn is_pressed(&self) -> bool {
        self.is_leader && !self.held.is_empty() && self.stow.is_none()
    }

    /// Whether a state is being stowed.
    pub(super) const fn is_stowing(&self) -> bool {
        self.stow.is_some()
    }

    /// Whether a state of so many bytes is to be stowed now.
    pub(super) fn is_due(&self, now_ms: u64, bytes: usize) -> bool {
        let each = if bytes > LARGE { STOW_LARGE_MS } else { STOW_MS };
        let is_old = now_ms.saturating_sub(self.stowed_ms) >= each;
        let is_due = !self.held.is_empty() || (self.is_new && (is_old || self.taken >= MOST_TAKEN));
        self.is_leader && self.stow.is_none() && is_due
    }

    /// Stows this; what is held follows then.
    pub(super) fn stow(&mut self, text: String, posts: [Option<(String, String)>; 2]) {
        self.stows += 1;
        let name = format!("{}-{}", self.stows, self.replica.by);
        let posts = Post::ALL.into_iter().zip(posts).zip(&self.known);
        let posts = posts.filter_map(|((post, new), known)| {
            let (name, text) = new.filter(|(name, _)| name != known)?;
            Some((post, name, text))
        });
        let stow = Stow { name, text, taken: self.taken, posts: posts.collect() };
        self.is_new = false;
        self.stow = Some((stow, std::mem::take(&mut self.held)));
    }

    /// What is asked of the store; and of how many calls nothing can be handed over. Until it is answered, the same is asked.
    pub(super) fn ask(&mut self) -> (Ask, u64) {
        let mut lost = 0;
        if self.pending.is_empty() {
            (self.pending, lost) = self.collector.parcels(&self.replica.by);
        }
        let mut known = self.known.clone();
        for (post, name, _) in self.stow.iter().flat_map(|(stow, _)| &stow.posts) {
            // What it posts itself it need not be told.
            known[place(*post)].clone_from(name);
        }
        let ask = Ask {
            key: self.key.clone(),
            parcels: self.pending.clone(),
            state: self.state.clone(),
            taken: self.taken,
            stow: self.stow.as_ref().map(|(stow, _)| stow.clone()),
            known,
            leaves: false,
        };
        (ask, lost)
    }

    /// The store did not answer.
    pub(super) const fn cut_off(&mut self) {
        self.footing = Footing::CutOff;
    }

    /// The store answered.
    pub(super) fn answered(&mut self, now_ms: u64, answer: Answer) -> Came {
        if answer.is_taken {
            self.handed += std::mem::take(&mut self.pending).len() as u64;
        }
        let leads = answer.leader == self.replica.name;
        let deeds = self.settled(now_ms, leads, &answer.state);
        let was_cut_off = self.footing != Footing::Leads;
        let turn = match (self.is_leader, leads) {
            (true, true) if answer.state == self.state => Turn::Leads,
            (true, true) if answer.state.is_empty() => {
                tracing::warn!(key = self.key, "the shared store has lost a monitor: it is told again");
                self.known = Default::default();
                (self.taken, self.is_new) = (0, true);
                Turn::Leads
            }
            (_, true) => {
                self.held.clear();
                (self.taken, self.is_new, self.stowed_ms) = (0, true, now_ms);
                Turn::Begins(answer.text)
            }
            (true, false) => {
                self.held.clear();
                Turn::Ends
            }
            (false, false) => Turn::Follows,
        };
        // Who goes on leading knows better.
        let [page, basis] = if turn == Turn::Leads { [None, None] } else { answer.posts };
        for (known, post) in self.known.iter_mut().zip([&page, &basis]) {
            if let Some((name, _)) = post {
                known.clone_from(name);
            }
        }
        if let Some((_, page)) = page {
            self.read(&page);
        }
        if leads {
            self.state = answer.state;
            if was_cut_off {
                // Others may have been cut off, too, and hand over now.
                self.rests_ms = now_ms + u64::try_from(LATENESS.as_millis()).unwrap_or(u64::MAX);
            }
            self.taken += answer.parcels.len() as u64;
        } else {
            // Leading again, it has no state of its own any more.
            self.state.clear();
            self.taken = 0;
        }
        self.is_leader = leads;
        self.footing = if leads { Footing::Leads } else { Footing::Follows };
        self.leader = answer.leader;
        let basis = basis.map(|(_, text)| text);
        Came { deeds, turn, basis, parcels: answer.parcels, more: answer.more > 0 }
    }

    /// What follows of what was being stowed, now that this state is known to be.
    fn settled(&mut self, now_ms: u64, leads: bool, state: &str) -> Vec<Deed> {
        let Some((stow, deeds)) = self.stow.take() else { return Vec::new() };
        if stow.name == state {
            for (post, name, _) in stow.posts {
                self.known[place(post)] = name;
            }
            self.taken = self.taken.saturating_sub(stow.taken);
            (self.state, self.stowed_ms) = (stow.name, now_ms);
            return deeds;
        }
        if leads && (state == self.state || state.is_empty()) {
            // It was not stowed, and will be again.
            self.held.splice(0..0, deeds);
            self.is_new = true;
        }
        // Else somebody else led meanwhile, and finds the same.
        Vec::new()
    }

    fn read(&mut self, page: &str) {
        self.page = serde_json::from_str(page).unwrap_or_default();
        let version = |page: &Value| {
            let model = page["model"].as_str()?.parse().ok()?;
            let version = page["version"].as_u64().and_then(|version| u32::try_from(version).ok());
            Some((Watched { model, version }, verdict(page)))
        };
        let of = self.page["watched"].as_array().into_iter().flatten().filter_map(version).collect();
        self.standing = Standing { all: verdict(&self.page), of };
    }

    /// What the leader says, of all versions and of each.
    pub(super) const fn standing(&self) -> &Standing {
        &self.standing
    }

    /// What the leader shows, where another one leads and has shown anything.
    pub(super) fn page(&self) -> Option<Value> {
        (!self.is_leader && !self.page.is_null()).then(|| {
            let mut page = self.page.clone();
            page["replicas"] = self.shown();
            page
        })
    }

    /// How it stands, for people.
    pub(super) fn shown(&self) -> Value {
        json!({
            "this": self.replica.name,
            "stands": self.footing.name(),
            "leader": Some(&self.leader).filter(|leader| !leader.is_empty()),
            "handed_over": self.handed,
            "waits": self.pending.len(),
            "behind": if self.is_leader { json!(self.taken) } else { Value::Null },
        })
    }
}

/// What a page says, or its part about a version.
fn verdict(page: &Value) -> Verdict {
    match page["state"].as_str() {
        Some("alarm") => Verdict::Alarm(page["says"].as_str().unwrap_or_default().to_owned()),
        Some("well") => Verdict::Well,
        _ => Verdict::Unknown,
    }
}

fn place(post: Post) -> usize {
    Post::ALL.iter().position(|one| *one == post).unwrap_or_default()
}
