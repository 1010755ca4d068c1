//! The owner's side: makes or adopts the arena, turns records into rows, opens and closes leases.
//!
//! One owner per directory; the caller holds the lock that says so. A kill at any instruction leaves the old row or the
//! new one, the old generation or the new one, an open lease or a closed one: whoever owns next carries on from there.

use std::path::Path;
use std::sync::Arc;

use crate::arena::RETIRED;
use crate::catalog::Catalog;
use crate::cell::Lease;
use crate::control::{Field, Link};
use crate::customer::{self, Customer};
use crate::error::{Error, Result};
use crate::journal;
use crate::paths::touched_path;

mod adopt;
mod cells;
mod demand;
mod directory;
mod drafts;
mod generations;
mod held;
mod load;
mod rewrite;
mod rows;

pub use cells::NamedTotals;
pub use directory::{Environment, Inherited};

use cells::{Cells, Pools};
use demand::{Concerned, Demand};
use directory::Directory;
use generations::Generations;
use rows::Rows;

/// Bytes of records put at once: all of them are decoded before the first one is written.
const PUT_BYTES_MAX: usize = 256 << 20;

/// Rows and cells of a directory. What is about one of the two alone is asked of that one.
pub struct Owner {
    directory: Arc<Directory>,
    pub found: Inherited,
    pub rows: Rows,
    pub cells: Cells,
    /// Set where some of many customers are held.
    demand: Option<Demand>,
    drain: journal::Drain,
}

impl Owner {
    /// Adopts the arena in `dir`, or makes one, for all customers.
    pub fn open(
        dir: &Path,
        catalog: Catalog,
        catalog_hash: u64,
        env: Environment,
    ) -> Result<Owner> {
        Owner::open_for(dir, catalog, catalog_hash, env, None)
    }

    /// The same for some of many customers: at most `capacity` are held.
    pub fn open_on_demand(
        dir: &Path,
        catalog: Catalog,
        catalog_hash: u64,
        env: Environment,
        capacity: u32,
    ) -> Result<Owner> {
        let capacity = demand::checked(capacity)?;
        Owner::open_for(dir, catalog, catalog_hash, env, Some(capacity))
    }

    fn open_for(
        dir: &Path,
        catalog: Catalog,
        catalog_hash: u64,
        env: Environment,
        capacity: Option<u32>,
    ) -> Result<Owner> {
        let pools = Pools::of(&catalog)?;
        let (directory, mut found) = Directory::open(dir, env)?;
        let mut directory = Arc::new(directory);
        let mut cells = Cells::none(Arc::clone(&directory), pools);
        if let Err(e) = cells.scan() {
            // What the system refuses for now may be readable later, and what was spent must not be thrown away for it.
            if matches!(&e, Error::Io { source, .. } if source.kind() != std::io::ErrorKind::NotFound)
            {
                return Err(e);
            }
            // Cells that can't be read hold nothing that can be trusted: begin anew, and let the ledger close its leases.
            directory = Arc::new(Directory::make(dir, env)?);
            cells = Cells::none(Arc::clone(&directory), Pools::of(&catalog)?);
            found = Inherited::Nothing;
        }
        let demand = match capacity {
            Some(capacity) => Some(Demand::new(&directory, capacity)?),
            None => {
                let _ = std::fs::remove_file(touched_path(dir));
                None
            }
        };
        let generations = Generations {
            directory: Arc::clone(&directory),
            seed: env.random | 1,
            catalog_hash,
            on_demand: demand.is_some(),
        };
        let mut rows = Rows::new(generations, catalog);
        if found == Inherited::Intact && rows.adopt(&cells).is_err() {
            found = Inherited::CellsOnly;
        }
        let control = &directory.control;
        if found == Inherited::EarlierBoot {
            // Before the arena is said to be of this boot: a successor of an owner that is killed here must not spend on.
            cells.close_all()?;
            // Counted from another boot: nobody has heard anything since this one.
            control.set(Field::FreshSteadyMs, 0)?;
        }
        control.set(Field::Boot, env.boot)?;
        control.set(Field::OwnerPid, u64::from(env.pid))?;
        let owner = Owner {
            directory,
            found,
            rows,
            cells,
            demand,
            drain: journal::Drain::default(),
        };
        // With a hub, an owner that comes makes nothing fresher: the hub does.
        if owner.directory.control.get(Field::Link)? == Link::NoHub as u64 {
            owner.fresh(env.now_ms, env.steady_ms)?;
        }
        Ok(owner)
    }

    pub fn seq(&self) -> Result<u64> {
        Ok(self.rows.at()?.1)
    }

    /// The ledger's epoch that the rows are of.
    pub fn epoch(&self) -> Result<u64> {
        Ok(self.rows.at()?.0)
    }

    /// The arena's id.
    pub fn arena(&self) -> u64 {
        self.directory.arena
    }

    /// Without a hub: the owner lives, so what is here is current.
    pub fn heartbeat(&self, now_ms: u64, steady_ms: u64) -> Result<()> {
        let control = &self.directory.control;
        control.set(Field::Link, Link::NoHub as u64)?;
        self.fresh(now_ms, steady_ms)
    }

