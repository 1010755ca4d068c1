//! What the arena's files are called, and how a file gets its name: once it is complete.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

pub(crate) fn control_path(dir: &Path) -> PathBuf {
    dir.join("control")
}

pub(crate) fn rows_path(dir: &Path, generation: u64) -> PathBuf {
    dir.join(format!("rows-{generation}"))
}

pub(crate) fn cells_path(dir: &Path, index: usize) -> PathBuf {
    dir.join(format!("cells-{index}"))
}

pub(crate) fn touched_path(dir: &Path) -> PathBuf {
    dir.join("touched")
}

/// Gives a complete file its name, in place of one that may have it.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<()> {
    std::fs::rename(from, to).map_err(|source| Error::Io {
        path: to.to_path_buf(),
        doing: "put in place",
        source,
    })
}
