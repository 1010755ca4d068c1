//! The checking and spending side as a Python class. The hottest methods are in `hot`.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use fastcheck_core::arena::View;
use fastcheck_core::catalog::Kind;
use fastcheck_core::check::{self, Answer, Clock, Found};
use fastcheck_core::control::Field;
use fastcheck_core::current::Current;
use fastcheck_core::entry::{self, Value};
use fastcheck_core::error::Corrupt;
use fastcheck_core::key::Key;
use fastcheck_core::row::Row;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::amounts::{self, Amount};
use crate::answers::{Decision, Estimate};
use crate::errors::{Class, corrupt, from_core, raise};
use crate::events::Events;
use crate::handle::Handle;
use crate::identity::Identities;
use crate::strings::utf8;
use crate::time::{Moment, Time};

/// Names that are logged once; later ones are only counted.
const UNKNOWN_NAMES_MAX: usize = 1_024;
/// An epoch changes when a ledger is restored: so often between two loads means a damaged page.
const SEQ_ATTEMPTS_MAX: u32 = 100;
/// How often one call asks the owner before it gives up.
const TOUCHES_MAX: u32 = 2;

#[pyclass(frozen, subclass, module = "fastcheck._fastcheck")]
pub struct Checker {
    current: Current<View>,
    pub time: Time,
    /// `touch(customer, pool) -> bool`: asks the owner for a lease of the pool; of None, for the customer itself.
    touch: Py<PyAny>,
    strict: bool,
    closed: AtomicBool,
    /// Where this process found its last hold slot.
    pub near: AtomicUsize,
    pub identities: Identities,
    pub events: Events,
    unknown: Mutex<HashSet<String>>,
    unknown_count: AtomicU64,
    /// Answers that the age of what is known here decided.
    pub stale_answers: AtomicU64,
    pub panics: AtomicU64,
}

/// What one attempt to answer came to.
pub enum Step<T> {
    Done(T),
    /// The owner has to be asked for a lease of the pool; then try again. The second is the answer if that fails.
    Touch(String, T),
    /// On demand: the owner has to be asked for the customer; then try again. The answer if that finds nobody.
    Fetch(T),
}

impl<T> Step<T> {
    /// Done, or the customer has to be fetched: where nobody knows it here, others may.
    pub fn known(
        view: &View,
        row: Option<Row>,
        customer: &[u8],
        answer: Answer,
        done: T,
    ) -> Step<T> {
        if row.is_none() && is_fetchable(view, customer) && !answer.is_stale() {
            Step::Fetch(done)
        } else {
            Step::Done(done)
        }
    }
}

/// Whether a customer that is not here may be one that the owner can fetch.
pub fn is_fetchable(view: &View, customer: &[u8]) -> bool {
    view.rows.is_on_demand() && Key::new(customer).is_some()
}

impl Checker {
    /// Runs `read` on the newest view.
    ///
    /// With the global lock, generations are replaced only while it is held, so `read` must not go on reading the view
    /// after it ran Python code, which may release the lock; making an error and returning it is fine. Without a
    /// global lock the view is pinned.
    #[inline(always)]
    pub fn with_view<T>(
        &self,
        py: Python<'_>,
        read: impl FnOnce(&View) -> PyResult<T>,
    ) -> PyResult<T> {
        // Relaxed: a flag of this process; whoever closes while others check gets no promise about them.
        if self.closed.load(Ordering::Relaxed) {
            return Err(closed(py));
        }
        #[cfg(not(Py_GIL_DISABLED))]
        {
            // SAFETY: `replace` and `collect` are only called by `refresh`, under the same lock that is held here.
            let view = unsafe { self.current.unpinned() };
            if view.is_current() {
                return read(view);
            }
            self.refresh(py)?;
            // SAFETY: as above; the reference from before is not used again.
            read(unsafe { self.current.unpinned() })
        }
        #[cfg(Py_GIL_DISABLED)]
        {
            let stripe = self as *const _ as usize >> 7 ^ thread_stripe();
            if !self.current.pin(stripe).is_current() {
                self.refresh(py)?;
            }
            read(&self.current.pin(stripe))
        }
    }

