//! fastcheck's core: the resolver, the arena and the burn. No Python, no sockets, no clock of its own.

pub mod amount;
#[cfg(not(loom))]
pub mod arena;
pub mod batch;
pub mod catalog;
pub mod cell;
pub mod check;
pub mod control;
pub mod current;
pub mod customer;
pub mod decide;
pub mod entry;
pub mod error;
pub mod generation;
pub mod hold;
#[cfg(not(loom))]
pub mod journal;
pub mod key;
#[cfg(not(loom))]
pub mod map;
#[cfg(not(loom))]
pub mod owner;
#[cfg(not(loom))]
pub mod paths;
pub mod region;
pub mod reserve;
pub mod resolve;
pub mod row;
pub mod segment;
pub mod step;
pub mod sync;
#[cfg(all(test, not(loom)))]
mod testing;
#[cfg(not(loom))]
pub mod touched;
