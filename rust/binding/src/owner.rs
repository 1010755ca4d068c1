//! The owner's side as a Python class.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};

use fastcheck_core::{Inherited, LateReturn, Lease, NO_INSTANT, NamedTotals, Owner, is_of_boot};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;

use crate::catalog::PyCatalog;
use crate::checkpoint::PyCheckpoint;
use crate::errors::{Class, from_core, raise};
use crate::process::{self, Alive};
use crate::time;

/// (key, customer number, pool, lease, units)
type Late = (String, u32, String, u32, u64);
/// (position, at_ms, event, customer, feature, units, [(quantity, n)])
type UsageRecord = (String, u64, String, String, String, u64, Vec<(String, u64)>);
/// (customer number, pool, lease, spent, returned, granted, closed)
type CellTotals = (u32, String, u32, u64, u64, u64, bool);

fn cell_totals(named: NamedTotals) -> CellTotals {
    let t = named.totals;
    (
        t.number, named.pool, t.lease, t.spent, t.returned, t.granted, t.closed,
    )
}

/// Whether the arena in `directory` is of this boot; None: there is none that is whole by its headers.
#[pyfunction]
#[pyo3(signature = (directory, /))]
pub fn arena_boot(py: Python<'_>, directory: PathBuf) -> Option<bool> {
    py.detach(|| is_of_boot(&directory, process::boot()))
}

/// The writing side of an arena. One per directory; the caller holds the owner lock.
#[pyclass(frozen, name = "Owner", module = "fastcheck._fastcheck")]
pub struct PyOwner {
    /// Python threads take turns; no checker ever waits for this lock.
    owner: Mutex<Option<Owner>>,
    late: Mutex<Vec<(usize, LateReturn)>>,
}

impl PyOwner {
    fn lock(&self) -> MutexGuard<'_, Option<Owner>> {
        self.owner.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Runs `work` on the owner with the interpreter released.
    fn with<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut Owner) -> fastcheck_core::Result<T> + Send,
    ) -> PyResult<T> {
        let done = py.detach(|| self.lock().as_mut().map(work));
        match done {
            None => Err(raise(py, Class::Closed, "this owner is closed")),
            Some(result) => result.map_err(|e| from_core(py, e)),
        }
    }
}

#[pymethods]
impl PyOwner {
    #[new]
    #[pyo3(signature = (directory, catalog, now_ms, *, on_demand = None))]
    fn new(
        py: Python<'_>,
        directory: PathBuf,
        catalog: &Bound<'_, PyCatalog>,
        now_ms: u64,
        on_demand: Option<u32>,
    ) -> PyResult<PyOwner> {
        let (hash, content) = (catalog.get().hash(), catalog.get().catalog.clone());
        let owner = py
            .detach(|| {
                let env = process::environment(now_ms);
                match on_demand {
                    None => Owner::open(&directory, content, hash, env),
                    Some(n) => Owner::open_on_demand(&directory, content, hash, env, n),
                }
            })
            .map_err(|e| from_core(py, e))?;
        Ok(PyOwner {
            owner: Mutex::new(Some(owner)),
            late: Mutex::new(Vec::new()),
        })
    }

    /// Whether the arena found has rows of this very catalog, intact.
    #[getter]
    fn adopted(&self, py: Python<'_>) -> PyResult<bool> {
        self.with(py, |o| Ok(o.found == Inherited::Intact))
    }

    /// Whether the cells found are of an earlier boot.
    #[getter]
    fn previous_boot(&self, py: Python<'_>) -> PyResult<bool> {
        self.with(py, |o| Ok(o.found == Inherited::EarlierBoot))
    }

    #[getter]
    fn seq(&self, py: Python<'_>) -> PyResult<u64> {
        self.with(py, |o| o.seq())
    }

    #[getter]
    fn epoch(&self, py: Python<'_>) -> PyResult<u64> {
        self.with(py, |o| o.epoch())
    }

    #[getter]
    fn digest(&self, py: Python<'_>) -> PyResult<u64> {
        self.with(py, |o| Ok(o.rows.digest()))
    }

    #[getter]
    fn arena(&self, py: Python<'_>) -> PyResult<u64> {
        self.with(py, |o| Ok(o.arena()))
    }

    #[getter]
    fn customers(&self, py: Python<'_>) -> PyResult<u64> {
        self.with(py, |o| Ok(o.rows.customers()))
    }

    /// Replaces all rows by these chunks of records.
    #[pyo3(signature = (records, seq, now_ms, *, epoch = 1))]
    fn load(
        &self,
        py: Python<'_>,
        records: &Bound<'_, PyAny>,
        seq: u64,
        now_ms: i64,
        epoch: u64,
    ) -> PyResult<u64> {
        let chunks = records
            .try_iter()?
            .map(|c| c?.extract::<PyBackedBytes>().map_err(PyErr::from))
            .collect::<PyResult<Vec<_>>>()?;
        self.with(py, |o| {
            o.load(chunks.iter().map(|c| &**c), epoch, seq, now_ms)
        })
    }

