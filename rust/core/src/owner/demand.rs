//! Some of many customers: rows for those that were asked for, at most so many, the least recently used going first.
//!
//! The ledger's changes all come by; what is about somebody else is read for its keys and dropped. `docs/format/touched.md`
//! says how use is noted.

use std::collections::HashSet;

use crate::check::Cells;
use crate::customer::{self, Customer, Record};
use crate::error::{Corrupt, Error, Result};
use crate::key::Key;
use crate::map::MapRegion;
use crate::resolve::Sources;
use crate::row::{self, RowKind};
use crate::touched::Touched;

use super::Owner;

/// Customers that may be held at most: beyond that the bits of who is in use alone take 256 MiB, and a host had better
/// follow everybody.
pub const CAPACITY_MAX: u32 = 1 << 27;

/// What an owner that holds some of many has beside its rows.
pub(super) struct Demand {
    pub(super) capacity: u32,
    pub(super) touched: Touched<MapRegion>,
}

/// What a change was about, whether or not it is held here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Concerned {
    pub numbers: Vec<u32>,
    /// Ids and aliases.
    pub keys: Vec<String>,
}

impl Owner {
    fn demand(&self) -> Result<&Demand> {
        self.demand.as_ref().ok_or_else(|| {
            Error::Invalid(
                "this owner holds all customers: open it with on_demand to hold some of them"
                    .into(),
            )
        })
    }

