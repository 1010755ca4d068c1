//! fastcheck for Python. Conversions only: what is decided is decided in `fastcheck-core`.

use pyo3::prelude::*;

mod amounts;
mod answers;
mod asking;
mod batch;
mod catalog;
mod checker;
mod checkpoint;
mod class;
mod errors;
mod events;
mod handle;
mod hot;
mod identity;
mod owner;
mod process;
mod records;
mod reservation;
mod snapshot;
mod strings;
mod time;
mod view;

/// The native module: the arena, the resolver, the burn.
#[pymodule(gil_used = false)]
fn _fastcheck(m: &Bound<'_, PyModule>) -> PyResult<()> {
    process::watch_forks();
    m.add("__version__", env!("CARGO_PKG_VERSION"))?;
    m.add_class::<catalog::PyCatalog>()?;
    m.add_class::<owner::PyOwner>()?;
    m.add_class::<checker::Checker>()?;
    m.add_class::<handle::Handle>()?;
    m.add_class::<answers::Decision>()?;
    m.add_class::<answers::Estimate>()?;
    m.add_class::<answers::Settlement>()?;
    m.add_class::<reservation::Reservation>()?;
    m.add_class::<checkpoint::PyCheckpoint>()?;
    m.add_class::<snapshot::PySnapshotWriter>()?;
    m.add_function(wrap_pyfunction!(snapshot::snapshot_info, m)?)?;
    m.add_function(wrap_pyfunction!(hot::install, m)?)?;
    m.add_function(wrap_pyfunction!(records::digest, m)?)?;
    m.add_function(wrap_pyfunction!(owner::arena_boot, m)?)?;
    hot::install(&m.py().get_type::<checker::Checker>())?;
    hot::install_handle(m.py())?;
    hot::install_reservation(m.py())
}
