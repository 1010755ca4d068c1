//! Arbitrary bytes as what a checkpoint finds on disk: as a base, as the body of a sound base, as a log, as blocks of a sound
//! log. Any answer will do but a crash or a half: what is recovered sums up to what it says, goes on taking changes, survives
//! a compaction, and is found again.

#![no_main]

#[allow(dead_code)] // It is also that of the targets with an arena.
mod common;

use std::path::Path;

use fastcheck_core::{hash_bytes, hash_words};
use fastcheck_snapshot::catalog_text::CatalogText;
use fastcheck_snapshot::log::{HEADER_BYTES, commit_payload};
use fastcheck_snapshot::{Checkpoint, Header, Mark, SnapshotWriter};
use libfuzzer_sys::fuzz_target;

const RECORD: [u8; 18] = *b"\x9a\x01\xa4acme\x00\xa3pro\x01\x00\x90\x90\x90\xc0";

fn at(seq: u64, digest: u64) -> Mark {
    Mark {
        epoch: 1,
        seq,
        digest,
    }
}

fn catalog() -> CatalogText {
    CatalogText {
        filename: "c.yaml".into(),
        source: b"{}".to_vec(),
    }
}

/// A base of one customer, and its log.
fn sound(dir: &Path) {
    let digest = hash_bytes(&RECORD);
    let path = dir.join("base-1.fcs");
    let mut writer =
        SnapshotWriter::create(&path, at(1, digest), &catalog()).expect("a file in memory");
    writer.add(&RECORD).expect("a record");
    writer.finish().expect("a file in memory");
    let checkpoint = Checkpoint::open(dir).expect("a directory in memory");
    checkpoint.recover().expect("what was written is read");
    checkpoint
        .append(&RECORD, at(2, digest))
        .expect("a change that follows");
}

/// A base whose header fits this body.
fn crafted(dir: &Path, body: &[u8]) {
    let part = catalog().encode().expect("a small catalog");
    let header = Header {
        at: at(1, hash_bytes(body)),
        customers: 1,
        raw_bytes: (part.len() + body.len()) as u64,
        catalog_bytes: part.len() as u64,
    };
    let frame = zstd::encode_all(&[&part[..], body].concat()[..], 1).expect("memory");
    let bytes = [&header.encode()[..], &frame].concat();
    std::fs::write(dir.join("base-1.fcs"), bytes).expect("a file in memory");
}

/// Blocks with right hashes: [kind, length, payload…] of the input each, then a commit for what they might come to.
fn blocks(dir: &Path, mut input: &[u8]) {
    let path = dir.join("log-1");
    let mut log = std::fs::read(&path).expect("a log");
    let mut word = [0; 8];
    word.copy_from_slice(&log[HEADER_BYTES - 8..HEADER_BYTES]);
    let seed = u64::from_le_bytes(word);
    let mut put = |kind: u32, payload: &[u8]| {
        let words = [log.len() as u64, u64::from(kind), payload.len() as u64];
        let hash = hash_words(seed ^ hash_bytes(payload), &words);
        log.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        log.extend_from_slice(&kind.to_le_bytes());
        log.extend_from_slice(&hash.to_le_bytes());
        log.extend_from_slice(payload);
    };
    let mut digest = hash_bytes(&RECORD);
    while let [kind, length, rest @ ..] = input {
        let (payload, rest) = rest.split_at(usize::from(*length).min(rest.len()));
        put(u32::from(kind % 5), payload);
        if kind % 5 == 1 {
            digest = hash_bytes(payload);
        }
        input = rest;
    }
    put(3, &commit_payload(at(3, digest)));
    std::fs::write(path, log).expect("a file in memory");
}

/// What is recovered, with its digest compared by hand.
fn recovered(dir: &Path) -> Option<(Checkpoint, Mark)> {
    let checkpoint = Checkpoint::open(dir).expect("a directory in memory");
    let (at, _) = checkpoint
        .recover()
        .expect("damage is no error of the system")?;
    let mut sum = 0u64;
    let view = checkpoint.view().expect("what was recovered is in force");
    view.each(&mut |record| {
        sum = sum.wrapping_add(hash_bytes(record.bytes));
        Ok(())
    })
    .expect("what was recovered can be read");
    assert_eq!(sum, at.digest);
    Some((checkpoint, at))
}

fuzz_target!(|input: &[u8]| {
    let Some((mode, bytes)) = input.split_first() else {
        return;
    };
    let dir = common::directory("checkpoint");
    match mode % 4 {
        0 => std::fs::write(dir.join("base-1.fcs"), bytes).expect("a file in memory"),
        1 => crafted(&dir, bytes),
        2 => {
            sound(&dir);
            std::fs::write(dir.join("log-1"), bytes).expect("a file in memory");
        }
        _ => {
            sound(&dir);
            blocks(&dir, bytes);
        }
    }
    if let Some((checkpoint, found)) = recovered(&dir)
        && let Some(seq) = found.seq.checked_add(1)
    {
        let next = Mark { seq, ..found };
        checkpoint.append(&[], next).expect("the next change");
        checkpoint
            .compact()
            .expect("what can be read can be compacted");
        let (_, again) = recovered(&dir).expect("it is there");
        assert_eq!(again, next);
    }
    std::fs::remove_dir_all(&dir).expect("a directory in memory");
});
