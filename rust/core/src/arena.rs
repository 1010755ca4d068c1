//! The arena's directory as a checker sees it: control, the current generation, the cells.
//!
//! Opening costs the headers, not the rows. A checker compares one word with the generation it has mapped; when it
//! changed, it maps the new file, once per process and generation. The kernel frees the old file when the last
//! process has unmapped it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cell::Totals;
use crate::check::{self, Cells, Clock, Found};
use crate::control::{Control, Field};
use crate::error::{Corrupt, Error, Result};
use crate::generation::Generation;
use crate::key::{Key, hash_bytes, hash_words};
use crate::map::{Access, MapRegion, MappedWord};
use crate::paths::{cells_path, control_path, rename, rows_path};
use crate::segment::{self, SEGMENTS_MAX, Segment};
use crate::sync::{AtomicPtr, Ordering};
use crate::touched::Touched;

/// How often a reader looks again when the owner replaces a file between the reader's two steps.
const OPEN_ATTEMPTS_MAX: u32 = 100;

/// The cells files of an arena, mapped as they are needed and never unmapped before this value is dropped.
#[derive(Debug)]
pub struct Segments {
    dir: PathBuf,
    arena: u64,
    mapped: Box<[AtomicPtr<Segment<MapRegion>>]>,
}

impl Segments {
    pub(crate) fn new(dir: &Path, arena: u64) -> Segments {
        let mapped = (0..SEGMENTS_MAX)
            .map(|_| AtomicPtr::new(std::ptr::null_mut()))
            .collect();
        Segments {
            dir: dir.to_path_buf(),
            arena,
            mapped,
        }
    }

    #[inline(always)]
    pub fn get(&self, index: usize) -> std::result::Result<&Segment<MapRegion>, Corrupt> {
        let slot = self.mapped.get(index).ok_or(Corrupt)?;
        // Acquire: pairs with the Release in `put`.
        let pointer = slot.load(Ordering::Acquire);
        if pointer.is_null() {
            return self.map(index).map_err(|_| Corrupt);
        }
        // SAFETY: a pointer in the table came from a Box in `put` and is dropped only with `self`.
        Ok(unsafe { &*pointer })
    }

    /// Maps an existing file.
    #[cold]
    pub(crate) fn map(&self, index: usize) -> Result<&Segment<MapRegion>> {
        let region = MapRegion::open(&cells_path(&self.dir, index), Access::Write)?;
        self.put(index, Segment::open(region, self.arena, index)?)
    }

    /// Makes a new file. It gets its name when it is complete.
    pub(crate) fn create(
        &self,
        index: usize,
        cells: usize,
        holds: usize,
    ) -> Result<&Segment<MapRegion>> {
        let path = cells_path(&self.dir, index);
        let fresh = path.with_extension("new");
        let _ = std::fs::remove_file(&fresh);
        let region = MapRegion::create(&fresh, segment::words(cells, holds))?;
        let segment = Segment::format(region, self.arena, index, cells, holds)?;
        rename(&fresh, &path)?;
        self.put(index, segment)
    }

    fn put(&self, index: usize, segment: Segment<MapRegion>) -> Result<&Segment<MapRegion>> {
        let slot = self.mapped.get(index).ok_or(Error::Full("cells files"))?;
        let fresh = Box::into_raw(Box::new(segment));
        // AcqRel: Release publishes the box; Acquire on failure, to use what another thread has put.
        let kept = match slot.compare_exchange(
            std::ptr::null_mut(),
            fresh,
            Ordering::AcqRel,
            Ordering::Acquire,
        ) {
            Ok(_) => fresh,
            Err(theirs) => {
                // SAFETY: made four lines above and shown to nobody.
                drop(unsafe { Box::from_raw(fresh) });
                theirs
            }
        };
        // SAFETY: as in `get`.
        Ok(unsafe { &*kept })
    }
}

