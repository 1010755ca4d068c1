//! What a Python string was found to name, remembered by the identity of the string.
//!
//! Code asks for the same few features by the same literals, and for one customer several times in a request, each time
//! with the same object. Remembering by address saves hashing and comparing the text. What makes it exact:
//!
//! * a reference to the string is held, so its address can't come to mean another string;
//! * what is remembered is bound to a view (an arena and a generation of it), in which a feature keeps its index and a key
//!   keeps its slot;
//! * a customer's row is used only while its slot's word is the one seen; rows are immutable.
//!
//! A customer is remembered when its string is met for the second time in a row at its place: a stream of strings that are
//! met once costs the cache nothing. The caches are small, each place holds the latest, and only the thread that holds the global lock touches them. A build
//! without that lock does without them.

use std::cell::UnsafeCell;

use fastcheck_core::{Key, Row, RowKind, Spend, View, spend};
use pyo3::ffi;
use pyo3::prelude::*;

use crate::strings::utf8;

/// Places; a string's address chooses.
const FEATURES: usize = 64;
const CUSTOMERS: usize = 128;
/// No feature: the `Spend` that a customer's place remembers is for none.
const NO_FEATURE: usize = usize::MAX;

#[derive(Clone, Copy)]
pub struct Feature {
    name: *mut ffi::PyObject,
    stamp: u64,
    pub index: usize,
}

#[derive(Clone, Copy)]
pub struct Customer {
    /// A reference that the cache owns, or null.
    name: *mut ffi::PyObject,
    stamp: u64,
    slot: usize,
    word: u64,
    /// Where the entries start; zero if the row is not a plain one.
    pub entries_at: usize,
    /// The feature that was last burned, and what that takes.
    feature: usize,
    spend: Spend,
}

/// The two caches of a checker.
pub struct Identities {
    features: UnsafeCell<[Feature; FEATURES]>,
    customers: UnsafeCell<[Customer; CUSTOMERS]>,
    /// The address of the string that was last looked for at a place. No reference: it only decides what to remember.
    missed: UnsafeCell<[*mut ffi::PyObject; CUSTOMERS]>,
}

// SAFETY: the entries are only touched with the global lock held, which lets one thread in at a time; the references they
// own are given up attached to the interpreter.
unsafe impl Send for Identities {}
// SAFETY: as above.
unsafe impl Sync for Identities {}

#[inline(always)]
fn place(name: *mut ffi::PyObject, places: usize) -> usize {
    // Objects are aligned to 16 bytes; short strings are some 60 bytes long.
    let address = name as usize;
    ((address >> 4) ^ (address >> 11)) % places
}

impl Identities {
    pub fn new() -> Identities {
        let name = std::ptr::null_mut();
        Identities {
            features: UnsafeCell::new(
                [Feature {
                    name,
                    stamp: 0,
                    index: 0,
                }; FEATURES],
            ),
            customers: UnsafeCell::new(
                [Customer {
                    name,
                    stamp: 0,
                    slot: 0,
                    word: 0,
                    entries_at: 0,
                    feature: NO_FEATURE,
                    spend: Spend::default(),
                }; CUSTOMERS],
            ),
            missed: UnsafeCell::new([name; CUSTOMERS]),
        }
    }

    /// The feature's index, if this very string was asked about before.
    ///
    /// # Safety
    /// There is a global lock and it is held; so for all methods here.
    #[inline(always)]
    pub unsafe fn feature(&self, view: &View, name: *mut ffi::PyObject) -> Option<usize> {
        // SAFETY: the place is inside the array, and by the caller's promise nobody else touches it.
        let seen = unsafe {
            &*self
                .features
                .get()
                .cast::<Feature>()
                .add(place(name, FEATURES))
        };
        (seen.name == name && seen.stamp == view.stamp).then_some(seen.index)
    }

    /// The customer's place, if this very string was asked about before and its row is still the same.
    ///
    /// # Safety
    /// As for [`Identities::feature`]; and the reference is not used after Python code ran.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)] // The global lock makes the caller the only one.
    pub unsafe fn customer(&self, view: &View, name: *mut ffi::PyObject) -> Option<&mut Customer> {
        // SAFETY: as in `feature`.
        let seen = unsafe {
            &mut *self
                .customers
                .get()
                .cast::<Customer>()
                .add(place(name, CUSTOMERS))
        };
        if seen.name != name || seen.stamp != view.stamp {
            return None;
        }
        (view.rows.slot_word(seen.slot) == Ok(seen.word)).then_some(seen)
    }

