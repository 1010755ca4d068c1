//! The checking and spending side: what is mapped, whom to ask, what is remembered. `class` makes a Python class of it, and
//! the hottest methods are in `hot`.

use std::sync::atomic::{AtomicU64, AtomicUsize};

use fastcheck_core::{Amount, Answer, Clock, Found, Step, UsageDraft, View, burn, check, decide};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::answers::Decision;
use crate::asking::Asking;
use crate::errors::{corrupt, from_core, refused};
use crate::events::Events;
use crate::identity::Identities;
use crate::strings::utf8;
use crate::time::{Moment, Time};
use crate::view::Mapped;

#[pyclass(frozen, subclass, module = "fastcheck._fastcheck")]
pub struct Checker {
    pub mapped: Mapped,
    pub asking: Asking,
    pub time: Time,
    /// Where this process found its last hold slot.
    pub near: AtomicUsize,
    pub identities: Identities,
    pub events: Events,
    pub panics: AtomicU64,
}

impl Checker {
    /// The clock of one answer.
    #[inline(always)]
    pub fn moment<'a>(&'a self, view: &'a View) -> Moment<'a> {
        Moment {
            time: &self.time,
            view,
        }
    }

    /// (epoch, seq) of the last change that the rows show.
    pub fn seq(&self, py: Python<'_>) -> PyResult<(u64, u64)> {
        self.mapped
            .with(py, |view| view.control().at().map_err(|e| corrupt(py, e)))
    }

    pub fn find(
        &self,
        py: Python<'_>,
        view: &View,
        customer: &[u8],
        feature: &[u8],
    ) -> PyResult<Option<Found>> {
        view.find(customer, feature, &self.time)
            .map_err(|e| corrupt(py, e))
    }

    /// Runs `step` until it is done, asking the owner in between.
    pub fn settle<T>(
        &self,
        py: Python<'_>,
        customer: &Bound<'_, PyAny>,
        step: impl FnMut(&View) -> PyResult<Step<T>>,
    ) -> PyResult<T> {
        self.asking.settle(py, &self.mapped, customer, step)
    }

    pub fn decide(
        &self,
        py: Python<'_>,
        customer: &Bound<'_, PyAny>,
        feature: &Bound<'_, PyAny>,
        amount: Option<Amount<'_>>,
    ) -> PyResult<Decision> {
        // SAFETY: both objects outlive the call.
        let (name, feature) =
            unsafe { (utf8(py, customer.as_ptr())?, utf8(py, feature.as_ptr())?) };
        let (mut as_of_ms, mut lag_ms) = (0, 0);
        let decided = self.settle(py, customer, |view| {
            as_of_ms = view.as_of_ms().map_err(|e| corrupt(py, e))?;
            lag_ms = self.time.now_ms().saturating_sub(as_of_ms);
            let found = self.find(py, view, name, feature)?;
            let (rows, cells, now) = (&view.rows, &*view.cells, self.moment(view));
            decide(rows, cells, found.as_ref(), amount.as_ref(), &now).map_err(|e| refused(py, e))
        })?;
        self.asking.note(py, decided.answer, name, feature)?;
        Ok(Decision {
            decided,
            as_of_ms,
            lag_ms,
        })
    }

    /// A burn, asking the owner where it must be asked, and its record.
    pub fn consume(
        &self,
        py: Python<'_>,
        customer: &Bound<'_, PyAny>,
        feature: &[u8],
        amount: Amount<'_>,
        event: Option<&Bound<'_, PyString>>,
    ) -> PyResult<bool> {
        // SAFETY: the object outlives the call.
        let name = unsafe { utf8(py, customer.as_ptr()) }?;
        let (answer, units) = self.settle(py, customer, |view| {
            let found = self.find(py, view, name, feature)?;
            let now = self.moment(view);
            burn(&view.rows, &*view.cells, found.as_ref(), &amount, &now)
                .map_err(|e| refused(py, e))
        })?;
        self.asking.note(py, answer, name, feature)?;
        if let (true, Some(event)) = (answer.allowed(), event) {
            self.record(py, event, name, feature, amount, units)?;
        }
        Ok(answer.allowed())
    }

    /// A check with one look, which nearly always does; else with the owner's help.
    pub fn check(
        &self,
        py: Python<'_>,
        customer: &Bound<'_, PyAny>,
        name: &[u8],
        feature: &[u8],
    ) -> PyResult<bool> {
        let step = self
            .mapped
            .with(py, |view| self.check_step(py, view, name, feature))?;
        match step {
            Step::Done(Answer::Allowed) => Ok(true),
            Step::Done(Answer::NotEntitled | Answer::Exhausted) => Ok(false),
            _ => self.check_asking(py, customer, name, feature),
        }
    }

    #[cold]
    fn check_asking(
        &self,
        py: Python<'_>,
        customer: &Bound<'_, PyAny>,
        name: &[u8],
        feature: &[u8],
    ) -> PyResult<bool> {
        let answer = self.settle(py, customer, |view| {
            self.check_step(py, view, name, feature)
        })?;
        self.asking.note(py, answer, name, feature)?;
        Ok(answer.allowed())
    }

    /// One attempt at a check.
    pub fn check_step(
        &self,
        py: Python<'_>,
        view: &View,
        customer: &[u8],
        feature: &[u8],
    ) -> PyResult<Step<Answer>> {
        let found = self.find(py, view, customer, feature)?;
        let now = self.moment(view);
        check(&view.rows, &*view.cells, found.as_ref(), &now).map_err(|e| corrupt(py, e))
    }

    /// Records what was burned under an event id. The burn stands whatever becomes of the record.
    pub fn record(
        &self,
        py: Python<'_>,
        event: &Bound<'_, PyString>,
        customer: &[u8],
        feature: &[u8],
        amount: Amount<'_>,
        units: u64,
    ) -> PyResult<()> {
        // SAFETY: the string is alive during the call.
        let event = unsafe { utf8(py, event.as_ptr()) }?;
        let plain;
        let quantities = match amount {
            Amount::Named(named) => named,
            Amount::Plain(n) => {
                plain = [(&b""[..], n)];
                &plain
            }
        };
        let arena = self.mapped.with(py, |view| Ok(view.arena))?;
        let draft = UsageDraft {
            at_ms: self.time.now_ms(),
            units,
            event,
            customer,
            feature,
            quantities,
        };
        self.events
            .write(arena, &draft)
            .map_err(|e| from_core(py, e))
    }
}
