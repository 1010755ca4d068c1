//! Leases and what they come to: cells opened, raised and closed; reservations swept.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::arena::Segments;
use crate::catalog::Catalog;
use crate::cell::{self, Lease, TOTAL_MAX, Totals};
use crate::check::Cells as _;
use crate::control::Field;
use crate::error::{Error, Result};
use crate::hold::{self, LateReturn};
use crate::key::hash_bytes;
use crate::paths::cells_path;
use crate::row::Ref;
use crate::segment::{CELL_BITS, CELLS, SEGMENTS_MAX};

use super::directory::{Directory, first_words};

/// A lease's totals with the pool's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedTotals {
    pub pool: String,
    pub totals: Totals,
}

/// A catalog's pools, by the hashes of their names: cells know no others.
#[derive(Debug)]
pub(super) struct Pools {
    /// In the catalog's order.
    ids: Vec<u64>,
    names: HashMap<u64, String>,
}

impl Pools {
    pub(super) fn of(catalog: &Catalog) -> Result<Pools> {
        let names = catalog.pools.iter().map(|p| p.name.clone());
        let ids: Vec<u64> = catalog.pools.iter().map(|p| pool_id(&p.name)).collect();
        let names: HashMap<u64, String> = ids.iter().copied().zip(names).collect();
        if names.len() != ids.len() {
            return Err(Error::Invalid(
                "two pools of the catalog have names with the same hash; rename one".into(),
            ));
        }
        Ok(Pools { ids, names })
    }
}

fn pool_id(pool: &str) -> u64 {
    hash_bytes(pool.as_bytes())
}

/// The cells of an arena as its owner has them.
pub struct Cells {
    directory: Arc<Directory>,
    pools: Pools,
    segments: Segments,
    segment_count: usize,
    /// The cell of a customer's pool.
    of: HashMap<(u32, u64), u32>,
    next: u32,
    /// Cells whose lease is closed and whose customer or pool is gone.
    free: Vec<u32>,
    /// Totals as last reported, per cell: what `all(changed_only)` compares with.
    reported: HashMap<u32, (u64, u64, bool)>,
}

impl Cells {
    /// Of a directory whose cells were not looked for.
    pub(super) fn none(directory: Arc<Directory>, pools: Pools) -> Cells {
        Cells {
            segments: Segments::new(&directory.path, directory.arena),
            directory,
            pools,
            segment_count: 0,
            of: HashMap::new(),
            next: 0,
            free: Vec::new(),
            reported: HashMap::new(),
        }
    }

    /// Finds which cells are in use, and for whom. After an error there are none.
    pub(super) fn scan(&mut self) -> Result<()> {
        self.segment_count = self.directory.control.get(Field::Segments)? as usize;
        if self.segment_count > SEGMENTS_MAX {
            return Err(Error::Corrupt("more cells files than there can be"));
        }
        // A segment whose file was in place but not yet counted when its maker was killed.
        while self.segment_count < SEGMENTS_MAX
            && cells_path(&self.directory.path, self.segment_count).exists()
        {
            self.segment_count += 1;
        }
        self.count_segments()?;
        for index in 0..self.segment_count {
            // Here and not at the first cell, for the error that says why.
            self.segments.map(index)?;
        }
        // Cells without a lease, with one that has a lease after them: an opening that was cut short.
        let mut unused = Vec::new();
        for index in 0..(self.segment_count << CELL_BITS) as u32 {
            let Some(totals) = self.segments.cell(index)?.recover()? else {
                unused.push(index);
                continue;
            };
            let key = (totals.number, totals.pool);
            match self.of.get(&key).copied() {
                // Two cells of one pool: the lease moved to another cell. The later lease counts.
                Some(other) if self.lease_number(other)? > totals.lease => self.free.push(index),
                Some(other) => {
                    self.free.push(other);
                    self.of.insert(key, index);
                }
                None => drop(self.of.insert(key, index)),
            }
        }
        // What follows the last lease counts as never used.
        let end = (self.segment_count << CELL_BITS) as u32;
        let tail = unused.iter().rev().zip((0..end).rev());
        self.next = end - tail.take_while(|(a, b)| **a == *b).count() as u32;
        unused.retain(|index| *index < self.next);
        self.free.append(&mut unused);
        Ok(())
    }

    fn count_segments(&self) -> Result<()> {
        let count = self.segment_count as u64;
        Ok(self.directory.control.set(Field::Segments, count)?)
    }

    /// Whether the files are still those that are mapped here, by who they say they are.
    pub(super) fn are_in_place(&self) -> bool {
        (0..self.segment_count).all(|index| {
            let words = first_words(&cells_path(&self.directory.path, index));
            words.is_some_and(|w| w[1..3] == [self.directory.arena, index as u64])
        })
    }

    fn lease_number(&self, index: u32) -> Result<u32> {
        Ok(self.segments.cell(index)?.totals()?.map_or(0, |t| t.lease))
    }

    fn index(&self, number: u32, pool: &str) -> Option<u32> {
        self.of.get(&(number, pool_id(pool))).copied()
    }

    /// The refs of a customer's leases, for its row.
    pub(super) fn refs(&self, number: u32) -> Result<Vec<Ref>> {
        if self.of.is_empty() {
            return Ok(Vec::new());
        }
        let mut refs = Vec::new();
        for (pool, id) in self.pools.ids.iter().enumerate() {
            if let Some(cell) = self.of.get(&(number, *id)).copied() {
                let lease = self.lease_number(cell)?;
                refs.push(Ref { pool, cell, lease });
            }
        }
        Ok(refs)
    }

