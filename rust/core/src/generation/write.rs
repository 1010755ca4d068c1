//! The owner's side of a generation file: its constant parts, blocks appended, places published.

use crate::catalog::{Catalog, WhenStale};
use crate::error::{Corrupt, Error, Result};
use crate::key::{Key, hash_bytes, hash_words};
use crate::region::Region;
use crate::row::{self, Row};
use crate::sync::Ordering;

use super::layout::{
    FEATURE_WORDS, HEADER_WORDS, LAYOUT, MAGIC, ON_DEMAND, POOL_WORDS, PROBES_MAX, ROW_MASK,
    TAG_SHIFT, VACATED, field,
};
use super::read::Generation;

/// How much room a new generation gets.
#[derive(Clone, Copy, Debug)]
pub struct Capacity {
    pub slots: usize,
    pub numbers: usize,
    pub heap_words: usize,
}

/// Words, and (header field, value) of what follows from them.
type CatalogPart = (Vec<u64>, [(usize, u64); 6]);

/// The words a catalog takes in a generation file, and the parts of the header that follow from them.
fn catalog_part(catalog: &Catalog, seed: u64) -> Result<CatalogPart> {
    let mut words: Vec<u64> = vec![0; HEADER_WORDS];
    let features_at = words.len();
    words.resize(features_at + catalog.features.len() * FEATURE_WORDS, 0);
    let pools_at = words.len();
    words.resize(pools_at + catalog.pools.len() * POOL_WORDS, 0);
    let cap = (catalog.features.len() * 2).next_power_of_two().max(8);
    let index_at = words.len();
    words.resize(index_at + cap * 2, 0);
    let push_name = |words: &mut Vec<u64>, name: &str| {
        let at = words.len();
        if let Some(key) = Key::new(name.as_bytes()) {
            words.extend((0..key.words()).map(|i| key.word(i)));
        }
        at
    };
    for (i, f) in catalog.features.iter().enumerate() {
        let key = Key::new(f.name.as_bytes()).ok_or_else(|| {
            Error::Invalid(format!("feature name {:?} is empty or too long", f.name))
        })?;
        let name_at = push_name(&mut words, &f.name);
        let rates_at = words.len();
        for rate in &f.rates {
            words.extend([rate.quantity.len() as u64, rate.cost]);
            push_name(&mut words, &rate.quantity);
        }
        let at = features_at + i * FEATURE_WORDS;
        words[at..at + FEATURE_WORDS].copy_from_slice(&[
            name_at as u64,
            f.name.len() as u64,
            f.kind.code(),
            f.pool.map_or(0, |p| p as u64 + 1),
            rates_at as u64,
            f.rates.len() as u64,
            match f.staleness.when_stale {
                WhenStale::Keep => 0,
                WhenStale::Deny => 1,
                WhenStale::Allow => 2,
            },
            f.staleness
                .max_staleness_ms
                .map_or(0, |ms| ms.saturating_add(1)),
        ]);
        let hash = key.hash(seed);
        let mut slot = hash as usize & (cap - 1);
        while words[index_at + slot * 2 + 1] != 0 {
            slot = (slot + 1) & (cap - 1);
        }
        words[index_at + slot * 2] = hash;
        words[index_at + slot * 2 + 1] =
            (name_at as u64) << 32 | (f.name.len() as u64) << 16 | (i as u64 + 1);
    }
    for (i, p) in catalog.pools.iter().enumerate() {
        let name_at = push_name(&mut words, &p.name);
        let at = pools_at + i * POOL_WORDS;
        words[at..at + 4].copy_from_slice(&[
            name_at as u64,
            p.name.len() as u64,
            u64::from(p.scale),
            hash_bytes(p.name.as_bytes()),
        ]);
    }
    let places = [
        (field::FEATURES, catalog.features.len() as u64),
        (field::FEATURES_AT, features_at as u64),
        (field::INDEX_AT, index_at as u64),
        (field::INDEX_CAP, cap as u64),
        (field::POOLS, catalog.pools.len() as u64),
        (field::POOLS_AT, pools_at as u64),
    ];
    Ok((words, places))
}

/// The words of a new file: catalog part, slots, numbers, heap.
#[derive(Debug)]
pub struct Plan {
    head: Vec<u64>,
    slots_at: usize,
    capacity: Capacity,
}

impl Plan {
    pub fn new(catalog: &Catalog, seed: u64, capacity: Capacity) -> Result<Plan> {
        let (mut head, places) = catalog_part(catalog, seed)?;
        let slots_at = head.len();
        head[field::SEED] = seed;
        for (at, word) in places {
            head[at] = word;
        }
        Ok(Plan {
            head,
            slots_at,
            capacity,
        })
    }

