//! The hottest methods as bare C functions, attached to their classes as method descriptors.
//!
//! PyO3's own trampolines cost one to three nanoseconds more, and a check has about nine. What they do is done here by
//! hand: the descriptor guarantees the type of `self`, the arguments are borrowed, and a panic is caught and becomes a
//! denial.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use fastcheck_core::arena::View;
use fastcheck_core::check::{self, Answer, Till};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyType};

use crate::amounts::{Amount, amount, small};
use crate::checker::{Checker, seconds};
use crate::errors::{corrupt, raise};
use crate::handle::Handle;
use crate::reservation::{Reservation, TTL_S};
use crate::strings::utf8;

type Fast = unsafe extern "C" fn(
    *mut ffi::PyObject,
    *mut *mut ffi::PyObject,
    ffi::Py_ssize_t,
) -> *mut ffi::PyObject;
type FastKeywords = unsafe extern "C" fn(
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
fn answer(py: Python<'_>, result: PyResult<bool>) -> *mut ffi::PyObject {
    match result {
        // SAFETY: the interpreter is attached; the singletons are immortal or get a new reference.
        Ok(true) => unsafe { ffi::Py_NewRef(ffi::Py_True()) },
        // SAFETY: as above.
        Ok(false) => unsafe { ffi::Py_NewRef(ffi::Py_False()) },
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
unsafe fn checker<'a>(py: Python<'a>, slf: *mut ffi::PyObject) -> &'a Checker {
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
fn arguments(py: Python<'_>, what: &str) -> *mut ffi::PyObject {
    pyo3::exceptions::PyTypeError::new_err(what.to_owned()).restore(py);
    std::ptr::null_mut()
}

/// A bool as a new reference.
#[inline(always)]
fn boolean(value: bool) -> *mut ffi::PyObject {
    // SAFETY: the interpreter is attached in all callers; the singletons always exist.
    unsafe {
        ffi::Py_NewRef(if value {
            ffi::Py_True()
        } else {
            ffi::Py_False()
        })
    }
}

unsafe extern "C" fn check(
    slf: *mut ffi::PyObject,
    args: *mut *mut ffi::PyObject,
    nargs: ffi::Py_ssize_t,
) -> *mut ffi::PyObject {
    // SAFETY: CPython calls this attached to the interpreter.
    let py = unsafe { Python::assume_attached() };
    if nargs != 2 {
        return arguments(
            py,
            "check(customer, feature) takes two positional arguments",
        );
    }
    // SAFETY: the descriptor's check of `self`; two arguments, alive during the call. No Python code runs before the
    // view is done with.
    unsafe {
        let (checker, customer, feature) = (checker(py, slf), *args, *args.add(1));
        if let Some(view) = checker.view_fast()
            && let Some(index) = checker.identities.feature(view, feature)
            && let Some(seen) = checker.identities.customer(view, customer)
            && seen.entries_at != 0
            && let Some(answer) = check::check_fast(&view.rows, seen.entries_at, index)
        {
            return boolean(answer);
        }
        check_unseen(py, checker, customer, feature)
    }
}

/// The feature's index, found by its text where this is the first time.
///
/// # Safety
/// As for [`crate::identity::Identities::feature`]; the object is alive.
#[inline(always)]
unsafe fn feature_index(
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
unsafe fn till(
    py: Python<'_>,
    checker: &Checker,
    view: &View,
    customer: *mut ffi::PyObject,
    feature: *mut ffi::PyObject,
) -> Option<Till> {
    // SAFETY: the caller's promise.
    unsafe {
        let index = feature_index(py, checker, view, feature)?;
        match checker.identities.customer(view, customer) {
            Some(seen) => seen.till(view, index).copied(),
            None => checker
                .identities
                .find_customer(py, view, customer)?
                .till(view, index),
        }
    }
}

/// # Safety
/// Both objects are alive during the call.
#[inline(never)]
unsafe fn check_unseen(
    py: Python<'_>,
    checker: &Checker,
    customer: *mut ffi::PyObject,
    feature: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the caller's promise; no Python code runs before the view is done with.
    unsafe {
        if let Some(view) = checker.view_fast()
            && let Some(index) = feature_index(py, checker, view, feature)
        {
            let answer = match checker.identities.customer(view, customer) {
                Some(seen) if seen.entries_at == 0 => None,
                Some(seen) => answer_plain(checker, view, seen.entries_at, index, || {
                    seen.till(view, index).copied()
                }),
                None => match checker.identities.find_customer(py, view, customer) {
                    Some(found) => found.entries_at(view).and_then(|entries_at| {
                        answer_plain(checker, view, entries_at, index, || found.till(view, index))
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
fn answer_plain(
    checker: &Checker,
    view: &View,
    entries_at: usize,
    feature: usize,
    till: impl FnOnce() -> Option<Till>,
) -> Option<bool> {
    match check::check_fast(&view.rows, entries_at, feature) {
        Some(answer) => Some(answer),
        None => till()?.check(&*view.cells, &checker.time),
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
            let answer = checker.with_view(py, |view| {
                check::check(&view.rows, &*view.cells, name, key, &checker.time)
                    .map_err(|e| corrupt(py, e))
            })?;
            match answer {
                Answer::Allowed => Ok(true),
                Answer::NotEntitled | Answer::Exhausted => Ok(false),
                _ => {
                    // SAFETY: alive during the call.
                    let customer = unsafe { Borrowed::from_ptr(py, customer) };
                    check_slow(py, checker, &customer, name, key)
                }
            }
        },
        Ok(false),
    );
    answer(py, result)
}

#[cold]
fn check_slow(
    py: Python<'_>,
    checker: &Checker,
    customer: &Bound<'_, PyAny>,
    name: &[u8],
    key: &[u8],
) -> PyResult<bool> {
    let answer = checker.settle(py, customer, |view| checker.check_step(py, view, name, key))?;
    checker.note(py, answer, name, key)?;
    Ok(answer.allowed())
}

unsafe extern "C" fn consume(
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
            "consume(customer, feature, amount=1, *, event=None) takes two or three positional arguments",
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
            && let Some(view) = checker.view_fast()
            && let Some(index) = checker.identities.feature(view, *args.add(1))
            && let Some(seen) = checker.identities.customer(view, *args)
            && let Some(till) = seen.till(view, index)
            && let Some(answer) = till.burn(&*view.cells, amount, &checker.time)
        {
            return boolean(answer);
        }
        consume_unseen(py, checker, args, nargs, kwnames)
    }
}

/// # Safety
/// The arguments are those of `consume`.
#[inline(never)]
unsafe fn consume_unseen(
    py: Python<'_>,
    checker: &Checker,
    args: *const *mut ffi::PyObject,
    nargs: ffi::Py_ssize_t,
    kwnames: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the caller's promise; no Python code runs before the view is done with.
    unsafe {
        let amount = if nargs == 3 {
            small(*args.add(2))
        } else {
            Some(1)
        };
        if kwnames.is_null()
            && let Some(amount) = amount
            && let Some(view) = checker.view_fast()
            && let Some(till) = till(py, checker, view, *args, *args.add(1))
            && let Some(answer) = till.burn(&*view.cells, amount, &checker.time)
        {
            return boolean(answer);
        }
        consume_any(py, checker, args, nargs, kwnames)
    }
}

/// # Safety
/// The arguments are those of `consume`.
#[inline(never)]
unsafe fn consume_any(
    py: Python<'_>,
    checker: &Checker,
    args: *const *mut ffi::PyObject,
    nargs: ffi::Py_ssize_t,
    kwnames: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
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
            let amount = match nargs {
                // SAFETY: as above.
                3 => unsafe { amount(py, *args.add(2)) }?,
                _ => Amount::Plain(1),
            };
            // SAFETY: as above; keyword values follow the positional ones.
            let event = unsafe { event(py, args.add(nargs as usize), kwnames, "consume") }?;
            checker.consume_any(py, &customer, key, &amount, event.as_ref())
        },
        Ok(false),
    );
    answer(py, result)
}

/// The one keyword that a method has, if it was given.
///
/// # Safety
/// `kwnames` is the tuple of keyword names, or null, and `values` points to as many live objects.
#[cold]
unsafe fn keyword<'a>(
    py: Python<'a>,
    values: *const *mut ffi::PyObject,
    kwnames: *mut ffi::PyObject,
    method: &str,
    name: &str,
) -> PyResult<Option<Bound<'a, PyAny>>> {
    if kwnames.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise.
    let names = unsafe { Bound::from_borrowed_ptr(py, kwnames) };
    let names: Vec<String> = names.extract()?;
    if names != [name] {
        return Err(pyo3::exceptions::PyTypeError::new_err(format!(
            "{method}() has one keyword, {name}; not {}",
            names.join(", ")
        )));
    }
    // SAFETY: one name, so one value.
    Ok(Some(unsafe { Bound::from_borrowed_ptr(py, *values) }))
}

/// The keyword `event`.
///
/// # Safety
/// As for [`keyword`].
#[cold]
unsafe fn event<'a>(
    py: Python<'a>,
    values: *const *mut ffi::PyObject,
    kwnames: *mut ffi::PyObject,
    method: &str,
) -> PyResult<Option<Bound<'a, PyString>>> {
    // SAFETY: the caller's promise.
    match unsafe { keyword(py, values, kwnames, method, "event") }? {
        Some(value) if !value.is_none() => value
            .cast_into::<PyString>()
            .map(Some)
            .map_err(|_| raise(py, "WrongType", "event must be a str")),
        _ => Ok(None),
    }
}

unsafe extern "C" fn decide(
    slf: *mut ffi::PyObject,
    args: *mut *mut ffi::PyObject,
    nargs: ffi::Py_ssize_t,
) -> *mut ffi::PyObject {
    // SAFETY: CPython calls this attached to the interpreter.
    let py = unsafe { Python::assume_attached() };
    if !(2..=3).contains(&nargs) {
        return arguments(
            py,
            "decide(customer, feature, amount=1) takes two or three positional arguments",
        );
    }
    // SAFETY: the descriptor's check of `self`; the arguments are alive during the call.
    let checker = unsafe { checker(py, slf) };
    let made = guarded(
        checker,
        || {
            // SAFETY: as above.
            let (customer, feature) = unsafe {
                (
                    Borrowed::from_ptr(py, *args),
                    Borrowed::from_ptr(py, *args.add(1)),
                )
            };
            // SAFETY: as above.
            let amount = if nargs == 3 {
                // SAFETY: as above.
                Some(unsafe { amount(py, *args.add(2)) }?)
            } else {
                None
            };
            let decision = checker.decide_any(py, &customer, &feature, amount.as_ref())?;
            Bound::new(py, decision).map(Some)
        },
        Ok(None),
    );
    object(py, made)
}

/// An object, or the error set and null. No object and no error: a panic was caught.
fn object<T>(py: Python<'_>, made: PyResult<Option<Bound<'_, T>>>) -> *mut ffi::PyObject {
    let made = made.and_then(|made| {
        made.ok_or_else(|| {
            raise(
                py,
                "FastcheckError",
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

unsafe extern "C" fn reserve(
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
unsafe fn reserve_covered(
    py: Python<'_>,
    slf: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    amount: u64,
) -> Option<Reservation> {
    // SAFETY: the caller's promise. What a till was found for is text. No Python code runs before the view is done with.
    unsafe {
        let this = checker(py, slf);
        let view = this.view_fast()?;
        let till = till(py, this, view, *args, *args.add(1))?;
        Reservation::held(
            &Borrowed::from_ptr(py, slf).cast_unchecked(),
            view,
            till,
            &Borrowed::from_ptr(py, *args).cast_unchecked(),
            &Borrowed::from_ptr(py, *args.add(1)).cast_unchecked(),
            amount,
        )
    }
}

/// # Safety
/// The arguments are those of `reserve`, three of them positional.
#[inline(never)]
unsafe fn reserve_any<'py>(
    py: Python<'py>,
    slf: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    kwnames: *mut ffi::PyObject,
) -> PyResult<Option<Bound<'py, Reservation>>> {
    // SAFETY: the caller's promise; all are alive during the call, and keyword values follow the positional ones.
    unsafe {
        let ttl = match keyword(py, args.add(3), kwnames, "reserve", "ttl")? {
            None => TTL_S,
            Some(ttl) => seconds(&ttl)?,
        };
        let name = |i| {
            Borrowed::from_ptr(py, *args.add(i))
                .cast::<PyString>()
                .map_err(|_| raise(py, "WrongType", "a name must be a str"))
        };
        let (customer, feature) = (name(0)?, name(1)?);
        let made = Reservation::make(
            py,
            &Borrowed::from_ptr(py, slf).cast_unchecked(),
            &customer,
            &feature,
            &Borrowed::from_ptr(py, *args.add(2)),
            ttl,
        )?;
        Bound::new(py, made).map(Some)
    }
}

unsafe extern "C" fn commit(
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
                    && let Some(view) = held.checker().view_fast()
                    && let Some(used) = held.covered(view, actual)
                {
                    return Bound::new(py, held.settle(py, used)?).map(Some);
                }
                let event = event(py, args.add(nargs as usize), kwnames, "commit")?;
                let actual = (nargs == 1).then(|| Borrowed::from_ptr(py, *args));
                let actual = actual.as_deref().filter(|a| !a.is_none());
                Bound::new(py, held.commit(py, actual, event.as_ref())?).map(Some)
            },
            Ok(None),
        );
        object(py, made)
    }
}

/// The handle behind `self`.
///
/// # Safety
/// `slf` is an instance of `Handle`: the method descriptor has checked that.
#[inline(always)]
unsafe fn handle<'a>(py: Python<'a>, slf: *mut ffi::PyObject) -> &'a Handle {
    // SAFETY: as in `checker`.
    unsafe { &*std::ptr::from_ref(Borrowed::from_ptr(py, slf).cast_unchecked::<Handle>().get()) }
}

unsafe extern "C" fn handle_check(
    slf: *mut ffi::PyObject,
    _: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: CPython calls this attached to the interpreter; the descriptor's check of `self`. No Python code runs
    // before the view is done with.
    unsafe {
        let py = Python::assume_attached();
        let handle = handle(py, slf);
        if let Some(view) = handle.checker().view_fast()
            && let Some(seen) = handle.seen(view)
            && let Some(answer) = seen.answer
        {
            return boolean(answer);
        }
        handle_check_any(py, handle)
    }
}

#[inline(never)]
fn handle_check_any(py: Python<'_>, handle: &Handle) -> *mut ffi::PyObject {
    answer(
        py,
        guarded(handle.checker(), || handle.check(py), Ok(false)),
    )
}

unsafe extern "C" fn handle_consume(
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
            && let Some(view) = checker.view_fast()
            && let Some(seen) = handle.seen(view)
            && let Some(till) = &seen.till
            && let Some(answer) = till.burn(&*view.cells, amount, &checker.time)
        {
            return boolean(answer);
        }
        handle_consume_any(py, handle, args, nargs)
    }
}

/// # Safety
/// The arguments are those of `Handle.consume`.
#[inline(never)]
unsafe fn handle_consume_any(
    py: Python<'_>,
    handle: &Handle,
    args: *mut *mut ffi::PyObject,
    nargs: ffi::Py_ssize_t,
) -> *mut ffi::PyObject {
    let result = guarded(
        handle.checker(),
        || {
            // SAFETY: the argument is alive during the call.
            let amount = if nargs == 1 {
                // SAFETY: as above.
                unsafe { amount(py, *args) }?
            } else {
                Amount::Plain(1)
            };
            handle.consume(py, &amount)
        },
        Ok(false),
    );
    answer(py, result)
}

unsafe extern "C" fn floor(
    _: *mut ffi::PyObject,
    _: *mut *mut ffi::PyObject,
    _: ffi::Py_ssize_t,
) -> *mut ffi::PyObject {
    boolean(true)
}

/// A method definition that lives as long as the process, as descriptors need it.
fn definition(
    name: &'static std::ffi::CStr,
    method: ffi::PyMethodDefPointer,
    flags: std::ffi::c_int,
    doc: &'static std::ffi::CStr,
) -> *mut ffi::PyMethodDef {
    Box::into_raw(Box::new(ffi::PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: method,
        ml_flags: flags,
        ml_doc: doc.as_ptr(),
    }))
}

