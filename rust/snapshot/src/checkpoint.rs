//! A checkpoint: a host's durable copy of what it knows. One process uses a directory at a time; threads may share a
//! `Checkpoint`.
//!
//! What is in force is a generation: a base, and the log of what changed since. A new base counts from the moment it has its
//! name, complete and on disk. The generation before stays, for the day the newest cannot be read.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use fastcheck_core::{Error, Record, Result};

use crate::bounds::{CHANGE_BYTES_MAX, RECORDS_BLOCK_BYTES};
use crate::catalog_text::CatalogText;
use crate::disk::{self, failed};
use crate::generations::{self, base_path, log_path, nothing, whose};
use crate::header::Mark;
use crate::log::{Kind, LogFile, LogPart, commit_payload};
use crate::mirror::Mirror;
use crate::records::each_in;
use crate::snapshot::Snapshot;
use crate::transfer::Transfer;
use crate::view::View;

pub struct Checkpoint {
    pub(crate) dir: PathBuf,
    state: Mutex<State>,
    /// Held through a compaction: there is one at a time.
    pub(crate) compacting: Mutex<()>,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) current: Option<Current>,
    /// Number of the generation before.
    pub(crate) previous: Option<u64>,
    /// Number of the next generation.
    pub(crate) next: u64,
    transfer: Option<Transfer>,
    /// A catalog, packed, that counts with the next commit.
    pending: Option<(CatalogText, Vec<u8>)>,
    /// The log of the generation that a compaction is making.
    pub(crate) mirror: Option<Mirror>,
}

/// The generation in force.
pub(crate) struct Current {
    pub(crate) number: u64,
    pub(crate) base: Snapshot,
    /// None: it cannot be written yet. The next append tries again.
    pub(crate) log: Option<LogFile>,
    /// What was found of the log, for as long as it cannot be written.
    pub(crate) found: Option<LogPart>,
    pub(crate) at: Mark,
    pub(crate) catalog: CatalogText,
    /// Before the last append, if it can be retracted: the log's end, what it was at, the catalog if that changed.
    pub(crate) before: Option<(u64, Mark, Option<CatalogText>)>,
}

impl Current {
    pub(crate) fn view(&self) -> View {
        View {
            base: self.base.clone(),
            log: match &self.log {
                Some(log) => Some(log.part()),
                None => self.found.clone(),
            },
            at: self.at,
        }
    }
}

