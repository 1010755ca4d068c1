//! Arbitrary changes to the files of a valid arena, then everything that a process does with them: attach, check, burn,
//! reserve, own, load again. Any answer will do but a crash; what the owner loads anew must answer right.
//!
//! The input is a list of eight-byte changes: [file:2 bits | what:3 bits | fix the check:1 bit | …] [place:24] [value:32].

#![no_main]

mod common;

use std::cell::RefCell;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use fastcheck_core::parts::{
    HOLD_WORDS, HOLDS_MAX, Reserve, SEGMENT_HEADER_WORDS, check_found, check_named, find,
};
use fastcheck_core::{
    Answer, Ask, Cells, Clock, Freshness, Holder, Lease, NO_INSTANT, Owner, View, check_numbers,
    hash_words,
};
use libfuzzer_sys::fuzz_target;

struct At(u64);

impl Clock for At {
    fn now_ms(&self) -> u64 {
        self.0
    }
}

impl Freshness for At {
    fn unheard_ms(&self) -> u64 {
        0
    }
}

const FILES: [&str; 3] = ["control", "rows-1", "cells-0"];
/// Where the cells begin in a cells file.
const CELLS_AT: u64 = (SEGMENT_HEADER_WORDS + HOLDS_MAX * HOLD_WORDS) as u64;
const FEATURES: [&[u8]; 6] = [b"s", b"l", b"v", b"m", b"c", b"?"];

/// The bytes of a valid arena and where they are put.
struct Template {
    dir: PathBuf,
    files: [Vec<u8>; 3],
    records: Vec<u8>,
}

/// Three customers: one plain, one with an alias, an add-on and a trial, one with overrides of every kind.
fn records() -> Vec<u8> {
    use rmp::encode::*;
    let mut out = Vec::new();
    for number in 1..=3u64 {
        write_array_len(&mut out, 10).unwrap();
        write_uint(&mut out, number).unwrap();
        write_str(
            &mut out,
            ["acme", "a-longer-customer-id", "third"][number as usize - 1],
        )
        .unwrap();
        write_uint(&mut out, 0).unwrap();
        write_str(&mut out, "x").unwrap();
        write_uint(&mut out, 1).unwrap();
        write_uint(&mut out, 0).unwrap();
        write_array_len(&mut out, u32::from(number == 2)).unwrap();
        if number == 2 {
            write_array_len(&mut out, 3).unwrap();
            write_str(&mut out, "a").unwrap();
            write_uint(&mut out, 2).unwrap();
            write_sint(&mut out, common::NOW_MS + 50).unwrap();
        }
        write_array_len(&mut out, if number == 3 { 2 } else { 0 }).unwrap();
        if number == 3 {
            for (feature, until) in [("s", None), ("v", Some(common::NOW_MS + 100))] {
                write_array_len(&mut out, 4).unwrap();
                write_str(&mut out, feature).unwrap();
                if feature == "v" {
                    write_array_len(&mut out, 2).unwrap();
                    write_uint(&mut out, 4).unwrap();
                    write_str(&mut out, "a text of some length").unwrap();
                } else {
                    write_array_len(&mut out, 1).unwrap();
                    write_uint(&mut out, 0).unwrap();
                }
                write_nil(&mut out).unwrap();
                match until {
                    None => write_nil(&mut out).unwrap(),
                    Some(t) => drop(write_sint(&mut out, t).unwrap()),
                }
            }
        }
        write_array_len(&mut out, u32::from(number == 2)).unwrap();
        if number == 2 {
            write_str(&mut out, "alias").unwrap();
        }
        write_nil(&mut out).unwrap();
    }
    out
}

fn lease(number: u32) -> Lease {
    Lease {
        number,
        lease: 1,
        pool: 0,
        granted: 1_000_000,
        valid_until_ms: NO_INSTANT,
        full: number == 1,
    }
}

