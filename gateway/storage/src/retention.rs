//! Dropping days past the retention. Owns the order: first no manifest names their tables, then the tables go; what a crash
//! in between leaves goes in the next round.

use crate::StoreFault;
use crate::day::Day;
use crate::folder::{Folder, remove_if_there};
use crate::manifest::Manifest;
use std::time::Duration;

/// Drops all days that ended more than `retention` ago; returns how many.
pub(crate) fn expire(folder: &Folder, retention: Duration, now_ms: u64) -> Result<usize, StoreFault> {
    let retention = u64::try_from(retention.as_millis()).unwrap_or(u64::MAX);
    let is_past = |day: Day| day.end_ms().saturating_add(retention) <= now_ms;
    for number in folder.manifest_numbers()? {
        let mut manifest = Manifest::read(folder, number)?;
        let before = manifest.files.len();
        manifest.files.retain(|file| !is_past(file.day));
        if manifest.files.is_empty() && !folder.segment(number).exists() {
            remove_if_there(&folder.manifest(number))?;
        } else if manifest.files.len() < before {
            manifest.write(folder)?;
        }
    }
    let past: Vec<Day> = folder.days()?.into_iter().filter(|day| is_past(*day)).collect();
    for day in &past {
        let path = folder.day(*day);
        std::fs::remove_dir_all(&path).map_err(StoreFault::io("delete", &path))?;
    }
    Ok(past.len())
}