    /// With a hub: it is heard, or not.
    pub fn link(&self, connected: bool) -> Result<()> {
        let control = &self.directory.control;
        if control.get(Field::Link)? == Link::NoHub as u64 {
            // What an owner without a hub said of itself says nothing of the hub.
            self.fresh(0, 0)?;
        }
        let link = if connected {
            Link::Connected
        } else {
            Link::NotConnected
        };
        Ok(control.set(Field::Link, link as u64)?)
    }

    /// What is here was current at `as_of_ms` since the epoch, and this was heard at `steady_ms` since boot.
    pub fn fresh(&self, as_of_ms: u64, steady_ms: u64) -> Result<()> {
        let control = &self.directory.control;
        control.set(Field::HeartbeatAtMs, as_of_ms)?;
        Ok(control.set(Field::FreshSteadyMs, steady_ms)?)
    }

    /// Whether the files in the directory are no longer those that are mapped here: deleted or replaced from outside. A
    /// process that attaches needs them all.
    pub fn is_detached(&self) -> bool {
        let in_place =
            self.directory.is_in_place() && self.rows.are_in_place() && self.cells.are_in_place();
        !in_place
    }

    /// Gives the arena up: closes all leases and tells its readers to attach again. The totals are final.
    pub fn retire(&mut self) -> Result<Vec<NamedTotals>> {
        self.cells.close_all()?;
        self.directory.control.set(Field::Generation, RETIRED)?;
        self.cells.all(false)
    }

    /// Replaces all rows by those of the records. Nothing is visible before the end.
    pub fn load<'a>(
        &mut self,
        chunks: impl IntoIterator<Item = &'a [u8]>,
        epoch: u64,
        seq: u64,
        now_ms: i64,
    ) -> Result<u64> {
        self.load_each(epoch, seq, now_ms, |take| {
            for record in chunks.into_iter().flat_map(customer::each) {
                let record = record?;
                if !record.customer.deleted {
                    take(&record.customer, record.hash)?;
                }
            }
            Ok(())
        })
    }

    /// The same of customers that `feed` hands over one by one, each with its record's hash, so that not all of them need
    /// to be in memory. An error of `feed` refuses them all. Deleted customers are not handed over.
    pub fn load_each(
        &mut self,
        epoch: u64,
        seq: u64,
        now_ms: i64,
        feed: impl FnOnce(&mut dyn FnMut(&Customer<'_>, u64) -> Result<()>) -> Result<()>,
    ) -> Result<u64> {
        self.rows.load(&self.cells, (epoch, seq), now_ms, feed)
    }

    /// Upserts records: all or nothing. Returns how many there were.
    pub fn put(&mut self, records: &[u8], epoch: u64, seq: u64, now_ms: i64) -> Result<u64> {
        if records.len() > PUT_BYTES_MAX {
            return Err(Error::Invalid(format!(
                "{} bytes of records in one change, at most {PUT_BYTES_MAX} are taken",
                records.len()
            )));
        }
        self.rows.put(&self.cells, records, (epoch, seq), now_ms)
    }

    /// On demand: applies of a change what is about customers that are held; then the rows show change `seq`. All or nothing.
    /// Returns all customers that the change was about.
    pub fn put_held(
        &mut self,
        records: &[u8],
        epoch: u64,
        seq: u64,
        now_ms: i64,
    ) -> Result<Concerned> {
        let demand = some_of_many(&self.demand)?;
        demand.put_held(&mut self.rows, &self.cells, records, (epoch, seq), now_ms)
    }

    /// On demand: takes customers in that were asked for, making room for them first where there is none. Changes no seq. All
    /// or nothing. Returns how many records there were.
    pub fn put_found(&mut self, records: &[u8], now_ms: i64) -> Result<u64> {
        let demand = some_of_many(&self.demand)?;
        demand.put_found(&mut self.rows, &self.cells, records, now_ms)
    }

    /// On demand: drops customers until `target` are held, the least recently used first. Who has an open lease stays. Returns
    /// how many went.
    pub fn evict(&mut self, target: u64) -> Result<u64> {
        some_of_many(&self.demand)?.evict(&mut self.rows, &self.cells, target)
    }

    /// Opens the cell of (customer, pool) for a lease and publishes it in the customer's row.
    pub fn open_cell(&mut self, pool: &str, lease: Lease) -> Result<()> {
        self.cells.open(pool, lease)?;
        // Where the cell was opened before, the row may not have been published.
        self.rows.publish_refs(&self.cells, lease.number)
    }

    /// Usage records of all processes of the host, at most `limit`; they come again until acknowledged.
    pub fn drain_journal(
        &mut self,
        limit: usize,
        alive: impl FnMut(u32, u64) -> bool,
    ) -> Result<Vec<journal::Record>> {
        self.drain.read(&self.directory.path, limit, alive)
    }

    /// The records drained last are stored.
    pub fn ack_journal(&mut self) -> Result<()> {
        self.drain.ack()
    }
}

fn some_of_many(demand: &Option<Demand>) -> Result<&Demand> {
    demand.as_ref().ok_or_else(|| {
        Error::Invalid(
            "this owner holds all customers: open it with on_demand to hold some of them".into(),
        )
    })
}

#[cfg(test)]
mod demand_tests;
#[cfg(test)]
mod load_tests;
#[cfg(test)]
mod tests;
