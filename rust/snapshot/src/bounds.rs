//! The bounds of what is read from a file. A declared size over its bound is refused before anything is allocated.

/// Bytes of a snapshot's file. A hundred million customers take about 2 GiB.
pub const FILE_BYTES_MAX: u64 = 64 << 30;
/// Bytes of a snapshot's content. It streams, so this bounds time and not memory.
pub const RAW_BYTES_MAX: u64 = 64 << 30;
/// Bytes of a catalog's text, as in `frames.CATALOG_BYTES_MAX`.
pub const CATALOG_BYTES_MAX: usize = 16 << 20;
/// Bytes of a catalog's filename, as in `frames`.
pub const FILENAME_BYTES_MAX: usize = 4_096;
/// Bytes of a catalog with its filename, packed: the two and their heads.
pub const CATALOG_PART_BYTES_MAX: usize = CATALOG_BYTES_MAX + FILENAME_BYTES_MAX + 16;
/// Bytes of one customer's record. A frame of the stream carries at most half of it.
pub const RECORD_BYTES_MAX: usize = 8 << 20;
/// Bytes of a block of the log: the longest is a catalog's.
pub const BLOCK_BYTES_MAX: usize = CATALOG_PART_BYTES_MAX;
/// Bytes of records that are put into one block where they are more: a block is in memory as a whole when it is read.
pub const RECORDS_BLOCK_BYTES: usize = 1 << 20;
/// Bytes of records of one change, all in memory when it is written.
pub const CHANGE_BYTES_MAX: usize = 256 << 20;
/// Bytes of a log. Whoever appends compacts long before.
pub const LOG_BYTES_MAX: u64 = 16 << 30;
/// What a decoder may keep to look back into: 8 MiB, four times what the writer's level uses.
pub const WINDOW_LOG_MAX: u32 = 23;
