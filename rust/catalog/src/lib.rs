pub use fastcheck_core::catalog;