    /// The view, where it can be had without any ado: open, current, and kept alive by the global lock.
    ///
    /// # Safety
    /// The caller holds the interpreter and does not use the view after it ran Python code.
    #[inline(always)]
    pub unsafe fn view_fast(&self) -> Option<&View> {
        #[cfg(Py_GIL_DISABLED)]
        return None;
        #[cfg(not(Py_GIL_DISABLED))]
        {
            // SAFETY: as in `with_view`, by the caller's promise.
            let view = unsafe { self.current.unpinned() };
            // Relaxed: see `with_view`.
            (view.is_current() && !self.closed.load(Ordering::Relaxed)).then_some(view)
        }
    }

    /// Runs `read` on the newest view with the interpreter released, for work that is longer than a lookup.
    pub fn pinned<T: Send>(
        &self,
        py: Python<'_>,
        read: impl FnOnce(&View) -> Result<T, Corrupt> + Send,
    ) -> PyResult<T> {
        self.with_view(py, |_| Ok(()))?; // Refreshes, or says that it is closed.
        let pin = self.current.pin(self.near.load(Ordering::Relaxed)); // Relaxed: any stripe will do.
        let view: &View = &pin;
        py.detach(|| read(view)).map_err(|e| corrupt(py, e))
    }

    /// Maps what is current now.
    #[cold]
    fn refresh(&self, py: Python<'_>) -> PyResult<()> {
        let renew = |view: &View| (view.refreshed(), view.is_retired());
        #[cfg(not(Py_GIL_DISABLED))]
        // SAFETY: under the global lock; the reference ends before `replace`.
        let (fresh, retired) = renew(unsafe { self.current.unpinned() });
        #[cfg(Py_GIL_DISABLED)]
        let (fresh, retired) = renew(&self.current.pin(0));
        match fresh {
            Ok(fresh) => self.current.replace(fresh),
            // The arena is given up and the next one is not there yet. The rows mapped here are the last that were in
            // force, and the cells are closed, so a burn asks the owner.
            Err(_) if retired => {}
            Err(error) => return Err(from_core(py, error)),
        }
        Ok(())
    }

