//! Moving refs durably, as git would see it: git's own `.lock` files, a reflog line with who and why, fsync, rename.
//! A lock of ours is a second link to a file that we keep beside it, so that one left behind by a killed process is
//! told from one that git holds, and taken away. Owns the writing; call with this gateway's lock held.

use crate::disk::{inside, sync_folder};
use crate::fault::PromptFault;
use crate::repository::{View, sha_of};
use gix::ObjectId;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tidegate_core::CommitSha;

/// The folder of this gateway in the git folder.
pub(crate) const OURS: &str = "tidegate";
const INTENT: &str = "tidegate/lock.intent";
const NONE: &str = "0000000000000000000000000000000000000000";

/// Who moves a ref, when and why.
#[derive(Debug, Clone)]
pub(crate) struct Reason {
    /// Name and address.
    pub(crate) who: String,
    pub(crate) unix_s: u64,
    pub(crate) why: String,
}

/// One line of a reflog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Move {
    pub(crate) from: Option<CommitSha>,
    pub(crate) to: Option<CommitSha>,
    pub(crate) who: String,
    pub(crate) unix_s: u64,
    pub(crate) why: String,
}

/// What became of a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moved {
    /// It is durable.
    Done,
    /// The ref was not where it was expected, or another program holds its lock.
    Lost,
}

/// A `.lock` file of git's that we hold; freed when dropped.
struct Locked {
    lock: PathBuf,
    ours: PathBuf,
    intent: PathBuf,
    renamed: bool,
}

impl Drop for Locked {
    fn drop(&mut self) {
        if !self.renamed {
            drop(fs::remove_file(&self.lock));
        }
        drop(fs::remove_file(&self.ours));
        drop(fs::remove_file(&self.intent));
    }
}

fn link_file(common: &Path) -> Result<PathBuf, PromptFault> {
    inside(common, &format!("{OURS}/lock.new"))
}

/// Takes away the lock that a killed process of ours left, and only that.
pub(crate) fn recover(common: &Path) -> Result<(), PromptFault> {
    let (ours, intent) = (link_file(common)?, inside(common, INTENT)?);
    if let (Ok(file), Ok(relative)) = (fs::metadata(&ours), fs::read_to_string(&intent)) {
        let lock = inside(common, relative.trim_end())?;
        if fs::symlink_metadata(&lock).is_ok_and(|found| found.ino() == file.ino() && found.dev() == file.dev()) {
            tracing::warn!(lock = %lock.display(), "took away the lock of a process that was killed");
            fs::remove_file(&lock).map_err(PromptFault::io("remove", &lock))?;
        }
    }
    drop(fs::remove_file(&ours));
    drop(fs::remove_file(&intent));
    Ok(())
}

/// Takes git's lock of `relative`, already holding `content`; `None` where another program has it.
fn take(common: &Path, relative: &str, content: &[u8]) -> Result<Option<Locked>, PromptFault> {
    recover(common)?;
    let (ours, intent) = (link_file(common)?, inside(common, INTENT)?);
    let lock_name = format!("{relative}.lock");
    let lock = inside(common, &lock_name)?;
    fs::write(&intent, &lock_name).map_err(PromptFault::io("write", &intent))?;
    let mut file = File::create(&ours).map_err(PromptFault::io("write", &ours))?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(PromptFault::io("write", &ours))?;
    match fs::hard_link(&ours, &lock) {
        Ok(()) => Ok(Some(Locked { lock, ours, intent, renamed: false })),
        Err(fault) if fault.kind() == std::io::ErrorKind::AlreadyExists => {
            drop(fs::remove_file(&ours));
            drop(fs::remove_file(&intent));
            Ok(None)
        }
        Err(fault) => Err(PromptFault::io("lock", &lock)(fault)),
    }
}

impl Locked {
    /// Puts what the lock holds in place.
    fn commit(mut self, to: &Path) -> Result<(), PromptFault> {
        fs::rename(&self.lock, to).map_err(PromptFault::io("move a ref at", to))?;
        self.renamed = true;
        to.parent().map_or(Ok(()), sync_folder)
    }
}

