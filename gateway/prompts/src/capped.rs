//! A buffer that refuses to grow beyond its room. Owns nothing else.

use std::io::{self, Write};
use std::string::FromUtf8Error;

#[derive(Debug)]
pub(crate) struct Capped {
    bytes: Vec<u8>,
    room: usize,
    full: bool,
}

impl Capped {
    pub(crate) fn new(room: usize) -> Self {
        Self { bytes: Vec::new(), room, full: false }
    }

    /// Whether something was refused.
    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn into_text(self) -> Result<String, FromUtf8Error> {
        String::from_utf8(self.bytes)
    }
}

impl Write for Capped {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + data.len() > self.room {
            self.full = true;
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        self.bytes.extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
