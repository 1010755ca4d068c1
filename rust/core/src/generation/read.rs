//! The reader's side of a generation file: opened and checked once, then found in.

use crate::catalog::{Kind, Staleness, WhenStale, bounds};
use crate::entry;
use crate::error::{Corrupt, Error, Result};
use crate::key::{Key, hash_number, hash_words, read_name};
use crate::region::Words;
use crate::row::{Row, RowKind};
use crate::sync::Ordering;

use super::layout::{
    FEATURE_WORDS, HEADER_WORDS, LAYOUT, MAGIC, ON_DEMAND, POOL_WORDS, PROBES_MAX, ROW_MASK,
    TAG_SHIFT, VACATED, field,
};

/// A feature as checks need it.
#[derive(Clone, Copy, Debug)]
pub struct FeatureInfo {
    pub kind: Kind,
    pub pool: Option<usize>,
    pub staleness: Staleness,
    rates_at: usize,
    rates: usize,
}

/// A pool as answers need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PoolInfo {
    pub scale: u8,
    /// Hash of the pool's name: what a cell is checked against.
    pub id: u64,
    name_at: usize,
    name_len: usize,
}

/// A generation file, opened. The fields repeat the header, checked once.
#[derive(Debug)]
pub struct Generation<R: Words> {
    pub(super) region: R,
    pub generation: u64,
    pub catalog: u64,
    pub(super) seed: u64,
    pub(super) features: usize,
    pub(super) features_at: usize,
    pub(super) index_at: usize,
    pub(super) index_mask: usize,
    pub(super) pools: usize,
    pub(super) pools_at: usize,
    pub(super) slots_at: usize,
    pub(super) slots: usize,
    pub(super) numbers_at: usize,
    pub(super) numbers: usize,
    pub(super) heap_at: usize,
    pub(super) defaults: usize,
    pub(super) on_demand: bool,
}

impl<R: Words> Generation<R> {
    /// Opens and checks a file that `format` wrote. Cost: the header and the catalog part, not the rows.
    pub(crate) fn open(region: R, arena: u64, generation: u64) -> Result<Generation<R>> {
        // Relaxed (all): the file was complete before its number was published; the caller read that with Acquire.
        let get = |i| region.load(i, Ordering::Relaxed);
        if get(field::MAGIC)? != MAGIC {
            return Err(Error::Corrupt("a rows file does not begin with its magic"));
        }
        if get(field::LAYOUT)? != LAYOUT {
            return Err(Error::Corrupt("a rows file has another layout"));
        }
        if get(field::ARENA)? != arena || get(field::GENERATION)? != generation {
            return Err(Error::Corrupt(
                "a rows file belongs to another arena or generation",
            ));
        }
        let size = |i| get(i).map(|w| w.min(usize::MAX as u64 / 16) as usize);
        let g = Generation {
            generation,
            catalog: get(field::CATALOG)?,
            seed: get(field::SEED)?,
            features: size(field::FEATURES)?,
            features_at: size(field::FEATURES_AT)?,
            index_at: size(field::INDEX_AT)?,
            index_mask: size(field::INDEX_CAP)?.wrapping_sub(1),
            pools: size(field::POOLS)?,
            pools_at: size(field::POOLS_AT)?,
            slots_at: size(field::SLOTS_AT)?,
            slots: size(field::SLOTS)?,
            numbers_at: size(field::NUMBERS_AT)?,
            numbers: size(field::NUMBERS)?,
            heap_at: size(field::HEAP_AT)?,
            defaults: size(field::DEFAULTS)?,
            on_demand: get(field::FLAGS)? & ON_DEMAND != 0,
            region,
        };
        let index = g.index_mask.wrapping_add(1);
        if g.features > bounds::FEATURES_MAX
            || g.pools > bounds::POOLS_MAX
            || !index.is_power_of_two()
            || g.slots == 0
            || (g.on_demand && g.numbers == 0)
            || g.index_at + index * 2 > g.region.words()
            || g.slots_at + g.slots > g.region.words()
            || g.numbers_at + g.numbers > g.region.words()
            || g.heap_at > g.region.words()
            || g.slots_at > g.region.words()
        {
            return Err(Error::Corrupt(
                "a rows file's header points outside the file",
            ));
        }
        if g.constant_hash()? != g.region.load(field::CHECK, Ordering::Relaxed)? {
            return Err(Error::Corrupt(
                "a rows file's header does not match its check",
            ));
        }
        Ok(g)
    }

