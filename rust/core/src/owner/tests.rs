//! The owner: rows that answer as the resolver does, adoption of whatever lies in the directory, and a naive model
//! that runs beside owner, view, burn and reserve and is compared after every step.

use std::collections::HashMap;
use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::arena::View;
use crate::cell::{Lease, NO_INSTANT};
use crate::check::{self, Answer, Cells};
use crate::entry;
use crate::hold::{self, Ask, Hold, Holder, Reserve, Settle};
use crate::key::{Key, hash_bytes};
use crate::paths::{cells_path, control_path, rows_path};
use crate::row::Row;
use crate::testing::{self, At, COST, CREDITS, FEATURES, NOW_MS, Record};

const BOOT: u64 = 7;
const CATALOG: u64 = 11;

fn environment(boot: u64, random: u64) -> Environment {
    Environment {
        boot,
        random,
        pid: 1,
        now_ms: NOW_MS as u64,
        steady_ms: 1,
    }
}

fn open_with(dir: &Path, catalog: &Catalog) -> Result<Owner> {
    Owner::open(
        dir,
        catalog.clone(),
        CATALOG,
        environment(BOOT, 0x5eed_5eed_5eed_5eed),
    )
}

fn open(dir: &Path) -> Result<Owner> {
    open_with(dir, &testing::plain_catalog())
}

fn bytes(records: &[Record]) -> Vec<u8> {
    records.iter().flat_map(Record::bytes).collect()
}

fn lease(number: u32, lease: u32, granted: u64) -> Lease {
    Lease {
        number,
        lease,
        pool: 0,
        granted,
        valid_until_ms: NO_INSTANT,
        full: true,
    }
}

fn answer(view: &View, id: &str, feature: &str, at: i64) -> Answer {
    check::check_named(
        &view.rows,
        &*view.cells,
        id.as_bytes(),
        feature.as_bytes(),
        &At(at),
    )
    .unwrap()
}

fn burn(view: &View, id: &str, units: u64) -> Answer {
    let found = check::find(&view.rows, id.as_bytes(), b"model", &At(NOW_MS))
        .unwrap()
        .unwrap();
    found
        .burn(&view.rows, &*view.cells, units, &At(NOW_MS))
        .unwrap()
}

/// Every entry of a customer, under every key, is what the resolver says at that instant.
fn agrees(view: &View, catalog: &Catalog, record: &Record, at: i64) {
    let sources = record.sources(catalog);
    for id in std::iter::once(&record.id).chain(&record.aliases) {
        for (feature, (name, kind)) in FEATURES.iter().enumerate() {
            let found = check::find(&view.rows, id.as_bytes(), name.as_bytes(), &At(at))
                .unwrap()
                .unwrap();
            assert_eq!(found.row.map(Row::number), Some(record.number), "{id}");
            let resolved = sources.resolve(catalog, feature, at);
            let (allowed, value) = testing::expected(*kind, &resolved);
            let entry = found.entry;
            assert_eq!(
                (
                    entry.flags & entry::ALLOWED != 0,
                    entry.value(view.rows.region()).unwrap(),
                    entry.source()
                ),
                (allowed, value, Some(resolved.source)),
                "{name} of {id} at {at}"
            );
            assert_eq!(entry.kind(), Some(*kind));
        }
    }
}

/// The instants worth asking about: each boundary and a millisecond to either side, from when the row was made.
fn instants(record: &Record, catalog: &Catalog) -> Vec<i64> {
    let mut all = vec![NOW_MS, NOW_MS + 1, NOW_MS + 1_000_000];
    for t in record.sources(catalog).boundaries() {
        all.extend([t - 1, t, t + 1].into_iter().filter(|t| *t >= NOW_MS));
    }
    all
}

fn agree_at_all_instants(dir: &Path, catalog: &Catalog, records: &[Record]) {
    let view = View::attach(dir).unwrap();
    for record in records {
        for at in instants(record, catalog) {
            agrees(&view, catalog, record, at);
        }
    }
}

fn records() -> impl Strategy<Value = Vec<Record>> {
    (testing::record(1), testing::record(2), testing::record(3)).prop_map(|(a, b, c)| vec![a, b, c])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// However rows came about (loaded, put over others, moved to a larger generation, adopted), they say what the
    /// resolver says, at every instant.
    #[test]
    fn rows_agree_with_the_resolver(catalog in testing::catalog(), first in records(), then in records()) {
        let dir = TempDir::new().unwrap();
        let mut owner = open_with(dir.path(), &catalog).unwrap();
        owner.load([&bytes(&first)[..]], 1, 1, NOW_MS).unwrap();
        agree_at_all_instants(dir.path(), &catalog, &first);

        owner.put(&bytes(&then), 1, 2, NOW_MS).unwrap();
        agree_at_all_instants(dir.path(), &catalog, &then);
        let view = View::attach(dir.path()).unwrap();
        for (old, new) in first.iter().zip(&then) {
            for lost in old.aliases.iter().filter(|a| !new.aliases.contains(a)) {
                prop_assert_eq!(view.rows.customer(Key::new(lost.as_bytes()).unwrap()).unwrap().map(Row::number), None);
            }
        }

        owner.rows.grow(3, 0).unwrap();
        prop_assert!(!view.is_current());
        agree_at_all_instants(dir.path(), &catalog, &then);

        let digest = owner.rows.digest();
        drop(owner);
        let mut owner = open_with(dir.path(), &catalog).unwrap();
        prop_assert_eq!((owner.found, owner.rows.digest(), owner.rows.customers()), (Inherited::Intact, digest, 3));
        agree_at_all_instants(dir.path(), &catalog, &then);

        // The digest is that of the records alone, whatever way they came.
        owner.load([&bytes(&then)[..]], 1, 3, NOW_MS).unwrap();
        prop_assert_eq!(owner.rows.digest(), digest);
    }
}

