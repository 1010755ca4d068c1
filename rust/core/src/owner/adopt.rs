//! What an owner finds when it comes: the arena it adopts, or the damage it sets aside.

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::path::Path;

use crate::check::Cells;
use crate::control::{self, Control, Field};
use crate::error::{Corrupt, Error, Result};
use crate::generation::Generation;
use crate::key::Key;
use crate::map::{Access, MapRegion};
use crate::paths::{cells_path, control_path, rename, rows_path};
use crate::row::RowKind;
use crate::segment::{CELL_BITS, SEGMENTS_MAX};

use super::generations::read_block;
use super::{Environment, Owner};

impl Owner {
    /// Finds which cells are in use, and for whom.
    pub(super) fn scan_cells(&mut self) -> Result<()> {
        if self.segment_count > SEGMENTS_MAX {
            return Err(Error::Corrupt("more cells files than there can be"));
        }
        // A segment whose file was in place but not yet counted when its maker was killed.
        while self.segment_count < SEGMENTS_MAX
            && cells_path(&self.dir, self.segment_count).exists()
        {
            self.segment_count += 1;
        }
        self.control
            .set(Field::Segments, self.segment_count as u64)?;
        for index in 0..self.segment_count {
            // Here and not at the first cell, for the error that says why.
            self.segments.map(index)?;
        }
        // Cells without a lease, with one that has a lease after them: an opening that was cut short.
        let mut unused = Vec::new();
        for index in 0..(self.segment_count << CELL_BITS) as u32 {
            let Some(totals) = self.segments.cell(index)?.recover()? else {
                unused.push(index);
                continue;
            };
            let key = (totals.number, totals.pool);
            match self.cells.get(&key).copied() {
                // Two cells of one pool: the lease moved to another cell. The later lease counts.
                Some(other) if self.lease_number(other)? > totals.lease => self.free.push(index),
                Some(other) => {
                    self.free.push(other);
                    self.cells.insert(key, index);
                }
                None => drop(self.cells.insert(key, index)),
            }
        }
        // What follows the last lease counts as never used.
        let end = (self.segment_count << CELL_BITS) as u32;
        let tail = unused.iter().rev().zip((0..end).rev());
        self.next_cell = end - tail.take_while(|(a, b)| **a == *b).count() as u32;
        unused.retain(|index| *index < self.next_cell);
        self.free.append(&mut unused);
        Ok(())
    }

    pub(super) fn lease_number(&self, index: u32) -> Result<u32> {
        Ok(self.segments.cell(index)?.totals()?.map_or(0, |t| t.lease))
    }

    /// Publishes the leases that a former owner opened and was killed before their rows said so.
    pub(super) fn publish_missing_refs(&mut self) -> Result<()> {
        let rows = self
            .rows
            .as_ref()
            .ok_or(Error::Corrupt("no rows are loaded"))?;
        let pools: HashMap<u64, usize> = (0..rows.pools())
            .map(|p| Ok((rows.pool_info(p)?.id, p)))
            .collect::<Result<_>>()?;
        let mut behind = std::collections::HashSet::new();
        for ((number, pool), cell) in &self.cells {
            let (Some(pool), Some(row)) = (pools.get(pool), rows.by_number(*number)?) else {
                continue;
            };
            let Some(totals) = self.segments.cell(*cell)?.totals()?.filter(|t| !t.closed) else {
                continue;
            };
            let word = u64::from(totals.lease) << 32 | u64::from(*cell);
            if row.lease_of(rows.region(), *pool, rows.pools())? != Some(word) {
                behind.insert(*number);
            }
        }
        behind
            .into_iter()
            .try_for_each(|number| self.publish_refs(number))
    }

