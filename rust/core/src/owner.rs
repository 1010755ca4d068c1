//! The owner's side: makes or adopts the arena, turns records into rows, opens and closes leases.
//!
//! One owner per directory; the caller holds the lock that says so. A kill at any instruction leaves the old row or the
//! new one, the old generation or the new one, an open lease or a closed one: whoever owns next carries on from there.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::arena::{RETIRED, Segments};
use crate::catalog::Catalog;
use crate::cell::Totals;
use crate::control::{Control, Field, Link};
use crate::error::{Error, Result};
use crate::generation::Generation;
use crate::journal;
use crate::key::hash_bytes;
use crate::map::{Access, MapRegion};
use crate::paths::{cells_path, control_path, rows_path, touched_path};
use crate::touched::Touched;

mod adopt;
mod demand;
mod generations;
mod leases;
mod rows;

pub use demand::{CAPACITY_MAX, Concerned};

use adopt::{adopt_control, first_words, make_control, set_aside};
use demand::Demand;
use rows::Combination;

/// What the environment gives to an owner: things the core does not look up itself.
#[derive(Clone, Copy, Debug)]
pub struct Environment {
    /// Hash of the kernel's boot id.
    pub boot: u64,
    /// A random number.
    pub random: u64,
    pub pid: u32,
    pub now_ms: u64,
    /// Milliseconds since boot, sleep included.
    pub steady_ms: u64,
}

/// What was found when the owner came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing, or what was there was damaged and has been set aside.
    Nothing,
    /// Cells of this boot; rows of this catalog, up to `seq`.
    Intact,
    /// Cells of this boot; the rows are of another catalog or damaged: load them.
    CellsOnly,
    /// Cells of an earlier boot: settle and close them all.
    EarlierBoot,
}

pub struct Owner {
    dir: PathBuf,
    control: Control<MapRegion>,
    arena: u64,
    seed: u64,
    pub found: Found,
    catalog: Catalog,
    catalog_hash: u64,
    rows: Option<Generation<MapRegion>>,
    /// Profiles of the current generation: where each combination's is in the heap.
    profiles: HashMap<Combination, u64>,
    /// Alias keys by customer number.
    aliases: HashMap<u32, Vec<String>>,
    segments: Segments,
    segment_count: usize,
    /// The cell of a customer's pool.
    cells: HashMap<(u32, u64), u32>,
    next_cell: u32,
    /// Cells whose lease is closed and whose customer or pool is gone.
    free: Vec<u32>,
    pool_names: HashMap<u64, String>,
    /// Totals as last reported, per cell: what `cells(changed_only)` compares with.
    reported: HashMap<u32, (u64, u64, bool)>,
    digest: u64,
    customers: u64,
    /// Set where some of many customers are held.
    demand: Option<Demand>,
    drain: journal::Drain,
}

