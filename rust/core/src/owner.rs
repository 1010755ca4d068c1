//! The owner's side: makes or adopts the arena, turns records into rows, opens and closes leases.
//!
//! One owner per directory; the caller holds the lock that says so. A kill at any instruction leaves the old row or the
//! new one, the old generation or the new one, an open lease or a closed one: whoever owns next carries on from there.

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::arena::{RETIRED, Segments, cells_path, control_path, rename, rows_path};
use crate::catalog::Catalog;
use crate::cell::{self, Lease, TOTAL_MAX, Totals};
use crate::check::Cells;
use crate::control::{self, Control, Field};
use crate::customer::{self, Customer};
use crate::entry;
use crate::error::{Corrupt, Error, Result};
use crate::generation::{Capacity, Generation, Plan};
use crate::hold::{self, LateReturn};
use crate::journal;
use crate::key::{Key, hash_bytes};
use crate::map::{Access, MapRegion};
use crate::region::Words;
use crate::resolve::Sources;
use crate::row::{self, Phase, Ref, Row, RowKind};
use crate::segment::{CELL_BITS, CELLS, SEGMENTS_MAX};

/// How far numbers may be ahead of the count of customers: room for customers that come and go.
const NUMBERS_PER_CUSTOMER: u64 = 64;
const NUMBERS_SPARE: u64 = 1 << 22;

/// Which sources, without overrides, a profile was made from: plan, trial's plan, add-ons with quantities.
type Combination = (Option<usize>, Option<usize>, Vec<(usize, u32)>);

/// A number that no generation reaches by counting: `RETIRED`, or a damaged word.
const GENERATION_MAX: u64 = 1 << 62;

/// Room that a generation gets on top when one customer did not fit the one before: 8 MiB, then 128 MiB.
const EXTRA_WORDS: [usize; 2] = [1 << 20, 1 << 24];

/// What the environment gives to an owner: things the core does not look up itself.
#[derive(Clone, Copy, Debug)]
pub struct Environment {
    /// Hash of the kernel's boot id.
    pub boot: u64,
    /// A random number.
    pub random: u64,
    pub pid: u32,
    pub now_ms: u64,
}

/// What was found when the owner came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing, or what was there was damaged and has been set aside.
    Nothing,
    /// Cells of this boot; rows of this catalog, up to `seq`.
    Intact,
    /// Cells of this boot; the rows are of another catalog or damaged: load them.
    CellsOnly,
    /// Cells of an earlier boot: settle and close them all.
    EarlierBoot,
}

pub struct Owner {
    dir: PathBuf,
    control: Control<MapRegion>,
    arena: u64,
    seed: u64,
    pub found: Found,
    catalog: Catalog,
    catalog_hash: u64,
    rows: Option<Generation<MapRegion>>,
    /// Profiles of the current generation: where each combination's is in the heap.
    profiles: HashMap<Combination, u64>,
    /// Alias keys by customer number.
    aliases: HashMap<u32, Vec<String>>,
    segments: Segments,
    segment_count: usize,
    /// The cell of a customer's pool.
    cells: HashMap<(u32, u64), u32>,
    next_cell: u32,
    /// Cells whose lease is closed and whose customer or pool is gone.
    free: Vec<u32>,
    pool_names: HashMap<u64, String>,
    /// Totals as last reported, per cell: what `cells(changed_only)` compares with.
    reported: HashMap<u32, (u64, u64, bool)>,
    digest: u64,
    customers: u64,
    drain: journal::Drain,
}

/// A lease's totals with the pool's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedTotals {
    pub pool: String,
    pub totals: Totals,
}

/// A row ready to be written.
struct Draft {
    words: Vec<u64>,
    key: Box<[u8]>,
    /// The number whose word is to point here; zero for rows that are not a customer's.
    number: u32,
}

