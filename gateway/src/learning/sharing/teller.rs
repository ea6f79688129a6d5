//! One round after another: what is new here is pinned in Redis, what is new of others goes to the thread that learns. Owns
//! the pace, what a lost Redis means, and what is found of this replica itself when it starts.

use crate::learning::learners::Learners;
use crate::learning::told::{Arms, Board, Topic};
use crate::learning::worker::Message;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;
use std::time::Duration;
use tidegate_state::RedisPins;
use tidegate_state::shared::StoreFault;

/// How often others are told and heard: who is killed takes with him what he learnt since.
const PACE: Duration = Duration::from_millis(250);
/// How often a Redis that was lost is asked again.
const LOST: Duration = Duration::from_secs(1);

/// A pinned text.
#[derive(Serialize, Deserialize)]
struct Pin {
    /// Which run of the replica says so.
    run: String,
    arms: Arms,
}

/// What others told last, and of which arms it was asked.
type Known = (BTreeSet<String>, BTreeMap<String, Arms>);

/// Tells and hears.
#[derive(Debug)]
pub(super) struct Teller {
    pins: RedisPins,
    name: String,
    run: String,
    board: Arc<Board>,
    queue: SyncSender<Message>,
    /// What is pinned, as far as is known.
    told: BTreeMap<Topic, Arms>,
    known: BTreeMap<Topic, Known>,
    has_twin: bool,
}

impl Teller {
    pub(super) fn new(pins: RedisPins, name: String, run: String, learners: &Learners) -> Self {
        let (board, queue) = learners.way();
        let (told, known) = (BTreeMap::new(), BTreeMap::new());
        Self { pins, name, run, board, queue, told, known, has_twin: false }
    }

    /// Goes round until `stop`, then once more, for what was learnt last.
    pub(super) async fn run(mut self, stop: impl Future<Output = ()> + Send) {
        tokio::pin!(stop);
        loop {
            let pace = if self.round().await { PACE } else { LOST };
            tokio::select! {
                () = &mut stop => break,
                () = tokio::time::sleep(pace) => {}
            }
        }
        self.round().await;
    }

    /// Tells and hears once; whether Redis answered.
    async fn round(&mut self) -> bool {
        let posts = self.board.posts();
        let topics: Vec<String> = posts.keys().map(key).collect();
        let is_new = |(topic, arms): &(&Topic, &Arms)| self.told.get(*topic) != Some(*arms);
        let new = posts.iter().filter(is_new);
        let texts: Vec<(String, String)> = new.map(|(topic, arms)| (key(topic), self.text(arms))).collect();
        match self.pins.exchange(&self.name, &topics, &texts).await {
            Ok(pinned) => {
                self.answered();
                for ((topic, arms), texts) in posts.into_iter().zip(pinned) {
                    self.read(topic, &arms, &texts);
                }
                true
            }
            Err(fault) => {
                self.lost(&fault);
                false
            }
        }
    }

    fn text(&self, arms: &Arms) -> String {
        // Maps have keys of text here, which JSON takes.
        serde_json::to_string(&Pin { run: self.run.clone(), arms: arms.clone() }).unwrap_or_default()
    }

    /// Takes what was pinned under a topic before this round.
    fn read(&mut self, topic: Topic, arms: &Arms, texts: &BTreeMap<String, String>) {
        let mut pins: BTreeMap<String, Pin> =
            texts.iter().filter_map(|(name, text)| Some((name.clone(), serde_json::from_str(text).ok()?))).collect();
        let own = pins.remove(&self.name);
        let others: BTreeMap<String, Arms> = pins.into_iter().map(|(name, pin)| (name, pin.arms)).collect();
        match (self.told.contains_key(&topic), own) {
            (false, Some(before)) => self.found(&topic, &before.arms, arms),
            (true, None) => {
                // Redis has forgotten it: it is told again in the next round.
                self.told.remove(&topic);
                return self.hear(topic, arms, others);
            }
            (true, Some(before)) if before.run != self.run => self.twin(),
            _ => {}
        }
        self.told.insert(topic.clone(), arms.clone());
        self.hear(topic, arms, others);
    }

    fn hear(&mut self, topic: Topic, arms: &Arms, others: BTreeMap<String, Arms>) {
        let known = (arms.tallies.keys().cloned().collect(), others);
        let is_known = match self.known.get(&topic) {
            Some(before) => *before == known,
            None => known.1.is_empty(),
        };
        if is_known {
            return;
        }
        let heard = Message::Heard(topic.0.clone(), Arc::clone(&topic.1), known.1.clone());
        // Where the queue is full, or its thread has ended, it is not known and sent again.
        if self.queue.try_send(heard).is_ok() {
            self.known.insert(topic, known);
        }
    }

    /// What was pinned by a run before this one.
    fn found(&self, (route, reward): &Topic, pinned: &Arms, kept: &Arms) {
        let (late, lost) = (kept.folded.saturating_sub(pinned.folded), pinned.folded.saturating_sub(kept.folded));
        self.board.told_late.fetch_add(late, Ordering::Relaxed);
        self.board.lost.fetch_add(lost, Ordering::Relaxed);
        if late > 0 {
            tracing::info!(%route, %reward, rewards = late, "other replicas hear of rewards that the run before did not tell");
        }
        if lost > 0 {
            tracing::error!(
                %route, %reward, rewards = lost,
                "rewards that the run before had told are not in the log any more: they are lost"
            );
        }
    }

    fn twin(&mut self) {
        if !std::mem::replace(&mut self.has_twin, true) {
            tracing::error!(
                replica = self.name,
                "another gateway tells what it learns under this one's name, and each overwrites the other: give each its \
                 own `events.folder`, and remove the file `replica` from the one that was copied"
            );
        }
    }

    fn answered(&self) {
        if !self.board.is_up.swap(true, Ordering::Relaxed) {
            tracing::warn!("the shared store answers again: replicas tell each other what they learnt meanwhile");
        }
    }

    fn lost(&self, fault: &StoreFault) {
        if self.board.is_up.swap(false, Ordering::Relaxed) {
            self.board.losses.fetch_add(1, Ordering::Relaxed);
            tracing::error!(%fault, "the shared store does not answer: each replica goes on learning by itself");
        }
    }
}

/// Where what is told of a route is pinned.
fn key((route, reward): &Topic) -> String {
    format!("tidegate:learn:{route}:{reward}")
}
