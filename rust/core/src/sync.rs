//! The only module that imports atomics: the standard ones, or loom's when a model is being checked.

#[cfg(not(loom))]
pub use core::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};
#[cfg(loom)]
pub use loom::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};
