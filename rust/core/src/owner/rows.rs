//! The rows in force and how they change: all at once, some, or one customer's again with the leases it has by now.

use std::collections::{HashMap, HashSet};

use crate::catalog::Catalog;
use crate::control::Field;
use crate::customer::{self, Customer, Record};
use crate::entry;
use crate::error::{Corrupt, Error, Result};
use crate::generation::Generation;
use crate::key::Key;
use crate::map::MapRegion;
use crate::resolve::Sources;
use crate::row::{self, Row, RowKind};

use super::adopt::adopted;
use super::cells::Cells;
use super::drafts::Drafts;
use super::generations::Generations;
use super::held::{Held, Sum};
use super::load::Load;
use super::rewrite::rewritten;

/// How far numbers may be ahead of the count of customers: room for customers that come and go.
const NUMBERS_PER_CUSTOMER: u64 = 64;
const NUMBERS_SPARE: u64 = 1 << 22;
/// Room that a generation gets on top when one customer did not fit the one before: 8 MiB, then 128 MiB.
const EXTRA_WORDS: [usize; 2] = [1 << 20, 1 << 24];

/// The rows of an arena as its owner has them.
pub struct Rows {
    generations: Generations,
    drafts: Drafts,
    /// None: none are loaded yet.
    current: Option<Generation<MapRegion>>,
    held: Held,
}

fn loaded(current: &Option<Generation<MapRegion>>) -> Result<&Generation<MapRegion>> {
    current.as_ref().ok_or(Error::Corrupt("no rows are loaded"))
}

impl Rows {
    pub(super) fn new(generations: Generations, catalog: Catalog) -> Rows {
        Rows {
            generations,
            drafts: Drafts::new(catalog),
            current: None,
            held: Held::default(),
        }
    }

    /// Takes over what a former owner left, and publishes the leases that it opened and was killed before their rows said so.
    /// After an error none are loaded.
    pub(super) fn adopt(&mut self, cells: &Cells) -> Result<()> {
        let (current, held) = adopted(&self.generations)?;
        (self.current, self.held) = (Some(current), held);
        let published = self.publish_missing_refs(cells);
        if published.is_err() {
            (self.current, self.held) = (None, Held::default());
        }
        published
    }

    pub(super) fn generation(&self) -> Result<&Generation<MapRegion>> {
        loaded(&self.current)
    }

    pub fn customers(&self) -> u64 {
        self.held.sum.customers
    }

    pub fn digest(&self) -> u64 {
        self.held.sum.digest
    }

    #[cfg(test)]
    pub(super) fn catalog(&self) -> &Catalog {
        &self.drafts.catalog
    }

    /// Whether the file is still the one that is mapped here.
    pub(super) fn are_in_place(&self) -> bool {
        self.current
            .as_ref()
            .is_none_or(|current| self.generations.is_in_place(current))
    }

    /// (epoch, seq) of the last change that the rows show.
    pub(super) fn at(&self) -> Result<(u64, u64)> {
        let control = &self.generations.directory.control;
        Ok((control.get(Field::Epoch)?, control.get(Field::Seq)?))
    }

