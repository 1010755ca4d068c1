//! Customer records out of a stream of bytes, one at a time, with one chunk of them in memory.

use std::io::{self, Read};

use fastcheck_core::{Error, Record, Result, each_record};

use crate::bounds::RECORD_BYTES_MAX;

/// Bytes read at once.
const CHUNK_BYTES: usize = 1 << 20;

fn bounded(record: Record<'_>) -> Result<Record<'_>> {
    let bytes = record.bytes.len();
    if bytes > RECORD_BYTES_MAX {
        return Err(Error::Invalid(format!(
            "the record of customer {} has {bytes} bytes, at most {RECORD_BYTES_MAX} are taken",
            record.customer.number,
        )));
    }
    Ok(record)
}

/// Hands on every record of a run of bytes, in order; those flagged deleted too.
pub fn each_in(bytes: &[u8], each: &mut dyn FnMut(Record<'_>) -> Result<()>) -> Result<()> {
    each_record(bytes).try_for_each(|record| each(bounded(record?)?))
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
        let mut records = each_record(&buffer);
        while let Some(record) = records.next() {
            match record {
                Ok(record) => each(bounded(record)?)?,
                // Perhaps only its end is missing; a record that is whole decodes the same with more after it.
                Err(_) if read == want && records.rest().len() < RECORD_BYTES_MAX => break,
                Err(e) => return Err(e),
            }
        }
        if read < want {
            return Ok(());
        }
        let used = buffer.len() - records.rest().len();
        buffer.drain(..used);
    }
}
