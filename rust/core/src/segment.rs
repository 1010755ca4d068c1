//! A segment: one `cells-<k>` file. A header, the hold slots, the cells. Appended, never moved or shrunk.
//!
//! `docs/format/cells.md` draws it. The layout of cells has a number of its own, apart from that of rows: what was
//! spent must be readable by every later version.

use crate::cell::{CELL_WORDS, Cell};
use crate::error::{Corrupt, Error, Result};
use crate::hold::{self, HOLD_WORDS};
use crate::region::Region;
use crate::sync::Ordering;

/// "FCCELLS1" in little-endian order.
const MAGIC: u64 = u64::from_le_bytes(*b"FCCELLS1");
pub const HEADER_WORDS: usize = 64;
/// Cells of one file: 4 MiB.
pub(crate) const CELLS: usize = 1 << 16;
/// Bits of a cell number that count within its segment.
pub const CELL_BITS: u32 = 16;
/// Segments of one arena: 67 million cells.
pub(crate) const SEGMENTS_MAX: usize = 1 << 10;

/// The segment of a cell and the cell's place in it, by the number that rows name it by.
#[inline(always)]
pub(crate) fn place(cell: u32) -> (usize, usize) {
    let cell = cell as usize;
    (cell >> CELL_BITS, cell & ((1 << CELL_BITS) - 1))
}

mod field {
    pub(super) const MAGIC: usize = 0;
    pub(super) const ARENA: usize = 1;
    pub(super) const INDEX: usize = 2;
    pub(super) const CELLS: usize = 3;
    pub(super) const HOLDS: usize = 4;
}

/// A segment over some words.
pub struct Segment<R: Region> {
    region: R,
    cells: usize,
    holds: usize,
}

/// Words that a segment of `cells` cells and `holds` slots takes.
pub const fn words(cells: usize, holds: usize) -> usize {
    HEADER_WORDS + holds * HOLD_WORDS + cells * CELL_WORDS
}

impl<R: Region> Segment<R> {
    /// Writes the header of a fresh, zeroed segment.
    pub fn format(
        region: R,
        arena: u64,
        index: usize,
        cells: usize,
        holds: usize,
    ) -> Result<Segment<R>> {
        // Relaxed: nobody has the file yet; it gets its name after this.
        region.store(field::ARENA, arena, Ordering::Relaxed)?;
        region.store(field::INDEX, index as u64, Ordering::Relaxed)?;
        region.store(field::CELLS, cells as u64, Ordering::Relaxed)?;
        region.store(field::HOLDS, holds as u64, Ordering::Relaxed)?;
        // Release: the magic last.
        region.store(field::MAGIC, MAGIC, Ordering::Release)?;
        Segment::open(region, arena, index)
    }

    /// Checks the header. `arena` is the id of the arena it must belong to.
    pub(crate) fn open(region: R, arena: u64, index: usize) -> Result<Segment<R>> {
        // Acquire: pairs with the Release in `format`. The rest is constant after that.
        if region.load(field::MAGIC, Ordering::Acquire)? != MAGIC {
            return Err(Error::Corrupt("a cells file does not begin with its magic"));
        }
        let of_arena = region.load(field::ARENA, Ordering::Relaxed)?;
        let at_index = region.load(field::INDEX, Ordering::Relaxed)?;
        if of_arena != arena || at_index != index as u64 {
            return Err(Error::Corrupt("a cells file belongs to another arena"));
        }
        let cells = region.load(field::CELLS, Ordering::Relaxed)? as usize;
        let holds = region.load(field::HOLDS, Ordering::Relaxed)? as usize;
        if cells > CELLS || holds > hold::HOLDS_MAX || words(cells, holds) > region.words() {
            return Err(Error::Corrupt(
                "a cells file is shorter than its header says",
            ));
        }
        Ok(Segment {
            region,
            cells,
            holds,
        })
    }

    /// The words themselves, for audits and tests.
    pub fn raw(&self) -> &R {
        &self.region
    }

    #[inline(always)]
    pub fn cell(&self, index: usize) -> core::result::Result<Cell<'_, R>, Corrupt> {
        if index >= self.cells {
            return Err(Corrupt);
        }
        Cell::new(
            &self.region,
            HEADER_WORDS + self.holds * HOLD_WORDS + index * CELL_WORDS,
        )
    }

    pub fn holds(&self) -> core::result::Result<hold::Table<'_, R>, Corrupt> {
        hold::Table::new(&self.region, HEADER_WORDS, self.holds)
    }
}
