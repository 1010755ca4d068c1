//! Leases and what they come to: cells opened, raised and closed; reservations swept; the journal read.

use std::collections::HashSet;

use crate::cell::{self, Lease, TOTAL_MAX, Totals};
use crate::check::Cells;
use crate::control::Field;
use crate::error::{Corrupt, Error, Result};
use crate::hold::{self, LateReturn};
use crate::journal;
use crate::key::{Key, hash_bytes};
use crate::row::{self, Ref, RowKind};
use crate::segment::{CELL_BITS, CELLS, SEGMENTS_MAX};

use super::{NamedTotals, Owner};

impl Owner {
    /// The refs of a customer's open leases.
    pub(super) fn refs(&self, number: u32) -> Result<Vec<Ref>> {
        if self.cells.is_empty() {
            return Ok(Vec::new());
        }
        let mut refs = Vec::new();
        for (pool, p) in self.catalog.pools.iter().enumerate() {
            if let Some(cell) = self.cells.get(&(number, hash_bytes(p.name.as_bytes()))) {
                let lease = self.lease_number(*cell)?;
                refs.push(Ref {
                    pool,
                    cell: *cell,
                    lease,
                });
            }
        }
        Ok(refs)
    }

    /// A cell that no lease uses.
    pub(super) fn take_cell(&mut self) -> Result<u32> {
        if let Some(index) = self.free.pop() {
            return Ok(index);
        }
        let index = self.next_cell;
        let segment = index as usize >> CELL_BITS;
        if segment >= SEGMENTS_MAX {
            return Err(Error::Full("cells"));
        }
        if segment >= self.segment_count {
            self.segments.create(segment, CELLS, hold::HOLDS_MAX)?;
            self.segment_count = segment + 1;
            self.control
                .set(Field::Segments, self.segment_count as u64)?;
        }
        self.next_cell += 1;
        Ok(index)
    }

    /// Opens the cell of (customer, pool) for a lease and publishes it in the customer's row.
    pub fn open_cell(&mut self, pool: &str, lease: Lease) -> Result<()> {
        let id = self.pool_id(pool);
        let lease = Lease { pool: id, ..lease };
        if lease.granted > TOTAL_MAX / 2 {
            return Err(Error::Full(
                "one lease holds at most 2^47 units; lend the rest with the next one",
            ));
        }
        let key = (lease.number, id);
        let mut index = match self.cells.get(&key) {
            Some(index) => *index,
            None => self.take_cell()?,
        };
        let cell = self.segments.cell(index)?;
        if let Some(t) = cell.totals()?
            && t.lease == lease.lease
            && t.number == lease.number
            && t.pool == id
            && !t.closed
        {
            return self.publish_refs(lease.number); // Opened before; the row may not have been.
        }
        if cell.headroom()? < lease.granted {
            // The totals are nearly used up: this cell is never used again.
            index = self.take_cell()?;
        }
        let segment = self.segments.get(index as usize >> CELL_BITS)?;
        segment
            .cell(index as usize & (CELLS - 1))?
            .open(&segment.holds()?, &lease)?;
        self.cells.insert(key, index);
        self.publish_refs(lease.number)
    }

    /// Publishes a customer's row again, with the leases it has now.
    pub(super) fn publish_refs(&mut self, number: u32) -> Result<()> {
        let refs = self.refs(number)?;
        let mut rows = self
            .rows
            .take()
            .ok_or(Error::Corrupt("no rows are loaded"))?;
        let done = (|| {
            if !rows.has_room(0, row::ROW_WORDS_MAX, number)? {
                rows = self.grown(&rows, number, 0)?;
            }
            let row = rows
                .by_number(number)?
                .ok_or_else(|| Error::Invalid(format!("no customer has the number {number}")))?;
            let parts = row.parts(rows.region(), rows.pools())?;
            let key = Key::new(&parts.key).ok_or(Corrupt)?;
            let words = row::encode(
                RowKind::Customer,
                number,
                key,
                parts.record,
                &refs,
                rows.pools(),
                &parts.phases,
            )?;
            let place = rows.append(&words)?;
            rows.publish_number(number, place)?;
            rows.publish(key, place)
        })();
        self.rows = Some(rows);
        done
    }

    /// Raises what is lent to an absolute total. `false`: that lease is not open.
    pub fn raise_cell(
        &self,
        number: u32,
        pool: &str,
        lease: u32,
        granted: u64,
        full: bool,
    ) -> Result<bool> {
        match self.cells.get(&(number, self.pool_id(pool))) {
            None => Ok(false),
            Some(index) => {
                self.segments
                    .cell(*index)?
                    .raise(cell::identity(number, lease), granted, full)
            }
        }
    }

    /// Closes a lease. `None`: there is no cell for it.
    pub fn close_cell(&mut self, number: u32, pool: &str, lease: u32) -> Result<Option<Totals>> {
        let Some(index) = self.cells.get(&(number, self.pool_id(pool))) else {
            return Ok(None);
        };
        let cell = self.segments.cell(*index)?;
        match cell.totals()? {
            Some(t) if t.lease == lease => cell.close(),
            _ => Ok(None),
        }
    }

    /// One lease. `None`: there is no cell for it.
    pub fn totals(&self, number: u32, pool: &str, lease: u32) -> Result<Option<Totals>> {
        let Some(index) = self.cells.get(&(number, self.pool_id(pool))) else {
            return Ok(None);
        };
        Ok(self
            .segments
            .cell(*index)?
            .totals()?
            .filter(|t| t.lease == lease))
    }

    /// All leases, or those whose totals moved since the last such call.
    pub fn cells(&mut self, changed_only: bool) -> Result<Vec<NamedTotals>> {
        let mut all = Vec::new();
        let unused: HashSet<u32> = self.free.iter().copied().collect();
        for index in 0..self.next_cell {
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
            let pool = self
                .pool_names
                .get(&totals.pool)
                .cloned()
                .unwrap_or_else(|| format!("#{:016x}", totals.pool));
            all.push(NamedTotals { pool, totals });
        }
        Ok(all)
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

    /// Usage records of all processes of the host, at most `limit`; they come again until acknowledged.
    pub fn drain_journal(
        &mut self,
        limit: usize,
        alive: impl FnMut(u32, u64) -> bool,
    ) -> Result<Vec<journal::Record>> {
        self.drain.read(&self.dir, limit, alive)
    }

    /// The records drained last are stored.
    pub fn ack_journal(&mut self) -> Result<()> {
        self.drain.ack()
    }

    /// The late return is in the ledger.
    pub fn booked(&self, segment: usize, late: &LateReturn) -> Result<()> {
        Ok(self.segments.get(segment)?.holds()?.booked(late)?)
    }

    pub(super) fn close_all(&self) -> Result<()> {
        for index in 0..self.next_cell {
            let cell = self.segments.cell(index)?;
            if cell.totals()?.is_some() {
                cell.close()?;
            }
        }
        Ok(())
    }
}
