//! Labels as refs: ours under `refs/tidegate/labels/<name>/<label>`, a remote's as tags `prompts/<name>/<label>`. Owns
//! where they lie and how cheaply it is seen that none moved.

use crate::fault::PromptFault;
use crate::folder::Skipped;
use crate::repository::View;
use gix::ObjectId;
use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use tidegate_core::{PromptLabel, PromptName};

const OWN: &str = "refs/tidegate/labels/";
pub(crate) const TAGS: &str = "refs/tags/prompts/";
/// The most labels in all.
const MOST: usize = 20_000;

/// Labels and what their refs point to, unpeeled.
pub(crate) type Targets = BTreeMap<(PromptName, PromptLabel), ObjectId>;

/// The ref of a label.
pub(crate) fn ref_of(name: &PromptName, label: &PromptLabel) -> String {
    format!("{OWN}{name}/{label}")
}

/// All labels; ours win over tags of the same name.
pub(crate) fn read(view: &View<'_>) -> Result<(Targets, Vec<Skipped>), PromptFault> {
    let (mut targets, mut skipped) = (Targets::new(), Vec::new());
    let platform = view.git.references().map_err(PromptFault::git("list the refs"))?;
    for prefix in [TAGS, OWN] {
        let found = platform.prefixed(prefix).map_err(PromptFault::git("list the labels"))?;
        for reference in found.take(MOST) {
            let Ok(reference) = reference else {
                skipped.push(Skipped::new(prefix, "has a ref that cannot be read"));
                continue;
            };
            let full = reference.name().as_bstr().to_string();
            let named = full.strip_prefix(prefix).and_then(|rest| rest.split_once('/')).map(|(name, label)| {
                Ok::<_, tidegate_core::PromptRefFault>((name.parse::<PromptName>()?, label.parse::<PromptLabel>()?))
            });
            match (named, reference.try_id()) {
                (Some(Ok(named)), Some(id)) => drop(targets.insert(named, id.detach())),
                (Some(Err(why)), _) => skipped.push(Skipped::new(full.escape_debug().to_string(), why.to_string())),
                (None, _) => skipped.push(Skipped::new(full, "is no label: that is <prompt>/<label>")),
                (_, None) => skipped.push(Skipped::new(full, "points to another ref, which labels may not")),
            }
            skipped.truncate(1000);
        }
    }
    Ok((targets, skipped))
}

/// What the folders of labels look like from outside: another value when a label moved, and the time of the last
/// change, since two changes within one tick of the file system's clock look alike.
pub(crate) fn signature(common: &Path) -> (u64, i64) {
    let (mut hasher, mut newest) = (DefaultHasher::new(), 0);
    let mut see = |path: &Path| {
        if let Ok(m) = fs::symlink_metadata(path) {
            (path, m.ino(), m.mtime(), m.mtime_nsec(), m.len()).hash(&mut hasher);
            newest = newest.max(m.mtime());
        }
    };
    see(&common.join("packed-refs"));
    for prefix in [TAGS, OWN] {
        let folder = common.join(prefix);
        see(&folder);
        for entry in fs::read_dir(&folder).into_iter().flatten().take(MOST).flatten() {
            see(&entry.path());
        }
    }
    (hasher.finish(), newest)
}
