//! What learners learnt from, kept beside the records of calls: each reward that was folded and each state that was
//! published, in that order, so that a learner goes on where it was and a decision can be reckoned anew. Owns the files
//! (a day each, a line of JSON each) and that a torn end harms nothing.

use crate::StoreFault;
use crate::day::Day;
use crate::folder::sync_folder;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tidegate_core::{InferenceId, RouteName, StateId, VariantName};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Learnt {
    /// A reward was folded.
    Reward(RewardEntry),
    /// A state was published.
    State(StateEntry),
    /// A caller's value was taken, whether anybody learnt from it or not.
    Feedback(FeedbackEntry),
}

/// A reward of an arm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RewardEntry {
    /// Milliseconds since 1970.
    pub at: u64,
    /// The route.
    pub route: RouteName,
    /// The arm that was drawn.
    pub variant: VariantName,
    /// The reward's name.
    pub reward: Arc<str>,
    /// Its value, as it was given.
    pub value: f64,
    /// The call.
    pub id: InferenceId,
}

/// What a learner knew.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StateEntry {
    /// Milliseconds since 1970.
    pub at: u64,
    /// The route.
    pub route: RouteName,
    /// Its name in records.
    pub id: StateId,
    /// What it learns from.
    pub reward: Arc<str>,
    /// The arms, in the order of the route.
    pub variants: Vec<VariantName>,
    /// The probability of each.
    pub shares: Arc<[f64]>,
    /// Weight, sum and sum of squares of each arm's rewards.
    pub tallies: Vec<[f64; 3]>,
}

/// What a caller said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeedbackEntry {
    /// Milliseconds since 1970.
    pub at: u64,
    /// The call, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<InferenceId>,
    /// The episode, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub episode: Option<Arc<str>>,
    /// The reward's name.
    pub reward: Arc<str>,
    /// Its value.
    pub value: f64,
    /// Who said so.
    pub by: String,
    /// Under which key, and what was said: digests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub once: Option<(String, String)>,
}

/// The log, in the folder of an event store.
#[derive(Debug)]
pub struct LearningLog {
    folder: PathBuf,
    open: Option<(Day, File)>,
}

impl LearningLog {
    /// The log in this folder of an event store; it is made with the first entry.
    #[must_use]
    pub fn at(folder: &Path) -> Self {
        Self { folder: folder.join("learning"), open: None }
    }

    /// Writes entries of one moment; with `is_synced` they are on disk when this returns.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn append(&mut self, now_ms: u64, entries: &[Learnt], is_synced: bool) -> Result<(), StoreFault> {
        if entries.is_empty() {
            return Ok(());
        }
        let folder = self.folder.clone();
        let wrong = StoreFault::io("write to", &folder);
        let mut bytes = Vec::new();
        for entry in entries {
            if let Err(error) = serde_json::to_writer(&mut bytes, entry) {
                return Err(wrong(io::Error::other(error)));
            }
            bytes.push(b'\n');
        }
        let file = self.file(Day::of_ms(now_ms))?;
        let written = file.write_all(&bytes).and_then(|()| if is_synced { file.sync_data() } else { Ok(()) });
        written.map_err(wrong)
    }

    fn file(&mut self, day: Day) -> Result<&mut File, StoreFault> {
        if self.open.as_ref().is_none_or(|(open, _)| *open != day) {
            let path = self.folder.join(format!("{day}.jsonl"));
            let wrong = || StoreFault::io("open", &path);
            fs::create_dir_all(&self.folder).map_err(wrong())?;
            let mut file = OpenOptions::new().create(true).append(true).read(true).open(&path).map_err(wrong())?;
            if !ends_a_line(&path).map_err(wrong())? {
                file.write_all(b"\n").map_err(wrong())?;
            }
            sync_folder(&self.folder).map_err(wrong())?;
            self.open = Some((day, file));
        }
        match &mut self.open {
            Some((_, file)) => Ok(file),
            None => Err(StoreFault::io("open", &self.folder)(io::Error::other("no file"))),
        }
    }

    /// All entries in their order; lines that a kill cut off are none.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn read(&self, mut each: impl FnMut(Learnt)) -> Result<(), StoreFault> {
        let mut paths = Vec::new();
        match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            listed => {
                for entry in listed.map_err(StoreFault::io("list", &self.folder))? {
                    let path = entry.map_err(StoreFault::io("list", &self.folder))?.path();
                    paths.extend(path.extension().is_some_and(|end| end == "jsonl").then_some(path));
                }
            }
        }
        paths.sort_unstable();
        for path in paths {
            let file = File::open(&path).map_err(StoreFault::io("open", &path))?;
            for line in BufReader::new(file).split(b'\n') {
                let line = line.map_err(StoreFault::io("read", &path))?;
                if let Ok(entry) = serde_json::from_slice(&line) {
                    each(entry);
                }
            }
        }
        Ok(())
    }
}

fn ends_a_line(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::FileExt as _;
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut last = [b'\n'];
    if length > 0 {
        file.read_exact_at(&mut last, length - 1)?;
    }
    Ok(last == [b'\n'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reward(value: f64) -> Learnt {
        Learnt::Reward(RewardEntry {
            at: 1,
            route: "r".parse().unwrap(),
            variant: "a".parse().unwrap(),
            reward: "ok".into(),
            value,
            id: InferenceId::from_u128(7),
        })
    }

    fn all(log: &LearningLog) -> Vec<Learnt> {
        let mut found = Vec::new();
        log.read(|entry| found.push(entry)).unwrap();
        found
    }

    #[test]
    fn entries_come_back_in_their_order_and_a_torn_end_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = LearningLog::at(folder.path());
        assert!(all(&log).is_empty());
        let day = 86_400_000;
        log.append(20 * day, &[reward(1.0), reward(0.5)], true).unwrap();
        log.append(21 * day, &[reward(0.25)], false).unwrap();
        assert_eq!(all(&log), [reward(1.0), reward(0.5), reward(0.25)]);
        // A kill in the middle of a line.
        let path = folder.path().join("learning").join(format!("{}.jsonl", Day::of_ms(21 * day)));
        let mut file = OpenOptions::new().append(true).open(path).unwrap();
        file.write_all(br#"{"reward":{"at":1,"#).unwrap();
        let mut again = LearningLog::at(folder.path());
        again.append(21 * day, &[reward(2.0)], true).unwrap();
        assert_eq!(all(&again), [reward(1.0), reward(0.5), reward(0.25), reward(2.0)]);
    }
}
