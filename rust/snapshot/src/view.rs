//! One generation of a checkpoint as it is at one moment: base and log, merged while they are read.

use fastcheck_core::{Record, Result};

use crate::disk::damaged;
use crate::header::Mark;
use crate::log::LogPart;
use crate::snapshot::Snapshot;

/// What all customers are, as of `at`.
#[derive(Clone, Debug)]
pub struct View {
    pub base: Snapshot,
    /// None: nothing changed since.
    pub log: Option<LogPart>,
    pub at: Mark,
}

impl View {
    /// A snapshot alone.
    pub fn of(base: Snapshot) -> View {
        let at = base.header.at;
        View {
            base,
            log: None,
            at,
        }
    }

    /// Hands on the newest record of every customer who is there, the base's first. It keeps one number for each customer in
    /// the log, and reads base and log as streams. Checks all of it: an error may come after the last record, so nothing of
    /// what was handed on counts before this returns.
    pub fn each(&self, each: &mut dyn FnMut(Record<'_>) -> Result<()>) -> Result<()> {
        let Some(log) = self.log.as_ref().filter(|log| !log.is_empty()) else {
            return self.base.each(each);
        };
        let newest = log.newest()?;
        let mut sum = 0u64;
        self.base.each(&mut |record| {
            if newest.contains_key(&record.customer.number) {
                return Ok(());
            }
            sum = sum.wrapping_add(record.hash);
            each(record)
        })?;
        log.each(&mut |position, record| {
            let last = newest.get(&record.customer.number) == Some(&position);
            if record.customer.deleted || !last {
                return Ok(());
            }
            sum = sum.wrapping_add(record.hash);
            each(record)
        })?;
        if sum != self.at.digest {
            let stated = self.at.digest;
            return Err(damaged(
                self.base.path(),
                format!(
                    "with its log its records sum up to {sum:016x}, and the log says {stated:016x}"
                ),
            ));
        }
        Ok(())
    }
}
