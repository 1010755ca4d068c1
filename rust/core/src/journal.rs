//! The journal: usage records with their event ids, from any process to the owner.
//!
//! One writer process per file, `journal/<pid>-<started>-<n>`, of a fixed size:
//!
//! ```text
//! header   64 words: magic, arena, pid, started, next (words claimed), sealed, read (the owner's)
//! records  [mark:16 | words:16 | check:32], at_ms, units, lengths, then the texts and quantities
//! ```
//!
//! The writer claims words by one compare-exchange on `next`, fills them in, and stores the record's first word last. A full
//! file is sealed and another one begun; the owner removes files that are sealed, or whose process died, once read.
//!
//! The burn comes first and the record second: the total is the bill, a record explains it. A kill in between loses the
//! record and never the burn. A claim that was never filled in is stepped over, by looking for the next word that begins a
//! record whose check is right.

use std::path::{Path, PathBuf};

use crate::error::{Corrupt, Error, Result};
use crate::hold::Holder;
use crate::key::hash_words;
use crate::map::{Access, MapRegion};
use crate::region::Region;
use crate::sync::Ordering;

const MAGIC: u64 = u64::from_le_bytes(*b"FCJOURN1");
const HEADER_WORDS: usize = 64;
/// Words of one file: 1 MiB.
pub(crate) const FILE_WORDS: usize = 1 << 17;
/// Words of one record. A longer one is not written, and counted.
pub(crate) const RECORD_WORDS_MAX: usize = 1 << 10;
/// Words of a record before its texts.
const FIXED_WORDS: usize = 4;
const MARK: u64 = 0x4a52;
/// Quantities of one record.
const QUANTITIES_MAX: usize = 64;
/// See `cell::ATTEMPTS_MAX`.
const ATTEMPTS_MAX: u32 = 1 << 20;

mod field {
    pub(super) const MAGIC: usize = 0;
    pub(super) const ARENA: usize = 1;
    pub(super) const PID: usize = 2;
    pub(super) const STARTED: usize = 3;
    pub(super) const NEXT: usize = 4;
    pub(super) const SEALED: usize = 5;
    pub(super) const READ: usize = 6;
}

/// One usage record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Arena, file and word: names the record for good, so that storing it twice can be told apart.
    pub position: String,
    pub at_ms: u64,
    /// Pool units burned.
    pub units: u64,
    pub event: Vec<u8>,
    pub customer: Vec<u8>,
    pub feature: Vec<u8>,
    pub quantities: Vec<(Vec<u8>, u64)>,
}

/// A record as the writer has it: nothing is copied before it is in its place.
#[derive(Clone, Copy, Debug)]
pub struct Draft<'a> {
    pub at_ms: u64,
    pub units: u64,
    pub event: &'a [u8],
    pub customer: &'a [u8],
    pub feature: &'a [u8],
    pub quantities: &'a [(&'a [u8], u64)],
}

/// What came of writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    Done,
    /// The file is full: begin another one.
    Full,
    /// The record is longer than records may be.
    TooLong,
}

/// One journal file.
#[derive(Debug)]
pub struct Journal<R: Region> {
    region: R,
    /// The arena under which the file was begun.
    pub arena: u64,
    pub holder: Holder,
}

pub(crate) fn directory(dir: &Path) -> PathBuf {
    dir.join("journal")
}

impl Journal<MapRegion> {
    /// Begins the `n`-th file of a process.
    pub fn create(dir: &Path, arena: u64, holder: Holder, n: u64) -> Result<Journal<MapRegion>> {
        let journals = directory(dir);
        let io = |source| Error::Io {
            path: journals.clone(),
            doing: "make",
            source,
        };
        match std::fs::create_dir(&journals) {
            Ok(()) => {
                use std::os::unix::fs::PermissionsExt;
                std::fs::set_permissions(&journals, std::fs::Permissions::from_mode(0o700))
                    .map_err(io)?;
            }
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(io(e)),
        }
        let path = journals.join(format!("{}-{}-{n}", holder.pid, holder.started));
        Journal::format(MapRegion::create(&path, FILE_WORDS)?, arena, holder)
    }

