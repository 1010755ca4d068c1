//! The checkpoint's promises, one by one: what counts, what is cut off, what is kept, what is refused.

use std::os::unix::fs::PermissionsExt;
use std::sync::mpsc;

use fastcheck_core::Error;
use fastcheck_snapshot::bounds::{CHANGE_BYTES_MAX, FILE_BYTES_MAX};
use fastcheck_snapshot::{Checkpoint, Mark};
use tempfile::tempdir;

mod support;
use support::*;

/// Changes a customer to a version and appends that.
fn change(checkpoint: &Checkpoint, here: &mut Customers, seq: u64, number: u32, version: u32) {
    here.insert(number, plain(number, version));
    checkpoint.append(&here[&number], mark(seq, here)).unwrap();
}

fn conflict(error: Result<impl std::fmt::Debug, Error>) -> String {
    match error {
        Err(Error::Conflict(what)) => what,
        other => panic!("{other:?} is no conflict"),
    }
}

#[test]
fn an_empty_directory_has_nothing_and_says_what_to_do() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("checkpoint");
    let checkpoint = Checkpoint::open(&path).unwrap();
    assert!(checkpoint.recover().unwrap().is_none());
    assert_eq!(checkpoint.sizes(), (0, 0));
    let at = mark(1, &Customers::new());
    assert!(conflict(checkpoint.append(&[], at)).contains("receive a snapshot"));
    assert!(conflict(checkpoint.view()).contains("recover it first"));
    conflict(checkpoint.compact());
    conflict(checkpoint.piece(0, b""));
    conflict(checkpoint.received());
    conflict(checkpoint.complete(at));
    checkpoint.sync().unwrap();
    checkpoint.abandon();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn what_is_appended_is_recovered() {
    let dir = tempdir().unwrap();
    let mut here = customers(1..=3, 1);
    let checkpoint = checkpoint(dir.path(), 10, &here);
    change(&checkpoint, &mut here, 11, 2, 5);
    here.remove(&1);
    let gone = record(1, true, 1, None);
    checkpoint.append(&gone, mark(12, &here)).unwrap();
    change(&checkpoint, &mut here, 13, 2, 6);
    change(&checkpoint, &mut here, 14, 9, 1);
    checkpoint.sync().unwrap();
    let found = recovered(dir.path()).unwrap();
    assert_eq!((found.at, &found.customers), (mark(14, &here), &here));
    assert_eq!(found.catalog, catalog("base"));
    for name in names(dir.path()) {
        let mode = std::fs::metadata(dir.path().join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn a_customer_who_was_deleted_and_came_again_is_there() {
    let dir = tempdir().unwrap();
    let mut here = customers(1..=2, 1);
    let checkpoint = checkpoint(dir.path(), 1, &here);
    let gone = record(1, true, 1, None);
    let rest = customers(2..=2, 1);
    checkpoint.append(&gone, mark(2, &rest)).unwrap();
    change(&checkpoint, &mut here, 3, 1, 7);
    assert_eq!(recovered(dir.path()).unwrap().customers, here);
}

#[test]
fn a_catalog_counts_from_the_next_commit() {
    let dir = tempdir().unwrap();
    let mut here = customers(1..=1, 1);
    let checkpoint = checkpoint(dir.path(), 1, &here);
    checkpoint.append_catalog(catalog("dropped")).unwrap();
    checkpoint.append_catalog(catalog("second")).unwrap();
    assert_eq!(recovered(dir.path()).unwrap().catalog, catalog("base"));
    change(&checkpoint, &mut here, 2, 1, 2);
    assert_eq!(recovered(dir.path()).unwrap().catalog, catalog("second"));
    change(&checkpoint, &mut here, 3, 1, 3);
    checkpoint.append(&[], mark(4, &here)).unwrap();
    let found = recovered(dir.path()).unwrap();
    assert_eq!((found.catalog, found.at.seq), (catalog("second"), 4));
}

#[test]
fn a_catalog_whose_change_did_not_come_is_forgotten() {
    let dir = tempdir().unwrap();
    let mut here = customers(1..=1, 1);
    let checkpoint = checkpoint(dir.path(), 1, &here);
    checkpoint.append_catalog(catalog("second")).unwrap();
    change(&checkpoint, &mut here, 2, 1, 2);
    // The connection ends before the commit.
    checkpoint.append_catalog(catalog("lost")).unwrap();
    checkpoint.abandon();
    change(&checkpoint, &mut here, 3, 1, 3);
    // A change comes again that the log has already, with the catalog of then.
    checkpoint.append_catalog(catalog("first")).unwrap();
    checkpoint
        .append(
            &[],
            Mark {
                seq: 1,
                ..mark(1, &here)
            },
        )
        .unwrap();
    change(&checkpoint, &mut here, 4, 1, 4);
    assert_eq!(recovered(dir.path()).unwrap().catalog, catalog("second"));
}

#[test]
fn changes_follow_one_another_or_are_refused() {
    let dir = tempdir().unwrap();
    let mut here = customers(1..=1, 1);
    let checkpoint = checkpoint(dir.path(), 5, &here);
    change(&checkpoint, &mut here, 6, 1, 2);
    let size = checkpoint.sizes();
    let at = mark(6, &here);
    // Sent again after a reconnect: it is there already.
    checkpoint.append(&here[&1], at).unwrap();
    checkpoint
        .append(&plain(1, 1), Mark { seq: 5, ..at })
        .unwrap();
    assert_eq!(checkpoint.sizes(), size);
    let others = [
        Mark { seq: 8, ..at },
        Mark {
            epoch: 2,
            seq: 7,
            ..at
        },
        Mark {
            epoch: 2,
            seq: 3,
            ..at
        },
        Mark { digest: 0, ..at },
        Mark {
            seq: u64::MAX,
            ..at
        },
    ];
    for other in others {
        assert!(conflict(checkpoint.append(&[], other)).contains("does not follow"));
    }
    assert_eq!(checkpoint.sizes(), size);
}

#[test]
fn the_last_change_can_be_taken_out_again_once() {
    let dir = tempdir().unwrap();
    let mut here = customers(1..=1, 1);
    let checkpoint = checkpoint(dir.path(), 1, &here);
    assert!(conflict(checkpoint.retract()).contains("no change"));
    change(&checkpoint, &mut here, 2, 1, 2);
    let before = recovered(dir.path()).unwrap();
    let size = checkpoint.sizes();
    checkpoint.append_catalog(catalog("refused")).unwrap();
    let mut refused = here.clone();
    change(&checkpoint, &mut refused, 3, 7, 7);
    checkpoint.retract().unwrap();
    assert_eq!(checkpoint.sizes(), size);
    assert_eq!(all(&checkpoint.view().unwrap()).unwrap(), here);
    assert_eq!(recovered(dir.path()).unwrap(), before);
    conflict(checkpoint.retract());
    change(&checkpoint, &mut here, 3, 1, 3);
    let after = recovered(dir.path()).unwrap();
    assert_eq!((after.customers, after.catalog), (here, catalog("base")));
    checkpoint.compact().unwrap();
    conflict(checkpoint.retract());
}

#[test]
fn records_that_are_none_or_too_many_are_refused_with_nothing_written() {
    let dir = tempdir().unwrap();
    let here = customers(1..=1, 1);
    let checkpoint = checkpoint(dir.path(), 1, &here);
    let size = checkpoint.sizes();
    let at = mark(2, &here);
    let half = [plain(1, 2), plain(2, 1)[..5].to_vec()].concat();
    assert!(matches!(
        checkpoint.append(&half, at),
        Err(Error::Invalid(_))
    ));
    let long = too_long(1);
    assert!(matches!(
        checkpoint.append(&long, at),
        Err(Error::Invalid(_))
    ));
    let many = vec![0; CHANGE_BYTES_MAX + 1];
    assert!(matches!(
        checkpoint.append(&many, at),
        Err(Error::Invalid(_))
    ));
    assert_eq!(checkpoint.sizes(), size);
}

#[test]
fn a_change_of_many_records_is_one_change() {
    let dir = tempdir().unwrap();
    let checkpoint = checkpoint(dir.path(), 1, &customers(1..=1, 1));
    let here = customers(1..=60_000, 2);
    let records: Vec<u8> = here.values().flatten().copied().collect();
    assert!(records.len() > 1 << 20, "more than one block");
    checkpoint.append(&records, mark(2, &here)).unwrap();
    assert_eq!(recovered(dir.path()).unwrap().customers, here);
    let log = dir.path().join("log-1");
    let length = std::fs::metadata(&log).unwrap().len();
    let file = std::fs::OpenOptions::new().write(true).open(&log).unwrap();
    file.set_len(length - 1).unwrap();
    assert_eq!(
        recovered(dir.path()).unwrap().customers,
        customers(1..=1, 1)
    );
}

#[test]
fn the_log_cut_or_changed_anywhere_gives_a_state_that_once_was() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("checkpoint");
    let mut here = customers(1..=2, 1);
    let checkpoint = checkpoint(&path, 1, &here);
    let mut states = vec![(checkpoint.sizes().0, recovered(&path).unwrap())];
    for (seq, number) in (2..).zip([1, 3, 2, 1]) {
        if seq == 4 {
            checkpoint.append_catalog(catalog("second")).unwrap();
        }
        change(&checkpoint, &mut here, seq, number, seq as u32);
        states.push((checkpoint.sizes().0, recovered(&path).unwrap()));
    }
    let whole = std::fs::read(path.join("log-1")).unwrap();
    assert_eq!(whole.len() as u64, states.last().unwrap().0);
    let log = path.join("log-1");
    for length in 0..=whole.len() {
        std::fs::write(&log, &whole[..length]).unwrap();
        let expected = states.iter().rev().find(|s| s.0 <= length as u64);
        let expected = expected.unwrap_or(&states[0]);
        assert_eq!(recovered(&path).unwrap(), expected.1, "cut to {length}");
        let left = std::fs::metadata(&log).unwrap().len();
        assert_eq!(left, expected.0, "what does not count is cut off");
    }
    for byte in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[byte] ^= 1 << (byte % 8);
        std::fs::write(&log, &bytes).unwrap();
        let expected = states.iter().rev().find(|s| s.0 <= byte as u64);
        let expected = expected.unwrap_or(&states[0]);
        assert_eq!(recovered(&path).unwrap(), expected.1, "byte {byte}");
    }
    // And it goes on from there.
    let again = Checkpoint::open(&path).unwrap();
    let (at, _) = again.recover().unwrap().unwrap();
    let mut here = all(&again.view().unwrap()).unwrap();
    change(&again, &mut here, at.seq + 1, 8, 8);
    assert_eq!(recovered(&path).unwrap().customers, here);
}

#[test]
fn a_damaged_base_falls_back_to_the_generation_before_with_all_of_its_log() {
    let dir = tempdir().unwrap();
    let mut here = customers(1..=2, 1);
    let first = checkpoint(dir.path(), 1, &here);
    change(&first, &mut here, 2, 1, 2);
    first.compact().unwrap();
    let before = recovered(dir.path()).unwrap();
    change(&first, &mut here, 3, 2, 3);
    assert_eq!(
        names(dir.path()),
        ["base-1.fcs", "base-2.fcs", "log-1", "log-2"]
    );
    let whole = std::fs::read(dir.path().join("base-2.fcs")).unwrap();
    let keep = tempdir().unwrap();
    copy(dir.path(), keep.path());
    let mut unnoticed = 0;
    for byte in 0..whole.len() {
        let other = tempdir().unwrap();
        copy(keep.path(), other.path());
        let mut bytes = whole.clone();
        bytes[byte] ^= 0x10;
        std::fs::write(other.path().join("base-2.fcs"), bytes).unwrap();
        let found = recovered(other.path()).unwrap();
        if found.at.seq == 3 {
            assert_eq!(found.customers, here, "a bit that zstd does not use");
            unnoticed += 1;
            continue;
        }
        assert_eq!(found, before, "byte {byte}");
        assert_eq!(
            names(other.path()),
            ["base-1.fcs", "base-2.fcs.damaged", "log-1", "log-2.damaged"]
        );
    }
    assert!(unnoticed < 4);
}

#[test]
fn of_damaged_generations_one_is_kept_and_then_there_is_nothing() {
    let dir = tempdir().unwrap();
    let here = customers(1..=2, 1);
    let first = checkpoint(dir.path(), 1, &here);
    first.compact().unwrap();
    for name in ["base-1.fcs", "base-2.fcs"] {
        std::fs::write(dir.path().join(name), b"no").unwrap();
    }
    assert_eq!(recovered(dir.path()), None);
    assert_eq!(names(dir.path()), ["base-1.fcs.damaged", "log-1.damaged"]);
    // A new one begins after them.
    checkpoint(dir.path(), 7, &here);
    assert_eq!(recovered(dir.path()).unwrap().at.seq, 7);
}

#[test]
fn a_log_of_another_base_does_not_count() {
    let dir = tempdir().unwrap();
    let mut here = customers(1..=2, 1);
    let first = checkpoint(dir.path(), 1, &here);
    change(&first, &mut here, 2, 1, 2);
    let log = std::fs::read(dir.path().join("log-1")).unwrap();
    first.compact().unwrap();
    std::fs::write(dir.path().join("log-2"), log).unwrap();
    let found = recovered(dir.path()).unwrap();
    assert_eq!((found.at, found.customers), (mark(2, &here), here));
}

#[test]
fn a_commit_whose_digest_is_wrong_makes_its_generation_a_damaged_one() {
    let dir = tempdir().unwrap();
    let here = customers(1..=2, 1);
    let first = checkpoint(dir.path(), 1, &here);
    first.compact().unwrap();
    let wrong = Mark {
        digest: 5,
        ..mark(2, &here)
    };
    first.append(&plain(1, 9), wrong).unwrap();
    let error = all(&first.view().unwrap()).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
    assert!(first.compact().is_err());
    assert_eq!(recovered(dir.path()).unwrap().at, mark(1, &here));
}

#[test]
fn a_transfer_changes_nothing_before_it_is_complete() {
    let dir = tempdir().unwrap();
    let mut here = customers(1..=2, 1);
    let old = checkpoint(dir.path(), 1, &here);
    let next = customers(3..=4, 1);
    let (at, bytes) = file(9, &next, &catalog("next"));
    old.begin(bytes.len() as u64).unwrap();
    old.piece(0, &bytes[..50]).unwrap();
    assert!(conflict(old.received()).contains("50 of"));
    change(&old, &mut here, 2, 1, 2);
    assert_eq!(
        recovered(dir.path()).unwrap().customers,
        here,
        "and killed here"
    );
    // That was another process: it removed what this one was receiving, so begin anew.
    receive(&old, &bytes).unwrap();
    assert_eq!(old.received().unwrap().header.at, at);
    assert_eq!(old.received().unwrap().catalog().unwrap(), catalog("next"));
    let mut seen = 0;
    let count = &mut |_: fastcheck_core::Record<'_>| {
        seen += 1;
        Ok(())
    };
    old.each_received(count).unwrap();
    assert_eq!(seen, 2);
    assert_eq!(all(&old.view().unwrap()).unwrap(), here);
    old.complete(at).unwrap();
    assert_eq!(all(&old.view().unwrap()).unwrap(), next);
    assert_eq!(old.sizes(), (56, bytes.len() as u64));
    let found = recovered(dir.path()).unwrap();
    assert_eq!(
        (found.at, found.customers, found.catalog),
        (at, next, catalog("next"))
    );
    assert_eq!(
        names(dir.path()),
        ["base-1.fcs", "base-2.fcs", "log-1", "log-2"]
    );
}

