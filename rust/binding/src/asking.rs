//! The owner, asked where this process does not know; and what it says of names that stay unknown.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use fastcheck_core::{Answer, Asked, Step, View};
use pyo3::prelude::*;

use crate::errors::{Class, corrupt, raise};
use crate::view::Mapped;

/// Names that are logged once; later ones are only counted.
const UNKNOWN_NAMES_MAX: usize = 1_024;
/// Characters of a name that are shown.
const SHOWN_MAX: usize = 80;

/// What a name is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    Customer,
    Feature,
}

impl Named {
    fn as_str(self) -> &'static str {
        match self {
            Named::Customer => "customer",
            Named::Feature => "feature",
        }
    }
}

pub struct Asking {
    /// `touch(customer, pool) -> bool`: asks the owner for a lease of the pool; of None, for the customer itself.
    touch: Py<PyAny>,
    /// Names of features that nobody knows are errors.
    strict: bool,
    unknown: Mutex<HashSet<String>>,
    unknown_count: AtomicU64,
    /// Answers that the age of what is known here decided.
    stale_answers: AtomicU64,
}

impl Asking {
    pub fn new(touch: Py<PyAny>, strict: bool) -> Asking {
        Asking {
            touch,
            strict,
            unknown: Mutex::new(HashSet::new()),
            unknown_count: AtomicU64::new(0),
            stale_answers: AtomicU64::new(0),
        }
    }

    /// Runs `step` until it is done, asking the owner in between. This is the first touch; its wait is bounded by whoever
    /// `touch` belongs to.
    pub fn settle<T>(
        &self,
        py: Python<'_>,
        mapped: &Mapped,
        customer: &Bound<'_, PyAny>,
        mut step: impl FnMut(&View) -> PyResult<Step<T>>,
    ) -> PyResult<T> {
        let mut asked = Asked::default();
        loop {
            let mut lease_of = None;
            let step = mapped.with(py, |view| {
                let step = step(view)?;
                if let Step::Touch { pool, .. } = step {
                    lease_of = Some(pool_name(py, view, pool)?);
                }
                Ok(step)
            })?;
            if !asked.again(&step) || !self.touched(py, customer, lease_of)? {
                return Ok(step.answer());
            }
        }
    }

    /// Asks the owner: for a lease of a pool, or for customers. Whether to look again.
    pub fn touched(
        &self,
        py: Python<'_>,
        customers: &Bound<'_, PyAny>,
        pool: Option<String>,
    ) -> PyResult<bool> {
        self.touch.bind(py).call1((customers, pool))?.is_truthy()
    }

    /// A name that nobody knows: counted, logged once; a feature's is an error if strict.
    #[cold]
    pub fn unknown(&self, py: Python<'_>, what: Named, name: &[u8]) -> PyResult<()> {
        // Relaxed: a counter.
        self.unknown_count.fetch_add(1, Ordering::Relaxed);
        let mut shown = String::from_utf8_lossy(&name[..name.len().min(SHOWN_MAX)]).into_owned();
        if name.len() > SHOWN_MAX {
            shown.push('…');
        }
        if self.strict && what == Named::Feature {
            return Err(raise(
                py,
                Class::UnknownFeature,
                format!(
                    "the catalog has no feature {shown:?}; check the spelling, or open without strict=True"
                ),
            ));
        }
        let what = what.as_str();
        let fresh = {
            let mut unknown = self.unknown.lock().unwrap_or_else(|e| e.into_inner());
            unknown.len() < UNKNOWN_NAMES_MAX && unknown.insert(format!("{what} {shown}"))
        };
        if fresh {
            py.import("logging")?
                .call_method1("getLogger", ("fastcheck",))?
                .call_method1(
                    "warning",
                    (format!(
                        "nobody knows the {what} {shown:?}: its checks answer with the default"
                    ),),
                )?;
        }
        Ok(())
    }

    /// Notes what an answer says about names, and about the age of what is known here.
    #[inline(always)]
    pub fn note(
        &self,
        py: Python<'_>,
        answer: Answer,
        customer: &[u8],
        feature: &[u8],
    ) -> PyResult<()> {
        match answer {
            Answer::UnknownFeature => self.unknown(py, Named::Feature, feature),
            Answer::UnknownCustomer | Answer::AllowedUnknown => {
                self.unknown(py, Named::Customer, customer)
            }
            Answer::Stale | Answer::AllowedStale => {
                self.note_stale(1);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    pub fn note_stale(&self, answers: u64) {
        // Relaxed: a counter.
        self.stale_answers.fetch_add(answers, Ordering::Relaxed);
    }

    /// How often a name was unknown, and how many answers the age of what is known here decided.
    pub fn counts(&self) -> (u64, u64) {
        // Relaxed (both): counters.
        (
            self.unknown_count.load(Ordering::Relaxed),
            self.stale_answers.load(Ordering::Relaxed),
        )
    }
}

#[cold]
fn pool_name(py: Python<'_>, view: &View, pool: usize) -> PyResult<String> {
    view.rows.pool_name(pool).map_err(|e| corrupt(py, e))
}
