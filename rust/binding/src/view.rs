//! What a checker has mapped: the newest view of its arena.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use fastcheck_core::{Corrupt, Current, View};
use pyo3::prelude::*;

use crate::errors::{Class, corrupt, from_core, raise};

/// The view that a checker reads, replaced when the owner publishes another generation.
pub struct Mapped {
    current: Current<View>,
    closed: AtomicBool,
}

impl Mapped {
    pub fn attach(py: Python<'_>, directory: &Path) -> PyResult<Mapped> {
        let view = View::attach(directory).map_err(|e| from_core(py, e))?;
        Ok(Mapped {
            current: Current::new(view),
            closed: AtomicBool::new(false),
        })
    }

    /// Runs `read` on the newest view.
    ///
    /// With the global lock, generations are replaced only while it is held, so `read` must not go on reading the view
    /// after it ran Python code, which may release the lock; making an error and returning it is fine. Without a
    /// global lock the view is pinned.
    #[inline(always)]
    pub fn with<T>(&self, py: Python<'_>, read: impl FnOnce(&View) -> PyResult<T>) -> PyResult<T> {
        if self.is_closed() {
            return Err(closed(py));
        }
        #[cfg(not(Py_GIL_DISABLED))]
        {
            // SAFETY: `replace` and `collect` are only called by `refresh`, under the same lock that is held here.
            let view = unsafe { self.current.unpinned() };
            if view.is_current() {
                return read(view);
            }
            self.refresh(py)?;
            // SAFETY: as above; the reference from before is not used again.
            read(unsafe { self.current.unpinned() })
        }
        #[cfg(Py_GIL_DISABLED)]
        {
            let stripe = self as *const _ as usize >> 7 ^ thread_stripe();
            if !self.current.pin(stripe).is_current() {
                self.refresh(py)?;
            }
            read(&self.current.pin(stripe))
        }
    }

    /// The view, where it can be had without any ado: open, current, and kept alive by the global lock.
    ///
    /// # Safety
    /// The caller holds the interpreter and does not use the view after it ran Python code.
    #[inline(always)]
    pub unsafe fn fast(&self) -> Option<&View> {
        #[cfg(Py_GIL_DISABLED)]
        return None;
        #[cfg(not(Py_GIL_DISABLED))]
        {
            // SAFETY: as in `with`, by the caller's promise.
            let view = unsafe { self.current.unpinned() };
            (view.is_current() && !self.is_closed()).then_some(view)
        }
    }

    /// Runs `read` on the newest view with the interpreter released, for work that is longer than a lookup.
    pub fn pinned<T: Send>(
        &self,
        py: Python<'_>,
        read: impl FnOnce(&View) -> Result<T, Corrupt> + Send,
    ) -> PyResult<T> {
        self.with(py, |_| Ok(()))?; // Refreshes, or says that it is closed.
        let pin = self.current.pin(0);
        let view: &View = &pin;
        py.detach(|| read(view)).map_err(|e| corrupt(py, e))
    }

    /// Maps what is current now.
    #[cold]
    fn refresh(&self, py: Python<'_>) -> PyResult<()> {
        let renew = |view: &View| (view.refreshed(), view.is_retired());
        #[cfg(not(Py_GIL_DISABLED))]
        // SAFETY: under the global lock; the reference ends before `replace`.
        let (fresh, retired) = renew(unsafe { self.current.unpinned() });
        #[cfg(Py_GIL_DISABLED)]
        let (fresh, retired) = renew(&self.current.pin(0));
        match fresh {
            Ok(fresh) => self.current.replace(fresh),
            // The arena is given up and the next one is not there yet. The rows mapped here are the last that were in
            // force, and the cells are closed, so a burn asks the owner.
            Err(_) if retired => {}
            Err(error) => return Err(from_core(py, error)),
        }
        Ok(())
    }

    pub fn close(&self) {
        // Relaxed: see `is_closed`.
        self.closed.store(true, Ordering::Relaxed);
    }

    #[inline(always)]
    pub fn is_closed(&self) -> bool {
        // Relaxed: a flag of this process; whoever closes while others check gets no promise about them.
        self.closed.load(Ordering::Relaxed)
    }
}

#[cfg(Py_GIL_DISABLED)]
fn thread_stripe() -> usize {
    use std::cell::Cell;
    use std::sync::atomic::AtomicUsize;
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    // Relaxed: a number to spread threads by.
    thread_local! { static STRIPE: Cell<usize> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed)); }
    STRIPE.with(Cell::get)
}

fn closed(py: Python<'_>) -> PyErr {
    raise(
        py,
        Class::Closed,
        "this Entitlements is closed; open or attach again",
    )
}
