//! Usage records with their event ids, written to this process's journal file.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use fastcheck_core::{Error, Journal, MapRegion, Result, UsageDraft, Written};

use crate::process;

/// The journal file that this process writes at the moment.
struct Open {
    number: u64,
    journal: Journal<MapRegion>,
}

pub struct Events {
    dir: PathBuf,
    /// With the global lock nobody ever waits here: it is not released while this is held. Without one, threads that record
    /// events take turns for the time of a copy; calls without an event never come here.
    open: Mutex<Option<Open>>,
    pub dropped: AtomicU64,
}

impl Events {
    pub fn new(dir: PathBuf) -> Events {
        Events {
            dir,
            open: Mutex::new(None),
            dropped: AtomicU64::new(0),
        }
    }

    /// Writes a record; one that is too long for any file is counted and dropped.
    pub fn write(&self, arena: u64, draft: &UsageDraft<'_>) -> Result<()> {
        let holder = process::holder();
        let mut open = self.open.lock().unwrap_or_else(|e| e.into_inner());
        // A fork inherits the parent's file.
        let mut number = 0;
        if let Some(current) = open.take()
            && current.journal.holder == holder
            && current.journal.arena == arena
        {
            number = current.number;
            *open = Some(current);
        }
        for _ in 0..2 {
            let current = match &mut *open {
                Some(current) => current,
                none => {
                    // Numbers are a process's own; a file of that name is left from an Entitlements closed before.
                    let journal = loop {
                        number += 1;
                        match Journal::create(&self.dir, arena, holder, number) {
                            Ok(journal) => break journal,
                            Err(Error::Io { source, .. })
                                if source.kind() == std::io::ErrorKind::AlreadyExists
                                    && number < 1 << 20 => {}
                            Err(e) => return Err(e),
                        }
                    };
                    none.insert(Open { number, journal })
                }
            };
            match current.journal.write(draft)? {
                Written::Done => return Ok(()),
                Written::TooLong => break,
                Written::Full => {
                    current.journal.seal()?;
                    number = current.number;
                    *open = None;
                }
            }
        }
        // Relaxed: a counter.
        self.dropped.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// No more records come from here; the owner may remove the file once it is read.
    pub fn seal(&self) {
        if let Some(current) = self.open.lock().unwrap_or_else(|e| e.into_inner()).take()
            && current.journal.holder == process::holder()
        {
            let _ = current.journal.seal();
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.seal();
    }
}
