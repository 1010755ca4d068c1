//! Customer records out of a stream of bytes, one at a time, with one chunk of them in memory.

use std::io::{self, Read};

use fastcheck_core::customer::{self, Customer};
use fastcheck_core::error::{Error, Result};
use fastcheck_core::key::hash_bytes;

use crate::bounds::RECORD_BYTES_MAX;

/// Bytes read at once.
const CHUNK_BYTES: usize = 1 << 20;

/// One customer's record: decoded, as bytes, and the hash that it adds to a digest.
#[derive(Debug)]
pub struct Record<'a> {
    pub customer: Customer<'a>,
    pub bytes: &'a [u8],
    pub hash: u64,
}

fn record<'a>(customer: Customer<'a>, bytes: &'a [u8]) -> Result<Record<'a>> {
    if bytes.len() > RECORD_BYTES_MAX {
        return Err(Error::Invalid(format!(
            "the record of customer {} has {} bytes, at most {RECORD_BYTES_MAX} are taken",
            customer.number,
            bytes.len()
        )));
    }
    Ok(Record {
        customer,
        bytes,
        hash: hash_bytes(bytes),
    })
}

/// Hands on every record of a run of bytes, in order; those flagged deleted too.
pub fn each_in(mut bytes: &[u8], each: &mut dyn FnMut(Record<'_>) -> Result<()>) -> Result<()> {
    while !bytes.is_empty() {
        let (customer, own, rest) = customer::decode(bytes)?;
        bytes = rest;
        each(record(customer, own)?)?;
    }
    Ok(())
}

/// The same of a stream. `failed` says what an error of the stream is.
pub fn each_of(
    mut source: impl Read,
    failed: impl Fn(io::Error) -> Error,
    each: &mut dyn FnMut(Record<'_>) -> Result<()>,
) -> Result<()> {
    let mut buffer: Vec<u8> = Vec::new();
    loop {
        // As much again as there is, so that a long record is not decoded more often than it doubles.
        let want = CHUNK_BYTES.max(buffer.len()) as u64;
        let read = source
            .by_ref()
            .take(want)
            .read_to_end(&mut buffer)
            .map_err(&failed)? as u64;
        let mut rest = &buffer[..];
        while !rest.is_empty() {
            match customer::decode(rest) {
                Ok((customer, bytes, tail)) => {
                    rest = tail;
                    each(record(customer, bytes)?)?;
                }
                // Perhaps only its end is missing; a record that is whole decodes the same with more after it.
                Err(_) if read == want && rest.len() < RECORD_BYTES_MAX => break,
                Err(e) => return Err(e),
            }
        }
        if read < want {
            return Ok(());
        }
        let used = buffer.len() - rest.len();
        buffer.drain(..used);
    }
}
