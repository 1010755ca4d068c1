//! Amounts: what a caller says is used, as pool units.

use fastcheck_core::{Amount, Refused};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use smallvec::SmallVec;

use crate::errors::{Class, raise, refused};
use crate::strings::utf8;

/// An amount that took more than a look to read. What needs Python code to read has been read: see `Mapped::with`.
enum Read<'a> {
    Plain(u64),
    Named(Quantities<'a>),
}

/// Named quantities. The names are held, for the dict may change while the owner is asked.
struct Quantities<'a> {
    _names: SmallVec<[Bound<'a, PyString>; 4]>,
    /// Bytes of the names above.
    given: SmallVec<[(&'a [u8], u64); 4]>,
}

impl Read<'_> {
    fn given(&self) -> Amount<'_> {
        match self {
            Read::Plain(n) => Amount::Plain(*n),
            Read::Named(quantities) => Amount::Named(&quantities.given),
        }
    }
}

/// A plain `int` that is not negative and not large; `None` for all else. Leaves no error behind.
///
/// # Safety
/// `object` is a live object.
#[inline(always)]
pub unsafe fn small(object: *mut ffi::PyObject) -> Option<u64> {
    // SAFETY: the caller's promise; the conversion of an int runs no code.
    unsafe {
        if ffi::PyLong_CheckExact(object) == 0 {
            return None;
        }
        let mut overflow = 0;
        let value = ffi::PyLong_AsLongLongAndOverflow(object, &mut overflow);
        (value >= 0 && overflow == 0).then_some(value as u64)
    }
}

/// Runs `work` with the amount that `object` says. The common case, a small `int`, is first.
///
/// # Safety
/// `object` is a live object that the caller keeps alive.
#[inline(always)]
pub unsafe fn with_amount<T>(
    py: Python<'_>,
    object: *mut ffi::PyObject,
    work: impl FnOnce(Amount<'_>) -> PyResult<T>,
) -> PyResult<T> {
    let read;
    // SAFETY: the caller's promise.
    let amount = match unsafe { small(object) } {
        Some(n) => Amount::Plain(n),
        None => {
            // SAFETY: the caller's promise.
            let object = unsafe { Borrowed::from_ptr(py, object) };
            read = read_amount(&object)?;
            read.given()
        }
    };
    work(amount)
}

#[cold]
fn read_amount<'a>(object: &Bound<'a, PyAny>) -> PyResult<Read<'a>> {
    let py = object.py();
    if let Ok(named) = object.cast::<PyDict>() {
        let (mut names, mut given) = (SmallVec::new(), SmallVec::new());
        for (name, n) in named.iter() {
            let name = name
                .cast_into::<PyString>()
                .map_err(|_| raise(py, Class::WrongType, "the names of quantities must be str"))?;
            // SAFETY: the bytes are used as long as the name beside them is held.
            let bytes = unsafe { utf8(py, name.as_ptr()) }?;
            if bytes.is_empty() {
                return Err(raise(
                    py,
                    Class::AmountError,
                    "a quantity without a name: give units of the feature itself as an int",
                ));
            }
            given.push((bytes, plain(&n)?));
            names.push(name);
        }
        if given.is_empty() {
            return Err(raise(
                py,
                Class::AmountError,
                "an amount without quantities: give at least one, zero counts",
            ));
        }
        let _names = names;
        return Ok(Read::Named(Quantities { _names, given }));
    }
    plain(object).map(Read::Plain)
}

/// An int that counts units: not negative, not a bool, of any int-like type (numpy's too).
pub fn plain(object: &Bound<'_, PyAny>) -> PyResult<u64> {
    let py = object.py();
    // SAFETY: `object` is a live object.
    let integer = unsafe { ffi::PyIndex_Check(object.as_ptr()) } != 0
        && !object.is_instance_of::<pyo3::types::PyBool>();
    if !integer {
        let kind = object.get_type().name()?;
        return Err(raise(
            py,
            Class::WrongType,
            format!("an amount must be an int or a dict of quantity -> int, not {kind}"),
        ));
    }
    // SAFETY: it has __index__; a null result carries its error.
    let index = unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyNumber_Index(object.as_ptr())) }?;
    match index.extract::<u64>() {
        Ok(value) => Ok(value),
        Err(_) if index.lt(0)? => Err(raise(
            py,
            Class::AmountError,
            "an amount is negative: give zero or more",
        )),
        Err(_) => Err(refused(py, Refused::TooLarge)),
    }
}

/// Units as credits: an int where it is whole, else a `decimal.Decimal`.
pub fn credits<'py>(py: Python<'py>, units: u64, scale: u8) -> PyResult<Bound<'py, PyAny>> {
    let one = 10u64.pow(u32::from(scale.min(18)));
    if units.is_multiple_of(one) {
        return Ok((units / one).into_pyobject(py)?.into_any());
    }
    let fraction = format!("{:0width$}", units % one, width = usize::from(scale));
    let text = format!("{}.{}", units / one, fraction.trim_end_matches('0'));
    py.import("decimal")?.getattr("Decimal")?.call1((text,))
}

/// A length of time as callers give it.
pub fn seconds(given: &Bound<'_, PyAny>) -> PyResult<f64> {
    given.extract().map_err(|_| {
        let kind = given.get_type().to_string();
        raise(
            given.py(),
            Class::WrongType,
            format!("ttl must be a number of seconds, not {kind}"),
        )
    })
}
