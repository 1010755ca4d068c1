//! Usage records with their event ids, written to this process's journal file.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use fastcheck_core::error::Result;
use fastcheck_core::journal::{Draft, Journal, Written};
use fastcheck_core::map::MapRegion;
use pyo3::prelude::*;
use pyo3::types::PyString;
use smallvec::SmallVec;

use crate::amounts::Amount;
use crate::checker::Checker;
use crate::errors::from_core;
use crate::process;
use crate::strings::utf8;

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

    fn write(&self, arena: u64, draft: &Draft<'_>) -> Result<()> {
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
                            Err(fastcheck_core::error::Error::Io { source, .. })
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

impl Checker {
    /// Records what was burned under an event id. The burn stands whatever becomes of the record.
    #[allow(clippy::too_many_arguments)] // One record's fields.
    pub fn record(
        &self,
        py: Python<'_>,
        event: &Bound<'_, PyString>,
        customer: &[u8],
        feature: &[u8],
        amount: &Amount<'_>,
        units: u64,
    ) -> PyResult<()> {
        use fastcheck_core::check::Clock;
        // SAFETY: the string is alive during the call.
        let event = unsafe { utf8(py, event.as_ptr()) }?;
        let mut quantities: SmallVec<[(&[u8], u64); 4]> = SmallVec::new();
        match amount {
            Amount::Plain(n) => quantities.push((b"", *n)),
            Amount::Named(named) => {
                for (name, n) in named {
                    // SAFETY: the names live as long as the amount.
                    quantities.push((unsafe { utf8(py, name.as_ptr()) }?, *n));
                }
            }
        }
        let arena = self.with_view(py, |view| Ok(view.arena))?;
        let at_ms = self.time.now_ms();
        let draft = Draft {
            at_ms,
            units,
            event,
            customer,
            feature,
            quantities: &quantities,
        };
        self.events
            .write(arena, &draft)
            .map_err(|e| from_core(py, e))
    }
}