impl Owner {
    /// Adopts the arena in `dir`, or makes one.
    pub fn open(
        dir: &Path,
        catalog: Catalog,
        catalog_hash: u64,
        env: Environment,
    ) -> Result<Owner> {
        let pool_names: HashMap<u64, String> = catalog
            .pools
            .iter()
            .map(|p| (hash_bytes(p.name.as_bytes()), p.name.clone()))
            .collect();
        if pool_names.len() != catalog.pools.len() {
            return Err(Error::Invalid(
                "two pools of the catalog have names with the same hash; rename one".into(),
            ));
        }
        let (control, found) = match adopt_control(dir) {
            Ok(control) => {
                let found = if control.get(Field::Boot)? == env.boot {
                    Found::Intact
                } else {
                    Found::EarlierBoot
                };
                (control, found)
            }
            Err(e @ (Error::Io { .. } | Error::Layout { .. })) if control_path(dir).exists() => {
                return Err(e);
            }
            Err(_) => (make_control(dir, env)?, Found::Nothing),
        };
        let arena = control.get(Field::Arena)?;
        let mut owner = Owner {
            dir: dir.to_path_buf(),
            arena,
            seed: env.random | 1,
            found,
            catalog,
            catalog_hash,
            rows: None,
            profiles: HashMap::new(),
            aliases: HashMap::new(),
            segments: Segments::new(dir, arena),
            segment_count: control.get(Field::Segments)? as usize,
            cells: HashMap::new(),
            next_cell: 0,
            free: Vec::new(),
            pool_names,
            reported: HashMap::new(),
            digest: 0,
            customers: 0,
            drain: journal::Drain::default(),
            control,
        };
        if let Err(e) = owner.scan_cells() {
            // What the system refuses for now may be readable later, and what was spent must not be thrown away for it.
            if matches!(&e, Error::Io { source, .. } if source.kind() != std::io::ErrorKind::NotFound)
            {
                return Err(e);
            }
            // Cells that can't be read hold nothing that can be trusted: begin anew, and let the ledger close its leases.
            set_aside(dir)?;
            owner.control = make_control(dir, env)?;
            owner.arena = owner.control.get(Field::Arena)?;
            owner.segments = Segments::new(dir, owner.arena);
            owner.segment_count = 0;
            owner.cells.clear();
            owner.free.clear();
            owner.next_cell = 0;
            owner.found = Found::Nothing;
        }
        if owner.found == Found::Intact
            && owner
                .adopt_rows()
                .and_then(|()| owner.publish_missing_refs())
                .is_err()
        {
            owner.rows = None;
            owner.aliases.clear();
            owner.found = Found::CellsOnly;
        }
        if owner.found == Found::EarlierBoot {
            // Before the arena is said to be of this boot: a successor of an owner that is killed here must not spend on.
            owner.close_all()?;
        }
        owner.control.set(Field::Boot, env.boot)?;
        owner.control.set(Field::OwnerPid, u64::from(env.pid))?;
        owner.control.set(Field::HeartbeatAtMs, env.now_ms)?;
        Ok(owner)
    }

    pub fn seq(&self) -> Result<u64> {
        Ok(self.control.get(Field::Seq)?)
    }

    /// The arena's id.
    pub fn arena(&self) -> u64 {
        self.arena
    }

    pub fn customers(&self) -> u64 {
        self.customers
    }

    pub fn digest(&self) -> u64 {
        self.digest
    }

    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    pub fn heartbeat(&self, now_ms: u64) -> Result<()> {
        Ok(self.control.set(Field::HeartbeatAtMs, now_ms)?)
    }

