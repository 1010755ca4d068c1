//! Files that only their owner reads, put in place whole.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use fastcheck_core::{Error, Result};

pub fn failed<'a>(path: &'a Path, doing: &'static str) -> impl Fn(io::Error) -> Error + 'a {
    move |source| Error::Io {
        path: path.to_path_buf(),
        doing,
        source,
    }
}

pub fn damaged(path: &Path, what: impl Into<String>) -> Error {
    Error::Damaged {
        path: path.to_path_buf(),
        what: what.into(),
    }
}

/// An error met while reading: the system's own stays one, all others are about the content.
pub fn unreadable(path: &Path, error: io::Error) -> Error {
    match error.raw_os_error() {
        Some(_) => failed(path, "read")(error),
        None => damaged(path, error.to_string()),
    }
}

/// A name that no reader takes for a finished file.
pub fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// Makes a file that was not there, or replaces what a killed predecessor left of it.
pub fn create(path: &Path) -> Result<File> {
    remove(path)?;
    OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(failed(path, "create"))
}

/// Removes a file; one that is not there is fine.
pub fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(failed(path, "remove")(e)),
        _ => Ok(()),
    }
}

/// Gives a file its final name, for good: after this returns, no power cut takes it away. The file's bytes are synced before.
pub fn place(from: &Path, to: &Path) -> Result<()> {
    std::fs::rename(from, to).map_err(failed(to, "put in place"))?;
    sync_directory(to)
}

/// Makes the names in the directory of `path` durable.
pub fn sync_directory(path: &Path) -> Result<()> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(parent)
        .and_then(|dir| dir.sync_all())
        .map_err(failed(parent, "write to disk"))
}

pub fn create_directory(path: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(failed(path, "create"))
}
