//! Snapshots' files: what is written is read; what is not as it must be is refused, whatever it declares.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use fastcheck_core::{Error, Result, hash_words};
use fastcheck_snapshot::bounds::{CATALOG_BYTES_MAX, RAW_BYTES_MAX};
use fastcheck_snapshot::catalog_text::CatalogText;
use fastcheck_snapshot::header::HEADER_BYTES;
use fastcheck_snapshot::{Header, Mark, Snapshot, SnapshotWriter, View};
use proptest::prelude::*;
use tempfile::tempdir;

mod support;
use support::*;

fn read(path: &Path) -> Result<Customers> {
    all(&View::of(Snapshot::open(path)?))
}

/// A file with this header and this body, well compressed.
fn crafted(dir: &Path, header: Header, body: &[u8]) -> std::path::PathBuf {
    let path = dir.join("crafted.fcs");
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    std::io::Write::write_all(&mut encoder, body).unwrap();
    let mut bytes = header.encode().to_vec();
    bytes.extend(encoder.finish().unwrap());
    std::fs::write(&path, bytes).unwrap();
    path
}

fn header(customers: &Customers, body: &[u8], catalog_bytes: usize) -> Header {
    Header {
        at: mark(1, customers),
        customers: customers.len() as u64,
        raw_bytes: body.len() as u64,
        catalog_bytes: catalog_bytes as u64,
    }
}

fn refused(path: &Path) -> String {
    match read(path) {
        Err(e) => e.to_string(),
        Ok(found) => panic!("{found:?} was read"),
    }
}

#[test]
fn what_is_written_is_read() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("s.fcs");
    // Long enough for several chunks, and records of every length across their ends.
    let long = "x".repeat(500);
    let written: Customers = (1..=6_000)
        .map(|n| (n, record(n, false, n, Some(&long[..1 + n as usize % 500]))))
        .collect();
    let at = write(&path, 7, &written, &catalog("text"));
    let snapshot = Snapshot::open(&path).unwrap();
    assert_eq!((snapshot.header.at, snapshot.header.customers), (at, 6_000));
    assert_eq!(snapshot.catalog().unwrap(), catalog("text"));
    assert!(snapshot.header.raw_bytes > 1 << 20);
    assert_eq!(read(&path).unwrap(), written);
    assert_eq!(names(dir.path()), ["s.fcs"]);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn nobody_at_all_is_a_snapshot_too() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("s.fcs");
    write(&path, 0, &Customers::new(), &catalog(""));
    assert_eq!(read(&path).unwrap(), Customers::new());
}

#[test]
fn deleted_customers_are_left_out() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("s.fcs");
    let here = customers([1, 3], 1);
    let mut writer = SnapshotWriter::create(&path, mark(1, &here), &catalog("")).unwrap();
    let records = [plain(1, 1), record(2, true, 1, None), plain(3, 1)].concat();
    writer.add(&records).unwrap();
    assert_eq!(writer.finish().unwrap().0, 2);
    assert_eq!(read(&path).unwrap(), here);
}

#[test]
fn records_that_do_not_sum_up_leave_no_file_and_both_sums_are_said() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("s.fcs");
    let here = customers([1], 1);
    let mut writer = SnapshotWriter::create(&path, mark(1, &here), &catalog("")).unwrap();
    writer.add(&plain(1, 2)).unwrap();
    let error = writer.finish().unwrap_err();
    let other = digest(&customers([1], 2));
    assert!(
        matches!(error, Error::Digest { found, stated } if found == other && stated == digest(&here))
    );
    let text = error.to_string();
    assert!(
        text.contains(&format!("{other:016x}"))
            && text.contains(&format!("{:016x}", digest(&here)))
    );
    assert!(names(dir.path()).is_empty());
}

#[test]
fn a_record_that_is_none_adds_nothing_and_the_writer_goes_on() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("s.fcs");
    let here = customers([1], 1);
    let mut writer = SnapshotWriter::create(&path, mark(1, &here), &catalog("")).unwrap();
    let half = [plain(9, 1), plain(8, 1)[..5].to_vec()].concat();
    for bad in [half, too_long(9)] {
        assert!(matches!(writer.add(&bad), Err(Error::Invalid(_))));
    }
    writer.add(&plain(1, 1)).unwrap();
    writer.finish().unwrap();
    assert_eq!(read(&path).unwrap(), here);
}

#[test]
fn a_writer_that_is_dropped_leaves_what_was_there() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("s.fcs");
    let here = customers([1], 1);
    let at = write(&path, 1, &here, &catalog(""));
    let mut writer = SnapshotWriter::create(&path, at, &catalog("other")).unwrap();
    writer.add(&plain(1, 1)).unwrap();
    drop(writer);
    assert_eq!(names(dir.path()), ["s.fcs"]);
    assert_eq!(
        Snapshot::open(&path).unwrap().catalog().unwrap(),
        catalog("")
    );
}

#[test]
fn a_catalog_over_its_bounds_is_refused_before_there_is_a_file() {
    let dir = tempdir().unwrap();
    let at = mark(1, &Customers::new());
    let long = CatalogText {
        filename: "x".repeat(4_097),
        source: vec![],
    };
    let large = CatalogText {
        filename: String::new(),
        source: vec![0; CATALOG_BYTES_MAX + 1],
    };
    for catalog in [long, large] {
        let made = SnapshotWriter::create(&dir.path().join("s.fcs"), at, &catalog);
        assert!(matches!(made.map(|_| ()), Err(Error::Invalid(_))));
    }
    assert!(names(dir.path()).is_empty());
}

