//! Entries, profiles and overlays: resolved settings as words.
//!
//! An *entry* is what one customer has of one feature, four words, ready to answer:
//!
//! ```text
//! word 0  [pool:16 from bit 16 | value tag:4 | source:4 | kind:4 | guarded:1 unlimited:1 countable:1 allowed:1]
//! word 1  cost of one unit of the unnamed quantity, in pool units (countable)
//! word 2  number; boolean; or where a text starts, in words from the start of its block
//! word 3  bytes of the text
//! ```
//!
//! A *profile* is one entry for each feature: shared by all customers with the same plan, trial and add-ons. An
//! *overlay* holds the entries in which one customer differs: a 16-bit index for each feature, then the entries. So
//! finding an entry is one or two loads, whatever the size of the catalog or the number of overrides.

use crate::catalog::{Catalog, Form, Kind, Setting, bounds};
use crate::error::{Corrupt, Error};
use crate::key::hash_words;
use crate::region::Words;
use crate::resolve::{Resolved, Source};
use crate::sync::Ordering;

pub(crate) const ENTRY_WORDS: usize = 4;
/// A profile's header: [features:16 | check:16 | words:32]. An overlay's has no check: its row has one.
pub(crate) const PROFILE_HEADER: usize = 1;

pub(crate) const ALLOWED: u64 = 1;
pub(crate) const COUNTABLE: u64 = 1 << 1;
pub(crate) const UNLIMITED: u64 = 1 << 2;
/// The feature has a bound on how old the answer may be: it takes a clock, so no fast path answers it.
pub(crate) const GUARDED: u64 = 1 << 3;
const KIND_SHIFT: u32 = 4;
const KIND_MASK: u64 = 0xf;
const _: () = {
    let mut at = 0;
    while at < Kind::ALL.len() {
        assert!(
            Kind::ALL[at] as u64 <= KIND_MASK,
            "a kind's number has four bits"
        );
        at += 1;
    }
};
const SOURCE_SHIFT: u32 = 8;
const VALUE_SHIFT: u32 = 12;
const POOL_SHIFT: u32 = 16;
const CHECK_SHIFT: u32 = 32;

/// In word 1: the feature has no unnamed quantity; a burn must name its quantities.
pub const NO_COST: u64 = u64::MAX;

/// Word 0 of an entry, and where the entry is.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Where the entry's words start.
    pub at: usize,
    /// Where the block starts that texts are counted from.
    pub block: usize,
    pub flags: u64,
}

/// A value as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    None,
    Unlimited,
    Number(i64),
    Bool(bool),
    Text(String),
}

impl Entry {
    #[inline(always)]
    pub(crate) fn load<R: Words + ?Sized>(
        region: &R,
        at: usize,
        block: usize,
    ) -> Result<Entry, Corrupt> {
        // Relaxed: blocks are immutable once published; the Acquire load of the slot that led here orders this.
        Ok(Entry {
            at,
            block,
            flags: region.load(at, Ordering::Relaxed)?,
        })
    }

    pub(crate) fn kind(self) -> Option<Kind> {
        Kind::from_code((self.flags >> KIND_SHIFT) & KIND_MASK)
    }

    pub(crate) fn source(self) -> Option<Source> {
        Source::from_u8(((self.flags >> SOURCE_SHIFT) & 0xf) as u8)
    }

    #[inline(always)]
    pub(crate) fn pool(self) -> usize {
        ((self.flags >> POOL_SHIFT) & 0xffff) as usize
    }

    /// Cost of one unit of the unnamed quantity.
    #[inline(always)]
    pub(crate) fn cost<R: Words + ?Sized>(self, region: &R) -> Result<u64, Corrupt> {
        // Relaxed: as in `load`.
        region.load(self.at + 1, Ordering::Relaxed)
    }

    pub fn value<R: Words + ?Sized>(self, region: &R) -> Result<Value, Corrupt> {
        // Relaxed: as in `load`.
        let word = region.load(self.at + 2, Ordering::Relaxed)?;
        Ok(match (self.flags >> VALUE_SHIFT) & 0xf {
            0 => Value::None,
            2 => Value::Unlimited,
            3 => Value::Number(word as i64),
            4 => {
                let len = region.load(self.at + 3, Ordering::Relaxed)? as usize;
                if len > bounds::TEXT_BYTES_MAX {
                    return Err(Corrupt);
                }
                let start = self.block.checked_add(word as usize).ok_or(Corrupt)?;
                let mut bytes = Vec::with_capacity(len.next_multiple_of(8));
                for i in 0..len.div_ceil(8) {
                    bytes.extend_from_slice(
                        &region.load(start + i, Ordering::Relaxed)?.to_le_bytes(),
                    );
                }
                bytes.truncate(len);
                Value::Text(String::from_utf8(bytes).map_err(|_| Corrupt)?)
            }
            5 => Value::Bool(word != 0),
            _ => return Err(Corrupt),
        })
    }
}

