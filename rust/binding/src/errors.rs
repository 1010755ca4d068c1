//! The one conversion from the core's errors to the Python tree in `fastcheck.errors`.

use std::io::ErrorKind;

use fastcheck_core::{Corrupt, Error, Refused};
use pyo3::call::PyCallArgs;
use pyo3::prelude::*;

/// The classes of `fastcheck.errors` that are raised from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    AmountError,
    ArenaError,
    CatalogError,
    Closed,
    Conflict,
    DirectoryError,
    FastcheckError,
    LedgerError,
    NameInvalid,
    NotCountable,
    NotYet,
    RecordError,
    StaleIds,
    TooManyReservations,
    UnknownFeature,
    WrongType,
}

impl Class {
    fn name(self) -> &'static str {
        match self {
            Class::AmountError => "AmountError",
            Class::ArenaError => "ArenaError",
            Class::CatalogError => "CatalogError",
            Class::Closed => "Closed",
            Class::Conflict => "Conflict",
            Class::DirectoryError => "DirectoryError",
            Class::FastcheckError => "FastcheckError",
            Class::LedgerError => "LedgerError",
            Class::NameInvalid => "NameInvalid",
            Class::NotCountable => "NotCountable",
            Class::NotYet => "NotYet",
            Class::RecordError => "RecordError",
            Class::StaleIds => "StaleIds",
            Class::TooManyReservations => "TooManyReservations",
            Class::UnknownFeature => "UnknownFeature",
            Class::WrongType => "WrongType",
        }
    }

    /// The class of what the core refuses.
    fn of_refused(refused: &Refused) -> Class {
        match refused {
            Refused::Damaged(_) => Class::ArenaError,
            Refused::NotCountable(_) => Class::NotCountable,
            Refused::TooLarge | Refused::Unnamed { .. } | Refused::NoQuantity { .. } => {
                Class::AmountError
            }
            Refused::NoLimit(_) => Class::WrongType,
            Refused::NoSlot => Class::TooManyReservations,
        }
    }

    /// The class of an error of the core.
    fn of(error: &Error) -> Class {
        match error {
            Error::Io { .. } => Class::DirectoryError,
            Error::Corrupt(_) | Error::Layout { .. } | Error::Full(_) | Error::Damaged { .. } => {
                Class::ArenaError
            }
            Error::Digest { .. } => Class::LedgerError,
            Error::Invalid(_) => Class::RecordError,
            Error::Lease(_) | Error::Conflict(_) => Class::Conflict,
        }
    }
}

/// An exception of that class, made from `arguments`.
pub fn made<'py>(py: Python<'py>, class: Class, arguments: impl PyCallArgs<'py>) -> PyErr {
    let made = py
        .import("fastcheck.errors")
        .and_then(|errors| errors.getattr(class.name()))
        .and_then(|class| class.call1(arguments));
    match made {
        Ok(error) => PyErr::from_value(error),
        Err(error) => error,
    }
}

/// An exception of that class with a message.
pub fn raise(py: Python<'_>, class: Class, message: impl Into<String>) -> PyErr {
    made(py, class, (message.into(),))
}

pub fn from_core(py: Python<'_>, error: Error) -> PyErr {
    let class = Class::of(&error);
    match error {
        Error::Io {
            path,
            doing,
            source,
        } => {
            let what = format!("cannot {doing} it: {source}");
            let arguments = (path.display().to_string(), what, what_to_do(source.kind()));
            made(py, class, arguments)
        }
        error => raise(py, class, error.to_string()),
    }
}

/// What helps where the operating system refused.
fn what_to_do(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NotFound => "open it first with Entitlements.open(directory, catalog=...)",
        ErrorKind::PermissionDenied => {
            "run as the user that owns the directory, or change its owner"
        }
        ErrorKind::ReadOnlyFilesystem => "put the directory on a filesystem that can be written",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            "free some space; nothing was changed"
        }
        ErrorKind::NotADirectory => "give the path of a directory",
        _ => "see the operating system's message",
    }
}

pub fn corrupt(py: Python<'_>, error: Corrupt) -> PyErr {
    from_core(py, error.into())
}

#[cold]
pub fn refused(py: Python<'_>, refused: Refused) -> PyErr {
    raise(py, Class::of_refused(&refused), refused.to_string())
}