/// Moves `name` from `from` to `to`; a `from` or `to` of `None` makes or deletes it. `head` is `HEAD`'s own log, for the
/// branch that it names.
pub(crate) fn shift(
    view: &View<'_>,
    common: &Path,
    name: &str,
    (from, to): (Option<ObjectId>, Option<ObjectId>),
    reason: &Reason,
    head: Option<&Path>,
) -> Result<Moved, PromptFault> {
    let content = to.map(|to| format!("{to}\n")).unwrap_or_default();
    let Some(locked) = take(common, name, content.as_bytes())? else { return Ok(Moved::Lost) };
    if view.target(name)? != from {
        return Ok(Moved::Lost);
    }
    let line = log_line(from, to, reason);
    let path = inside(common, name)?;
    if to.is_some() {
        add_line(&inside(common, &format!("logs/{name}"))?, &line)?;
        if let Some(git) = head {
            add_line(&inside(git, "logs/HEAD")?, &line)?;
        }
        locked.commit(&path)?;
        return Ok(Moved::Done);
    }
    // The packed one first: else a kill in between would bring an old value back.
    drop(locked);
    if !unpack(common, name)? {
        return Ok(Moved::Lost);
    }
    let Some(_locked) = take(common, name, b"")? else { return Ok(Moved::Lost) };
    match view.target(name)? {
        None => {}
        now if now == from => {
            add_line(&inside(common, &format!("logs/{name}"))?, &line)?;
            fs::remove_file(&path).map_err(PromptFault::io("remove", &path))?;
            path.parent().map_or(Ok(()), sync_folder)?;
        }
        Some(_) => return Ok(Moved::Lost),
    }
    Ok(Moved::Done)
}

/// Takes a ref out of `packed-refs`; a loose one of the same value is left first where there was none.
fn unpack(common: &Path, name: &str) -> Result<bool, PromptFault> {
    let path = inside(common, "packed-refs")?;
    let Ok(before) = fs::read_to_string(&path) else { return Ok(true) };
    let is_it = |line: &str| line.split_once(' ').is_some_and(|(_, of)| of == name);
    if !before.lines().any(is_it) {
        return Ok(true);
    }
    let mut after = String::new();
    let mut of_it = false;
    for line in before.lines() {
        // A peeled line belongs to the one before it.
        of_it = is_it(line) || (of_it && line.starts_with('^'));
        if !of_it {
            after.push_str(line);
            after.push('\n');
        }
    }
    replace(common, "packed-refs", Some(before.as_bytes()), after.as_bytes())
}

/// Replaces a file under its git lock, where it still says `before`; whether it did.
pub(crate) fn replace(root: &Path, relative: &str, before: Option<&[u8]>, after: &[u8]) -> Result<bool, PromptFault> {
    let path = inside(root, relative)?;
    let Some(locked) = take(root, relative, after)? else { return Ok(false) };
    if fs::read(&path).ok().as_deref() != before {
        return Ok(false);
    }
    locked.commit(&path)?;
    Ok(true)
}

fn log_line(from: Option<ObjectId>, to: Option<ObjectId>, reason: &Reason) -> String {
    let id = |id: Option<ObjectId>| id.map_or_else(|| NONE.to_owned(), |id| sha_of(&id).to_string());
    let why = reason.why.replace(['\n', '\r', '\0'], " ");
    format!("{} {} {} {} +0000\t{why}\n", id(from), id(to), reason.who, reason.unix_s)
}

/// Adds a line to a reflog; an end that was torn by a kill is cut first.
fn add_line(path: &Path, line: &str) -> Result<(), PromptFault> {
    let io = |e| PromptFault::io("write", path)(e);
    let is_new = !path.exists();
    let mut file = File::options().create(true).truncate(false).read(true).write(true).open(path).map_err(io)?;
    let len = file.metadata().map_err(io)?.len();
    let from = len.saturating_sub(64 << 10);
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(from)).map_err(io)?;
    file.read_to_end(&mut tail).map_err(io)?;
    let torn = tail.iter().rev().take_while(|b| **b != b'\n').count() as u64;
    let end = len - torn;
    file.set_len(end).map_err(io)?;
    file.seek(SeekFrom::Start(end)).map_err(io)?;
    file.write_all(line.as_bytes()).and_then(|()| file.sync_data()).map_err(io)?;
    if is_new { path.parent().map_or(Ok(()), sync_folder) } else { Ok(()) }
}

/// The moves of a ref, oldest first; lines that are none are left out.
pub(crate) fn moves(common: &Path, name: &str) -> Result<Vec<Move>, PromptFault> {
    let path = inside(common, &format!("logs/{name}"))?;
    let Ok(bytes) = fs::read(&path) else { return Ok(Vec::new()) };
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.split_inclusive('\n').filter_map(|line| read_line(line.strip_suffix('\n')?)).collect())
}

fn read_line(line: &str) -> Option<Move> {
    let (head, why) = line.split_once('\t').unwrap_or((line, ""));
    let (from, rest) = head.split_once(' ')?;
    let (to, rest) = rest.split_once(' ')?;
    let mut back = rest.rsplitn(3, ' ');
    let (_zone, unix_s, who) = (back.next()?, back.next()?, back.next()?);
    let id = |text: &str| (text != NONE).then(|| text.parse().ok());
    Some(Move {
        from: id(from).map_or(Some(None), |id| id.map(Some))?,
        to: id(to).map_or(Some(None), |id| id.map(Some))?,
        who: who.to_owned(),
        unix_s: unix_s.parse().ok()?,
        why: why.to_owned(),
    })
}
