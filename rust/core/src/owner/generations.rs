//! Generation files: made under a temporary name, complete before they are announced.

use std::path::PathBuf;
use std::sync::Arc;

use crate::catalog::Catalog;
use crate::control::Field;
use crate::error::Result;
use crate::generation::{Capacity, Generation, Plan};
use crate::map::MapRegion;
use crate::paths::{rename, rows_path};

use super::directory::{Directory, first_words};

/// A number that no generation reaches by counting: `RETIRED`, or a damaged word.
const GENERATION_MAX: u64 = 1 << 62;

/// How generation files are made in a directory.
pub(super) struct Generations {
    pub(super) directory: Arc<Directory>,
    /// Random: keys the hashes of a file's names.
    pub(super) seed: u64,
    /// Of the catalog that rows are of.
    pub(super) catalog_hash: u64,
    /// Some of many customers: their numbers are hashed, and by the places of their rows goes who is evicted.
    pub(super) on_demand: bool,
}

impl Generations {
    /// A new, empty generation file under a temporary name.
    pub(super) fn fresh(
        &self,
        catalog: &Catalog,
        capacity: Capacity,
        defaults: &[u64],
    ) -> Result<Generation<MapRegion>> {
        let generation = match self.directory.control.get(Field::Generation)? {
            // Given up, or damaged: no number near the former ones, so that a reader that slept through it does not take
            // the new file for the one it has mapped.
            last if last >= GENERATION_MAX => (self.seed >> 8) | 1,
            last => last + 1,
        };
        let path = self.unfinished(generation);
        let _ = std::fs::remove_file(&path);
        let mut plan = Plan::new(catalog, self.seed, capacity)?;
        if self.on_demand {
            plan = plan.on_demand();
        }
        let region = MapRegion::create(&path, plan.words())?;
        let arena = self.directory.arena;
        Generation::format(region, plan, arena, generation, self.catalog_hash, defaults)
    }

    /// What a generation's file is called until it is complete.
    pub(super) fn unfinished(&self, generation: u64) -> PathBuf {
        rows_path(&self.directory.path, generation).with_extension("new")
    }

    /// Gives a complete generation its name and makes it the current one.
    pub(super) fn publish(&self, fresh: &Generation<MapRegion>) -> Result<()> {
        let Directory { path, control, .. } = &*self.directory;
        let name = rows_path(path, fresh.generation);
        rename(&self.unfinished(fresh.generation), &name)?;
        let old = control.get(Field::Generation)?;
        control.set(Field::Generation, fresh.generation)?;
        if old != 0 {
            // Mappings of it live on; the kernel frees it with the last one.
            let _ = std::fs::remove_file(rows_path(path, old));
        }
        Ok(())
    }

    /// Whether the file is still the one that is mapped here, by who it says it is.
    pub(super) fn is_in_place(&self, current: &Generation<MapRegion>) -> bool {
        let words = first_words(&rows_path(&self.directory.path, current.generation));
        words.is_some_and(|w| w[2..] == [self.directory.arena, current.generation])
    }

    /// Room for that many keys, numbers and words, and for as much again before the next generation is due.
    pub(super) fn room_for(&self, rows: usize, highest: u32, heap_words: usize) -> Capacity {
        Capacity {
            slots: rows + rows / 2 + 1024,
            numbers: if self.on_demand {
                // No more customers than keys; the table is full at three quarters.
                rows * 2 + 1024
            } else {
                highest as usize + highest as usize / 4 + 1024
            },
            heap_words: heap_words * 2 + (1 << 19),
        }
    }
}