#[test]
fn a_transfer_that_is_not_as_it_must_be_is_refused_and_the_old_state_stays() {
    let dir = tempdir().unwrap();
    let here = customers(1..=2, 1);
    let old = checkpoint(dir.path(), 1, &here);
    let (at, bytes) = file(9, &customers(3..=4, 1), &catalog("next"));
    let size = bytes.len() as u64;
    assert!(conflict(old.begin(FILE_BYTES_MAX + 1)).contains("at most"));
    for (offset, piece) in [
        (1, &b"x"[..]),
        (0, &[&bytes[..], b"x"].concat()),
        (u64::MAX, b"x"),
    ] {
        old.begin(size).unwrap();
        conflict(old.piece(offset, piece));
        assert!(conflict(old.piece(0, &bytes)).contains("begin one"));
    }
    for wrong in [
        Mark { epoch: 2, ..at },
        Mark { seq: 8, ..at },
        Mark { digest: 0, ..at },
    ] {
        receive(&old, &bytes).unwrap();
        let error = old.complete(wrong).unwrap_err();
        assert!(error.to_string().contains("its commit says"), "{error}");
        conflict(old.complete(at));
    }
    // The header is right, and the body is not.
    let mut broken = bytes.clone();
    let middle = bytes.len() - 20;
    broken[middle] ^= 1;
    receive(&old, &broken).unwrap();
    assert!(old.each_received(&mut |_| Ok(())).is_err());
    assert!(matches!(old.complete(at), Err(Error::Damaged { .. })));
    receive(&old, &bytes).unwrap();
    old.abandon();
    conflict(old.complete(at));
    assert_eq!(names(dir.path()), ["base-1.fcs", "log-1"]);
    assert_eq!(recovered(dir.path()).unwrap().customers, here);
}

