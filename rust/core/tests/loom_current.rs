//! Publish, read, remap under every order of memory that the language allows (within the bounds below).
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p fastcheck-core --release --test 'loom_*'`
//!
//! Each model counts its executions and asserts that the interesting outcomes were all met; see `docs/guarantees.md`
//! for the figures.

#![cfg(loom)]

mod loom_support;

use std::sync::Arc;

use fastcheck_core::catalog::{Catalog, Feature, Kind, Setting, Staleness};
use fastcheck_core::parts::{
    CONTROL_WORDS, Capacity, Control, Generation, Phase, Plan, encode_row, profile,
};
use fastcheck_core::{Current, Field, Key, RowKind, Sources};
use loom::cell::UnsafeCell;
use loom::thread;
use loom_support::{Outcomes, Racing, explore};

/// A value whose dropping is a write, so that loom reports a drop that races with a read.
struct Value {
    number: UnsafeCell<u64>,
}

// SAFETY: the cell is only read through `with` and written by `drop`; that these never race is what loom checks here.
unsafe impl Sync for Value {}
// SAFETY: as above.
unsafe impl Send for Value {}

impl Value {
    fn new(number: u64) -> Value {
        Value {
            number: UnsafeCell::new(number),
        }
    }

    fn read(&self) -> u64 {
        // SAFETY: loom checks that nobody writes meanwhile.
        self.number.with(|n| unsafe { *n })
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        // SAFETY: loom checks that nobody reads meanwhile.
        self.number.with_mut(|n| unsafe { *n = 0 });
    }
}

#[test]
fn a_pinned_value_is_not_dropped() {
    let seen = Outcomes::new();
    let tally = seen.clone();
    explore(3, move || {
        let current = Arc::new(Current::new(Value::new(1)));
        let readers: Vec<_> = (0..2)
            .map(|stripe| {
                let current = Arc::clone(&current);
                thread::spawn(move || {
                    let pin = current.pin(stripe);
                    (pin.read(), pin.read())
                })
            })
            .collect();
        current.replace(Value::new(2));
        let waiting = current.collect();
        for reader in readers {
            let (first, again) = reader.join().unwrap();
            assert_eq!(first, again);
            tally.met(format!("read {first}"));
        }
        tally.met(format!("{waiting} waiting"));
        assert_eq!(current.collect(), 0, "nobody reads any more");
    });
    seen.must_hold(&["read 1", "read 2", "0 waiting", "1 waiting"]);
}

#[test]
fn a_value_replaced_twice_is_dropped_once() {
    let seen = Outcomes::new();
    let tally = seen.clone();
    explore(3, move || {
        let current = Arc::new(Current::new(Value::new(1)));
        let reader = {
            let current = Arc::clone(&current);
            thread::spawn(move || {
                let first = current.pin(0).read();
                (first, current.pin(0).read())
            })
        };
        current.replace(Value::new(2));
        current.replace(Value::new(3));
        let (first, then) = reader.join().unwrap();
        assert!(first <= then && (1..=3).contains(&first));
        tally.met(format!("{first}, {then}"));
    });
    seen.must_hold(&["1, 1", "1, 2", "1, 3", "2, 2", "2, 3", "3, 3"]);
}

fn catalog() -> Catalog {
    Catalog {
        features: vec![Feature {
            name: "f".into(),
            description: String::new(),
            kind: Kind::Switch,
            default: Setting::Off,
            pool: None,
            rates: vec![],
            period: None,
            staleness: Staleness::default(),
        }],
        ..Catalog::default()
    }
}

const SEED: u64 = 3;

fn generation(number: u64) -> Generation<Racing> {
    let capacity = Capacity {
        slots: 2,
        numbers: 2,
        heap_words: 32,
    };
    let catalog = catalog();
    let plan = Plan::new(&catalog, SEED, capacity).unwrap();
    let none = Sources::default();
    let defaults = profile(&catalog, |f| none.resolve(&catalog, f, 0));
    Generation::format(Racing::new(plan.words()), plan, 9, number, 8, &defaults).unwrap()
}

fn row_words(record: u64) -> Vec<u64> {
    let phase = Phase {
        until_ms: None,
        profile: 1,
        overlay: None,
    };
    encode_row(RowKind::Customer, 1, key(), record, &[], 0, &[phase]).unwrap()
}

fn key() -> Key<'static> {
    Key::new(b"acme").unwrap()
}

/// The record of the row that a reader finds, its check compared; zero for none.
fn read_row(g: &Generation<Racing>) -> u64 {
    match g.find(key(), g.hash(key())).unwrap() {
        None => 0,
        Some(row) => {
            let parts = row
                .parts(g.region(), 0)
                .expect("a row that can be found is whole");
            assert_eq!(parts.key, b"acme");
            parts.record
        }
    }
}

#[test]
fn a_reader_finds_no_row_the_old_one_or_the_new_one() {
    let seen = Outcomes::new();
    let tally = seen.clone();
    explore(2, move || {
        loom::stop_exploring();
        let g = Arc::new(generation(1));
        loom::explore();
        let reader = {
            let g = Arc::clone(&g);
            thread::spawn(move || (read_row(&g), read_row(&g)))
        };
        for record in [1, 2] {
            let place = g.append(&row_words(record)).unwrap();
            g.publish(key(), place).unwrap();
        }
        let (first, then) = reader.join().unwrap();
        assert!(first <= then && then <= 2);
        tally.met(format!("{first}, {then}"));
    });
    seen.must_hold(&["0, 0", "0, 1", "0, 2", "1, 1", "1, 2", "2, 2"]);
}

/// A reader that sees the new generation's number finds all of that file, and keeps the old one while it reads it.
#[test]
fn a_reader_that_remaps_finds_the_new_generation_whole() {
    struct Mapped {
        generation: u64,
        live: Value,
        rows: Arc<Generation<Racing>>,
    }
    let seen = Outcomes::new();
    let tally = seen.clone();
    explore(1, move || {
        loom::stop_exploring();
        let control = Arc::new(Control::format(Racing::new(CONTROL_WORDS), 9, 1).unwrap());
        let old = Arc::new(generation(1));
        let place = old.append(&row_words(1)).unwrap();
        old.publish(key(), place).unwrap();
        control.set(Field::Generation, 1).unwrap();
        let fresh = Arc::new(generation(2));
        let current = Arc::new(Current::new(Mapped {
            generation: 1,
            live: Value::new(1),
            rows: old,
        }));
        loom::explore();
        let reader = {
            let (control, current) = (Arc::clone(&control), Arc::clone(&current));
            let fresh = Arc::clone(&fresh);
            thread::spawn(move || {
                let newest = control.get(Field::Generation).unwrap();
                if newest != current.pin(0).generation {
                    current.replace(Mapped {
                        generation: newest,
                        live: Value::new(newest),
                        rows: fresh,
                    });
                }
                let pin = current.pin(0);
                assert_eq!(pin.live.read(), pin.generation);
                (newest, read_row(&pin.rows))
            })
        };
        let second = {
            let current = Arc::clone(&current);
            thread::spawn(move || {
                let pin = current.pin(0);
                assert_eq!(pin.live.read(), pin.generation);
            })
        };
        let place = fresh.append(&row_words(2)).unwrap();
        fresh.publish(key(), place).unwrap();
        control.set(Field::Generation, 2).unwrap();
        second.join().unwrap();
        let (newest, record) = reader.join().unwrap();
        assert_eq!(
            newest, record,
            "the rows are those of the generation that was announced"
        );
        tally.met(format!("{newest}"));
    });
    seen.must_hold(&["1", "2"]);
}
