//! fastcheck's core: the resolver, the arena and the burn. No Python, no sockets, no clock of its own.
//!
//! Below is all that is public. What is found by a name of its own stands in the first list; the parts that only models,
//! benchmarks and fuzzing drive one by one stand in [`parts`].

#![warn(unreachable_pub)]
// The models drive a part of it.
#![cfg_attr(loom, allow(dead_code))]

mod amount;
#[cfg(not(loom))]
mod arena;
mod batch;
pub mod catalog;
mod cell;
mod check;
mod control;
mod current;
mod customer;
mod decide;
mod entry;
mod error;
mod generation;
mod hold;
#[cfg(not(loom))]
mod journal;
mod key;
#[cfg(not(loom))]
mod map;
#[cfg(not(loom))]
mod owner;
#[cfg(not(loom))]
mod paths;
mod region;
mod reserve;
mod resolve;
mod row;
mod segment;
mod step;
mod sync;
#[cfg(all(test, not(loom)))]
mod testing;
#[cfg(not(loom))]
mod touched;

pub use amount::{Amount, Refused, cost_of};
#[cfg(not(loom))]
pub use arena::{View, is_of_boot};
pub use batch::{AHEAD, burn_numbers, check_numbers};
pub use cell::{Lease, NO_INSTANT};
pub use check::{Answer, Cells, Clock, Found, Freshness, Spend, check_fast, spend};
pub use control::Field;
pub use current::Current;
pub use customer::{Customer, Record, decode as decode_record, each as each_record};
pub use decide::{Decision, burn, check, decide, limit, value};
pub use entry::{NO_COST, Value};
pub use error::{Corrupt, Error, Result};
pub use hold::{Ask, Hold, Holder, LateReturn, Settle, Table as Holds};
#[cfg(not(loom))]
pub use journal::{Draft as UsageDraft, Journal, Written};
pub use key::{Key, hash_bytes, hash_words};
#[cfg(not(loom))]
pub use map::MapRegion;
#[cfg(not(loom))]
pub use owner::{Environment, Inherited, NamedTotals, Owner};
pub use reserve::{Held, burn_up_to, reserve};
pub use resolve::{Considered, Source, Sources};
pub use row::{Row, RowKind};
pub use step::{Asked, Step};

/// The parts, for models, benchmarks and fuzzing: what a process does with shared words, without the files around them.
pub mod parts {
    pub use crate::cell::{Burn, Cell, Totals, identity};
    pub use crate::check::{check_found, check_named, find};
    pub use crate::control::{Control, WORDS as CONTROL_WORDS};
    pub use crate::entry::profile;
    pub use crate::generation::{Capacity, Generation, Plan};
    pub use crate::hold::{HOLD_WORDS, HOLDS_MAX, Reserve};
    pub use crate::region::{HeapRegion, Region, Words};
    pub use crate::row::{Phase, encode as encode_row};
    pub use crate::segment::{
        CELL_BITS, HEADER_WORDS as SEGMENT_HEADER_WORDS, Segment, words as segment_words,
    };
    pub use crate::sync::{AtomicU64, Ordering};
}