#[test]
fn a_compaction_keeps_what_is_and_drops_what_was() {
    let dir = tempdir().unwrap();
    let mut here = customers(1..=50, 1);
    let checkpoint = checkpoint(dir.path(), 1, &here);
    checkpoint.append_catalog(catalog("second")).unwrap();
    for seq in 2..40 {
        change(&checkpoint, &mut here, seq, seq as u32 % 5 + 1, seq as u32);
    }
    here.remove(&7);
    let gone = record(7, true, 1, None);
    checkpoint.append(&gone, mark(40, &here)).unwrap();
    let before = recovered(dir.path()).unwrap();
    let log = checkpoint.sizes().0;
    checkpoint.compact().unwrap();
    assert!(log > 56 && checkpoint.sizes().0 == 56);
    assert_eq!(recovered(dir.path()).unwrap(), before);
    assert_eq!(before.catalog, catalog("second"));
    change(&checkpoint, &mut here, 41, 7, 1);
    checkpoint.compact().unwrap();
    assert_eq!(
        names(dir.path()),
        ["base-2.fcs", "base-3.fcs", "log-2", "log-3"]
    );
    assert_eq!(recovered(dir.path()).unwrap().customers, here);
}

/// Appends while a compaction of a longer base is under way, until it is done.
#[test]
fn changes_during_a_compaction_are_in_both_generations() {
    let dir = tempdir().unwrap();
    let mut here = customers(1..=20_000, 1);
    let checkpoint = checkpoint(dir.path(), 1, &here);
    let mut seq = 1;
    // The last change that certainly fell into it.
    let mut during = None;
    let (done, ended) = mpsc::channel();
    std::thread::scope(|scope| {
        let compacting = &checkpoint;
        scope.spawn(move || done.send(compacting.compact()).unwrap());
        loop {
            let begun = dir.path().join("log-2").exists();
            seq += 1;
            change(
                &checkpoint,
                &mut here,
                seq,
                seq as u32 % 100 + 1,
                seq as u32,
            );
            if begun && !dir.path().join("base-2.fcs").exists() {
                during = Some(seq);
            }
            if let Ok(result) = ended.try_recv() {
                break result.unwrap();
            }
        }
    });
    let during = during.expect("a change fell into the compaction");
    let after = recovered(dir.path()).unwrap();
    assert_eq!(after.at, mark(seq, &here));
    assert!(after.customers == here);
    // The generation before has those too.
    std::fs::write(dir.path().join("base-2.fcs"), b"no").unwrap();
    assert!(recovered(dir.path()).unwrap().at.seq >= during);
}

