//! `consume` and `decide`.

use fastcheck_core::Amount;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::amounts::{small, with_amount};
use crate::answers::Decision;
use crate::errors::{Class, raise};
use crate::strings::utf8;

use super::checks::spend;
use super::seam::{answer, arguments, boolean, checker, guarded, keywords, object, wait_seq};

pub(super) unsafe extern "C" fn consume(
    slf: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    nargs: ffi::Py_ssize_t,
    kwnames: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: CPython calls this attached to the interpreter.
    let py = unsafe { Python::assume_attached() };
    if !(2..=3).contains(&nargs) {
        return arguments(
            py,
            "consume(customer, feature, amount=1, *, event=None, min_seq=None) takes two or three positional arguments",
        );
    }
    // SAFETY: the descriptor's check of `self`; the arguments are alive during the call. No Python code runs before the
    // view is done with.
    unsafe {
        let checker = checker(py, slf);
        let amount = if nargs == 3 {
            small(*args.add(2))
        } else {
            Some(1)
        };
        if kwnames.is_null()
            && let Some(amount) = amount
            && let Some(view) = checker.mapped.fast()
            && let Some(index) = checker.identities.feature(view, *args.add(1))
            && let Some(seen) = checker.identities.customer(view, *args)
            && let Some(spend) = seen.spend(view, index)
            && let Some(answer) = spend.burn(&*view.cells, amount, &checker.time)
        {
            return boolean(answer);
        }
        consume_unseen(py, slf, args, nargs, kwnames)
    }
}

/// # Safety
/// The arguments are those of `consume`.
#[inline(never)]
pub(super) unsafe fn consume_unseen(
    py: Python<'_>,
    slf: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    nargs: ffi::Py_ssize_t,
    kwnames: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the caller's promise; no Python code runs before the view is done with.
    unsafe {
        let checker = checker(py, slf);
        let amount = if nargs == 3 {
            small(*args.add(2))
        } else {
            Some(1)
        };
        if kwnames.is_null()
            && let Some(amount) = amount
            && let Some(view) = checker.mapped.fast()
            && let Some(spend) = spend(py, checker, view, *args, *args.add(1))
            && let Some(answer) = spend.burn(&*view.cells, amount, &checker.time)
        {
            return boolean(answer);
        }
        consume_any(py, slf, args, nargs, kwnames)
    }
}

/// # Safety
/// The arguments are those of `consume`.
#[inline(never)]
pub(super) unsafe fn consume_any(
    py: Python<'_>,
    slf: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    nargs: ffi::Py_ssize_t,
    kwnames: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the caller's promise.
    let checker = unsafe { checker(py, slf) };
    let result = guarded(
        checker,
        || {
            // SAFETY: all arguments are alive during the call.
            let (customer, feature) = unsafe {
                (
                    Borrowed::from_ptr(py, *args),
                    Borrowed::from_ptr(py, *args.add(1)),
                )
            };
            // SAFETY: as above.
            let key = unsafe { utf8(py, feature.as_ptr())? };
            let burn = |amount: Amount<'_>| {
                // SAFETY: as above; keyword values follow the positional ones.
                let event = unsafe {
                    let values = args.add(nargs as usize);
                    let [event, min_seq] =
                        keywords(py, values, kwnames, "consume", ["event", "min_seq"])?;
                    wait_seq(py, slf, checker, min_seq.as_ref())?;
                    text(event)?
                };
                checker.consume(py, &customer, key, amount, event.as_ref())
            };
            match nargs {
                // SAFETY: as above.
                3 => unsafe { with_amount(py, *args.add(2), burn) },
                _ => burn(Amount::Plain(1)),
            }
        },
        Ok(false),
    );
    answer(py, result)
}

/// The value of the keyword `event`.
#[cold]
pub(super) fn text<'a>(event: Option<Bound<'a, PyAny>>) -> PyResult<Option<Bound<'a, PyString>>> {
    match event {
        Some(value) if !value.is_none() => {
            let py = value.py();
            value
                .cast_into::<PyString>()
                .map(Some)
                .map_err(|_| raise(py, Class::WrongType, "event must be a str"))
        }
        _ => Ok(None),
    }
}

pub(super) unsafe extern "C" fn decide(
    slf: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    nargs: ffi::Py_ssize_t,
    kwnames: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: CPython calls this attached to the interpreter.
    let py = unsafe { Python::assume_attached() };
    if !(2..=3).contains(&nargs) {
        return arguments(
            py,
            "decide(customer, feature, amount=1, *, min_seq=None) takes two or three positional arguments",
        );
    }
    // SAFETY: the descriptor's check of `self`; the arguments are alive during the call.
    let made = unsafe {
        guarded(
            checker(py, slf),
            || {
                let amount = match nargs {
                    3 => small(*args.add(2)).map(|n| Some(Amount::Plain(n))),
                    _ => Some(None),
                };
                let decision = match amount.filter(|_| kwnames.is_null()) {
                    Some(amount) => {
                        let customer = Borrowed::from_ptr(py, *args);
                        let feature = Borrowed::from_ptr(py, *args.add(1));
                        checker(py, slf).decide(py, &customer, &feature, amount)
                    }
                    None => decide_any(py, slf, args, nargs, kwnames),
                };
                Bound::new(py, decision?).map(Some)
            },
            Ok(None),
        )
    };
    object(py, made)
}

/// A decision about any amount, and with its keyword.
///
/// # Safety
/// The arguments are those of `decide`.
#[cold]
unsafe fn decide_any(
    py: Python<'_>,
    slf: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    nargs: ffi::Py_ssize_t,
    kwnames: *mut ffi::PyObject,
) -> PyResult<Decision> {
    // SAFETY: the caller's promise; all are alive during the call, and keyword values follow the positional ones.
    unsafe {
        let checker = checker(py, slf);
        let customer = Borrowed::from_ptr(py, *args);
        let feature = Borrowed::from_ptr(py, *args.add(1));
        let decide = |amount: Option<Amount<'_>>| {
            let values = args.add(nargs as usize);
            let [min_seq] = keywords(py, values, kwnames, "decide", ["min_seq"])?;
            wait_seq(py, slf, checker, min_seq.as_ref())?;
            checker.decide(py, &customer, &feature, amount)
        };
        match nargs {
            3 => with_amount(py, *args.add(2), |amount| decide(Some(amount))),
            _ => decide(None),
        }
    }
}
