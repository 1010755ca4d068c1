//! Method descriptors: how the functions become methods.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyType;

use crate::checker::Checker;
use crate::handle::Handle;
use crate::reservation::Reservation;

use super::burns::{consume, decide};
use super::checks::check;
use super::handles::{handle_check, handle_consume};
use super::holds::{commit, reserve};
use super::seam::{Fast, FastKeywords, boolean};

/// A method definition that lives as long as the process, as descriptors need it.
pub(super) fn definition(
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

pub(super) fn attach(
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

pub(super) fn fast(f: Fast) -> (ffi::PyMethodDefPointer, std::ffi::c_int) {
    (
        ffi::PyMethodDefPointer { PyCFunctionFast: f },
        ffi::METH_FASTCALL,
    )
}

pub(super) fn fast_keywords(f: FastKeywords) -> (ffi::PyMethodDefPointer, std::ffi::c_int) {
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
        (c"check", fast_keywords(check), CHECK_DOC),
        (c"consume", fast_keywords(consume), CONSUME_DOC),
        (c"decide", fast_keywords(decide), DECIDE_DOC),
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

unsafe extern "C" fn floor(
    _: *mut ffi::PyObject,
    _: *mut *mut ffi::PyObject,
    _: ffi::Py_ssize_t,
) -> *mut ffi::PyObject {
    boolean(true)
}

const CHECK_DOC: &std::ffi::CStr = c"check($self, customer, feature, /, *, min_seq=None)\n--\n\n\
May the customer use the feature? For a meter or a credit feature: is one unit left? No side effect.\n\
\n\
min_seq: the answer shows at least that change of the ledger. The call waits for it up to lease_timeout and\n\
raises NotYet. An unknown customer has the features' defaults, an unknown feature is denied; status() counts both\n\
as unknown_names, and each name is logged once.\n\
\n\
>>> ents.check('acme', 'export')\n\
True";
const CONSUME_DOC: &std::ffi::CStr =
    c"consume($self, customer, feature, amount=1, /, *, event=None, min_seq=None)\n--\n\n\
Decides and records a burn in one atomic step, across all processes of the host. False: nothing is recorded.\n\
\n\
amount: units of the feature, or {quantity: units} for one burn of several quantities.\n\
event: the id under which the ledger keeps a usage record.\n\
min_seq: as for check.\n\
\n\
Raises NotCountable for a feature without a pool, and AmountError for an amount that is negative, of an unknown\n\
quantity, or larger than 2^48 - 1 pool units.\n\
\n\
>>> ents.consume('acme', 'gpt-4o', 12, event='req_8f2')\n\
True";
const DECIDE_DOC: &std::ffi::CStr =
    c"decide($self, customer, feature, amount=..., /, *, min_seq=None)\n--\n\n\
The answer with its reason, a Decision. No side effect. True in a condition if allowed.\n\
\n\
Without an amount: what check answers, of any feature. With one: what consume of it would answer; it raises as\n\
consume. min_seq: as for check.\n\
\n\
>>> ents.decide('acme', 'gpt-4o', 1_000_000).reason\n\
'exhausted'";
const RESERVE_DOC: &std::ffi::CStr =
    c"reserve($self, customer, feature, amount, /, *, ttl=60.0)\n--\n\n\
Holds an estimate before the work. Commit the true amount after it, or release. True in a condition if granted.\n\
\n\
ttl: seconds after which the reservation ends by itself, at most a week. Use it in a with block: leaving the\n\
block releases what is not committed. Raises as consume, and TooManyReservations.\n\
\n\
>>> with ents.reserve('acme', 'gpt-4o', 4000) as hold:\n\
...     hold.commit(1234).charged\n\
1234";
const COMMIT_DOC: &std::ffi::CStr = c"commit($self, actual=None, /, *, event=None)\n--\n\n\
Charges what was used (None: the whole estimate) and gives the rest back. Answers a Settlement.\n\
\n\
Use beyond the estimate is burned as far as the balance covers it; the rest is the settlement's shortfall. A\n\
reservation that expired before is burned anew. event: the id under which the ledger keeps a usage record.\n\
\n\
Raises Conflict if the reservation was denied or is settled already, and as consume.";
const FLOOR_DOC: &std::ffi::CStr = c"_floor($self, customer, feature, /)\n--\n\n\
Does nothing: what any native method costs at least. For benchmarks.";
const HANDLE_CHECK_DOC: &std::ffi::CStr = c"check($self, /)\n--\n\n\
Entitlements.check for the customer and the feature of this handle.";
const HANDLE_CONSUME_DOC: &std::ffi::CStr = c"consume($self, amount=1, /)\n--\n\n\
Entitlements.consume for the customer and the feature of this handle. Keeps no usage record.";