    /// For some of many customers: `Capacity::numbers` is how many words their hash table has.
    pub(crate) fn on_demand(mut self) -> Plan {
        self.head[field::FLAGS] |= ON_DEMAND;
        self
    }

    pub fn words(&self) -> usize {
        self.slots_at + self.capacity.slots + self.capacity.numbers + self.capacity.heap_words
    }
}

impl<R: Region> Generation<R> {
    /// Writes the constant parts into a fresh, zeroed region of `plan.words()` words. `defaults` is the profile of a
    /// customer without a plan: the first thing in the heap.
    pub fn format(
        region: R,
        mut plan: Plan,
        arena: u64,
        generation: u64,
        catalog: u64,
        defaults: &[u64],
    ) -> Result<Generation<R>> {
        let slots_at = plan.slots_at;
        let numbers_at = slots_at + plan.capacity.slots;
        let heap_at = numbers_at + plan.capacity.numbers;
        // Offset zero in the heap means "no row", so the heap begins with one unused word.
        let defaults_at = 1;
        for (at, word) in [
            (field::LAYOUT, LAYOUT),
            (field::MAGIC, MAGIC),
            (field::ARENA, arena),
            (field::GENERATION, generation),
            (field::CATALOG, catalog),
            (field::SLOTS_AT, slots_at as u64),
            (field::SLOTS, plan.capacity.slots as u64),
            (field::NUMBERS_AT, numbers_at as u64),
            (field::NUMBERS, plan.capacity.numbers as u64),
            (field::HEAP_AT, heap_at as u64),
            (field::DEFAULTS, defaults_at as u64),
        ] {
            plan.head[at] = word;
        }
        let constant: Vec<u64> = (0..field::CHECK)
            .chain(HEADER_WORDS..slots_at)
            .map(|i| plan.head[i])
            .collect();
        plan.head[field::CHECK] = hash_words(generation, &constant);
        plan.head[field::HEAP_USED] = defaults_at as u64;
        for (i, word) in plan.head.iter().enumerate() {
            // Relaxed: nobody has the file yet; it is published by the generation word, with Release.
            region.store(i, *word, Ordering::Relaxed)?;
        }
        let g = Generation::open(region, arena, generation)?;
        g.append(defaults)?;
        Ok(g)
    }

    /// Appends a block to the heap; returns its offset from the heap's start. Nobody sees it before it is published.
    pub fn append(&self, words: &[u64]) -> Result<u64> {
        // Relaxed (all): the owner's word, and words that nobody can reach yet.
        let used = self.region.load(field::HEAP_USED, Ordering::Relaxed)? as usize;
        let start = self.heap_at.saturating_add(used);
        if start.saturating_add(words.len()) > self.region.words()
            || used as u64 + words.len() as u64 > row::PROFILE_MAX
        {
            return Err(Error::Full("the rows file"));
        }
        for (i, word) in words.iter().enumerate() {
            self.region.store(start + i, *word, Ordering::Relaxed)?;
        }
        self.region.store(
            field::HEAP_USED,
            (used + words.len()) as u64,
            Ordering::Relaxed,
        )?;
        Ok(used as u64)
    }

    /// Whether `rows` more keys, `words` more words and numbers up to `number` still fit.
    pub(crate) fn has_room(
        &self,
        rows: usize,
        words: usize,
        number: u32,
    ) -> std::result::Result<bool, Corrupt> {
        // Relaxed: the owner's words.
        let used = self.region.load(field::HEAP_USED, Ordering::Relaxed)? as usize;
        let slots = self.region.load(field::SLOTS_USED, Ordering::Relaxed)? as usize;
        Ok(
            self.heap_at.saturating_add(used).saturating_add(words) <= self.region.words()
                && slots.saturating_add(rows).saturating_mul(8) <= self.slots * 7
                && self.has_number(rows, number)?,
        )
    }

    /// Whether the table of numbers takes `number`; where it is hashed, so many more. It is kept at most 3/4 full.
    fn has_number(&self, more: usize, number: u32) -> std::result::Result<bool, Corrupt> {
        if !self.on_demand {
            return Ok((number as usize) < self.numbers);
        }
        // Relaxed: the owner's word.
        let used = self.region.load(field::NUMBERS_USED, Ordering::Relaxed)? as usize;
        Ok(used.saturating_add(more).saturating_mul(4) <= self.numbers.saturating_mul(3))
    }