fn acme() -> Record {
    let mut record = Record::plain(1, "acme", 1);
    record.aliases = vec!["stripe:cus_9".into()];
    record
}

/// An arena with a few customers, one of them with an open lease of which something is spent.
fn arena() -> (TempDir, Vec<Record>) {
    let dir = TempDir::new().unwrap();
    let mut trial = Record::plain(2, "trial", 0);
    trial.trial = Some((1, NOW_MS + 500));
    let mut special = Record::plain(3, "special", 0);
    special.overrides = vec![(3, Setting::Text("for ever".into()), None, None)];
    let records = vec![acme(), trial, special];
    let mut owner = open(dir.path()).unwrap();
    assert_eq!(owner.found, Inherited::Nothing);
    owner.load([&bytes(&records)[..]], 1, 1, NOW_MS).unwrap();
    owner.open_cell(CREDITS, lease(1, 1, 100)).unwrap();
    assert_eq!(
        burn(&View::attach(dir.path()).unwrap(), "acme", 30),
        Answer::Allowed
    );
    (dir, records)
}

use crate::catalog::Setting;

fn spent(owner: &mut Owner) -> Vec<(u32, u64, bool)> {
    let all = owner.cells.all(false).unwrap();
    all.iter()
        .map(|t| (t.totals.lease, t.totals.spent, t.totals.closed))
        .collect()
}

#[test]
fn an_arena_is_adopted_as_it_was_left() {
    let (dir, records) = arena();
    let mut owner = open(dir.path()).unwrap();
    assert_eq!(owner.found, Inherited::Intact);
    assert_eq!(spent(&mut owner), [(1, 30, false)]);
    agree_at_all_instants(dir.path(), owner.rows.catalog(), &records);
    // And it goes on: aliases are known, leases can be raised, closed and opened again.
    let view = View::attach(dir.path()).unwrap();
    assert!(owner.cells.raise(1, CREDITS, 1, 150, true).unwrap());
    assert_eq!(burn(&view, "stripe:cus_9", 120), Answer::Allowed);
    assert_eq!(burn(&view, "acme", 1), Answer::Exhausted);
    assert_eq!(
        owner.cells.close(1, CREDITS, 1).unwrap().unwrap().spent,
        150
    );
    assert_eq!(burn(&view, "acme", 0), Answer::NoLease);
    let at = At(NOW_MS);
    let old = check::find(&view.rows, b"acme", b"model", &at)
        .unwrap()
        .unwrap();
    owner.open_cell(CREDITS, lease(1, 2, 5)).unwrap();
    let stale = old.burn(&view.rows, &*view.cells, 1, &at);
    assert_eq!(stale, Ok(Answer::NoLease), "an old row names the old lease");
    assert_eq!(burn(&view, "acme", 5), Answer::Allowed);
}

#[test]
fn rows_of_another_catalog_are_left_and_cells_kept() {
    let (dir, records) = arena();
    let mut owner = Owner::open(
        dir.path(),
        testing::plain_catalog(),
        CATALOG + 1,
        environment(BOOT, 5),
    )
    .unwrap();
    assert_eq!(owner.found, Inherited::CellsOnly);
    assert_eq!(spent(&mut owner), [(1, 30, false)]);
    owner.load([&bytes(&records)[..]], 1, 2, NOW_MS).unwrap();
    let view = View::attach(dir.path()).unwrap();
    assert_eq!(
        (burn(&view, "acme", 70), burn(&view, "acme", 1)),
        (Answer::Allowed, Answer::Exhausted)
    );
}

#[test]
fn cells_of_an_earlier_boot_are_found_to_be_settled() {
    let (dir, records) = arena();
    let mut owner = Owner::open(
        dir.path(),
        testing::plain_catalog(),
        CATALOG,
        environment(BOOT + 1, 5),
    )
    .unwrap();
    assert_eq!(owner.found, Inherited::EarlierBoot);
    let totals = owner.cells.close(1, CREDITS, 1).unwrap().unwrap();
    assert_eq!(
        (totals.spent, totals.returned, totals.closed),
        (30, 0, true)
    );
    owner.load([&bytes(&records)[..]], 1, 2, NOW_MS).unwrap();
    assert_eq!(
        burn(&View::attach(dir.path()).unwrap(), "acme", 1),
        Answer::NoLease
    );
    drop(owner);
    assert_eq!(
        Owner::open(
            dir.path(),
            testing::plain_catalog(),
            CATALOG,
            environment(BOOT + 1, 6)
        )
        .unwrap()
        .found,
        Inherited::Intact
    );
}

