//! The generations of a checkpoint in its directory: `base-<n>.fcs` and `log-<n>`, the highest number the newest.

use std::path::{Path, PathBuf};

use fastcheck_core::{Error, Result};

use crate::disk::{self, failed};
use crate::log::Whose;
use crate::snapshot::Snapshot;

/// Numbers from here on are not ours: counting never gets there.
const NUMBER_MAX: u64 = 1 << 62;
const DAMAGED: &str = ".damaged";

pub fn base_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("base-{number}.fcs"))
}

pub fn log_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("log-{number}"))
}

/// Whose the log of a generation must be.
pub fn whose(number: u64, base: &Snapshot) -> Whose {
    Whose {
        number,
        base: base.header.at,
    }
}

fn number_in(name: &str, before: &str, after: &str) -> Option<u64> {
    let digits = name.strip_prefix(before)?.strip_suffix(after)?;
    let number: u64 = digits.parse().ok()?;
    // Only as it is written: "+7" and "007" are somebody else's.
    (number < NUMBER_MAX && number.to_string() == digits).then_some(number)
}

fn names(dir: &Path) -> Result<Vec<String>> {
    let io = failed(dir, "list");
    let mut names = Vec::new();
    for found in std::fs::read_dir(dir).map_err(&io)? {
        if let Ok(name) = found.map_err(&io)?.file_name().into_string() {
            names.push(name);
        }
    }
    Ok(names)
}

/// The numbers of all bases, the newest first.
pub fn list(dir: &Path) -> Result<Vec<u64>> {
    let mut numbers: Vec<u64> = names(dir)?
        .iter()
        .filter_map(|name| number_in(name, "base-", ".fcs"))
        .collect();
    numbers.sort_unstable_by(|a, b| b.cmp(a));
    Ok(numbers)
}

/// Removes what no generation of `keep` needs. What cannot be removed stays for the next time.
pub fn prune(dir: &Path, keep: &[u64]) {
    for name in names(dir).unwrap_or_default() {
        let number = number_in(&name, "base-", ".fcs").or_else(|| number_in(&name, "log-", ""));
        if number.is_some_and(|number| !keep.contains(&number)) {
            let _ = disk::remove(&dir.join(&name));
        }
    }
}

/// Removes what a killed process was writing.
pub fn remove_unfinished(dir: &Path) {
    for name in names(dir).unwrap_or_default() {
        if name.ends_with(".new") {
            let _ = disk::remove(&dir.join(&name));
        }
    }
}

/// Takes a damaged generation out of the way, for a person to look at; an earlier one goes. A directory that cannot be written
/// keeps it: it is refused again the next time.
pub fn set_aside(dir: &Path, number: u64) {
    for name in names(dir).unwrap_or_default() {
        if name.ends_with(DAMAGED) {
            let _ = disk::remove(&dir.join(&name));
        }
    }
    for path in [base_path(dir, number), log_path(dir, number)] {
        let mut aside = path.clone().into_os_string();
        aside.push(DAMAGED);
        let _ = std::fs::rename(&path, aside);
    }
}

/// What is asked of a checkpoint without a generation.
pub fn nothing() -> Error {
    Error::Conflict(
        "the checkpoint has nothing in force: recover it first, or receive a snapshot".into(),
    )
}
