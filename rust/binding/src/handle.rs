//! A handle: one customer and one feature, found once.

use std::cell::UnsafeCell;

use fastcheck_core::{Amount, Key, RowKind, Spend, View, check_fast, spend};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::checker::Checker;
use crate::strings::utf8;

/// `Entitlements.handle(customer, feature)`.
#[pyclass(frozen, module = "fastcheck._fastcheck")]
pub struct Handle {
    checker: Py<Checker>,
    customer: Py<PyString>,
    feature: Py<PyString>,
    seen: UnsafeCell<Seen>,
}

// SAFETY: `seen` is only touched with the global lock held; a build without one never touches it (`Handle::seen`).
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

/// What was found, and what it is bound to: the view, and the slot's word. While both are the same, the row is.
#[derive(Clone, Copy, Default)]
pub struct Seen {
    stamp: u64,
    slot: usize,
    word: u64,
    /// The answer of a check that needs neither a clock nor a cell.
    pub answer: Option<bool>,
    /// What a burn takes.
    pub spend: Option<Spend>,
}

impl Handle {
    pub fn new(
        checker: Bound<'_, Checker>,
        customer: Bound<'_, PyString>,
        feature: Bound<'_, PyString>,
    ) -> PyResult<Handle> {
        let py = checker.py();
        // SAFETY: both are alive; this is to refuse names that are not text.
        unsafe { (utf8(py, customer.as_ptr())?, utf8(py, feature.as_ptr())?) };
        Ok(Handle {
            checker: checker.unbind(),
            customer: customer.unbind(),
            feature: feature.unbind(),
            seen: UnsafeCell::new(Seen::default()),
        })
    }

    #[inline(always)]
    pub fn checker(&self) -> &Checker {
        self.checker.get()
    }

    /// What was found before, if it still holds.
    ///
    /// # Safety
    /// There is a global lock and it is held (`Mapped::fast` gives no view where there is none).
    #[inline(always)]
    pub unsafe fn seen(&self, view: &View) -> Option<&Seen> {
        // SAFETY: the caller's promise: nobody else touches it.
        let seen = unsafe { &*self.seen.get() };
        if seen.stamp == view.stamp && view.rows.slot_word(seen.slot) == Ok(seen.word) {
            return Some(seen);
        }
        self.look(view)
    }

    /// Finds the row and remembers what it says. `None`: unknown names, or an alias, which may be given to another
    /// customer and is looked up each time.
    #[inline(never)]
    fn look(&self, view: &View) -> Option<&Seen> {
        Python::attach(|py| {
            let (name, feature) = self.names(py).ok()?;
            let rows = &view.rows;
            let key = Key::new(name)?;
            let feature = rows.feature(Key::new(feature)?).ok()??;
            let (slot, word, row) = rows.find_slot(key, rows.hash(key)).ok()??;
            if row.kind() != RowKind::Customer as u64 {
                return None;
            }
            view.mark(row.number());
            let seen = Seen {
                stamp: view.stamp,
                slot,
                word,
                answer: row
                    .entries_at(rows.heap_at())
                    .and_then(|at| check_fast(rows, at, feature)),
                spend: spend(rows, row, feature),
            };
            // SAFETY: as in `seen`; no reference to the old value is used any more.
            unsafe {
                *self.seen.get() = seen;
                Some(&*self.seen.get())
            }
        })
    }

    /// The names' bytes: customer and feature.
    fn names(&self, py: Python<'_>) -> PyResult<(&[u8], &[u8])> {
        // SAFETY: the strings live as long as the handle.
        unsafe {
            Ok((
                utf8(py, self.customer.as_ptr())?,
                utf8(py, self.feature.as_ptr())?,
            ))
        }
    }

    pub fn check(&self, py: Python<'_>) -> PyResult<bool> {
        let (name, key) = self.names(py)?;
        self.checker()
            .check(py, self.customer.bind(py).as_any(), name, key)
    }

    pub fn consume(&self, py: Python<'_>, amount: Amount<'_>) -> PyResult<bool> {
        let (_, key) = self.names(py)?;
        let customer = self.customer.bind(py).as_any();
        self.checker().consume(py, customer, key, amount, None)
    }
}

#[pymethods]
impl Handle {
    /// The id or alias that the handle was made with.
    #[getter]
    fn customer(&self) -> &Py<PyString> {
        &self.customer
    }

    /// The feature's name.
    #[getter]
    fn feature(&self) -> &Py<PyString> {
        &self.feature
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!(
            "Handle({}, {})",
            self.customer.bind(py).repr()?,
            self.feature.bind(py).repr()?
        ))
    }
}
