//! `reserve` and `Reservation.commit`.

use fastcheck_core::Amount;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::amounts::{seconds, small, with_amount};
use crate::errors::{Class, raise};
use crate::reservation::{Reservation, TTL_S};

use super::burns::text;
use super::checks::spend;
use super::seam::{arguments, checker, guarded, keywords, object};

pub(super) unsafe extern "C" fn reserve(
    slf: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    nargs: ffi::Py_ssize_t,
    kwnames: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: CPython calls this attached to the interpreter.
    let py = unsafe { Python::assume_attached() };
    if nargs != 3 {
        return arguments(
            py,
            "reserve(customer, feature, amount, *, ttl=60.0) takes three positional arguments",
        );
    }
    // SAFETY: the descriptor's check of `self`; the arguments are alive during the call, and keyword values follow the
    // positional ones.
    let made = unsafe {
        guarded(
            checker(py, slf),
            || match small(*args.add(2)).filter(|_| kwnames.is_null()) {
                Some(amount) => match reserve_covered(py, slf, args, amount) {
                    Some(made) => Bound::new(py, made).map(Some),
                    None => reserve_any(py, slf, args, kwnames),
                },
                None => reserve_any(py, slf, args, kwnames),
            },
            Ok(None),
        )
    };
    object(py, made)
}

/// A plain amount that is covered, for the usual time. `None`: nothing was held; look again, with all there is.
///
/// # Safety
/// The arguments are those of `reserve`, three of them positional.
#[inline(always)]
pub(super) unsafe fn reserve_covered(
    py: Python<'_>,
    slf: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    amount: u64,
) -> Option<Reservation> {
    // SAFETY: the caller's promise. What a `Spend` was found for is text. No Python code runs before the view is done with.
    unsafe {
        let this = checker(py, slf);
        let view = this.mapped.fast()?;
        let spend = spend(py, this, view, *args, *args.add(1))?;
        Reservation::held(
            &Borrowed::from_ptr(py, slf).cast_unchecked(),
            view,
            spend,
            &Borrowed::from_ptr(py, *args).cast_unchecked(),
            &Borrowed::from_ptr(py, *args.add(1)).cast_unchecked(),
            amount,
        )
    }
}

/// # Safety
/// The arguments are those of `reserve`, three of them positional.
#[inline(never)]
pub(super) unsafe fn reserve_any<'py>(
    py: Python<'py>,
    slf: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    kwnames: *mut ffi::PyObject,
) -> PyResult<Option<Bound<'py, Reservation>>> {
    // SAFETY: the caller's promise; all are alive during the call, and keyword values follow the positional ones.
    unsafe {
        let [ttl] = keywords(py, args.add(3), kwnames, "reserve", ["ttl"])?;
        let ttl = ttl.map_or(Ok(TTL_S), |ttl| seconds(&ttl))?;
        let name = |i| {
            Borrowed::from_ptr(py, *args.add(i))
                .cast::<PyString>()
                .map_err(|_| raise(py, Class::WrongType, "a name must be a str"))
        };
        let (customer, feature) = (name(0)?, name(1)?);
        let checker = Borrowed::from_ptr(py, slf).cast_unchecked();
        let made = with_amount(py, *args.add(2), |wanted| {
            Reservation::make(py, &checker, &customer, &feature, wanted, ttl)
        })?;
        Bound::new(py, made).map(Some)
    }
}

pub(super) unsafe extern "C" fn commit(
    slf: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    nargs: ffi::Py_ssize_t,
    kwnames: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: CPython calls this attached to the interpreter.
    let py = unsafe { Python::assume_attached() };
    if nargs > 1 {
        return arguments(
            py,
            "commit(actual=None, *, event=None) takes at most one positional argument",
        );
    }
    // SAFETY: the descriptor's check of `self`; the arguments are alive during the call, and keyword values follow the
    // positional ones.
    unsafe {
        let held = &*std::ptr::from_ref(
            Borrowed::from_ptr(py, slf)
                .cast_unchecked::<Reservation>()
                .get(),
        );
        let made = guarded(
            held.checker(),
            || {
                if kwnames.is_null()
                    && nargs == 1
                    && let Some(actual) = small(*args)
                    && let Some(view) = held.checker().mapped.fast()
                    && let Some(used) = held.covered(view, actual)
                {
                    return Bound::new(py, held.settle(py, used)?).map(Some);
                }
                let values = args.add(nargs as usize);
                let [event] = keywords(py, values, kwnames, "commit", ["event"])?;
                let event = text(event)?;
                let commit = |actual: Option<Amount<'_>>| held.commit(py, actual, event.as_ref());
                let settlement = if nargs == 1 && *args != ffi::Py_None() {
                    with_amount(py, *args, |actual| commit(Some(actual)))
                } else {
                    commit(None)
                };
                Bound::new(py, settlement?).map(Some)
            },
            Ok(None),
        );
        object(py, made)
    }
}
