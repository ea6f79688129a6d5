//! What a model's file is: told by its bytes, never by its name, and judged while they come, so that nothing is kept of
//! a file that is refused. Owns which forms are taken and what is said of the others; the forms have a file each.

mod gguf;
mod onnx;
mod safetensors;
mod signs;
mod trees;

use crate::fault::RegistryFault;
use crate::kind::Format;
use crate::request::of_port;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use signs::Sign;
use std::borrow::Cow;
use tidegate_core::port::mount::Frames;
use tidegate_core::{Fault, FaultKind};

/// The longest head (all that stands before the tensors) that is taken; it is held in memory while it is read. The
/// largest vocabularies make heads of half of it.
const LONGEST_HEAD: usize = 32 * 1024 * 1024;

/// Why a file is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused(Cow<'static, str>);

impl Refused {
    fn new(says: impl Into<Cow<'static, str>>) -> Self {
        Self(says.into())
    }
}

impl From<Refused> for Fault {
    fn from(refused: Refused) -> Self {
        Self::new(FaultKind::InvalidRequest, format!("the file is refused: {}", refused.0))
    }
}

/// Why a head is not read yet.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stop {
    /// It goes on behind what has come.
    More,
    /// It is wrong.
    Refused(Refused),
}

impl From<Refused> for Stop {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

fn stop(says: impl Into<Cow<'static, str>>) -> Stop {
    Stop::Refused(Refused::new(says))
}

/// How long a file is, as its head says: at least `shortest`, and padding up to `longest`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Extent {
    shortest: u64,
    longest: u64,
}

/// Judges one file as its bytes come.
#[derive(Debug)]
pub(crate) struct Judge {
    length: u64,
    state: State,
}

/// Reads a head as far as it has come.
type ReadHead = fn(&[u8]) -> Result<Extent, Stop>;

#[derive(Debug)]
enum State {
    /// Its first bytes, which do not tell yet what it is.
    Unknown(Vec<u8>),
    /// A head that is not whole yet; looked at again when so many bytes are there.
    Head { format: Format, read: ReadHead, head: Vec<u8>, again: usize },
    /// A head was read, and what follows is counted.
    Body { format: Format, extent: Extent },
    /// ONNX, which has no head.
    Onnx(onnx::Walk),
    /// Trees as text, which have none either.
    Trees(trees::Walk),
}

impl Judge {
    pub(crate) const fn new() -> Self {
        Self { length: 0, state: State::Unknown(Vec::new()) }
    }

    /// What the file says that it is; `None` where its first bytes have not come.
    pub(crate) const fn format(&self) -> Option<Format> {
        match &self.state {
            State::Unknown(_) => None,
            State::Head { format, .. } | State::Body { format, .. } => Some(*format),
            State::Onnx(_) => Some(Format::Onnx),
            State::Trees(walk) => Some(walk.format()),
        }
    }