impl Checkpoint {
    /// Uses the directory, and makes it if it is not there. Reads nothing: `recover` does.
    pub fn open(dir: &Path) -> Result<Checkpoint> {
        disk::create_directory(dir)?;
        Ok(Checkpoint {
            dir: dir.to_path_buf(),
            state: Mutex::default(),
            compacting: Mutex::default(),
        })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // What a change sets, it sets after all that can fail: a thread that panicked left the state before or after it.
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Finds the newest generation that is whole, reads and checks all of it, and goes on from there. Returns what it is at
    /// and its catalog; None where there is nothing. Damaged ones are set aside.
    pub fn recover(&self) -> Result<Option<(Mark, CatalogText)>> {
        let mut state = self.state();
        *state = State::default();
        generations::remove_unfinished(&self.dir);
        let numbers = generations::list(&self.dir)?;
        state.next = numbers.first().map_or(1, |newest| newest + 1);
        for (index, number) in numbers.iter().enumerate() {
            match self.read(*number) {
                Ok(current) => {
                    let found = (current.at, current.catalog.clone());
                    state.current = Some(current);
                    state.previous = numbers.get(index + 1).copied();
                    let keep: Vec<u64> = [Some(*number), state.previous]
                        .into_iter()
                        .flatten()
                        .collect();
                    // Newer ones that could not even be set aside stay out of the way of what is kept.
                    let newer = numbers[..index].iter().copied();
                    generations::prune(&self.dir, &newer.chain(keep).collect::<Vec<_>>());
                    return Ok(Some(found));
                }
                // What the system refuses for now may be readable later. A medium that cannot be read will not.
                Err(e @ Error::Io { .. }) if !is_medium(&e) => return Err(e),
                Err(_) => generations::set_aside(&self.dir, *number),
            }
        }
        Ok(None)
    }

    /// Reads a generation, all of it.
    fn read(&self, number: u64) -> Result<Current> {
        let base = Snapshot::open(&base_path(&self.dir, number))?;
        let path = log_path(&self.dir, number);
        let whose = whose(number, &base);
        let scanned = LogPart::scan(&path, whose)?;
        let mut view = View::of(base);
        let mut catalog = None;
        if let Some(scanned) = scanned {
            view.at = scanned.at;
            view.log = Some(scanned.part);
            catalog = scanned.catalog;
        }
        view.each(&mut |_| Ok(()))?;
        let catalog = match catalog {
            Some(catalog) => catalog,
            None => view.base.catalog()?,
        };
        // A log that cannot be opened for writing is as good as none for now: what it says is read, and nothing is appended.
        let log = match &view.log {
            Some(part) => Some(LogFile::open(&path, whose, part.end())),
            None => Some(LogFile::create(&path, whose)),
        };
        Ok(Current {
            number,
            base: view.base,
            log: log.and_then(Result::ok),
            found: view.log,
            at: view.at,
            catalog,
            before: None,
        })
    }

    /// Begins to receive a snapshot of so many bytes. One that was under way is dropped.
    pub fn begin(&self, file_bytes: u64) -> Result<()> {
        let mut state = self.state();
        state.transfer = None;
        let path = self.dir.join("received.new");
        state.transfer = Some(Transfer::begin(&path, file_bytes)?);
        Ok(())
    }

    /// Takes the next piece. After an error the transfer is dropped.
    pub fn piece(&self, offset: u64, data: &[u8]) -> Result<()> {
        let mut state = self.state();
        let taken = transfer(&mut state.transfer)?.piece(offset, data);
        if taken.is_err() {
            state.transfer = None;
        }
        taken
    }

    /// Drops what is not complete: the snapshot that is being received, a catalog that no change followed.
    pub fn abandon(&self) {
        let mut state = self.state();
        state.transfer = None;
        state.pending = None;
    }

    /// The snapshot that is received, but not completed.
    pub fn received(&self) -> Result<Snapshot> {
        transfer(&mut self.state().transfer)?.snapshot()
    }

    /// Hands on every customer of the snapshot that is received; what was handed on counts once this returns.
    pub fn each_received(&self, each: &mut dyn FnMut(Record<'_>) -> Result<()>) -> Result<()> {
        let snapshot = self.received()?;
        snapshot.each(each)?;
        if let Some(transfer) = &mut self.state().transfer {
            transfer.sound = true;
        }
        Ok(())
    }

    /// Makes the snapshot that is received the newest generation, with an empty log. It is refused, and dropped, where it is
    /// not of `at` or not sound; what was in force before then stays.
    pub fn complete(&self, at: Mark) -> Result<()> {
        let mut state = self.state();
        let sound = transfer(&mut state.transfer)?.sound;
        let base = transfer(&mut state.transfer)?.snapshot()?;
        let Some(transfer) = state.transfer.take() else {
            return Ok(()); // There is one: it was asked above.
        };
        let said = base.header.at;
        if said != at {
            return Err(disk::damaged(
                base.path(),
                format!(
                    "it says epoch {}, change {}, digest {:016x}, its commit says epoch {}, change {}, digest {:016x}",
                    said.epoch, said.seq, said.digest, at.epoch, at.seq, at.digest
                ),
            ));
        }
        if !sound {
            base.each(&mut |_| Ok(()))?;
        }
        let catalog = base.catalog()?;
        transfer.sync()?;
        let number = self.next_number(&mut state)?;
        let log = LogFile::create(&log_path(&self.dir, number), whose(number, &base))?;
        let path = base_path(&self.dir, number);
        let placed = transfer.place(&path).and_then(|()| Snapshot::open(&path));
        let base = placed.inspect_err(|_| {
            let _ = disk::remove(log.path()); // Of a base that is not there; the first error is the one to tell.
        })?;
        self.install(
            &mut state,
            Current {
                number,
                base,
                log: Some(log),
                found: None,
                at,
                catalog,
                before: None,
            },
        );
        state.pending = None;
        Ok(())
    }

    /// A number that no generation has, whether or not anything was recovered before.
    pub(crate) fn next_number(&self, state: &mut State) -> Result<u64> {
        let newest = generations::list(&self.dir)?.first().copied().unwrap_or(0);
        let number = state.next.max(newest + 1);
        state.next = number + 1;
        Ok(number)
    }

    /// Puts a new generation in force and keeps the one before.
    pub(crate) fn install(&self, state: &mut State, current: Current) {
        let number = current.number;
        state.previous = state.current.replace(current).map(|old| old.number);
        state.mirror = None;
        let keep: Vec<u64> = [Some(number), state.previous]
            .into_iter()
            .flatten()
            .collect();
        generations::prune(&self.dir, &keep);
    }

    /// Appends a change: it counts once this returns, and survives a kill of the process. It must follow the last one; one
    /// that the log has already is not written again.
    pub fn append(&self, records: &[u8], at: Mark) -> Result<()> {
        let blocks = in_blocks(records)?;
        let mut state = self.state();
        let State {
            current,
            pending,
            mirror,
            ..
        } = &mut *state;
        let current = current.as_mut().ok_or_else(nothing)?;
        if current.at.epoch == at.epoch && at.seq < current.at.seq || current.at == at {
            *pending = None; // It came with this change: what is in force is this one or a newer one.
            return Ok(());
        }
        if current.at.epoch != at.epoch || current.at.seq.checked_add(1) != Some(at.seq) {
            return Err(Error::Conflict(format!(
                "change {} of epoch {} does not follow the checkpoint's, {} of epoch {}: receive a snapshot",
                at.seq, at.epoch, current.at.seq, current.at.epoch
            )));
        }
        let commit = commit_payload(at);
        let mut change: Vec<(Kind, &[u8])> =
            blocks.into_iter().map(|b| (Kind::Records, b)).collect();
        if let Some((_, packed)) = pending {
            change.push((Kind::Catalog, packed));
        }
        change.push((Kind::Commit, &commit));
        let log = match &mut current.log {
            Some(log) => log,
            none => none.insert(self.fresh_log(current.number, &current.base, current.at)?),
        };
        let end = log.bytes();
        log.append(&change)?;
        if let Some(mirror) = mirror {
            mirror.append(&change);
        }
        let former = pending
            .take()
            .map(|(catalog, _)| std::mem::replace(&mut current.catalog, catalog));
        current.before = Some((end, current.at, former));
        current.at = at;
        Ok(())
    }

    /// Takes the last change out of the log again, once: the rows refuse it, so it must not be there at the next start. A
    /// compaction that is under way ends without effect.
    pub fn retract(&self) -> Result<()> {
        let mut state = self.state();
        let State {
            current, mirror, ..
        } = &mut *state;
        let current = current.as_mut().ok_or_else(nothing)?;
        let (Some(log), Some((end, at, former))) = (&mut current.log, &mut current.before) else {
            return Err(Error::Conflict(
                "no change was appended since the last one was retracted, or since the checkpoint's base is in force".into(),
            ));
        };
        log.cut(*end)?;
        current.at = *at;
        if let Some(catalog) = former.take() {
            current.catalog = catalog;
        }
        current.before = None;
        if let Some(mirror) = mirror {
            mirror.spoil();
        }
        Ok(())
    }

    /// The log of a generation that has none, or one that could not be opened before.
    fn fresh_log(&self, number: u64, base: &Snapshot, at: Mark) -> Result<LogFile> {
        let path = log_path(&self.dir, number);
        let whose = whose(number, base);
        match LogPart::scan(&path, whose)? {
            Some(found) if found.at == at => LogFile::open(&path, whose, found.part.end()),
            None if base.header.at == at => LogFile::create(&path, whose),
            _ => Err(disk::damaged(
                &path,
                "it is not as it was when it was recovered",
            )),
        }
    }

    /// A catalog that is in force from the next `append` on.
    pub fn append_catalog(&self, catalog: CatalogText) -> Result<()> {
        let packed = catalog.encode()?;
        self.state().pending = Some((catalog, packed));
        Ok(())
    }

    /// Makes what was appended durable against a loss of power. Appends go on meanwhile.
    pub fn sync(&self) -> Result<()> {
        let part = {
            let state = self.state();
            let log = state.current.as_ref().and_then(|c| c.log.as_ref());
            log.map(|log| (log.file(), log.path().to_path_buf()))
        };
        match part {
            None => Ok(()),
            Some((file, path)) => file.sync_data().map_err(failed(&path, "write to disk")),
        }
    }

    /// What is in force, as of now.
    pub fn view(&self) -> Result<View> {
        Ok(self.state().current.as_ref().ok_or_else(nothing)?.view())
    }

    /// Bytes of the log, and of the base; zero where there is none.
    pub fn sizes(&self) -> (u64, u64) {
        let state = self.state();
        state.current.as_ref().map_or((0, 0), |c| {
            let log = c.log.as_ref().map_or(0, LogFile::bytes);
            (log, c.base.file_bytes)
        })
    }
}

fn transfer(transfer: &mut Option<Transfer>) -> Result<&mut Transfer> {
    transfer
        .as_mut()
        .ok_or_else(|| Error::Conflict("no snapshot is being received: begin one".into()))
}

/// Whether the medium itself cannot be read, as opposed to a refusal that may pass.
fn is_medium(error: &Error) -> bool {
    const EIO: i32 = 5;
    matches!(error, Error::Io { source, .. } if source.raw_os_error() == Some(EIO))
}

/// Records cut into blocks, between records. Each is decoded, so that no log holds what cannot be read again.
fn in_blocks(records: &[u8]) -> Result<Vec<&[u8]>> {
    if records.len() > CHANGE_BYTES_MAX {
        return Err(Error::Invalid(format!(
            "{} bytes of records in one change, at most {CHANGE_BYTES_MAX} are taken",
            records.len()
        )));
    }
    let mut blocks = Vec::new();
    let (mut start, mut end) = (0, 0);
    each_in(records, &mut |record| {
        let bytes = record.bytes.len();
        if end > start && end - start + bytes > RECORDS_BLOCK_BYTES {
            blocks.push(&records[start..end]);
            start = end;
        }
        end += bytes;
        Ok(())
    })?;
    if end > start {
        blocks.push(&records[start..end]);
    }
    Ok(blocks)
}
