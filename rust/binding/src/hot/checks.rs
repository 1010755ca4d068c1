//! `check`: from what is remembered of both strings, then from the rows, then with all there is.

use fastcheck_core::{Spend, View, check_fast};
use pyo3::ffi;
use pyo3::prelude::*;

use crate::checker::Checker;
use crate::strings::utf8;

use super::seam::{answer, arguments, boolean, checker, guarded, keywords, wait_seq};

pub(super) unsafe extern "C" fn check(
    slf: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    nargs: ffi::Py_ssize_t,
    kwnames: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: CPython calls this attached to the interpreter.
    let py = unsafe { Python::assume_attached() };
    if nargs != 2 {
        return arguments(
            py,
            "check(customer, feature, *, min_seq=None) takes two positional arguments",
        );
    }
    // SAFETY: the descriptor's check of `self`; two arguments, alive during the call. No Python code runs before the
    // view is done with.
    unsafe {
        let (checker, customer, feature) = (checker(py, slf), *args, *args.add(1));
        if !kwnames.is_null() {
            return check_from(py, slf, args, kwnames);
        }
        if let Some(view) = checker.mapped.fast()
            && let Some(index) = checker.identities.feature(view, feature)
            && let Some(seen) = checker.identities.customer(view, customer)
            && seen.entries_at != 0
            && let Some(answer) = check_fast(&view.rows, seen.entries_at, index)
        {
            return boolean(answer);
        }
        check_unseen(py, checker, customer, feature)
    }
}

/// A check with its keyword.
///
/// # Safety
/// The arguments are those of `check`, two of them positional.
#[cold]
#[inline(never)]
unsafe fn check_from(
    py: Python<'_>,
    slf: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    kwnames: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the caller's promise; keyword values follow the positional ones.
    unsafe {
        let checker = checker(py, slf);
        let waited = keywords(py, args.add(2), kwnames, "check", ["min_seq"])
            .and_then(|[min_seq]| wait_seq(py, slf, checker, min_seq.as_ref()));
        match waited {
            Ok(()) => check_unseen(py, checker, *args, *args.add(1)),
            Err(error) => answer(py, Err(error)),
        }
    }
}

/// The feature's index, found by its text where this is the first time.
///
/// # Safety
/// As for [`crate::identity::Identities::feature`]; the object is alive.
#[inline(always)]
pub(super) unsafe fn feature_index(
    py: Python<'_>,
    checker: &Checker,
    view: &View,
    feature: *mut ffi::PyObject,
) -> Option<usize> {
    // SAFETY: the caller's promise.
    unsafe {
        match checker.identities.feature(view, feature) {
            Some(index) => Some(index),
            None => checker.identities.find_feature(py, view, feature),
        }
    }
}

/// What burning the customer's feature takes. `None`: look again, with all there is.
///
/// # Safety
/// As for [`crate::identity::Identities::customer`]; both objects are alive.
#[inline(always)]
pub(super) unsafe fn spend(
    py: Python<'_>,
    checker: &Checker,
    view: &View,
    customer: *mut ffi::PyObject,
    feature: *mut ffi::PyObject,
) -> Option<Spend> {
    // SAFETY: the caller's promise.
    unsafe {
        let index = feature_index(py, checker, view, feature)?;
        match checker.identities.customer(view, customer) {
            Some(seen) => seen.spend(view, index).copied(),
            None => checker
                .identities
                .find_customer(py, view, customer)?
                .spend(view, index),
        }
    }
}

/// # Safety
/// Both objects are alive during the call.
#[inline(never)]
pub(super) unsafe fn check_unseen(
    py: Python<'_>,
    checker: &Checker,
    customer: *mut ffi::PyObject,
    feature: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the caller's promise; no Python code runs before the view is done with.
    unsafe {
        if let Some(view) = checker.mapped.fast()
            && let Some(index) = feature_index(py, checker, view, feature)
        {
            let answer = match checker.identities.customer(view, customer) {
                Some(seen) if seen.entries_at == 0 => None,
                Some(seen) => answer_plain(checker, view, seen.entries_at, index, || {
                    seen.spend(view, index).copied()
                }),
                None => match checker.identities.find_customer(py, view, customer) {
                    Some(found) => found.entries_at(view).and_then(|entries_at| {
                        answer_plain(checker, view, entries_at, index, || {
                            found.spend(view, index)
                        })
                    }),
                    None => None,
                },
            };
            if let Some(answer) = answer {
                return boolean(answer);
            }
        }
        check_any(py, checker, customer, feature)
    }
}

/// The answer from a plain row, its lease included. `None`: look again, with all there is.
#[inline(always)]
pub(super) fn answer_plain(
    checker: &Checker,
    view: &View,
    entries_at: usize,
    feature: usize,
    spend: impl FnOnce() -> Option<Spend>,
) -> Option<bool> {
    match check_fast(&view.rows, entries_at, feature) {
        Some(answer) => Some(answer),
        None => spend()?.check(&*view.cells, &checker.time),
    }
}

/// # Safety
/// Both objects are alive during the call.
#[inline(never)]
unsafe fn check_any(
    py: Python<'_>,
    checker: &Checker,
    customer: *mut ffi::PyObject,
    feature: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let result = guarded(
        checker,
        || {
            // SAFETY: both arguments are alive during the call.
            let (name, key) = unsafe { (utf8(py, customer)?, utf8(py, feature)?) };
            // SAFETY: as above.
            let customer = unsafe { Borrowed::from_ptr(py, customer) };
            checker.check(py, &customer, name, key)
        },
        Ok(false),
    );
    answer(py, result)
}