    /// Reads records, and refuses those of customers that `checked` says if the catalog does.
    fn read_all<'a>(
        &self,
        records: &'a [u8],
        checked: impl Fn(u32) -> Result<bool>,
    ) -> Result<Vec<Record<'a>>> {
        let all = customer::each(records).collect::<Result<Vec<_>>>()?;
        for Record { customer, .. } in &all {
            if !customer.deleted && checked(customer.number)? {
                Sources::of(&self.catalog, customer)?;
            }
        }
        Ok(all)
    }

    fn holds(&self, number: u32) -> Result<bool> {
        let rows = self
            .rows
            .as_ref()
            .ok_or(Error::Corrupt("no rows are loaded"))?;
        Ok(rows.by_number(number)?.is_some())
    }

    /// Applies of a change what is about customers that are held; then the rows show change `seq`. All or nothing.
    /// Returns everybody the change was about.
    pub fn put_held(
        &mut self,
        records: &[u8],
        epoch: u64,
        seq: u64,
        now_ms: i64,
    ) -> Result<Concerned> {
        self.demand()?;
        let all = self.read_all(records, |number| self.holds(number))?;
        let (mut digest, mut count) = (self.digest, self.customers);
        let mut concerned = Concerned::default();
        for record in &all {
            let customer = &record.customer;
            concerned.numbers.push(customer.number);
            concerned.keys.push(customer.id.to_owned());
            let aliases = customer.aliases.iter().map(|alias| (*alias).to_owned());
            concerned.keys.extend(aliases);
            if self.holds(customer.number)? {
                self.upsert(record, now_ms, &mut digest, &mut count)?;
            } else if !customer.deleted {
                self.hand_over_keys(customer)?;
            }
        }
        self.announce(digest, count, epoch, seq)?;
        Ok(concerned)
    }

    /// Keys that led to somebody held and are by now those of a customer who is not: nobody is found by them here.
    fn hand_over_keys(&mut self, customer: &Customer<'_>) -> Result<()> {
        for name in std::iter::once(customer.id).chain(customer.aliases.iter().copied()) {
            let mut rows = self
                .rows
                .take()
                .ok_or(Error::Corrupt("no rows are loaded"))?;
            let done = (|| {
                let key = Key::new(name.as_bytes()).ok_or(Corrupt)?;
                let found = rows.find(key, rows.hash(key))?;
                if found.is_none_or(|row| row.kind() == RowKind::Gone as u64) {
                    return Ok(());
                }
                if !rows.has_room(1, row::ROW_WORDS_MAX, customer.number)? {
                    rows = self.grown(&rows, customer.number, 0)?;
                }
                let pools = rows.pools();
                let gone = row::encode(RowKind::Gone, customer.number, key, 0, &[], pools, &[])?;
                let place = rows.append(&gone)?;
                rows.publish(key, place)
            })();
            self.rows = Some(rows);
            done?;
        }
        Ok(())
    }

    /// Takes customers in that were asked for, making room for them first where there is none. Changes no seq. All or
    /// nothing. Returns how many records there were.
    pub fn put_found(&mut self, records: &[u8], now_ms: i64) -> Result<u64> {
        let capacity = u64::from(self.demand()?.capacity);
        let all = self.read_all(records, |_| Ok(true))?;
        let mut fresh = HashSet::new();
        for Record { customer, .. } in &all {
            if !customer.deleted && !self.holds(customer.number)? {
                fresh.insert(customer.number);
            }
        }
        let fresh = fresh.len() as u64;
        if self.customers.saturating_add(fresh) > capacity {
            // An eighth at once: each time costs a copy of all rows that stay.
            self.evict((capacity - capacity / 8).saturating_sub(fresh))?;
        }
        let (mut digest, mut count) = (self.digest, self.customers);
        for record in &all {
            if !record.customer.deleted || self.holds(record.customer.number)? {
                self.upsert(record, now_ms, &mut digest, &mut count)?;
            }
        }
        let (epoch, seq) = (self.epoch()?, self.seq()?);
        self.announce(digest, count, epoch, seq)?;
        Ok(all.len() as u64)
    }

    /// Drops customers until `target` are held: first those that nobody looked up since the last time, oldest rows first,
    /// then the rest likewise. Who has an open lease stays. Returns how many went.
    pub fn evict(&mut self, target: u64) -> Result<u64> {
        let touched = &self.demand()?.touched;
        let leased = self.leased()?;
        let rows = self
            .rows
            .as_ref()
            .ok_or(Error::Corrupt("no rows are loaded"))?;
        let mut held = 0;
        // (in use, place, number)
        let mut order: Vec<(bool, usize, u32)> = Vec::new();
        rows.for_each_row(|row| {
            if row.kind() == RowKind::Customer as u64 {
                held += 1;
                if !leased.contains(&row.number()) {
                    order.push((touched.is_marked(row.number())?, row.at, row.number()));
                }
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
        let (mut digest, mut count) = (0u64, 0);
        rows.for_each_row(|row| {
            if row.kind() == RowKind::Customer as u64 && !going.contains(&row.number()) {
                digest = digest.wrapping_add(row.record(rows.region())?);
                count += 1;
            }
            Ok(())
        })?;
        // Before the new generation: who looks a customer up in it sets the bit again.
        touched.clear()?;
        let rows = self.rows.take().ok_or(Corrupt)?;
        let fresh = self.rewritten(&rows, 0, 0, |row| !going.contains(&row.number()));
        self.rows = Some(match fresh {
            Ok(fresh) => fresh,
            Err(e) => {
                self.rows = Some(rows);
                return Err(e);
            }
        });
        self.aliases.retain(|number, _| !going.contains(number));
        let (epoch, seq) = (self.epoch()?, self.seq()?);
        self.announce(digest, count, epoch, seq)?;
        Ok(going.len() as u64)
    }

    /// Customers with a lease that is open.
    fn leased(&self) -> Result<HashSet<u32>> {
        let mut numbers = HashSet::new();
        for ((number, _), cell) in &self.cells {
            if self
                .segments
                .cell(*cell)?
                .totals()?
                .is_some_and(|t| !t.closed)
            {
                numbers.insert(*number);
            }
        }
        Ok(numbers)
    }

    /// (number, id) of the customers held whose numbers are above `after`: the `limit` lowest of them, ascending.
    pub fn held_keys(&self, after: u32, limit: usize) -> Result<Vec<(u32, String)>> {
        let rows = self
            .rows
            .as_ref()
            .ok_or(Error::Corrupt("no rows are loaded"))?;
        let mut found = Vec::new();
        rows.for_each_row(|row| {
            if row.kind() == RowKind::Customer as u64 && row.number() > after {
                found.push((row.number(), row.at));
            }
            Ok(())
        })?;
        found.sort_unstable();
        found.truncate(limit);
        found
            .into_iter()
            .map(|(number, at)| {
                let row = row::Row::load(rows.region(), at)?;
                let key = row.parts(rows.region(), rows.pools())?.key;
                Ok((number, String::from_utf8(key).map_err(|_| Corrupt)?))
            })
            .collect()
    }

    /// The numbers of the customers held, ascending.
    pub fn held_numbers(&self) -> Result<Vec<u32>> {
        let rows = self
            .rows
            .as_ref()
            .ok_or(Error::Corrupt("no rows are loaded"))?;
        let mut numbers = Vec::new();
        rows.for_each_row(|row| {
            if row.kind() == RowKind::Customer as u64 {
                numbers.push(row.number());
            }
            Ok(())
        })?;
        numbers.sort_unstable();
        Ok(numbers)
    }
}
