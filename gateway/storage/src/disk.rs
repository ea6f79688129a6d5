//! What the writer asks of the disk, so that a test can bring one that fails. Owns the trait and the real disk.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// Where segments are written.
pub(crate) trait Disk: Send + Sync + std::fmt::Debug {
    /// Makes a new file that holds `head`; leaves none where that fails. Its name is durable when this returns.
    fn create(&self, path: &Path, head: &[u8]) -> io::Result<Box<dyn DiskFile>>;
    /// Opens a file to append to.
    fn reopen(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
}

/// A file that grows at its end.
pub(crate) trait DiskFile: Send + std::fmt::Debug {
    /// Appends all bytes; on a fault any part of them may be there.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes what was appended durable.
    fn sync(&mut self) -> io::Result<()>;
    /// Cuts the file to `len` bytes.
    fn cut(&mut self, len: u64) -> io::Result<()>;
}

/// The file system of this machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RealDisk;

impl Disk for RealDisk {
    fn create(&self, path: &Path, head: &[u8]) -> io::Result<Box<dyn DiskFile>> {
        let mut file = File::options().create_new(true).append(true).open(path)?;
        let named = file
            .write_all(head)
            .and_then(|()| file.sync_all())
            .and_then(|()| path.parent().map_or(Ok(()), crate::folder::sync_folder));
        if let Err(fault) = named {
            drop(std::fs::remove_file(path));
            return Err(fault);
        }
        Ok(Box::new(file))
    }

    fn reopen(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(File::options().append(true).open(path)?))
    }
}

impl DiskFile for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn cut(&mut self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }
}
