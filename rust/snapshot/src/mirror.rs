//! The log of the generation that a compaction is making: what is appended meanwhile goes there as well.

use fastcheck_core::{Error, Result};

use crate::disk;
use crate::generations::nothing;
use crate::log::{Kind, LogFile};

/// The log of a generation in the making. Dropped before it is in force, it leaves nothing behind.
pub struct Mirror {
    number: u64,
    log: Option<LogFile>,
    /// Why it does not have every change. The old log has.
    failure: Option<Error>,
}

impl Mirror {
    /// For the generation of that number, whose log is empty.
    pub fn new(number: u64, log: LogFile) -> Mirror {
        Mirror {
            number,
            log: Some(log),
            failure: None,
        }
    }

    /// The number of the generation.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Appends what the log in force has got already.
    pub fn append(&mut self, change: &[(Kind, &[u8])]) {
        if let (Some(log), None) = (&mut self.log, &self.failure) {
            self.failure = log.append(change).err();
        }
    }

    /// What it has is not what the log in force has any more.
    pub fn spoil(&mut self) {
        self.failure = Some(Error::Conflict(
            "a change was retracted during the compaction: compact again".into(),
        ));
    }

    /// The log, on disk, if it has every change.
    pub fn into_log(mut self) -> Result<LogFile> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        let log = self.log.as_ref().ok_or_else(nothing)?;
        log.sync()?;
        self.log.take().ok_or_else(nothing)
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        if let Some(log) = &self.log {
            let _ = disk::remove(log.path()); // A log without a base is removed at the next pruning.
        }
    }
}
