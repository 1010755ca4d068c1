//! A catalog as it travels: msgpack `[filename, text]`, the filename a str, the text a bin.

use fastcheck_core::{Error, Result};

use crate::bounds::{CATALOG_BYTES_MAX, FILENAME_BYTES_MAX};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogText {
    pub filename: String,
    pub source: Vec<u8>,
}

impl CatalogText {
    /// Packs it. `Error::Invalid` where it is over a bound.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let (name, text) = (self.filename.len(), self.source.len());
        if name > FILENAME_BYTES_MAX || text > CATALOG_BYTES_MAX {
            return Err(Error::Invalid(format!(
                "a catalog of {text} bytes with a filename of {name}: at most {CATALOG_BYTES_MAX} and {FILENAME_BYTES_MAX} are taken"
            )));
        }
        let mut out = Vec::with_capacity(text + name + 16);
        let packed = rmp::encode::write_array_len(&mut out, 2)
            .map(drop)
            .and_then(|()| rmp::encode::write_str(&mut out, &self.filename))
            .and_then(|()| rmp::encode::write_bin(&mut out, &self.source));
        packed.map_err(|e| Error::Invalid(format!("a catalog cannot be packed: {e}")))?;
        Ok(out)
    }

    /// Unpacks exactly these bytes. None: they are something else, or over a bound.
    pub fn decode(mut bytes: &[u8]) -> Option<CatalogText> {
        if rmp::decode::read_array_len(&mut bytes).ok()? != 2 {
            return None;
        }
        let length = rmp::decode::read_str_len(&mut bytes).ok()? as usize;
        let (name, rest) = bytes.split_at_checked(length)?;
        bytes = rest;
        let length = rmp::decode::read_bin_len(&mut bytes).ok()? as usize;
        if length != bytes.len() || length > CATALOG_BYTES_MAX || name.len() > FILENAME_BYTES_MAX {
            return None;
        }
        Some(CatalogText {
            filename: std::str::from_utf8(name).ok()?.to_owned(),
            source: bytes.to_vec(),
        })
    }
}