    /// Opens a file of any arena: its records are true whatever became of the cells.
    pub(crate) fn open(path: &Path) -> Result<Journal<MapRegion>> {
        Journal::adopt(MapRegion::open(path, Access::Write)?)
    }
}

impl<R: Region> Journal<R> {
    pub(crate) fn format(region: R, arena: u64, holder: Holder) -> Result<Journal<R>> {
        // Relaxed: read by nobody before the magic is there.
        region.store(field::ARENA, arena, Ordering::Relaxed)?;
        region.store(field::PID, u64::from(holder.pid), Ordering::Relaxed)?;
        region.store(field::STARTED, holder.started, Ordering::Relaxed)?;
        region.store(field::NEXT, HEADER_WORDS as u64, Ordering::Relaxed)?;
        region.store(field::READ, HEADER_WORDS as u64, Ordering::Relaxed)?;
        // Release: pairs with the Acquire in `adopt`.
        region.store(field::MAGIC, MAGIC, Ordering::Release)?;
        Ok(Journal {
            region,
            arena,
            holder,
        })
    }

    pub(crate) fn adopt(region: R) -> Result<Journal<R>> {
        // Acquire: pairs with the Release in `format`; the other words are constant.
        if region.load(field::MAGIC, Ordering::Acquire)? != MAGIC {
            return Err(Error::Corrupt(
                "a journal file does not begin with its magic",
            ));
        }
        let arena = region.load(field::ARENA, Ordering::Relaxed)?;
        let holder = Holder {
            pid: region.load(field::PID, Ordering::Relaxed)? as u32,
            started: region.load(field::STARTED, Ordering::Relaxed)?,
        };
        Ok(Journal {
            region,
            arena,
            holder,
        })
    }

    /// Writes a record.
    pub fn write(&self, draft: &Draft<'_>) -> std::result::Result<Written, Corrupt> {
        let texts = [draft.event, draft.customer, draft.feature];
        let words = FIXED_WORDS
            + texts.iter().map(|t| t.len().div_ceil(8)).sum::<usize>()
            + draft
                .quantities
                .iter()
                .map(|(name, _)| 2 + name.len().div_ceil(8))
                .sum::<usize>();
        if words > RECORD_WORDS_MAX || draft.quantities.len() > QUANTITIES_MAX {
            return Ok(Written::TooLong);
        }
        let Some(at) = self.claim(words)? else {
            return Ok(Written::Full);
        };
        let mut hash = Check::default();
        let mut to = at + 1;
        // Relaxed: published by the Release of the first word.
        let mut put = |word: u64| -> std::result::Result<(), Corrupt> {
            self.region.store(to, word, Ordering::Relaxed)?;
            hash.add(word);
            to += 1;
            Ok(())
        };
        put(draft.at_ms)?;
        put(draft.units)?;
        let lengths = texts
            .iter()
            .fold(0u64, |all, t| (all << 16) | t.len() as u64);
        put((lengths << 16) | draft.quantities.len() as u64)?;
        for text in texts {
            put_text(&mut put, text)?;
        }
        for (name, n) in draft.quantities {
            put(name.len() as u64)?;
            put(*n)?;
            put_text(&mut put, name)?;
        }
        let first = (MARK << 48) | ((words as u64) << 32) | hash.end();
        // Release: pairs with the Acquire of `read`; the record is complete.
        self.region.store(at, first, Ordering::Release)?;
        Ok(Written::Done)
    }

    fn claim(&self, words: usize) -> std::result::Result<Option<usize>, Corrupt> {
        let next = self.region.word(field::NEXT)?;
        // Relaxed (all): the words claimed are published one by one, by their records' first words.
        let mut at = next.load(Ordering::Relaxed);
        for _ in 0..ATTEMPTS_MAX {
            if at as usize + words > self.region.words() {
                return Ok(None);
            }
            match next.compare_exchange_weak(
                at,
                at + words as u64,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Ok(Some(at as usize)),
                Err(seen) => at = seen,
            }
        }
        Err(Corrupt)
    }