    /// Checks every row of the generation found and takes it over.
    pub(super) fn adopt_rows(&mut self) -> Result<()> {
        let generation = self.control.get(Field::Generation)?;
        let region = MapRegion::open(&rows_path(&self.dir, generation), Access::Write)?;
        let g = Generation::open(region, self.arena, generation)?;
        if g.catalog != self.catalog_hash {
            return Err(Error::Corrupt("rows of another catalog"));
        }
        if g.is_on_demand() != self.demand.is_some() {
            return Err(Error::Corrupt("rows of all customers, or of some of them"));
        }
        let (mut digest, mut customers) = (0u64, 0);
        let mut aliases: HashMap<u32, Vec<String>> = HashMap::new();
        let mut half_published = Vec::new();
        let mut profiles = HashSet::new();
        // Where the heap's used part must end at least, and how many slots must be in use.
        let (mut end, mut slots) = (0, 0);
        g.for_each_row(|row| {
            let parts = row.parts(g.region(), g.pools())?;
            // A slot that leads here must be the one that the key leads to.
            let key = Key::new(&parts.key).ok_or(Corrupt)?;
            if g.find(key, g.hash(key))?.map(|r| r.at) != Some(row.at) {
                return Err(Corrupt.into());
            }
            slots += 1;
            end = end.max(row.at - g.heap_at() + row.words());
            if parts.kind == RowKind::Customer as u64 {
                for phase in &parts.phases {
                    if profiles.insert(phase.profile) {
                        let at = phase.profile as usize;
                        end = end.max(at + read_block(g.region(), g.heap_at() + at)?.len());
                    }
                }
            }
            if parts.kind == RowKind::Customer as u64 {
                digest = digest.wrapping_add(parts.record);
                customers += 1;
                let place = (row.at - g.heap_at()) as u64;
                if g.place(parts.number)? != place {
                    half_published.push((parts.number, place));
                }
            } else if parts.kind == RowKind::Alias as u64 {
                let key = String::from_utf8(parts.key).map_err(|_| Corrupt)?;
                aliases.entry(parts.number).or_default().push(key);
            }
            Ok(())
        })?;
        if digest != self.control.get(Field::Digest)? {
            return Err(Error::Corrupt("the digest of the rows does not match"));
        }
        // The default's profile is the heap's first block. New rows go where the marks say: they must not be in use.
        read_block(g.region(), g.heap_at() + 1)?;
        if g.heap_used()? < end || g.load_factor()?.0 != slots {
            return Err(Error::Corrupt(
                "the rows file's marks do not match its rows",
            ));
        }
        // The former owner was killed between a key's word and the number's.
        for (number, place) in half_published {
            g.publish_number(number, place)?;
        }
        // Or before the key's, of a customer that is new: the number leads to a row that does not count.
        g.mend_numbers(customers, |place| {
            let row = g.row_at(place).ok().flatten();
            let keyed = row.map(|row| -> Result<bool> {
                let parts = row.parts(g.region(), g.pools())?;
                let key = Key::new(&parts.key).ok_or(Corrupt)?;
                Ok(g.find(key, g.hash(key))?.map(|r| r.at) == Some(row.at))
            });
            matches!(keyed, Some(Ok(true)))
        })?;
        (self.digest, self.customers, self.aliases) = (digest, customers, aliases);
        self.rows = Some(g);
        Ok(())
    }
}

/// The words with which a rows or cells file says whose it is.
pub(super) fn first_words(path: &Path) -> Option<[u64; 4]> {
    let mut bytes = [0u8; 32];
    std::fs::File::open(path)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .ok()?;
    let mut words = [0u64; 4];
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = u64::from_ne_bytes(bytes.try_into().ok()?);
    }
    Some(words)
}

pub(super) fn adopt_control(dir: &Path) -> Result<Control<MapRegion>> {
    let path = control_path(dir);
    Control::open(MapRegion::open(&path, Access::Write)?, &path)
}

/// Makes a new arena. What may be left of a former one is set aside.
pub(super) fn make_control(dir: &Path, env: Environment) -> Result<Control<MapRegion>> {
    set_aside(dir)?;
    let path = control_path(dir);
    let fresh = path.with_extension("new");
    let _ = std::fs::remove_file(&fresh);
    let region = MapRegion::create(&fresh, control::WORDS)?;
    let control = Control::format(region, env.random, env.boot)?;
    rename(&fresh, &path)?;
    Ok(control)
}

/// Moves the files of a damaged arena out of the way, for a person to look at; an earlier set is replaced.
pub(super) fn set_aside(dir: &Path) -> Result<()> {
    let io = |doing| {
        move |source| Error::Io {
            path: dir.to_path_buf(),
            doing,
            source,
        }
    };
    let aside = dir.join("damaged");
    for found in std::fs::read_dir(dir).map_err(io("list"))? {
        let found = found.map_err(io("list"))?;
        let name = found.file_name();
        let text = name.to_string_lossy();
        if text == "control" || text.starts_with("rows-") || text.starts_with("cells-") {
            std::fs::create_dir_all(&aside).map_err(io("make a place for damaged files in"))?;
            std::fs::rename(found.path(), aside.join(&name))
                .map_err(io("set aside damaged files of"))?;
        }
    }
    Ok(())
}