    /// Replaces all rows by those of customers that `feed` hands over one by one, each with its record's hash. An error of
    /// `feed` refuses them all. Returns how many there are.
    pub(super) fn load(
        &mut self,
        cells: &Cells,
        at: (u64, u64),
        now_ms: i64,
        feed: impl FnOnce(&mut dyn FnMut(&Customer<'_>, u64) -> Result<()>) -> Result<()>,
    ) -> Result<u64> {
        // Profiles have places in one generation: those of the rows in force are needed again if these are refused.
        let profiles = std::mem::take(&mut self.drafts.profiles);
        let mut load = Load::new(&mut self.drafts, cells, now_ms);
        let generations = &self.generations;
        let fed = feed(&mut |customer, record| load.take(customer, record));
        let made = fed
            .and_then(|()| bound_number(generations, load.highest, load.held.sum))
            .and_then(|()| load.publish(generations));
        match made {
            Ok((current, held)) => {
                let sum = held.sum;
                (self.current, self.held) = (Some(current), held);
                self.announce(sum, at)?;
                Ok(sum.customers)
            }
            Err(e) => {
                self.drafts.profiles = profiles;
                Err(e)
            }
        }
    }

    /// Upserts records: all or nothing. Returns how many there were.
    pub(super) fn put(
        &mut self,
        cells: &Cells,
        records: &[u8],
        at: (u64, u64),
        now_ms: i64,
    ) -> Result<u64> {
        // First everything that can fail for a reason in the records.
        let records = self.read(records, |_| Ok(true))?;
        for Record { customer, .. } in records.iter().filter(|r| !r.customer.deleted) {
            bound_number(&self.generations, customer.number, self.held.sum)?;
        }
        let mut sum = self.sum();
        for record in &records {
            self.upsert(cells, record, now_ms, &mut sum)?;
        }
        self.announce(sum, at)?;
        Ok(records.len() as u64)
    }

    /// Reads records, and refuses those of customers that `checked` says if the catalog does.
    pub(super) fn read<'a>(
        &self,
        records: &'a [u8],
        checked: impl Fn(u32) -> Result<bool>,
    ) -> Result<Vec<Record<'a>>> {
        let all = customer::each(records).collect::<Result<Vec<_>>>()?;
        for Record { customer, .. } in &all {
            if !customer.deleted && checked(customer.number)? {
                Sources::of(&self.drafts.catalog, customer)?;
            }
        }
        Ok(all)
    }

    pub(super) fn holds(&self, number: u32) -> Result<bool> {
        Ok(self.generation()?.by_number(number)?.is_some())
    }

    pub(super) fn sum(&self) -> Sum {
        self.held.sum
    }

    /// Puts one customer, and counts what that does to the digest and the number of customers.
    pub(super) fn upsert(
        &mut self,
        cells: &Cells,
        record: &Record<'_>,
        now_ms: i64,
        sum: &mut Sum,
    ) -> Result<()> {
        let rows = self.generation()?;
        let old = rows
            .by_number(record.customer.number)?
            .map(|row| row.record(rows.region()))
            .transpose()?;
        sum.replace(old, record);
        self.put_one(cells, &record.customer, record.hash, now_ms)
    }

    fn put_one(
        &mut self,
        cells: &Cells,
        customer: &Customer<'_>,
        record: u64,
        now_ms: i64,
    ) -> Result<()> {
        let widest =
            entry::PROFILE_HEADER + self.drafts.catalog.features.len() * entry::ENTRY_WORDS;
        let keys = 2 + customer.aliases.len();
        self.make_room(keys, 64 * widest + row::ROW_WORDS_MAX, customer.number)?;
        // Rarely, many profiles or aliases of one customer take more than was foreseen.
        let mut published = self.publish_customer(cells, customer, record, now_ms);
        for extra_words in EXTRA_WORDS {
            if !matches!(published, Err(Error::Full(_))) {
                break;
            }
            self.grow(customer.number, extra_words)?;
            published = self.publish_customer(cells, customer, record, now_ms);
        }
        published?;
        self.held.put(customer);
        Ok(())
    }

    /// Sees to it that so many keys and words and that number fit.
    fn make_room(&mut self, keys: usize, words: usize, number: u32) -> Result<()> {
        if self.generation()?.has_room(keys, words, number)? {
            Ok(())
        } else {
            self.grow(number, 0)
        }
    }

    /// The same rows in a larger generation.
    pub(super) fn grow(&mut self, number: u32, extra_words: usize) -> Result<()> {
        let old = loaded(&self.current)?;
        let (generations, drafts) = (&self.generations, &mut self.drafts);
        let fresh = rewritten(old, generations, drafts, number, extra_words, |_| true)?;
        self.current = Some(fresh);
        Ok(())
    }

