//! The log of a checkpoint: what changed after its base, block by block.
//!
//! The writer puts a change's records, and its catalog if it has one, before the commit that makes them count. The reader
//! believes blocks up to the last commit before the first block that is cut short or does not match its hash. The hash covers
//! where the block stands and whose log it is, so no block counts in another place.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fastcheck_core::{Error, Record, Result, hash_bytes, hash_words};

use crate::bounds::{BLOCK_BYTES_MAX, LOG_BYTES_MAX};
use crate::catalog_text::CatalogText;
use crate::disk::{self, damaged, failed, unreadable};
use crate::header::Mark;
use crate::records::each_in;

pub const MAGIC: u64 = u64::from_le_bytes(*b"FCCLOG01");
/// Changes when the meaning of a word or of a block does.
pub const LAYOUT: u64 = 1;
/// Bytes of the header: seven words.
pub const HEADER_BYTES: usize = 56;
/// Bytes before a block's payload: its length, its kind, its hash.
pub const BLOCK_HEAD_BYTES: usize = 16;

/// What a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// Customers' records, one after the other.
    Records = 1,
    /// A catalog, as `CatalogText` packs it.
    Catalog = 2,
    /// Epoch, seq and digest: all before it counts.
    Commit = 3,
}

impl Kind {
    fn of(word: u32) -> Option<Kind> {
        [Kind::Records, Kind::Catalog, Kind::Commit]
            .into_iter()
            .find(|kind| *kind as u32 == word)
    }
}

/// Whose log it is: the generation's number, and what its base is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whose {
    pub number: u64,
    pub base: Mark,
}

impl Whose {
    fn words(&self) -> [u64; 7] {
        let Mark { epoch, seq, digest } = self.base;
        let mut words = [MAGIC, LAYOUT, self.number, epoch, seq, digest, 0];
        words[6] = hash_words(0, &words[..6]);
        words
    }

    fn header(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        for (to, word) in bytes.chunks_exact_mut(8).zip(self.words()) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// What goes into the hash of each of its blocks.
    fn seed(&self) -> u64 {
        self.words()[6]
    }
}

fn block_hash(seed: u64, at: u64, kind: u32, payload: &[u8]) -> u64 {
    let words = [at, u64::from(kind), payload.len() as u64];
    hash_words(seed ^ hash_bytes(payload), &words)
}

pub fn commit_payload(at: Mark) -> Vec<u8> {
    [at.epoch, at.seq, at.digest]
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .collect()
}

fn read_commit(payload: &[u8]) -> Option<Mark> {
    let ([epoch, seq, digest], []) = payload.as_chunks::<8>() else {
        return None;
    };
    Some(Mark {
        epoch: u64::from_le_bytes(*epoch),
        seq: u64::from_le_bytes(*seq),
        digest: u64::from_le_bytes(*digest),
    })
}

/// The writing end of a log.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    file: Arc<File>,
    whose: Whose,
    /// Where the next block goes: all before it counts.
    end: u64,
}

impl LogFile {
    /// Makes an empty log, on disk before this returns. Its name is durable once its directory is synced.
    pub fn create(path: &Path, whose: Whose) -> Result<LogFile> {
        let file = disk::create(path)?;
        let made = file
            .write_all_at(&whose.header(), 0)
            .and_then(|()| file.sync_all());
        if let Err(e) = made {
            let _ = disk::remove(path); // The first error is the one to tell.
            return Err(failed(path, "write")(e));
        }
        Ok(LogFile {
            path: path.to_path_buf(),
            file: Arc::new(file),
            whose,
            end: HEADER_BYTES as u64,
        })
    }

    /// Opens a log that was scanned, and cuts off what does not count.
    pub fn open(path: &Path, whose: Whose, end: u64) -> Result<LogFile> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(failed(path, "open"))?;
        file.set_len(end).map_err(failed(path, "cut"))?;
        Ok(LogFile {
            path: path.to_path_buf(),
            file: Arc::new(file),
            whose,
            end,
        })
    }

    /// Appends a change with one write. An error leaves the log as it was.
    pub fn append(&mut self, blocks: &[(Kind, &[u8])]) -> Result<()> {
        let seed = self.whose.seed();
        let mut bytes = Vec::new();
        for (kind, payload) in blocks {
            let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
            if payload.len() > BLOCK_BYTES_MAX {
                return Err(Error::Invalid(format!(
                    "{length} bytes in one block of a checkpoint's log, at most {BLOCK_BYTES_MAX} are taken"
                )));
            }
            let at = self.end + bytes.len() as u64;
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(&(*kind as u32).to_le_bytes());
            bytes.extend_from_slice(&block_hash(seed, at, *kind as u32, payload).to_le_bytes());
            bytes.extend_from_slice(payload);
        }
        if self.end + bytes.len() as u64 > LOG_BYTES_MAX {
            return Err(Error::Full(
                "the checkpoint's log is as long as it may be; compact it",
            ));
        }
        if let Err(e) = self.file.write_all_at(&bytes, self.end) {
            // What was written of it has no commit. Cut off, it takes no room; if that fails, the next append is written over it.
            let _ = self.file.set_len(self.end);
            return Err(failed(&self.path, "write")(e));
        }
        self.end += bytes.len() as u64;
        Ok(())
    }

    /// Takes what follows `end`, where a block ends, off again.
    pub fn cut(&mut self, end: u64) -> Result<()> {
        self.file.set_len(end).map_err(failed(&self.path, "cut"))?;
        self.end = end;
        Ok(())
    }

    /// The file, to sync it without keeping an append waiting.
    pub fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    pub fn sync(&self) -> Result<()> {
        self.file
            .sync_data()
            .map_err(failed(&self.path, "write to disk"))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The log up to here, for a reader.
    pub fn part(&self) -> LogPart {
        LogPart {
            path: self.path.clone(),
            whose: self.whose,
            end: self.end,
        }
    }

    pub fn bytes(&self) -> u64 {
        self.end
    }
}

