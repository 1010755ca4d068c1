//! What the arena's files are called, and how a file gets its name: once it is complete.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

pub fn control_path(dir: &Path) -> PathBuf {
    dir.join("control")
}

pub fn rows_path(dir: &Path, generation: u64) -> PathBuf {
    dir.join(format!("rows-{generation}"))
}

pub fn cells_path(dir: &Path, index: usize) -> PathBuf {
    dir.join(format!("cells-{index}"))
}

pub fn touched_path(dir: &Path) -> PathBuf {
    dir.join("touched")
}

/// Gives a complete file its name, in place of one that may have it.
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    std::fs::rename(from, to).map_err(|source| Error::Io {
        path: to.to_path_buf(),
        doing: "put in place",
        source,
    })
}
