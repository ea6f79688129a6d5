//! The input of a batch, read as it is worked off. Owns which line has which number; what a line says is not looked at.

use super::batch::Batch;
use super::line::{self, Line, Lines};
use super::progress::Progress;
use tidegate_core::Fault;
use tidegate_core::port::mount::Frames;

/// The lines of an input with their numbers, from 1.
pub(super) struct Input {
    frames: Frames,
    lines: Lines,
    number: u64,
    is_over: bool,
}

impl Input {
    pub(super) fn of(frames: Frames) -> Self {
        Self { frames, lines: Lines::default(), number: 0, is_over: false }
    }

    /// The next request that came to nothing yet.
    ///
    /// # Errors
    /// The input cannot be read.
    pub(super) async fn wanted(&mut self, batch: &Batch, progress: &Progress) -> Result<Option<(u64, Line)>, Fault> {
        while let Some((number, line)) = self.next().await? {
            if progress.has(number) {
                continue;
            }
            // It was looked at before.
            if let Ok(line) = line::read(&line, batch.api) {
                return Ok(Some((number, line)));
            }
        }
        Ok(None)
    }

    /// The next line that is not empty.
    ///
    /// # Errors
    /// The input cannot be read.
    pub(super) async fn next(&mut self) -> Result<Option<(u64, Vec<u8>)>, Fault> {
        loop {
            let line = if self.is_over { self.lines.last() } else { self.lines.next() };
            if let Some(line) = line {
                self.number += 1;
                if line.trim_ascii().is_empty() {
                    continue;
                }
                return Ok(Some((self.number, line)));
            }
            if self.is_over {
                return Ok(None);
            }
            match std::future::poll_fn(|cx| self.frames.as_mut().poll_next(cx)).await {
                Some(frame) => self.lines.add(&frame?),
                None => self.is_over = true,
            }
        }
    }
}
