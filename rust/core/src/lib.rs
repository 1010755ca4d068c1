//! fastcheck's core.
pub mod catalog;
