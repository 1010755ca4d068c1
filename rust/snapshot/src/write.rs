//! A snapshot's file, written: under a temporary name, the header last, put in place whole.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use fastcheck_core::{Error, Record, Result};

use crate::bounds::{FILE_BYTES_MAX, RAW_BYTES_MAX};
use crate::catalog_text::CatalogText;
use crate::disk::{self, failed};
use crate::header::{HEADER_BYTES, Header, Mark};
use crate::records::each_in;

/// Measured with a million customers: level 3 takes twice as long, and the file is no smaller (docs/format/snapshot.md).
const LEVEL: i32 = 1;

/// A file being written. Dropped before it is in place, it leaves nothing behind.
pub struct SnapshotWriter {
    path: PathBuf,
    frame: Option<zstd::stream::write::Encoder<'static, File>>,
    header: Header,
    /// What the records so far sum up to.
    sum: u64,
    placed: bool,
}

impl SnapshotWriter {
    /// Begins the file that is to be at `path`. The records to come must be all customers as of `at`.
    pub fn create(path: &Path, at: Mark, catalog: &CatalogText) -> Result<SnapshotWriter> {
        let part = catalog.encode()?;
        let fresh = disk::temporary(path);
        let mut file = disk::create(&fresh)?;
        let mut writer = SnapshotWriter {
            path: path.to_path_buf(),
            frame: None,
            header: Header {
                at,
                customers: 0,
                raw_bytes: 0,
                catalog_bytes: part.len() as u64,
            },
            sum: 0,
            placed: false,
        };
        let begun = file
            .write_all(&[0; HEADER_BYTES])
            .and_then(|()| zstd::stream::write::Encoder::new(file, LEVEL))
            .and_then(|mut frame| frame.include_checksum(true).map(|()| frame));
        writer.frame = Some(begun.map_err(failed(&fresh, "write"))?);
        writer.write(&part)?;
        Ok(writer)
    }

    /// Adds records, all or, where one of them is none, nothing. Those flagged deleted are left out.
    pub fn add(&mut self, records: &[u8]) -> Result<()> {
        let (mut sum, mut customers, mut live) = (self.sum, 0, 0);
        each_in(records, &mut |record| {
            if !record.customer.deleted {
                sum = sum.wrapping_add(record.hash);
                customers += 1;
                live += record.bytes.len();
            }
            Ok(())
        })?;
        if live == records.len() {
            self.write(records)?;
        } else {
            each_in(records, &mut |record| match record.customer.deleted {
                true => Ok(()),
                false => self.write(record.bytes),
            })?;
        }
        self.sum = sum;
        self.header.customers += customers;
        Ok(())
    }

    /// Compares the sum, ends the file and puts it in place. Returns how many customers, and bytes of the file.
    pub fn finish(mut self) -> Result<(u64, u64)> {
        let made = self.seal()?;
        self.place()?;
        Ok(made)
    }

    /// Ends the file: whole and on disk, but still under its temporary name.
    pub(crate) fn seal(&mut self) -> Result<(u64, u64)> {
        if self.sum != self.header.at.digest {
            return Err(Error::Digest {
                found: self.sum,
                stated: self.header.at.digest,
            });
        }
        let fresh = disk::temporary(&self.path);
        let io = failed(&fresh, "write");
        let frame = self.frame.take().ok_or_else(|| ended(&self.path))?;
        let mut file = frame.finish().map_err(&io)?;
        let bytes = file.stream_position().map_err(&io)?;
        if bytes > FILE_BYTES_MAX {
            return Err(Error::Full(
                "a snapshot's file would be longer than it may be",
            ));
        }
        file.seek(SeekFrom::Start(0))
            .and_then(|_| file.write_all(&self.header.encode()))
            .and_then(|()| file.sync_all())
            .map_err(&io)?;
        Ok((self.header.customers, bytes))
    }

    /// Gives the sealed file its name.
    pub(crate) fn place(mut self) -> Result<()> {
        disk::place(&disk::temporary(&self.path), &self.path)?;
        self.placed = true;
        Ok(())
    }

    /// Adds one record that is decoded already, and not flagged deleted.
    pub(crate) fn push(&mut self, record: &Record<'_>) -> Result<()> {
        self.write(record.bytes)?;
        self.sum = self.sum.wrapping_add(record.hash);
        self.header.customers += 1;
        Ok(())
    }

    /// After an error nothing more can be added: how much of it is in the frame is not known.
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let mut frame = self.frame.take().ok_or_else(|| ended(&self.path))?;
        if RAW_BYTES_MAX - self.header.raw_bytes < bytes.len() as u64 {
            return Err(Error::Full(
                "a snapshot would hold more bytes than it may have",
            ));
        }
        frame
            .write_all(bytes)
            .map_err(failed(&disk::temporary(&self.path), "write"))?;
        self.frame = Some(frame);
        self.header.raw_bytes += bytes.len() as u64;
        Ok(())
    }
}

fn ended(path: &Path) -> Error {
    Error::Conflict(format!(
        "{} is ended already, or could not be written: begin it anew",
        path.display()
    ))
}

impl Drop for SnapshotWriter {
    fn drop(&mut self) {
        if !self.placed {
            // Nothing more can be done about a file that cannot be removed; the next writer replaces it.
            let _ = disk::remove(&disk::temporary(&self.path));
        }
    }
}