    /// Writes a customer's rows, new profiles before them, and points the keys to them.
    fn publish_customer(
        &mut self,
        cells: &Cells,
        customer: &Customer<'_>,
        record: u64,
        now_ms: i64,
    ) -> Result<()> {
        let rows = loaded(&self.current)?;
        let mut drafts = Vec::new();
        if !customer.deleted {
            let refs = cells.refs(customer.number)?;
            let mut append = |words: &[u64]| rows.append(words);
            let made = self
                .drafts
                .of(customer, record, &refs, now_ms, &mut append)?;
            drafts.extend(made);
        }
        for name in self.gone(rows, customer)? {
            drafts.push(self.drafts.gone(customer.number, &name)?);
        }
        if customer.deleted {
            rows.publish_number(customer.number, 0)?;
        }
        for draft in &drafts {
            let place = rows.append(&draft.words)?;
            // The number first: the rest of the host finds customers by key, so the key's word is the commit.
            if draft.number != 0 {
                rows.publish_number(draft.number, place)?;
            }
            rows.publish(Key::new(&draft.key).ok_or(Corrupt)?, place)?;
        }
        Ok(())
    }

    /// Keys that were the customer's and no longer are: aliases it lost, the id it had before, all of a deleted one's.
    /// A key that another customer has taken over meanwhile is that one's.
    fn gone(&self, rows: &Generation<MapRegion>, customer: &Customer<'_>) -> Result<Vec<Vec<u8>>> {
        let known = self.held.aliases(customer.number);
        let mut names: Vec<Vec<u8>> = known.iter().map(|a| a.as_bytes().to_vec()).collect();
        if let Some(row) = rows.by_number(customer.number)? {
            names.push(row.parts(rows.region(), rows.pools())?.key);
        }
        names.push(customer.id.as_bytes().to_vec());
        names.sort_unstable();
        names.dedup();
        let mut gone = Vec::new();
        for name in names {
            let kept = !customer.deleted
                && (name == customer.id.as_bytes()
                    || customer.aliases.iter().any(|a| a.as_bytes() == name));
            let key = Key::new(&name).ok_or(Corrupt)?;
            let theirs = rows
                .find(key, rows.hash(key))?
                .is_some_and(|row| row.number() == customer.number);
            if !kept && theirs {
                gone.push(name);
            }
        }
        Ok(gone)
    }

    /// Keys that led to a customer with a row and are by now those of one without: they lead nowhere here.
    pub(super) fn hand_over_keys(&mut self, customer: &Customer<'_>) -> Result<()> {
        for name in std::iter::once(customer.id).chain(customer.aliases.iter().copied()) {
            let key = Key::new(name.as_bytes()).ok_or(Corrupt)?;
            let rows = self.generation()?;
            let found = rows.find(key, rows.hash(key))?;
            if found.is_none_or(|row| row.kind() == RowKind::Gone as u64) {
                continue;
            }
            self.make_room(1, row::ROW_WORDS_MAX, customer.number)?;
            let gone = self.drafts.gone(customer.number, name.as_bytes())?;
            let rows = self.generation()?;
            rows.publish(key, rows.append(&gone.words)?)?;
        }
        Ok(())
    }

    /// Publishes a customer's row again, with the leases it has now.
    pub(super) fn publish_refs(&mut self, cells: &Cells, number: u32) -> Result<()> {
        let refs = cells.refs(number)?;
        self.make_room(0, row::ROW_WORDS_MAX, number)?;
        let rows = self.generation()?;
        let row = rows
            .by_number(number)?
            .ok_or_else(|| Error::Invalid(format!("no customer has the number {number}")))?;
        let parts = row.parts(rows.region(), rows.pools())?;
        let key = Key::new(&parts.key).ok_or(Corrupt)?;
        let words = row::encode(
            RowKind::Customer,
            number,
            key,
            parts.record,
            &refs,
            rows.pools(),
            &parts.phases,
        )?;
        let place = rows.append(&words)?;
        rows.publish_number(number, place)?;
        rows.publish(key, place)
    }

