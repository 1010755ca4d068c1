//! The rows of a generation again in a new one: with more room, or without some customers.

use std::collections::{HashMap, HashSet};

use crate::entry;
use crate::error::{Corrupt, Result};
use crate::generation::{Capacity, Generation};
use crate::key::Key;
use crate::map::MapRegion;
use crate::row::{self, Phase, Row, RowKind};

use super::drafts::Drafts;
use super::generations::Generations;

/// What a new generation takes of an old one.
struct Kept {
    rows: usize,
    words: usize,
    highest: u32,
    /// Set where places say how old rows are: then they are copied in this order.
    in_order: Option<Vec<Row>>,
}

/// Makes a generation of those rows that are kept, with room for `number` and `extra_words` more than rows usually get, and puts
/// it in force. What is no longer reachable stays behind.
pub(super) fn rewritten(
    old: &Generation<MapRegion>,
    generations: &Generations,
    drafts: &mut Drafts,
    number: u32,
    extra_words: usize,
    keep: impl Fn(Row) -> bool,
) -> Result<Generation<MapRegion>> {
    let keep = |row: Row| row.kind() != RowKind::Gone as u64 && keep(row);
    let kept = measure(old, generations.on_demand, number, &keep)?;
    let defaults = drafts.defaults(0);
    let profiles = (drafts.profiles.count() + 256) * defaults.len();
    let room = generations.room_for(kept.rows, kept.highest, kept.words + profiles);
    let capacity = Capacity {
        heap_words: room.heap_words + extra_words,
        ..room
    };
    let fresh = generations.fresh(&drafts.catalog, capacity, &defaults)?;
    // Old place of a profile -> new place.
    let mut moved: HashMap<u64, u64> = HashMap::new();
    match kept.in_order {
        Some(rows) => rows
            .into_iter()
            .try_for_each(|row| copy(old, row, &fresh, &mut moved))?,
        None => old.for_each_row(|row| {
            if keep(row) {
                copy(old, row, &fresh, &mut moved)
            } else {
                Ok(())
            }
        })?,
    }
    drafts.profiles.moved(&moved);
    generations.publish(&fresh)?;
    Ok(fresh)
}

fn measure(
    old: &Generation<MapRegion>,
    by_age: bool,
    number: u32,
    keep: &impl Fn(Row) -> bool,
) -> Result<Kept> {
    let mut kept = Kept {
        rows: 0,
        words: 0,
        highest: number,
        in_order: by_age.then(Vec::new),
    };
    let mut profiles = HashSet::new();
    old.for_each_row(|row| {
        if !keep(row) {
            return Ok(());
        }
        if let Some(in_order) = &mut kept.in_order {
            in_order.push(row);
        }
        kept.rows += 1;
        kept.words += row.words();
        kept.highest = kept.highest.max(row.number());
        if row.kind() == RowKind::Customer as u64 {
            match row.profile() {
                Some(place) => profiles.extend([place]),
                None => {
                    let phases = row.parts(old.region(), old.pools())?.phases;
                    profiles.extend(phases.iter().map(|p| p.profile));
                }
            }
        }
        Ok(())
    })?;
    for place in profiles {
        kept.words += entry::read_profile(old.region(), old.heap_at() + place as usize)?.len();
    }
    if let Some(in_order) = &mut kept.in_order {
        in_order.sort_unstable_by_key(|row| row.at);
    }
    Ok(kept)
}

/// Copies a row, and before it those of its profiles that were not copied yet.
fn copy(
    old: &Generation<MapRegion>,
    row: Row,
    fresh: &Generation<MapRegion>,
    moved: &mut HashMap<u64, u64>,
) -> Result<()> {
    let mut parts = row.parts(old.region(), old.pools())?;
    let alias = parts.kind == RowKind::Alias as u64;
    let phases: &mut [Phase] = if alias { &mut [] } else { &mut parts.phases };
    for phase in &mut *phases {
        phase.profile = match moved.get(&phase.profile) {
            Some(place) => *place,
            None => {
                let at = old.heap_at() + phase.profile as usize;
                let place = fresh.append(&entry::read_profile(old.region(), at)?)?;
                moved.insert(phase.profile, place);
                place
            }
        };
    }
    let key = Key::new(&parts.key).ok_or(Corrupt)?;
    let kind = if alias {
        RowKind::Alias
    } else {
        RowKind::Customer
    };
    let words = row::encode(
        kind,
        parts.number,
        key,
        parts.record,
        &parts.refs,
        old.pools(),
        phases,
    )?;
    let place = fresh.append(&words)?;
    fresh.publish(key, place)?;
    if !alias {
        fresh.publish_number(parts.number, place)?;
    }
    Ok(())
}
