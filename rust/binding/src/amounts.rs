//! Amounts: what a caller says is used, as pool units.

use fastcheck_core::catalog::Kind;
use fastcheck_core::cell::TOTAL_MAX;
use fastcheck_core::check::Found;
use fastcheck_core::entry;
use fastcheck_core::generation::Generation;
use fastcheck_core::map::MapRegion;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use smallvec::SmallVec;

use crate::errors::{Class, corrupt, raise};
use crate::strings::utf8;

/// An amount as it was given. Whatever needs Python code to read has been read: see `Checker::with_view`.
pub enum Amount<'a> {
    /// So many units of the unnamed quantity.
    Plain(u64),
    /// Named quantities. The names are held, for the dict may change while the owner is asked.
    Named(SmallVec<[(Bound<'a, PyString>, u64); 4]>),
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

/// Reads an amount. The common case, a small `int`, is first.
///
/// # Safety
/// `object` is a live object that the caller keeps alive while it uses the amount.
#[inline(always)]
pub unsafe fn amount<'a>(py: Python<'a>, object: *mut ffi::PyObject) -> PyResult<Amount<'a>> {
    // SAFETY: the caller's promise.
    if let Some(value) = unsafe { small(object) } {
        return Ok(Amount::Plain(value));
    }
    // SAFETY: the caller's promise.
    unsafe { amount_slow(py, object) }
}

/// # Safety
/// As for [`amount`].
#[cold]
unsafe fn amount_slow<'a>(py: Python<'a>, object: *mut ffi::PyObject) -> PyResult<Amount<'a>> {
    // SAFETY: `object` is live and outlives the amount.
    let object = unsafe { Borrowed::from_ptr(py, object) };
    if let Ok(named) = object.cast::<PyDict>() {
        let mut quantities = SmallVec::new();
        for (name, n) in named.iter() {
            let name = name
                .cast_into::<PyString>()
                .map_err(|_| raise(py, Class::WrongType, "the names of quantities must be str"))?;
            // SAFETY: `name` is alive; this is to refuse what is not text.
            if unsafe { utf8(py, name.as_ptr()) }?.is_empty() {
                return Err(raise(
                    py,
                    Class::AmountError,
                    "a quantity without a name: give units of the feature itself as an int",
                ));
            }
            quantities.push((name, plain(&n)?));
        }
        if quantities.is_empty() {
            return Err(raise(
                py,
                Class::AmountError,
                "an amount without quantities: give at least one, zero counts",
            ));
        }
        return Ok(Amount::Named(quantities));
    }
    plain(&object).map(Amount::Plain)
}

/// An int that counts units: not negative, not a bool, of any int-like type (numpy's too).
fn plain(object: &Bound<'_, PyAny>) -> PyResult<u64> {
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
        Err(_) => Err(too_large(py)),
    }
}

fn too_large(py: Python<'_>) -> PyErr {
    raise(
        py,
        Class::AmountError,
        format!("an amount burns more than the {TOTAL_MAX} pool units that one call may: split it"),
    )
}

/// What the amount costs, in pool units.
#[inline(always)]
pub fn cost(
    py: Python<'_>,
    g: &Generation<MapRegion>,
    found: &Found,
    amount: &Amount<'_>,
) -> PyResult<u64> {
    if found.entry.flags & entry::COUNTABLE == 0 {
        return Err(not_countable(py, found));
    }
    if let Amount::Plain(n) = *amount {
        let unit = found.entry.cost(g.region()).map_err(|e| corrupt(py, e))?;
        if unit != entry::NO_COST {
            return match unit.checked_mul(n) {
                Some(cost) if cost <= TOTAL_MAX => Ok(cost),
                _ => Err(too_large(py)),
            };
        }
    }
    cost_slow(py, g, found, amount)
}

#[cold]
fn not_countable(py: Python<'_>, found: &Found) -> PyErr {
    let kind = found.entry.kind().map_or("feature", Kind::as_str);
    raise(
        py,
        Class::NotCountable,
        format!(
            "the feature is a {kind}: it has nothing to spend; ask check(), value() or limit()"
        ),
    )
}

#[cold]
fn cost_slow(
    py: Python<'_>,
    g: &Generation<MapRegion>,
    found: &Found,
    amount: &Amount<'_>,
) -> PyResult<u64> {
    let feature = g.feature_info(found.feature).map_err(|e| corrupt(py, e))?;
    let quantities = || {
        g.quantities(feature)
            .map(|q| q.join(", "))
            .unwrap_or_default()
    };
    let Amount::Named(named) = amount else {
        let message = format!(
            "the feature is billed by quantity: give a dict with some of {}",
            quantities()
        );
        return Err(raise(py, Class::AmountError, message));
    };
    let mut total: u64 = 0;
    for (name, n) in named {
        // SAFETY: `name` is alive as long as the amount.
        let bytes = unsafe { utf8(py, name.as_ptr()) }?;
        let Some(unit) = g.rate(feature, bytes).map_err(|e| corrupt(py, e))? else {
            let name = String::from_utf8_lossy(bytes);
            let known = quantities();
            let message = if known.is_empty() {
                format!(
                    "the feature has no quantity {name:?}: it is billed in plain units, give an int"
                )
            } else {
                format!("the feature has no quantity {name:?}: it has {known}")
            };
            return Err(raise(py, Class::AmountError, message));
        };
        total = match unit.checked_mul(*n).and_then(|c| total.checked_add(c)) {
            Some(sum) if sum <= TOTAL_MAX => sum,
            _ => return Err(too_large(py)),
        };
    }
    Ok(total)
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
