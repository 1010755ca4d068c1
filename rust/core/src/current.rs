//! The generation a process reads at the moment, and when an old one may be unmapped.
//!
//! A reader pins (counts itself in), loads the pointer, reads, unpins. Whoever replaces swaps the pointer and drops the
//! old value once it has seen every counter at zero after the swap. It looks by an exchange that adds nothing, so a reader
//! that counts itself in after that has read from it, and finds the new pointer. Counters are striped so that threads do
//! not share a cache line. `tests/loom_current.rs` is the model of this.
//!
//! A caller that already excludes replacing while it reads, as CPython's global lock does, may skip the pin.

use std::sync::Mutex;

use crate::sync::{AtomicPtr, AtomicUsize, Ordering};

/// Counters; threads choose by number.
#[cfg(not(loom))]
pub(crate) const STRIPES: usize = 16;
#[cfg(loom)]
pub(crate) const STRIPES: usize = 2;

#[repr(align(128))]
struct Stripe(AtomicUsize);

/// A value that is read all the time and replaced now and then.
pub struct Current<T> {
    pointer: AtomicPtr<T>,
    pins: [Stripe; STRIPES],
    /// Replaced values that somebody may still read.
    retired: Mutex<Vec<Retired<T>>>,
}

struct Retired<T>(*mut T);

// SAFETY: a retired value is owned by the list alone and only dropped through it.
unsafe impl<T: Send> Send for Retired<T> {}
// SAFETY: the value is only handed out as `&T`, and dropped by one thread; both are fine for `T: Send + Sync`.
unsafe impl<T: Send + Sync> Send for Current<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Current<T> {}

/// A reader's claim on the value.
pub struct Pin<'a, T> {
    current: &'a Current<T>,
    stripe: usize,
    pointer: *const T,
}

impl<T> Current<T> {
    pub fn new(value: T) -> Current<T> {
        Current {
            pointer: AtomicPtr::new(Box::into_raw(Box::new(value))),
            pins: std::array::from_fn(|_| Stripe(AtomicUsize::new(0))),
            retired: Mutex::new(Vec::new()),
        }
    }

    /// Counts the caller in and hands out the value.
    #[inline]
    pub fn pin(&self, stripe: usize) -> Pin<'_, T> {
        let stripe = stripe % STRIPES;
        // Acquire: pairs with the exchange in `collect`. Of the two, one is first: either the collector sees this count,
        // or this thread has all that the collector did before, the swap included.
        self.pins[stripe].0.fetch_add(1, Ordering::Acquire);
        // Acquire: pairs with the swap in `replace`, so that the value is complete. Not moved before the count, which
        // is an Acquire.
        let pointer = self.pointer.load(Ordering::Acquire);
        Pin {
            current: self,
            stripe,
            pointer,
        }
    }

    /// Hands out the value without counting.
    ///
    /// # Safety
    /// Until the reference is gone, nobody may call [`Current::replace`] or [`Current::collect`]. A lock that both sides
    /// hold is enough.
    #[inline(always)]
    pub unsafe fn unpinned(&self) -> &T {
        // SAFETY: the pointer came from a Box and, by the caller's promise, is not dropped meanwhile.
        // Acquire: pairs with the swap in `replace`.
        unsafe { &*self.pointer.load(Ordering::Acquire) }
    }

    /// Puts a new value in place. The old one is dropped as soon as nobody reads it.
    pub fn replace(&self, value: T) {
        let fresh = Box::into_raw(Box::new(value));
        // AcqRel: Release publishes the value; Acquire because the old one is going to be dropped here.
        let old = self.pointer.swap(fresh, Ordering::AcqRel);
        self.retired
            .lock()
            .unwrap_or_else(|e| e.into_inner())
            .push(Retired(old));
        self.collect();
    }

    /// Drops what was replaced if nobody reads it. Returns how many values still wait.
    pub fn collect(&self) -> usize {
        let mut retired = self.retired.lock().unwrap_or_else(|e| e.into_inner());
        // AcqRel: Release hands the swap of every value in the list to whoever counts itself in later; Acquire pairs with
        // the Release of the last unpin. An exchange and not a load: a load could miss a count that is already there.
        if self
            .pins
            .iter()
            .all(|p| p.0.fetch_add(0, Ordering::AcqRel) == 0)
        {
            for old in retired.drain(..) {
                // SAFETY: it came from a Box in `new` or `replace`, is no longer reachable through `pointer`, and by the
                // counters nobody who loaded it is still reading.
                drop(unsafe { Box::from_raw(old.0) });
            }
        }
        retired.len()
    }
}

impl<T> std::ops::Deref for Pin<'_, T> {
    type Target = T;
    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: while this pin counts, `collect` does not drop what the pointer showed when it was loaded.
        unsafe { &*self.pointer }
    }
}

impl<T> Drop for Pin<'_, T> {
    fn drop(&mut self) {
        // Release: what was read is read before the collector may see zero.
        self.current.pins[self.stripe]
            .0
            .fetch_sub(1, Ordering::Release);
    }
}

impl<T> Drop for Current<T> {
    fn drop(&mut self) {
        self.collect();
        // SAFETY: `&mut self`: no pin and no reference is left.
        // Relaxed: as above.
        drop(unsafe { Box::from_raw(self.pointer.load(Ordering::Relaxed)) });
    }
}
