//! Some of many customers: the ledger's truth as a plain map, a set of who is held, and the owner beside them, compared
//! after every step.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use tempfile::TempDir;

use super::drafts::Drafts;
use super::*;
use crate::arena::View;
use crate::cell::{Lease, NO_INSTANT};
use crate::check::{self, Answer};
use crate::key::{Key, hash_bytes};
use crate::paths::rows_path;
use crate::region::Words;
use crate::row::Row;
use crate::testing::{self, At, CREDITS, NOW_MS, Record};

const CAPACITY: u32 = 6;
/// As a ledger of any size gives them: the table that they lead to has room for a handful.
const NUMBERS: [u32; 10] = [
    1,
    2,
    3,
    77,
    9_999_999,
    10_000_000,
    123_456_789,
    4_000_000_000,
    u32::MAX - 2,
    u32::MAX - 1,
];
const ALIASES: usize = 5;

fn environment(random: u64) -> Environment {
    Environment {
        boot: 7,
        random,
        pid: 1,
        now_ms: NOW_MS as u64,
        steady_ms: 1,
    }
}

fn open(dir: &Path, capacity: u32) -> Owner {
    let catalog = testing::plain_catalog();
    Owner::open_on_demand(dir, catalog, 11, environment(0x5eed_5eed), capacity).unwrap()
}

fn alias(index: usize) -> String {
    format!("alias-{index}")
}

fn customer(number: u32, plan: usize) -> Record {
    Record::plain(number, &format!("customer-{number}"), plan)
}

fn lookup(view: &View, key: &str) -> Option<u32> {
    view.rows
        .customer(Key::new(key.as_bytes()).unwrap())
        .unwrap()
        .map(Row::number)
}

#[derive(Clone, Debug)]
enum Step {
    /// The ledger changes a customer; it may take an alias, and then whoever had it is in the same change, first or last.
    Change(usize, usize, Option<usize>, bool),
    Rename(usize),
    Delete(usize),
    Find(Vec<usize>),
    Look(usize),
    Lend(usize),
    Close(usize),
    Evict(u64),
    Grow,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let n = 0..NUMBERS.len();
    prop_oneof![
        6 => (n.clone(), 0usize..3, prop::option::of(0..ALIASES), any::<bool>())
            .prop_map(|(n, plan, alias, first)| Step::Change(n, plan, alias, first)),
        1 => n.clone().prop_map(Step::Rename),
        2 => n.clone().prop_map(Step::Delete),
        6 => prop::collection::vec(n.clone(), 1..5).prop_map(Step::Find),
        4 => n.clone().prop_map(Step::Look),
        2 => n.clone().prop_map(Step::Lend),
        1 => n.prop_map(Step::Close),
        2 => (0u64..8).prop_map(Step::Evict),
        1 => Just(Step::Grow),
        1 => Just(Step::Reopen),
    ]
}

struct Running {
    dir: TempDir,
    owner: Option<Owner>,
    view: View,
    seq: u64,
    /// What the ledger knows.
    world: BTreeMap<u32, Record>,
    /// Who has a row here, and when it was last written.
    held: BTreeMap<u32, u64>,
    leased: BTreeMap<u32, u32>,
    leases: u32,
    written: u64,
}

impl Running {
    fn new() -> Running {
        let dir = TempDir::new().unwrap();
        let mut owner = open(dir.path(), CAPACITY);
        owner.load([], 1, 1, NOW_MS).unwrap();
        let view = View::attach(dir.path()).unwrap();
        Running {
            dir,
            owner: Some(owner),
            view,
            seq: 1,
            world: BTreeMap::new(),
            held: BTreeMap::new(),
            leased: BTreeMap::new(),
            leases: 0,
            written: 0,
        }
    }

    fn owner(&mut self) -> &mut Owner {
        self.owner.as_mut().unwrap()
    }

    fn wrote(&mut self, number: u32) {
        self.written += 1;
        self.held.insert(number, self.written);
    }

    fn change(&mut self, records: &[Record]) {
        self.seq += 1;
        let bytes: Vec<u8> = records.iter().flat_map(Record::bytes).collect();
        let seq = self.seq;
        let concerned = self.owner().put_held(&bytes, 3, seq, NOW_MS).unwrap();
        let numbers: Vec<u32> = records.iter().map(|r| r.number).collect();
        let keys = records
            .iter()
            .flat_map(|r| std::iter::once(&r.id).chain(&r.aliases));
        assert_eq!(concerned.numbers, numbers);
        assert_eq!(concerned.keys, keys.cloned().collect::<Vec<_>>());
        for record in records {
            if record.deleted {
                self.world.remove(&record.number);
                self.held.remove(&record.number);
            } else {
                self.world.insert(record.number, record.clone());
                if self.held.contains_key(&record.number) {
                    self.wrote(record.number);
                }
            }
        }
    }