#[test]
fn another_version_of_the_control_file_is_refused_not_thrown_away() {
    let (dir, _) = arena();
    flip(&control_path(dir.path()), 8 * Field::Layout as u64, 4);
    for refused in [open(dir.path()).err(), View::attach(dir.path()).err()] {
        let error = refused.expect("refused");
        assert!(matches!(error, Error::Layout { .. }), "{error}");
        assert!(error.to_string().contains("another version"));
    }
    flip(&control_path(dir.path()), 8 * Field::Layout as u64, 4);
    assert_eq!(spent(&mut open(dir.path()).unwrap()), [(1, 30, false)]);
}

#[test]
fn what_cannot_be_opened_for_now_is_not_thrown_away() {
    let (dir, _) = arena();
    // A directory where the file was: refused by the system, whoever asks.
    let (cells, kept) = (cells_path(dir.path(), 0), dir.path().join("kept"));
    fs::rename(&cells, &kept).unwrap();
    fs::create_dir(&cells).unwrap();
    assert!(matches!(open(dir.path()), Err(Error::Io { .. })));
    fs::remove_dir(&cells).unwrap();
    fs::rename(&kept, &cells).unwrap();
    assert_eq!(spent(&mut open(dir.path()).unwrap()), [(1, 30, false)]);
}

#[test]
fn a_retired_arena_can_be_owned_again() {
    let (dir, records) = arena();
    let view = View::attach(dir.path()).unwrap();
    let mut owner = open(dir.path()).unwrap();
    assert!(owner.retire().unwrap().iter().all(|t| t.totals.closed));
    assert!(!view.is_current());
    drop(owner);
    let mut owner = open(dir.path()).unwrap();
    assert_eq!(owner.found, Inherited::CellsOnly);
    owner.load([&bytes(&records)[..]], 1, 2, NOW_MS).unwrap();
    assert!(
        !view.is_current(),
        "no reader takes the new rows for those it has"
    );
    let view = view.refreshed().unwrap();
    assert_eq!(answer(&view, "acme", "export", NOW_MS), Answer::Allowed);
    owner.put(&records[0].bytes(), 1, 3, NOW_MS).unwrap();
    drop(owner);
    assert_eq!(open(dir.path()).unwrap().found, Inherited::Intact);
}

#[test]
fn a_lease_opened_before_its_row_was_published_is_found_by_the_successor() {
    let (dir, records) = arena();
    let acme = &records[0];
    let mut owner = open(dir.path()).unwrap();
    let lease = owner.cells.all(false).unwrap()[0].totals;
    // The row as it was before the lease: what a kill between the two steps leaves.
    let pools = Pools::of(owner.rows.catalog()).unwrap();
    let no_cells = cells::Cells::none(Arc::clone(&owner.directory), pools);
    owner.rows.publish_refs(&no_cells, acme.number).unwrap();
    let view = View::attach(dir.path()).unwrap();
    assert_eq!(burn(&view, &acme.id, 1), Answer::NoLease);
    drop(owner);
    let mut owner = open(dir.path()).unwrap();
    assert_eq!(owner.found, Inherited::Intact);
    assert_eq!(
        burn(&view.refreshed().unwrap(), &acme.id, 1),
        Answer::Allowed
    );
    assert_eq!(
        owner.cells.all(false).unwrap()[0].totals.spent,
        lease.spent + 1
    );
}

#[test]
fn a_number_far_ahead_of_all_customers_allocates_nothing() {
    let (dir, mut records) = arena();
    let mut owner = open(dir.path()).unwrap();
    records[0].number = u32::MAX - 1;
    let refused = owner
        .load([bytes(&records).as_slice()], 1, 9, NOW_MS)
        .unwrap_err();
    assert!(refused.to_string().contains("too far ahead"), "{refused}");
    records[0].id = "someone else".into();
    assert!(owner.put(&bytes(&records[..1]), 1, 9, NOW_MS).is_err());
}

#[test]
fn a_deleted_customer_is_unknown_under_all_its_keys() {
    let (dir, mut records) = arena();
    let mut owner = open(dir.path()).unwrap();
    let before = owner.rows.digest();
    records[0].deleted = true;
    owner.put(&records[0].bytes(), 1, 2, NOW_MS).unwrap();
    let view = View::attach(dir.path()).unwrap();
    for key in ["acme", "stripe:cus_9"] {
        assert_eq!(
            answer(&view, key, "export", NOW_MS),
            Answer::UnknownCustomer
        );
    }
    assert_eq!(view.rows.by_number(1).unwrap().map(Row::number), None);
    assert_eq!(owner.rows.customers(), 2);
    // Deleted again: nothing changes. Put again: all is as before.
    owner.put(&records[0].bytes(), 1, 3, NOW_MS).unwrap();
    assert_eq!(owner.rows.customers(), 2);
    records[0].deleted = false;
    owner.put(&records[0].bytes(), 1, 4, NOW_MS).unwrap();
    assert_eq!((owner.rows.digest(), owner.rows.customers()), (before, 3));
    agree_at_all_instants(dir.path(), owner.rows.catalog(), &records);
    drop(owner);
    assert_eq!(open(dir.path()).unwrap().found, Inherited::Intact);
}

