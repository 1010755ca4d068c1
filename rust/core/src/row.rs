//! Rows: what one customer has, as immutable words.
//!
//! ```text
//! word 0  [number:32 | words:16 | phases:8 | flags:6 | kind:2]
//! word 1  [check:16 | profile:38 | key bytes:10]
//! word 2  hash of the record it was made from
//! …       key, padded with zeros
//! …       if flag REFS:  [refs], an index of 16 bits per pool, then one word per ref [lease:32 | cell:32]
//! …       if flag PHASED: phases × [until_ms], [overlay:26 | profile:38]; then the overlays
//! ```
//!
//! Offsets of profiles count words from the heap's start; offsets of overlays from the row's. A *phase* is the state
//! of the row until an instant: a trial's end, an override's expiry. The last one has no end. A row with one phase and
//! no overlay (nearly all of them) keeps its profile in word 1 and never reads a clock.

use crate::entry::{self, ENTRY_WORDS, Entry, PROFILE_HEADER, index_words};
use crate::error::{Corrupt, Error, Result};
use crate::key::{Key, hash_words};
use crate::region::Words;
use crate::sync::Ordering;

pub(crate) const HEADER_WORDS: usize = 3;
/// Words of one row: what 16 bits count.
pub(crate) const ROW_WORDS_MAX: usize = u16::MAX as usize;
/// Phases of one row. A customer whose settings change more often than that is refused before it gets here.
pub(crate) const PHASES_MAX: usize = 250;
/// Offset of a profile: what 38 bits count.
pub(crate) const PROFILE_MAX: u64 = (1 << 38) - 1;
const PROFILE_SHIFT: u32 = 10;
const KEY_MASK: u64 = (1 << PROFILE_SHIFT) - 1;
const CHECK_SHIFT: u32 = 48;
const OVERLAY_SHIFT: u32 = 38;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum RowKind {
    Customer = 1,
    /// Another key of the customer whose number is in word 0.
    Alias = 2,
    /// A key that nobody has any more.
    Gone = 3,
}

pub(crate) const KIND_MASK: u64 = 3;
pub(crate) const REFS: u64 = 1 << 2;
pub(crate) const PHASED: u64 = 1 << 3;
const PHASES_SHIFT: u32 = 8;
const WORDS_SHIFT: u32 = 16;
const NUMBER_SHIFT: u32 = 32;

/// One phase while a row is being made.
#[derive(Clone, Debug)]
pub struct Phase {
    /// `None`: no end.
    pub until_ms: Option<i64>,
    /// Offset of the profile in the heap.
    pub profile: u64,
    /// The overlay's words, if any.
    pub overlay: Option<Vec<u64>>,
}

/// A lease's place: which cell, which lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ref {
    pub pool: usize,
    pub cell: u32,
    pub lease: u32,
}

/// Makes a row's words. `pools` is how many pools the catalog has.
pub fn encode(
    kind: RowKind,
    number: u32,
    key: Key<'_>,
    record: u64,
    refs: &[Ref],
    pools: usize,
    phases: &[Phase],
) -> Result<Vec<u64>> {
    let simple = phases.len() <= 1 && phases.iter().all(|p| p.overlay.is_none());
    let mut words = vec![0; HEADER_WORDS];
    words.extend((0..key.words()).map(|i| key.word(i)));
    let mut flags = kind as u64;
    if !refs.is_empty() {
        flags |= REFS;
        words.push(refs.len() as u64);
        let index = words.len();
        words.resize(index + index_words(pools), 0);
        for (i, r) in refs.iter().enumerate() {
            words[index + r.pool / 4] |= (i as u64 + 1) << (16 * (r.pool % 4));
            words.push(u64::from(r.lease) << 32 | u64::from(r.cell));
        }
    }
    if !simple {
        flags |= PHASED;
        let at = words.len();
        words.resize(at + phases.len() * 2, 0);
        for (i, phase) in phases.iter().enumerate() {
            let overlay = match &phase.overlay {
                None => 0,
                Some(block) => {
                    let start = words.len();
                    words.extend_from_slice(block);
                    start
                }
            };
            words[at + i * 2] = phase.until_ms.unwrap_or(i64::MAX) as u64;
            words[at + i * 2 + 1] = (overlay as u64) << OVERLAY_SHIFT | phase.profile;
        }
    }
    if words.len() > ROW_WORDS_MAX {
        return Err(Error::Full(
            "a customer's overrides take more room than a row has",
        ));
    }
    let profile = phases.first().map_or(0, |p| p.profile);
    if profile > PROFILE_MAX {
        return Err(Error::Full("profiles"));
    }
    words[0] = u64::from(number) << NUMBER_SHIFT
        | (words.len() as u64) << WORDS_SHIFT
        | (phases.len() as u64) << PHASES_SHIFT
        | flags;
    words[1] = profile << PROFILE_SHIFT | key.bytes().len() as u64;
    words[2] = record;
    words[1] |= check(&words) << CHECK_SHIFT;
    Ok(words)
}