fn attach(
    class: &Bound<'_, PyType>,
    name: &std::ffi::CStr,
    def: *mut ffi::PyMethodDef,
) -> PyResult<()> {
    let py = class.py();
    // SAFETY: the class is live and the definition is never freed; the result is a new reference or null with an error.
    let method = unsafe {
        Bound::from_owned_ptr_or_err(py, ffi::PyDescr_NewMethod(class.as_type_ptr(), def))?
    };
    class.setattr(name.to_string_lossy(), method)
}

fn fast(f: Fast) -> (ffi::PyMethodDefPointer, std::ffi::c_int) {
    (
        ffi::PyMethodDefPointer { PyCFunctionFast: f },
        ffi::METH_FASTCALL,
    )
}

fn fast_keywords(f: FastKeywords) -> (ffi::PyMethodDefPointer, std::ffi::c_int) {
    (
        ffi::PyMethodDefPointer {
            PyCFunctionFastWithKeywords: f,
        },
        ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
    )
}

/// Attaches the hot methods to `Checker` or to a class derived from it. A method descriptor that belongs to the very
/// class of an object is called without a detour; an inherited one is not.
#[pyfunction]
#[pyo3(signature = (class_, /))]
pub fn install(class_: &Bound<'_, PyType>) -> PyResult<()> {
    if !class_.is_subclass_of::<Checker>()? {
        return Err(pyo3::exceptions::PyTypeError::new_err(
            "only a class derived from Checker can be given these methods",
        ));
    }
    for (name, (method, flags), doc) in [
        (c"check", fast(check), CHECK_DOC),
        (c"consume", fast_keywords(consume), CONSUME_DOC),
        (c"decide", fast(decide), DECIDE_DOC),
        (c"reserve", fast_keywords(reserve), RESERVE_DOC),
        (c"_floor", fast(floor), FLOOR_DOC),
    ] {
        attach(class_, name, definition(name, method, flags, doc))?;
    }
    Ok(())
}