#[test]
fn a_customer_is_not_found_by_an_id_it_had_before() {
    let (dir, mut records) = arena();
    let mut owner = open(dir.path()).unwrap();
    records[0].id = "acme corp".into();
    owner.put(&records[0].bytes(), 1, 2, NOW_MS).unwrap();
    let view = View::attach(dir.path()).unwrap();
    assert_eq!(
        answer(&view, "acme", "export", NOW_MS),
        Answer::UnknownCustomer
    );
    agree_at_all_instants(dir.path(), owner.rows.catalog(), &records);
    drop(owner);
    assert_eq!(open(dir.path()).unwrap().found, Inherited::Intact);
}

#[test]
fn a_key_that_changes_hands_belongs_to_the_last_who_got_it() {
    let (dir, mut records) = arena();
    let mut owner = open(dir.path()).unwrap();
    // Another customer gets the alias before the first one's record says that it is lost.
    records[1].aliases = vec!["stripe:cus_9".into()];
    records[0].aliases.clear();
    owner
        .put(
            &bytes(&[records[1].clone(), records[0].clone()]),
            1,
            2,
            NOW_MS,
        )
        .unwrap();
    agree_at_all_instants(dir.path(), owner.rows.catalog(), &records);
    // An alias becomes the id.
    records[1].id = "stripe:cus_9".into();
    records[1].aliases = vec!["trial".into()];
    owner.put(&records[1].bytes(), 1, 3, NOW_MS).unwrap();
    agree_at_all_instants(dir.path(), owner.rows.catalog(), &records);
    // A new customer takes the id of one that is deleted after it.
    let mut old = records[2].clone();
    old.deleted = true;
    records[2] = Record::plain(4, "special", 1);
    owner
        .put(&bytes(&[records[2].clone(), old]), 1, 4, NOW_MS)
        .unwrap();
    agree_at_all_instants(dir.path(), owner.rows.catalog(), &records);
    assert_eq!(owner.rows.customers(), 3);
}

#[test]
fn rows_move_to_a_larger_generation_when_they_run_out_of_room() {
    let (dir, mut records) = arena();
    let mut owner = open(dir.path()).unwrap();
    let first = View::attach(dir.path()).unwrap();
    for n in 10..3_000u32 {
        let mut record = Record::plain(n, &format!("customer-{n}"), n as usize % 3);
        record.aliases = vec![format!("alias-{n}")];
        owner.put(&record.bytes(), 1, n.into(), NOW_MS).unwrap();
        records.push(record);
    }
    assert!(!first.is_current());
    assert_eq!(
        answer(&first, "acme", "export", NOW_MS),
        Answer::Allowed,
        "old rows live while they are read"
    );
    agree_at_all_instants(dir.path(), owner.rows.catalog(), &records);
    assert_eq!(
        burn(&View::attach(dir.path()).unwrap(), "alias-10", 1),
        Answer::NoLease
    );
    assert_eq!(
        burn(&View::attach(dir.path()).unwrap(), "acme", 70),
        Answer::Allowed,
        "the lease moved along"
    );
    let files = fs::read_dir(dir.path()).unwrap().flatten();
    let rows = files
        .filter(|f| f.file_name().to_string_lossy().starts_with("rows-"))
        .count();
    assert_eq!(rows, 1, "former generations are unlinked");
}

#[test]
fn one_customer_with_more_profiles_than_were_foreseen_is_put_all_the_same() {
    let (dir, mut records) = arena();
    let mut owner = open(dir.path()).unwrap();
    let text = "x".repeat(crate::catalog::bounds::TEXT_BYTES_MAX);
    let mut wide = testing::plain_catalog();
    wide.plans[1].entitlements[3].1 = Setting::Text(text);
    drop(owner);
    owner = Owner::open(dir.path(), wide.clone(), CATALOG + 1, environment(BOOT, 1)).unwrap();
    owner.load([&bytes(&records)[..]], 1, 1, NOW_MS).unwrap();
    // Each end of an add-on makes another profile, and each profile holds the long text.
    for round in 0..4 {
        records[0].addons = (0..240)
            .map(|i| (0, 1 + round, Some(NOW_MS + 10 + i)))
            .collect();
        owner.put(&records[0].bytes(), 1, 2, NOW_MS).unwrap();
        let view = View::attach(dir.path()).unwrap();
        for at in [NOW_MS, NOW_MS + 100, NOW_MS + 240, NOW_MS + 1_000] {
            agrees(&view, &wide, &records[0], at);
        }
    }
}

