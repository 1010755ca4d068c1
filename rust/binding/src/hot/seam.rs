//! The seam of bare C functions: arguments in, a new reference or an error out, panics caught.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use pyo3::ffi;
use pyo3::prelude::*;

use crate::checker::Checker;
use crate::errors::{Class, raise};

pub type Fast = unsafe extern "C" fn(
    *mut ffi::PyObject,
    *mut *mut ffi::PyObject,
    ffi::Py_ssize_t,
) -> *mut ffi::PyObject;
pub type FastKeywords = unsafe extern "C" fn(
    *mut ffi::PyObject,
    *const *mut ffi::PyObject,
    ffi::Py_ssize_t,
    *mut ffi::PyObject,
) -> *mut ffi::PyObject;

/// Runs `body`; a panic in it is counted and answered with `instead`.
#[inline(always)]
pub fn guarded<T>(checker: &Checker, body: impl FnOnce() -> T, instead: T) -> T {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(done) => done,
        Err(_) => {
            // Relaxed: a counter.
            checker.panics.fetch_add(1, Ordering::Relaxed);
            instead
        }
    }
}

/// A bool, or the error set and null.
#[inline(always)]
pub fn answer(py: Python<'_>, result: PyResult<bool>) -> *mut ffi::PyObject {
    match result {
        Ok(value) => boolean(value),
        Err(error) => {
            error.restore(py);
            std::ptr::null_mut()
        }
    }
}

/// The checker behind `self`.
///
/// # Safety
/// `slf` is an instance of `Checker`: the method descriptor has checked that.
#[inline(always)]
pub unsafe fn checker<'a>(py: Python<'a>, slf: *mut ffi::PyObject) -> &'a Checker {
    // SAFETY: the caller's promise; the object outlives the call, and the class is frozen, so shared access is all
    // there ever is.
    unsafe {
        &*std::ptr::from_ref(
            Borrowed::from_ptr(py, slf)
                .cast_unchecked::<Checker>()
                .get(),
        )
    }
}

#[cold]
pub fn arguments(py: Python<'_>, what: &str) -> *mut ffi::PyObject {
    pyo3::exceptions::PyTypeError::new_err(what.to_owned()).restore(py);
    std::ptr::null_mut()
}

/// A bool as a new reference.
#[inline(always)]
pub fn boolean(value: bool) -> *mut ffi::PyObject {
    // SAFETY: the interpreter is attached in all callers; the singletons always exist.
    unsafe {
        ffi::Py_NewRef(if value {
            ffi::Py_True()
        } else {
            ffi::Py_False()
        })
    }
}

/// The keywords of a method that were given, in the order of `known`.
///
/// # Safety
/// `kwnames` is the tuple of keyword names, or null, and `values` points to as many live objects.
#[cold]
pub unsafe fn keywords<'a, const N: usize>(
    py: Python<'a>,
    values: *const *mut ffi::PyObject,
    kwnames: *mut ffi::PyObject,
    method: &str,
    known: [&str; N],
) -> PyResult<[Option<Bound<'a, PyAny>>; N]> {
    let mut given = [const { None }; N];
    if kwnames.is_null() {
        return Ok(given);
    }
    // SAFETY: the caller's promise.
    let names = unsafe { Bound::from_borrowed_ptr(py, kwnames) };
    let names: Vec<String> = names.extract()?;
    for (i, name) in names.iter().enumerate() {
        let Some(at) = known.iter().position(|one| one == name) else {
            return Err(pyo3::exceptions::PyTypeError::new_err(format!(
                "{method}() has no keyword {name}, only {}",
                known.join(", ")
            )));
        };
        // SAFETY: a value for each name; they are alive during the call.
        given[at] = Some(unsafe { Bound::from_borrowed_ptr(py, *values.add(i)) });
    }
    Ok(given)
}

/// Waits until this host has come to the change that the keyword `min_seq` names.
///
/// # Safety
/// `slf` is the live instance of `Checker` behind `checker`.
#[cold]
pub unsafe fn wait_seq(
    py: Python<'_>,
    slf: *mut ffi::PyObject,
    checker: &Checker,
    min_seq: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let Some(given) = min_seq.filter(|given| !given.is_none()) else {
        return Ok(());
    };
    let wanted = given
        .extract::<u64>()
        .ok()
        .filter(|_| !given.is_instance_of::<pyo3::types::PyBool>())
        .ok_or_else(|| {
            raise(
                py,
                Class::WrongType,
                "min_seq must be the number of a change, an int of zero or more",
            )
        })?;
    if checker.seq(py)?.1 < wanted {
        // SAFETY: the caller's promise.
        unsafe { Borrowed::from_ptr(py, slf) }.call_method1("_wait_seq", (wanted,))?;
    }
    Ok(())
}

/// An object, or the error set and null. No object and no error: a panic was caught.
pub fn object<T>(py: Python<'_>, made: PyResult<Option<Bound<'_, T>>>) -> *mut ffi::PyObject {
    let made = made.and_then(|made| {
        made.ok_or_else(|| {
            raise(
                py,
                Class::FastcheckError,
                "an internal error was caught; see status().panics",
            )
        })
    });
    match made {
        Ok(made) => made.into_ptr(),
        Err(error) => {
            error.restore(py);
            std::ptr::null_mut()
        }
    }
}