    /// Runs `step` until it is done, asking the owner in between: once for the customer, a few times for leases. The bound of
    /// the wait is the caller of `touch`'s: this is the first touch of DESIGN §3.
    pub fn settle<T>(
        &self,
        py: Python<'_>,
        customer: &Bound<'_, PyAny>,
        mut step: impl FnMut(&View) -> PyResult<Step<T>>,
    ) -> PyResult<T> {
        let (mut fetched, mut touches) = (false, 0);
        loop {
            let (pool, instead) = match self.with_view(py, &mut step)? {
                Step::Done(done) => return Ok(done),
                Step::Fetch(instead) if fetched => return Ok(instead),
                Step::Touch(_, instead) if touches == TOUCHES_MAX => return Ok(instead),
                Step::Fetch(instead) => {
                    fetched = true;
                    (None, instead)
                }
                Step::Touch(pool, instead) => {
                    touches += 1;
                    (Some(pool), instead)
                }
            };
            if !self.touched(py, customer, pool)? {
                return Ok(instead);
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

    /// A name that nobody knows: counted, logged once, an error if strict.
    #[cold]
    pub fn unknown(&self, py: Python<'_>, what: &str, name: &[u8]) -> PyResult<()> {
        // Relaxed: a counter.
        self.unknown_count.fetch_add(1, Ordering::Relaxed);
        let mut shown = String::from_utf8_lossy(&name[..name.len().min(80)]).into_owned();
        if name.len() > 80 {
            shown.push('…');
        }
        if self.strict && what == "feature" {
            return Err(raise(
                py,
                Class::UnknownFeature,
                format!(
                    "the catalog has no feature {shown:?}; check the spelling, or open without strict=True"
                ),
            ));
        }
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

    /// Notes what an answer says about names.
    #[inline(always)]
    pub fn note(
        &self,
        py: Python<'_>,
        answer: Answer,
        customer: &[u8],
        feature: &[u8],
    ) -> PyResult<()> {
        match answer {
            Answer::UnknownFeature => self.unknown(py, "feature", feature),
            Answer::UnknownCustomer | Answer::AllowedUnknown => {
                self.unknown(py, "customer", customer)
            }
            Answer::Stale | Answer::AllowedStale => {
                // Relaxed: a counter.
                self.stale_answers.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// (epoch, seq) of the last change that the rows show.
    pub fn seq(&self, py: Python<'_>) -> PyResult<(u64, u64)> {
        self.with_view(py, |view| {
            let get = |field| view.control().get(field).map_err(|e| corrupt(py, e));
            let mut epoch = get(Field::Epoch)?;
            // The owner stores the epoch before the number: a pair that stood in one epoch is of that epoch.
            for _ in 0..SEQ_ATTEMPTS_MAX {
                let seq = get(Field::Seq)?;
                let after = get(Field::Epoch)?;
                if after == epoch {
                    return Ok((epoch, seq));
                }
                epoch = after;
            }
            Err(corrupt(py, Corrupt))
        })
    }

    /// The clock of one answer.
    #[inline(always)]
    pub fn moment<'a>(&'a self, view: &'a View) -> Moment<'a> {
        Moment {
            time: &self.time,
            view,
        }
    }
}

#[cfg(Py_GIL_DISABLED)]
fn thread_stripe() -> usize {
    use std::cell::Cell;
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    // Relaxed: a number to spread threads by.
    thread_local! { static STRIPE: Cell<usize> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed)); }
    STRIPE.with(Cell::get)
}

fn closed(py: Python<'_>) -> PyErr {
    raise(
        py,
        Class::Closed,
        "this Entitlements is closed; open or attach again",
    )
}

pub fn pool_name(py: Python<'_>, view: &View, found: &Found) -> PyResult<String> {
    view.rows
        .pool_name(found.entry.pool())
        .map_err(|e| corrupt(py, e))
}

impl Checker {
    pub fn find(
        &self,
        py: Python<'_>,
        view: &View,
        customer: &[u8],
        feature: &[u8],
    ) -> PyResult<Option<Found>> {
        let found =
            check::find(&view.rows, customer, feature, &self.time).map_err(|e| corrupt(py, e))?;
        if let Some(row) = found.and_then(|found| found.row) {
            view.mark(row.number());
        }
        Ok(found)
    }

    pub fn decide_any(
        &self,
        py: Python<'_>,
        customer: &Bound<'_, PyAny>,
        feature: &Bound<'_, PyAny>,
        amount: Option<&Amount<'_>>,
    ) -> PyResult<Decision> {
        // SAFETY: both objects outlive the call.
        let (name, feature) =
            unsafe { (utf8(py, customer.as_ptr())?, utf8(py, feature.as_ptr())?) };
        let decision = self.settle(py, customer, |view| {
            let as_of_ms = view
                .control()
                .get(Field::HeartbeatAtMs)
                .map_err(|e| corrupt(py, e))?;
            let mut d = Decision {
                answer: Answer::UnknownFeature,
                source: None,
                remaining: None,
                scale: 0,
                resets_at_ms: None,
                as_of_ms,
                lag_ms: self.time.now_ms().saturating_sub(as_of_ms),
                cost: 0,
            };
            let Some(found) = self.find(py, view, name, feature)? else {
                return Ok(Step::Done(d));
            };
            d.source = found.entry.source();
            let stale = found
                .stale(&view.rows, &self.moment(view))
                .map_err(|e| corrupt(py, e))?;
            let countable = found.entry.flags & entry::COUNTABLE != 0;
            if !countable {
                if amount.is_some() {
                    amounts::cost(py, &view.rows, &found, &Amount::Plain(1))?; // raises: it is not countable
                }
                d.answer = stale.or(found.plain()).unwrap_or(Answer::Allowed);
                return Ok(Step::known(view, found.row, name, d.answer, d));
            }
            d.cost = match amount {
                Some(amount) => amounts::cost(py, &view.rows, &found, amount)?,
                None => {
                    let unit = found
                        .entry
                        .cost(view.rows.region())
                        .map_err(|e| corrupt(py, e))?;
                    if unit == entry::NO_COST { 1 } else { unit }
                }
            };
            if let (None, Some(answer)) = (stale, found.plain()) {
                d.answer = answer;
                return Ok(Step::known(view, found.row, name, answer, d));
            }
            d.scale = view
                .rows
                .pool_info(found.entry.pool())
                .map_err(|e| corrupt(py, e))?
                .scale;
            match found
                .view(&view.rows, &*view.cells, &self.time)
                .map_err(|e| corrupt(py, e))?
            {
                None => {
                    if let Some(answer) = stale {
                        d.answer = answer;
                        return Ok(Step::Done(d));
                    }
                    d.answer = Answer::NoLease;
                    Ok(Step::Touch(pool_name(py, view, &found)?, d))
                }
                Some(v) => {
                    d.remaining = Some(v.available);
                    let ends = v.valid_until_ms != fastcheck_core::cell::NO_INSTANT;
                    d.resets_at_ms = ends.then_some(v.valid_until_ms);
                    if let Some(answer) = stale {
                        d.answer = answer;
                    } else if d.cost <= v.available {
                        d.answer = Answer::Allowed;
                    } else if v.full {
                        d.answer = Answer::Exhausted;
                    } else {
                        d.answer = Answer::NoLease;
                        return Ok(Step::Touch(pool_name(py, view, &found)?, d));
                    }
                    Ok(Step::Done(d))
                }
            }
        })?;
        self.note(py, decision.answer, name, feature)?;
        Ok(decision)
    }

    /// One attempt at a burn: the answer and the cost.
    pub fn burn_step(
        &self,
        py: Python<'_>,
        view: &View,
        customer: &[u8],
        feature: &[u8],
        amount: &Amount<'_>,
    ) -> PyResult<Step<(Answer, u64)>> {
        let Some(found) = self.find(py, view, customer, feature)? else {
            return Ok(Step::Done((Answer::UnknownFeature, 0)));
        };
        let cost = amounts::cost(py, &view.rows, &found, amount)?;
        let answer = found
            .burn(&view.rows, &*view.cells, cost, &self.moment(view))
            .map_err(|e| corrupt(py, e))?;
        if answer == Answer::NoLease {
            return Ok(Step::Touch(pool_name(py, view, &found)?, (answer, cost)));
        }
        Ok(Step::known(
            view,
            found.row,
            customer,
            answer,
            (answer, cost),
        ))
    }

    /// A burn, asking the owner where it must be asked, and its record.
    pub fn consume_any(
        &self,
        py: Python<'_>,
        customer: &Bound<'_, PyAny>,
        feature: &[u8],
        amount: &Amount<'_>,
        event: Option<&Bound<'_, PyString>>,
    ) -> PyResult<bool> {
        // SAFETY: the object outlives the call.
        let name = unsafe { utf8(py, customer.as_ptr()) }?;
        let (answer, units) = self.settle(py, customer, |view| {
            self.burn_step(py, view, name, feature, amount)
        })?;
        self.note(py, answer, name, feature)?;
        if let (true, Some(event)) = (answer.allowed(), event) {
            self.record(py, event, name, feature, amount, units)?;
        }
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
        let Some(found) = self.find(py, view, customer, feature)? else {
            return Ok(Step::Done(Answer::UnknownFeature));
        };
        let answer = check::check_found(&view.rows, &*view.cells, &found, &self.moment(view))
            .map_err(|e| corrupt(py, e))?;
        if answer == Answer::NoLease {
            return Ok(Step::Touch(pool_name(py, view, &found)?, answer));
        }
        Ok(Step::known(view, found.row, customer, answer, answer))
    }
}

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
        let view = View::attach(&directory).map_err(|e| from_core(py, e))?;
        Ok(Checker {
            current: Current::new(view),
            time: if manual_clock {
                Time::Manual(AtomicU64::new(0))
            } else {
                Time::System
            },
            touch,
            strict,
            closed: AtomicBool::new(false),
            near: AtomicUsize::new(std::process::id() as usize * 61),
            identities: Identities::new(),
            events: Events::new(directory),
            unknown: Mutex::new(HashSet::new()),
            unknown_count: AtomicU64::new(0),
            stale_answers: AtomicU64::new(0),
            panics: AtomicU64::new(0),
        })
    }

    /// What `amount` of the feature would cost, and the balance before and after. No side effect.
    #[pyo3(signature = (customer, feature, amount, /))]
    fn estimate(
        &self,
        py: Python<'_>,
        customer: &Bound<'_, PyAny>,
        feature: &Bound<'_, PyAny>,
        amount: &Bound<'_, PyAny>,
    ) -> PyResult<Estimate> {
        // SAFETY: `amount` outlives the call.
        let amount = unsafe { amounts::amount(py, amount.as_ptr()) }?;
        let d = self.decide_any(py, customer, feature, Some(&amount))?;
        Ok(Estimate {
            answer: d.answer,
            cost: d.cost,
            balance: d.remaining.unwrap_or(0),
            scale: d.scale,
        })
    }

    /// The customer's value of a feature, or `default` where it has none.
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
        let (value, kind, known) = self.settle(py, customer, |view| {
            let Some(found) = self.find(py, view, name, key)? else {
                return Ok(Step::Done((Value::None, None, true)));
            };
            let value = found
                .entry
                .value(view.rows.region())
                .map_err(|e| corrupt(py, e))?;
            let on = found.entry.flags & entry::ALLOWED != 0;
            let value = match found.entry.kind() {
                Some(Kind::Switch | Kind::Credit) => Value::Bool(on),
                _ => value,
            };
            let done = (value, found.entry.kind(), found.row.is_some());
            Ok(Step::known(
                view,
                found.row,
                name,
                Answer::UnknownCustomer,
                done,
            ))
        })?;
        if kind.is_none() {
            self.unknown(py, "feature", key)?;
        } else if !known {
            self.unknown(py, "customer", name)?;
        }
        Ok(match value {
            Value::None => default.unwrap_or_else(|| py.None()),
            Value::Unlimited => py.None(),
            Value::Number(n) => n.into_pyobject(py)?.into_any().unbind(),
            Value::Bool(b) => pyo3::types::PyBool::new(py, b)
                .to_owned()
                .into_any()
                .unbind(),
            Value::Text(t) => PyString::new(py, &t).into_any().unbind(),
        })
    }

    /// The bound of a limit, or the quota of a meter; None = unlimited, 0 = not entitled.
    fn limit(
        &self,
        py: Python<'_>,
        customer: &Bound<'_, PyAny>,
        feature: &Bound<'_, PyAny>,
    ) -> PyResult<Option<i64>> {
        // SAFETY: both objects outlive the call.
        let (name, key) = unsafe { (utf8(py, customer.as_ptr())?, utf8(py, feature.as_ptr())?) };
        let found = self.settle(py, customer, |view| {
            let Some(found) = self.find(py, view, name, key)? else {
                return Ok(Step::Done(None));
            };
            let value = found
                .entry
                .value(view.rows.region())
                .map_err(|e| corrupt(py, e))?;
            let done = Some((value, found.entry.kind(), found.row.is_some()));
            Ok(Step::known(
                view,
                found.row,
                name,
                Answer::UnknownCustomer,
                done,
            ))
        })?;
        let Some((value, kind, known)) = found else {
            self.unknown(py, "feature", key)?;
            return Ok(Some(0));
        };
        if !matches!(kind, Some(Kind::Limit | Kind::Meter)) {
            let kind = kind.map_or("feature", Kind::as_str);
            return Err(raise(
                py,
                Class::WrongType,
                format!("the feature is a {kind}: it has no limit; ask check() or value()"),
            ));
        }
        if !known {
            self.unknown(py, "customer", name)?;
        }
        Ok(match value {
            Value::Unlimited => None,
            Value::Number(n) => Some(n),
            _ => Some(0),
        })
    }

    /// A handle on one feature of one customer, for the tightest loops.
    #[pyo3(signature = (customer, feature, /))]
    fn handle(
        slf: Bound<'_, Self>,
        customer: Bound<'_, PyString>,
        feature: Bound<'_, PyString>,
    ) -> PyResult<Handle> {
        Handle::new(slf, customer, feature)
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
        self.with_view(py, |view| {
            let totals = || -> Result<Option<(u64, u64, u64)>, Corrupt> {
                let rows = &view.rows;
                let Some(key) = Key::new(name) else {
                    return Ok(None);
                };
                let Some(row) = rows.customer(key)? else {
                    return Ok(None);
                };
                let id = fastcheck_core::key::hash_bytes(pool.as_bytes());
                let Some(index) = rows.pool_by_id(id)? else {
                    return Ok(None);
                };
                let Some(word) = row.lease_of(rows.region(), index, rows.pools())? else {
                    return Ok(None);
                };
                let cell = fastcheck_core::check::Cells::cell(&*view.cells, word as u32)?;
                Ok(cell
                    .totals()?
                    .filter(|t| u64::from(t.lease) == word >> 32 && !t.closed)
                    .map(|t| (t.spent, t.returned, t.granted)))
            };
            totals().map_err(|e| corrupt(py, e))
        })
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
        let (on_demand, fields) = self.with_view(py, |view| {
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
                // Relaxed: counters.
                ("unknown_names", self.unknown_count.load(Ordering::Relaxed)),
                ("stale_answers", self.stale_answers.load(Ordering::Relaxed)),
                ("panics", self.panics.load(Ordering::Relaxed)),
                (
                    "journal_dropped",
                    self.events.dropped.load(Ordering::Relaxed),
                ),
            ];
            Ok((view.rows.is_on_demand(), fields))
        })?;
        let status = PyDict::new(py);
        status.set_item("on_demand", on_demand)?;
        for (name, value) in fields {
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
        // Relaxed: see `with_view`.
        self.closed.store(true, Ordering::Relaxed);
        self.events.seal();
    }

    #[getter]
    fn closed(&self) -> bool {
        // Relaxed: see `with_view`.
        self.closed.load(Ordering::Relaxed)
    }

    /// The numbers of customers, for the batch methods; unknown ones get 2^32 - 1.
    #[pyo3(signature = (customers, /))]
    fn ids<'py>(
        &self,
        py: Python<'py>,
        customers: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, numpy::PyArray1<u32>>> {
        crate::batch::ids(self, py, customers)
    }

    /// `check` for many customers: a list of str, or what `ids` gave.
    #[pyo3(signature = (customers, feature, /))]
    fn check_many<'py>(
        &self,
        py: Python<'py>,
        customers: &Bound<'py, PyAny>,
        feature: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, numpy::PyArray1<bool>>> {
        crate::batch::check_many(self, py, customers, feature)
    }

    /// `consume` for many customers; `amounts` is one int or one per customer.
    #[pyo3(signature = (customers, feature, amounts = None, /))]
    fn consume_many<'py>(
        &self,
        py: Python<'py>,
        customers: &Bound<'py, PyAny>,
        feature: &Bound<'py, PyAny>,
        amounts: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, numpy::PyArray1<bool>>> {
        crate::batch::consume_many(self, py, customers, feature, amounts)
    }

    /// Panics on purpose, inside what guards the hot path. For the test that a panic is a denial.
    fn _panic(&self) -> bool {
        crate::hot::guarded(self, || panic!("on purpose"), false)
    }
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
