//! Some of many customers: rows for those that were asked for, at most so many, the least recently used going first.
//!
//! The ledger's changes all come by; what is about customers without rows is read for its keys and dropped.
//! `docs/format/touched.md` says how use is noted.

use std::collections::HashSet;

use crate::customer::Record;
use crate::error::{Corrupt, Error, Result};
use crate::map::MapRegion;
use crate::touched::Touched;

use super::cells::Cells;
use super::directory::Directory;
use super::rows::Rows;

/// Customers that may be held at most: beyond that the bits of who is in use alone take 256 MiB, and a host had better
/// follow everybody.
pub(super) const CAPACITY_MAX: u32 = 1 << 27;

/// What an owner that holds some of many has beside its rows.
pub(super) struct Demand {
    capacity: u32,
    pub(super) touched: Touched<MapRegion>,
}

/// What a change was about, whether or not it is held here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Concerned {
    pub numbers: Vec<u32>,
    /// Ids and aliases.
    pub keys: Vec<String>,
}

/// Refuses a capacity out of bounds.
pub(super) fn checked(capacity: u32) -> Result<u32> {
    if (1..=CAPACITY_MAX).contains(&capacity) {
        return Ok(capacity);
    }
    Err(Error::Invalid(format!(
        "on_demand is how many customers to hold, 1 to {CAPACITY_MAX}, not {capacity}"
    )))
}

impl Demand {
    pub(super) fn new(directory: &Directory, capacity: u32) -> Result<Demand> {
        let touched = Touched::make(&directory.path, directory.arena, capacity)?;
        Ok(Demand { capacity, touched })
    }

    /// Applies of a change what is about customers that are held; then the rows show it, `at` being its (epoch, seq). All or
    /// nothing. Returns all customers that the change was about.
    pub(super) fn put_held(
        &self,
        rows: &mut Rows,
        cells: &Cells,
        records: &[u8],
        at: (u64, u64),
        now_ms: i64,
    ) -> Result<Concerned> {
        let all = rows.read(records, |number| rows.holds(number))?;
        let mut sum = rows.sum();
        let mut concerned = Concerned::default();
        for record in &all {
            let customer = &record.customer;
            concerned.numbers.push(customer.number);
            concerned.keys.push(customer.id.to_owned());
            let aliases = customer.aliases.iter().map(|alias| (*alias).to_owned());
            concerned.keys.extend(aliases);
            if rows.holds(customer.number)? {
                rows.upsert(cells, record, now_ms, &mut sum)?;
            } else if !customer.deleted {
                rows.hand_over_keys(customer)?;
            }
        }
        rows.announce(sum, at)?;
        Ok(concerned)
    }

    /// Takes customers in that were asked for, making room for them first where there is none. Changes no seq. All or
    /// nothing. Returns how many records there were.
    pub(super) fn put_found(
        &self,
        rows: &mut Rows,
        cells: &Cells,
        records: &[u8],
        now_ms: i64,
    ) -> Result<u64> {
        let capacity = u64::from(self.capacity);
        let all = rows.read(records, |_| Ok(true))?;
        let mut fresh = HashSet::new();
        for Record { customer, .. } in &all {
            if !customer.deleted && !rows.holds(customer.number)? {
                fresh.insert(customer.number);
            }
        }
        let fresh = fresh.len() as u64;
        if rows.customers().saturating_add(fresh) > capacity {
            // An eighth at once: each time costs a copy of all rows that stay.
            self.evict(rows, cells, (capacity - capacity / 8).saturating_sub(fresh))?;
        }
        let mut sum = rows.sum();
        for record in &all {
            if !record.customer.deleted || rows.holds(record.customer.number)? {
                rows.upsert(cells, record, now_ms, &mut sum)?;
            }
        }
        rows.announce(sum, rows.at()?)?;
        Ok(all.len() as u64)
    }

    /// Drops customers until `target` are held: first those that nobody looked up since the last time, oldest rows first,
    /// then the rest likewise. Who has an open lease stays. Returns how many went.
    pub(super) fn evict(&self, rows: &mut Rows, cells: &Cells, target: u64) -> Result<u64> {
        let open = cells.open_leases()?;
        let leased: HashSet<u32> = open.iter().map(|(_, totals)| totals.number).collect();
        let mut held = 0;
        // (in use, place, number)
        let mut order: Vec<(bool, usize, u32)> = Vec::new();
        rows.each_customer(|row| {
            held += 1;
            if !leased.contains(&row.number()) {
                let in_use = self.touched.is_marked(row.number())?;
                order.push((in_use, row.at, row.number()));
            }
            Ok(())
        })?;
        let excess = usize::try_from(held - target.min(held)).map_err(|_| Corrupt)?;
        order.sort_unstable();
        order.truncate(excess);
        if order.is_empty() {
            return Ok(0);
        }
        let going: HashSet<u32> = order.into_iter().map(|(_, _, number)| number).collect();
        // Before the new generation: who looks a customer up in it sets the bit again.
        self.touched.clear()?;
        rows.drop_customers(&going)?;
        Ok(going.len() as u64)
    }
}