    /// Who goes, said the obvious way.
    fn evicted(&mut self, target: u64) -> BTreeSet<u32> {
        let excess = (self.held.len() as u64).saturating_sub(target) as usize;
        let touched = &self
            .owner
            .as_ref()
            .unwrap()
            .demand
            .as_ref()
            .unwrap()
            .touched;
        let mut order: Vec<(bool, u64, u32)> = self
            .held
            .iter()
            .filter(|(number, _)| !self.leased.contains_key(number))
            .map(|(number, age)| (touched.is_marked(*number).unwrap(), *age, *number))
            .collect();
        order.sort_unstable();
        order.truncate(excess);
        order.into_iter().map(|(_, _, number)| number).collect()
    }

    fn forget(&mut self, going: &BTreeSet<u32>) {
        self.held.retain(|number, _| !going.contains(number));
        if !going.is_empty() {
            let touched = &self
                .owner
                .as_ref()
                .unwrap()
                .demand
                .as_ref()
                .unwrap()
                .touched;
            assert!(!NUMBERS.iter().any(|n| touched.is_marked(*n).unwrap()));
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Change(n, plan, taken, first) => {
                let number = NUMBERS[*n];
                let mut record = customer(number, *plan);
                if let Some(known) = self.world.get(&number) {
                    (record.id, record.aliases) = (known.id.clone(), known.aliases.clone());
                }
                let mut records = Vec::new();
                if let Some(taken) = taken.map(alias) {
                    let owner = self.world.values().find(|r| r.aliases.contains(&taken));
                    if let Some(mut loser) = owner.filter(|r| r.number != number).cloned() {
                        loser.aliases.retain(|a| *a != taken);
                        records.push(loser);
                    }
                    if !record.aliases.contains(&taken) {
                        record.aliases.push(taken);
                    }
                }
                records.insert(if *first { 0 } else { records.len() }, record);
                self.change(&records);
            }
            Step::Rename(n) => {
                if let Some(mut record) = self.world.get(&NUMBERS[*n]).cloned() {
                    record.id.push('\'');
                    self.change(&[record]);
                }
            }
            Step::Delete(n) => {
                if let Some(mut record) = self.world.get(&NUMBERS[*n]).cloned() {
                    record.deleted = true;
                    self.leased.remove(&record.number);
                    self.close(record.number);
                    self.change(&[record]);
                }
            }
            Step::Find(wanted) => {
                let wanted: BTreeSet<u32> = wanted.iter().map(|n| NUMBERS[*n]).collect();
                let records: Vec<Record> = wanted
                    .iter()
                    .filter_map(|n| self.world.get(n).cloned())
                    .collect();
                let fresh = records
                    .iter()
                    .filter(|r| !self.held.contains_key(&r.number))
                    .count();
                if self.held.len() + fresh > CAPACITY as usize {
                    let going = self.evicted(u64::from(CAPACITY).saturating_sub(fresh as u64));
                    self.find(&records);
                    self.forget(&going);
                } else {
                    self.find(&records);
                }
                for record in &records {
                    self.wrote(record.number);
                }
            }
            Step::Look(n) => {
                let number = NUMBERS[*n];
                if let Some(record) = self.world.get(&number)
                    && lookup(&self.view, &record.id).is_some()
                {
                    self.view.mark(number);
                    let touched = &self
                        .owner
                        .as_ref()
                        .unwrap()
                        .demand
                        .as_ref()
                        .unwrap()
                        .touched;
                    assert!(touched.is_marked(number).unwrap());
                }
            }
            Step::Lend(n) => {
                let number = NUMBERS[*n];
                if self.held.contains_key(&number) && !self.leased.contains_key(&number) {
                    self.leases += 1;
                    let lease = Lease {
                        number,
                        lease: self.leases,
                        pool: 0,
                        granted: 10,
                        valid_until_ms: NO_INSTANT,
                        full: true,
                    };
                    self.owner().open_cell(CREDITS, lease).unwrap();
                    self.leased.insert(number, lease.lease);
                    self.wrote(number);
                }
            }
            Step::Close(n) => {
                if let Some(lease) = self.leased.remove(&NUMBERS[*n]) {
                    let number = NUMBERS[*n];
                    let closed = self.owner().cells.close(number, CREDITS, lease).unwrap();
                    assert!(closed.is_some());
                }
            }
            Step::Evict(target) => {
                let going = self.evicted(*target);
                let gone = self.owner().evict(*target).unwrap();
                assert_eq!(gone, going.len() as u64);
                self.forget(&going);
            }
            Step::Grow => {
                self.owner().rows.grow(0, 0).unwrap();
            }
            Step::Reopen => {
                self.owner = None;
                let owner = open(self.dir.path(), CAPACITY);
                assert_eq!(owner.found, Inherited::Intact);
                self.owner = Some(owner);
            }
        }
    }

