//! The core's one error type. The binding converts it once, into the Python error tree.

use std::fmt;
use std::path::PathBuf;

#[derive(Debug)]
pub enum Error {
    /// Bytes in a mapped file make no sense: a truncated, corrupted, hostile or foreign arena.
    Corrupt(&'static str),
    /// The files were written by another layout of fastcheck.
    Layout {
        path: PathBuf,
        found: u64,
        expected: u64,
    },
    /// The operating system refused.
    Io {
        path: PathBuf,
        doing: &'static str,
        source: std::io::Error,
    },
    /// A record or a document that breaks a rule; nothing of it was applied.
    Invalid(String),
    /// A bound of the arena is reached.
    Full(&'static str),
    /// The lease asked for is not the one that is open.
    Lease(String),
    /// A snapshot or a checkpoint whose content is not what it says; nothing of it counts.
    Damaged { path: PathBuf, what: String },
    /// Records that do not sum up to the digest stated for them.
    Digest { found: u64, stated: u64 },
    /// A call that does not follow from those before it.
    Conflict(String),
}

pub type Result<T> = std::result::Result<T, Error>;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Corrupt(what) => write!(
                f,
                "the arena is damaged ({what}); its owner rebuilds it from the ledger at its next start"
            ),
            Error::Layout {
                path,
                found,
                expected,
            } => write!(
                f,
                "{} was written by another version of fastcheck (layout {found:016x}, this one reads {expected:016x}); \
                 run one version per directory. To change over, close the directory with the old version, stop all its processes, \
                 remove control, rows-* and cells-* (the ledger keeps what was settled), and open it with the new one",
                path.display()
            ),
            Error::Io {
                path,
                doing,
                source,
            } => write!(f, "cannot {doing} {}: {source}", path.display()),
            Error::Invalid(what) => f.write_str(what),
            Error::Full(what) => write!(f, "no room left: {what}"),
            Error::Lease(what) | Error::Conflict(what) => f.write_str(what),
            Error::Damaged { path, what } => write!(
                f,
                "{} is damaged: {what}; it is not used, and the hub sends a whole one",
                path.display()
            ),
            Error::Digest { found, stated } => write!(
                f,
                "the records sum up to {found:016x}, the digest stated for them is {stated:016x}: \
                 they are not all of one state, or not all of it; nothing was written"
            ),
        }
    }
}

impl std::error::Error for Error {}

/// A word out of bounds or a field out of range, met while reading. Zero-sized, so that the hot path pays
/// for nothing but the branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt;

impl From<Corrupt> for Error {
    fn from(_: Corrupt) -> Error {
        Error::Corrupt("an offset points outside its file")
    }
}
