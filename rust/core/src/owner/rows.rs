//! Records into rows: the full load, and upserts.

use std::collections::HashMap;

use crate::catalog::Catalog;
use crate::control::Field;
use crate::customer::{self, Customer, Record};
use crate::entry;
use crate::error::{Corrupt, Error, Result};
use crate::generation::Generation;
use crate::key::Key;
use crate::map::MapRegion;
use crate::paths::rows_path;
use crate::resolve::Sources;
use crate::row::{self, Phase, Ref, Row, RowKind};

use super::Owner;
use super::generations::EXTRA_WORDS;

/// How far numbers may be ahead of the count of customers: room for customers that come and go.
const NUMBERS_PER_CUSTOMER: u64 = 64;
const NUMBERS_SPARE: u64 = 1 << 22;

/// Bytes of records put at once: all of them are decoded before the first one is written.
pub const PUT_BYTES_MAX: usize = 256 << 20;

/// Which sources, without overrides, a profile was made from: plan, trial's plan, add-ons with quantities.
pub(super) type Combination = (Option<usize>, Option<usize>, Vec<(usize, u32)>);

/// A row ready to be written.
pub(super) struct Draft {
    pub(super) words: Vec<u64>,
    pub(super) key: Box<[u8]>,
    /// The number whose word is to point here; zero for rows that are not a customer's.
    pub(super) number: u32,
}

impl Owner {
    /// The profile of a combination, made and appended by `append` when it is met first.
    pub(super) fn profile(
        profiles: &mut HashMap<Combination, u64>,
        catalog: &Catalog,
        sources: &Sources,
        at_ms: i64,
        append: &mut impl FnMut(&[u64]) -> Result<u64>,
    ) -> Result<u64> {
        let active = |until: &Option<i64>| until.is_none_or(|t| at_ms < t);
        let trial = sources.trial.filter(|t| at_ms < t.1);
        let addons: Vec<(usize, Option<i64>, u32)> = sources
            .addons
            .iter()
            .filter(|(_, q, until)| *q > 0 && active(until))
            .map(|(a, q, _)| (*a, None, *q))
            .collect();
        let combination: Combination = (
            sources.plan,
            trial.map(|t| t.0),
            addons.iter().map(|(a, _, q)| (*a, *q)).collect(),
        );
        if let Some(place) = profiles.get(&combination) {
            return Ok(*place);
        }
        let base = Sources {
            plan: sources.plan,
            trial: trial.map(|t| (t.0, i64::MAX)),
            addons: addons
                .into_iter()
                .map(|(a, until, q)| (a, q, until))
                .collect(),
            overrides: Vec::new(),
        };
        let place = append(&entry::profile(catalog, |f| {
            base.resolve(catalog, f, at_ms)
        }))?;
        profiles.insert(combination, place);
        Ok(place)
    }

    /// The phases of a customer from `now_ms` on.
    pub(super) fn phases(
        profiles: &mut HashMap<Combination, u64>,
        catalog: &Catalog,
        sources: &Sources,
        now_ms: i64,
        append: &mut impl FnMut(&[u64]) -> Result<u64>,
    ) -> Result<Vec<Phase>> {
        let mut boundaries = sources.boundaries();
        boundaries.retain(|t| *t > now_ms);
        boundaries.truncate(row::PHASES_MAX - 1);
        let mut phases = Vec::with_capacity(boundaries.len() + 1);
        let mut from = now_ms;
        for until_ms in boundaries.into_iter().map(Some).chain([None]) {
            let profile = Owner::profile(profiles, catalog, sources, from, append)?;
            let mut features: Vec<usize> = sources.overrides.iter().map(|o| o.0).collect();
            features.sort_unstable();
            features.dedup();
            let differs: Vec<_> = features
                .into_iter()
                .map(|f| (f, sources.resolve(catalog, f, from)))
                .collect();
            let overlay = (!differs.is_empty()).then(|| entry::overlay(catalog, &differs));
            phases.push(Phase {
                until_ms,
                profile,
                overlay,
            });
            from = until_ms.unwrap_or(from);
        }
        Ok(phases)
    }

    /// Turns a record into its rows: the customer's own, then one for each alias.
    pub(super) fn drafts(
        &mut self,
        customer: &Customer<'_>,
        record: u64,
        now_ms: i64,
        append: &mut impl FnMut(&[u64]) -> Result<u64>,
        drafts: &mut Vec<Draft>,
    ) -> Result<()> {
        let sources = Sources::of(&self.catalog, customer)?;
        let phases = Owner::phases(&mut self.profiles, &self.catalog, &sources, now_ms, append)?;
        let refs = self.refs(customer.number)?;
        let pools = self.catalog.pools.len();
        let mut draft = |kind, name: &str, refs: &[Ref], phases: &[Phase]| -> Result<()> {
            let key = Key::new(name.as_bytes()).ok_or(Corrupt)?;
            drafts.push(Draft {
                words: row::encode(kind, customer.number, key, record, refs, pools, phases)?,
                key: name.as_bytes().into(),
                number: if kind == RowKind::Customer {
                    customer.number
                } else {
                    0
                },
            });
            Ok(())
        };
        draft(RowKind::Customer, customer.id, &refs, &phases)?;
        for alias in &customer.aliases {
            draft(RowKind::Alias, alias, &[], &[])?;
        }
        Ok(())
    }

