//! What the tests share: records as bytes, a checkpoint and everything that can be seen of it.
#![allow(dead_code)] // Each test file uses its part.

use std::collections::BTreeMap;
use std::path::Path;

use fastcheck_core::{Result, hash_bytes};
use fastcheck_snapshot::bounds::RECORD_BYTES_MAX;
use fastcheck_snapshot::catalog_text::CatalogText;
use fastcheck_snapshot::{Checkpoint, Mark, SnapshotWriter, View};

/// Number of a customer -> its record.
pub type Customers = BTreeMap<u32, Vec<u8>>;

/// A record: plan and version stand for what it says.
pub fn record(number: u32, deleted: bool, version: u32, alias: Option<&str>) -> Vec<u8> {
    use rmp::encode::*;
    let mut out = Vec::new();
    write_array_len(&mut out, 10).unwrap();
    write_uint(&mut out, number.into()).unwrap();
    write_str(&mut out, &format!("customer-{number}")).unwrap();
    write_uint(&mut out, deleted.into()).unwrap();
    write_str(&mut out, "pro").unwrap();
    write_uint(&mut out, version.into()).unwrap();
    write_uint(&mut out, 0).unwrap();
    write_array_len(&mut out, 0).unwrap();
    write_array_len(&mut out, 0).unwrap();
    write_array_len(&mut out, u32::from(alias.is_some())).unwrap();
    if let Some(alias) = alias {
        write_str(&mut out, alias).unwrap();
    }
    write_nil(&mut out).unwrap();
    out
}

pub fn plain(number: u32, version: u32) -> Vec<u8> {
    record(number, false, version, None)
}

/// A record with a field of a newer hub that makes it longer than a record may be.
pub fn too_long(number: u32) -> Vec<u8> {
    let mut out = plain(number, 1);
    out[0] = 0x9b;
    rmp::encode::write_bin(&mut out, &vec![0; RECORD_BYTES_MAX]).unwrap();
    out
}

pub fn catalog(text: &str) -> CatalogText {
    CatalogText {
        filename: "catalog.yaml".into(),
        source: text.as_bytes().to_vec(),
    }
}

pub fn digest(customers: &Customers) -> u64 {
    customers
        .values()
        .fold(0, |sum, record| sum.wrapping_add(hash_bytes(record)))
}

pub fn customers(numbers: impl IntoIterator<Item = u32>, version: u32) -> Customers {
    numbers
        .into_iter()
        .map(|number| (number, plain(number, version)))
        .collect()
}

pub fn mark(seq: u64, customers: &Customers) -> Mark {
    Mark {
        epoch: 1,
        seq,
        digest: digest(customers),
    }
}

/// A snapshot's file of these customers at `path`.
pub fn write(path: &Path, seq: u64, customers: &Customers, catalog: &CatalogText) -> Mark {
    let at = mark(seq, customers);
    let mut writer = SnapshotWriter::create(path, at, catalog).unwrap();
    for record in customers.values() {
        writer.add(record).unwrap();
    }
    writer.finish().unwrap();
    at
}

/// The same as bytes.
pub fn file(seq: u64, customers: &Customers, catalog: &CatalogText) -> (Mark, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("snapshot.fcs");
    let at = write(&path, seq, customers, catalog);
    (at, std::fs::read(path).unwrap())
}

/// Receives a file in pieces, without completing it.
pub fn receive(checkpoint: &Checkpoint, bytes: &[u8]) -> Result<()> {
    checkpoint.begin(bytes.len() as u64)?;
    let mut offset = 0;
    for piece in bytes.chunks(100) {
        checkpoint.piece(offset, piece)?;
        offset += piece.len() as u64;
    }
    Ok(())
}

/// A checkpoint whose base are these customers.
pub fn checkpoint(dir: &Path, seq: u64, customers: &Customers) -> Checkpoint {
    let checkpoint = Checkpoint::open(dir).unwrap();
    let (at, bytes) = file(seq, customers, &catalog("base"));
    receive(&checkpoint, &bytes).unwrap();
    checkpoint.complete(at).unwrap();
    checkpoint
}

pub fn all(view: &View) -> Result<Customers> {
    let mut found = Customers::new();
    view.each(&mut |record| {
        let twice = found.insert(record.customer.number, record.bytes.to_vec());
        assert!(twice.is_none(), "a customer is handed on once");
        Ok(())
    })?;
    Ok(found)
}

/// Everything that a checkpoint says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    pub at: Mark,
    pub catalog: CatalogText,
    pub customers: Customers,
}

/// What a fresh process finds.
pub fn recovered(dir: &Path) -> Option<State> {
    let checkpoint = Checkpoint::open(dir).unwrap();
    let (at, catalog) = checkpoint.recover().unwrap()?;
    let customers = all(&checkpoint.view().unwrap()).unwrap();
    assert_eq!(digest(&customers), at.digest);
    Some(State {
        at,
        catalog,
        customers,
    })
}

pub fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|found| found.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

pub fn copy(from: &Path, to: &Path) {
    for name in names(from) {
        std::fs::copy(from.join(&name), to.join(&name)).unwrap();
    }
}