    /// Hash of all that never changes: the header's constant words, features, pools.
    fn constant_hash(&self) -> std::result::Result<u64, Corrupt> {
        let mut words = Vec::with_capacity(self.slots_at);
        for i in (0..field::CHECK).chain(HEADER_WORDS..self.slots_at) {
            words.push(self.region.load(i, Ordering::Relaxed)?);
        }
        Ok(hash_words(self.generation, &words))
    }

    #[inline(always)]
    pub fn region(&self) -> &R {
        &self.region
    }

    #[inline(always)]
    pub fn pools(&self) -> usize {
        self.pools
    }

    #[inline(always)]
    pub fn heap_at(&self) -> usize {
        self.heap_at
    }

    /// Whether the customers here are some of many: others may be known where these came from.
    #[inline(always)]
    pub fn is_on_demand(&self) -> bool {
        self.on_demand
    }

    /// A feature's index.
    pub fn feature(&self, name: Key<'_>) -> std::result::Result<Option<usize>, Corrupt> {
        let hash = name.hash(self.seed);
        let mut i = hash as usize & self.index_mask;
        for _ in 0..=self.index_mask {
            // Relaxed (both): constant since before the generation was published.
            let place = self
                .region
                .load(self.index_at + i * 2 + 1, Ordering::Relaxed)?;
            if place == 0 {
                return Ok(None);
            }
            if self.region.load(self.index_at + i * 2, Ordering::Relaxed)? == hash {
                // [name_at:32 | len:16 | index + 1:16]
                let len = ((place >> 16) & 0xffff) as usize;
                if len == name.bytes().len() && name.equals(&self.region, (place >> 32) as usize)? {
                    let index = (place & 0xffff) as usize - 1;
                    return if index < self.features {
                        Ok(Some(index))
                    } else {
                        Err(Corrupt)
                    };
                }
            }
            i = (i + 1) & self.index_mask;
        }
        Ok(None)
    }

    pub fn feature_info(&self, feature: usize) -> std::result::Result<FeatureInfo, Corrupt> {
        if feature >= self.features {
            return Err(Corrupt);
        }
        let at = self.features_at + feature * FEATURE_WORDS;
        // Relaxed: constant.
        let get = |i| self.region.load(at + i, Ordering::Relaxed);
        let pool = get(3)? as usize;
        let rates = get(5)? as usize;
        if rates > bounds::RATES_MAX {
            return Err(Corrupt);
        }
        Ok(FeatureInfo {
            kind: Kind::from_code(get(2)?).ok_or(Corrupt)?,
            pool: pool.checked_sub(1),
            staleness: Staleness {
                when_stale: match get(6)? {
                    0 => WhenStale::Keep,
                    1 => WhenStale::Deny,
                    2 => WhenStale::Allow,
                    _ => return Err(Corrupt),
                },
                max_staleness_ms: get(7)?.checked_sub(1),
            },
            rates_at: get(4)? as usize,
            rates,
        })
    }

    /// Cost of one unit of a quantity, or `None` if the feature has no rate of that name.
    pub fn rate(
        &self,
        feature: FeatureInfo,
        quantity: &[u8],
    ) -> std::result::Result<Option<u64>, Corrupt> {
        let mut at = feature.rates_at;
        for _ in 0..feature.rates {
            // Relaxed: constant.
            let len = self.region.load(at, Ordering::Relaxed)? as usize;
            let cost = self.region.load(at + 1, Ordering::Relaxed)?;
            if len == quantity.len() {
                let same = match Key::new(quantity) {
                    None => len == 0,
                    Some(key) => key.equals(&self.region, at + 2)?,
                };
                if same {
                    return Ok(Some(cost));
                }
            }
            at = at.checked_add(2 + len.div_ceil(8)).ok_or(Corrupt)?;
        }
        Ok(None)
    }

