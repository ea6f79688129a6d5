//! Compiling in a child process, so that a component made to be compiled for ever, or into all memory, ends itself and
//! nobody else. Owns both ends: the parent's, which waits no longer than it said, and the child's, which caps itself before it
//! reads a byte. The child is this program by a command of its own; which is the program's to say.

use crate::fault::{Fault, Kind};
use crate::limits::Limits;
use crate::{cell, engine, plugin};
use rustix::process::{Resource, Rlimit, nice, setrlimit};
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// What compiling may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// The address space of the child, in bytes.
    pub memory_bytes: u64,
    /// Its processor time, in whole seconds.
    pub cpu: Duration,
    /// How long the parent waits.
    pub time: Duration,
}

impl Default for Caps {
    fn default() -> Self {
        Self { memory_bytes: 4 << 30, cpu: Duration::from_secs(30), time: Duration::from_secs(60) }
    }
}

impl Caps {
    /// The same for components that may be larger than most: as many times as much time. Memory does not grow with what is
    /// compiled: it is taken function by function.
    fn scaled(self, most: usize) -> Self {
        let times = u32::try_from(most.div_ceil(Limits::default().component_bytes)).unwrap_or(u32::MAX).max(1);
        Self { cpu: self.cpu.saturating_mul(times), time: self.time.saturating_mul(times), ..self }
    }
}

/// Compiles in child processes.
#[derive(Debug, Clone)]
pub struct Compiler {
    program: PathBuf,
    arguments: Vec<OsString>,
    caps: Caps,
}

/// The largest code that is taken from a child.
const MOST_CODE: u64 = 512 << 20;
/// How far the child stands back behind those who serve.
const GIVES_WAY: i32 = 5;
/// The longest text of a fault that is taken from it.
const SAID_BYTES: usize = 1024;

/// What stands before an answer of the child: which it is, and how many bytes follow.
const HEAD: usize = 1 + size_of::<u64>();
/// How an answer of the child begins.
const CODE: u8 = 0;
const DAMAGED: u8 = 1;
const FAILED: u8 = 2;

impl Compiler {
    /// One that runs this program with these arguments, which must come to [`compile_as_child`].
    #[must_use]
    pub const fn new(program: PathBuf, arguments: Vec<OsString>, caps: Caps) -> Self {
        Self { program, arguments, caps }
    }

    /// Compiles a component, which may have so many bytes, to code for a host of such limits.
    pub(crate) fn compile(&self, bytes: &[u8], most: usize, limits: &Limits) -> Result<Vec<u8>, Fault> {
        let caps = self.caps.scaled(most);
        let host = |says: String| Fault::new(Kind::Host, says);
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| host(format!("the process that compiles cannot start: {error}")))?;
        let answer = converse(caps, &mut child, bytes, limits);
        // It is over, or is now.
        child.kill().unwrap_or_default();
        let status = child.wait().map_err(|error| host(format!("the process that compiles is lost: {error}")))?;
        let answer = answer.map_err(|error| host(format!("the process that compiles cannot be talked to: {error}")))?;
        let too_much = || {
            let Caps { memory_bytes, cpu, time } = caps;
            let (cpu, time) = (cpu.as_secs(), time.as_secs());
            let says = format!(
                "to compile it takes more than {memory_bytes} bytes, {cpu} s of processor time or {time} s ({status})"
            );
            Fault::new(Kind::TooLarge, says)
        };
        let answer = answer.ok_or_else(too_much)?;
        let said = |bytes: &[u8]| cell::harmless(&String::from_utf8_lossy(bytes), SAID_BYTES);
        match answer.split_first() {
            Some((&CODE, code)) => Ok(code.to_vec()),
            Some((&DAMAGED, says)) => Err(Fault::new(Kind::Damaged, said(says))),
            Some((&FAILED, says)) => Err(host(said(says))),
            _ => Err(too_much()),
        }
    }
}

/// What the child answers; `None` if that takes too long.
fn converse(caps: Caps, child: &mut Child, bytes: &[u8], limits: &Limits) -> io::Result<Option<Vec<u8>>> {
    let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::Error::other("it has no pipes"));
    };
    let (told, answer) = mpsc::channel();
    let head = [caps.memory_bytes, caps.cpu.as_secs(), limits.stack_bytes as u64];
    thread::scope(|scope| {
        // A child that ends before it has read all says by its answer why.
        scope.spawn(move || {
            let head = head.map(u64::to_le_bytes);
            input.write_all(head.as_flattened()).and_then(|()| input.write_all(bytes)).unwrap_or_default();
        });
        // Nobody waits any more if it came too late.
        scope.spawn(move || told.send(said(output)).unwrap_or_default());
        let answer = answer.recv_timeout(caps.time);
        // It has said all, or takes too long: how long it would take to end matters to nobody. Both threads end with its pipes.
        child.kill().unwrap_or_default();
        answer.ok().transpose()
    })
}