    /// Every lease that is open, with its cell.
    pub(super) fn open_leases(&self) -> Result<Vec<(u32, Totals)>> {
        let mut open = Vec::new();
        for cell in self.of.values() {
            if let Some(totals) = self.segments.cell(*cell)?.totals()?.filter(|t| !t.closed) {
                open.push((*cell, totals));
            }
        }
        Ok(open)
    }

    /// A cell that no lease uses.
    fn take_unused(&mut self) -> Result<u32> {
        if let Some(index) = self.free.pop() {
            return Ok(index);
        }
        let index = self.next;
        let segment = index as usize >> CELL_BITS;
        if segment >= SEGMENTS_MAX {
            return Err(Error::Full("cells"));
        }
        if segment >= self.segment_count {
            self.segments.create(segment, CELLS, hold::HOLDS_MAX)?;
            self.segment_count = segment + 1;
            self.count_segments()?;
        }
        self.next += 1;
        Ok(index)
    }

    /// Opens the cell of (customer, pool) for a lease, unless that is done. The customer's row does not say so yet.
    pub(super) fn open(&mut self, pool: &str, lease: Lease) -> Result<()> {
        let id = pool_id(pool);
        let lease = Lease { pool: id, ..lease };
        if lease.granted > TOTAL_MAX / 2 {
            return Err(Error::Full(
                "one lease holds at most 2^47 units; lend the rest with the next one",
            ));
        }
        let key = (lease.number, id);
        let mut index = match self.of.get(&key) {
            Some(index) => *index,
            None => self.take_unused()?,
        };
        let cell = self.segments.cell(index)?;
        if let Some(t) = cell.totals()?
            && t.lease == lease.lease
            && t.number == lease.number
            && t.pool == id
            && !t.closed
        {
            return Ok(());
        }
        if cell.headroom()? < lease.granted {
            // The totals are nearly used up: this cell is never used again.
            index = self.take_unused()?;
        }
        let segment = self.segments.get(index as usize >> CELL_BITS)?;
        segment
            .cell(index as usize & (CELLS - 1))?
            .open(&segment.holds()?, &lease)?;
        self.of.insert(key, index);
        Ok(())
    }

    /// Raises what is lent to an absolute total. `false`: that lease is not open.
    pub fn raise(
        &self,
        number: u32,
        pool: &str,
        lease: u32,
        granted: u64,
        full: bool,
    ) -> Result<bool> {
        match self.index(number, pool) {
            None => Ok(false),
            Some(index) => {
                let identity = cell::identity(number, lease);
                self.segments.cell(index)?.raise(identity, granted, full)
            }
        }
    }

    /// Closes a lease. `None`: there is no cell for it.
    pub fn close(&self, number: u32, pool: &str, lease: u32) -> Result<Option<Totals>> {
        let Some(index) = self.index(number, pool) else {
            return Ok(None);
        };
        let cell = self.segments.cell(index)?;
        match cell.totals()? {
            Some(t) if t.lease == lease => cell.close(),
            _ => Ok(None),
        }
    }

    pub(super) fn close_all(&self) -> Result<()> {
        for index in 0..self.next {
            let cell = self.segments.cell(index)?;
            if cell.totals()?.is_some() {
                cell.close()?;
            }
        }
        Ok(())
    }

    /// One lease. `None`: there is no cell for it.
    pub fn totals(&self, number: u32, pool: &str, lease: u32) -> Result<Option<Totals>> {
        let Some(index) = self.index(number, pool) else {
            return Ok(None);
        };
        let totals = self.segments.cell(index)?.totals()?;
        Ok(totals.filter(|t| t.lease == lease))
    }

    /// All leases, or those whose totals moved since the last such call.
    pub fn all(&mut self, changed_only: bool) -> Result<Vec<NamedTotals>> {
        let mut all = Vec::new();
        let unused: HashSet<u32> = self.free.iter().copied().collect();
        for index in 0..self.next {
            let Some(totals) = self.segments.cell(index)?.totals()? else {
                continue;
            };
            let now = (totals.spent, totals.returned, totals.closed);
            if changed_only {
                let key = (u64::from(totals.lease) << 1) ^ now.0;
                let stamp = (key, now.1, now.2);
                if self.reported.insert(index, stamp) == Some(stamp) {
                    continue;
                }
            }
            if unused.contains(&index) && changed_only {
                continue;
            }
            let pool = match self.pool_name(totals.pool) {
                Some(name) => name.to_owned(),
                None => format!("#{:016x}", totals.pool),
            };
            all.push(NamedTotals { pool, totals });
        }
        Ok(all)
    }

    /// The name of the pool with that id, if the catalog has it.
    pub fn pool_name(&self, id: u64) -> Option<&str> {
        self.pools.names.get(&id).map(String::as_str)
    }

    /// Ends reservations that expired or whose process died. Returns how many, and what is to be booked by the caller.
    pub fn sweep(
        &self,
        now_ms: u64,
        mut alive: impl FnMut(u32, u64) -> bool,
    ) -> Result<(usize, Vec<(usize, LateReturn)>)> {
        let (mut ended, mut all) = (0, Vec::new());
        for segment in 0..self.segment_count {
            let mut late = Vec::new();
            ended += self
                .segments
                .get(segment)?
                .holds()?
                .sweep(now_ms, &mut alive, &mut late)?;
            all.extend(late.into_iter().map(|l| (segment, l)));
        }
        Ok((ended, all))
    }

    /// The late return is in the ledger.
    pub fn booked(&self, segment: usize, late: &LateReturn) -> Result<()> {
        Ok(self.segments.get(segment)?.holds()?.booked(late)?)
    }
}
