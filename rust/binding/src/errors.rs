//! The one conversion from the core's errors to the Python tree in `fastcheck.errors`.

use fastcheck_core::error::{Corrupt, Error};
use pyo3::call::PyCallArgs;
use pyo3::prelude::*;

/// An exception of the class `name` of `fastcheck.errors`, made from `arguments`.
pub fn made<'py>(py: Python<'py>, name: &str, arguments: impl PyCallArgs<'py>) -> PyErr {
    let made = py
        .import("fastcheck.errors")
        .and_then(|errors| errors.getattr(name))
        .and_then(|class| class.call1(arguments));
    match made {
        Ok(error) => PyErr::from_value(error),
        Err(error) => error,
    }
}

/// An exception of the class `name` with a message.
pub fn raise(py: Python<'_>, name: &str, message: impl Into<String>) -> PyErr {
    made(py, name, (message.into(),))
}

fn directory(py: Python<'_>, path: &std::path::Path, what: String, what_to_do: &str) -> PyErr {
    made(
        py,
        "DirectoryError",
        (path.display().to_string(), what, what_to_do),
    )
}

pub fn from_core(py: Python<'_>, error: Error) -> PyErr {
    use std::io::ErrorKind;
    match error {
        Error::Io {
            path,
            doing,
            source,
        } => {
            let hint = match source.kind() {
                ErrorKind::NotFound => {
                    "open it first with Entitlements.open(directory, catalog=...)"
                }
                ErrorKind::PermissionDenied => {
                    "run as the user that owns the directory, or change its owner"
                }
                ErrorKind::ReadOnlyFilesystem => {
                    "put the directory on a filesystem that can be written"
                }
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                    "free some space; nothing was changed"
                }
                ErrorKind::NotADirectory => "give the path of a directory",
                _ => "see the operating system's message",
            };
            directory(py, &path, format!("cannot {doing} it: {source}"), hint)
        }
        e @ (Error::Corrupt(_) | Error::Layout { .. } | Error::Full(_) | Error::Damaged { .. }) => {
            raise(py, "ArenaError", e.to_string())
        }
        e @ Error::Digest { .. } => raise(py, "LedgerError", e.to_string()),
        e @ Error::Invalid(_) => raise(py, "RecordError", e.to_string()),
        e @ (Error::Lease(_) | Error::Conflict(_)) => raise(py, "Conflict", e.to_string()),
    }
}

pub fn corrupt(py: Python<'_>, error: Corrupt) -> PyErr {
    from_core(py, error.into())
}
