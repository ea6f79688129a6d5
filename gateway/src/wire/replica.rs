//! The name under which other replicas know this one. Owns where it is kept.

use anyhow::Context as _;
use std::io::ErrorKind;
use std::path::Path;
use tidegate_core::Dice;

/// The name of this replica: kept beside what it learnt, so that it goes on under it; where nothing is kept, one for this
/// run.
///
/// # Errors
/// It cannot be read or kept.
pub(crate) fn replica(events: Option<&Path>, dice: &dyn Dice) -> anyhow::Result<String> {
    let new = format!("{:016x}", dice.next_u64());
    let Some(folder) = events else { return Ok(new) };
    let file = folder.join("replica");
    match std::fs::read_to_string(&file) {
        Ok(name) if !name.trim().is_empty() => return Ok(name.trim().to_owned()),
        Err(e) if e.kind() != ErrorKind::NotFound => {
            return Err(e).with_context(|| format!("the name of this replica in {}", file.display()));
        }
        _ => {}
    }
    let kept = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&file, format!("{new}\n")));
    kept.with_context(|| format!("the name of this replica cannot be kept in {}", file.display()))?;
    Ok(new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_core::dice::SplitMix;

    #[test]
    fn a_replica_keeps_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let dice = SplitMix::seeded(1);
        let (first, again) =
            (replica(Some(folder.path()), &dice).unwrap(), replica(Some(folder.path()), &dice).unwrap());
        assert_eq!(first, again);
        assert_ne!(replica(None, &dice).unwrap(), replica(None, &dice).unwrap(), "who keeps nothing is new each time");
    }
}
