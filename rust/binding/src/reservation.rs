//! Reservations: hold an estimate before the work, settle the true amount after it.

use std::sync::atomic::{AtomicU8, Ordering};

use fastcheck_core::{
    Amount, Answer, Ask, Cells, Corrupt, Hold, Holds, MapRegion, NO_COST, Settle, Spend, Step,
    View, burn_up_to, cost_of, reserve,
};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::amounts::credits;
use crate::answers::Settlement;
use crate::checker::Checker;
use crate::errors::{Class, corrupt, raise, refused};
use crate::strings::utf8;

/// A reservation's life in seconds where nothing is said.
pub const TTL_S: f64 = 60.0;
/// A reservation's longest life: a week.
const TTL_S_MAX: f64 = 604_800.0;

const OPEN: u8 = 0;
const SETTLED: u8 = 1;

/// What is held, and where.
#[derive(Clone, Copy)]
struct Held {
    held: fastcheck_core::Held,
    arena: u64,
    /// The view it was held in, and what a plain unit costs there; [`NO_COST`] if that was not asked.
    stamp: u64,
    unit: u64,
}

/// `Entitlements.reserve(...)`: truthy if granted. A `with` block releases what was not committed.
#[pyclass(frozen, module = "fastcheck._fastcheck")]
pub struct Reservation {
    checker: Py<Checker>,
    customer: Py<PyString>,
    feature: Py<PyString>,
    answer: Answer,
    held: Option<Held>,
    amount: u64,
    scale: u8,
    state: AtomicU8,
}

impl Reservation {
    /// The common case: a plain amount, the usual ttl, and a lease that covers it. `None`: nothing was held; look again, with
    /// all there is.
    #[inline(always)]
    pub fn held(
        checker: &Bound<'_, Checker>,
        view: &View,
        spend: Spend,
        customer: &Bound<'_, PyString>,
        feature: &Bound<'_, PyString>,
        wanted: u64,
    ) -> Option<Reservation> {
        let this = checker.get();
        let ends_at_ms = this.time.steady_ms().saturating_add(TTL_S as u64 * 1000);
        let held = spend.reserve(&*view.cells, wanted, ask(this, ends_at_ms), &this.time)?;
        Some(Reservation {
            checker: checker.clone().unbind(),
            customer: customer.clone().unbind(),
            feature: feature.clone().unbind(),
            answer: Answer::Allowed,
            amount: held.hold.amount,
            held: Some(Held::new(this, view, held, spend.unit)),
            scale: spend.scale,
            state: AtomicU8::new(OPEN),
        })
    }

    pub fn make(
        py: Python<'_>,
        checker: &Bound<'_, Checker>,
        customer: &Bound<'_, PyString>,
        feature: &Bound<'_, PyString>,
        wanted: Amount<'_>,
        ttl: f64,
    ) -> PyResult<Reservation> {
        if !(ttl > 0.0 && ttl <= TTL_S_MAX) {
            return Err(raise(
                py,
                Class::AmountError,
                "ttl must be more than 0 and at most 604800 seconds (a week)",
            ));
        }
        let this = checker.get();
        // SAFETY: both objects outlive the call.
        let (name, key) = unsafe { (utf8(py, customer.as_ptr())?, utf8(py, feature.as_ptr())?) };
        let ends_at_ms = this.time.steady_ms().saturating_add((ttl * 1000.0) as u64);
        let mut held = None;
        let made = this.settle(py, customer.as_any(), |view| {
            let found = this.find(py, view, name, key)?;
            let (rows, cells, now) = (&view.rows, &*view.cells, this.moment(view));
            let ask = ask(this, ends_at_ms);
            let step = reserve(rows, cells, found.as_ref(), &wanted, &ask, &now)
                .map_err(|e| refused(py, e))?;
            if let Step::Done(made) = &step {
                let new = |held| Held::new(this, view, held, NO_COST);
                held = made.held.map(new);
            }
            Ok(step)
        })?;
        this.asking.note(py, made.answer, name, key)?;
        Ok(Reservation {
            checker: checker.clone().unbind(),
            customer: customer.clone().unbind(),
            feature: feature.clone().unbind(),
            answer: made.answer,
            held,
            amount: made.cost,
            scale: made.scale,
            state: AtomicU8::new(OPEN),
        })
    }