#[test]
fn a_refused_batch_changes_nothing() {
    let (dir, records) = arena();
    let mut owner = open(dir.path()).unwrap();
    let before = (
        owner.rows.digest(),
        owner.rows.customers(),
        owner.seq().unwrap(),
    );
    let mut good = records[0].clone();
    good.plan = None;
    let mut unknown = records[1].bytes();
    let at = unknown.windows(4).position(|w| w == b"free").unwrap();
    unknown[at..at + 4].copy_from_slice(b"none");
    for bad in [&unknown[..], &[0xc1], &records[2].bytes()[..9]] {
        let batch = [&good.bytes()[..], bad].concat();
        assert!(matches!(
            owner.put(&batch, 1, 2, NOW_MS),
            Err(Error::Invalid(_))
        ));
        assert!(matches!(
            owner.load([&batch[..]], 1, 2, NOW_MS),
            Err(Error::Invalid(_))
        ));
        assert_eq!(
            (
                owner.rows.digest(),
                owner.rows.customers(),
                owner.seq().unwrap()
            ),
            before
        );
        agree_at_all_instants(dir.path(), owner.rows.catalog(), &records);
    }
}

// Damage

fn flip(path: &Path, byte: u64, mask: u8) {
    let mut file = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut old = [0];
    file.seek(SeekFrom::Start(byte)).unwrap();
    file.read_exact(&mut old).unwrap();
    file.seek(SeekFrom::Start(byte)).unwrap();
    file.write_all(&[old[0] ^ mask]).unwrap();
}

/// Whatever lies in the directory: attaching and asking never panics, and whoever owns next either refuses clearly
/// or, after it has loaded the records where it says that it must, answers right.
fn survives(dir: &Path, records: &[Record], what: &str) {
    let catalog = testing::plain_catalog();
    if let Ok(view) = View::attach(dir) {
        for record in records {
            for (name, _) in FEATURES {
                let found = check::find(
                    &view.rows,
                    record.id.as_bytes(),
                    name.as_bytes(),
                    &At(NOW_MS),
                );
                if let Ok(Some(found)) = found {
                    let _ = check::check_found(&view.rows, &*view.cells, &found, &At(NOW_MS));
                    let _ = found.entry.value(view.rows.region());
                    let _ = found.burn(&view.rows, &*view.cells, 1, &At(NOW_MS));
                }
            }
        }
    }
    let mut owner = match open(dir) {
        Ok(owner) => owner,
        Err(e @ (Error::Layout { .. } | Error::Io { .. })) => {
            assert!(!e.to_string().is_empty());
            return;
        }
        Err(e) => panic!("{what}: {e}"),
    };
    let _ = owner.cells.sweep(NOW_MS as u64, |_, _| false);
    if owner.found != Inherited::Intact {
        owner
            .load([&bytes(records)[..]], 1, 9, NOW_MS)
            .unwrap_or_else(|e| panic!("{what}: {e}"));
    }
    let view = View::attach(dir).unwrap_or_else(|e| panic!("{what}: {e}"));
    for record in records {
        agrees(&view, &catalog, record, NOW_MS);
    }
    owner
        .put(&bytes(records), 1, 10, NOW_MS)
        .unwrap_or_else(|e| panic!("{what}: {e}"));
    let view = View::attach(dir).unwrap();
    for record in records {
        agrees(&view, &catalog, record, NOW_MS);
    }
}

/// The files of an arena, to be put back before each damage.
struct Files(Vec<(PathBuf, Vec<u8>)>);

impl Files {
    fn of(dir: &Path) -> Files {
        let rows = rows_path(dir, 1);
        let mut files = vec![
            (control_path(dir), None),
            (rows, Some(())),
            (cells_path(dir, 0), None),
        ];
        Files(
            files
                .drain(..)
                .map(|(path, short)| {
                    let mut bytes = fs::read(&path).unwrap();
                    if short.is_some() {
                        // The unused end of the heap is not needed.
                        let used = bytes.iter().rposition(|b| *b != 0).unwrap();
                        bytes.truncate((used + 4096).next_multiple_of(8));
                    }
                    (path, bytes)
                })
                .collect(),
        )
    }

    fn restore(&self, dir: &Path) {
        for found in fs::read_dir(dir).unwrap().flatten() {
            if found.path().is_dir() {
                fs::remove_dir_all(found.path()).unwrap();
            } else {
                fs::remove_file(found.path()).unwrap();
            }
        }
        for (path, bytes) in &self.0 {
            fs::write(path, bytes).unwrap();
        }
    }
}

