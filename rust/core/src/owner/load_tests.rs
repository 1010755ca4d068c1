//! Loads that are refused, at any point, leave the rows in force and whatever the next put needs of them.

use tempfile::TempDir;

use super::*;
use crate::arena::View;
use crate::check::{self, Answer};
use crate::testing::{At, NOW_MS, Record, plain_catalog};

fn open(dir: &Path) -> Owner {
    let env = Environment {
        boot: 7,
        random: 0x5eed,
        pid: 1,
        now_ms: NOW_MS as u64,
        steady_ms: 1,
    };
    Owner::open(dir, plain_catalog(), 11, env).unwrap()
}

fn seats(dir: &Path, id: &str) -> Answer {
    let view = View::attach(dir).unwrap();
    check::check_named(
        &view.rows,
        &*view.cells,
        id.as_bytes(),
        b"seats",
        &At(NOW_MS),
    )
    .unwrap()
}

/// (digest, customers, epoch, seq)
fn state(owner: &Owner) -> (u64, u64, u64, u64) {
    (
        owner.rows.digest(),
        owner.rows.customers(),
        owner.epoch().unwrap(),
        owner.seq().unwrap(),
    )
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|found| found.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_load_whose_feed_fails_leaves_rows_that_go_on_taking_changes() {
    let dir = TempDir::new().unwrap();
    let mut owner = open(dir.path());
    let acme = Record::plain(1, "acme", 1);
    owner.load([&acme.bytes()[..]], 3, 5, NOW_MS).unwrap();
    let before = state(&owner);
    assert_eq!((before.2, before.3), (3, 5));
    // The feed meets a plan that the rows in force have no profile of, and then fails.
    let free = Record::plain(2, "tiny", 0);
    let refused = owner.load_each(4, 6, NOW_MS, |take| {
        take(&free.customer(), 1)?;
        Err(Error::Invalid("the file ends early".into()))
    });
    assert!(matches!(refused, Err(Error::Invalid(_))));
    assert_eq!(state(&owner), before);
    // A put of that plan, and of the one that was loaded.
    let other = Record::plain(3, "other", 1);
    owner.put(&free.bytes(), 3, 6, NOW_MS).unwrap();
    owner.put(&other.bytes(), 3, 7, NOW_MS).unwrap();
    assert_eq!(seats(dir.path(), "acme"), Answer::Allowed);
    assert_eq!(seats(dir.path(), "other"), Answer::Allowed);
    assert_ne!(seats(dir.path(), "tiny"), Answer::Allowed);
}

#[test]
fn a_customer_with_two_records_is_refused_and_no_file_stays_behind() {
    let dir = TempDir::new().unwrap();
    let mut owner = open(dir.path());
    let acme = Record::plain(1, "acme", 1);
    owner.load([&acme.bytes()[..]], 1, 1, NOW_MS).unwrap();
    let (before, files) = (state(&owner), names(dir.path()));
    let twice = [acme.bytes(), Record::plain(1, "other", 0).bytes()].concat();
    let error = owner.load([&twice[..]], 1, 2, NOW_MS).unwrap_err();
    assert!(error.to_string().contains("two records"), "{error}");
    assert_eq!((state(&owner), names(dir.path())), (before, files));
}

#[test]
fn a_put_of_more_than_its_bound_is_refused_before_it_is_read() {
    let dir = TempDir::new().unwrap();
    let mut owner = open(dir.path());
    let acme = Record::plain(1, "acme", 1);
    owner.load([&acme.bytes()[..]], 1, 1, NOW_MS).unwrap();
    let before = state(&owner);
    let large = vec![0x9a; PUT_BYTES_MAX + 1];
    let error = owner.put(&large, 1, 2, NOW_MS).unwrap_err();
    assert!(error.to_string().contains("at most"), "{error}");
    assert_eq!(state(&owner), before);
}