    #[inline(always)]
    pub fn checker(&self) -> &Checker {
        self.checker.get()
    }

    /// One caller wins the right to settle.
    fn begin(&self, py: Python<'_>) -> PyResult<Held> {
        let Some(held) = self.held else {
            return Err(raise(
                py,
                Class::Conflict,
                format!(
                    "the reservation was denied ({}): there is nothing to settle",
                    self.answer.reason()
                ),
            ));
        };
        // AcqRel: one winner among the threads of this process.
        match self
            .state
            .compare_exchange(OPEN, SETTLED, Ordering::AcqRel, Ordering::Acquire)
        {
            Ok(_) => Ok(held),
            Err(_) => Err(raise(
                py,
                Class::Conflict,
                "the reservation is settled already: commit or release it once",
            )),
        }
    }

    /// Gives all back, if it is still there. Returns whether it was.
    fn give_back(&self, py: Python<'_>, held: Held) -> PyResult<bool> {
        let mapped = &self.checker.get().mapped;
        let settled = mapped.with(py, |view| {
            held.end(py, view, |holds, hold| holds.release(hold))
        })?;
        Ok(settled != Settle::Gone)
    }

    /// Burns up to `most` more units, asking the owner once if the lease is short. Returns how many.
    fn burn_more(&self, py: Python<'_>, most: u64) -> PyResult<u64> {
        let checker = self.checker.get();
        let customer = self.customer.bind(py);
        // SAFETY: the strings live as long as the reservation.
        let (name, key) = unsafe {
            (
                utf8(py, customer.as_ptr())?,
                utf8(py, self.feature.as_ptr())?,
            )
        };
        let mut taken = 0;
        checker.settle(py, customer.as_any(), |view| {
            let found = checker.find(py, view, name, key)?;
            let (rows, cells) = (&view.rows, &*view.cells);
            burn_up_to(rows, cells, found.as_ref(), most, &mut taken, &checker.time)
                .map_err(|e| corrupt(py, e))
        })?;
        Ok(taken)
    }

    /// Settles: keeps what was used (the whole estimate if not said), gives the rest back. What was used beyond
    /// the estimate is burned as far as the balance has it; the rest is the settlement's `shortfall`. `event` records it
    /// under an id.
    pub fn commit(
        &self,
        py: Python<'_>,
        actual: Option<Amount<'_>>,
        event: Option<&Bound<'_, PyString>>,
    ) -> PyResult<Settlement> {
        let checker = self.checker.get();
        // SAFETY: the strings live as long as the reservation.
        let (name, key) = unsafe {
            (
                utf8(py, self.customer.as_ptr())?,
                utf8(py, self.feature.as_ptr())?,
            )
        };
        let used = match &actual {
            None => self.amount,
            Some(actual) => {
                checker
                    .mapped
                    .with(py, |view| match checker.find(py, view, name, key)? {
                        Some(found) => {
                            cost_of(&view.rows, &found, actual).map_err(|e| refused(py, e))
                        }
                        None => Ok(self.amount), // The catalog lost the feature meanwhile: the estimate stands.
                    })?
            }
        };
        let settlement = self.settle(py, used)?;
        if let Some(event) = event {
            let given = actual.unwrap_or(Amount::Named(&[]));
            checker.record(py, event, name, key, given, settlement.charged)?;
        }
        Ok(settlement)
    }

    /// What a plain amount comes to, where it is known without looking anything up and was held in full.
    #[inline(always)]
    pub fn covered(&self, view: &View, actual: u64) -> Option<u64> {
        let held = self.held.as_ref()?;
        // In one view a feature has one price.
        if held.stamp != view.stamp || held.unit == NO_COST {
            return None;
        }
        held.unit
            .checked_mul(actual)
            .filter(|used| *used <= self.amount)
    }