    /// Finds which cells are in use, and for whom.
    fn scan_cells(&mut self) -> Result<()> {
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

    fn lease_number(&self, index: u32) -> Result<u32> {
        Ok(self.segments.cell(index)?.totals()?.map_or(0, |t| t.lease))
    }

    /// Publishes the leases that a former owner opened and was killed before their rows said so.
    fn publish_missing_refs(&mut self) -> Result<()> {
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
    fn adopt_rows(&mut self) -> Result<()> {
        let generation = self.control.get(Field::Generation)?;
        let region = MapRegion::open(&rows_path(&self.dir, generation), Access::Write)?;
        let g = Generation::open(region, self.arena, generation)?;
        if g.catalog != self.catalog_hash {
            return Err(Error::Corrupt("rows of another catalog"));
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
        (self.digest, self.customers, self.aliases) = (digest, customers, aliases);
        self.rows = Some(g);
        Ok(())
    }

    /// The profile of a combination, made and appended by `append` when it is met first.
    fn profile(
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
    fn phases(
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

    /// The refs of a customer's open leases.
    fn refs(&self, number: u32) -> Result<Vec<Ref>> {
        if self.cells.is_empty() {
            return Ok(Vec::new());
        }
        let mut refs = Vec::new();
        for (pool, p) in self.catalog.pools.iter().enumerate() {
            if let Some(cell) = self.cells.get(&(number, hash_bytes(p.name.as_bytes()))) {
                let lease = self.lease_number(*cell)?;
                refs.push(Ref {
                    pool,
                    cell: *cell,
                    lease,
                });
            }
        }
        Ok(refs)
    }

    /// Turns a record into its rows: the customer's own, then one for each alias.
    fn drafts(
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
        self.profiles.clear();
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
        for chunk in chunks {
            let mut rest = chunk;
            while !rest.is_empty() {
                let (customer, bytes, tail) = customer::decode(rest)?;
                rest = tail;
                if customer.deleted {
                    continue;
                }
                let record = hash_bytes(bytes);
                self.drafts(
                    &customer,
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
            }
        }
        bound_number(highest, count)?;
        let capacity = room_for(places.len(), highest, heap.len() + base as usize);
        let fresh = self.fresh_generation(capacity, &defaults)?;
        fresh.append(&heap)?;
        for (place, number) in places {
            let words = &heap[(place - base) as usize..];
            let row = Row::load(words, 0)?;
            let key = crate::key::read_name(words, row::HEADER_WORDS, row.key_len())?;
            fresh.publish(Key::new(&key).ok_or(Corrupt)?, place)?;
            if number != 0 {
                fresh.publish_number(number, place)?;
            }
        }
        self.aliases = aliases;
        self.install(fresh)?;
        self.announce(digest, count, epoch, seq)?;
        Ok(count)
    }

    /// Upserts records: all or nothing. Returns how many there were.
    pub fn put(&mut self, records: &[u8], epoch: u64, seq: u64, now_ms: i64) -> Result<u64> {
        // First everything that can fail for a reason in the records.
        let mut customers = Vec::new();
        let mut rest = records;
        while !rest.is_empty() {
            let (customer, bytes, tail) = customer::decode(rest)?;
            if !customer.deleted {
                Sources::of(&self.catalog, &customer)?;
                bound_number(customer.number, self.customers)?;
            }
            customers.push((customer, hash_bytes(bytes)));
            rest = tail;
        }
        let (mut digest, mut count) = (self.digest, self.customers);
        for (customer, record) in &customers {
            let rows = self
                .rows
                .as_ref()
                .ok_or(Error::Corrupt("no rows are loaded"))?;
            let old = rows
                .by_number(customer.number)?
                .map(|row| row.record(rows.region()))
                .transpose()?;
            if let Some(old) = old {
                digest = digest.wrapping_sub(old);
                count -= 1;
            }
            if !customer.deleted {
                digest = digest.wrapping_add(*record);
                count += 1;
            }
            self.put_one(customer, *record, now_ms)?;
        }
        self.announce(digest, count, epoch, seq)?;
        Ok(customers.len() as u64)
    }

    fn put_one(&mut self, customer: &Customer<'_>, record: u64, now_ms: i64) -> Result<()> {
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
    fn publish_customer(
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
    fn gone(&self, rows: &Generation<MapRegion>, customer: &Customer<'_>) -> Result<Vec<Vec<u8>>> {
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

    /// A new, empty generation file under a temporary name.
    fn fresh_generation(
        &self,
        capacity: Capacity,
        defaults: &[u64],
    ) -> Result<Generation<MapRegion>> {
        let generation = match self.control.get(Field::Generation)? {
            // Given up, or damaged: no number near the former ones, so that a reader that slept through it does not take
            // the new file for the one it has mapped.
            last if last >= GENERATION_MAX => (self.seed >> 8) | 1,
            last => last + 1,
        };
        let path = rows_path(&self.dir, generation).with_extension("new");
        let _ = std::fs::remove_file(&path);
        let plan = Plan::new(&self.catalog, self.seed, capacity)?;
        let region = MapRegion::create(&path, plan.words())?;
        Generation::format(
            region,
            plan,
            self.arena,
            generation,
            self.catalog_hash,
            defaults,
        )
    }

    /// Gives a complete generation its name and makes it the current one.
    fn publish_generation(&self, fresh: &Generation<MapRegion>) -> Result<()> {
        let path = rows_path(&self.dir, fresh.generation);
        rename(&path.with_extension("new"), &path)?;
        let old = self.control.get(Field::Generation)?;
        self.control.set(Field::Generation, fresh.generation)?;
        if old != 0 {
            // Mappings of it live on; the kernel frees it with the last one.
            let _ = std::fs::remove_file(rows_path(&self.dir, old));
        }
        Ok(())
    }

    fn install(&mut self, fresh: Generation<MapRegion>) -> Result<()> {
        self.publish_generation(&fresh)?;
        self.rows = Some(fresh);
        Ok(())
    }

    /// A larger generation with the same rows, without what is no longer reachable.
    fn grown(
        &mut self,
        old: &Generation<MapRegion>,
        number: u32,
        extra_words: usize,
    ) -> Result<Generation<MapRegion>> {
        let pools = old.pools();
        let (mut rows, mut words, mut highest) = (0, 0, number);
        let mut profiles = HashSet::new();
        old.for_each_row(|row| {
            if row.kind() != RowKind::Gone as u64 {
                rows += 1;
                words += row.words();
                highest = highest.max(row.number());
            }
            if row.kind() == RowKind::Customer as u64 {
                match row.profile() {
                    Some(place) => profiles.extend([place]),
                    None => {
                        let phases = row.parts(old.region(), pools)?.phases;
                        profiles.extend(phases.iter().map(|p| p.profile));
                    }
                }
            }
            Ok(())
        })?;
        for place in profiles {
            words += read_block(old.region(), old.heap_at() + place as usize)?.len();
        }
        let catalog = &self.catalog;
        let none = Sources::default();
        let defaults = entry::profile(catalog, |f| none.resolve(catalog, f, 0));
        let widest = defaults.len();
        let mut capacity = room_for(rows, highest, words + (self.profiles.len() + 256) * widest);
        capacity.heap_words += extra_words;
        let fresh = self.fresh_generation(capacity, &defaults)?;
        // Old place of a profile -> new place.
        let mut moved: HashMap<u64, u64> = HashMap::new();
        old.for_each_row(|row| {
            if row.kind() == RowKind::Gone as u64 {
                return Ok(());
            }
            let mut parts = row.parts(old.region(), pools)?;
            for phase in &mut parts.phases {
                phase.profile = match moved.get(&phase.profile) {
                    Some(place) => *place,
                    None if parts.kind == RowKind::Alias as u64 => 0,
                    None => {
                        let block =
                            read_block(old.region(), old.heap_at() + phase.profile as usize)?;
                        let place = fresh.append(&block)?;
                        moved.insert(phase.profile, place);
                        place
                    }
                };
            }
            let key = Key::new(&parts.key).ok_or(Corrupt)?;
            let kind = if parts.kind == RowKind::Alias as u64 {
                RowKind::Alias
            } else {
                RowKind::Customer
            };
            let phases: &[Phase] = if kind == RowKind::Alias {
                &[]
            } else {
                &parts.phases
            };
            let words = row::encode(
                kind,
                parts.number,
                key,
                parts.record,
                &parts.refs,
                pools,
                phases,
            )?;
            let place = fresh.append(&words)?;
            fresh.publish(key, place)?;
            if kind == RowKind::Customer {
                fresh.publish_number(parts.number, place)?;
            }
            Ok(())
        })?;
        self.profiles.retain(|_, place| match moved.get(place) {
            Some(new) => {
                *place = *new;
                true
            }
            None => false,
        });
        self.publish_generation(&fresh)?;
        Ok(fresh)
    }

    fn announce(&mut self, digest: u64, customers: u64, epoch: u64, seq: u64) -> Result<()> {
        (self.digest, self.customers) = (digest, customers);
        self.control.set(Field::Digest, digest)?;
        self.control.set(Field::Customers, customers)?;
        self.control.set(Field::Epoch, epoch)?;
        self.control.set(Field::Seq, seq)?;
        Ok(())
    }

    fn pool_id(&self, pool: &str) -> u64 {
        hash_bytes(pool.as_bytes())
    }

    /// A cell that no lease uses.
    fn take_cell(&mut self) -> Result<u32> {
        if let Some(index) = self.free.pop() {
            return Ok(index);
        }
        let index = self.next_cell;
        let segment = index as usize >> CELL_BITS;
        if segment >= SEGMENTS_MAX {
            return Err(Error::Full("cells"));
        }
        if segment >= self.segment_count {
            self.segments.create(segment, CELLS, hold::HOLDS_MAX)?;
            self.segment_count = segment + 1;
            self.control
                .set(Field::Segments, self.segment_count as u64)?;
        }
        self.next_cell += 1;
        Ok(index)
    }

    /// Opens the cell of (customer, pool) for a lease and publishes it in the customer's row.
    pub fn open_cell(&mut self, pool: &str, lease: Lease) -> Result<()> {
        let id = self.pool_id(pool);
        let lease = Lease { pool: id, ..lease };
        if lease.granted > TOTAL_MAX / 2 {
            return Err(Error::Full(
                "one lease holds at most 2^47 units; lend the rest with the next one",
            ));
        }
        let key = (lease.number, id);
        let mut index = match self.cells.get(&key) {
            Some(index) => *index,
            None => self.take_cell()?,
        };
        let cell = self.segments.cell(index)?;
        if let Some(t) = cell.totals()? {
            if t.lease == lease.lease && t.number == lease.number && t.pool == id && !t.closed {
                return self.publish_refs(lease.number); // Opened before; the row may not have been.
            }
        }
        if cell.headroom()? < lease.granted {
            // The totals are nearly used up: this cell is never used again.
            index = self.take_cell()?;
        }
        let segment = self.segments.get(index as usize >> CELL_BITS)?;
        segment
            .cell(index as usize & (CELLS - 1))?
            .open(&segment.holds()?, &lease)?;
        self.cells.insert(key, index);
        self.publish_refs(lease.number)
    }

    /// Publishes a customer's row again, with the leases it has now.
    fn publish_refs(&mut self, number: u32) -> Result<()> {
        let refs = self.refs(number)?;
        let mut rows = self
            .rows
            .take()
            .ok_or(Error::Corrupt("no rows are loaded"))?;
        let done = (|| {
            if !rows.has_room(0, row::ROW_WORDS_MAX, number)? {
                rows = self.grown(&rows, number, 0)?;
            }
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
        })();
        self.rows = Some(rows);
        done
    }

    /// Raises what is lent to an absolute total. `false`: that lease is not open.
    pub fn raise_cell(
        &self,
        number: u32,
        pool: &str,
        lease: u32,
        granted: u64,
        full: bool,
    ) -> Result<bool> {
        match self.cells.get(&(number, self.pool_id(pool))) {
            None => Ok(false),
            Some(index) => {
                self.segments
                    .cell(*index)?
                    .raise(cell::identity(number, lease), granted, full)
            }
        }
    }

    /// Closes a lease. `None`: there is no cell for it.
    pub fn close_cell(&mut self, number: u32, pool: &str, lease: u32) -> Result<Option<Totals>> {
        let Some(index) = self.cells.get(&(number, self.pool_id(pool))) else {
            return Ok(None);
        };
        let cell = self.segments.cell(*index)?;
        match cell.totals()? {
            Some(t) if t.lease == lease => cell.close(),
            _ => Ok(None),
        }
    }

    /// One lease. `None`: there is no cell for it.
    pub fn totals(&self, number: u32, pool: &str, lease: u32) -> Result<Option<Totals>> {
        let Some(index) = self.cells.get(&(number, self.pool_id(pool))) else {
            return Ok(None);
        };
        Ok(self
            .segments
            .cell(*index)?
            .totals()?
            .filter(|t| t.lease == lease))
    }

    /// All leases, or those whose totals moved since the last such call.
    pub fn cells(&mut self, changed_only: bool) -> Result<Vec<NamedTotals>> {
        let mut all = Vec::new();
        let unused: HashSet<u32> = self.free.iter().copied().collect();
        for index in 0..self.next_cell {
            let Some(totals) = self.segments.cell(index)?.totals()? else {
                continue;
            };
            let now = (totals.spent, totals.returned, totals.closed);
            if changed_only {
                let key = (u64::from(totals.lease) << 1) ^ now.0;
                let stamp = (key, now.1, now.2);
                if self.reported.insert(index, stamp) == Some(stamp) {
                    continue;
                }
            }
            if unused.contains(&index) && changed_only {
                continue;
            }
            let pool = self
                .pool_names
                .get(&totals.pool)
                .cloned()
                .unwrap_or_else(|| format!("#{:016x}", totals.pool));
            all.push(NamedTotals { pool, totals });
        }
        Ok(all)
    }

    /// Ends reservations that expired or whose process died. Returns how many, and what is to be booked by the caller.
    pub fn sweep(
        &self,
        now_ms: u64,
        mut alive: impl FnMut(u32, u64) -> bool,
    ) -> Result<(usize, Vec<(usize, LateReturn)>)> {
        let (mut ended, mut all) = (0, Vec::new());
        for segment in 0..self.segment_count {
            let mut late = Vec::new();
            ended += self
                .segments
                .get(segment)?
                .holds()?
                .sweep(now_ms, &mut alive, &mut late)?;
            all.extend(late.into_iter().map(|l| (segment, l)));
        }
        Ok((ended, all))
    }

    /// Usage records of all processes of the host, at most `limit`; they come again until acknowledged.
    pub fn drain_journal(
        &mut self,
        limit: usize,
        alive: impl FnMut(u32, u64) -> bool,
    ) -> Result<Vec<journal::Record>> {
        self.drain.read(&self.dir, limit, alive)
    }

    /// The records drained last are stored.
    pub fn ack_journal(&mut self) -> Result<()> {
        self.drain.ack()
    }

    /// The late return is in the ledger.
    pub fn booked(&self, segment: usize, late: &LateReturn) -> Result<()> {
        Ok(self.segments.get(segment)?.holds()?.booked(late)?)
    }

    /// Whether the files in the directory are no longer those that are mapped here: deleted or replaced from outside.
    /// Control by its whole header, the others by who they say they are: a process that attaches needs them all.
    pub fn is_detached(&self) -> bool {
        let path = control_path(&self.dir);
        let same = MapRegion::open(&path, Access::Read)
            .and_then(|r| Control::open(r, &path))
            .is_ok_and(|control| control.get(Field::Arena) == Ok(self.arena));
        let rows_same = self.rows.as_ref().is_none_or(|rows| {
            let words = first_words(&rows_path(&self.dir, rows.generation));
            words.is_some_and(|w| w[2..] == [self.arena, rows.generation])
        });
        let cells_same = (0..self.segment_count).all(|index| {
            let words = first_words(&cells_path(&self.dir, index));
            words.is_some_and(|w| w[1..3] == [self.arena, index as u64])
        });
        !(same && rows_same && cells_same)
    }

    fn close_all(&self) -> Result<()> {
        for index in 0..self.next_cell {
            let cell = self.segments.cell(index)?;
            if cell.totals()?.is_some() {
                cell.close()?;
            }
        }
        Ok(())
    }

    /// Gives the arena up: closes all leases and tells its readers to attach again. The totals are final.
    pub fn retire(&mut self) -> Result<Vec<NamedTotals>> {
        self.close_all()?;
        self.control.set(Field::Generation, RETIRED)?;
        self.cells(false)
    }

    pub fn pool_name(&self, id: u64) -> Option<&str> {
        self.pool_names.get(&id).map(String::as_str)
    }
}

/// The words with which a rows or cells file says whose it is.
fn first_words(path: &Path) -> Option<[u64; 4]> {
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

/// Appends blocks to a heap that is still in memory.
fn appender(heap: &mut Vec<u64>, base: u64) -> impl FnMut(&[u64]) -> Result<u64> {
    move |words| {
        let place = base + heap.len() as u64;
        heap.extend_from_slice(words);
        Ok(place)
    }
}

/// Reads a profile, checked: its header says how long it is.
fn read_block<W: Words>(region: &W, at: usize) -> Result<Vec<u64>> {
    use crate::sync::Ordering;
    // Relaxed (both): blocks are immutable, and the owner wrote them.
    let len = entry::block_words(region.load(at, Ordering::Relaxed)?);
    if len == 0 || len > region.words() {
        return Err(Corrupt.into());
    }
    let words = (0..len)
        .map(|i| region.load(at + i, Ordering::Relaxed))
        .collect::<std::result::Result<Vec<_>, _>>()?;
    if !entry::is_sealed(&words) {
        return Err(Error::Corrupt("a profile does not match its check"));
    }
    Ok(words)
}

/// Refuses a customer number far beyond the count of customers: the table of numbers has a word for each below it.
fn bound_number(number: u32, customers: u64) -> Result<()> {
    let most = customers.saturating_mul(NUMBERS_PER_CUSTOMER) + NUMBERS_SPARE;
    if u64::from(number) > most {
        return Err(Error::Invalid(format!(
            "customer number {number} is too far ahead of {customers} customers: numbers are given one after the other"
        )));
    }
    Ok(())
}

/// Room for that many keys, numbers and words, and for as much again before the next generation is due.
fn room_for(rows: usize, highest: u32, heap_words: usize) -> Capacity {
    Capacity {
        slots: rows + rows / 2 + 1024,
        numbers: highest as usize + highest as usize / 4 + 1024,
        heap_words: heap_words * 2 + (1 << 19),
    }
}

fn adopt_control(dir: &Path) -> Result<Control<MapRegion>> {
    let path = control_path(dir);
    Control::open(MapRegion::open(&path, Access::Write)?, &path)
}

/// Makes a new arena. What may be left of a former one is set aside.
fn make_control(dir: &Path, env: Environment) -> Result<Control<MapRegion>> {
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
fn set_aside(dir: &Path) -> Result<()> {
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

#[cfg(test)]
#[path = "owner_tests.rs"]
mod tests;