#[test]
fn a_changed_bit_in_the_rows_is_found_or_without_effect() {
    let (dir, records) = arena();
    let files = Files::of(dir.path());
    let rows = &files.0[1];
    let used = rows.1.iter().rposition(|b| *b != 0).unwrap();
    // Words that are in use, and a sample of those that are not.
    let in_use = (0..used).filter(|i| rows.1[*i] != 0).step_by(3);
    let unused = (0..used).filter(|i| rows.1[*i] == 0).step_by(997);
    for (n, byte) in in_use.chain(unused).enumerate() {
        files.restore(dir.path());
        flip(&rows.0, byte as u64, 1 << (n % 8));
        survives(
            dir.path(),
            &records,
            &format!("bit {} of byte {byte} of the rows", n % 8),
        );
    }
}

#[test]
fn a_changed_bit_in_control_is_found_or_without_effect() {
    let (dir, records) = arena();
    let files = Files::of(dir.path());
    for byte in 0..16 * 8 {
        for bit in [0, 5, 7] {
            files.restore(dir.path());
            flip(&files.0[0].0, byte, 1 << bit);
            survives(
                dir.path(),
                &records,
                &format!("bit {bit} of byte {byte} of control"),
            );
        }
    }
}

#[test]
fn a_changed_bit_in_the_cells_crashes_nobody() {
    let (dir, records) = arena();
    let files = Files::of(dir.path());
    let cells = (crate::segment::HEADER_WORDS + hold::HOLDS_MAX * hold::HOLD_WORDS) as u64 * 8;
    for byte in (0..48).chain(512..512 + 3 * 64).chain(cells..cells + 64) {
        files.restore(dir.path());
        flip(&files.0[2].0, byte, 0x81);
        survives(dir.path(), &records, &format!("byte {byte} of the cells"));
    }
}

#[test]
fn shortened_files_are_found_at_open() {
    let (dir, records) = arena();
    let files = Files::of(dir.path());
    for (which, (path, bytes)) in files.0.iter().enumerate() {
        let n = bytes.len() as u64;
        for len in [
            0,
            1,
            7,
            8,
            64,
            511,
            512,
            4_088,
            4_096,
            n / 2,
            n / 2 + 8,
            n - 4_096,
            n - 8,
            n - 1,
        ] {
            files.restore(dir.path());
            fs::OpenOptions::new()
                .write(true)
                .open(path)
                .unwrap()
                .set_len(len.min(n))
                .unwrap();
            survives(dir.path(), &records, &format!("file {which} cut to {len}"));
        }
    }
}

#[test]
fn missing_and_foreign_files_are_found_at_open() {
    let (dir, records) = arena();
    let files = Files::of(dir.path());
    let (other, _) = arena();
    let mut foreign = Owner::open(
        other.path(),
        testing::plain_catalog(),
        CATALOG,
        environment(BOOT, 1234),
    )
    .unwrap();
    fs::remove_file(control_path(other.path())).unwrap();
    foreign = {
        drop(foreign);
        Owner::open(
            other.path(),
            testing::plain_catalog(),
            CATALOG,
            environment(BOOT, 1234),
        )
        .unwrap()
    };
    foreign.load([&bytes(&records)[..]], 1, 1, NOW_MS).unwrap();
    foreign.open_cell(CREDITS, lease(1, 1, 100)).unwrap();
    let theirs = Files::of(other.path());
    for (which, (path, _)) in files.0.iter().enumerate() {
        files.restore(dir.path());
        fs::remove_file(path).unwrap();
        survives(dir.path(), &records, &format!("file {which} removed"));
        files.restore(dir.path());
        fs::write(path, &theirs.0[which].1).unwrap();
        survives(
            dir.path(),
            &records,
            &format!("file {which} of another arena"),
        );
        files.restore(dir.path());
        fs::write(path, "no such thing\n".repeat(9_000)).unwrap();
        survives(dir.path(), &records, &format!("file {which} is a text"));
    }
}

// The model

#[derive(Clone, Debug)]
enum Step {
    Put(Record),
    Delete(u32),
    Open(u32, u64),
    Raise(u32, u64),
    Close(u32),
    Burn(u32, u64),
    Reserve(u32, u64),
    /// Which of the live holds, and how many percent of it are kept.
    Commit(usize, u64),
    Release(usize),
    Sweep,
    Grow,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let n = 1u32..4;
    prop_oneof![
        3 => n.clone().prop_flat_map(testing::record).prop_map(Step::Put),
        1 => n.clone().prop_map(Step::Delete),
        4 => (n.clone(), 0u64..60).prop_map(|(n, g)| Step::Open(n, g)),
        2 => (n.clone(), 0u64..90).prop_map(|(n, g)| Step::Raise(n, g)),
        2 => n.clone().prop_map(Step::Close),
        8 => (n.clone(), 0u64..25).prop_map(|(n, c)| Step::Burn(n, c)),
        6 => (n, 0u64..25).prop_map(|(n, c)| Step::Reserve(n, c)),
        4 => (any::<usize>(), 0u64..=100).prop_map(|(i, p)| Step::Commit(i, p)),
        2 => any::<usize>().prop_map(Step::Release),
        1 => Just(Step::Sweep),
        1 => Just(Step::Grow),
        1 => Just(Step::Reopen),
    ]
}