/// Writes one entry at `words[at..]`; a text is appended to `words`, counted from the start of `words`.
fn encode(catalog: &Catalog, feature: usize, resolved: &Resolved, words: &mut Vec<u64>, at: usize) {
    let f = &catalog.features[feature];
    let free = f.kind.form() == Form::Value; // Any number is one; elsewhere zero is nothing.
    let allowed = match &resolved.setting {
        Setting::Off | Setting::Bool(false) => false,
        Setting::Number(n) => free || *n > 0,
        Setting::On | Setting::Unlimited | Setting::Text(_) | Setting::Bool(true) => true,
    };
    let (tag, number, len) = match &resolved.setting {
        Setting::Off if f.kind.has_bound() => (3, 0, 0),
        Setting::Off | Setting::On => (0, 0, 0),
        Setting::Unlimited => (2, 0, 0),
        Setting::Number(n) if free => (3, *n as u64, 0),
        Setting::Number(n) => (3, (*n).max(0) as u64, 0),
        Setting::Bool(b) => (5, u64::from(*b), 0),
        Setting::Text(text) => {
            let start = words.len();
            for chunk in text.as_bytes().chunks(8) {
                let mut word = [0u8; 8];
                word[..chunk.len()].copy_from_slice(chunk);
                words.push(u64::from_le_bytes(word));
            }
            (4, start as u64, text.len() as u64)
        }
    };
    let mut flags = (u64::from(allowed) * ALLOWED)
        | (f.kind.code() << KIND_SHIFT)
        | ((resolved.source as u64) << SOURCE_SHIFT)
        | (tag << VALUE_SHIFT);
    let mut cost = 0;
    if let (true, Some(pool)) = (f.kind.is_countable(), f.pool) {
        flags |= COUNTABLE | (pool as u64) << POOL_SHIFT;
        cost = f
            .rates
            .iter()
            .find(|r| r.quantity.is_empty())
            .map_or(NO_COST, |r| r.cost);
    }
    if resolved.setting == Setting::Unlimited {
        flags |= UNLIMITED;
    }
    if f.staleness.bound().is_some() {
        flags |= GUARDED;
    }
    words[at..at + ENTRY_WORDS].copy_from_slice(&[flags, cost, number, len]);
}

/// A profile: an entry for each feature, in order.
pub fn profile(catalog: &Catalog, resolve: impl Fn(usize) -> Resolved) -> Vec<u64> {
    let n = catalog.features.len();
    let mut words = vec![0; PROFILE_HEADER + n * ENTRY_WORDS];
    for feature in 0..n {
        encode(
            catalog,
            feature,
            &resolve(feature),
            &mut words,
            PROFILE_HEADER + feature * ENTRY_WORDS,
        );
    }
    words[0] = (n as u64) << 48 | words.len() as u64;
    // One profile serves many customers, so damage to it must not go unnoticed when the rows are adopted.
    words[0] |= check(&words) << CHECK_SHIFT;
    words
}

/// The 16-bit check over a block whose check field is zero.
fn check(words: &[u64]) -> u64 {
    hash_words(0, words) >> 48
}

/// How many words a block has, by its header.
pub(crate) fn block_words(header: u64) -> usize {
    (header & 0xffff_ffff) as usize
}

/// Whether a profile is as it was written.
pub(crate) fn is_sealed(profile: &[u64]) -> bool {
    let Some(&header) = profile.first() else {
        return false;
    };
    let mut words = profile.to_vec();
    words[0] &= !(0xffff << CHECK_SHIFT);
    check(&words) == (header >> CHECK_SHIFT) & 0xffff
}

/// Reads a profile, checked: its header says how long it is.
pub(crate) fn read_profile<R: Words>(region: &R, at: usize) -> Result<Vec<u64>, Error> {
    // Relaxed (both): blocks are immutable, and the owner, who asks, wrote them.
    let len = block_words(region.load(at, Ordering::Relaxed)?);
    if len == 0 || len > region.words() {
        return Err(Corrupt.into());
    }
    let words = (0..len)
        .map(|i| region.load(at + i, Ordering::Relaxed))
        .collect::<Result<Vec<_>, _>>()?;
    if !is_sealed(&words) {
        return Err(Error::Corrupt("a profile does not match its check"));
    }
    Ok(words)
}

/// Words of an overlay's index over `features` features.
#[inline(always)]
pub(crate) fn index_words(features: usize) -> usize {
    features.div_ceil(4)
}

/// An overlay: header as a profile's, the 16-bit index, the entries that differ.
pub(crate) fn overlay(catalog: &Catalog, differs: &[(usize, Resolved)]) -> Vec<u64> {
    let n = catalog.features.len();
    let entries_at = PROFILE_HEADER + index_words(n);
    let mut words = vec![0; entries_at + differs.len() * ENTRY_WORDS];
    for (i, (feature, resolved)) in differs.iter().enumerate() {
        words[PROFILE_HEADER + feature / 4] |= (i as u64 + 1) << (16 * (feature % 4));
        encode(
            catalog,
            *feature,
            resolved,
            &mut words,
            entries_at + i * ENTRY_WORDS,
        );
    }
    words[0] = (n as u64) << 48 | words.len() as u64;
    words
}

/// The 16-bit entry number `index` of an index that starts at word `at`.
#[inline(always)]
pub(crate) fn indexed<R: Words + ?Sized>(
    region: &R,
    at: usize,
    index: usize,
) -> Result<usize, Corrupt> {
    // Relaxed: immutable once published.
    let word = region.load(at + index / 4, Ordering::Relaxed)?;
    Ok(((word >> (16 * (index % 4))) & 0xffff) as usize)
}