#[test]
fn every_changed_bit_and_every_cut_is_refused() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("s.fcs");
    write(&path, 1, &customers(1..=5, 1), &catalog("text"));
    let whole = std::fs::read(&path).unwrap();
    let bad = dir.path().join("bad.fcs");
    // zstd says nothing about reserved and unused bits of its own; what is read is then what was written, or refused.
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&bad, bytes).unwrap();
        if let Ok(found) = read(&bad) {
            assert!(
                bit / 8 >= HEADER_BYTES,
                "bit {bit} of the header is not covered"
            );
            assert_eq!(found, customers(1..=5, 1), "bit {bit}");
        }
    }
    for length in 0..whole.len() {
        std::fs::write(&bad, &whole[..length]).unwrap();
        refused(&bad);
    }
    std::fs::write(&bad, [&whole[..], b"x"].concat()).unwrap();
    assert!(refused(&bad).contains("other bytes than it declares"));
    let twice = [&whole[..], &whole[HEADER_BYTES..]].concat();
    std::fs::write(&bad, twice).unwrap();
    refused(&bad);
}

/// What is wrong, and how the header comes to say it.
type Case = (&'static str, fn(&mut Header));

#[test]
fn what_the_header_declares_is_not_believed() {
    let dir = tempdir().unwrap();
    let here = customers(1..=3, 1);
    let part = catalog("text").encode().unwrap();
    let records: Vec<u8> = here.values().flatten().copied().collect();
    let body = [&part[..], &records].concat();
    let right = header(&here, &body, part.len());
    assert_eq!(read(&crafted(dir.path(), right, &body)).unwrap(), here);
    let cases: [Case; 9] = [
        ("more than it may", |h| h.raw_bytes = RAW_BYTES_MAX + 1),
        ("more than there is", |h| h.raw_bytes += 1),
        ("less than there is", |h| h.raw_bytes -= 1),
        ("a catalog of all the world", |h| h.catalog_bytes = u64::MAX),
        ("a catalog beyond the body", |h| {
            h.catalog_bytes = h.raw_bytes + 1
        }),
        ("a catalog that ends early", |h| h.catalog_bytes -= 1),
        ("customers without end", |h| h.customers = u64::MAX),
        ("one customer less", |h| h.customers -= 1),
        ("another digest", |h| h.at.digest ^= 1),
    ];
    for (what, change) in cases {
        let mut header = right;
        change(&mut header);
        let error = read(&crafted(dir.path(), header, &body)).expect_err(what);
        assert!(
            matches!(error, Error::Damaged { .. } | Error::Invalid(_)),
            "{what}: {error}"
        );
    }
}

#[test]
fn a_header_of_another_layout_says_so() {
    let dir = tempdir().unwrap();
    let mut bytes = file(1, &customers([1], 1), &catalog("")).1;
    bytes[8] = 9;
    let words: Vec<u64> = bytes[..64]
        .chunks(8)
        .map(|w| u64::from_le_bytes(w.try_into().unwrap()))
        .collect();
    bytes[64..72].copy_from_slice(&hash_words(0, &words).to_le_bytes());
    let path = dir.path().join("s.fcs");
    std::fs::write(&path, bytes).unwrap();
    assert!(refused(&path).contains("layout 9"));
}

#[test]
fn a_depth_bomb_and_a_bomb_of_zeros_are_refused() {
    let dir = tempdir().unwrap();
    let part = catalog("").encode().unwrap();
    // Eleven fields, the last one a hundred thousand arrays deep.
    let mut deep = plain(1, 1);
    deep[0] = 0x9b;
    deep.extend(std::iter::repeat_n(0x91, 100_000));
    let zeros = vec![0; 64 << 20];
    let bombs = [
        (deep, "nested too deep"),
        (zeros, "not well-formed"),
        (too_long(1), "cut short"),
    ];
    for (bomb, what) in bombs {
        let body = [&part[..], &bomb].concat();
        let path = crafted(
            dir.path(),
            header(&customers([1], 1), &body, part.len()),
            &body,
        );
        assert!(std::fs::metadata(&path).unwrap().len() < 10_000);
        assert!(refused(&path).contains(what));
    }
}

#[test]
fn a_window_that_takes_more_memory_than_may_be_is_refused() {
    let dir = tempdir().unwrap();
    let body = vec![0x90; 1 << 20];
    let mut bytes = header(&Customers::new(), &body, 5).encode().to_vec();
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(27).unwrap();
    std::io::Write::write_all(&mut encoder, &body).unwrap();
    bytes.extend(encoder.finish().unwrap());
    let path = dir.path().join("s.fcs");
    std::fs::write(&path, bytes).unwrap();
    assert!(refused(&path).contains("memory"));
}

#[test]
fn an_error_of_who_takes_the_records_ends_it() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("s.fcs");
    write(&path, 1, &customers(1..=3, 1), &catalog(""));
    let mut taken = 0;
    let error = Snapshot::open(&path).unwrap().each(&mut |_| {
        taken += 1;
        Err(Error::Invalid("no".into()))
    });
    assert!(matches!(error, Err(Error::Invalid(what)) if what == "no"));
    assert_eq!(taken, 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn arbitrary_bytes_are_no_snapshot(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let dir = tempdir().unwrap();
        let path = dir.path().join("s.fcs");
        std::fs::write(&path, bytes).unwrap();
        prop_assert!(read(&path).is_err());
    }

    #[test]
    fn an_arbitrary_body_under_a_sound_header_crashes_nobody(
        body in prop::collection::vec(any::<u8>(), 0..400), catalog_bytes in 0usize..50, digest: u64, customers in 0u64..4,
    ) {
        let dir = tempdir().unwrap();
        let header = Header {
            at: Mark { epoch: 1, seq: 1, digest },
            customers,
            raw_bytes: body.len() as u64,
            catalog_bytes: catalog_bytes as u64,
        };
        prop_assert!(read(&crafted(dir.path(), header, &body)).is_err());
    }
}