/// The 16-bit check over a row whose check field is zero.
fn check(words: &[u64]) -> u64 {
    hash_words(0, words) >> 48
}

/// A row in a generation file.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Where its words start.
    pub at: usize,
    pub w0: u64,
    pub w1: u64,
}

impl Row {
    #[inline(always)]
    pub(crate) fn load<R: Words + ?Sized>(
        region: &R,
        at: usize,
    ) -> core::result::Result<Row, Corrupt> {
        // Relaxed: a row is immutable once published; the Acquire load of the slot that led here orders these.
        Ok(Row {
            at,
            w0: region.load(at, Ordering::Relaxed)?,
            w1: region.load(at + 1, Ordering::Relaxed)?,
        })
    }

    #[inline(always)]
    pub fn kind(self) -> u64 {
        self.w0 & KIND_MASK
    }

    #[inline(always)]
    pub fn number(self) -> u32 {
        (self.w0 >> NUMBER_SHIFT) as u32
    }

    #[inline(always)]
    pub(crate) fn key_len(self) -> usize {
        (self.w1 & KEY_MASK) as usize
    }

    /// The one profile of a row without phases; `None`: its phases say.
    pub(crate) fn profile(self) -> Option<u64> {
        (self.w0 & PHASED == 0).then_some((self.w1 >> PROFILE_SHIFT) & PROFILE_MAX)
    }

    pub(crate) fn words(self) -> usize {
        ((self.w0 >> WORDS_SHIFT) & 0xffff) as usize
    }

    #[inline(always)]
    fn refs_at(self) -> usize {
        self.at + HEADER_WORDS + self.key_len().div_ceil(8)
    }

    #[inline(always)]
    pub(crate) fn is<R: Words + ?Sized>(
        self,
        region: &R,
        key: Key<'_>,
    ) -> core::result::Result<bool, Corrupt> {
        Ok(self.key_len() == key.bytes().len() && key.equals(region, self.at + HEADER_WORDS)?)
    }

    /// Hash of the record the row was made from.
    pub(crate) fn record<R: Words + ?Sized>(
        self,
        region: &R,
    ) -> core::result::Result<u64, Corrupt> {
        // Relaxed: immutable.
        region.load(self.at + 2, Ordering::Relaxed)
    }

    /// The lease of a pool: [lease:32 | cell:32], or `None` if this host holds none.
    #[inline(always)]
    pub(crate) fn lease_of<R: Words + ?Sized>(
        self,
        region: &R,
        pool: usize,
        pools: usize,
    ) -> core::result::Result<Option<u64>, Corrupt> {
        if self.w0 & REFS == 0 {
            return Ok(None);
        }
        if pool >= pools {
            return Err(Corrupt);
        }
        let index = self.refs_at() + 1;
        let i = entry::indexed(region, index, pool)?;
        if i == 0 {
            return Ok(None);
        }
        // Relaxed: immutable.
        Ok(Some(region.load(
            index + index_words(pools) + i - 1,
            Ordering::Relaxed,
        )?))
    }

    /// Where the entries start, of a customer's row that has one phase and no overlay. `None`: look closer.
    #[inline(always)]
    pub fn entries_at(self, heap: usize) -> Option<usize> {
        if self.w0 & (KIND_MASK | PHASED) != RowKind::Customer as u64 {
            return None;
        }
        Some(heap + ((self.w1 >> PROFILE_SHIFT) & PROFILE_MAX) as usize + PROFILE_HEADER)
    }

    /// The entry of a feature at the instant that `now_ms` tells; it is asked only if the answer depends on it.
    #[inline(always)]
    pub(crate) fn entry<R: Words + ?Sized>(
        self,
        region: &R,
        heap: usize,
        feature: usize,
        pools: usize,
        now_ms: impl FnOnce() -> u64,
    ) -> core::result::Result<Entry, Corrupt> {
        if self.w0 & PHASED == 0 {
            let profile = heap + ((self.w1 >> PROFILE_SHIFT) & PROFILE_MAX) as usize;
            return Entry::load(
                region,
                profile + PROFILE_HEADER + feature * ENTRY_WORDS,
                profile,
            );
        }
        self.phased_entry(region, heap, feature, pools, now_ms)
    }

    /// Where the phases start, and how many there are.
    fn phases<R: Words + ?Sized>(
        self,
        region: &R,
        pools: usize,
    ) -> core::result::Result<(usize, usize), Corrupt> {
        let mut at = self.refs_at();
        if self.w0 & REFS != 0 {
            // Relaxed: immutable.
            let refs = region.load(at, Ordering::Relaxed)? as usize;
            // At most one per pool, so no sum below can overflow.
            if refs > pools {
                return Err(Corrupt);
            }
            at += 1 + index_words(pools) + refs;
        }
        Ok((at, ((self.w0 >> PHASES_SHIFT) & 0xff) as usize))
    }

