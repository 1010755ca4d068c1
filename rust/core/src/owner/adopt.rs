//! The rows that a former owner left: every one of them checked before it is taken over.

use std::collections::HashSet;

use crate::control::Field;
use crate::entry;
use crate::error::{Corrupt, Error, Result};
use crate::generation::Generation;
use crate::key::Key;
use crate::map::{Access, MapRegion};
use crate::paths::rows_path;
use crate::row::RowKind;

use super::generations::Generations;
use super::held::Held;

/// Takes the generation over that the control page names.
pub(super) fn adopted(generations: &Generations) -> Result<(Generation<MapRegion>, Held)> {
    let directory = &*generations.directory;
    let generation = directory.control.get(Field::Generation)?;
    let region = MapRegion::open(&rows_path(&directory.path, generation), Access::Write)?;
    let g = Generation::open(region, directory.arena, generation)?;
    if g.catalog != generations.catalog_hash {
        return Err(Error::Corrupt("rows of another catalog"));
    }
    if g.is_on_demand() != generations.on_demand {
        return Err(Error::Corrupt("rows of all customers, or of some of them"));
    }
    let mut found = Held::default();
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
                    let profile = entry::read_profile(g.region(), g.heap_at() + at)?;
                    end = end.max(at + profile.len());
                }
            }
            found.sum.add(parts.record);
            let place = (row.at - g.heap_at()) as u64;
            if g.place(parts.number)? != place {
                half_published.push((parts.number, place));
            }
        } else if parts.kind == RowKind::Alias as u64 {
            let key = String::from_utf8(parts.key).map_err(|_| Corrupt)?;
            found.put_alias(parts.number, key);
        }
        Ok(())
    })?;
    if found.sum.digest != directory.control.get(Field::Digest)? {
        return Err(Error::Corrupt("the digest of the rows does not match"));
    }
    // The default's profile is the heap's first block. New rows go where the marks say: they must not be in use.
    entry::read_profile(g.region(), g.heap_at() + 1)?;
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
    g.mend_numbers(found.sum.customers, |place| {
        let row = g.row_at(place).ok().flatten();
        let keyed = row.map(|row| -> Result<bool> {
            let parts = row.parts(g.region(), g.pools())?;
            let key = Key::new(&parts.key).ok_or(Corrupt)?;
            Ok(g.find(key, g.hash(key))?.map(|r| r.at) == Some(row.at))
        });
        matches!(keyed, Some(Ok(true)))
    })?;
    Ok((g, found))
}