    /// Finds the feature by its text and remembers it. `None`: no such feature, not a string, or damaged rows.
    ///
    /// # Safety
    /// As for [`Identities::feature`]; `name` is a live object.
    #[inline(never)]
    pub unsafe fn find_feature(
        &self,
        py: Python<'_>,
        view: &View,
        name: *mut ffi::PyObject,
    ) -> Option<usize> {
        // SAFETY: the caller's promise.
        let text = unsafe { utf8(py, name) }.ok()?;
        let index = view.rows.feature(Key::new(text)?).ok()??;
        // SAFETY: as in `feature`. The new reference is taken before the old one is given up, and giving up the last
        // reference to an exact str runs no code that could come back here.
        unsafe {
            if ffi::PyUnicode_CheckExact(name) != 0 {
                let seen = self
                    .features
                    .get()
                    .cast::<Feature>()
                    .add(place(name, FEATURES));
                let old = (*seen).name;
                *seen = Feature {
                    name: ffi::Py_NewRef(name),
                    stamp: view.stamp,
                    index,
                };
                ffi::Py_XDECREF(old);
            }
        }
        Some(index)
    }

    /// Finds the customer by its text. `None`: no such customer, an alias, not a string, or damaged rows.
    ///
    /// # Safety
    /// As for [`Identities::customer`]; `name` is a live object.
    #[inline(always)]
    pub unsafe fn find_customer(
        &self,
        py: Python<'_>,
        view: &View,
        name: *mut ffi::PyObject,
    ) -> Option<Found> {
        // SAFETY: the caller's promise.
        let text = unsafe { utf8(py, name) }.ok()?;
        let key = Key::new(text)?;
        let rows = &view.rows;
        let (slot, word, row) = rows.find_slot(key, rows.hash(key)).ok()??;
        if row.kind() != RowKind::Customer as u64 {
            return None;
        }
        let found = Found { slot, word, row };
        if view.is_marked_by_use() {
            mark(view, row);
        }
        let at = place(name, CUSTOMERS);
        // SAFETY: as in `customer`.
        unsafe {
            let missed = self.missed.get().cast::<*mut ffi::PyObject>().add(at);
            if *missed == name {
                self.remember(view, name, found);
            }
            *missed = name;
        }
        Some(found)
    }

    /// # Safety
    /// As for [`Identities::find_customer`].
    #[inline(never)]
    unsafe fn remember(&self, view: &View, name: *mut ffi::PyObject, found: Found) {
        // SAFETY: as in `customer`. The new reference is taken before the old one is given up, and giving up the last
        // reference to an exact str runs no code that could come back here.
        unsafe {
            if ffi::PyUnicode_CheckExact(name) != 0 {
                let seen = self
                    .customers
                    .get()
                    .cast::<Customer>()
                    .add(place(name, CUSTOMERS));
                let old = (*seen).name;
                *seen = Customer {
                    name: ffi::Py_NewRef(name),
                    stamp: view.stamp,
                    slot: found.slot,
                    word: found.word,
                    entries_at: found.entries_at(view).unwrap_or(0),
                    feature: NO_FEATURE,
                    spend: Spend::default(),
                };
                ffi::Py_XDECREF(old);
            }
        }
    }
}

/// Apart from the look-up, which on a host with all customers never comes here.
#[cold]
#[inline(never)]
fn mark(view: &View, row: Row) {
    view.mark(row.number());
}

/// A customer's row, and the slot that led to it.
#[derive(Clone, Copy)]
pub struct Found {
    slot: usize,
    word: u64,
    row: Row,
}

impl Found {
    /// Where the entries start, if the row is a plain one.
    #[inline(always)]
    pub fn entries_at(self, view: &View) -> Option<usize> {
        self.row.entries_at(view.rows.heap_at())
    }

    /// What burning `feature` takes. `None`: look again, with all there is.
    #[inline(always)]
    pub fn spend(self, view: &View, feature: usize) -> Option<Spend> {
        spend(&view.rows, self.row, feature)
    }
}

impl Customer {
    /// What burning `feature` takes. `None`: look again, with all there is.
    #[inline(always)]
    pub fn spend(&mut self, view: &View, feature: usize) -> Option<&Spend> {
        if self.feature == feature {
            Some(&self.spend)
        } else {
            self.find_till(view, feature)
        }
    }

    #[inline(never)]
    fn find_till(&mut self, view: &View, feature: usize) -> Option<&Spend> {
        let row: Row = view.rows.row_of(self.word).ok()?;
        self.spend = spend(&view.rows, row, feature)?;
        self.feature = feature;
        Some(&self.spend)
    }
}

impl Drop for Identities {
    fn drop(&mut self) {
        let features = self.features.get_mut().iter().map(|f| f.name);
        for name in features.chain(self.customers.get_mut().iter().map(|c| c.name)) {
            // SAFETY: a reference that this cache owns, or null; objects are dropped attached to the interpreter.
            unsafe { ffi::Py_XDECREF(name) };
        }
    }
}
