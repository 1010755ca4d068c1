//! Answers as objects: small, frozen, and turned into Python values only when asked.

use fastcheck_core::Source;
use pyo3::prelude::*;

use crate::amounts::credits;

/// Milliseconds since the epoch as an aware `datetime`.
fn instant<'py>(py: Python<'py>, at_ms: u64) -> PyResult<Bound<'py, PyAny>> {
    let module = py.import("datetime")?;
    let utc = module.getattr("timezone")?.getattr("utc")?;
    let whole = module
        .getattr("datetime")?
        .call_method1("fromtimestamp", (at_ms / 1000, utc))?;
    let rest = module
        .getattr("timedelta")?
        .call1((0, 0, 0, at_ms % 1000))?;
    whole.call_method1("__add__", (rest,))
}

/// What `decide` answers. Truthy if allowed.
#[pyclass(frozen, module = "fastcheck._fastcheck")]
pub struct Decision {
    pub decided: fastcheck_core::Decision,
    pub as_of_ms: u64,
    /// How old that was when this was decided.
    pub lag_ms: u64,
}

#[pymethods]
impl Decision {
    /// Whether the burn would be allowed.
    #[getter]
    fn allowed(&self) -> bool {
        self.decided.answer.allowed()
    }

    /// `allowed`; never: `not_entitled`, `unknown_customer`, `unknown_feature`; not now: `exhausted`,
    /// `no_lease`; `stale`: the state of this host is too old for the feature, and its `when_stale`
    /// decided.
    #[getter]
    fn reason(&self) -> &'static str {
        self.decided.answer.reason()
    }

    /// The source of the entitlement: `override`, `trial`, `addon`, `plan` or `default`.
    #[getter]
    fn source(&self) -> Option<&'static str> {
        self.decided.source.map(Source::as_str)
    }

    /// Credits of the pool left on this host. None: no pool, unlimited, or not known.
    #[getter]
    fn remaining<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.decided
            .remaining
            .map(|units| credits(py, units, self.decided.scale))
            .transpose()
    }

    /// Credits that the amount would burn.
    #[getter]
    fn cost<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        credits(py, self.decided.cost, self.decided.scale)
    }

    /// The instant at which the balance changes by itself: a refill, an expiry. UTC.
    #[getter]
    fn resets_at<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.decided
            .resets_at_ms
            .map(|at| instant(py, at))
            .transpose()
    }

    /// The instant at which the state of this host was last known to be current. UTC.
    #[getter]
    fn as_of<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        instant(py, self.as_of_ms)
    }

    /// How old that was at the decision, in milliseconds.
    #[getter]
    fn lag_ms(&self) -> u64 {
        self.lag_ms
    }

    fn __bool__(&self) -> bool {
        self.decided.answer.allowed()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let text = |value: Option<Bound<'_, PyAny>>| -> PyResult<String> {
            value.map_or(Ok("None".into()), |v| Ok(v.str()?.to_string()))
        };
        Ok(format!(
            "Decision(allowed={}, reason={:?}, source={:?}, remaining={}, resets_at={})",
            if self.decided.answer.allowed() {
                "True"
            } else {
                "False"
            },
            self.decided.answer.reason(),
            self.decided.source.map_or("", Source::as_str),
            text(self.remaining(py)?)?,
            text(self.resets_at(py)?)?,
        ))
    }
}

/// What `estimate` answers: cost, and the balance before and after.
#[pyclass(frozen, module = "fastcheck._fastcheck")]
pub struct Estimate(pub fastcheck_core::Decision);

impl Estimate {
    fn balance(&self) -> u64 {
        self.0.remaining.unwrap_or(0)
    }
}

#[pymethods]
impl Estimate {
    /// Whether a burn of that amount would be allowed now.
    #[getter]
    fn allowed(&self) -> bool {
        self.0.answer.allowed()
    }

    /// As `Decision.reason`.
    #[getter]
    fn reason(&self) -> &'static str {
        self.0.answer.reason()
    }

    /// Credits that the amount would burn.
    #[getter]
    fn cost<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        credits(py, self.0.cost, self.0.scale)
    }

    /// Credits left on this host.
    #[getter]
    fn balance_before<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        credits(py, self.balance(), self.0.scale)
    }

    /// Credits left after the burn; 0 if they do not cover the cost.
    #[getter]
    fn balance_after<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        credits(py, self.balance().saturating_sub(self.0.cost), self.0.scale)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!(
            "Estimate(cost={}, balance_before={}, balance_after={}, allowed={})",
            self.cost(py)?,
            self.balance_before(py)?,
            self.balance_after(py)?,
            if self.0.answer.allowed() {
                "True"
            } else {
                "False"
            },
        ))
    }
}

/// What `Reservation.commit` answers.
#[pyclass(frozen, module = "fastcheck._fastcheck")]
pub struct Settlement {
    pub charged: u64,
    pub shortfall: u64,
    pub scale: u8,
}

#[pymethods]
impl Settlement {
    /// Credits burned for the work in total.
    #[getter]
    fn charged<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        credits(py, self.charged, self.scale)
    }

    /// Credits that the work cost beyond the balance.
    #[getter]
    fn shortfall<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        credits(py, self.shortfall, self.scale)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!(
            "Settlement(charged={}, shortfall={})",
            self.charged(py)?,
            self.shortfall(py)?
        ))
    }
}
