//! `Handle.check` and `Handle.consume`.

use fastcheck_core::Amount;
use pyo3::ffi;
use pyo3::prelude::*;

use crate::amounts::{small, with_amount};
use crate::handle::Handle;

use super::seam::{answer, arguments, boolean, guarded};

/// The handle behind `self`.
///
/// # Safety
/// `slf` is an instance of `Handle`: the method descriptor has checked that.
#[inline(always)]
pub(super) unsafe fn handle<'a>(py: Python<'a>, slf: *mut ffi::PyObject) -> &'a Handle {
    // SAFETY: as in `checker`.
    unsafe { &*std::ptr::from_ref(Borrowed::from_ptr(py, slf).cast_unchecked::<Handle>().get()) }
}

pub(super) unsafe extern "C" fn handle_check(
    slf: *mut ffi::PyObject,
    _: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: CPython calls this attached to the interpreter; the descriptor's check of `self`. No Python code runs
    // before the view is done with.
    unsafe {
        let py = Python::assume_attached();
        let handle = handle(py, slf);
        if let Some(view) = handle.checker().mapped.fast()
            && let Some(seen) = handle.seen(view)
            && let Some(answer) = seen.answer
        {
            return boolean(answer);
        }
        handle_check_any(py, handle)
    }
}

#[inline(never)]
pub(super) fn handle_check_any(py: Python<'_>, handle: &Handle) -> *mut ffi::PyObject {
    answer(
        py,
        guarded(handle.checker(), || handle.check(py), Ok(false)),
    )
}

pub(super) unsafe extern "C" fn handle_consume(
    slf: *mut ffi::PyObject,
    args: *mut *mut ffi::PyObject,
    nargs: ffi::Py_ssize_t,
) -> *mut ffi::PyObject {
    // SAFETY: CPython calls this attached to the interpreter; the descriptor's check of `self`. No Python code runs
    // before the view is done with.
    unsafe {
        let py = Python::assume_attached();
        let handle = handle(py, slf);
        if nargs > 1 {
            return arguments(
                py,
                "consume(amount=1) takes at most one positional argument",
            );
        }
        let checker = handle.checker();
        let amount = if nargs == 1 { small(*args) } else { Some(1) };
        if let Some(amount) = amount
            && let Some(view) = checker.mapped.fast()
            && let Some(seen) = handle.seen(view)
            && let Some(spend) = &seen.spend
            && let Some(answer) = spend.burn(&*view.cells, amount, &checker.time)
        {
            return boolean(answer);
        }
        handle_consume_any(py, handle, args, nargs)
    }
}

/// # Safety
/// The arguments are those of `Handle.consume`.
#[inline(never)]
pub(super) unsafe fn handle_consume_any(
    py: Python<'_>,
    handle: &Handle,
    args: *mut *mut ffi::PyObject,
    nargs: ffi::Py_ssize_t,
) -> *mut ffi::PyObject {
    let result = guarded(
        handle.checker(),
        || {
            if nargs == 1 {
                // SAFETY: the argument is alive during the call.
                unsafe { with_amount(py, *args, |amount| handle.consume(py, amount)) }
            } else {
                handle.consume(py, Amount::Plain(1))
            }
        },
        Ok(false),
    );
    answer(py, result)
}
