//! Arbitrary bytes as customer records: decoded, loaded, put. Whatever is refused must change nothing; whatever is
//! accepted must be found again, and an owner that comes later must find the rows intact.

#![no_main]

mod common;

use std::cell::RefCell;
use std::path::PathBuf;

use fastcheck_core::parts::check_named;
use fastcheck_core::{Clock, Freshness, Inherited, Owner, View, each_record};
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

/// Numbers above this one are not loaded: the table of numbers would take more memory than the machine has.
const NUMBER_MAX: u32 = 1 << 14;
const FEATURES: [&[u8]; 6] = [b"s", b"l", b"v", b"m", b"c", b"?"];

thread_local! {
    static ARENA: RefCell<Option<(PathBuf, Owner, u64)>> = const { RefCell::new(None) };
}

fn small(bytes: &[u8]) -> bool {
    let mut read = each_record(bytes).map_while(Result::ok);
    read.all(|record| record.customer.number <= NUMBER_MAX)
}

fn check_all(dir: &std::path::Path, bytes: &[u8]) {
    let view = View::attach(dir).expect("a loaded arena can be attached");
    for record in each_record(bytes).map_while(Result::ok) {
        let id = record.customer.id.as_bytes();
        for now in [0, common::NOW_MS as u64, u64::MAX >> 8] {
            for feature in FEATURES {
                check_named(&view.rows, &*view.cells, id, feature, &At(now))
                    .expect("rows that were just written can be read");
            }
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((mode, bytes)) = bytes.split_first() else {
        return;
    };
    if !small(bytes) {
        return;
    }
    ARENA.with_borrow_mut(|arena| {
        let (dir, owner, seq) = arena.get_or_insert_with(|| {
            let dir = common::directory("snapshot");
            let mut owner = Owner::open(&dir, common::catalog(), 1, common::environment())
                .expect("an empty directory can be owned");
            owner
                .load([], 1, 1, common::NOW_MS)
                .expect("nothing can be loaded");
            (dir, owner, 1)
        });
        let before = (owner.rows.digest(), owner.rows.customers());
        *seq += 1;
        let done = if mode & 1 == 0 {
            owner.put(bytes, 1, *seq, common::NOW_MS)
        } else {
            owner.load([bytes], 1, *seq, common::NOW_MS)
        };
        match done {
            Ok(_) => check_all(dir, bytes),
            Err(_) => {
                assert_eq!((owner.rows.digest(), owner.rows.customers()), before);
                View::attach(dir).expect("a refused record leaves the last good rows");
            }
        }
        // Now and then, the rows are adopted by the next owner, or begun anew.
        if mode & 0x1e == 0x1e {
            *arena = None;
        } else if mode & 0xe == 0xe {
            let dir = dir.clone();
            let (seq, digest) = (*seq, owner.rows.digest());
            *arena = None;
            let owner = Owner::open(&dir, common::catalog(), 1, common::environment())
                .expect("the next owner can adopt");
            if owner.found == Inherited::Intact {
                assert_eq!(owner.rows.digest(), digest);
                *arena = Some((dir, owner, seq));
            }
        }
    });
});
