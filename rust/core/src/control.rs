//! The `control` file: who the arena is, which generation is current, how far it is.
//!
//! One page. The owner writes, everybody reads. `READY` is stored last when the file is made, and the file gets its name
//! after that, so whoever opens it finds it whole.

use std::path::Path;

use crate::error::{Corrupt, Error, Result};
use crate::region::Region;
use crate::sync::Ordering;

const MAGIC: u64 = u64::from_le_bytes(*b"FCCTRL01");
const READY: u64 = u64::from_le_bytes(*b"READY\0\0\0");
/// Words of the file: one page.
pub const WORDS: usize = 512;
/// Changes when the meaning of a word below changes.
pub(crate) const LAYOUT: u64 = 1;

/// An epoch changes when a ledger is restored: so often between two loads means a damaged page.
const AT_ATTEMPTS_MAX: u32 = 100;

/// The words. Each says who writes it and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Field {
    Magic = 0,
    Layout = 1,
    /// Random id of the arena; every other file repeats it. Written once.
    Arena = 2,
    /// Hash of the boot id the arena was made or last adopted under. Written by the owner at adoption.
    Boot = 3,
    /// Number of the current rows file. Written by the owner, with Release, after that file is complete.
    Generation = 4,
    /// The ledger's epoch and sequence number up to which rows are current. Written after the rows.
    Epoch = 5,
    Seq = 6,
    /// Order-free sum of the hashes of all records in force.
    Digest = 7,
    /// As of when what this host has was last known to be current, ms since epoch: the owner's last sign of life, and with a
    /// hub the instant that the hub told.
    HeartbeatAtMs = 8,
    OwnerPid = 9,
    /// How many cells files there are. Written with Release after a new one has its name.
    Segments = 10,
    /// How many customers have rows.
    Customers = 11,
    /// When this host last heard that what it has is current, ms since boot, sleep included; zero: it never did. Written
    /// after `HeartbeatAtMs`.
    FreshSteadyMs = 12,
    /// Whether there is a hub and it is heard, as [`Link`] counts.
    Link = 13,
    Ready = 15,
}

/// What [`Field::Link`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Link {
    /// The owner has the ledger beside it.
    NoHub = 0,
    Connected = 1,
    NotConnected = 2,
}

/// The control words over some region.
#[derive(Debug)]
pub struct Control<R: Region> {
    region: R,
}

impl<R: Region> Control<R> {
    /// Fills a fresh, zeroed page.
    pub fn format(region: R, arena: u64, boot: u64) -> Result<Control<R>> {
        let c = Control { region };
        c.set(Field::Magic, MAGIC)?;
        c.set(Field::Layout, LAYOUT)?;
        c.set(Field::Arena, arena)?;
        c.set(Field::Boot, boot)?;
        c.set(Field::Ready, READY)?;
        Ok(c)
    }

    /// Checks the page. `path` is for the message when another version of fastcheck wrote it.
    pub(crate) fn open(region: R, path: &Path) -> Result<Control<R>> {
        if region.words() < WORDS {
            return Err(Error::Corrupt("the control file is too short"));
        }
        let c = Control { region };
        if c.get(Field::Magic)? != MAGIC || c.get(Field::Ready)? != READY {
            return Err(Error::Corrupt(
                "the control file does not begin with its magic",
            ));
        }
        let found = c.get(Field::Layout)?;
        if found != LAYOUT {
            return Err(Error::Layout {
                path: path.to_path_buf(),
                found,
                expected: LAYOUT,
            });
        }
        Ok(c)
    }

    pub(crate) fn region(&self) -> &R {
        &self.region
    }

    pub fn get(&self, field: Field) -> std::result::Result<u64, Corrupt> {
        // Acquire: pairs with the owner's Release in `set`; what the word announces is complete.
        self.region.load(field as usize, Ordering::Acquire)
    }

    /// (epoch, seq) of the last change that the rows show.
    pub fn at(&self) -> std::result::Result<(u64, u64), Corrupt> {
        let mut epoch = self.get(Field::Epoch)?;
        // The owner stores the epoch before the number: a pair that stood in one epoch is of that epoch.
        for _ in 0..AT_ATTEMPTS_MAX {
            let seq = self.get(Field::Seq)?;
            let after = self.get(Field::Epoch)?;
            if after == epoch {
                return Ok((epoch, seq));
            }
            epoch = after;
        }
        Err(Corrupt)
    }

    pub fn set(&self, field: Field, value: u64) -> std::result::Result<(), Corrupt> {
        // Release: pairs with `get`.
        self.region.store(field as usize, value, Ordering::Release)
    }
}
