//! Base and log merged into a new generation, while appends go on.
//!
//! The writer: makes the new generation's log, empty; merges what was there at that moment into the new base; gives the base
//! its name. Appends meanwhile: go to the old log, and then to the new one. So both generations have every change up
//! to the moment the new one counts, and a kill at any point leaves the old one as it was.

use fastcheck_core::Result;

use crate::checkpoint::{Checkpoint, Current, State};
use crate::disk;
use crate::generations::{base_path, log_path, nothing};
use crate::log::{LogFile, Whose};
use crate::mirror::Mirror;
use crate::snapshot::Snapshot;
use crate::write::SnapshotWriter;

impl Checkpoint {
    /// Merges base and log into a new base with an empty log. Memory: one number for each customer in the log. Where a
    /// snapshot is completed meanwhile, that one stays.
    pub fn compact(&self) -> Result<()> {
        let _turn = self.compacting.lock().unwrap_or_else(|e| e.into_inner());
        let (number, view, catalog) = {
            let mut state = self.state();
            let number = self.next_number(&mut state)?;
            let current = state.current.as_ref().ok_or_else(nothing)?;
            let (view, catalog) = (current.view(), current.catalog.clone());
            let whose = Whose {
                number,
                base: view.at,
            };
            let log = LogFile::create(&log_path(&self.dir, number), whose)?;
            state.mirror = Some(Mirror::new(number, log));
            (number, view, catalog)
        };
        let path = base_path(&self.dir, number);
        let merged = SnapshotWriter::create(&path, view.at, &catalog).and_then(|mut writer| {
            view.each(&mut |record| writer.push(&record))?;
            writer.seal()?;
            Ok(writer)
        });
        let mut state = self.state();
        let Some(mirror) = take_mirror(&mut state, number) else {
            return Ok(());
        };
        let writer = merged?;
        let log = mirror.into_log()?;
        let path_of_log = log.path().to_path_buf();
        let placed = writer.place().and_then(|()| Snapshot::open(&path));
        let base = placed.inspect_err(|_| {
            let _ = disk::remove(&path_of_log); // The first error is the one to tell.
        })?;
        let Some(current) = &state.current else {
            return Ok(()); // There is one: nothing takes it away while the mirror stands.
        };
        let (at, catalog) = (current.at, current.catalog.clone());
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
        Ok(())
    }
}

/// Takes the mirror, if it is still that of this compaction.
fn take_mirror(state: &mut State, number: u64) -> Option<Mirror> {
    match &state.mirror {
        Some(mirror) if mirror.number() == number => state.mirror.take(),
        _ => None,
    }
}
