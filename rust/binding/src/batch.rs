//! Batches: many customers in one call, with the memory of the next ones on its way while one is answered.

use std::collections::HashSet;

use fastcheck_core::{AHEAD, Amount, Answer, Corrupt, Key, View, burn_numbers, check_numbers};
use numpy::{PyArray1, PyArrayMethods, PyReadonlyArray1, PyUntypedArrayMethods};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};

use crate::amounts;
use crate::asking::Named;
use crate::checker::Checker;
use crate::errors::{Class, corrupt, raise, refused};
use crate::strings::utf8;

/// The number of a customer that nobody knows.
const UNKNOWN: u32 = u32::MAX;
/// From this many customers on, the interpreter is released meanwhile.
const RELEASE_FROM: usize = 10_000;

/// Who is asked about.
enum Customers<'py> {
    Numbers(PyReadonlyArray1<'py, u32>),
    Names(Bound<'py, PyList>),
}

impl<'py> Customers<'py> {
    fn from(customers: &Bound<'py, PyAny>) -> PyResult<Customers<'py>> {
        if let Ok(numbers) = customers.cast::<PyArray1<u32>>() {
            return Ok(Customers::Numbers(numbers.readonly()));
        }
        if customers.cast::<PyString>().is_ok() {
            return Err(raise(
                customers.py(),
                Class::WrongType,
                "customers must be a list of str, not one str",
            ));
        }
        if let Ok(list) = customers.cast::<PyList>() {
            return Ok(Customers::Names(list.clone()));
        }
        match customers.try_iter() {
            Ok(items) => {
                let items = items.collect::<PyResult<Vec<_>>>()?;
                Ok(Customers::Names(PyList::new(customers.py(), items)?))
            }
            Err(_) => Err(raise(
                customers.py(),
                Class::WrongType,
                "customers must be a list of str, or the array that ids() gave",
            )),
        }
    }

    fn len(&self) -> usize {
        match self {
            Customers::Numbers(numbers) => numbers.len(),
            Customers::Names(names) => names.len(),
        }
    }
}

/// The numbers of a list of names, with prefetch. No Python code runs: items are borrowed from a list that nobody can
/// change while the global lock is held; without it, the items are held.
fn numbers(
    py: Python<'_>,
    view: &View,
    names: &Bound<'_, PyList>,
    out: &mut [u32],
) -> PyResult<()> {
    let rows = &view.rows;
    let mut keys: [(Option<Key<'_>>, u64); AHEAD] = [(None, 0); AHEAD];
    let mut start = 0;
    while start < out.len() {
        let n = AHEAD.min(out.len() - start);
        #[cfg(Py_GIL_DISABLED)]
        let held: Vec<_> = (0..n)
            .map(|i| names.get_item(start + i))
            .collect::<PyResult<_>>()?;
        for (i, slot) in keys.iter_mut().enumerate().take(n) {
            #[cfg(not(Py_GIL_DISABLED))]
            // SAFETY: `start + i` is inside the list, whose length was read under the lock that is still held; the item
            // is alive as long as the list holds it.
            let name = unsafe {
                utf8(
                    py,
                    ffi::PyList_GET_ITEM(names.as_ptr(), (start + i) as ffi::Py_ssize_t),
                )?
            };
            #[cfg(Py_GIL_DISABLED)]
            // SAFETY: the item is held in `held`.
            let name = unsafe { utf8(py, held[i].as_ptr())? };
            *slot = (None, 0);
            if let Some(key) = Key::new(name) {
                let hash = rows.hash(key);
                rows.prefetch_slot(hash);
                *slot = (Some(key), hash);
            }
        }
        for (i, (key, hash)) in keys.iter().enumerate().take(n) {
            let number = key.map_or(Ok(None), |key| rows.number_of(key, *hash));
            let number = number.map_err(|e| corrupt(py, e))?;
            if let Some(number) = number {
                view.mark(number);
            }
            out[start + i] = number.unwrap_or(UNKNOWN);
        }
        start += n;
    }
    Ok(())
}

/// Runs `work` once, on the numbers of the names. On demand, those who are not held are asked for before, in one call.
fn with_numbers<T>(
    checker: &Checker,
    py: Python<'_>,
    names: &Bound<'_, PyList>,
    mut work: impl FnMut(&View, &[u32]) -> PyResult<T>,
) -> PyResult<T> {
    let mut found = vec![UNKNOWN; names.len()];
    let first = checker.mapped.with(py, |view| {
        numbers(py, view, names, &mut found)?;
        if view.rows.is_on_demand() && found.contains(&UNKNOWN) {
            return Ok(None);
        }
        work(view, &found).map(Some)
    })?;
    if let Some(done) = first {
        return Ok(done);
    }
    // The owner is asked by Python code, which may change the caller's list meanwhile: from here on one of our own.
    let names = names.get_slice(0, found.len());
    found.resize(names.len(), UNKNOWN);
    let missing = missing(py, &names, &found)?;
    if !missing.is_empty() {
        checker.asking.touched(py, missing.as_any(), None)?;
    }
    checker.mapped.with(py, |view| {
        numbers(py, view, &names, &mut found)?;
        work(view, &found)
    })
}

/// The names without a number, each once, but those that nobody can have.
fn missing<'py>(
    py: Python<'py>,
    names: &Bound<'py, PyList>,
    found: &[u32],
) -> PyResult<Bound<'py, PyList>> {
    let mut seen = HashSet::new();
    let missing = PyList::empty(py);
    for (name, number) in names.iter().zip(found) {
        // SAFETY: the list holds the name, and nobody else has the list.
        let text = unsafe { utf8(py, name.as_ptr())? };
        if *number == UNKNOWN && Key::new(text).is_some() && seen.insert(text) {
            missing.append(name)?;
        }
    }
    Ok(missing)
}

/// Whether all numbers that `ids` gave are still those of customers held here; notes that they are in use.
fn all_held(view: &View, numbers: &[u32]) -> Result<bool, Corrupt> {
    let known = numbers.iter().filter(|number| **number != UNKNOWN);
    view.holds_all(known.copied())
}

fn stale_ids(py: Python<'_>) -> PyErr {
    raise(
        py,
        Class::StaleIds,
        "some of these customers are not held on this host any more: ask for their ids again",
    )
}

pub fn ids<'py>(
    checker: &Checker,
    py: Python<'py>,
    customers: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyArray1<u32>>> {
    match Customers::from(customers)? {
        Customers::Numbers(numbers) => Ok(PyArray1::from_vec(py, numbers.as_array().to_vec())),
        Customers::Names(names) => {
            let out = with_numbers(checker, py, &names, |_, found| Ok(found.to_vec()))?;
            Ok(PyArray1::from_vec(py, out))
        }
    }
}

/// What a batch has to do after its first pass: whom to ask the owner about, and what nobody knew.
#[derive(Default)]
struct Leftover {
    touch: Vec<usize>,
    unknown: usize,
    stale: u64,
}

impl Leftover {
    /// What the answer of the `i`-th leaves to do.
    #[inline(always)]
    fn note(&mut self, i: usize, answer: Answer) {
        match answer {
            Answer::NoLease => self.touch.push(i),
            Answer::UnknownCustomer | Answer::AllowedUnknown => self.unknown += 1,
            Answer::Stale | Answer::AllowedStale => self.stale += 1,
            _ => {}
        }
    }
}

fn feature_index(
    checker: &Checker,
    py: Python<'_>,
    feature: &Bound<'_, PyAny>,
) -> PyResult<Option<usize>> {
    // SAFETY: the object outlives the call.
    let key = unsafe { utf8(py, feature.as_ptr())? };
    let found = checker.mapped.with(py, |view| {
        Key::new(key)
            .map_or(Ok(None), |name| view.rows.feature(name))
            .map_err(|e| corrupt(py, e))
    })?;
    if found.is_none() {
        checker.asking.unknown(py, Named::Feature, key)?;
    }
    Ok(found)
}

pub fn check_many<'py>(
    checker: &Checker,
    py: Python<'py>,
    customers: &Bound<'py, PyAny>,
    feature: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyArray1<bool>>> {
    let customers = Customers::from(customers)?;
    let count = customers.len();
    let mut out = vec![false; count];
    if let Some(index) = feature_index(checker, py, feature)? {
        let mut rest = Leftover::default();
        match &customers {
            Customers::Numbers(array) => {
                let contiguous;
                let numbers: &[u32] = match array.as_slice() {
                    Ok(slice) => slice,
                    Err(_) => {
                        contiguous = array.as_array().to_vec();
                        &contiguous
                    }
                };
                let mut answer = |view: &View| -> Result<bool, Corrupt> {
                    if !all_held(view, numbers)? {
                        return Ok(false);
                    }
                    answer_numbers(checker, view, index, numbers, &mut out, &mut rest)?;
                    Ok(true)
                };
                let held = if count >= RELEASE_FROM {
                    checker.mapped.pinned(py, answer)?
                } else {
                    checker
                        .mapped
                        .with(py, |view| answer(view).map_err(|e| corrupt(py, e)))?
                };
                if !held {
                    return Err(stale_ids(py));
                }
            }
            Customers::Names(names) => {
                with_numbers(checker, py, names, |view, found| {
                    answer_numbers(checker, view, index, found, &mut out, &mut rest)
                        .map_err(|e| corrupt(py, e))
                })?;
            }
        }
        finish(checker, py, &customers, feature, None, &mut out, rest)?;
    }
    Ok(PyArray1::from_vec(py, out))
}

fn answer_numbers(
    checker: &Checker,
    view: &View,
    feature: usize,
    numbers: &[u32],
    out: &mut [bool],
    rest: &mut Leftover,
) -> Result<(), Corrupt> {
    check_numbers(
        &view.rows,
        &*view.cells,
        feature,
        numbers.len(),
        |i| numbers[i],
        &checker.moment(view),
        |i, answer| {
            out[i] = answer.allowed();
            rest.note(i, answer);
        },
    )
}

/// Answers one by one what the first pass could not.
fn finish(
    checker: &Checker,
    py: Python<'_>,
    customers: &Customers<'_>,
    feature: &Bound<'_, PyAny>,
    amounts: Option<&[u64]>,
    out: &mut [bool],
    rest: Leftover,
) -> PyResult<()> {
    checker.asking.note_stale(rest.stale);
    if rest.unknown > 0 {
        let shown = format!("{} of a batch", rest.unknown);
        let asking = &checker.asking;
        asking.unknown(py, Named::Customer, shown.as_bytes())?;
    }
    // SAFETY: the object outlives the call.
    let key = unsafe { utf8(py, feature.as_ptr())? };
    for i in rest.touch {
        let name: Bound<'_, PyAny> = match customers {
            Customers::Names(names) => names.get_item(i)?,
            Customers::Numbers(array) => {
                let number = *array.get(i).unwrap_or(&UNKNOWN);
                let id = checker
                    .mapped
                    .with(py, |view| view.id_of(number).map_err(|e| corrupt(py, e)))?;
                PyString::new(py, &id).into_any()
            }
        };
        // SAFETY: `name` is alive for this round of the loop.
        let bytes = unsafe { utf8(py, name.as_ptr())? };
        out[i] = match amounts {
            None => checker
                .settle(py, &name, |view| checker.check_step(py, view, bytes, key))?
                .allowed(),
            Some(amounts) => checker.consume(py, &name, key, Amount::Plain(amounts[i]), None)?,
        };
    }
    Ok(())
}

pub fn consume_many<'py>(
    checker: &Checker,
    py: Python<'py>,
    customers: &Bound<'py, PyAny>,
    feature: &Bound<'py, PyAny>,
    amounts: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray1<bool>>> {
    let customers = Customers::from(customers)?;
    let count = customers.len();
    let amounts = read_amounts(py, amounts, count)?;
    let mut out = vec![false; count];
    if let Some(index) = feature_index(checker, py, feature)? {
        let mut rest = Leftover::default();
        let burn = |view: &View, numbers: &[u32]| {
            let (rows, cells, now) = (&view.rows, &*view.cells, checker.moment(view));
            burn_numbers(rows, cells, index, numbers, &amounts, &now, |i, answer| {
                out[i] = answer.allowed();
                rest.note(i, answer);
            })
            .map_err(|e| refused(py, e))
        };
        match &customers {
            Customers::Names(names) => with_numbers(checker, py, names, burn)?,
            Customers::Numbers(array) => {
                let numbers = array.as_array().to_vec();
                let mut burn = burn;
                checker.mapped.with(py, |view| {
                    if all_held(view, &numbers).map_err(|e| corrupt(py, e))? {
                        burn(view, &numbers)
                    } else {
                        Err(stale_ids(py))
                    }
                })?;
            }
        }
        finish(
            checker,
            py,
            &customers,
            feature,
            Some(&amounts),
            &mut out,
            rest,
        )?;
    }
    Ok(PyArray1::from_vec(py, out))
}

/// One amount for all, or one for each.
fn read_amounts(
    py: Python<'_>,
    amounts: Option<&Bound<'_, PyAny>>,
    count: usize,
) -> PyResult<Vec<u64>> {
    let Some(amounts) = amounts else {
        return Ok(vec![1; count]);
    };
    let plain = |object: &Bound<'_, PyAny>| -> PyResult<u64> {
        if object.is_instance_of::<PyDict>() {
            let what = "amounts must be ints here, not dicts";
            return Err(raise(py, Class::WrongType, what));
        }
        amounts::plain(object)
    };
    // SAFETY: `amounts` is a live object.
    if unsafe { ffi::PyIndex_Check(amounts.as_ptr()) } != 0 && amounts.len().is_err() {
        return Ok(vec![plain(amounts)?; count]);
    }
    let all = if let Ok(array) = amounts.cast::<PyArray1<i64>>() {
        array
            .readonly()
            .as_array()
            .iter()
            .map(|n| u64::try_from(*n).map_err(|_| negative(py)))
            .collect::<PyResult<Vec<_>>>()?
    } else if let Ok(array) = amounts.cast::<PyArray1<u64>>() {
        array.readonly().as_array().to_vec()
    } else {
        amounts
            .try_iter()?
            .map(|n| plain(&n?))
            .collect::<PyResult<Vec<_>>>()?
    };
    if all.len() != count {
        return Err(raise(
            py,
            Class::AmountError,
            format!(
                "{} amounts for {count} customers: give one for each, or one int for all",
                all.len()
            ),
        ));
    }
    Ok(all)
}

fn negative(py: Python<'_>) -> PyErr {
    raise(
        py,
        Class::AmountError,
        "an amount is negative: give zero or more",
    )
}
