//! Pricing2Yaml files to catalog files.
//!
//! Two steps: [`source`] reads what the file says and notes what it contradicts; [`write`] decides which kind
//! each item becomes and writes the catalog. The rules, also for the reader of `docs/catalog.md`:
//!
//! - A feature keeps its name. A usage limit keeps its name too, unless a feature has it: then it is
//!   `usageLimits.<name>`.
//! - BOOLEAN becomes a switch, TEXT a value (a list becomes its JSON text), NUMERIC a limit, and a NUMERIC usage
//!   limit that renews a meter with the period in its unit (`use/month`), or a month if the unit has none.
//! - `.inf` is unlimited; any other number stays exactly what it is, however large.
//! - A limit with a cell that a limit cannot hold (a fraction, a negative number) becomes a value, each number its
//!   decimal text and `.inf` the text `unlimited`. A meter with fractions gets the scale they need.
//! - A cell of another type than its item declares is noted, and its item becomes a value that holds every
//!   cell as the file has it.
//! - Prices, billing, tags and links are not imported.

mod source;
mod write;

use crate::load::parse;
use crate::problem::{Problem, Problems, Spot};
use crate::tree;

/// A catalog file made from a Pricing2Yaml file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The catalog, valid for [`crate::parse`].
    pub yaml: String,
    /// What the file contradicts, and what a catalog cannot say, by line of the file.
    pub notes: Vec<Problem>,
}

/// Turns a Pricing2Yaml file into a catalog file. `filename` names it in notes and in the catalog's first line.
///
/// # Errors
/// Why the file cannot be read at all. A file that can be read is always imported as far as it makes sense.
pub fn import(bytes: &[u8], filename: &str) -> Result<Imported, Vec<Problem>> {
    let mut notes = Problems::new(filename);
    let Some(root) = tree::read(bytes, &mut notes) else {
        return Err(notes.into_list());
    };
    let Some(pricing) = source::read(&root, &mut notes) else {
        return Err(notes.into_list());
    };
    let yaml = write::catalog(&pricing, filename, &mut notes);
    if let Err(mistakes) = parse(yaml.as_bytes(), filename) {
        // A file of sizes a catalog cannot have. The lines are those of the catalog, so they are left out.
        let mut problems = Problems::new(filename);
        for mistake in mistakes {
            problems.add(
                Spot::default(),
                &mistake.path,
                mistake.message,
                mistake.hint,
            );
        }
        return Err(problems.into_list());
    }
    Ok(Imported {
        yaml,
        notes: notes.into_list(),
    })
}

#[cfg(test)]
mod tests;