    /// Keeps `used` units and gives the rest back, or burns what is missing.
    pub fn settle(&self, py: Python<'_>, used: u64) -> PyResult<Settlement> {
        let checker = self.checker.get();
        let held = self.begin(py)?;
        let kept = used.min(self.amount);
        let settled = checker.mapped.with(py, |view| {
            held.end(py, view, |holds, hold| holds.commit(hold, kept))
        })?;
        // A hold that expired before it was settled has been given back: all that was used is burned anew.
        let kept = if settled == Settle::Gone { 0 } else { kept };
        let more = if used > kept {
            self.burn_more(py, used - kept)?
        } else {
            0
        };
        let charged = kept + more;
        Ok(Settlement {
            charged,
            shortfall: used - charged,
            scale: self.scale,
        })
    }
}

impl Held {
    #[inline(always)]
    fn new(checker: &Checker, view: &View, held: fastcheck_core::Held, unit: u64) -> Held {
        // Relaxed: a hint.
        checker.near.store(held.hold.near(), Ordering::Relaxed);
        Held {
            held,
            arena: view.arena,
            stamp: view.stamp,
            unit,
        }
    }

    /// Settles the hold by `end`. In an arena that was closed it is gone: it was settled as a whole.
    fn end(
        &self,
        py: Python<'_>,
        view: &View,
        end: impl FnOnce(Holds<'_, MapRegion>, Hold) -> Result<Settle, Corrupt>,
    ) -> PyResult<Settle> {
        if view.arena != self.arena {
            return Ok(Settle::Gone);
        }
        let segment = view.cells.segment(self.held.segment);
        segment
            .and_then(|segment| end(segment.holds()?, self.held.hold))
            .map_err(|e| corrupt(py, e))
    }
}

/// What this process asks for, but for the lease, the pool and the amount.
#[inline(always)]
fn ask(checker: &Checker, ends_at_ms: u64) -> Ask {
    Ask {
        lease: 0,
        pool: 0,
        amount: 0,
        ends_at_ms,
        holder: crate::process::holder(),
        // Relaxed: a hint.
        near: checker.near.load(Ordering::Relaxed),
    }
}

#[pymethods]
impl Reservation {
    /// Whether the reservation was granted.
    #[getter]
    fn allowed(&self) -> bool {
        self.held.is_some()
    }

    /// As `Decision.reason`.
    #[getter]
    fn reason(&self) -> &'static str {
        self.answer.reason()
    }

    /// Credits asked for.
    #[getter]
    fn amount<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        credits(py, self.amount, self.scale)
    }

    /// Gives all back. Raises `Conflict` if the reservation was denied or is settled already.
    fn release(&self, py: Python<'_>) -> PyResult<()> {
        let held = self.begin(py)?;
        self.give_back(py, held)?;
        Ok(())
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_exc))]
    fn __exit__(&self, py: Python<'_>, _exc: &Bound<'_, pyo3::types::PyTuple>) -> PyResult<()> {
        if self.held.is_some() && self.state.load(Ordering::Acquire) == OPEN {
            // Acquire: sees a settlement by another thread.
            self.release(py)?;
        }
        Ok(())
    }

    fn __bool__(&self) -> bool {
        self.held.is_some()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!(
            "Reservation(allowed={}, reason={:?}, amount={})",
            if self.held.is_some() { "True" } else { "False" },
            self.answer.reason(),
            self.amount(py)?
        ))
    }
}

impl Drop for Reservation {
    /// Nobody can commit it any more: what it holds goes back now and not when it expires.
    fn drop(&mut self) {
        if let (Some(held), OPEN) = (self.held, *self.state.get_mut()) {
            Python::attach(|py| {
                // A closed checker has nothing to give back to; the hold then ends by itself.
                let _ = self.give_back(py, held);
            });
        }
    }
}