    /// Makes the row at `place` what the key's slot points to.
    pub fn publish(&self, key: Key<'_>, place: u64) -> Result<()> {
        let hash = self.hash(key);
        let word = (hash & 0xff_ffff) << TAG_SHIFT | place;
        let mut i = self.slot_start(hash);
        for _ in 0..PROBES_MAX {
            // Relaxed: the owner is the only writer of slots.
            let slot = self.region.load(self.slots_at + i, Ordering::Relaxed)?;
            let fresh = slot == 0;
            let ours = !fresh
                && slot >> TAG_SHIFT == hash & 0xff_ffff
                && Row::load(&self.region, self.heap_at + (slot & ROW_MASK) as usize)?
                    .is(&self.region, key)?;
            if fresh || ours {
                // Release: pairs with the reader's Acquire in `find`; the row is complete before it can be found.
                self.region
                    .store(self.slots_at + i, word, Ordering::Release)?;
                if fresh {
                    // Relaxed: the owner's word.
                    let used = self.region.load(field::SLOTS_USED, Ordering::Relaxed)?;
                    self.region.store(
                        field::SLOTS_USED,
                        used.saturating_add(1),
                        Ordering::Relaxed,
                    )?;
                }
                return Ok(());
            }
            i += 1;
            if i == self.slots {
                i = 0;
            }
        }
        Err(Error::Full("slots of the rows file"))
    }

    /// Makes the row at `place` what the customer's number points to; zero: none.
    pub fn publish_number(&self, number: u32, place: u64) -> Result<()> {
        if self.on_demand {
            return self.publish_hashed(number, place);
        }
        if number as usize >= self.numbers {
            return Err(Error::Full("customer numbers of the rows file"));
        }
        // Release: as in `publish`.
        self.region
            .store(self.numbers_at + number as usize, place, Ordering::Release)?;
        Ok(())
    }

    /// The same where numbers are hashed. The whole run of words is looked at before a vacated one is used, so no number is
    /// there twice.
    fn publish_hashed(&self, number: u32, place: u64) -> Result<()> {
        let mut i = self.number_start(number);
        let mut vacated = None;
        for _ in 0..PROBES_MAX {
            // Relaxed (here and below): the owner is the only writer of numbers.
            let word = self.region.load(self.numbers_at + i, Ordering::Relaxed)?;
            if word == VACATED {
                vacated = vacated.or(Some(i));
            } else if word == 0 {
                if place == 0 {
                    return Ok(());
                }
                if vacated.is_none() {
                    let used = self.region.load(field::NUMBERS_USED, Ordering::Relaxed)?;
                    self.region.store(
                        field::NUMBERS_USED,
                        used.saturating_add(1),
                        Ordering::Relaxed,
                    )?;
                }
                // Release: as in `publish`.
                let at = self.numbers_at + vacated.unwrap_or(i);
                self.region.store(at, place, Ordering::Release)?;
                return Ok(());
            } else if self.number_at(word)? == number {
                let word = if place == 0 { VACATED } else { place };
                // Release: as in `publish`.
                self.region
                    .store(self.numbers_at + i, word, Ordering::Release)?;
                return Ok(());
            }
            i += 1;
            if i == self.numbers {
                i = 0;
            }
        }
        Err(Error::Full("customer numbers of the rows file"))
    }

    /// Takes numbers out that lead to no row of `customers`, which a killed owner published without a key, and counts
    /// those in use. `customers`: how many rows there are; each is its number's already.
    pub(crate) fn mend_numbers(
        &self,
        customers: u64,
        has_key: impl Fn(u64) -> bool,
    ) -> std::result::Result<(), Corrupt> {
        let (mut leading, mut used) = (0, 0);
        let empty = if self.on_demand { VACATED } else { 0 };
        for at in self.numbers_at..self.numbers_at + self.numbers {
            // Relaxed: the owner is the only writer of numbers.
            let place = self.region.load(at, Ordering::Relaxed)?;
            leading += u64::from(place != 0 && place != VACATED);
            used += u64::from(place != 0);
        }
        if leading != customers {
            for at in self.numbers_at..self.numbers_at + self.numbers {
                let place = self.region.load(at, Ordering::Relaxed)?;
                if place != 0 && place != VACATED && !has_key(place) {
                    // Release: as in `publish`.
                    self.region.store(at, empty, Ordering::Release)?;
                }
            }
        }
        if self.on_demand {
            self.region
                .store(field::NUMBERS_USED, used, Ordering::Relaxed)?;
        }
        Ok(())
    }

    /// Words of the heap in use.
    pub(crate) fn heap_used(&self) -> std::result::Result<usize, Corrupt> {
        // Relaxed: the owner's word.
        Ok(self.region.load(field::HEAP_USED, Ordering::Relaxed)? as usize)
    }
}