    /// Replaces all rows by those of the records. Nothing is visible before the end.
    pub fn load<'a>(
        &mut self,
        chunks: impl IntoIterator<Item = &'a [u8]>,
        epoch: u64,
        seq: u64,
        now_ms: i64,
    ) -> Result<u64> {
        self.load_each(epoch, seq, now_ms, |take| {
            for chunk in chunks {
                for record in customer::each(chunk) {
                    let record = record?;
                    if !record.customer.deleted {
                        take(&record.customer, record.hash)?;
                    }
                }
            }
            Ok(())
        })
    }

    /// The same of customers that `feed` hands over one by one, each with its record's hash, so that not all of them need
    /// to be in memory. An error of `feed` refuses them all. Deleted customers are not handed over.
    pub fn load_each(
        &mut self,
        epoch: u64,
        seq: u64,
        now_ms: i64,
        feed: impl FnOnce(&mut dyn FnMut(&Customer<'_>, u64) -> Result<()>) -> Result<()>,
    ) -> Result<u64> {
        // Profiles have places in one generation: those of the rows in force are needed again if these are refused.
        let profiles = std::mem::take(&mut self.profiles);
        match self.generation_of(now_ms, feed) {
            Ok((digest, count)) => self.announce(digest, count, epoch, seq).map(|()| count),
            Err(e) => {
                self.profiles = profiles;
                Err(e)
            }
        }
    }

    /// Makes a generation of these customers and puts it in force. Returns their digest and how many they are.
    fn generation_of(
        &mut self,
        now_ms: i64,
        feed: impl FnOnce(&mut dyn FnMut(&Customer<'_>, u64) -> Result<()>) -> Result<()>,
    ) -> Result<(u64, u64)> {
        let none = Sources::default();
        let catalog = &self.catalog;
        let defaults = entry::profile(catalog, |f| none.resolve(catalog, f, now_ms));
        // Places count from the heap's start: one unused word, then the defaults.
        let base = 1 + defaults.len() as u64;
        let mut heap: Vec<u64> = Vec::new();
        // (place, number or zero)
        let mut places: Vec<(u64, u32)> = Vec::new();
        let mut aliases: HashMap<u32, Vec<String>> = HashMap::new();
        let (mut digest, mut count, mut highest) = (0u64, 0u64, 0u32);
        let mut drafts = Vec::new();
        feed(&mut |customer, record| {
            self.drafts(
                customer,
                record,
                now_ms,
                &mut appender(&mut heap, base),
                &mut drafts,
            )?;
            for draft in drafts.drain(..) {
                places.push((base + heap.len() as u64, draft.number));
                heap.extend_from_slice(&draft.words);
            }
            if !customer.aliases.is_empty() {
                aliases.insert(
                    customer.number,
                    customer.aliases.iter().map(|a| (*a).to_owned()).collect(),
                );
            }
            digest = digest.wrapping_add(record);
            count += 1;
            highest = highest.max(customer.number);
            Ok(())
        })?;
        self.bound_number(highest, count)?;
        let capacity = self.room_for(places.len(), highest, heap.len() + base as usize);
        let fresh = self.fresh_generation(capacity, &defaults)?;
        let unfinished = rows_path(&self.dir, fresh.generation).with_extension("new");
        publish_all(&fresh, &heap, base, &places).inspect_err(|_| {
            let _ = std::fs::remove_file(&unfinished); // The first error is the one to tell.
        })?;
        self.install(fresh)?;
        self.aliases = aliases;
        Ok((digest, count))
    }

    /// Upserts records: all or nothing. Returns how many there were.
    pub fn put(&mut self, records: &[u8], epoch: u64, seq: u64, now_ms: i64) -> Result<u64> {
        if records.len() > PUT_BYTES_MAX {
            return Err(Error::Invalid(format!(
                "{} bytes of records in one change, at most {PUT_BYTES_MAX} are taken",
                records.len()
            )));
        }
        // First everything that can fail for a reason in the records.
        let records = customer::each(records).collect::<Result<Vec<_>>>()?;
        for Record { customer, .. } in records.iter().filter(|r| !r.customer.deleted) {
            Sources::of(&self.catalog, customer)?;
            self.bound_number(customer.number, self.customers)?;
        }
        let (mut digest, mut count) = (self.digest, self.customers);
        for record in &records {
            self.upsert(record, now_ms, &mut digest, &mut count)?;
        }
        self.announce(digest, count, epoch, seq)?;
        Ok(records.len() as u64)
    }

    /// Puts one customer, and counts what that does to the digest and the number of customers.
    pub(super) fn upsert(
        &mut self,
        record: &Record<'_>,
        now_ms: i64,
        digest: &mut u64,
        count: &mut u64,
    ) -> Result<()> {
        let customer = &record.customer;
        let rows = self
            .rows
            .as_ref()
            .ok_or(Error::Corrupt("no rows are loaded"))?;
        let old = rows
            .by_number(customer.number)?
            .map(|row| row.record(rows.region()))
            .transpose()?;
        if let Some(old) = old {
            *digest = digest.wrapping_sub(old);
            *count -= 1;
        }
        if !customer.deleted {
            *digest = digest.wrapping_add(record.hash);
            *count += 1;
        }
        self.put_one(customer, record.hash, now_ms)
    }

    pub(super) fn put_one(
        &mut self,
        customer: &Customer<'_>,
        record: u64,
        now_ms: i64,
    ) -> Result<()> {
        let mut rows = self
            .rows
            .take()
            .ok_or(Error::Corrupt("no rows are loaded"))?;
        let widest = entry::PROFILE_HEADER + self.catalog.features.len() * entry::ENTRY_WORDS;
        let made = (|| {
            let keys = 2 + customer.aliases.len();
            if !rows.has_room(keys, 64 * widest + row::ROW_WORDS_MAX, customer.number)? {
                rows = self.grown(&rows, customer.number, 0)?;
            }
            // Rarely, many profiles or aliases of one customer take more than was foreseen.
            for extra_words in EXTRA_WORDS {
                match self.publish_customer(&rows, customer, record, now_ms) {
                    Err(Error::Full(_)) => {
                        rows = self.grown(&rows, customer.number, extra_words)?;
                    }
                    done => return done,
                }
            }
            self.publish_customer(&rows, customer, record, now_ms)
        })();
        self.rows = Some(rows);
        made?;
        if customer.deleted || customer.aliases.is_empty() {
            self.aliases.remove(&customer.number);
        } else {
            self.aliases.insert(
                customer.number,
                customer.aliases.iter().map(|a| (*a).to_owned()).collect(),
            );
        }
        Ok(())
    }

    /// Writes a customer's rows, new profiles before them, and points the keys to them.
    pub(super) fn publish_customer(
        &mut self,
        rows: &Generation<MapRegion>,
        customer: &Customer<'_>,
        record: u64,
        now_ms: i64,
    ) -> Result<()> {
        let mut drafts = Vec::new();
        if !customer.deleted {
            self.drafts(
                customer,
                record,
                now_ms,
                &mut |words| rows.append(words),
                &mut drafts,
            )?;
        }
        let pools = self.catalog.pools.len();
        for name in self.gone(rows, customer)? {
            let key = Key::new(&name).ok_or(Corrupt)?;
            drafts.push(Draft {
                words: row::encode(RowKind::Gone, customer.number, key, 0, &[], pools, &[])?,
                key: name.into(),
                number: 0,
            });
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
    pub(super) fn gone(
        &self,
        rows: &Generation<MapRegion>,
        customer: &Customer<'_>,
    ) -> Result<Vec<Vec<u8>>> {
        let mut names: Vec<Vec<u8>> = self
            .aliases
            .get(&customer.number)
            .map(|old| old.iter().map(|a| a.as_bytes().to_vec()).collect())
            .unwrap_or_default();
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

    /// Refuses a customer number far beyond the count of customers: the table of numbers has a word for each below it. Where
    /// numbers are hashed any will do.
    fn bound_number(&self, number: u32, customers: u64) -> Result<()> {
        let most = customers.saturating_mul(NUMBERS_PER_CUSTOMER) + NUMBERS_SPARE;
        if self.demand.is_none() && u64::from(number) > most {
            return Err(Error::Invalid(format!(
                "customer number {number} is too far ahead of {customers} customers: numbers are given one after the other"
            )));
        }
        Ok(())
    }

    pub(super) fn announce(
        &mut self,
        digest: u64,
        customers: u64,
        epoch: u64,
        seq: u64,
    ) -> Result<()> {
        (self.digest, self.customers) = (digest, customers);
        self.control.set(Field::Digest, digest)?;
        self.control.set(Field::Customers, customers)?;
        self.control.set(Field::Epoch, epoch)?;
        self.control.set(Field::Seq, seq)?;
        Ok(())
    }
}

/// Appends blocks to a heap that is still in memory.
pub(super) fn appender(heap: &mut Vec<u64>, base: u64) -> impl FnMut(&[u64]) -> Result<u64> {
    move |words| {
        let place = base + heap.len() as u64;
        heap.extend_from_slice(words);
        Ok(place)
    }
}

/// Writes a heap, and points keys and numbers to its rows: (place, number or zero) of each.
fn publish_all(
    fresh: &Generation<MapRegion>,
    heap: &[u64],
    base: u64,
    places: &[(u64, u32)],
) -> Result<()> {
    fresh.append(heap)?;
    for (place, number) in places {
        let words = &heap[(place - base) as usize..];
        let row = Row::load(words, 0)?;
        let key = crate::key::read_name(words, row::HEADER_WORDS, row.key_len())?;
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
