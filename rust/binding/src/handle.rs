//! A handle: one customer and one feature, found once.

use std::sync::atomic::{AtomicU64, Ordering};

use fastcheck_core::arena::View;
use fastcheck_core::check::{self, Answer, Found};
use fastcheck_core::key::Key;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::amounts::{self, Amount};
use crate::checker::Checker;
use crate::errors::corrupt;
use crate::strings::utf8;

/// `Entitlements.handle(customer, feature)`.
#[pyclass(frozen, module = "fastcheck._fastcheck")]
pub struct Handle {
    checker: Py<Checker>,
    customer: Py<PyString>,
    feature: Py<PyString>,
    /// [generation:20 | feature:12 | number:32] of the generation in which they were found; zero: not found yet.
    place: AtomicU64,
}

const FEATURE_BITS: u32 = 12;
const _: () = assert!(fastcheck_core::catalog::bounds::FEATURES_MAX <= 1 << FEATURE_BITS);

/// The part of a generation's number that a place remembers. Two that are equal in it are a million apart.
fn era(view: &View) -> u64 {
    view.rows.generation & 0xf_ffff
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
            place: AtomicU64::new(0),
        })
    }

    #[inline(always)]
    pub fn checker(&self) -> &Checker {
        self.checker.get()
    }

    /// Finds the entry, by number if this generation has been asked before.
    #[inline(always)]
    fn find(&self, py: Python<'_>, view: &View) -> PyResult<Option<Found>> {
        // Relaxed: a hint that is checked against the generation.
        let place = self.place.load(Ordering::Relaxed);
        if place >> 44 == era(view) && place != 0 {
            let feature = (place >> 32) as usize & ((1 << FEATURE_BITS) - 1);
            let row = view.rows.by_number(place as u32).map_err(|e| corrupt(py, e))?;
            if row.is_some() {
                return check::found(&view.rows, row, feature, &self.checker().time)
                    .map(Some)
                    .map_err(|e| corrupt(py, e));
            }
        }
        self.find_slow(py, view)
    }

    #[cold]
    fn find_slow(&self, py: Python<'_>, view: &View) -> PyResult<Option<Found>> {
        // SAFETY: the strings live as long as the handle.
        let (name, key) = unsafe {
            (utf8(py, self.customer.as_ptr())?, utf8(py, self.feature.as_ptr())?)
        };
        let found = self.checker().find(py, view, name, key)?;
        let aliased = Key::new(name)
            .map(|key| view.rows.find(key, view.rows.hash(key)))
            .transpose()
            .map_err(|e| corrupt(py, e))?
            .flatten()
            .is_some_and(|row| row.kind() == fastcheck_core::row::RowKind::Alias as u64);
        // An alias may be given to another customer without a new generation: it is looked up each time.
        if let (Some(Found { row: Some(row), feature, .. }), false) = (found, aliased) {
            let place = era(view) << 44 | (feature as u64) << 32 | u64::from(row.number());
            // Relaxed: as above.
            self.place.store(place, Ordering::Relaxed);
        }
        Ok(found)
    }

    #[inline(always)]
    pub fn check(&self, py: Python<'_>) -> PyResult<bool> {
        let checker = self.checker();
        let answer = checker.with_view(py, |view| match self.find(py, view)? {
            None => Ok(Answer::UnknownFeature),
            Some(found) => check::check_found(&view.rows, &*view.cells, &found, &checker.time)
                .map_err(|e| corrupt(py, e)),
        })?;
        match answer {
            Answer::Allowed => Ok(true),
            Answer::NotEntitled | Answer::Exhausted => Ok(false),
            _ => self.slow(py, None),
        }
    }

    #[inline(always)]
    pub fn consume(&self, py: Python<'_>, amount: &Amount<'_>) -> PyResult<bool> {
        let checker = self.checker();
        let answer = checker.with_view(py, |view| {
            let Some(found) = self.find(py, view)? else { return Ok(Answer::UnknownFeature) };
            let cost = amounts::cost(py, &view.rows, &found, amount)?;
            found.burn(&view.rows, &*view.cells, cost, &checker.time).map_err(|e| corrupt(py, e))
        })?;
        match answer {
            Answer::Allowed => Ok(true),
            Answer::NotEntitled | Answer::Exhausted => Ok(false),
            _ => self.slow(py, Some(amount)),
        }
    }

    #[cold]
    fn slow(&self, py: Python<'_>, amount: Option<&Amount<'_>>) -> PyResult<bool> {
        let checker = self.checker();
        // SAFETY: the strings live as long as the handle.
        let (name, key) = unsafe {
            (utf8(py, self.customer.as_ptr())?, utf8(py, self.feature.as_ptr())?)
        };
        let answer = checker.settle(py, self.customer.bind(py).as_any(), |view| match amount {
            None => checker.check_step(py, view, name, key),
            Some(amount) => checker.burn_step(py, view, name, key, amount),
        })?;
        checker.note(py, answer, name, key)?;
        Ok(answer.allowed())
    }
}

#[pymethods]
impl Handle {
    #[getter]
    fn customer(&self) -> &Py<PyString> {
        &self.customer
    }

    #[getter]
    fn feature(&self) -> &Py<PyString> {
        &self.feature
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("Handle({}, {})", self.customer.bind(py).repr()?, self.feature.bind(py).repr()?))
    }
}