    /// The writer begins another file: no more records come into this one.
    pub fn seal(&self) -> std::result::Result<(), Corrupt> {
        // Release: all records of this thread come before it; other threads' claims are seen in `next`.
        self.region.store(field::SEALED, 1, Ordering::Release)
    }

    /// Reads complete records from where the owner stopped. Returns where it stops now, and whether all is read.
    /// `dead`: the writer is gone, so what is not filled in never will be.
    pub(crate) fn read(
        &self,
        limit: usize,
        dead: bool,
        out: &mut Vec<Record>,
    ) -> std::result::Result<(u64, bool), Corrupt> {
        // Acquire: pairs with `seal`.
        let sealed = self.region.load(field::SEALED, Ordering::Acquire)? != 0;
        // Relaxed: the owner's own word; and a bound, behind which nothing is read.
        let mut at = self.region.load(field::READ, Ordering::Relaxed)? as usize;
        let next =
            (self.region.load(field::NEXT, Ordering::Relaxed)? as usize).min(self.region.words());
        while at < next && out.len() < limit {
            match self.record(at)? {
                Some((record, words)) => {
                    out.push(Record {
                        position: at.to_string(),
                        ..record
                    });
                    at += words;
                }
                None if dead => at += 1,
                None => return Ok((at as u64, false)),
            }
        }
        Ok((at as u64, at >= next && (sealed || dead)))
    }

    /// The record that begins at a word, if one does.
    fn record(&self, at: usize) -> std::result::Result<Option<(Record, usize)>, Corrupt> {
        // Acquire: pairs with the Release in `write`.
        let first = self.region.load(at, Ordering::Acquire)?;
        let words = ((first >> 32) & 0xffff) as usize;
        if first >> 48 != MARK || !(FIXED_WORDS..=RECORD_WORDS_MAX).contains(&words) {
            return Ok(None);
        }
        let mut body = Vec::with_capacity(words - 1);
        for i in 1..words {
            // Relaxed: published by the first word.
            match self.region.load(at + i, Ordering::Relaxed) {
                Ok(word) => body.push(word),
                Err(Corrupt) => return Ok(None),
            }
        }
        let mut check = Check::default();
        body.iter().for_each(|w| check.add(*w));
        if check.end() != first & 0xffff_ffff {
            return Ok(None);
        }
        Ok(parse(&body).map(|record| (record, words)))
    }

    /// The owner has stored what it read up to there.
    pub(crate) fn forget(&self, read: u64) -> std::result::Result<(), Corrupt> {
        // Relaxed: the owner's own word.
        self.region.store(field::READ, read, Ordering::Relaxed)
    }
}

fn put_text(
    put: &mut impl FnMut(u64) -> std::result::Result<(), Corrupt>,
    text: &[u8],
) -> std::result::Result<(), Corrupt> {
    for chunk in text.chunks(8) {
        let mut word = [0u8; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        put(u64::from_le_bytes(word))?;
    }
    Ok(())
}

/// The 32-bit check over a record's words, one after the other.
#[derive(Default)]
struct Check(u64);

impl Check {
    fn add(&mut self, word: u64) {
        self.0 = hash_words(self.0, &[word]);
    }

    fn end(&self) -> u64 {
        self.0 >> 32
    }
}

/// A record from its words after the first. `None`: they contradict themselves.
fn parse(body: &[u64]) -> Option<Record> {
    let mut words = body.iter().copied();
    let (at_ms, units, lengths) = (words.next()?, words.next()?, words.next()?);
    let mut text = |len: usize| -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(len.next_multiple_of(8));
        for _ in 0..len.div_ceil(8) {
            bytes.extend_from_slice(&words.next()?.to_le_bytes());
        }
        bytes.truncate(len);
        Some(bytes)
    };
    let len = |shift: u32| ((lengths >> shift) & 0xffff) as usize;
    let (event, customer, feature) = (text(len(48))?, text(len(32))?, text(len(16))?);
    let count = len(0);
    if count > QUANTITIES_MAX {
        return None;
    }
    let mut quantities = Vec::with_capacity(count);
    for _ in 0..count {
        let (name_len, n) = (words.next()? as usize, words.next()?);
        if name_len > RECORD_WORDS_MAX * 8 {
            return None;
        }
        let mut name = Vec::with_capacity(name_len.next_multiple_of(8));
        for _ in 0..name_len.div_ceil(8) {
            name.extend_from_slice(&words.next()?.to_le_bytes());
        }
        name.truncate(name_len);
        quantities.push((name, n));
    }
    Some(Record {
        position: String::new(),
        at_ms,
        units,
        event,
        customer,
        feature,
        quantities,
    })
}