    fn publish_missing_refs(&mut self, cells: &Cells) -> Result<()> {
        let rows = self.generation()?;
        let pools: HashMap<u64, usize> = (0..rows.pools())
            .map(|p| Ok((rows.pool_info(p)?.id, p)))
            .collect::<Result<_>>()?;
        let mut behind = HashSet::new();
        for (cell, lease) in cells.open_leases()? {
            let (Some(pool), Some(row)) = (pools.get(&lease.pool), rows.by_number(lease.number)?)
            else {
                continue;
            };
            let word = u64::from(lease.lease) << 32 | u64::from(cell);
            if row.lease_of(rows.region(), *pool, rows.pools())? != Some(word) {
                behind.insert(lease.number);
            }
        }
        behind
            .into_iter()
            .try_for_each(|number| self.publish_refs(cells, number))
    }

    /// Drops the rows of these customers.
    pub(super) fn drop_customers(&mut self, going: &HashSet<u32>) -> Result<()> {
        let rows = loaded(&self.current)?;
        let stays = |row: Row| !going.contains(&row.number());
        let mut sum = Sum::default();
        rows.for_each_row(|row| {
            if row.kind() == RowKind::Customer as u64 && stays(row) {
                sum.add(row.record(rows.region())?);
            }
            Ok(())
        })?;
        let fresh = rewritten(rows, &self.generations, &mut self.drafts, 0, 0, stays)?;
        self.current = Some(fresh);
        self.held.retain(|number| !going.contains(&number));
        self.announce(sum, self.at()?)
    }

    /// Calls `each` with every customer's row.
    pub(super) fn each_customer(&self, mut each: impl FnMut(Row) -> Result<()>) -> Result<()> {
        self.generation()?.for_each_row(|row| {
            if row.kind() == RowKind::Customer as u64 {
                each(row)
            } else {
                Ok(())
            }
        })
    }

    /// (number, id) of the customers held whose numbers are above `after`: the `limit` lowest of them, ascending.
    pub fn held_keys(&self, after: u32, limit: usize) -> Result<Vec<(u32, String)>> {
        let rows = self.generation()?;
        let mut found = Vec::new();
        self.each_customer(|row| {
            if row.number() > after {
                found.push((row.number(), row.at));
            }
            Ok(())
        })?;
        found.sort_unstable();
        found.truncate(limit);
        found
            .into_iter()
            .map(|(number, at)| {
                let row = Row::load(rows.region(), at)?;
                let key = row.parts(rows.region(), rows.pools())?.key;
                Ok((number, String::from_utf8(key).map_err(|_| Corrupt)?))
            })
            .collect()
    }

    /// The numbers of the customers held, ascending.
    pub fn held_numbers(&self) -> Result<Vec<u32>> {
        let mut numbers = Vec::new();
        self.each_customer(|row| {
            numbers.push(row.number());
            Ok(())
        })?;
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Says what the rows come to by now, and which change, `at` (epoch, seq), they show.
    pub(super) fn announce(&mut self, sum: Sum, at: (u64, u64)) -> Result<()> {
        self.held.sum = sum;
        let control = &self.generations.directory.control;
        control.set(Field::Digest, sum.digest)?;
        control.set(Field::Customers, sum.customers)?;
        control.set(Field::Epoch, at.0)?;
        control.set(Field::Seq, at.1)?;
        Ok(())
    }
}

/// Refuses a customer number far beyond the count of customers: the table of numbers has a word for each below it. Where
/// numbers are hashed any will do.
fn bound_number(generations: &Generations, number: u32, sum: Sum) -> Result<()> {
    let Sum { customers, .. } = sum;
    let most = customers.saturating_mul(NUMBERS_PER_CUSTOMER) + NUMBERS_SPARE;
    if !generations.on_demand && u64::from(number) > most {
        return Err(Error::Invalid(format!(
            "customer number {number} is too far ahead of {customers} customers: numbers are given one after the other"
        )));
    }
    Ok(())
}