/// One lease, the obvious way.
#[derive(Clone, Debug, Default, PartialEq)]
struct ModelLease {
    lease: u32,
    granted: u64,
    /// Net of what came back while it was open.
    used: u64,
    /// What came back after it was closed.
    late: u64,
    closed: bool,
}

#[derive(Default)]
struct Model {
    records: HashMap<u32, Record>,
    leases: HashMap<u32, ModelLease>,
    last_lease: u32,
    holds: Vec<(Hold, u32, u32)>,
}

struct Running {
    dir: TempDir,
    catalog: Catalog,
    owner: Option<Owner>,
    view: View,
    seq: u64,
    late: HashMap<u32, u64>,
}

impl Running {
    fn new(catalog: Catalog) -> Running {
        let dir = TempDir::new().unwrap();
        let mut owner = open_with(dir.path(), &catalog).unwrap();
        owner.load([], 1, 1, NOW_MS).unwrap();
        let view = View::attach(dir.path()).unwrap();
        Running {
            dir,
            catalog,
            owner: Some(owner),
            view,
            seq: 1,
            late: HashMap::new(),
        }
    }

    fn owner(&mut self) -> &mut Owner {
        self.owner.as_mut().unwrap()
    }

    /// What a checker does that notices a new generation.
    fn view(&mut self) -> &View {
        if !self.view.is_current() {
            self.view = self.view.refreshed().unwrap();
        }
        &self.view
    }

    fn put(&mut self, record: &Record) {
        self.seq += 1;
        let seq = self.seq;
        self.owner().put(&record.bytes(), 1, seq, NOW_MS).unwrap();
    }

    fn sweep(&mut self) {
        let (ended, late) = self.owner().cells.sweep(0, |_, _| true).unwrap();
        assert_eq!(ended, 0, "nothing has expired");
        for (segment, l) in late {
            *self.late.entry(l.lease as u32).or_default() += l.freed;
            self.owner().cells.booked(segment, &l).unwrap();
        }
    }

    fn step(&mut self, model: &mut Model, step: &Step) {
        let at = At(NOW_MS);
        match step {
            Step::Put(record) => {
                self.put(record);
                model.records.insert(record.number, record.clone());
            }
            Step::Delete(n) => {
                if let Some(mut record) = model.records.remove(n) {
                    record.deleted = true;
                    self.put(&record);
                }
            }
            Step::Open(n, granted) => {
                let open = model.leases.get(n).is_some_and(|l| !l.closed);
                let lease_number = model.last_lease + 1;
                if !model.records.contains_key(n) {
                    return;
                }
                let done = self
                    .owner()
                    .open_cell(CREDITS, lease(*n, lease_number, *granted));
                assert_eq!(done.is_err(), open, "{done:?}");
                if !open {
                    model.last_lease = lease_number;
                    let fresh = ModelLease {
                        lease: lease_number,
                        granted: *granted,
                        ..ModelLease::default()
                    };
                    model.leases.insert(*n, fresh);
                }
            }
            Step::Raise(n, granted) => {
                let known = model.leases.get_mut(n);
                let number = known.as_ref().map_or(77, |l| l.lease);
                let raised = self
                    .owner()
                    .cells
                    .raise(*n, CREDITS, number, *granted, true)
                    .unwrap();
                assert_eq!(raised, known.as_ref().is_some_and(|l| !l.closed));
                if let Some(l) = known.filter(|l| !l.closed) {
                    l.granted = l.granted.max(*granted);
                }
            }
            Step::Close(n) => {
                let number = model.leases.get(n).map_or(77, |l| l.lease);
                let totals = self.owner().cells.close(*n, CREDITS, number).unwrap();
                if let Some(l) = model.leases.get_mut(n) {
                    l.closed = true;
                    let t = totals.expect("a lease that is known");
                    assert_eq!(
                        (t.spent - t.returned, t.granted, t.closed),
                        (l.used, l.granted, true)
                    );
                }
            }
            Step::Burn(n, cost) => {
                let expected = model.decide(&self.catalog, *n, *cost);
                let id = format!("customer-{n}");
                let view = self.view();
                let found = check::find(&view.rows, id.as_bytes(), b"model", &at)
                    .unwrap()
                    .unwrap();
                assert_eq!(
                    found.burn(&view.rows, &*view.cells, *cost, &at),
                    Ok(expected)
                );
                if expected == Answer::Allowed {
                    model.leases.get_mut(n).unwrap().used += cost;
                }
            }
            Step::Reserve(n, amount) => {
                let expected = model.decide(&self.catalog, *n, *amount);
                let id = format!("customer-{n}");
                let view = self.view();
                let found = check::find(&view.rows, id.as_bytes(), b"model", &at)
                    .unwrap()
                    .unwrap();
                let Some(lease) = found.lease(&view.rows).unwrap() else {
                    assert_ne!(expected, Answer::Allowed);
                    return;
                };
                if matches!(expected, Answer::NotEntitled | Answer::UnknownCustomer) {
                    return;
                }
                let ask = Ask {
                    lease: lease.identity,
                    pool: 1,
                    amount: *amount,
                    ends_at_ms: u64::MAX,
                    holder: Holder { pid: 1, started: 1 },
                    near: 0,
                };
                let holds = view.cells.get(0).unwrap().holds().unwrap();
                let cell = view.cells.cell(lease.cell).unwrap();
                match holds.reserve(&cell, &ask, || 0).unwrap() {
                    Reserve::Held(hold) => {
                        assert_eq!(expected, Answer::Allowed);
                        let l = model.leases.get_mut(n).unwrap();
                        l.used += amount;
                        model.holds.push((hold, *n, l.lease));
                    }
                    Reserve::Denied(_) => assert_ne!(expected, Answer::Allowed),
                    Reserve::NoSlot => panic!("there are slots enough"),
                }
            }
            Step::Commit(i, percent) => self.settle(model, *i, Some(*percent)),
            Step::Release(i) => self.settle(model, *i, None),
            Step::Sweep => self.sweep(),
            Step::Grow => {
                let owner = self.owner();
                owner.rows.grow(3, 0).unwrap();
            }
            Step::Reopen => {
                self.owner = None;
                let owner = open_with(self.dir.path(), &self.catalog).unwrap();
                assert_eq!(owner.found, Inherited::Intact);
                self.owner = Some(owner);
            }
        }
    }

