//! Words behind traits, so that one source runs over mapped files, over the heap (Miri, property tests) and over
//! loom's atomics.
//!
//! Every index is checked, so a hostile file gives [`Corrupt`] and never a fault. No reference to mapped memory is ever
//! handed out but to a single atomic word.

use crate::error::Corrupt;
use crate::sync::{AtomicU64, Ordering};

/// A run of 64-bit words to read.
pub trait Words {
    /// How many words there are. Never changes.
    fn words(&self) -> usize;

    fn load(&self, index: usize, ordering: Ordering) -> Result<u64, Corrupt>;

    /// Asks the processor to bring the word near. A hint: does nothing where it cannot.
    #[inline(always)]
    fn prefetch(&self, _index: usize) {}
}

/// Words that other threads and processes may read and write at the same time.
pub trait Region: Words {
    fn word(&self, index: usize) -> Result<&AtomicU64, Corrupt>;

    #[inline(always)]
    fn store(&self, index: usize, value: u64, ordering: Ordering) -> Result<(), Corrupt> {
        self.word(index)?.store(value, ordering);
        Ok(())
    }
}

/// Words on the heap.
#[derive(Debug)]
pub struct HeapRegion {
    words: Box<[AtomicU64]>,
}

impl HeapRegion {
    pub fn new(words: usize) -> HeapRegion {
        HeapRegion {
            words: (0..words).map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

impl Words for HeapRegion {
    fn words(&self) -> usize {
        self.words.len()
    }

    #[inline(always)]
    fn load(&self, index: usize, ordering: Ordering) -> Result<u64, Corrupt> {
        Ok(self.word(index)?.load(ordering))
    }
}

impl Region for HeapRegion {
    #[inline(always)]
    fn word(&self, index: usize) -> Result<&AtomicU64, Corrupt> {
        self.words.get(index).ok_or(Corrupt)
    }
}

impl<R: Words + ?Sized> Words for std::sync::Arc<R> {
    fn words(&self) -> usize {
        (**self).words()
    }

    #[inline(always)]
    fn load(&self, index: usize, ordering: Ordering) -> Result<u64, Corrupt> {
        (**self).load(index, ordering)
    }
}

impl<R: Region + ?Sized> Region for std::sync::Arc<R> {
    #[inline(always)]
    fn word(&self, index: usize) -> Result<&AtomicU64, Corrupt> {
        (**self).word(index)
    }
}

/// A row that was copied out of its file.
impl Words for [u64] {
    fn words(&self) -> usize {
        self.len()
    }

    fn load(&self, index: usize, _ordering: Ordering) -> Result<u64, Corrupt> {
        self.get(index).copied().ok_or(Corrupt)
    }
}
