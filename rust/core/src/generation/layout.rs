//! Where things are in a rows file, and what its layout is called.

use crate::entry;
use crate::row;

pub(super) const MAGIC: u64 = u64::from_le_bytes(*b"FCROWS01");
pub(super) const HEADER_WORDS: usize = 64;
pub(super) const FEATURE_WORDS: usize = 8;
pub(super) const POOL_WORDS: usize = 8;
pub(super) const TAG_SHIFT: u32 = 40;
pub(super) const ROW_MASK: u64 = (1 << TAG_SHIFT) - 1;
/// Slots looked at before a table counts as damaged. Tables are kept at most 7/8 full with linear probing.
pub(super) const PROBES_MAX: usize = 1 << 16;
/// In the header's flags: the customers held are some of many, and their numbers are hashed.
pub(super) const ON_DEMAND: u64 = 1;
/// A word of hashed numbers whose customer went away: searches go on past it.
pub(super) const VACATED: u64 = u64::MAX;

/// Changes whenever anything in a rows file changes its meaning.
pub(super) const LAYOUT: u64 = {
    let parts = [
        3,
        HEADER_WORDS,
        FEATURE_WORDS,
        POOL_WORDS,
        row::HEADER_WORDS,
        entry::ENTRY_WORDS,
    ];
    let mut h: u64 = 0xcbf2_9ce4_8422_2325;
    let mut i = 0;
    while i < parts.len() {
        h = (h ^ parts[i] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        i += 1;
    }
    h
};

pub(super) mod field {
    pub(crate) const MAGIC: usize = 0;
    pub(crate) const LAYOUT: usize = 1;
    pub(crate) const ARENA: usize = 2;
    pub(crate) const GENERATION: usize = 3;
    pub(crate) const SEED: usize = 4;
    pub(crate) const CATALOG: usize = 5;
    pub(crate) const FEATURES: usize = 6;
    pub(crate) const FEATURES_AT: usize = 7;
    pub(crate) const INDEX_AT: usize = 8;
    pub(crate) const INDEX_CAP: usize = 9;
    pub(crate) const POOLS: usize = 10;
    pub(crate) const POOLS_AT: usize = 11;
    pub(crate) const SLOTS_AT: usize = 12;
    pub(crate) const SLOTS: usize = 13;
    pub(crate) const NUMBERS_AT: usize = 14;
    pub(crate) const NUMBERS: usize = 15;
    pub(crate) const HEAP_AT: usize = 16;
    pub(crate) const DEFAULTS: usize = 17;
    pub(crate) const FLAGS: usize = 18;
    /// Hash of the other constant words and of the features and pools.
    pub(crate) const CHECK: usize = 31;
    pub(crate) const HEAP_USED: usize = 32;
    pub(crate) const SLOTS_USED: usize = 33;
    /// Of hashed numbers: words in use, vacated ones included.
    pub(crate) const NUMBERS_USED: usize = 34;
}
