//! A snapshot on its way from the hub: into a file of its own, until it is whole.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use fastcheck_core::{Error, Result};

use crate::bounds::FILE_BYTES_MAX;
use crate::disk::{self, failed};
use crate::snapshot::Snapshot;

/// Dropped before it is placed, it leaves nothing behind.
#[derive(Debug)]
pub struct Transfer {
    path: PathBuf,
    file: File,
    /// Bytes announced, and received.
    file_bytes: u64,
    received: u64,
    /// Whether all of it was read and found right.
    pub sound: bool,
    placed: bool,
}

impl Transfer {
    pub fn begin(path: &Path, file_bytes: u64) -> Result<Transfer> {
        if file_bytes > FILE_BYTES_MAX {
            return Err(Error::Conflict(format!(
                "a snapshot of {file_bytes} bytes is announced, at most {FILE_BYTES_MAX} are taken"
            )));
        }
        Ok(Transfer {
            path: path.to_path_buf(),
            file: disk::create(path)?,
            file_bytes,
            received: 0,
            sound: false,
            placed: false,
        })
    }

    /// Takes the next bytes. The offsets leave nothing out and repeat nothing.
    pub fn piece(&mut self, offset: u64, data: &[u8]) -> Result<()> {
        if offset != self.received {
            return Err(Error::Conflict(format!(
                "a piece of a snapshot at {offset}, the next byte is at {}",
                self.received
            )));
        }
        if data.len() as u64 > self.file_bytes - self.received {
            return Err(Error::Conflict(format!(
                "a piece of {} bytes at {offset} goes beyond the {} bytes announced",
                data.len(),
                self.file_bytes
            )));
        }
        self.file
            .write_all_at(data, offset)
            .map_err(failed(&self.path, "write"))?;
        self.received += data.len() as u64;
        self.sound = false;
        Ok(())
    }

    /// The snapshot, once every byte announced is there.
    pub fn snapshot(&self) -> Result<Snapshot> {
        if self.received != self.file_bytes {
            return Err(Error::Conflict(format!(
                "{} of {} bytes of the snapshot are there",
                self.received, self.file_bytes
            )));
        }
        Snapshot::open(&self.path)
    }

    pub fn sync(&self) -> Result<()> {
        self.file
            .sync_all()
            .map_err(failed(&self.path, "write to disk"))
    }

    pub fn place(mut self, path: &Path) -> Result<()> {
        disk::place(&self.path, path)?;
        self.placed = true;
        Ok(())
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        if !self.placed {
            // One that cannot be removed is replaced by the next transfer.
            let _ = disk::remove(&self.path);
        }
    }
}
