//! Customer records as bytes, for who keeps and sends them without reading them.

use fastcheck_core::customer;
use fastcheck_core::key::hash_bytes;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;

use crate::errors::from_core;

/// (sum of the hashes of the customers' records, how many customers): what the records add to the digest.
#[pyfunction]
#[pyo3(signature = (records, /))]
pub fn digest(py: Python<'_>, records: PyBackedBytes) -> PyResult<(u64, u64)> {
    py.detach(|| {
        let (mut rest, mut sum, mut count): (&[u8], u64, u64) = (&records, 0, 0);
        while !rest.is_empty() {
            let (customer, bytes, tail) = customer::decode(rest)?;
            rest = tail;
            if !customer.deleted {
                sum = sum.wrapping_add(hash_bytes(bytes));
                count += 1;
            }
        }
        Ok((sum, count))
    })
    .map_err(|e| from_core(py, e))
}