/// Attaches the methods of `Reservation`.
pub fn install_reservation(py: Python<'_>) -> PyResult<()> {
    let (commit, flags) = fast_keywords(commit);
    attach(
        &py.get_type::<Reservation>(),
        c"commit",
        definition(c"commit", commit, flags, COMMIT_DOC),
    )
}

/// Attaches the methods of `Handle`.
pub fn install_handle(py: Python<'_>) -> PyResult<()> {
    let class = py.get_type::<Handle>();
    let check = ffi::PyMethodDefPointer {
        PyCFunction: handle_check,
    };
    attach(
        &class,
        c"check",
        definition(c"check", check, ffi::METH_NOARGS, HANDLE_CHECK_DOC),
    )?;
    let (consume, flags) = fast(handle_consume);
    attach(
        &class,
        c"consume",
        definition(c"consume", consume, flags, HANDLE_CONSUME_DOC),
    )
}

const CHECK_DOC: &std::ffi::CStr = c"check($self, customer, feature, /)\n--\n\n\
May the customer use the feature, and if it is countable, is one unit left? No side effect.";
const CONSUME_DOC: &std::ffi::CStr =
    c"consume($self, customer, feature, amount=1, /, *, event=None)\n--\n\n\
Decides and records a burn, atomically. False: nothing was recorded.";
const DECIDE_DOC: &std::ffi::CStr = c"decide($self, customer, feature, amount=1, /)\n--\n\n\
The answer with its reason. No side effect.";
const RESERVE_DOC: &std::ffi::CStr =
    c"reserve($self, customer, feature, amount, /, *, ttl=60.0)\n--\n\n\
Reserves an estimate before the work; commit the true amount after it, or release.";
const COMMIT_DOC: &std::ffi::CStr = c"commit($self, actual=None, /, *, event=None)\n--\n\n\
Settles: keeps what was used (the whole estimate if not said), gives the rest back.";
const FLOOR_DOC: &std::ffi::CStr = c"_floor($self, customer, feature, /)\n--\n\n\
Does nothing: what any native method costs at least. For benchmarks.";
const HANDLE_CHECK_DOC: &std::ffi::CStr = c"check($self, /)\n--\n\n\
As Entitlements.check, for the handle's customer and feature.";
const HANDLE_CONSUME_DOC: &std::ffi::CStr = c"consume($self, amount=1, /)\n--\n\n\
As Entitlements.consume, for the handle's customer and feature.";
