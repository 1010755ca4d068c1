//! The only module that maps memory: files of the arena, created 0600, allocated before they are touched.
//!
//! A mapping is shared (`MAP_SHARED`): every process of the host sees the same words. Space is allocated with
//! `fallocate` before the first store, so a full disk is an error at creation and never a SIGBUS later. What a
//! mapping cannot survive is a file truncated from outside while it is mapped; `docs/limits.md` says so.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use rustix::mm::{MapFlags, ProtFlags};

use crate::error::{Corrupt, Error, Result};
use crate::region::{Region, Words};
use crate::sync::{AtomicU64, Ordering};

/// Whether this process may write through a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

/// A mapped file.
#[derive(Debug)]
pub struct MapRegion {
    base: *const AtomicU64,
    words: usize,
}

// SAFETY: the mapping belongs to this value alone until it is dropped, and all access to it goes through
// `AtomicU64`, which is made for sharing between threads.
unsafe impl Send for MapRegion {}
// SAFETY: as above.
unsafe impl Sync for MapRegion {}

impl MapRegion {
    /// Maps all of `file`. Its length in bytes must be a multiple of eight and not zero.
    pub(crate) fn map(file: &File, path: &Path, access: Access) -> Result<MapRegion> {
        let io = |doing| {
            move |source| Error::Io {
                path: path.to_path_buf(),
                doing,
                source,
            }
        };
        let bytes = file.metadata().map_err(io("read the size of"))?.len();
        if bytes == 0 || bytes % 8 != 0 || bytes > isize::MAX as u64 {
            return Err(Error::Corrupt(
                "a file's size is not a whole number of words",
            ));
        }
        let protection = match access {
            Access::Read => ProtFlags::READ,
            Access::Write => ProtFlags::READ | ProtFlags::WRITE,
        };
        // SAFETY: a fresh mapping at an address of the kernel's choice overlaps nothing.
        let base = unsafe {
            rustix::mm::mmap(
                std::ptr::null_mut(),
                bytes as usize,
                protection,
                MapFlags::SHARED,
                file,
                0,
            )
        }
        .map_err(|e| io("map")(e.into()))?;
        Ok(MapRegion {
            base: base.cast::<AtomicU64>(),
            words: bytes as usize / 8,
        })
    }

    /// Opens and maps an existing file.
    pub(crate) fn open(path: &Path, access: Access) -> Result<MapRegion> {
        let file = std::fs::OpenOptions::new()
            .read(true)
            .write(access == Access::Write)
            .open(path)
            .map_err(|source| Error::Io {
                path: path.to_path_buf(),
                doing: "open",
                source,
            })?;
        MapRegion::map(&file, path, access)
    }

    /// Creates `path` with `words` zero words of real, allocated space and maps it. Fails if it exists.
    pub(crate) fn create(path: &Path, words: usize) -> Result<MapRegion> {
        let io = |doing| {
            move |source| Error::Io {
                path: path.to_path_buf(),
                doing,
                source,
            }
        };
        let file = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(io("create"))?;
        let made = rustix::fs::fallocate(
            &file,
            rustix::fs::FallocateFlags::empty(),
            0,
            words as u64 * 8,
        )
        .map_err(|e| io("allocate space for")(e.into()))
        .and_then(|()| MapRegion::map(&file, path, Access::Write));
        if made.is_err() {
            // Nothing half-made stays behind; the first error is the one to tell.
            let _ = std::fs::remove_file(path);
        }
        made
    }
}

/// One word of a mapping that is looked at all the time, found once.
#[derive(Debug)]
pub(crate) struct MappedWord {
    word: *const AtomicU64,
    _region: Arc<MapRegion>,
}

// SAFETY: as for `MapRegion`, which it keeps alive.
unsafe impl Send for MappedWord {}
// SAFETY: as above.
unsafe impl Sync for MappedWord {}

impl MappedWord {
    pub(crate) fn new(
        region: Arc<MapRegion>,
        index: usize,
    ) -> core::result::Result<MappedWord, Corrupt> {
        let word: *const AtomicU64 = region.word(index)?;
        Ok(MappedWord {
            word,
            _region: region,
        })
    }

    #[inline(always)]
    pub(crate) fn load(&self, ordering: Ordering) -> u64 {
        // SAFETY: the word is inside the region, which lives as long as `self`.
        unsafe { &*self.word }.load(ordering)
    }
}

impl Words for MapRegion {
    #[inline(always)]
    fn words(&self) -> usize {
        self.words
    }

    #[inline(always)]
    fn load(&self, index: usize, ordering: Ordering) -> core::result::Result<u64, Corrupt> {
        Ok(self.word(index)?.load(ordering))
    }

    #[inline(always)]
    fn prefetch(&self, index: usize) {
        #[cfg(target_arch = "x86_64")]
        if index < self.words {
            // SAFETY: a prefetch reads nothing and the address is inside the mapping.
            unsafe {
                core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(
                    self.base.add(index).cast(),
                );
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = index;
    }
}

impl Region for MapRegion {
    #[inline(always)]
    fn word(&self, index: usize) -> core::result::Result<&AtomicU64, Corrupt> {
        if index >= self.words {
            return Err(Corrupt);
        }
        // SAFETY: the index is inside the mapping, which is page-aligned and lives as long as `self`; the
        // reference is to an `UnsafeCell`-based atomic, so other processes may write the word meanwhile.
        Ok(unsafe { &*self.base.add(index) })
    }
}

impl Drop for MapRegion {
    fn drop(&mut self) {
        // SAFETY: base and length are those of the mapping made in `map`; nobody holds a reference into it,
        // for `word` ties references to `self`.
        let _ = unsafe { rustix::mm::munmap(self.base as *mut _, self.words * 8) };
    }
}
