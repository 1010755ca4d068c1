//! A generation: one `rows-<gen>` file with everything a check reads.
//!
//! ```text
//! header    64 words: where the parts are (constant), how far the heap is used (the owner's)
//! features  names, kinds, pools and rates, and a hash index over the names
//! pools     names and scales
//! slots     one word per key: [tag:24 | row:40], row counted in words from the heap's start
//! numbers   one word per customer number: its row, likewise. Where some of many customers are held: a hash table of the same
//!           words, so that the room it takes follows how many are held and not how high their numbers are
//! heap      profiles and rows, appended
//! ```
//!
//! The owner: writes a row at the heap's end, then stores its place in the slot with Release. A slot, once given to a
//! key, belongs to it for the life of the file; a key that goes away gets a row that says so. The reader: loads
//! the slot with Acquire and reads the row. It never retries, and holds nothing.
//!
//! `docs/format/rows.md` draws the file.

mod layout;
mod read;
mod write;

pub use read::Generation;
pub use write::{Capacity, Plan};

#[cfg(all(test, not(loom)))]
mod tests;