/// The process that a file's name says it belongs to.
fn maker(path: &Path) -> Option<Holder> {
    let name = path.file_name()?.to_str()?;
    let mut parts = name.split('-');
    Some(Holder {
        pid: parts.next()?.parse().ok()?,
        started: parts.next()?.parse().ok()?,
    })
}

/// Whether a file can be read and does not begin as a journal does.
fn is_without_magic(path: &Path) -> bool {
    use std::io::Read;
    let mut first = Vec::with_capacity(8);
    match std::fs::File::open(path).and_then(|f| f.take(8).read_to_end(&mut first)) {
        Ok(_) => first != MAGIC.to_le_bytes(),
        Err(_) => false,
    }
}

/// The owner's reading of all journals of a host.
#[derive(Debug, Default)]
pub(crate) struct Drain {
    /// Files read and not yet acknowledged: path, how far, whether nothing more comes.
    pending: Vec<(PathBuf, u64, bool)>,
}

impl Drain {
    /// Reads at most `limit` records. They come again until [`Drain::ack`].
    pub(crate) fn read(
        &mut self,
        dir: &Path,
        limit: usize,
        mut alive: impl FnMut(u32, u64) -> bool,
    ) -> Result<Vec<Record>> {
        self.pending.clear();
        let mut records = Vec::new();
        let journals = directory(dir);
        let listed = match std::fs::read_dir(&journals) {
            Ok(listed) => listed,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(records),
            Err(source) => {
                return Err(Error::Io {
                    path: journals,
                    doing: "list",
                    source,
                });
            }
        };
        let mut paths: Vec<PathBuf> = listed.filter_map(|f| f.ok().map(|f| f.path())).collect();
        // A process numbers its files; by length first, so that 10 comes after 9.
        paths.sort_by_key(|p| (p.as_os_str().len(), p.clone()));
        for path in paths {
            if records.len() >= limit {
                break;
            }
            let Ok(journal) = Journal::open(&path) else {
                // Being made at this moment; or its maker was killed before it had a magic, and it holds nothing; or the
                // system refuses it for now. Only the second is removed.
                if maker(&path).is_some_and(|m| !alive(m.pid, m.started)) && is_without_magic(&path)
                {
                    self.pending.push((path, 0, true));
                }
                continue;
            };
            let dead = !alive(journal.holder.pid, journal.holder.started);
            let before = records.len();
            let (read, done) = journal.read(limit, dead, &mut records)?;
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            for record in &mut records[before..] {
                record.position = format!("{:016x}/{file}/{}", journal.arena, record.position);
            }
            self.pending.push((path, read, done));
        }
        Ok(records)
    }

