//! New generation files: made under a temporary name, complete before they are announced.

use std::collections::{HashMap, HashSet};

use crate::control::Field;
use crate::entry;
use crate::error::{Corrupt, Error, Result};
use crate::generation::{Capacity, Generation, Plan};
use crate::key::Key;
use crate::map::MapRegion;
use crate::paths::{rename, rows_path};
use crate::region::Words;
use crate::resolve::Sources;
use crate::row::{self, Phase, Row, RowKind};

use super::Owner;

/// A number that no generation reaches by counting: `RETIRED`, or a damaged word.
const GENERATION_MAX: u64 = 1 << 62;

/// Room that a generation gets on top when one customer did not fit the one before: 8 MiB, then 128 MiB.
pub(super) const EXTRA_WORDS: [usize; 2] = [1 << 20, 1 << 24];

impl Owner {
    /// A new, empty generation file under a temporary name.
    pub(super) fn fresh_generation(
        &self,
        capacity: Capacity,
        defaults: &[u64],
    ) -> Result<Generation<MapRegion>> {
        let generation = match self.control.get(Field::Generation)? {
            // Given up, or damaged: no number near the former ones, so that a reader that slept through it does not take
            // the new file for the one it has mapped.
            last if last >= GENERATION_MAX => (self.seed >> 8) | 1,
            last => last + 1,
        };
        let path = rows_path(&self.dir, generation).with_extension("new");
        let _ = std::fs::remove_file(&path);
        let mut plan = Plan::new(&self.catalog, self.seed, capacity)?;
        if self.demand.is_some() {
            plan = plan.on_demand();
        }
        let region = MapRegion::create(&path, plan.words())?;
        Generation::format(
            region,
            plan,
            self.arena,
            generation,
            self.catalog_hash,
            defaults,
        )
    }

    /// Gives a complete generation its name and makes it the current one.
    pub(super) fn publish_generation(&self, fresh: &Generation<MapRegion>) -> Result<()> {
        let path = rows_path(&self.dir, fresh.generation);
        rename(&path.with_extension("new"), &path)?;
        let old = self.control.get(Field::Generation)?;
        self.control.set(Field::Generation, fresh.generation)?;
        if old != 0 {
            // Mappings of it live on; the kernel frees it with the last one.
            let _ = std::fs::remove_file(rows_path(&self.dir, old));
        }
        Ok(())
    }

    pub(super) fn install(&mut self, fresh: Generation<MapRegion>) -> Result<()> {
        self.publish_generation(&fresh)?;
        self.rows = Some(fresh);
        Ok(())
    }

    /// A larger generation with the same rows, without what is no longer reachable.
    pub(super) fn grown(
        &mut self,
        old: &Generation<MapRegion>,
        number: u32,
        extra_words: usize,
    ) -> Result<Generation<MapRegion>> {
        self.rewritten(old, number, extra_words, |_| true)
    }

    /// A generation with those rows that are kept.
    pub(super) fn rewritten(
        &mut self,
        old: &Generation<MapRegion>,
        number: u32,
        extra_words: usize,
        keep: impl Fn(Row) -> bool,
    ) -> Result<Generation<MapRegion>> {
        let pools = old.pools();
        let (mut rows, mut words, mut highest) = (0, 0, number);
        let mut profiles = HashSet::new();
        // Where rows are evicted by age, places say it: they are copied in their order.
        let mut by_age = self.demand.as_ref().map(|_| Vec::new());
        let kept = |row: Row| row.kind() != RowKind::Gone as u64 && keep(row);
        old.for_each_row(|row| {
            if !kept(row) {
                return Ok(());
            }
            if let Some(by_age) = &mut by_age {
                by_age.push(row);
            }
            rows += 1;
            words += row.words();
            highest = highest.max(row.number());
            if row.kind() == RowKind::Customer as u64 {
                match row.profile() {
                    Some(place) => profiles.extend([place]),
                    None => {
                        let phases = row.parts(old.region(), pools)?.phases;
                        profiles.extend(phases.iter().map(|p| p.profile));
                    }
                }
            }
            Ok(())
        })?;
        for place in profiles {
            words += read_block(old.region(), old.heap_at() + place as usize)?.len();
        }
        let catalog = &self.catalog;
        let none = Sources::default();
        let defaults = entry::profile(catalog, |f| none.resolve(catalog, f, 0));
        let widest = defaults.len();
        let mut capacity =
            self.room_for(rows, highest, words + (self.profiles.len() + 256) * widest);
        capacity.heap_words += extra_words;
        let fresh = self.fresh_generation(capacity, &defaults)?;
        // Old place of a profile -> new place.
        let mut moved: HashMap<u64, u64> = HashMap::new();
        let mut copy = |row: Row| -> Result<()> {
            let mut parts = row.parts(old.region(), pools)?;
            for phase in &mut parts.phases {
                phase.profile = match moved.get(&phase.profile) {
                    Some(place) => *place,
                    None if parts.kind == RowKind::Alias as u64 => 0,
                    None => {
                        let block =
                            read_block(old.region(), old.heap_at() + phase.profile as usize)?;
                        let place = fresh.append(&block)?;
                        moved.insert(phase.profile, place);
                        place
                    }
                };
            }
            let key = Key::new(&parts.key).ok_or(Corrupt)?;
            let kind = if parts.kind == RowKind::Alias as u64 {
                RowKind::Alias
            } else {
                RowKind::Customer
            };
            let phases: &[Phase] = if kind == RowKind::Alias {
                &[]
            } else {
                &parts.phases
            };
            let words = row::encode(
                kind,
                parts.number,
                key,
                parts.record,
                &parts.refs,
                pools,
                phases,
            )?;
            let place = fresh.append(&words)?;
            fresh.publish(key, place)?;
            if kind == RowKind::Customer {
                fresh.publish_number(parts.number, place)?;
            }
            Ok(())
        };
        match by_age {
            Some(mut by_age) => {
                by_age.sort_unstable_by_key(|row| row.at);
                by_age.into_iter().try_for_each(&mut copy)?;
            }
            None => old.for_each_row(|row| if kept(row) { copy(row) } else { Ok(()) })?,
        }
        self.profiles.retain(|_, place| match moved.get(place) {
            Some(new) => {
                *place = *new;
                true
            }
            None => false,
        });
        self.publish_generation(&fresh)?;
        Ok(fresh)
    }

    /// Room for that many keys, numbers and words, and for as much again before the next generation is due.
    pub(super) fn room_for(&self, rows: usize, highest: u32, heap_words: usize) -> Capacity {
        Capacity {
            slots: rows + rows / 2 + 1024,
            numbers: match self.demand {
                // No more customers than keys; the table is full at three quarters.
                Some(_) => rows * 2 + 1024,
                None => highest as usize + highest as usize / 4 + 1024,
            },
            heap_words: heap_words * 2 + (1 << 19),
        }
    }
}

/// Reads a profile, checked: its header says how long it is.
pub(super) fn read_block<W: Words>(region: &W, at: usize) -> Result<Vec<u64>> {
    use crate::sync::Ordering;
    // Relaxed (both): blocks are immutable, and the owner wrote them.
    let len = entry::block_words(region.load(at, Ordering::Relaxed)?);
    if len == 0 || len > region.words() {
        return Err(Corrupt.into());
    }
    let words = (0..len)
        .map(|i| region.load(at + i, Ordering::Relaxed))
        .collect::<std::result::Result<Vec<_>, _>>()?;
    if !entry::is_sealed(&words) {
        return Err(Error::Corrupt("a profile does not match its check"));
    }
    Ok(words)
}