    fn phased_entry<R: Words + ?Sized>(
        self,
        region: &R,
        heap: usize,
        feature: usize,
        pools: usize,
        now_ms: impl FnOnce() -> u64,
    ) -> core::result::Result<Entry, Corrupt> {
        let (at, count) = self.phases(region, pools)?;
        let mut phase = at;
        if count > 1 {
            let now = now_ms() as i64;
            // Phases are few; the last has no end.
            // Relaxed (here and below): immutable.
            while phase < at + (count - 1) * 2
                && region.load(phase, Ordering::Relaxed)? as i64 <= now
            {
                phase += 2;
            }
        }
        let word = region.load(phase + 1, Ordering::Relaxed)?;
        let overlay = (word >> OVERLAY_SHIFT) as usize;
        if overlay != 0 {
            let block = self.at + overlay;
            let index = block + PROFILE_HEADER;
            let i = entry::indexed(region, index, feature)?;
            if i != 0 {
                let features = (region.load(block, Ordering::Relaxed)? >> 48) as usize;
                return Entry::load(
                    region,
                    index + index_words(features) + (i - 1) * ENTRY_WORDS,
                    block,
                );
            }
        }
        let profile = heap + (word & PROFILE_MAX) as usize;
        Entry::load(
            region,
            profile + PROFILE_HEADER + feature * ENTRY_WORDS,
            profile,
        )
    }

    /// All its words, checked against the row's own check.
    pub(crate) fn read<R: Words + ?Sized>(
        self,
        region: &R,
    ) -> core::result::Result<Vec<u64>, Corrupt> {
        let n = self.words();
        if n < HEADER_WORDS
            || self
                .at
                .checked_add(n)
                .is_none_or(|end| end > region.words())
        {
            return Err(Corrupt);
        }
        // Relaxed: immutable.
        let mut words = (0..n)
            .map(|i| region.load(self.at + i, Ordering::Relaxed))
            .collect::<core::result::Result<Vec<_>, _>>()?;
        let stored = words[1] >> CHECK_SHIFT;
        words[1] &= (1 << CHECK_SHIFT) - 1;
        if check(&words) != stored || HEADER_WORDS + self.key_len().div_ceil(8) > n {
            return Err(Corrupt);
        }
        words[1] |= stored << CHECK_SHIFT;
        Ok(words)
    }

    /// The row taken apart again, to be encoded with other refs or other profile offsets.
    pub fn parts<R: Words + ?Sized>(
        self,
        region: &R,
        pools: usize,
    ) -> core::result::Result<Parts, Corrupt> {
        let words = self.read(region)?;
        let local = words.as_slice();
        let row = Row { at: 0, ..self };
        let key = crate::key::read_name(local, HEADER_WORDS, self.key_len())?;
        let mut refs = Vec::new();
        if self.w0 & REFS != 0 {
            for pool in 0..pools {
                if let Some(word) = row.lease_of(local, pool, pools)? {
                    refs.push(Ref {
                        pool,
                        cell: word as u32,
                        lease: (word >> 32) as u32,
                    });
                }
            }
        }
        let mut phases = Vec::new();
        if self.w0 & PHASED == 0 {
            phases.push(Phase {
                until_ms: None,
                profile: (self.w1 >> PROFILE_SHIFT) & PROFILE_MAX,
                overlay: None,
            });
        } else {
            let (at, count) = row.phases(local, pools)?;
            for i in 0..count {
                let word = local.load(at + i * 2 + 1, Ordering::Relaxed)?;
                let start = (word >> OVERLAY_SHIFT) as usize;
                let overlay = if start == 0 {
                    None
                } else {
                    let len = entry::block_words(local.load(start, Ordering::Relaxed)?);
                    Some(
                        words
                            .get(start..start.saturating_add(len))
                            .ok_or(Corrupt)?
                            .to_vec(),
                    )
                };
                let until = local.load(at + i * 2, Ordering::Relaxed)? as i64;
                phases.push(Phase {
                    until_ms: (i + 1 < count).then_some(until),
                    profile: word & PROFILE_MAX,
                    overlay,
                });
            }
        }
        Ok(Parts {
            kind: self.kind(),
            number: self.number(),
            key,
            record: words[2],
            refs,
            phases,
        })
    }
}

/// A row taken apart.
#[derive(Debug)]
pub struct Parts {
    pub kind: u64,
    pub number: u32,
    pub key: Vec<u8>,
    pub record: u64,
    pub refs: Vec<Ref>,
    pub phases: Vec<Phase>,
}

#[cfg(test)]
#[path = "row_tests.rs"]
mod tests;