impl Drop for Segments {
    fn drop(&mut self) {
        for slot in &*self.mapped {
            // Relaxed: `&mut self`.
            let pointer = slot.load(Ordering::Relaxed);
            if !pointer.is_null() {
                // SAFETY: it came from a Box in `put`, and nobody borrows from `self` any more.
                drop(unsafe { Box::from_raw(pointer) });
            }
        }
    }
}

impl Cells for Segments {
    type Region = MapRegion;

    #[inline(always)]
    fn segment(&self, index: usize) -> std::result::Result<&Segment<MapRegion>, Corrupt> {
        self.get(index)
    }
}

/// `Field::Generation` of an arena that its owner has given up: attach again.
pub(crate) const RETIRED: u64 = u64::MAX;

/// A checker's view of an arena: what is current now. A newer one takes its place.
#[derive(Debug)]
pub struct View {
    dir: PathBuf,
    control: Arc<Control<Arc<MapRegion>>>,
    /// The control file's generation word.
    newest: MappedWord,
    pub arena: u64,
    /// Names these rows among all that a process ever sees: what is remembered of one view must not be taken for another's.
    /// Generations count anew in every arena, so their number alone does not do.
    pub stamp: u64,
    pub rows: Generation<MapRegion>,
    pub cells: Arc<Segments>,
    /// Where it is noted who is in use: only on demand, and only if the file is there.
    touched: Option<Touched<MapRegion>>,
}

impl View {
    /// Attaches to the arena in `dir`.
    pub fn attach(dir: &Path) -> Result<View> {
        let path = control_path(dir);
        let page = Arc::new(MapRegion::open(&path, Access::Read)?);
        let control = Control::open(Arc::clone(&page), &path)?;
        let arena = control.get(Field::Arena)?;
        let rows = open_current(dir, &control, arena)?;
        Ok(View {
            dir: dir.to_path_buf(),
            control: Arc::new(control),
            newest: MappedWord::new(page, Field::Generation as usize)?,
            arena,
            stamp: stamp(arena, rows.generation),
            touched: attach_touched(dir, &rows, arena),
            rows,
            cells: Arc::new(Segments::new(dir, arena)),
        })
    }

    /// Whether these rows are still the newest.
    #[inline(always)]
    pub fn is_current(&self) -> bool {
        // Acquire: pairs with the Release of the owner's store; the file that it announces is complete.
        self.newest.load(Ordering::Acquire) == self.rows.generation
    }

    /// Whether the owner has given this arena up.
    pub fn is_retired(&self) -> bool {
        self.control.get(Field::Generation) == Ok(RETIRED)
    }

    /// The view that is current now. The cells stay mapped unless the arena itself is another one.
    #[cold]
    pub fn refreshed(&self) -> Result<View> {
        if self.control.get(Field::Generation)? == RETIRED {
            return View::attach(&self.dir);
        }
        let rows = open_current(&self.dir, &self.control, self.arena)?;
        Ok(View {
            dir: self.dir.clone(),
            control: Arc::clone(&self.control),
            newest: MappedWord::new(
                Arc::clone(self.control.region()),
                Field::Generation as usize,
            )?,
            arena: self.arena,
            stamp: stamp(self.arena, rows.generation),
            touched: attach_touched(&self.dir, &rows, self.arena),
            rows,
            cells: Arc::clone(&self.cells),
        })
    }

    pub fn control(&self) -> &Control<Arc<MapRegion>> {
        &self.control
    }

    /// As [`check::find`]; notes that the customer is in use.
    #[inline(always)]
    pub fn find(
        &self,
        customer: &[u8],
        feature: &[u8],
        clock: &impl Clock,
    ) -> std::result::Result<Option<Found>, Corrupt> {
        let found = check::find(&self.rows, customer, feature, clock)?;
        if let Some(row) = found.and_then(|found| found.row) {
            self.mark(row.number());
        }
        Ok(found)
    }

    /// As of when what is here was last known to be current, in milliseconds since the epoch.
    pub fn as_of_ms(&self) -> std::result::Result<u64, Corrupt> {
        self.control.get(Field::HeartbeatAtMs)
    }