fn template() -> Template {
    let dir = common::directory("arena");
    let records = records();
    let mut owner = Owner::open(&dir, common::catalog(), 1, common::environment()).unwrap();
    owner.load([&records[..]], 1, 1, common::NOW_MS).unwrap();
    for number in 1..=3 {
        owner.open_cell("p", lease(number)).unwrap();
        owner.open_cell("m", lease(number)).unwrap();
    }
    let view = View::attach(&dir).unwrap();
    for (id, n) in [("acme", 3), ("alias", 2)] {
        let found = find(&view.rows, id.as_bytes(), b"c", &At(1))
            .unwrap()
            .unwrap();
        assert_eq!(
            found.burn(&view.rows, &*view.cells, n, &At(1)),
            Ok(Answer::Allowed)
        );
        reserve(&view, id.as_bytes());
    }
    drop((owner, view));
    let mut files = FILES.map(|name| std::fs::read(dir.join(name)).unwrap());
    // The unused end of the heap is not needed to open the file; a short one is faster to restore.
    let used = files[1].iter().rposition(|b| *b != 0).unwrap();
    files[1].truncate(used.next_multiple_of(8) + 64);
    Template {
        dir,
        files,
        records,
    }
}

fn reserve(view: &View, id: &[u8]) {
    let Ok(Some(found)) = find(&view.rows, id, b"c", &At(1)) else {
        return;
    };
    let Ok(Some(lease)) = found.lease(&view.rows) else {
        return;
    };
    let Ok(segment) = view.cells.get(lease.cell as usize >> 16) else {
        return;
    };
    let (Ok(cell), Ok(holds)) = (view.cells.cell(lease.cell), segment.holds()) else {
        return;
    };
    let ask = Ask {
        lease: lease.identity,
        pool: 1,
        amount: 5,
        ends_at_ms: 100,
        holder: Holder { pid: 5, started: 5 },
        near: 0,
    };
    if let Ok(Reserve::Held(hold)) = holds.reserve(&cell, &ask, || 1) {
        if hold.slot % 2 == 0 {
            let _ = holds.commit(hold, 2);
        }
    }
}

/// All that a worker does.
fn work(dir: &Path) {
    let Ok(view) = View::attach(dir) else {
        return;
    };
    for now in [0, common::NOW_MS as u64 + 50, u64::MAX] {
        for id in ["acme", "a-longer-customer-id", "third", "alias", "nobody"] {
            for feature in FEATURES {
                let Ok(Some(found)) = find(&view.rows, id.as_bytes(), feature, &At(now)) else {
                    continue;
                };
                let _ = check_found(&view.rows, &*view.cells, &found, &At(now));
                let _ = found.entry.value(view.rows.region());
                let _ = found.burn(&view.rows, &*view.cells, 1, &At(now));
                if let Some(row) = found.row {
                    let _ = row.parts(view.rows.region(), view.rows.pools());
                }
                if let Ok(info) = view.rows.feature_info(found.feature) {
                    let _ = view.rows.rate(info, b"input");
                    let _ = view.rows.quantities(info);
                }
            }
            reserve(&view, id.as_bytes());
        }
        for feature in 0..6 {
            let number = |i: usize| i as u32;
            let _ = check_numbers(
                &view.rows,
                &*view.cells,
                feature,
                40,
                number,
                &At(now),
                |_, _| (),
            );
        }
    }
    for pool in 0..3 {
        let _ = view.rows.pool_name(pool);
    }
    let _ = view.refreshed();
}

/// All that an owner does. What it loads anew must answer right, whatever was there before.
fn own(t: &Template) {
    let Ok(mut owner) = Owner::open(&t.dir, common::catalog(), 1, common::environment()) else {
        return;
    };
    let _ = owner.cells.sweep(common::NOW_MS as u64, |_, _| false);
    let _ = owner.cells.all(false);
    let _ = owner.put(&t.records, 1, 2, common::NOW_MS);
    owner
        .load([&t.records[..]], 1, 3, common::NOW_MS)
        .expect("good records can be loaded into any arena that was adopted");
    for number in 1..=3 {
        let _ = owner.cells.raise(number, "p", 1, u64::MAX >> number, true);
        let _ = owner.cells.close(number, "p", 1);
        let _ = owner.open_cell(
            "p",
            Lease {
                lease: 2,
                ..lease(number)
            },
        );
    }
    let view = View::attach(&t.dir).expect("what was loaded can be attached");
    let at = At(common::NOW_MS as u64);
    for (id, expected) in [
        ("acme", Answer::Allowed),
        ("alias", Answer::Allowed),
        ("third", Answer::NotEntitled),
        ("nobody", Answer::UnknownCustomer),
    ] {
        assert_eq!(
            check_named(&view.rows, &*view.cells, id.as_bytes(), b"s", &at),
            Ok(expected),
            "{id}"
        );
    }
}