    /// Names of a feature's quantities, for messages.
    pub fn quantities(&self, feature: FeatureInfo) -> std::result::Result<Vec<String>, Corrupt> {
        let mut at = feature.rates_at;
        let mut names = Vec::new();
        for _ in 0..feature.rates {
            // Relaxed: constant.
            let len = self.region.load(at, Ordering::Relaxed)? as usize;
            names.push(
                String::from_utf8(read_name(&self.region, at + 2, len)?).map_err(|_| Corrupt)?,
            );
            at = at.checked_add(2 + len.div_ceil(8)).ok_or(Corrupt)?;
        }
        Ok(names)
    }

    pub(crate) fn pool_info(&self, pool: usize) -> std::result::Result<PoolInfo, Corrupt> {
        if pool >= self.pools {
            return Err(Corrupt);
        }
        let at = self.pools_at + pool * POOL_WORDS;
        // Relaxed: constant.
        let get = |i| self.region.load(at + i, Ordering::Relaxed);
        Ok(PoolInfo {
            name_at: get(0)? as usize,
            name_len: get(1)? as usize,
            scale: get(2)?.min(u64::from(bounds::SCALE_MAX)) as u8,
            id: get(3)?,
        })
    }

    pub fn pool_name(&self, pool: usize) -> std::result::Result<String, Corrupt> {
        let info = self.pool_info(pool)?;
        String::from_utf8(read_name(&self.region, info.name_at, info.name_len)?)
            .map_err(|_| Corrupt)
    }

    /// The pool whose name hashes to `id`.
    pub(crate) fn pool_by_id(&self, id: u64) -> std::result::Result<Option<usize>, Corrupt> {
        for pool in 0..self.pools {
            if self.pool_info(pool)?.id == id {
                return Ok(Some(pool));
            }
        }
        Ok(None)
    }

    #[inline(always)]
    pub(super) fn slot_start(&self, hash: u64) -> usize {
        // The high bits choose the place (a multiplication, so that any number of slots will do), the low ones the tag.
        ((u128::from(hash) * self.slots as u128) >> 64) as usize
    }

    /// Hints where a key's slot is, for batches.
    #[inline(always)]
    pub fn prefetch_slot(&self, hash: u64) {
        self.region.prefetch(self.slots_at + self.slot_start(hash));
    }

    #[inline(always)]
    pub fn hash(&self, key: Key<'_>) -> u64 {
        key.hash(self.seed)
    }

    /// The row of a key of any kind.
    #[inline(always)]
    pub fn find(&self, key: Key<'_>, hash: u64) -> std::result::Result<Option<Row>, Corrupt> {
        Ok(self.find_slot(key, hash)?.map(|(_, _, row)| row))
    }

    /// The number that a key leads to, an alias's too.
    #[inline(always)]
    pub fn number_of(&self, key: Key<'_>, hash: u64) -> std::result::Result<Option<u32>, Corrupt> {
        let row = self.find(key, hash)?;
        let row = row.filter(|row| row.kind() != RowKind::Gone as u64);
        Ok(row.map(Row::number))
    }

    /// The slot of a key, its word and its row, for callers that ask for the same key again: a slot belongs to its key for
    /// the life of the file, and while its word is the same, so is the row.
    #[inline(always)]
    pub fn find_slot(
        &self,
        key: Key<'_>,
        hash: u64,
    ) -> std::result::Result<Option<(usize, u64, Row)>, Corrupt> {
        let mut slot = self.slot_start(hash);
        for _ in 0..PROBES_MAX {
            let word = self.slot_word(self.slots_at + slot)?;
            if word == 0 {
                return Ok(None);
            }
            if word >> TAG_SHIFT == hash & 0xff_ffff {
                let row = self.row_of(word)?;
                if row.is(&self.region, key)? {
                    return Ok(Some((self.slots_at + slot, word, row)));
                }
            }
            slot += 1;
            if slot == self.slots {
                slot = 0;
            }
        }
        Err(Corrupt)
    }

    /// The word of a slot that [`Generation::find_slot`] found.
    #[inline(always)]
    pub fn slot_word(&self, slot: usize) -> std::result::Result<u64, Corrupt> {
        // Acquire: as in `find`.
        self.region.load(slot, Ordering::Acquire)
    }

    /// The row that a slot's word points to.
    #[inline(always)]
    pub fn row_of(&self, word: u64) -> std::result::Result<Row, Corrupt> {
        Row::load(&self.region, self.heap_at + (word & ROW_MASK) as usize)
    }

