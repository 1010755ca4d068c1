//! The directory of an arena and its control page: found by an owner that comes, made, or set aside where it is damaged.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::control::{self, Control, Field};
use crate::error::{Error, Result};
use crate::map::{Access, MapRegion};
use crate::paths::{control_path, rename};

/// What the environment gives to an owner: things the core does not look up itself.
#[derive(Clone, Copy, Debug)]
pub struct Environment {
    /// Hash of the kernel's boot id.
    pub boot: u64,
    /// A random number.
    pub random: u64,
    pub pid: u32,
    pub now_ms: u64,
    /// Milliseconds since boot, sleep included.
    pub steady_ms: u64,
}

/// What an owner that comes finds: what its predecessor left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inherited {
    /// Nothing, or what was there was damaged and has been set aside.
    Nothing,
    /// Cells of this boot; rows of this catalog, up to `seq`.
    Intact,
    /// Cells of this boot; the rows are of another catalog or damaged: load them.
    CellsOnly,
    /// Cells of an earlier boot: settle and close them all.
    EarlierBoot,
}

/// A directory with an arena's control page. Rows and cells share it.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) path: PathBuf,
    pub(super) control: Control<MapRegion>,
    /// The arena's id.
    pub(super) arena: u64,
}

impl Directory {
    /// Adopts the arena in `path`, or makes one. What is found is as the control page says; rows and cells are not read.
    pub(super) fn open(path: &Path, env: Environment) -> Result<(Directory, Inherited)> {
        match adopt_control(path) {
            Ok(control) => {
                let found = if control.get(Field::Boot)? == env.boot {
                    Inherited::Intact
                } else {
                    Inherited::EarlierBoot
                };
                Ok((Directory::of(path, control)?, found))
            }
            Err(e @ (Error::Io { .. } | Error::Layout { .. })) if control_path(path).exists() => {
                Err(e)
            }
            Err(_) => Ok((Directory::make(path, env)?, Inherited::Nothing)),
        }
    }

    /// Makes a new arena. What may be left of a former one is set aside.
    pub(super) fn make(path: &Path, env: Environment) -> Result<Directory> {
        set_aside(path)?;
        let name = control_path(path);
        let fresh = name.with_extension("new");
        let _ = std::fs::remove_file(&fresh);
        let region = MapRegion::create(&fresh, control::WORDS)?;
        let control = Control::format(region, env.random, env.boot)?;
        rename(&fresh, &name)?;
        Directory::of(path, control)
    }

    fn of(path: &Path, control: Control<MapRegion>) -> Result<Directory> {
        Ok(Directory {
            path: path.to_path_buf(),
            arena: control.get(Field::Arena)?,
            control,
        })
    }

    /// Whether the control file is still the one that is mapped here: by its whole header.
    pub(super) fn is_in_place(&self) -> bool {
        let path = control_path(&self.path);
        MapRegion::open(&path, Access::Read)
            .and_then(|r| Control::open(r, &path))
            .is_ok_and(|control| control.get(Field::Arena) == Ok(self.arena))
    }
}

/// The words with which a rows or cells file says whose it is.
pub(super) fn first_words(path: &Path) -> Option<[u64; 4]> {
    let mut bytes = [0u8; 32];
    std::fs::File::open(path)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .ok()?;
    let mut words = [0u64; 4];
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = u64::from_ne_bytes(bytes.try_into().ok()?);
    }
    Some(words)
}

fn adopt_control(path: &Path) -> Result<Control<MapRegion>> {
    let name = control_path(path);
    Control::open(MapRegion::open(&name, Access::Write)?, &name)
}

/// Moves the files of a damaged arena out of the way, for a person to look at; an earlier set is replaced.
fn set_aside(dir: &Path) -> Result<()> {
    let io = |doing| {
        move |source| Error::Io {
            path: dir.to_path_buf(),
            doing,
            source,
        }
    };
    let aside = dir.join("damaged");
    for found in std::fs::read_dir(dir).map_err(io("list"))? {
        let found = found.map_err(io("list"))?;
        let name = found.file_name();
        let text = name.to_string_lossy();
        if text == "control" || text.starts_with("rows-") || text.starts_with("cells-") {
            std::fs::create_dir_all(&aside).map_err(io("make a place for damaged files in"))?;
            std::fs::rename(found.path(), aside.join(&name))
                .map_err(io("set aside damaged files of"))?;
        }
    }
    Ok(())
}
