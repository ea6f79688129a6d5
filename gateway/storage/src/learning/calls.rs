//! Rewards that calls say of themselves, written short: one line for many of a route, in which names stand once. Owns the
//! form of that line, and that it is read as the entries that it stands for.
//!
//! ```text
//! {"calls":{"at":…,"route":"r","reward":"latency","variants":["a","b"],"rewards":[["0193…",0,0.25],["0193…",1,0.5]]}}
//! ```

use super::{Learnt, RewardEntry};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;
use tidegate_core::event::Regarded;
use tidegate_core::{InferenceId, RouteName, VariantName};

/// So many rewards stand in one line at most: where its end is cut off, all of them are lost.
const MOST: usize = 500;

/// Rewards of a route's calls, in the order in which they are folded.
#[derive(Debug, Clone, Copy)]
pub struct Calls<'a> {
    /// The route.
    pub route: &'a RouteName,
    /// The reward's name.
    pub reward: &'a str,
    /// The arms.
    pub variants: &'a [VariantName],
    /// The rewards.
    pub rewards: &'a [CallReward],
}

/// The reward of a call: its id, the place of its arm among the variants, the value (a finite number: there is no other in
/// JSON), and what of the call was regarded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallReward(
    /// The call.
    pub InferenceId,
    /// The place of the arm that was drawn.
    pub usize,
    /// The value, as the call gave it.
    pub f64,
    /// What of the call was regarded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub Option<Regarded>,
);

/// A line.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Line<'a> {
    calls: Many<'a>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Many<'a> {
    /// Milliseconds since 1970.
    at: u64,
    route: Cow<'a, RouteName>,
    reward: Cow<'a, str>,
    variants: Cow<'a, [VariantName]>,
    rewards: Cow<'a, [CallReward]>,
}

impl<'a> Calls<'a> {
    /// The lines that are written of them at this moment.
    pub(super) fn lines(self, at: u64) -> impl Iterator<Item = Line<'a>> {
        self.rewards.chunks(MOST).map(move |rewards| Line {
            calls: Many {
                at,
                route: Cow::Borrowed(self.route),
                reward: Cow::Borrowed(self.reward),
                variants: Cow::Borrowed(self.variants),
                rewards: Cow::Borrowed(rewards),
            },
        })
    }
}

/// Reads the entries that a line stands for; none where it is another one, or torn.
pub(super) fn read(line: &[u8], mut each: impl FnMut(Learnt)) {
    let Ok(Line { calls: Many { at, route, reward, variants, rewards } }) = serde_json::from_slice(line) else {
        return;
    };
    let reward: Arc<str> = reward.as_ref().into();
    for CallReward(id, arm, value, regarded) in rewards.into_owned() {
        let Some(variant) = variants.get(arm).cloned() else { continue };
        let (route, reward) = (route.as_ref().clone(), Arc::clone(&reward));
        each(Learnt::Reward(RewardEntry { at, route, variant, reward, value, id, regarded }));
    }
}

#[cfg(test)]
mod tests {
    use super::super::{LearningLog, log_at};
    use super::*;
    use std::fs::OpenOptions;
    use std::io::Write as _;
    use std::path::{Path, PathBuf};
    use tidegate_core::StateId;

    fn rewards(count: u32) -> Vec<CallReward> {
        let features: Arc<[f64]> = Arc::from([0.1 + 0.2, -1.0]);
        let regarded =
            |nth| (nth % 3 == 0).then(|| Regarded { of: StateId::of(b"f"), features: Arc::clone(&features) });
        let id = |nth| InferenceId::from_u128(u128::from(nth));
        (0..count).map(|nth| CallReward(id(nth), (nth % 2) as usize, f64::from(nth) / 7.0, regarded(nth))).collect()
    }

    fn entry(at: u64, CallReward(id, arm, value, regarded): &CallReward) -> Learnt {
        let (route, variant) = ("r".parse().unwrap(), ["a", "b"][*arm].parse().unwrap());
        let (id, value, regarded) = (*id, *value, regarded.clone());
        Learnt::Reward(RewardEntry { at, route, variant, reward: "latency".into(), value, id, regarded })
    }

    fn append(log: &mut LearningLog, at: u64, rewards: &[CallReward]) {
        let (route, variants) = ("r".parse().unwrap(), ["a", "b"].map(|name| name.parse().unwrap()));
        log.append_calls(at, &[Calls { route: &route, reward: "latency", variants: &variants, rewards }]).unwrap();
    }

    fn all(log: &LearningLog) -> Vec<Learnt> {
        let mut found = Vec::new();
        log.read(|entry| found.push(entry)).unwrap();
        found
    }

    fn file(folder: &Path) -> PathBuf {
        folder.join("learning").join("1970-01-01.jsonl")
    }

    #[test]
    fn rewards_are_read_as_the_entries_that_they_are_among_entries_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = log_at(folder.path());
        let many = rewards(1201);
        append(&mut log, 5, &many);
        append(&mut log, 6, &[]);
        let own = entry(7, &many[3]);
        log.append(7, std::slice::from_ref(&own), true).unwrap();
        append(&mut log, 8, &many[..1]);
        let wanted: Vec<Learnt> = many.iter().map(|one| entry(5, one)).chain([own, entry(8, &many[0])]).collect();
        assert_eq!(all(&log), wanted);
        // Three lines of many, one as every log has that is older, and one of one.
        assert_eq!(std::fs::read_to_string(file(folder.path())).unwrap().lines().count(), 5);
    }

    #[test]
    fn a_line_is_short_and_holds_a_value_to_the_bit() {
        let folder = tempfile::tempdir().unwrap();
        append(&mut log_at(folder.path()), 5, &[CallReward(InferenceId::from_u128(1), 1, 0.1 + 0.2, None)]);
        assert_eq!(
            std::fs::read_to_string(file(folder.path())).unwrap(),
            "{\"calls\":{\"at\":5,\"route\":\"r\",\"reward\":\"latency\",\"variants\":[\"a\",\"b\"],\"rewards\":\
             [[\"00000000-0000-0000-0000-000000000001\",1,0.30000000000000004]]}}\n"
        );
    }

    #[test]
    fn a_torn_line_and_an_arm_that_is_not_there_are_none() {
        let folder = tempfile::tempdir().unwrap();
        let many = rewards(4);
        append(&mut log_at(folder.path()), 5, &many);
        let whole = std::fs::read(file(folder.path())).unwrap();
        for cut in 1..whole.len() {
            let mut found = 0;
            read(&whole[..cut - 1], |_| found += 1);
            assert_eq!(found, 0, "{cut} bytes");
        }
        let mut torn = OpenOptions::new().append(true).open(file(folder.path())).unwrap();
        torn.write_all(&whole[..whole.len() / 2]).unwrap();
        let mut again = log_at(folder.path());
        append(&mut again, 6, &[CallReward(InferenceId::from_u128(9), 2, 1.0, None), many[1].clone()]);
        let wanted: Vec<Learnt> = many.iter().map(|one| entry(5, one)).chain([entry(6, &many[1])]).collect();
        assert_eq!(all(&again), wanted);
    }
}