    /// The customer that a key names, an alias followed.
    #[inline(always)]
    pub fn customer(&self, key: Key<'_>) -> std::result::Result<Option<Row>, Corrupt> {
        match self.find(key, self.hash(key))? {
            Some(row) if row.kind() == RowKind::Customer as u64 => Ok(Some(row)),
            Some(row) if row.kind() == RowKind::Alias as u64 => self.by_number(row.number()),
            _ => Ok(None),
        }
    }

    /// Hints where a customer's word is, for batches.
    #[inline(always)]
    pub(crate) fn prefetch_number(&self, number: u32) {
        let at = if self.on_demand {
            self.number_start(number)
        } else {
            number as usize
        };
        self.region.prefetch(self.numbers_at + at);
    }

    #[inline(always)]
    pub(super) fn number_start(&self, number: u32) -> usize {
        ((u128::from(hash_number(self.seed, number)) * self.numbers as u128) >> 64) as usize
    }

    /// The place of a customer's row where numbers are hashed. The row says whose it is.
    #[inline(never)]
    fn place_hashed(&self, number: u32) -> std::result::Result<u64, Corrupt> {
        let mut i = self.number_start(number);
        for _ in 0..PROBES_MAX {
            // Acquire: as in `find`.
            let place = self.region.load(self.numbers_at + i, Ordering::Acquire)?;
            if place == 0 {
                return Ok(0);
            }
            if place != VACATED && self.number_at(place)? == number {
                return Ok(place);
            }
            i += 1;
            if i == self.numbers {
                i = 0;
            }
        }
        Err(Corrupt)
    }

    /// Whose row is at a place.
    pub(super) fn number_at(&self, place: u64) -> std::result::Result<u32, Corrupt> {
        let at = self.heap_at.checked_add(place as usize).ok_or(Corrupt)?;
        Ok(Row::load(&self.region, at)?.number())
    }

    /// Where a customer's row is: words from the heap's start, zero for none.
    #[inline(always)]
    pub(crate) fn place(&self, number: u32) -> std::result::Result<u64, Corrupt> {
        if self.on_demand {
            return self.place_hashed(number);
        }
        if number as usize >= self.numbers {
            return Ok(0);
        }
        // Acquire: as in `find`.
        self.region
            .load(self.numbers_at + number as usize, Ordering::Acquire)
    }

    #[inline(always)]
    pub(crate) fn prefetch_row(&self, place: u64) {
        self.region
            .prefetch(self.heap_at.wrapping_add(place as usize));
    }

    #[inline(always)]
    pub(crate) fn row_at(&self, place: u64) -> std::result::Result<Option<Row>, Corrupt> {
        if place == 0 {
            return Ok(None);
        }
        let at = self.heap_at.checked_add(place as usize).ok_or(Corrupt)?;
        let row = Row::load(&self.region, at)?;
        Ok((row.kind() == RowKind::Customer as u64).then_some(row))
    }

    #[inline(always)]
    pub(crate) fn by_number(&self, number: u32) -> std::result::Result<Option<Row>, Corrupt> {
        self.row_at(self.place(number)?)
    }

    /// The entry a customer without a row has of a feature: the catalog's default.
    #[inline(always)]
    pub(crate) fn default_entry(
        &self,
        feature: usize,
    ) -> std::result::Result<entry::Entry, Corrupt> {
        let profile = self.heap_at + self.defaults;
        entry::Entry::load(
            &self.region,
            profile + entry::PROFILE_HEADER + feature * entry::ENTRY_WORDS,
            profile,
        )
    }

    /// The number of slots in use, and of all.
    pub(crate) fn load_factor(&self) -> std::result::Result<(usize, usize), Corrupt> {
        // Relaxed: a figure for the owner and for status.
        Ok((
            self.region.load(field::SLOTS_USED, Ordering::Relaxed)? as usize,
            self.slots,
        ))
    }

    /// Calls `each` with every row that a slot points to.
    pub(crate) fn for_each_row(&self, mut each: impl FnMut(Row) -> Result<()>) -> Result<()> {
        for i in 0..self.slots {
            // Acquire: as in `find`.
            let slot = self.region.load(self.slots_at + i, Ordering::Acquire)?;
            if slot != 0 {
                each(Row::load(
                    &self.region,
                    self.heap_at + (slot & ROW_MASK) as usize,
                )?)?;
            }
        }
        Ok(())
    }
}
