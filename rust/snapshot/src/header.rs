//! The first words of a snapshot's file: what it says of itself.

use fastcheck_core::hash_words;

use crate::bounds::{CATALOG_PART_BYTES_MAX, RAW_BYTES_MAX};

pub const MAGIC: u64 = u64::from_le_bytes(*b"FCSNAP01");
/// Changes when the meaning of a word or of the body does.
pub const LAYOUT: u64 = 1;
/// Bytes of the header: nine words.
pub const HEADER_BYTES: usize = 72;
/// The shortest record: an array of ten fields, a number, a name of one byte, and the least of each other field.
const RECORD_BYTES_MIN: u64 = 12;

/// A point in the ledger's life, and what everything up to it sums up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Of the ledger: another one after it was restored from a backup.
    pub epoch: u64,
    /// Number of the last change.
    pub seq: u64,
    /// Sum (mod 2^64) of the hashes of all customers' records.
    pub digest: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub at: Mark,
    /// How many customers the body has.
    pub customers: u64,
    /// Bytes of the body before compression.
    pub raw_bytes: u64,
    /// How many of those are the catalog's.
    pub catalog_bytes: u64,
}

impl Header {
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut words = [
            MAGIC,
            LAYOUT,
            self.at.epoch,
            self.at.seq,
            self.at.digest,
            self.customers,
            self.raw_bytes,
            self.catalog_bytes,
            0,
        ];
        words[8] = hash_words(0, &words[..8]);
        let mut bytes = [0; HEADER_BYTES];
        for (to, word) in bytes.chunks_exact_mut(8).zip(words) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// Reads a header and checks it. The error says what is wrong with it.
    pub fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Header, String> {
        let mut words = [0u64; 9];
        for (word, from) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*from);
        }
        let [
            magic,
            layout,
            epoch,
            seq,
            digest,
            customers,
            raw_bytes,
            catalog_bytes,
            hash,
        ] = words;
        if magic != MAGIC {
            return Err("it does not begin as a snapshot does".into());
        }
        if hash != hash_words(0, &words[..8]) {
            return Err("its header does not match its hash".into());
        }
        if layout != LAYOUT {
            return Err(format!(
                "it has layout {layout}, this version reads layout {LAYOUT}"
            ));
        }
        if raw_bytes > RAW_BYTES_MAX {
            return Err(format!(
                "it declares {raw_bytes} bytes, at most {RAW_BYTES_MAX} are read"
            ));
        }
        if catalog_bytes > raw_bytes || catalog_bytes > CATALOG_PART_BYTES_MAX as u64 {
            return Err(format!(
                "it declares a catalog of {catalog_bytes} bytes, at most {CATALOG_PART_BYTES_MAX} of its own are read"
            ));
        }
        if customers > (raw_bytes - catalog_bytes) / RECORD_BYTES_MIN {
            return Err(format!(
                "it declares {customers} customers in {raw_bytes} bytes"
            ));
        }
        let at = Mark { epoch, seq, digest };
        Ok(Header {
            at,
            customers,
            raw_bytes,
            catalog_bytes,
        })
    }
}