#[test]
fn what_a_killed_process_was_writing_is_removed() {
    let dir = tempdir().unwrap();
    let here = customers(1..=2, 1);
    checkpoint(dir.path(), 1, &here);
    for name in ["received.new", "base-2.fcs.new", "log-2", "log-2.new"] {
        std::fs::write(dir.path().join(name), b"half").unwrap();
    }
    // Not ours: left alone.
    for name in [
        "base-+3.fcs",
        "base-007.fcs",
        "notes",
        "base-99999999999999999999.fcs",
    ] {
        std::fs::write(dir.path().join(name), b"a person's").unwrap();
    }
    assert_eq!(recovered(dir.path()).unwrap().customers, here);
    let left = names(dir.path());
    assert_eq!(
        left,
        [
            "base-+3.fcs",
            "base-007.fcs",
            "base-1.fcs",
            "base-99999999999999999999.fcs",
            "log-1",
            "notes"
        ]
    );
}

#[test]
fn a_base_without_its_log_is_a_state_too() {
    let dir = tempdir().unwrap();
    let mut here = customers(1..=2, 1);
    let first = checkpoint(dir.path(), 1, &here);
    change(&first, &mut here, 2, 1, 2);
    std::fs::remove_file(dir.path().join("log-1")).unwrap();
    assert_eq!(recovered(dir.path()).unwrap().at.seq, 1);
    let again = Checkpoint::open(dir.path()).unwrap();
    again.recover().unwrap();
    change(&again, &mut here, 2, 1, 2);
    assert_eq!(recovered(dir.path()).unwrap().customers, here);
}
