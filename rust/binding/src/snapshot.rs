//! Snapshots' files as Python sees them.

use std::path::PathBuf;
use std::sync::Mutex;

use fastcheck_core::{Error, Result};
use fastcheck_snapshot::catalog_text::CatalogText;
use fastcheck_snapshot::{Mark, Snapshot, SnapshotWriter};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;

use crate::errors::{Class, from_core, raise};

/// (epoch, seq, digest, customers, raw bytes)
pub type Info = (u64, u64, u64, u64, u64);

pub fn info(snapshot: &Snapshot) -> Info {
    let header = snapshot.header;
    let Mark { epoch, seq, digest } = header.at;
    (epoch, seq, digest, header.customers, header.raw_bytes)
}

/// What the header of a snapshot's file says, checked.
#[pyfunction]
pub fn snapshot_info(py: Python<'_>, path: PathBuf) -> PyResult<Info> {
    py.detach(|| Snapshot::open(&path).map(|found| info(&found)))
        .map_err(|e| from_core(py, e))
}

/// A snapshot's file being written.
#[pyclass(frozen, name = "SnapshotWriter", module = "fastcheck._fastcheck")]
pub struct PySnapshotWriter {
    /// None: finished, or failed.
    writer: Mutex<Option<SnapshotWriter>>,
}

impl PySnapshotWriter {
    fn with<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut Option<SnapshotWriter>) -> Option<Result<T>> + Send,
    ) -> PyResult<T> {
        let done = py.detach(|| work(&mut self.writer.lock().unwrap_or_else(|e| e.into_inner())));
        match done {
            None => Err(raise(
                py,
                Class::Closed,
                "this snapshot is finished, or could not be written",
            )),
            Some(result) => result.map_err(|e| from_core(py, e)),
        }
    }
}

#[pymethods]
impl PySnapshotWriter {
    #[new]
    fn new(
        py: Python<'_>,
        path: PathBuf,
        epoch: u64,
        seq: u64,
        digest: u64,
        filename: String,
        source: PyBackedBytes,
    ) -> PyResult<PySnapshotWriter> {
        let at = Mark { epoch, seq, digest };
        let writer = py
            .detach(|| SnapshotWriter::create(&path, at, &catalog_text(filename, &source)))
            .map_err(|e| from_core(py, e))?;
        Ok(PySnapshotWriter {
            writer: Mutex::new(Some(writer)),
        })
    }

    /// Adds records, all of them or none.
    fn add(&self, py: Python<'_>, records: PyBackedBytes) -> PyResult<()> {
        self.with(py, |writer| {
            let added = writer.as_mut()?.add(&records);
            if matches!(added, Err(Error::Io { .. } | Error::Full(_))) {
                *writer = None; // Removes what was written of it.
            }
            Some(added)
        })
    }

    /// Compares the sum with the digest and puts the file in place.
    fn finish(&self, py: Python<'_>) -> PyResult<(u64, u64)> {
        self.with(py, |writer| Some(writer.take()?.finish()))
    }
}

pub fn catalog_text(filename: String, source: &[u8]) -> CatalogText {
    CatalogText {
        filename,
        source: source.to_vec(),
    }
}