    fn close(&mut self, number: u32) {
        let open: Vec<u32> = self
            .owner()
            .cells
            .all(false)
            .unwrap()
            .iter()
            .filter(|t| t.totals.number == number && !t.totals.closed)
            .map(|t| t.totals.lease)
            .collect();
        for lease in open {
            self.owner().cells.close(number, CREDITS, lease).unwrap();
        }
    }

    fn find(&mut self, records: &[Record]) {
        let bytes: Vec<u8> = records.iter().flat_map(Record::bytes).collect();
        let (seq, count) = (self.seq, records.len() as u64);
        let owner = self.owner();
        assert_eq!(owner.put_found(&bytes, NOW_MS).unwrap(), count);
        assert_eq!(owner.seq().unwrap(), seq, "what is found moves no seq");
    }

    fn compare(&mut self) {
        if !self.view.is_current() {
            self.view = self.view.refreshed().unwrap();
        }
        let view = &self.view;
        let owner = self.owner.as_ref().unwrap();
        let numbers: Vec<u32> = self.held.keys().copied().collect();
        assert_eq!(owner.rows.held_numbers().unwrap(), numbers);
        assert_eq!(owner.rows.customers(), numbers.len() as u64);
        let digest = numbers.iter().fold(0u64, |sum, n| {
            sum.wrapping_add(hash_bytes(&self.world[n].bytes()))
        });
        assert_eq!(owner.rows.digest(), digest);
        let keys: Vec<(u32, String)> = numbers
            .iter()
            .map(|n| (*n, self.world[n].id.clone()))
            .collect();
        assert_eq!(owner.rows.held_keys(0, usize::MAX).unwrap(), keys);
        for number in NUMBERS {
            let here = self.held.contains_key(&number);
            let row = view.rows.by_number(number).unwrap();
            assert_eq!(row.map(Row::number), here.then_some(number));
            let Some(record) = self.world.get(&number) else {
                continue;
            };
            let expected = here.then_some(number);
            assert_eq!(lookup(view, &record.id), expected, "{}", record.id);
            let at = At(NOW_MS);
            let answer =
                check::check_named(&view.rows, &*view.cells, record.id.as_bytes(), b"sso", &at);
            let entitled = match (here, record.plan) {
                (false, _) => Answer::UnknownCustomer,
                (true, Some((0, _))) => Answer::NotEntitled,
                (true, _) => Answer::Allowed,
            };
            assert_eq!(answer, Ok(entitled));
            let model = check::check_named(
                &view.rows,
                &*view.cells,
                record.id.as_bytes(),
                b"model",
                &at,
            );
            let spends = self.leased.contains_key(&number) && entitled == Answer::Allowed;
            assert_eq!(model == Ok(Answer::Allowed), spends);
        }
        for key in (0..ALIASES).map(alias) {
            let of = self.world.values().find(|r| r.aliases.contains(&key));
            let here = of.map(|r| r.number).filter(|n| self.held.contains_key(n));
            assert_eq!(lookup(view, &key), here, "{key}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn who_is_held_answers_as_the_ledger_says_and_nobody_else_does(
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let mut running = Running::new();
        for step in &steps {
            running.step(step);
            running.compare();
        }
    }
}

/// An owner that holds customers 1 to `count`, put in that order, and has forgotten who was in use.
fn holding(capacity: u32, count: u32) -> (TempDir, Owner) {
    let dir = TempDir::new().unwrap();
    let mut owner = open(dir.path(), capacity);
    owner.load([], 1, 1, NOW_MS).unwrap();
    for number in 1..=count {
        owner
            .put_found(&customer(number, 1).bytes(), NOW_MS)
            .unwrap();
    }
    (dir, owner)
}

#[test]
fn who_is_in_use_stays_and_of_the_others_the_oldest_go() {
    let (dir, mut owner) = holding(1_000, 100);
    let view = View::attach(dir.path()).unwrap();
    for number in [1, 5, 50] {
        view.mark(number);
    }
    assert_eq!(owner.evict(20).unwrap(), 80);
    let held = owner.rows.held_numbers().unwrap();
    assert!([1, 5, 50].iter().all(|n| held.contains(n)), "{held:?}");
    // One in sixteen shares a bit with another, so a few that were not in use stay; of the rest the youngest do.
    assert!(held.iter().filter(|n| **n > 80).count() >= 14, "{held:?}");
    // Used before the last time only: nobody's use is remembered twice.
    assert_eq!(owner.evict(17).unwrap(), 3);
    assert!(!owner.rows.held_numbers().unwrap().contains(&1));
}

#[test]
fn customers_with_an_open_lease_are_never_evicted() {
    let (_dir, mut owner) = holding(8, 8);
    for number in 1..=8 {
        let lease = Lease {
            number,
            lease: number,
            pool: 0,
            granted: 10,
            valid_until_ms: NO_INSTANT,
            full: true,
        };
        owner.open_cell(CREDITS, lease).unwrap();
    }
    assert_eq!(owner.evict(0).unwrap(), 0);
    owner.put_found(&customer(9, 1).bytes(), NOW_MS).unwrap();
    assert_eq!(
        owner.rows.customers(),
        9,
        "more than are wanted, and all of them in use"
    );
    owner.cells.close(3, CREDITS, 3).unwrap();
    assert_eq!(owner.evict(0).unwrap(), 2);
    assert_eq!(owner.rows.held_numbers().unwrap(), [1, 2, 4, 5, 6, 7, 8]);
}

#[test]
fn what_is_held_stays_within_the_capacity_and_the_room_it_takes_follows() {
    let (dir, mut owner) = holding(100, 0);
    let mut largest = 0;
    for number in 1..2_000u32 {
        let record = customer(number.wrapping_mul(2_147_483_647) >> 1, 1);
        owner.put_found(&record.bytes(), NOW_MS).unwrap();
        assert!(owner.rows.customers() <= 100);
        largest = largest.max(owner.rows.generation().unwrap().region().words());
    }
    assert!(largest < 3 << 18, "{largest} words");
    let view = View::attach(dir.path()).unwrap();
    for number in owner.rows.held_numbers().unwrap() {
        assert_eq!(lookup(&view, &format!("customer-{number}")), Some(number));
    }
}

#[test]
fn vacated_places_of_numbers_are_used_again() {
    let (dir, mut owner) = holding(100, 50);
    let first = View::attach(dir.path()).unwrap();
    for round in 0..3_000u32 {
        let mut record = customer(1_000 + round, 1);
        owner.put_found(&record.bytes(), NOW_MS).unwrap();
        record.deleted = true;
        owner.put_held(&record.bytes(), 1, 2, NOW_MS).unwrap();
    }
    let view = View::attach(dir.path()).unwrap();
    assert!(
        !first.is_current(),
        "vacated words fill the table in the end"
    );
    assert_eq!(
        owner.rows.held_numbers().unwrap(),
        (1..=50).collect::<Vec<_>>()
    );
    assert!((1..=50).all(|n| view.rows.by_number(n).unwrap().is_some()));
    assert!(view.rows.by_number(1_500).unwrap().is_none());
}

#[test]
fn rows_of_the_other_mode_are_not_adopted() {
    let (dir, owner) = holding(100, 5);
    drop(owner);
    assert_eq!(
        open(dir.path(), 200).found,
        Inherited::Intact,
        "another capacity will do"
    );
    let catalog = testing::plain_catalog();
    let all = || Owner::open(dir.path(), catalog.clone(), 11, environment(5)).unwrap();
    let mut owner = all();
    assert_eq!(owner.found, Inherited::CellsOnly);
    assert!(!touched_path(dir.path()).exists());
    owner
        .load([&customer(1, 1).bytes()[..]], 1, 1, NOW_MS)
        .unwrap();
    assert!(owner.put_found(&[], NOW_MS).is_err());
    assert!(owner.put_held(&[], 1, 2, NOW_MS).is_err());
    assert!(owner.evict(0).is_err());
    drop(owner);
    assert_eq!(all().found, Inherited::Intact);
    assert_eq!(open(dir.path(), 100).found, Inherited::CellsOnly);
}

#[test]
fn a_refused_batch_of_either_kind_changes_nothing() {
    let (_dir, mut owner) = holding(100, 5);
    let before = (
        owner.rows.digest(),
        owner.rows.customers(),
        owner.seq().unwrap(),
    );
    let mut wrong = customer(3, 1).bytes();
    let at = wrong.windows(3).position(|w| w == b"pro").unwrap();
    wrong[at..at + 3].copy_from_slice(b"prx");
    let mut batch = customer(2, 0).bytes();
    batch.extend(&wrong);
    assert!(owner.put_held(&batch, 1, 9, NOW_MS).is_err());
    assert!(owner.put_found(&batch, NOW_MS).is_err());
    assert_eq!(
        (
            owner.rows.digest(),
            owner.rows.customers(),
            owner.seq().unwrap()
        ),
        before
    );
    // Of somebody who is not held the change is only read: the hub knows what it sent.
    let mut theirs = customer(77, 1).bytes();
    let at = theirs.windows(3).position(|w| w == b"pro").unwrap();
    theirs[at..at + 3].copy_from_slice(b"prx");
    assert!(owner.put_held(&theirs, 1, 9, NOW_MS).is_ok());
    assert!(owner.put_found(&theirs, NOW_MS).is_err());
}

#[test]
fn a_number_that_a_killed_owner_published_without_its_key_counts_for_nothing() {
    for capacity in [None, Some(100)] {
        let dir = TempDir::new().unwrap();
        let open = || match capacity {
            None => Owner::open(dir.path(), testing::plain_catalog(), 11, environment(5)).unwrap(),
            Some(capacity) => self::open(dir.path(), capacity),
        };
        let mut owner = open();
        owner
            .load([&customer(1, 1).bytes()[..]], 1, 1, NOW_MS)
            .unwrap();
        // As far as a kill between the two words of a new customer gets.
        let rows = owner.rows.generation().unwrap();
        let record = customer(2, 1);
        let mut append = |words: &[u64]| rows.append(words);
        let drafts = Drafts::new(testing::plain_catalog())
            .of(&record.customer(), 5, &[], NOW_MS, &mut append)
            .unwrap();
        let place = rows.append(&drafts[0].words).unwrap();
        rows.publish_number(2, place).unwrap();
        drop(owner);

        let mut owner = open();
        assert_eq!(owner.found, Inherited::Intact);
        assert!(
            View::attach(dir.path())
                .unwrap()
                .rows
                .by_number(2)
                .unwrap()
                .is_none()
        );
        owner.put(&record.bytes(), 1, 2, NOW_MS).unwrap();
        let sum = hash_bytes(&customer(1, 1).bytes()).wrapping_add(hash_bytes(&record.bytes()));
        assert_eq!((owner.rows.digest(), owner.rows.customers()), (sum, 2));
        drop(owner);
        assert_eq!(open().found, Inherited::Intact);
    }
}

/// Places of the words that only rows on demand have, and of some beside them.
fn damage() -> impl Strategy<Value = Vec<(u16, u64)>> {
    let word = prop_oneof![
        Just(0),
        Just(1),
        Just(u64::MAX),
        Just(u64::MAX - 1),
        1u64..4_000,
        any::<u64>(),
    ];
    prop::collection::vec((any::<u16>(), word), 1..20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever the words of the numbers say: a row is the number's own, or there is none, or an error; and the next owner
    /// adopts or begins anew.
    #[test]
    fn damaged_numbers_lead_to_no_wrong_row(words in damage()) {
        use std::os::unix::fs::FileExt;
        let (dir, owner) = holding(100, 30);
        let generation = owner.rows.generation().unwrap().generation;
        let path = rows_path(dir.path(), generation);
        drop(owner);
        let file = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let mut header = [0u8; 8];
        file.read_exact_at(&mut header, 14 * 8).unwrap();
        let numbers_at = u64::from_ne_bytes(header);
        file.read_exact_at(&mut header, 15 * 8).unwrap();
        let numbers = u64::from_ne_bytes(header);
        for (at, word) in &words {
            let place = numbers_at + u64::from(*at) % numbers;
            file.write_all_at(&word.to_ne_bytes(), place * 8).unwrap();
        }
        let view = View::attach(dir.path()).unwrap();
        for number in 1..=40 {
            if let Ok(Some(row)) = view.rows.by_number(number) {
                prop_assert_eq!(row.number(), number);
                prop_assert!(number <= 30);
            }
        }
        let mut owner = open(dir.path(), 100);
        if owner.found != Inherited::Intact {
            owner.load([], 1, 2, NOW_MS).unwrap();
        }
        owner.put_found(&customer(31, 1).bytes(), NOW_MS).unwrap();
        owner.evict(10).unwrap();
        let view = View::attach(dir.path()).unwrap();
        for number in owner.rows.held_numbers().unwrap() {
            prop_assert_eq!(lookup(&view, &format!("customer-{number}")), Some(number));
            prop_assert_eq!(view.rows.by_number(number).unwrap().map(Row::number), Some(number));
        }
    }
}
