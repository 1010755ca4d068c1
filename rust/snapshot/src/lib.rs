//! Snapshots and checkpoints: all customers in one file, and a host's durable copy of what it knows.
//!
//! Bytes only: no Python, no sockets, no clock. `docs/format/snapshot.md` and `docs/format/checkpoint.md` are the formats.

pub mod bounds;
pub mod catalog_text;
pub mod checkpoint;
mod compaction;
mod disk;
mod generations;
pub mod header;
pub mod log;
mod mirror;
mod records;
pub mod snapshot;
mod transfer;
pub mod view;
pub mod write;

pub use checkpoint::Checkpoint;
pub use header::{Header, Mark};
pub use snapshot::Snapshot;
pub use view::View;
pub use write::SnapshotWriter;