    /// Replaces all rows by what a checkpoint has in force.
    fn load_checkpoint(
        &self,
        py: Python<'_>,
        checkpoint: &Bound<'_, PyCheckpoint>,
        now_ms: i64,
    ) -> PyResult<u64> {
        let checkpoint = checkpoint.get().inner();
        self.with(py, |o| {
            let view = checkpoint.view()?;
            o.load_each(view.at.epoch, view.at.seq, now_ms, |take| {
                view.each(&mut |record| take(&record.customer, record.hash))
            })
        })
    }

    /// Replaces all rows by a snapshot that a checkpoint received and that is not completed yet.
    fn load_received(
        &self,
        py: Python<'_>,
        checkpoint: &Bound<'_, PyCheckpoint>,
        now_ms: i64,
    ) -> PyResult<u64> {
        let checkpoint = checkpoint.get().inner();
        self.with(py, |o| {
            let at = checkpoint.received()?.header.at;
            o.load_each(at.epoch, at.seq, now_ms, |take| {
                checkpoint.each_received(&mut |record| take(&record.customer, record.hash))
            })
        })
    }

    /// Upserts records, all or nothing.
    #[pyo3(signature = (records, seq, now_ms, *, epoch = 1))]
    fn put(
        &self,
        py: Python<'_>,
        records: PyBackedBytes,
        seq: u64,
        now_ms: i64,
        epoch: u64,
    ) -> PyResult<u64> {
        self.with(py, |o| o.put(&records, epoch, seq, now_ms))
    }

    /// Applies of a change what is about customers held here. Returns (numbers, keys) of all it was about.
    #[pyo3(signature = (records, seq, now_ms, *, epoch))]
    fn put_held(
        &self,
        py: Python<'_>,
        records: PyBackedBytes,
        seq: u64,
        now_ms: i64,
        epoch: u64,
    ) -> PyResult<(Vec<u32>, Vec<String>)> {
        let concerned = self.with(py, |o| o.put_held(&records, epoch, seq, now_ms))?;
        Ok((concerned.numbers, concerned.keys))
    }

    /// Takes customers in that were asked for. Returns how many records there were.
    fn put_found(&self, py: Python<'_>, records: PyBackedBytes, now_ms: i64) -> PyResult<u64> {
        self.with(py, |o| o.put_found(&records, now_ms))
    }

    /// How many customers are held.
    fn held(&self, py: Python<'_>) -> PyResult<u64> {
        self.customers(py)
    }

    /// Drops the least recently used until `target` are held. Returns how many went.
    fn evict(&self, py: Python<'_>, target: u64) -> PyResult<u64> {
        self.with(py, |o| o.evict(target))
    }

    /// The numbers of the customers held, ascending.
    fn held_numbers(&self, py: Python<'_>) -> PyResult<Vec<u32>> {
        self.with(py, |o| o.rows.held_numbers())
    }

    /// (number, id) of at most `limit` customers held, ascending from the first number above `after`.
    fn held_keys(&self, py: Python<'_>, after: u32, limit: usize) -> PyResult<Vec<(u32, String)>> {
        self.with(py, |o| o.rows.held_keys(after, limit))
    }

    /// Opens the cell of (customer, pool) for a lease.
    #[allow(clippy::too_many_arguments)] // The Python signature, word for word.
    fn open_cell(
        &self,
        py: Python<'_>,
        number: u32,
        pool: &str,
        lease: u32,
        granted: u64,
        valid_until_ms: Option<u64>,
        full: bool,
    ) -> PyResult<()> {
        let valid_until_ms = valid_until_ms.unwrap_or(NO_INSTANT);
        self.with(py, |o| {
            o.open_cell(
                pool,
                Lease {
                    number,
                    lease,
                    pool: 0,
                    granted,
                    valid_until_ms,
                    full,
                },
            )
        })
    }

    /// Raises what is lent to an absolute total.
    fn raise_cell(
        &self,
        py: Python<'_>,
        number: u32,
        pool: &str,
        lease: u32,
        granted: u64,
        full: bool,
    ) -> PyResult<bool> {
        self.with(py, |o| o.cells.raise(number, pool, lease, granted, full))
    }

    /// Closes a lease for good.
    fn close_cell(
        &self,
        py: Python<'_>,
        number: u32,
        pool: &str,
        lease: u32,
    ) -> PyResult<Option<CellTotals>> {
        self.with(py, |o| {
            let totals = o.cells.close(number, pool, lease)?;
            Ok(totals.map(|totals| {
                cell_totals(NamedTotals {
                    pool: pool.to_owned(),
                    totals,
                })
            }))
        })
    }