    fn settle(&mut self, model: &mut Model, i: usize, percent: Option<u64>) {
        if model.holds.is_empty() {
            return;
        }
        let (hold, n, lease) = model.holds.swap_remove(i % model.holds.len());
        let holds = self.view().cells.get(0).unwrap().holds().unwrap();
        let kept = percent.map_or(0, |p| hold.amount * p / 100);
        let done = match percent {
            Some(_) => holds.commit(hold, kept),
            None => holds.release(hold),
        };
        let freed = hold.amount - kept;
        // The cell may serve another lease of that customer by now.
        match model
            .leases
            .get_mut(&n)
            .filter(|l| l.lease == lease && !l.closed)
        {
            Some(l) => {
                assert_eq!(done, Ok(Settle::Done));
                l.used -= freed;
            }
            None if freed == 0 && percent.is_some() => assert_eq!(done, Ok(Settle::Done)),
            None => {
                assert_eq!(done, Ok(Settle::Late));
                let before = self.late.get(&lease).copied().unwrap_or(0);
                self.sweep();
                assert_eq!(self.late.get(&lease).copied().unwrap_or(0), before + freed);
            }
        }
        let again = self
            .view()
            .cells
            .get(0)
            .unwrap()
            .holds()
            .unwrap()
            .release(hold);
        assert_eq!(again, Ok(Settle::Gone), "settled once");
    }

    fn compare(&mut self, model: &Model) {
        let catalog = self.catalog.clone();
        let digest = model
            .records
            .values()
            .fold(0u64, |sum, r| sum.wrapping_add(hash_bytes(&r.bytes())));
        assert_eq!(
            (self.owner().rows.digest(), self.owner().rows.customers()),
            (digest, model.records.len() as u64)
        );
        let view = self.view();
        for n in 1..4 {
            let id = format!("customer-{n}");
            match model.records.get(&n) {
                None => {
                    let found = check::find(&view.rows, id.as_bytes(), b"model", &At(NOW_MS))
                        .unwrap()
                        .unwrap();
                    assert!(found.row.is_none());
                }
                Some(record) => {
                    for at in instants(record, &catalog) {
                        agrees(view, &catalog, record, at);
                    }
                }
            }
            let expected = model.decide(&catalog, n, COST);
            let known = matches!(answer(view, &id, "model", NOW_MS), a if a == expected);
            assert!(
                known,
                "{id}: {:?}, not {expected:?}",
                answer(view, &id, "model", NOW_MS)
            );
        }
        let totals = self.owner().cells.all(false).unwrap();
        for (n, l) in &model.leases {
            let t = totals
                .iter()
                .find(|t| t.totals.number == *n)
                .expect("every lease has a cell")
                .totals;
            assert_eq!(
                (t.lease, t.spent - t.returned, t.granted, t.closed),
                (l.lease, l.used, l.granted, l.closed)
            );
        }
    }
}

impl Model {
    fn decide(&self, catalog: &Catalog, n: u32, cost: u64) -> Answer {
        let Some(record) = self.records.get(&n) else {
            return Answer::UnknownCustomer;
        };
        if record.sources(catalog).resolve(catalog, 5, NOW_MS).setting != Setting::On {
            return Answer::NotEntitled;
        }
        match self.leases.get(&n).filter(|l| !l.closed) {
            None => Answer::NoLease,
            Some(l) if l.used + cost <= l.granted => Answer::Allowed,
            // Every lease of the model is opened and raised as all there is.
            Some(_) => Answer::Exhausted,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn owner_and_cells_do_what_the_model_does(
        catalog in testing::catalog(),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut model = Model::default();
        let mut running = Running::new(catalog);
        for step in &steps {
            running.step(&mut model, step);
            running.compare(&model);
        }
    }
}
