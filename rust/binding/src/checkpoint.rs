//! A host's checkpoint as a Python class.

use std::path::PathBuf;

use fastcheck_core::Result;
use fastcheck_snapshot::{Checkpoint, Mark};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

use crate::errors::from_core;
use crate::snapshot::{Info, catalog_text, info};

/// (epoch, seq, digest, catalog's text, catalog's filename)
type Recovered<'py> = (u64, u64, u64, Bound<'py, PyBytes>, String);

/// The checkpoint in a directory. One process at a time; any of its threads.
#[pyclass(frozen, name = "Checkpoint", module = "fastcheck._fastcheck")]
pub struct PyCheckpoint {
    checkpoint: Checkpoint,
}

impl PyCheckpoint {
    pub fn inner(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Runs `work` with the interpreter released.
    fn with<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&Checkpoint) -> Result<T> + Send,
    ) -> PyResult<T> {
        py.detach(|| work(&self.checkpoint))
            .map_err(|e| from_core(py, e))
    }
}

#[pymethods]
impl PyCheckpoint {
    #[new]
    fn new(py: Python<'_>, directory: PathBuf) -> PyResult<PyCheckpoint> {
        let checkpoint = py
            .detach(|| Checkpoint::open(&directory))
            .map_err(|e| from_core(py, e))?;
        Ok(PyCheckpoint { checkpoint })
    }

    /// Finds the newest generation that is whole. None: there is none.
    fn recover<'py>(&self, py: Python<'py>) -> PyResult<Option<Recovered<'py>>> {
        let found = self.with(py, Checkpoint::recover)?;
        Ok(found.map(|(at, catalog)| {
            let source = PyBytes::new(py, &catalog.source);
            (at.epoch, at.seq, at.digest, source, catalog.filename)
        }))
    }

    /// Begins to receive a snapshot.
    fn begin(&self, py: Python<'_>, file_bytes: u64) -> PyResult<()> {
        self.with(py, |c| c.begin(file_bytes))
    }

    /// Takes the next piece of it.
    fn piece(&self, py: Python<'_>, offset: u64, data: PyBackedBytes) -> PyResult<()> {
        self.with(py, |c| c.piece(offset, &data))
    }

    /// What the header of the snapshot received says.
    fn received_info(&self, py: Python<'_>) -> PyResult<Info> {
        self.with(py, |c| c.received().map(|found| info(&found)))
    }

    /// The catalog of the snapshot received: (text, filename).
    fn received_catalog<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyBytes>, String)> {
        let catalog = self.with(py, |c| c.received()?.catalog())?;
        Ok((PyBytes::new(py, &catalog.source), catalog.filename))
    }

    /// Makes the snapshot received the newest generation.
    fn complete(&self, py: Python<'_>, epoch: u64, seq: u64, digest: u64) -> PyResult<()> {
        self.with(py, |c| c.complete(Mark { epoch, seq, digest }))
    }

    /// Drops the snapshot that is being received.
    fn abandon(&self, py: Python<'_>) {
        py.detach(|| self.checkpoint.abandon());
    }

    /// Appends a change.
    fn append(
        &self,
        py: Python<'_>,
        records: PyBackedBytes,
        epoch: u64,
        seq: u64,
        digest: u64,
    ) -> PyResult<()> {
        self.with(py, |c| c.append(&records, Mark { epoch, seq, digest }))
    }

    /// Takes the last change out again.
    fn retract(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, Checkpoint::retract)
    }

    /// Sets the catalog that counts from the next `append` on.
    fn append_catalog(
        &self,
        py: Python<'_>,
        source: PyBackedBytes,
        filename: String,
    ) -> PyResult<()> {
        self.with(py, |c| c.append_catalog(catalog_text(filename, &source)))
    }

    /// Makes what was appended durable against a loss of power.
    fn sync(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, Checkpoint::sync)
    }

    /// Merges base and log into a new generation.
    fn compact(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, Checkpoint::compact)
    }

    #[getter]
    fn log_bytes(&self, py: Python<'_>) -> u64 {
        py.detach(|| self.checkpoint.sizes().0)
    }

    #[getter]
    fn base_bytes(&self, py: Python<'_>) -> u64 {
        py.detach(|| self.checkpoint.sizes().1)
    }
}