    /// One lease.
    fn cell(
        &self,
        py: Python<'_>,
        number: u32,
        pool: &str,
        lease: u32,
    ) -> PyResult<Option<CellTotals>> {
        let totals = self.with(py, |o| o.cells.totals(number, pool, lease))?;
        Ok(totals.map(|totals| {
            cell_totals(NamedTotals {
                pool: pool.to_owned(),
                totals,
            })
        }))
    }

    /// All leases, or those that moved since the last such call.
    #[pyo3(signature = (changed_only = false))]
    fn cells(&self, py: Python<'_>, changed_only: bool) -> PyResult<Vec<CellTotals>> {
        Ok(self
            .with(py, |o| o.cells.all(changed_only))?
            .into_iter()
            .map(cell_totals)
            .collect())
    }

    /// Ends reservations that expired or whose process died. Returns how many.
    #[pyo3(signature = (manual_now_ms = None))]
    fn sweep(&self, py: Python<'_>, manual_now_ms: Option<u64>) -> PyResult<usize> {
        let now_ms = manual_now_ms.unwrap_or_else(time::steady_ms);
        let (ended, late) = self.with(py, |o| {
            let mut alive = Alive::default();
            o.cells.sweep(now_ms, |pid, started| alive.is(pid, started))
        })?;
        *self.late.lock().unwrap_or_else(|e| e.into_inner()) = late;
        Ok(ended)
    }

    /// What the last sweep found to be given back to leases that are closed:
    /// (key, customer number, pool, lease, units).
    fn late_returns(&self, py: Python<'_>) -> PyResult<Vec<Late>> {
        let late = self.late.lock().unwrap_or_else(|e| e.into_inner()).clone();
        self.with(py, |o| {
            Ok(late
                .iter()
                .map(|(segment, l)| {
                    let pool = o.cells.pool_name(l.pool).unwrap_or_default().to_owned();
                    let key = format!("{:016x}-{segment}-{}-{}", o.arena(), l.slot, l.stamp());
                    (key, (l.lease >> 32) as u32, pool, l.lease as u32, l.freed)
                })
                .collect())
        })
    }

    /// The late returns listed last are in the ledger: forget them.
    fn late_returns_booked(&self, py: Python<'_>) -> PyResult<()> {
        let late = std::mem::take(&mut *self.late.lock().unwrap_or_else(|e| e.into_inner()));
        self.with(py, |o| {
            late.iter()
                .try_for_each(|(segment, l)| o.cells.booked(*segment, l))
        })
    }

    /// Usage records of all processes of the host; they come again until `ack_journal`.
    fn drain_journal(&self, py: Python<'_>, limit: usize) -> PyResult<Vec<UsageRecord>> {
        let records = self.with(py, |o| {
            let mut alive = Alive::default();
            o.drain_journal(limit, |pid, started| alive.is(pid, started))
        })?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(records
            .into_iter()
            .map(|r| {
                let quantities = r
                    .quantities
                    .into_iter()
                    .map(|(name, n)| (text(name), n))
                    .collect();
                (
                    r.position,
                    r.at_ms,
                    text(r.event),
                    text(r.customer),
                    text(r.feature),
                    r.units,
                    quantities,
                )
            })
            .collect())
    }

    /// The records drained last are stored: forget them.
    fn ack_journal(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, |o| o.ack_journal())
    }

    /// Whether the files in the directory are no longer the ones in use.
    #[getter]
    fn detached(&self, py: Python<'_>) -> PyResult<bool> {
        self.with(py, |o| Ok(o.is_detached()))
    }

    /// Closes all leases and tells readers to attach again; the totals are final.
    fn retire(&self, py: Python<'_>) -> PyResult<Vec<CellTotals>> {
        Ok(self
            .with(py, |o| o.retire())?
            .into_iter()
            .map(cell_totals)
            .collect())
    }

    /// Without a hub: the owner lives.
    #[pyo3(signature = (now_ms, steady_ms = None))]
    fn heartbeat(&self, py: Python<'_>, now_ms: u64, steady_ms: Option<u64>) -> PyResult<()> {
        let steady_ms = steady_ms.unwrap_or_else(time::steady_ms);
        self.with(py, |o| o.heartbeat(now_ms, steady_ms))
    }

    /// With a hub: it is heard, or not.
    fn link(&self, py: Python<'_>, connected: bool) -> PyResult<()> {
        self.with(py, |o| o.link(connected))
    }

    /// With a hub: what is here was current at that instant.
    #[pyo3(signature = (as_of_ms, steady_ms = None))]
    fn fresh(&self, py: Python<'_>, as_of_ms: u64, steady_ms: Option<u64>) -> PyResult<()> {
        let steady_ms = steady_ms.unwrap_or_else(time::steady_ms);
        self.with(py, |o| o.fresh(as_of_ms, steady_ms))
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| drop(self.lock().take()));
    }
}