/// A log up to a point: what is appended later does not belong to it.
#[derive(Clone, Debug)]
pub struct LogPart {
    path: PathBuf,
    whose: Whose,
    end: u64,
}

/// What a scan found to count.
#[derive(Debug)]
pub struct Scanned {
    pub part: LogPart,
    /// The last commit.
    pub at: Mark,
    /// The newest catalog, if a change had one.
    pub catalog: Option<CatalogText>,
}

impl LogPart {
    /// Reads a log to the last commit that counts. None: there is none, or it is of another base.
    pub fn scan(path: &Path, whose: Whose) -> Result<Option<Scanned>> {
        let Some(mut blocks) = Blocks::open(path, whose, u64::MAX)? else {
            return Ok(None);
        };
        let part = LogPart {
            path: path.to_path_buf(),
            whose,
            end: HEADER_BYTES as u64,
        };
        let mut found = Scanned {
            part,
            at: whose.base,
            catalog: None,
        };
        let mut pending = None;
        while let Some(kind) = blocks.next()? {
            match kind {
                Kind::Records => {}
                Kind::Catalog => match CatalogText::decode(&blocks.payload) {
                    Some(catalog) => pending = Some(catalog),
                    None => break,
                },
                Kind::Commit => {
                    let Some(at) = read_commit(&blocks.payload) else {
                        break;
                    };
                    found.at = at;
                    found.part.end = blocks.at;
                    found.catalog = pending.take().or(found.catalog);
                }
            }
        }
        Ok(Some(found))
    }

    pub fn end(&self) -> u64 {
        self.end
    }

    pub fn is_empty(&self) -> bool {
        self.end == HEADER_BYTES as u64
    }

    /// Hands on every record with its position among them, deleted ones too.
    pub fn each(&self, each: &mut dyn FnMut(u64, Record<'_>) -> Result<()>) -> Result<()> {
        let gone = || damaged(&self.path, "it changed since it was looked at");
        let mut blocks = Blocks::open(&self.path, self.whose, self.end)?.ok_or_else(gone)?;
        let mut position = 0;
        while let Some(kind) = blocks.next()? {
            if kind == Kind::Records {
                each_in(&blocks.payload, &mut |record| {
                    position += 1;
                    each(position, record)
                })?;
            }
        }
        if blocks.at != self.end {
            return Err(gone());
        }
        Ok(())
    }

    /// Of each customer in it, the position of the newest record. This is all that a merge keeps in memory.
    pub fn newest(&self) -> Result<HashMap<u32, u64>> {
        let mut newest = HashMap::new();
        self.each(&mut |position, record| {
            newest.insert(record.customer.number, position);
            Ok(())
        })?;
        Ok(newest)
    }
}

/// Blocks, one after the other, as far as they are whole and right.
struct Blocks {
    path: PathBuf,
    file: BufReader<File>,
    seed: u64,
    /// Where the next block begins.
    at: u64,
    end: u64,
    payload: Vec<u8>,
}

impl Blocks {
    fn open(path: &Path, whose: Whose, end: u64) -> Result<Option<Blocks>> {
        let file = match File::open(path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(failed(path, "open"))?,
        };
        let size = file.metadata().map_err(failed(path, "read"))?.len();
        let mut file = BufReader::with_capacity(1 << 16, file);
        let mut header = [0; HEADER_BYTES];
        if size < HEADER_BYTES as u64 {
            return Ok(None);
        }
        file.seek(SeekFrom::Start(0))
            .and_then(|_| file.read_exact(&mut header))
            .map_err(|e| unreadable(path, e))?;
        Ok((header == whose.header()).then(|| Blocks {
            path: path.to_path_buf(),
            file,
            seed: whose.seed(),
            at: HEADER_BYTES as u64,
            end: size.min(end).min(LOG_BYTES_MAX),
            payload: Vec::new(),
        }))
    }

    /// Reads the next block into `payload`. None: no whole and right one follows.
    fn next(&mut self) -> Result<Option<Kind>> {
        let left = self.end - self.at;
        if left < BLOCK_HEAD_BYTES as u64 {
            return Ok(None);
        }
        let mut head = [0; BLOCK_HEAD_BYTES];
        self.fill(&mut head)?;
        let [length, kind] = [&head[..4], &head[4..8]].map(|part| {
            let mut word = [0; 4];
            word.copy_from_slice(part);
            u32::from_le_bytes(word)
        });
        let mut hash = [0; 8];
        hash.copy_from_slice(&head[8..]);
        let bytes = length as usize;
        if bytes > BLOCK_BYTES_MAX || bytes as u64 > left - BLOCK_HEAD_BYTES as u64 {
            return Ok(None);
        }
        let mut payload = std::mem::take(&mut self.payload);
        payload.resize(bytes, 0);
        self.fill(&mut payload)?;
        self.payload = payload;
        if u64::from_le_bytes(hash) != block_hash(self.seed, self.at, kind, &self.payload) {
            return Ok(None);
        }
        let Some(kind) = Kind::of(kind) else {
            return Ok(None);
        };
        self.at += (BLOCK_HEAD_BYTES + bytes) as u64;
        Ok(Some(kind))
    }

    fn fill(&mut self, into: &mut [u8]) -> Result<()> {
        self.file
            .read_exact(into)
            .map_err(|e| unreadable(&self.path, e))
    }
}
