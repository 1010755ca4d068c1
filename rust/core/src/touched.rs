//! `touched`: which customers were looked up since the owner last made room, on hosts that hold some of many.
//!
//! ```text
//! word 0  magic
//! word 1  layout
//! word 2  the arena's id
//! word 3  how many bits follow
//! word 8… bits, a customer's chosen by the hash of its number
//! ```
//!
//! A checker: sets the customer's bit where it looks one up by its name, and not where it remembers what it found; what it
//! remembers is bound to a generation, and making room makes a new one, so who is in use is looked up again.
//! The owner: reads the bits to choose who goes, clears them all, and only then publishes the new generation.
//!
//! A bit is a hint. One that is lost, or set by another customer with the same bit, costs a customer its place or
//! keeps it, and nothing else.

use std::path::Path;

use crate::error::{Corrupt, Error, Result};
use crate::key::hash_number;
use crate::map::{Access, MapRegion};
use crate::paths::{rename, touched_path};
use crate::region::Region;
use crate::sync::Ordering;

const MAGIC: u64 = u64::from_le_bytes(*b"FCTOUCH1");
const LAYOUT: u64 = 1;
const HEADER_WORDS: usize = 8;
/// Bits for each customer that may be held: one in sixteen of those untouched shares its bit with one that was.
const BITS_PER_CUSTOMER: u64 = 16;

/// The bits over some region.
#[derive(Debug)]
pub(crate) struct Touched<R: Region> {
    region: R,
    arena: u64,
    bits: u64,
}

impl<R: Region> Touched<R> {
    /// Checks a file of the arena.
    pub(crate) fn open(region: R, arena: u64) -> Result<Touched<R>> {
        // Relaxed (all): constant since before the file got its name.
        let get = |i| region.load(i, Ordering::Relaxed);
        let bits = get(3)?;
        let room = (region.words() as u64).saturating_sub(HEADER_WORDS as u64);
        if get(0)? != MAGIC || get(1)? != LAYOUT || get(2)? != arena {
            return Err(Error::Corrupt("the file of touched customers is another's"));
        }
        if bits == 0 || bits.div_ceil(64) > room {
            return Err(Error::Corrupt("the file of touched customers is too short"));
        }
        Ok(Touched {
            region,
            arena,
            bits,
        })
    }

    fn place(&self, number: u32) -> (usize, u64) {
        let hash = u128::from(hash_number(self.arena, number));
        let bit = ((hash * u128::from(self.bits)) >> 64) as u64;
        (HEADER_WORDS + (bit / 64) as usize, 1 << (bit % 64))
    }

    /// The customer is in use.
    pub(crate) fn mark(&self, number: u32) {
        let (at, bit) = self.place(number);
        // A place outside the file would be a file that changed its size: then there is nothing to mark.
        if let Ok(word) = self.region.word(at)
            // Relaxed (both): a hint; nothing is read by way of it. Nearly always the bit is there, and nobody's line moves.
            && word.load(Ordering::Relaxed) & bit == 0
        {
            word.fetch_or(bit, Ordering::Relaxed);
        }
    }

    /// Whether somebody with the customer's bit was in use.
    pub(crate) fn is_marked(&self, number: u32) -> std::result::Result<bool, Corrupt> {
        let (at, bit) = self.place(number);
        // Relaxed: a hint.
        Ok(self.region.load(at, Ordering::Relaxed)? & bit != 0)
    }

    /// Forgets all.
    pub(crate) fn clear(&self) -> std::result::Result<(), Corrupt> {
        for word in 0..self.bits.div_ceil(64) as usize {
            // Relaxed: a hint; the generation that is published next is what readers wait for.
            self.region
                .store(HEADER_WORDS + word, 0, Ordering::Relaxed)?;
        }
        Ok(())
    }
}

impl Touched<MapRegion> {
    /// Maps the file of the arena in `dir`.
    pub(crate) fn attach(dir: &Path, arena: u64) -> Result<Touched<MapRegion>> {
        Touched::open(MapRegion::open(&touched_path(dir), Access::Write)?, arena)
    }

    /// The file for so many customers: the one that is there if it fits, else a new one.
    pub(crate) fn make(dir: &Path, arena: u64, customers: u32) -> Result<Touched<MapRegion>> {
        let bits = u64::from(customers.max(1)) * BITS_PER_CUSTOMER;
        if let Ok(found) = Touched::attach(dir, arena)
            && found.bits == bits
        {
            return Ok(found);
        }
        let path = touched_path(dir);
        let fresh = path.with_extension("new");
        let _ = std::fs::remove_file(&fresh);
        let region = MapRegion::create(&fresh, HEADER_WORDS + bits.div_ceil(64) as usize)?;
        for (at, word) in [(0, MAGIC), (1, LAYOUT), (2, arena), (3, bits)] {
            // Relaxed: nobody has the file before it has its name.
            region.store(at, word, Ordering::Relaxed)?;
        }
        rename(&fresh, &path)?;
        Touched::open(region, arena)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::HeapRegion;

    fn over(words: usize, bits: u64) -> Result<Touched<HeapRegion>> {
        let region = HeapRegion::new(words);
        for (at, word) in [(0, MAGIC), (1, LAYOUT), (2, 7), (3, bits)] {
            region.store(at, word, Ordering::Relaxed)?;
        }
        Touched::open(region, 7)
    }

    #[test]
    fn a_bit_stays_until_all_are_cleared() {
        let touched = over(HEADER_WORDS + 250, 16_000).unwrap();
        let marked: Vec<u32> = (1..100).map(|n| n * 77_777).collect();
        marked.iter().for_each(|n| touched.mark(*n));
        assert!(marked.iter().all(|n| touched.is_marked(*n).unwrap()));
        let others = (1..1_000).filter(|n| touched.is_marked(*n).unwrap());
        assert!(others.count() < 30, "few share a bit");
        touched.clear().unwrap();
        assert!(!marked.iter().any(|n| touched.is_marked(*n).unwrap()));
    }

    #[test]
    fn a_file_that_says_more_than_it_has_is_refused() {
        assert!(over(HEADER_WORDS + 250, 16_001).is_err());
        assert!(over(HEADER_WORDS + 250, u64::MAX).is_err());
        assert!(over(HEADER_WORDS + 250, 0).is_err());
        assert!(over(3, 1).is_err());
        assert!(Touched::open(HeapRegion::new(100), 7).is_err());
    }

    #[test]
    fn another_size_makes_another_file() {
        let dir = tempfile::TempDir::new().unwrap();
        let first = Touched::make(dir.path(), 7, 100).unwrap();
        first.mark(5);
        let same = Touched::make(dir.path(), 7, 100).unwrap();
        assert!(same.is_marked(5).unwrap());
        for (arena, customers) in [(7, 101), (8, 101)] {
            let other = Touched::make(dir.path(), arena, customers).unwrap();
            assert!(!other.is_marked(5).unwrap());
            other.mark(5);
        }
        assert!(Touched::attach(dir.path(), 7).is_err());
    }
}
