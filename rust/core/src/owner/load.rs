//! The full load: all customers into a new generation, of which nothing is visible before the end.

use crate::customer::Customer;
use crate::error::{Corrupt, Error, Result};
use crate::generation::Generation;
use crate::key::{Key, read_name};
use crate::map::MapRegion;
use crate::row::{self, Row};

use super::cells::Cells;
use super::drafts::Drafts;
use super::generations::Generations;
use super::held::Held;

/// The rows of customers that were handed over so far.
pub(super) struct Load<'a> {
    drafts: &'a mut Drafts,
    cells: &'a Cells,
    now_ms: i64,
    defaults: Vec<u64>,
    /// Places count from the heap's start: one unused word, then the defaults, then `heap`.
    base: u64,
    heap: Vec<u64>,
    /// (place, number or zero)
    places: Vec<(u64, u32)>,
    pub(super) held: Held,
    pub(super) highest: u32,
}

impl<'a> Load<'a> {
    pub(super) fn new(drafts: &'a mut Drafts, cells: &'a Cells, now_ms: i64) -> Load<'a> {
        let defaults = drafts.defaults(now_ms);
        Load {
            drafts,
            cells,
            now_ms,
            base: 1 + defaults.len() as u64,
            defaults,
            heap: Vec::new(),
            places: Vec::new(),
            held: Held::default(),
            highest: 0,
        }
    }

    /// Takes the next customer, with its record's hash.
    pub(super) fn take(&mut self, customer: &Customer<'_>, record: u64) -> Result<()> {
        let refs = self.cells.refs(customer.number)?;
        let (heap, base) = (&mut self.heap, self.base);
        let drafts = self
            .drafts
            .of(customer, record, &refs, self.now_ms, &mut |words| {
                let place = base + heap.len() as u64;
                heap.extend_from_slice(words);
                Ok(place)
            })?;
        for draft in drafts {
            let place = self.base + self.heap.len() as u64;
            self.places.push((place, draft.number));
            self.heap.extend_from_slice(&draft.words);
        }
        self.held.put(customer);
        self.held.sum.add(record);
        self.highest = self.highest.max(customer.number);
        Ok(())
    }

    /// Makes a generation of them and puts it in force.
    pub(super) fn publish(
        self,
        generations: &Generations,
    ) -> Result<(Generation<MapRegion>, Held)> {
        let words = self.heap.len() + self.base as usize;
        let capacity = generations.room_for(self.places.len(), self.highest, words);
        let fresh = generations.fresh(&self.drafts.catalog, capacity, &self.defaults)?;
        self.write(&fresh).inspect_err(|_| {
            // The first error is the one to tell.
            let _ = std::fs::remove_file(generations.unfinished(fresh.generation));
        })?;
        generations.publish(&fresh)?;
        Ok((fresh, self.held))
    }

    /// Writes the heap, and points keys and numbers to its rows.
    fn write(&self, fresh: &Generation<MapRegion>) -> Result<()> {
        fresh.append(&self.heap)?;
        for (place, number) in &self.places {
            let words = &self.heap[(place - self.base) as usize..];
            let row = Row::load(words, 0)?;
            let key = read_name(words, row::HEADER_WORDS, row.key_len())?;
            fresh.publish(Key::new(&key).ok_or(Corrupt)?, *place)?;
            if *number != 0 {
                // The row would be of the later record alone, and the digest of both.
                if fresh.place(*number)? != 0 {
                    return Err(Error::Invalid(format!(
                        "customer number {number} has two records among those of all customers"
                    )));
                }
                fresh.publish_number(*number, *place)?;
            }
        }
        Ok(())
    }
}
