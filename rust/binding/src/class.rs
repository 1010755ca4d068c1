//! `Checker` as a Python class: its methods but for the hottest, which `hot` attaches.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use fastcheck_core::{Field, Value, limit, value};
use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyString};

use crate::amounts::with_amount;
use crate::answers::Estimate;
use crate::asking::Asking;
use crate::batch;
use crate::checker::Checker;
use crate::errors::{Class, corrupt, raise, refused};
use crate::events::Events;
use crate::handle::Handle;
use crate::hot;
use crate::identity::Identities;
use crate::strings::utf8;
use crate::time::Time;
use crate::view::Mapped;

#[pymethods]
impl Checker {
    #[new]
    #[pyo3(signature = (directory, touch, *, strict = false, manual_clock = false))]
    fn new(
        py: Python<'_>,
        directory: PathBuf,
        touch: Py<PyAny>,
        strict: bool,
        manual_clock: bool,
    ) -> PyResult<Checker> {
        Ok(Checker {
            mapped: Mapped::attach(py, &directory)?,
            asking: Asking::new(touch, strict),
            time: if manual_clock {
                Time::Manual(AtomicU64::new(0))
            } else {
                Time::System
            },
            near: AtomicUsize::new(std::process::id() as usize * 61),
            identities: Identities::new(),
            events: Events::new(directory),
            panics: AtomicU64::new(0),
        })
    }

    /// What the amount would cost, in credits, and the balance before and after. No side effect. Raises as
    /// `consume`.
    #[pyo3(signature = (customer, feature, amount, /))]
    fn estimate(
        &self,
        py: Python<'_>,
        customer: &Bound<'_, PyAny>,
        feature: &Bound<'_, PyAny>,
        amount: &Bound<'_, PyAny>,
    ) -> PyResult<Estimate> {
        // SAFETY: `amount` outlives the call.
        let decision = unsafe {
            with_amount(py, amount.as_ptr(), |amount| {
                self.decide(py, customer, feature, Some(amount))
            })
        }?;
        Ok(Estimate(decision.decided))
    }

    /// The customer's value of a feature (int, str or bool), or `default` if the customer has none.
    #[pyo3(signature = (customer, feature, default = None))]
    fn value(
        &self,
        py: Python<'_>,
        customer: &Bound<'_, PyAny>,
        feature: &Bound<'_, PyAny>,
        default: Option<Py<PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        // SAFETY: both objects outlive the call.
        let (name, key) = unsafe { (utf8(py, customer.as_ptr())?, utf8(py, feature.as_ptr())?) };
        let (value, answer) = self.settle(py, customer, |view| {
            let found = self.find(py, view, name, key)?;
            value(&view.rows, found.as_ref()).map_err(|e| corrupt(py, e))
        })?;
        self.asking.note(py, answer, name, key)?;
        Ok(match value {
            Value::None => default.unwrap_or_else(|| py.None()),
            Value::Unlimited => py.None(),
            Value::Number(n) => n.into_pyobject(py)?.into_any().unbind(),
            Value::Bool(b) => PyBool::new(py, b).to_owned().into_any().unbind(),
            Value::Text(t) => PyString::new(py, &t).into_any().unbind(),
        })
    }

    /// The bound of a limit, or the quota of a meter. None: unlimited; 0: not entitled. Raises `WrongType`
    /// for features of other kinds.
    fn limit(
        &self,
        py: Python<'_>,
        customer: &Bound<'_, PyAny>,
        feature: &Bound<'_, PyAny>,
    ) -> PyResult<Option<i64>> {
        // SAFETY: both objects outlive the call.
        let (name, key) = unsafe { (utf8(py, customer.as_ptr())?, utf8(py, feature.as_ptr())?) };
        let (limit, answer) = self.settle(py, customer, |view| {
            let found = self.find(py, view, name, key)?;
            limit(&view.rows, found.as_ref()).map_err(|e| refused(py, e))
        })?;
        self.asking.note(py, answer, name, key)?;
        Ok(limit)
    }

    /// A `Handle` on one feature of one customer, for the tightest loops.
    #[pyo3(signature = (customer, feature, /))]
    fn handle(
        slf: Bound<'_, Self>,
        customer: Bound<'_, PyString>,
        feature: Bound<'_, PyString>,
    ) -> PyResult<Handle> {
        Handle::new(slf, customer, feature)
    }

    /// The customers' numbers, an array of shape (n,), for the batch methods. 2^32 - 1 stands for an
    /// unknown customer. On a host that holds some of many customers the batch methods raise `StaleIds`
    /// once one of them is evicted.
    #[pyo3(signature = (customers, /))]
    fn ids<'py>(
        &self,
        py: Python<'py>,
        customers: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyArray1<u32>>> {
        batch::ids(self, py, customers)
    }

