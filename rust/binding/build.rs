//! Tells the compiler which Python it builds for: `Py_GIL_DISABLED` decides how generations are pinned.
fn main() {
    pyo3_build_config::use_pyo3_cfgs();
}
