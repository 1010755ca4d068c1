//! Reservations: hold an estimate before the work, settle the true amount after it.

use std::sync::atomic::{AtomicU8, Ordering};

use fastcheck_core::arena::View;
use fastcheck_core::cell;
use fastcheck_core::check::{Answer, Cells, Till};
use fastcheck_core::entry;
use fastcheck_core::error::Corrupt;
use fastcheck_core::hold::{Ask, Hold, Reserve, Settle};
use fastcheck_core::segment::CELL_BITS;
use pyo3::prelude::*;
use pyo3::types::PyString;
use smallvec::SmallVec;

use crate::amounts::{self, Amount, amount, credits};
use crate::answers::{Settlement, reason};
use crate::checker::{Checker, Step, pool_name};
use crate::errors::{Class, corrupt, raise};
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
    hold: Hold,
    arena: u64,
    segment: usize,
    /// The view it was held in, and what a plain unit costs there; [`NO_COST`](entry::NO_COST) if that was not asked.
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
        till: Till,
        customer: &Bound<'_, PyString>,
        feature: &Bound<'_, PyString>,
        wanted: u64,
    ) -> Option<Reservation> {
        let this = checker.get();
        let amount = till.unit.checked_mul(wanted)?;
        if amount > cell::TOTAL_MAX {
            return None;
        }
        let ask = Ask {
            lease: till.identity,
            pool: till.pool,
            amount,
            ends_at_ms: this.time.steady_ms().saturating_add(TTL_S as u64 * 1000),
            holder: crate::process::holder(),
            // Relaxed: a hint.
            near: this.near.load(Ordering::Relaxed),
        };
        let Ok(Attempt::Held(held)) = hold(view, till.cell, &ask, this) else {
            return None;
        };
        Some(Reservation {
            checker: checker.clone().unbind(),
            customer: customer.clone().unbind(),
            feature: feature.clone().unbind(),
            answer: Answer::Allowed,
            held: Some(Held {
                unit: till.unit,
                ..held
            }),
            amount,
            scale: till.scale,
            state: AtomicU8::new(OPEN),
        })
    }

    pub fn make(
        py: Python<'_>,
        checker: &Bound<'_, Checker>,
        customer: &Bound<'_, PyString>,
        feature: &Bound<'_, PyString>,
        wanted: &Bound<'_, PyAny>,
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
        // SAFETY: all objects outlive the call.
        let (name, key, wanted) = unsafe {
            (
                utf8(py, customer.as_ptr())?,
                utf8(py, feature.as_ptr())?,
                amount(py, wanted.as_ptr())?,
            )
        };
        let ends_at_ms = this.time.steady_ms().saturating_add((ttl * 1000.0) as u64);
        let (answer, held, cost, scale) = this.settle(py, customer.as_any(), |view| {
            let Some(found) = this.find(py, view, name, key)? else {
                return Ok(Step::Done((Answer::UnknownFeature, None, 0, 0)));
            };
            let cost = amounts::cost(py, &view.rows, &found, &wanted)?;
            let scale = view.rows.pool_info(found.entry.pool()).map_err(|e| corrupt(py, e))?.scale;
            let barred = found.barred(&view.rows, &this.moment(view)).map_err(|e| corrupt(py, e))?;
            if let Some(answer) = barred {
                let denied = (answer, None, cost, scale);
                return Ok(Step::known(view, found.row, name, answer, denied));
            }
            let ask = |lease: u64, pool: u64| Ask {
                lease,
                pool,
                amount: cost,
                ends_at_ms,
                holder: crate::process::holder(),
                // Relaxed: a hint.
                near: this.near.load(Ordering::Relaxed),
            };
            match attempt(view, &found, ask, this).map_err(|e| corrupt(py, e))? {
                Attempt::Held(held) => Ok(Step::Done((Answer::Allowed, Some(held), cost, scale))),
                Attempt::Exhausted => Ok(Step::Done((Answer::Exhausted, None, cost, scale))),
                Attempt::NoLease => {
                    Ok(Step::Touch(pool_name(py, view, &found)?, (Answer::NoLease, None, cost, scale)))
                }
                Attempt::NoSlot => Err(raise(
                    py,
                    Class::TooManyReservations,
                    "every place for a hold of this host is taken: commit or release some, or give them a shorter ttl",
                )),
            }
        })?;
        this.note(py, answer, name, key)?;
        Ok(Reservation {
            checker: checker.clone().unbind(),
            customer: customer.clone().unbind(),
            feature: feature.clone().unbind(),
            answer,
            held,
            amount: cost,
            scale,
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
                    reason(self.answer)
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
        self.checker.get().with_view(py, |view| {
            let release = || -> Result<Settle, Corrupt> {
                if view.arena != held.arena {
                    return Ok(Settle::Gone); // That arena was closed and settled as a whole.
                }
                view.cells.get(held.segment)?.holds()?.release(held.hold)
            };
            release()
                .map(|s| s != Settle::Gone)
                .map_err(|e| corrupt(py, e))
        })
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
            // The customer may be without the feature by now; what was used is still to be paid from the same pool.
            let Some(found) = checker.find(py, view, name, key)? else {
                return Ok(Step::Done(()));
            };
            let lease = found.lease(&view.rows).map_err(|e| corrupt(py, e))?;
            let burn = |lease: u32, identity: u64, taken: u64| -> Result<(u64, bool), Corrupt> {
                let cell = view.cells.cell(lease)?;
                let more = cell.burn_up_to(identity, most - taken, || {
                    fastcheck_core::check::Clock::now_ms(&checker.time)
                })?;
                let full = cell
                    .view(identity, || {
                        fastcheck_core::check::Clock::now_ms(&checker.time)
                    })?
                    .is_some_and(|v| v.full);
                Ok((more, full))
            };
            let full = match lease {
                None => false,
                Some(l) => {
                    let (more, full) =
                        burn(l.cell, l.identity, taken).map_err(|e| corrupt(py, e))?;
                    taken += more;
                    full
                }
            };
            if taken == most || full || found.row.is_none() {
                return Ok(Step::Done(()));
            }
            Ok(Step::Touch(pool_name(py, view, &found)?, ()))
        })?;
        Ok(taken)
    }

    /// Settles: keeps what was used (the whole estimate if not said), gives the rest back. What was used beyond
    /// the estimate is burned as far as the balance has it; the rest is the settlement's `shortfall`. `event` records it
    /// under an id.
    pub fn commit(
        &self,
        py: Python<'_>,
        actual: Option<&Bound<'_, PyAny>>,
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
        // SAFETY: the argument outlives the call.
        let actual = actual
            .map(|a| unsafe { amount(py, a.as_ptr()) })
            .transpose()?;
        let used = match &actual {
            None => self.amount,
            Some(actual) => {
                checker.with_view(py, |view| match checker.find(py, view, name, key)? {
                    Some(found) => amounts::cost(py, &view.rows, &found, actual),
                    None => Ok(self.amount), // The catalog lost the feature meanwhile: the estimate stands.
                })?
            }
        };
        let settlement = self.settle(py, used)?;
        if let Some(event) = event {
            let estimated = Amount::Named(SmallVec::new());
            checker.record(
                py,
                event,
                name,
                key,
                actual.as_ref().unwrap_or(&estimated),
                settlement.charged,
            )?;
        }
        Ok(settlement)
    }

    /// What a plain amount comes to, where it is known without looking anything up and was held in full.
    #[inline(always)]
    pub fn covered(&self, view: &View, actual: u64) -> Option<u64> {
        let held = self.held.as_ref()?;
        // In one view a feature has one price.
        if held.stamp != view.stamp || held.unit == entry::NO_COST {
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
        let settled = checker.with_view(py, |view| {
            let commit = || -> Result<Settle, Corrupt> {
                if view.arena != held.arena {
                    return Ok(Settle::Gone);
                }
                view.cells
                    .get(held.segment)?
                    .holds()?
                    .commit(held.hold, kept)
            };
            commit().map_err(|e| corrupt(py, e))
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

/// One attempt to reserve.
enum Attempt {
    Held(Held),
    Exhausted,
    NoLease,
    NoSlot,
}

fn attempt(
    view: &View,
    found: &fastcheck_core::check::Found,
    ask: impl Fn(u64, u64) -> Ask,
    checker: &Checker,
) -> Result<Attempt, Corrupt> {
    let Some(lease) = found.lease(&view.rows)? else {
        return Ok(Attempt::NoLease);
    };
    let pool = view.rows.pool_info(found.entry.pool())?.id;
    hold(view, lease.cell, &ask(lease.identity, pool), checker)
}

/// Holds what is asked for in the cell, if it is there.
#[inline(always)]
fn hold(view: &View, cell: u32, ask: &Ask, checker: &Checker) -> Result<Attempt, Corrupt> {
    let segment = cell as usize >> CELL_BITS;
    let of = view.cells.get(segment)?;
    let cell = of.cell(cell as usize & ((1 << CELL_BITS) - 1))?;
    let now = || fastcheck_core::check::Clock::now_ms(&checker.time);
    Ok(match of.holds()?.reserve(&cell, ask, now)? {
        Reserve::Held(hold) => {
            // Relaxed: a hint.
            checker.near.store(hold.near(), Ordering::Relaxed);
            Attempt::Held(Held {
                hold,
                arena: view.arena,
                segment,
                stamp: view.stamp,
                unit: entry::NO_COST,
            })
        }
        Reserve::Denied(cell::Burn::Short { full: true, .. }) => Attempt::Exhausted,
        Reserve::Denied(_) => Attempt::NoLease,
        Reserve::NoSlot => Attempt::NoSlot,
    })
}

#[pymethods]
impl Reservation {
    #[getter]
    fn allowed(&self) -> bool {
        self.held.is_some()
    }

    #[getter]
    fn reason(&self) -> &'static str {
        reason(self.answer)
    }

    /// Credits held.
    #[getter]
    fn amount<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        credits(py, self.amount, self.scale)
    }

    /// Gives all back. Nothing happens if it has expired.
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
            reason(self.answer),
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