    /// Whether all of these are customers held here; notes that they are in use. Where all customers are held, it is not asked.
    pub fn holds_all(
        &self,
        numbers: impl IntoIterator<Item = u32>,
    ) -> std::result::Result<bool, Corrupt> {
        if !self.rows.is_on_demand() {
            return Ok(true);
        }
        for number in numbers {
            if self.rows.by_number(number)?.is_none() {
                return Ok(false);
            }
            self.mark(number);
        }
        Ok(true)
    }

    /// The id of the customer with that number; empty: there is none.
    pub fn id_of(&self, number: u32) -> std::result::Result<String, Corrupt> {
        let Some(row) = self.rows.by_number(number)? else {
            return Ok(String::new());
        };
        let parts = row.parts(self.rows.region(), self.rows.pools())?;
        String::from_utf8(parts.key).map_err(|_| Corrupt)
    }

    /// The totals of the customer's open lease of a pool, as the row names it.
    pub fn pool_totals(
        &self,
        customer: &[u8],
        pool: &str,
    ) -> std::result::Result<Option<Totals>, Corrupt> {
        let rows = &self.rows;
        let Some(row) = Key::new(customer).map_or(Ok(None), |key| rows.customer(key))? else {
            return Ok(None);
        };
        let Some(pool) = rows.pool_by_id(hash_bytes(pool.as_bytes()))? else {
            return Ok(None);
        };
        let Some(word) = row.lease_of(rows.region(), pool, rows.pools())? else {
            return Ok(None);
        };
        let totals = self.cells.cell(word as u32)?.totals()?;
        Ok(totals.filter(|t| u64::from(t.lease) == word >> 32 && !t.closed))
    }

    /// Whether it is noted here who is in use.
    #[inline(always)]
    pub fn is_marked_by_use(&self) -> bool {
        self.touched.is_some()
    }

    /// Notes that the customer is in use.
    pub fn mark(&self, number: u32) {
        if let Some(touched) = &self.touched {
            touched.mark(number);
        }
    }
}

/// Without the file nobody's use is noted, and all else goes on.
fn attach_touched(
    dir: &Path,
    rows: &Generation<MapRegion>,
    arena: u64,
) -> Option<Touched<MapRegion>> {
    if rows.is_on_demand() {
        Touched::attach(dir, arena).ok()
    } else {
        None
    }
}

/// Arenas have random numbers, so two pairs have the same stamp once in 2^64.
fn stamp(arena: u64, generation: u64) -> u64 {
    hash_words(arena, &[generation])
}

/// Whether the arena in `dir` is of the boot that `boot` names; `None`: there is none that is whole by its headers. Its
/// cells may be spent from only if it is: those of an earlier boot wait for an owner to close them.
pub fn is_of_boot(dir: &Path, boot: u64) -> Option<bool> {
    let path = control_path(dir);
    let control =
        Control::open(Arc::new(MapRegion::open(&path, Access::Read).ok()?), &path).ok()?;
    open_current(dir, &control, control.get(Field::Arena).ok()?).ok()?;
    Some(control.get(Field::Boot).ok()? == boot)
}

fn open_current(
    dir: &Path,
    control: &Control<Arc<MapRegion>>,
    id: u64,
) -> Result<Generation<MapRegion>> {
    let mut last = Error::Corrupt("no rows file");
    for _ in 0..OPEN_ATTEMPTS_MAX {
        let generation = control.get(Field::Generation)?;
        if generation == 0 {
            return Err(Error::Corrupt("the arena has no rows yet"));
        }
        match MapRegion::open(&rows_path(dir, generation), Access::Read) {
            Ok(region) => return Generation::open(region, id, generation),
            // The owner has put a newer one in place meanwhile: look again.
            Err(e) if control.get(Field::Generation)? == generation => return Err(e),
            Err(e) => last = e,
        }
    }
    Err(last)
}
