//! Customer records as bytes, for who keeps and sends them without reading them.

use fastcheck_core::each_record;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;

use crate::errors::from_core;

/// (sum of the hashes of the customers' records, how many customers): what the records add to the digest.
#[pyfunction]
#[pyo3(signature = (records, /))]
pub fn digest(py: Python<'_>, records: PyBackedBytes) -> PyResult<(u64, u64)> {
    py.detach(|| {
        let (mut sum, mut count) = (0u64, 0);
        for record in each_record(&records) {
            let record = record?;
            if !record.customer.deleted {
                sum = sum.wrapping_add(record.hash);
                count += 1;
            }
        }
        Ok((sum, count))
    })
    .map_err(|e| from_core(py, e))
}