thread_local! {
    static TEMPLATE: RefCell<Option<Template>> = const { RefCell::new(None) };
}

fn restore(t: &Template) {
    for found in std::fs::read_dir(&t.dir).unwrap().flatten() {
        let path = found.path();
        if path.is_dir() {
            std::fs::remove_dir_all(path).unwrap();
        } else {
            std::fs::remove_file(path).unwrap();
        }
    }
    for (name, bytes) in FILES.iter().zip(&t.files) {
        std::fs::write(t.dir.join(name), bytes).unwrap();
    }
}

fn apply(t: &Template, change: &[u8; 8]) {
    let which = usize::from(change[0] & 3) % 3;
    let path = t.dir.join(FILES[which]);
    let Ok(file) = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
    else {
        return;
    };
    let len = file.metadata().unwrap().len();
    let words = (len / 8).max(1);
    let place = u64::from(u32::from_le_bytes([change[1], change[2], change[3], 0]));
    // Mostly the words in use: of the cells file, the first slots and the first cells.
    let place = match (which, change[0] & 0x40) {
        (2, 0) if place & 0x80 == 0 => place % 160,
        (2, 0) => CELLS_AT + place % 80,
        _ => place,
    } % words
        * 8;
    let value = u64::from(u32::from_le_bytes([
        change[4], change[5], change[6], change[7],
    ]));
    let word = match (change[0] >> 2) & 7 {
        0 => value,
        1 => value << 32,
        2 => u64::MAX - value,
        3 => 1 << (value % 64),
        4 => {
            // Flips one bit.
            let mut old = [0; 8];
            let _ = file.read_at(&mut old, place);
            u64::from_le_bytes(old) ^ (1 << (value % 64))
        }
        5 => {
            // Shortened, to any number of bytes.
            let _ = file.set_len(value % (len + 1));
            return;
        }
        6 => {
            let _ = std::fs::remove_file(&path);
            return;
        }
        _ => 0,
    };
    let _ = file.write_all_at(&word.to_le_bytes(), place);
    if change[0] & 0x20 != 0 && which == 1 {
        fix_check(&path);
    }
}

/// Makes the check of a rows file's header right again, as a hostile writer would.
fn fix_check(path: &Path) {
    let Ok(mut bytes) = std::fs::read(path) else {
        return;
    };
    let words: Vec<u64> = bytes
        .chunks_exact(8)
        .map(|c| u64::from_le_bytes(c.try_into().unwrap()))
        .collect();
    if words.len() < 64 {
        return;
    }
    let slots_at = (words[12] as usize).clamp(64, words.len());
    let constant: Vec<u64> = words[..31]
        .iter()
        .chain(&words[64..slots_at])
        .copied()
        .collect();
    let check = hash_words(words[3], &constant);
    bytes[31 * 8..32 * 8].copy_from_slice(&check.to_le_bytes());
    let _ = std::fs::write(path, bytes);
}

fuzz_target!(|input: &[u8]| {
    TEMPLATE.with_borrow_mut(|t| {
        let t = t.get_or_insert_with(template);
        restore(t);
        for change in input.chunks_exact(8).take(16) {
            apply(t, change.try_into().unwrap());
        }
        work(&t.dir);
        // Owning is slow: every cell and every slot is looked at.
        if input.first().is_none_or(|b| b & 0x80 == 0) {
            own(t);
        }
    });
});