    /// What was read is stored.
    pub(crate) fn ack(&mut self) -> Result<()> {
        for (path, read, done) in self.pending.drain(..) {
            if done {
                let _ = std::fs::remove_file(&path);
            } else if let Ok(journal) = Journal::open(&path) {
                journal.forget(read)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::{HeapRegion, Words};

    const HOLDER: Holder = Holder { pid: 7, started: 9 };

    fn draft<'a>(event: &'a str, quantities: &'a [(&'a [u8], u64)]) -> Draft<'a> {
        Draft {
            at_ms: 5,
            units: 6,
            event: event.as_bytes(),
            customer: b"acme",
            feature: b"gpt-4o-mini",
            quantities,
        }
    }

    fn journal(words: usize) -> Journal<HeapRegion> {
        Journal::format(HeapRegion::new(words), 1, HOLDER).unwrap()
    }

    #[test]
    fn what_is_written_is_read_once() {
        let j = journal(4096);
        for i in 0..10 {
            let name = format!("event {i}");
            assert_eq!(
                j.write(&draft(&name, &[(b"input", i), (b"", 1)])),
                Ok(Written::Done)
            );
        }
        let mut records = Vec::new();
        let (read, done) = j.read(4, false, &mut records).unwrap();
        assert_eq!((records.len(), done), (4, false));
        assert_eq!(records[3].event, b"event 3");
        assert_eq!(records[3].quantities, [(b"input".to_vec(), 3), (vec![], 1)]);
        j.forget(read).unwrap();
        let mut rest = Vec::new();
        j.seal().unwrap();
        let (_, done) = j.read(100, false, &mut rest).unwrap();
        assert_eq!((rest.len(), done), (6, true));
        assert_eq!(rest[0].event, b"event 4");
    }

    #[test]
    fn a_full_file_says_so_and_keeps_what_it_has() {
        let j = journal(HEADER_WORDS + 40);
        let mut n = 0;
        while j.write(&draft("x", &[])) == Ok(Written::Done) {
            n += 1;
        }
        let mut records = Vec::new();
        j.read(100, false, &mut records).unwrap();
        assert!(n > 2);
        assert_eq!(records.len(), n);
    }

    #[test]
    fn a_claim_that_was_never_filled_in_is_stepped_over_once_its_writer_is_dead() {
        let j = journal(4096);
        j.write(&draft("before", &[])).unwrap();
        let hole = j.claim(12).unwrap().unwrap();
        // Half of it was filled in, and looks like the beginning of a record.
        j.region
            .store(hole + 3, MARK << 48 | 8 << 32, Ordering::Relaxed)
            .unwrap();
        j.write(&draft("after", &[])).unwrap();
        let mut records = Vec::new();
        assert!(!j.read(100, false, &mut records).unwrap().1);
        assert_eq!(records.len(), 1, "a living writer may still fill it in");
        records.clear();
        assert!(j.read(100, true, &mut records).unwrap().1);
        assert_eq!(
            records
                .iter()
                .map(|r| r.event.as_slice())
                .collect::<Vec<_>>(),
            [&b"before"[..], b"after"]
        );
    }

    #[test]
    fn a_record_that_is_too_long_is_refused() {
        let j = journal(1 << 14);
        let long = "x".repeat(RECORD_WORDS_MAX * 8);
        assert_eq!(j.write(&draft(&long, &[])), Ok(Written::TooLong));
    }

    #[test]
    fn flipped_bits_never_panic() {
        let j = journal(512);
        j.write(&draft("event", &[(b"input", 3)])).unwrap();
        let used = j.region.load(field::NEXT, Ordering::Relaxed).unwrap() as usize;
        for word in HEADER_WORDS..used {
            for bit in 0..64 {
                let old = j.region.load(word, Ordering::Relaxed).unwrap();
                j.region
                    .store(word, old ^ (1 << bit), Ordering::Relaxed)
                    .unwrap();
                let mut records = Vec::new();
                j.read(10, true, &mut records).unwrap();
                assert!(records.is_empty(), "a damaged record was believed");
                j.region.store(word, old, Ordering::Relaxed).unwrap();
            }
        }
    }

    #[test]
    fn only_the_files_of_the_dead_are_removed() {
        let dir = tempfile::TempDir::new().unwrap();
        let journals = directory(dir.path());
        let holder = Holder { pid: 7, started: 9 };
        let journal = Journal::create(dir.path(), 1, holder, 1).unwrap();
        journal.write(&draft("one", &[])).unwrap();
        // A file that its maker has just created, and one that is no journal at all.
        std::fs::write(journals.join("7-9-2"), b"").unwrap();
        std::fs::write(journals.join("notes"), b"mine").unwrap();
        let mut drain = Drain::default();
        let files = || std::fs::read_dir(&journals).unwrap().count();
        assert_eq!(drain.read(dir.path(), 10, |_, _| true).unwrap().len(), 1);
        drain.ack().unwrap();
        assert_eq!(files(), 3, "the writer lives and goes on");
        assert!(
            drain.read(dir.path(), 10, |_, _| false).unwrap().is_empty(),
            "it was acknowledged"
        );
        drain.ack().unwrap();
        assert_eq!(files(), 1, "what is not ours stays");
    }
}
