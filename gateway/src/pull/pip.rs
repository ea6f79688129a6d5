//! Wheels by the user's own pip, so that whatever mirror he has set up is used. Nothing of a wheel is run, and no source
//! distribution is taken, as building one would run it.

use super::scratch::{Scratch, largest_in};
use super::{PullContext, Reason};
use crate::terminal::{Progress, harmless};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// The user's Python.
#[derive(Debug, Clone)]
pub(crate) struct Python {
    /// Its name.
    pub(crate) program: String,
    /// Where it is looked for, and what it gets as `PATH`.
    pub(crate) path: OsString,
}

impl Python {
    fn find(&self) -> Result<PathBuf, Reason> {
        let found =
            std::env::split_paths(&self.path).map(|folder| folder.join(&self.program)).find(|path| is_program(path));
        found.ok_or_else(|| Reason::NoPython { program: self.program.clone() })
    }
}

#[cfg(unix)]
fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(path: &Path) -> bool {
    path.with_extension("exe").is_file()
}

/// The wheels of one run: each is downloaded once, also where several files of it are wanted.
#[derive(Debug, Default)]
pub(super) struct Wheels(BTreeMap<String, Result<Wheel, Reason>>);

#[derive(Debug)]
struct Wheel {
    path: PathBuf,
    _scratch: Scratch,
}

impl Wheels {
    /// The wheel of this package, as a file.
    pub(super) async fn get(&mut self, package: &str, version: &str, ctx: &PullContext) -> Result<PathBuf, Reason> {
        let requirement = format!("{package}=={version}");
        if !self.0.contains_key(&requirement) {
            let got = download(&requirement, ctx).await;
            self.0.insert(requirement.clone(), got);
        }
        match self.0.get(&requirement) {
            Some(Ok(wheel)) => Ok(wheel.path.clone()),
            Some(Err(reason)) => Err(reason.clone()),
            None => Err(Reason::Stopped("the wheel was lost".to_owned())),
        }
    }
}

/// pip has one limit for connecting and for reading. The first try is short, so that a closed network is noticed soon;
/// a mirror that was reached but is slow to answer gets a second, patient one.
const LIMITS: [&str; 2] = ["3", "60"];

async fn download(requirement: &str, ctx: &PullContext) -> Result<Wheel, Reason> {
    let python = ctx.python.find()?;
    let scratch = Scratch::within(&ctx.cache)?;
    // pip runs in an empty folder: Python would import a `pip.py` that lies in the one it is started in.
    let (wheels, empty) = (scratch.folder("wheels")?, scratch.folder("empty")?);
    for limit in LIMITS {
        let mut command = Command::new(&python);
        command.args([
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--only-binary=:all:",
            "--no-input",
            "--disable-pip-version-check",
        ]);
        command
            .args(["--progress-bar", "off", "--retries", "0", "--timeout", limit, "-d"])
            .arg(&wheels)
            .arg(requirement);
        command.current_dir(&empty).env("PATH", &ctx.python.path).env("TMPDIR", &empty);
        let (went_well, said) = run(command, requirement, &empty, &*ctx.progress).await?;
        if went_well {
            let path = the_wheel_in(&wheels)?;
            return Ok(Wheel { path, _scratch: scratch });
        }
        if said.contains("No module named pip") {
            return Err(Reason::NoPip { program: ctx.python.program.clone() });
        }
        if limit == LIMITS[1] || !said.contains("Read timed out") {
            return Err(Reason::Pip { package: requirement.to_owned(), says: core_of(&said) });
        }
    }
    Err(Reason::Stopped("pip was not run".to_owned()))
}

/// Runs pip and shows how much of the wheel is there: pip writes below `TMPDIR` while it downloads,
/// at times the same bytes twice.
async fn run(
    mut command: Command,
    requirement: &str,
    writes_to: &Path,
    progress: &dyn Progress,
) -> Result<(bool, String), Reason> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let child = command.spawn().map_err(|e| Reason::Pip { package: requirement.to_owned(), says: e.to_string() })?;
    let mut meter = progress.meter(&format!("pip download {requirement}"), None);
    let mut output = std::pin::pin!(child.wait_with_output());
    let mut tick = tokio::time::interval(Duration::from_millis(250));
    let output = loop {
        tokio::select! {
            output = &mut output => break output,
            _ = tick.tick() => meter.at(largest_in(writes_to)),
        }
    };
    let output = output.map_err(|e| Reason::Pip { package: requirement.to_owned(), says: e.to_string() })?;
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).join("\n");
    Ok((output.status.success(), said))
}

fn the_wheel_in(folder: &Path) -> Result<PathBuf, Reason> {
    let entries = std::fs::read_dir(folder).map_err(|e| Reason::file(folder, &e))?;
    let mut wheels =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "whl"));
    match (wheels.next(), wheels.next()) {
        (Some(wheel), None) => Ok(wheel),
        (None, _) => Err(Reason::Stopped("pip reported success but left no wheel".to_owned())),
        (Some(_), Some(_)) => Err(Reason::Stopped("pip left more than one wheel".to_owned())),
    }
}

/// What matters of pip's output, in one line: the connection's failure if there is one, and the last errors.
fn core_of(said: &str) -> String {
    let cause = said.lines().find_map(|line| {
        line.split_once("Caused by ").map(|(_, cause)| {
            let cause = cause.trim_end_matches(" - skipping");
            cause.strip_suffix(')').unwrap_or(cause)
        })
    });
    let errors: Vec<&str> = said.lines().filter_map(|line| line.trim().strip_prefix("ERROR: ")).collect();
    let last = || said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    let text = match (cause, errors.last()) {
        (Some(cause), Some(error)) => format!("{error} ({cause})"),
        (Some(cause), None) => cause.to_owned(),
        (None, Some(error)) => (*error).to_owned(),
        (None, None) => last().trim().to_owned(),
    };
    let text = without_passwords(&harmless(&text));
    if text.chars().count() > 400 { text.chars().take(400).chain(['…']).collect() } else { text }
}

/// A mirror's address may hold a user's password; it must not reach a log.
fn without_passwords(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (head, tail) = rest.split_at(at + 3);
        out.push_str(head);
        let end = tail.find(|c: char| c == '/' || c.is_whitespace() || "'\"(),".contains(c)).unwrap_or(tail.len());
        let authority = &tail[..end];
        out.push_str(authority.rsplit_once('@').map_or("", |_| "***@"));
        out.push_str(authority.rsplit_once('@').map_or(authority, |(_, host)| host));
        rest = &tail[end..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_core_of_a_failure_is_one_line() {
        let said = "WARNING: Could not fetch URL https://u:p@mirror/simple/x/: connection error: HTTPSConnectionPool(host='mirror', port=443): \
                    Max retries exceeded with url: /simple/x/ (Caused by NewConnectionError('Connection refused')) - skipping\n\
                    ERROR: Could not find a version that satisfies the requirement x==1\n\
                    ERROR: No matching distribution found for x==1\n";
        assert_eq!(core_of(said), "No matching distribution found for x==1 (NewConnectionError('Connection refused'))");
        assert_eq!(core_of("\n"), "it said nothing");
        assert_eq!(core_of("Traceback\nKeyError: 'x'\n"), "KeyError: 'x'");
    }

    #[test]
    fn passwords_of_mirrors_are_hidden() {
        let text = without_passwords("ERROR: 403 for https://me:s3cret@mirror:8443/simple/ (http://h/)");
        assert_eq!(text, "ERROR: 403 for https://***@mirror:8443/simple/ (http://h/)");
    }
}