/// A lease's totals with the pool's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedTotals {
    pub pool: String,
    pub totals: Totals,
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
        if !(1..=CAPACITY_MAX).contains(&capacity) {
            return Err(Error::Invalid(format!(
                "on_demand is how many customers to hold, 1 to {CAPACITY_MAX}, not {capacity}"
            )));
        }
        Owner::open_for(dir, catalog, catalog_hash, env, Some(capacity))
    }

    fn open_for(
        dir: &Path,
        catalog: Catalog,
        catalog_hash: u64,
        env: Environment,
        capacity: Option<u32>,
    ) -> Result<Owner> {
        let pool_names: HashMap<u64, String> = catalog
            .pools
            .iter()
            .map(|p| (hash_bytes(p.name.as_bytes()), p.name.clone()))
            .collect();
        if pool_names.len() != catalog.pools.len() {
            return Err(Error::Invalid(
                "two pools of the catalog have names with the same hash; rename one".into(),
            ));
        }
        let (control, found) = match adopt_control(dir) {
            Ok(control) => {
                let found = if control.get(Field::Boot)? == env.boot {
                    Found::Intact
                } else {
                    Found::EarlierBoot
                };
                (control, found)
            }
            Err(e @ (Error::Io { .. } | Error::Layout { .. })) if control_path(dir).exists() => {
                return Err(e);
            }
            Err(_) => (make_control(dir, env)?, Found::Nothing),
        };
        let arena = control.get(Field::Arena)?;
        let mut owner = Owner {
            dir: dir.to_path_buf(),
            arena,
            seed: env.random | 1,
            found,
            catalog,
            catalog_hash,
            rows: None,
            profiles: HashMap::new(),
            aliases: HashMap::new(),
            segments: Segments::new(dir, arena),
            segment_count: control.get(Field::Segments)? as usize,
            cells: HashMap::new(),
            next_cell: 0,
            free: Vec::new(),
            pool_names,
            reported: HashMap::new(),
            digest: 0,
            customers: 0,
            demand: None,
            drain: journal::Drain::default(),
            control,
        };
        if let Err(e) = owner.scan_cells() {
            // What the system refuses for now may be readable later, and what was spent must not be thrown away for it.
            if matches!(&e, Error::Io { source, .. } if source.kind() != std::io::ErrorKind::NotFound)
            {
                return Err(e);
            }
            // Cells that can't be read hold nothing that can be trusted: begin anew, and let the ledger close its leases.
            set_aside(dir)?;
            owner.control = make_control(dir, env)?;
            owner.arena = owner.control.get(Field::Arena)?;
            owner.segments = Segments::new(dir, owner.arena);
            owner.segment_count = 0;
            owner.cells.clear();
            owner.free.clear();
            owner.next_cell = 0;
            owner.found = Found::Nothing;
        }
        match capacity {
            Some(capacity) => {
                let touched = Touched::make(dir, owner.arena, capacity)?;
                owner.demand = Some(Demand { capacity, touched });
            }
            None => drop(std::fs::remove_file(touched_path(dir))),
        }
        if owner.found == Found::Intact
            && owner
                .adopt_rows()
                .and_then(|()| owner.publish_missing_refs())
                .is_err()
        {
            owner.rows = None;
            owner.aliases.clear();
            owner.found = Found::CellsOnly;
        }
        if owner.found == Found::EarlierBoot {
            // Before the arena is said to be of this boot: a successor of an owner that is killed here must not spend on.
            owner.close_all()?;
            // Counted from another boot: nobody has heard anything since this one.
            owner.control.set(Field::FreshSteadyMs, 0)?;
        }
        owner.control.set(Field::Boot, env.boot)?;
        owner.control.set(Field::OwnerPid, u64::from(env.pid))?;
        // With a hub, an owner that comes makes nothing fresher: the hub does.
        if owner.control.get(Field::Link)? == Link::NoHub as u64 {
            owner.fresh(env.now_ms, env.steady_ms)?;
        }
        Ok(owner)
    }

    pub fn seq(&self) -> Result<u64> {
        Ok(self.control.get(Field::Seq)?)
    }

    /// The ledger's epoch that the rows are of.
    pub fn epoch(&self) -> Result<u64> {
        Ok(self.control.get(Field::Epoch)?)
    }

    /// The arena's id.
    pub fn arena(&self) -> u64 {
        self.arena
    }

    pub fn customers(&self) -> u64 {
        self.customers
    }

    pub fn digest(&self) -> u64 {
        self.digest
    }

    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Without a hub: the owner lives, so what is here is current.
    pub fn heartbeat(&self, now_ms: u64, steady_ms: u64) -> Result<()> {
        self.control.set(Field::Link, Link::NoHub as u64)?;
        self.fresh(now_ms, steady_ms)
    }

    /// With a hub: it is heard, or not.
    pub fn link(&self, connected: bool) -> Result<()> {
        if self.control.get(Field::Link)? == Link::NoHub as u64 {
            // What an owner without a hub said of itself says nothing of the hub.
            self.fresh(0, 0)?;
        }
        let link = if connected {
            Link::Connected
        } else {
            Link::NotConnected
        };
        Ok(self.control.set(Field::Link, link as u64)?)
    }

    /// What is here was current at `as_of_ms` since the epoch, and this was heard at `steady_ms` since boot.
    pub fn fresh(&self, as_of_ms: u64, steady_ms: u64) -> Result<()> {
        self.control.set(Field::HeartbeatAtMs, as_of_ms)?;
        Ok(self.control.set(Field::FreshSteadyMs, steady_ms)?)
    }

    fn pool_id(&self, pool: &str) -> u64 {
        hash_bytes(pool.as_bytes())
    }

    /// Whether the files in the directory are no longer those that are mapped here: deleted or replaced from outside.
    /// Control by its whole header, the others by who they say they are: a process that attaches needs them all.
    pub fn is_detached(&self) -> bool {
        let path = control_path(&self.dir);
        let same = MapRegion::open(&path, Access::Read)
            .and_then(|r| Control::open(r, &path))
            .is_ok_and(|control| control.get(Field::Arena) == Ok(self.arena));
        let rows_same = self.rows.as_ref().is_none_or(|rows| {
            let words = first_words(&rows_path(&self.dir, rows.generation));
            words.is_some_and(|w| w[2..] == [self.arena, rows.generation])
        });
        let cells_same = (0..self.segment_count).all(|index| {
            let words = first_words(&cells_path(&self.dir, index));
            words.is_some_and(|w| w[1..3] == [self.arena, index as u64])
        });
        !(same && rows_same && cells_same)
    }

    /// Gives the arena up: closes all leases and tells its readers to attach again. The totals are final.
    pub fn retire(&mut self) -> Result<Vec<NamedTotals>> {
        self.close_all()?;
        self.control.set(Field::Generation, RETIRED)?;
        self.cells(false)
    }

    pub fn pool_name(&self, id: u64) -> Option<&str> {
        self.pool_names.get(&id).map(String::as_str)
    }
}

#[cfg(test)]
mod demand_tests;
#[cfg(test)]
mod load_tests;
#[cfg(test)]
mod tests;
