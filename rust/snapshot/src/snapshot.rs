//! A snapshot's file, read: header, catalog, customers. The body streams, nothing of it is in memory twice.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use fastcheck_core::{Error, Record, Result};

use crate::bounds::{FILE_BYTES_MAX, WINDOW_LOG_MAX};
use crate::catalog_text::CatalogText;
use crate::disk::{damaged, failed, unreadable};
use crate::header::{HEADER_BYTES, Header};
use crate::records::each_of;

/// A file whose header is sound. Its body is checked by whoever reads it.
#[derive(Clone, Debug)]
pub struct Snapshot {
    path: PathBuf,
    pub header: Header,
    pub file_bytes: u64,
}

impl Snapshot {
    /// Reads the header. `Error::Damaged` where it is none, `Error::Io` where the file cannot be read.
    pub fn open(path: &Path) -> Result<Snapshot> {
        let mut file = File::open(path).map_err(failed(path, "open"))?;
        let file_bytes = file.metadata().map_err(failed(path, "read"))?.len();
        if file_bytes > FILE_BYTES_MAX {
            return Err(damaged(
                path,
                format!("it has {file_bytes} bytes, at most {FILE_BYTES_MAX} are read"),
            ));
        }
        let mut first = [0; HEADER_BYTES];
        file.read_exact(&mut first)
            .map_err(|e| unreadable(path, e))?;
        let header = Header::decode(&first).map_err(|what| damaged(path, what))?;
        Ok(Snapshot {
            path: path.to_path_buf(),
            header,
            file_bytes,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The catalog, from the beginning of the body.
    pub fn catalog(&self) -> Result<CatalogText> {
        self.read_catalog(&mut self.body()?)
    }

    /// Hands on every customer's record, and checks the whole file on the way: an error may come after the last record.
    pub fn each(&self, each: &mut dyn FnMut(Record<'_>) -> Result<()>) -> Result<()> {
        let mut body = self.body()?;
        self.read_catalog(&mut body)?;
        let (mut sum, mut customers) = (0u64, 0u64);
        each_of(&mut body, self.failure(), &mut |record| {
            if record.customer.deleted {
                return Ok(());
            }
            sum = sum.wrapping_add(record.hash);
            customers += 1;
            each(record)
        })?;
        body.end().map_err(self.failure())?;
        if customers != self.header.customers {
            let stated = self.header.customers;
            return Err(damaged(
                &self.path,
                format!("it has {customers} customers, and says {stated}"),
            ));
        }
        let stated = self.header.at.digest;
        if sum != stated {
            return Err(damaged(
                &self.path,
                format!("its records sum up to {sum:016x}, and it says {stated:016x}"),
            ));
        }
        Ok(())
    }

    fn failure(&self) -> impl Fn(io::Error) -> Error {
        |e| unreadable(&self.path, e)
    }

    fn read_catalog(&self, body: &mut Body) -> Result<CatalogText> {
        let mut part = Vec::new();
        let size = self.header.catalog_bytes;
        body.take(size)
            .read_to_end(&mut part)
            .map_err(self.failure())?;
        CatalogText::decode(&part)
            .ok_or_else(|| damaged(&self.path, "its catalog is not one, or ends early"))
    }

    fn body(&self) -> Result<Body> {
        let mut file = File::open(&self.path).map_err(failed(&self.path, "open"))?;
        let start = SeekFrom::Start(HEADER_BYTES as u64);
        file.seek(start).map_err(failed(&self.path, "read"))?;
        Body::new(file, self.header.raw_bytes).map_err(self.failure())
    }
}

/// The body, decompressed: as many bytes as the header says, or an error.
struct Body {
    frame: zstd::stream::read::Decoder<'static, BufReader<File>>,
    left: u64,
}

impl Body {
    fn new(file: File, raw_bytes: u64) -> io::Result<Body> {
        let mut frame = zstd::stream::read::Decoder::new(file)?.single_frame();
        frame.window_log_max(WINDOW_LOG_MAX)?;
        Ok(Body {
            frame,
            left: raw_bytes,
        })
    }

    /// Whether the file ends here, with a checksum that is right.
    fn end(mut self) -> io::Result<()> {
        let more = self.left != 0 || self.frame.read(&mut [0])? != 0;
        if more || !self.frame.finish().fill_buf()?.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "it has other bytes than it declares",
            ));
        }
        Ok(())
    }
}

impl Read for Body {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).map_or(into.len(), |left| left.min(into.len()));
        let read = self.frame.read(&mut into[..most])?;
        if read == 0 && most != 0 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "it ends before the bytes that it declares",
            ));
        }
        self.left -= read as u64;
        Ok(read)
    }
}