/// A whole answer, which has its length before it; nothing where the child ended without one.
fn said(mut from: impl Read) -> io::Result<Vec<u8>> {
    let mut head = [0; HEAD];
    match from.read_exact(&mut head) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Vec::new()),
        done => done?,
    }
    let [kind, length @ ..] = head;
    let length = u64::from_le_bytes(length).min(MOST_CODE);
    let mut all = vec![kind];
    let read = from.take(length).read_to_end(&mut all)?;
    Ok(if read as u64 == length { all } else { Vec::new() })
}

/// The child's part: caps this process, reads a component from `input` and writes its code, or why there is none. Whoever calls
/// it ends the process afterwards.
///
/// # Errors
/// The pipes broke, or the caps cannot be set.
pub fn compile_as_child(mut input: impl Read, mut output: impl Write) -> io::Result<()> {
    let mut word = || {
        let mut bytes = [0; 8];
        input.read_exact(&mut bytes).map(|()| u64::from_le_bytes(bytes))
    };
    let (memory, cpu, stack) = (word()?, word()?, word()?);
    cap(Resource::As, memory)?;
    cap(Resource::Cpu, cpu.max(1))?;
    cap(Resource::Core, 0)?;
    // Whoever serves comes first, but not so far that what is fine is never compiled. A system that refuses is as well.
    nice(GIVES_WAY).map(drop).unwrap_or_default();
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes)?;
    let limits = Limits { stack_bytes: usize::try_from(stack).unwrap_or(usize::MAX), ..Limits::default() };
    let compiled = plugin::weigh(&bytes, bytes.len())
        .and_then(|()| engine::compiling(&limits))
        .and_then(|engine| plugin::compile(&engine, &bytes));
    let (kind, answer) = match compiled {
        Ok(code) => (CODE, code),
        Err(Fault { kind: Kind::Host, says }) => (FAILED, says.into_bytes()),
        Err(fault) => (DAMAGED, fault.says.into_bytes()),
    };
    output.write_all(&[kind])?;
    output.write_all(&(answer.len() as u64).to_le_bytes())?;
    output.write_all(&answer)?;
    output.flush()
}

fn cap(resource: Resource, most: u64) -> io::Result<()> {
    setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) }).map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn what_may_be_larger_may_take_longer() {
        let of = |most: usize| {
            let Caps { memory_bytes, cpu, time } = Caps::default().scaled(most);
            (memory_bytes >> 30, cpu.as_secs(), time.as_secs())
        };
        assert_eq!((of(0), of(4 << 20)), ((4, 30, 60), (4, 30, 60)));
        assert_eq!((of((4 << 20) + 1), of(32 << 20)), ((4, 60, 120), (4, 240, 480)));
    }

    /// A process that ends has threads that may hold it up, and all reloads wait for it.
    #[cfg(unix)]
    #[test]
    fn a_child_that_has_said_all_is_not_waited_for() {
        let child = |says: &str| {
            let script = format!("cat >&2; printf '{says}'; exec sleep 600");
            let arguments = vec!["-c".into(), script.into()];
            let caps = Caps { time: Duration::from_secs(300), ..Caps::default() };
            let compiler = Compiler::new("/bin/sh".into(), arguments, caps);
            compiler.compile(&[0; 1 << 20], 0, &Limits::default())
        };
        let began = Instant::now();
        assert_eq!(child(r"\000\003\000\000\000\000\000\000\000abc and more").unwrap(), b"abc");
        let fault = child(r"\001\004\000\000\000\000\000\000\000torn").unwrap_err();
        assert_eq!((fault.kind, &*fault.says), (Kind::Damaged, "torn"));
        assert!(began.elapsed() < Duration::from_secs(300), "it was waited for");
    }

    #[test]
    fn half_an_answer_is_none() {
        let whole = [&[CODE, 3, 0, 0, 0, 0, 0, 0, 0][..], b"abc"].concat();
        assert_eq!(said(&*whole).unwrap(), b"\0abc");
        for length in 0..whole.len() {
            assert_eq!(said(whole.get(..length).unwrap()).unwrap(), b"", "{length}");
        }
    }
}