    /// `check` for many customers: a list of str, or the array from `ids`. An array of bool, shape (n,).
    #[pyo3(signature = (customers, feature, /))]
    fn check_many<'py>(
        &self,
        py: Python<'py>,
        customers: &Bound<'py, PyAny>,
        feature: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyArray1<bool>>> {
        batch::check_many(self, py, customers, feature)
    }

    /// `consume` for many customers, each burn by itself. `amounts`: one int, or one per customer. An array
    /// of bool, shape (n,). Raises as `consume`, before it burns anything.
    #[pyo3(signature = (customers, feature, amounts = None, /))]
    fn consume_many<'py>(
        &self,
        py: Python<'py>,
        customers: &Bound<'py, PyAny>,
        feature: &Bound<'py, PyAny>,
        amounts: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyArray1<bool>>> {
        batch::consume_many(self, py, customers, feature, amounts)
    }

    /// (spent, returned, granted) of the customer's open lease of a pool, or None.
    fn _pool_totals(
        &self,
        py: Python<'_>,
        customer: &Bound<'_, PyAny>,
        pool: &str,
    ) -> PyResult<Option<(u64, u64, u64)>> {
        // SAFETY: the object outlives the call.
        let name = unsafe { utf8(py, customer.as_ptr())? };
        let totals = self.mapped.with(py, |view| {
            view.pool_totals(name, pool).map_err(|e| corrupt(py, e))
        })?;
        Ok(totals.map(|t| (t.spent, t.returned, t.granted)))
    }

    /// (epoch, seq) of the last change that this host shows.
    fn _seq(&self, py: Python<'_>) -> PyResult<(u64, u64)> {
        self.seq(py)
    }

    /// What `min_seq` calls where the host is not that far. A derived class waits; this one does not.
    #[pyo3(signature = (min_seq, /))]
    fn _wait_seq(&self, py: Python<'_>, min_seq: u64) -> PyResult<()> {
        let (_, seq) = self.seq(py)?;
        if seq >= min_seq {
            return Ok(());
        }
        Err(raise(
            py,
            Class::NotYet,
            format!("this host is at change {seq}, not yet at {min_seq}: ask again"),
        ))
    }

    /// What this process knows of its arena.
    fn _status<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (on_demand, arena) = self.mapped.with(py, |view| {
            let get = |f| view.control().get(f).map_err(|e| corrupt(py, e));
            let fields = [
                ("generation", view.rows.generation),
                ("seq", get(Field::Seq)?),
                ("epoch", get(Field::Epoch)?),
                ("customers", get(Field::Customers)?),
                ("heartbeat_at_ms", get(Field::HeartbeatAtMs)?),
                ("fresh_steady_ms", get(Field::FreshSteadyMs)?),
                ("link", get(Field::Link)?),
                ("owner_pid", get(Field::OwnerPid)?),
                ("arena", view.arena),
            ];
            Ok((view.rows.is_on_demand(), fields))
        })?;
        let (unknown_names, stale_answers) = self.asking.counts();
        let here = [
            ("unknown_names", unknown_names),
            ("stale_answers", stale_answers),
            // Relaxed (both): counters.
            ("panics", self.panics.load(Ordering::Relaxed)),
            (
                "journal_dropped",
                self.events.dropped.load(Ordering::Relaxed),
            ),
        ];
        let status = PyDict::new(py);
        status.set_item("on_demand", on_demand)?;
        for (name, value) in arena.into_iter().chain(here) {
            status.set_item(name, value)?;
        }
        Ok(status)
    }

    /// Sets the manual clock.
    fn _set_clock(&self, py: Python<'_>, now_ms: u64) -> PyResult<()> {
        match &self.time {
            // Relaxed: a number for tests.
            Time::Manual(at) => {
                at.store(now_ms, Ordering::Relaxed);
                Ok(())
            }
            Time::System => Err(raise(
                py,
                Class::Conflict,
                "this checker runs on the system's clock",
            )),
        }
    }

    fn _close(&self) {
        self.mapped.close();
        self.events.seal();
    }

    /// Whether `close()` was called.
    #[getter]
    fn closed(&self) -> bool {
        self.mapped.is_closed()
    }

    /// Panics on purpose, inside what guards the hot path. For the test that a panic is a denial.
    fn _panic(&self) -> bool {
        hot::guarded(self, || panic!("on purpose"), false)
    }
}