    /// Judges the next bytes.
    ///
    /// # Errors
    /// They are those of no file that is taken.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        self.length += bytes.len() as u64;
        match &mut self.state {
            State::Unknown(first) => {
                first.extend_from_slice(bytes);
                match signs::of(first)? {
                    None => {}
                    Some(sign) => {
                        let first = std::mem::take(first);
                        self.begin(sign, first)?;
                    }
                }
            }
            State::Head { head, .. } => {
                head.extend_from_slice(bytes);
                self.read_head(false)?;
            }
            State::Onnx(walk) => walk.take(bytes)?,
            State::Trees(walk) => walk.take(bytes)?,
            State::Body { .. } => {}
        }
        self.bound()
    }

    /// The verdict, once all bytes have come.
    ///
    /// # Errors
    /// The file is not whole, or none that is taken.
    pub(crate) fn end(mut self) -> Result<Format, Refused> {
        if let State::Unknown(first) = &mut self.state {
            let first = std::mem::take(first);
            let sign = signs::of_whole(&first)?;
            self.begin(sign, first)?;
        }
        if let State::Head { .. } = self.state {
            self.read_head(true)?;
        }
        self.bound()?;
        match self.state {
            State::Body { format, extent } if self.length >= extent.shortest => Ok(format),
            State::Body { format, extent } => Err(Refused::new(format!(
                "it ends after {} bytes, and its head says that this {format} file has {}: send all of it",
                self.length, extent.shortest
            ))),
            State::Onnx(walk) => walk.end().map(|()| Format::Onnx),
            State::Trees(walk) => walk.end().map(|()| walk.format()),
            State::Head { format, .. } => {
                Err(Refused::new(format!("it ends within the head of a {format} file: send all of it")))
            }
            State::Unknown(_) => Err(signs::unknown()),
        }
    }

    fn begin(&mut self, sign: Sign, first: Vec<u8>) -> Result<(), Refused> {
        match sign {
            Sign::Onnx => {
                let mut walk = onnx::Walk::new();
                walk.take(&first)?;
                self.state = State::Onnx(walk);
                Ok(())
            }
            Sign::Trees(format) => {
                let mut walk = trees::Walk::of(format);
                walk.take(&first)?;
                self.state = State::Trees(walk);
                Ok(())
            }
            Sign::Gguf => self.begin_head(Format::Gguf, gguf::read, first),
            Sign::Safetensors => self.begin_head(Format::Safetensors, safetensors::read, first),
        }
    }

    fn begin_head(&mut self, format: Format, read: ReadHead, head: Vec<u8>) -> Result<(), Refused> {
        self.state = State::Head { format, read, head, again: 0 };
        self.read_head(false)
    }

    /// Reads the head, unless too little has come since it was tried last: each try begins at its beginning, so they are
    /// as many as the head has doublings.
    fn read_head(&mut self, is_all: bool) -> Result<(), Refused> {
        let State::Head { format, read, head, again } = &mut self.state else { return Ok(()) };
        if head.len() < *again && head.len() <= LONGEST_HEAD && !is_all {
            return Ok(());
        }
        match read(head) {
            Ok(extent) => self.state = State::Body { format: *format, extent },
            Err(Stop::Refused(refused)) => return Err(refused),
            Err(Stop::More) if head.len() > LONGEST_HEAD => return Err(long_head()),
            Err(Stop::More) => *again = head.len() * 2,
        }
        Ok(())
    }

    /// Refuses what is longer than its head says, as soon as it is.
    fn bound(&self) -> Result<(), Refused> {
        match self.state {
            State::Body { format, extent } if self.length > extent.longest => Err(Refused::new(format!(
                "there are bytes behind the end of its tensors: a {format} file ends there, and something else was appended"
            ))),
            _ => Ok(()),
        }
    }
}

fn long_head() -> Refused {
    Refused::new(format!("its head is longer than the {} MiB that are taken", LONGEST_HEAD >> 20))
}

/// The same bytes, judged as they pass, and what they say that they are. Where they are refused, they end with a fault,
/// so that whoever writes them down keeps nothing.
///
/// # Errors
/// The first bytes are those of no file that is taken, or cannot be had.
pub(crate) async fn judged(mut frames: Frames) -> Result<(Format, Frames), RegistryFault> {
    let (mut judge, mut held) = (Judge::new(), Vec::new());
    let refused = |refused: Refused| of_port(refused.into());
    let format = loop {
        if let Some(format) = judge.format() {
            break format;
        }
        let Some(frame) = frames.next().await else {
            let format = judge.end().map_err(refused)?;
            return Ok((format, Box::pin(stream::iter(held))));
        };
        let frame = frame.map_err(of_port)?;
        judge.take(&frame).map_err(refused)?;
        held.push(Ok(frame));
    };
    let rest = stream::try_unfold(Some((judge, frames)), |state| async move {
        let Some((mut judge, mut frames)) = state else { return Ok(None) };
        match frames.next().await {
            Some(frame) => {
                let frame: Bytes = frame?;
                judge.take(&frame)?;
                Ok(Some((frame, Some((judge, frames)))))
            }
            None => judge.end().map(|_| None).map_err(Fault::from),
        }
    });
    Ok((format, Box::pin(stream::iter(held).chain(rest))))
}

/// The bytes of a file of this name: it may be anything, but one whose name promises weights is judged as such.
///
/// # Errors
/// It is not what its name promises.
pub(crate) async fn as_promised(name: &str, frames: Frames) -> Result<Frames, RegistryFault> {
    let Some(promised) = Format::promised(name) else { return Ok(frames) };
    let (format, frames) = judged(frames).await?;
    if format == promised {
        return Ok(frames);
    }
    Err(RegistryFault::invalid(format!("the file is refused: it is {format}, and its name promises {promised}")))
}

/// What a file of `length` bytes is that is kept already; no more of it is read than is needed to tell.
///
/// # Errors
/// It is none that is taken, or cannot be read.
pub(crate) async fn examined(mut frames: Frames, length: u64) -> Result<Format, RegistryFault> {
    let mut judge = Judge::new();
    while let Some(frame) = frames.next().await {
        judge.take(&frame.map_err(of_port)?).map_err(|refused| of_port(refused.into()))?;
        if matches!(judge.state, State::Body { .. }) {
            judge.length = length;
            break;
        }
    }
    judge.end().map_err(|refused| of_port(refused.into()))
}

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
