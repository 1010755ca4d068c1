//! A pricing as a catalog file: the kind of each item, then the text.

use std::fmt::Write as _;

use super::source::{Addon, Cell, Item, Placed, Pricing, Type};
use crate::canonical::write_json_text;
use crate::catalog::Span;
use crate::catalog::bounds::{AMOUNT_MAX, SCALE_MAX};
use crate::length::unit_name;
use crate::problem::{Problems, shown};

/// What an item becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Switch,
    Limit,
    Value,
    Meter { every: Span, scale: u8 },
}

/// The catalog file of a pricing.
pub(super) fn catalog(pricing: &Pricing, filename: &str, notes: &mut Problems) -> String {
    let shapes = shapes(pricing, notes);
    let mut out = String::new();
    let _ = writeln!(
        out,
        "# {}",
        shown(&format!("{}: imported from {filename}.", pricing.name))
    );
    out.push_str("# Not imported: prices, billing, tags, links from usage limits to features.\n");
    out.push_str("fastcheck: 1\n");
    section(&mut out, "features", &pricing.items, |out, item, n| {
        item_line(item, shapes[n], out);
    });
    section(&mut out, "plans", &pricing.plans, |out, plan, _| {
        head(out, &plan.name, &plan.description, plan.cells.is_empty());
        let cells = plan.cells.iter().map(|cell| (cell, Sense::Has));
        settings(out, cells, pricing, &shapes);
    });
    section(&mut out, "addons", &pricing.addons, |out, addon, _| {
        let adds = addable(addon, &shapes, notes);
        let bare = addon.plans.is_empty() && addon.sets.is_empty() && adds.is_empty();
        head(out, &addon.name, &addon.description, bare);
        if !addon.plans.is_empty() {
            let names: Vec<_> = addon.plans.iter().map(|name| quoted(name)).collect();
            let _ = writeln!(out, "    plans: [{}]", names.join(", "));
        }
        let sets = addon.sets.iter().map(|cell| (cell, Sense::Sets));
        let adds = adds.into_iter().map(|cell| (cell, Sense::Adds));
        settings(out, sets.chain(adds), pricing, &shapes);
    });
    out
}

// Writing to a string does not fail, so the results of `write!` are ignored throughout.

fn section<T>(
    out: &mut String,
    key: &str,
    parts: &[T],
    mut each: impl FnMut(&mut String, &T, usize),
) {
    if parts.is_empty() {
        return;
    }
    let _ = writeln!(out, "{key}:");
    for (n, part) in parts.iter().enumerate() {
        each(out, part, n);
    }
}

fn head(out: &mut String, name: &str, description: &str, bare: bool) {
    let empty = if bare && description.is_empty() {
        " {}"
    } else {
        ""
    };
    let _ = writeln!(out, "  {}:{empty}", quoted(name));
    if !description.is_empty() {
        let _ = writeln!(out, "    description: {}", json(description));
    }
}

fn item_line(item: &Item, shape: Shape, out: &mut String) {
    let kind = match shape {
        Shape::Switch => "switch".to_owned(),
        Shape::Limit => "limit".to_owned(),
        Shape::Value => "value".to_owned(),
        Shape::Meter { every, scale } => {
            let scale = if scale == 0 {
                String::new()
            } else {
                format!(", scale: {scale}")
            };
            let unit = unit_name(every.unit);
            let period = match every.count {
                1 => unit.to_owned(),
                count => format!("{count} {unit}s"),
            };
            format!("meter, period: {period}{scale}")
        }
    };
    let _ = write!(out, "  {}: {{kind: {kind}", quoted(&item.name));
    if let Some(default) = &item.default {
        let _ = write!(out, ", default: {}", setting(default, shape));
    }
    if !item.description.is_empty() {
        let _ = write!(out, ", description: {}", json(&item.description));
    }
    out.push_str("}\n");
}

/// What a cell means where it stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sense {
    /// In a plan.
    Has,
    /// In an add-on, in place of what the plan has.
    Sets,
    /// In an add-on, on top of it.
    Adds,
}

fn settings<'p>(
    out: &mut String,
    cells: impl Iterator<Item = (&'p Placed, Sense)>,
    pricing: &Pricing,
    shapes: &[Shape],
) {
    for (n, (placed, sense)) in cells.enumerate() {
        if n == 0 {
            out.push_str("    features:\n");
        }
        let name = quoted(&pricing.items[placed.item].name);
        let setting = setting(&placed.cell, shapes[placed.item]);
        let plain_adds =
            matches!(placed.cell, Cell::Number(_)) && shapes[placed.item] != Shape::Value;
        let setting = match sense {
            // A bare number in an add-on would be added.
            Sense::Sets if plain_adds => format!("{{set: {setting}}}"),
            _ => setting,
        };
        let _ = writeln!(out, "      {name}: {setting}");
    }
}

/// A cell as a setting of the item's shape. The shape was chosen to hold every cell of the item.
fn setting(cell: &Cell, shape: Shape) -> String {
    match (cell, shape) {
        (Cell::Bool(bool), _) => bool.to_string(),
        (Cell::Number(number), Shape::Value) => json(&number.to_plain()),
        (Cell::Number(number), _) => number.to_plain(),
        (Cell::Infinite, Shape::Value) => json("unlimited"),
        (Cell::Infinite, _) => "unlimited".to_owned(),
        (Cell::Text(text), _) => json(text),
    }
}

/// The extensions that the shape of their item can hold; others are noted.
fn addable<'a>(addon: &'a Addon, shapes: &[Shape], notes: &mut Problems) -> Vec<&'a Placed> {
    let mut kept = Vec::new();
    for add in &addon.adds {
        let can = match (shapes[add.item], &add.cell) {
            (Shape::Limit, Cell::Number(_) | Cell::Infinite) => countable(&add.cell, 0),
            (Shape::Meter { scale, .. }, Cell::Number(_) | Cell::Infinite) => {
                countable(&add.cell, scale)
            }
            (Shape::Switch, Cell::Bool(_)) => true,
            (Shape::Value, cell) => !matches!(cell, Cell::Number(_)),
            _ => false,
        };
        if can {
            kept.push(add);
        } else {
            let hint = "only numbers of zero or more add up, and only to numbers";
            notes.add(
                add.spot,
                &add.path,
                "an extension that cannot be added; left out",
                hint,
            );
        }
    }
    kept
}

/// The shape of each item, from what it declares and every cell it has.
fn shapes(pricing: &Pricing, notes: &mut Problems) -> Vec<Shape> {
    let mut cells: Vec<Vec<&Cell>> = pricing
        .items
        .iter()
        .map(|item| item.default.iter().collect())
        .collect();
    // Extensions widen a meter's scale, but do not turn a limit into something that cannot be extended.
    let mut extensions: Vec<Vec<&Cell>> = vec![Vec::new(); cells.len()];
    let placed = pricing.plans.iter().flat_map(|plan| &plan.cells);
    for placed in placed.chain(pricing.addons.iter().flat_map(|addon| &addon.sets)) {
        cells[placed.item].push(&placed.cell);
        note_type(placed, &pricing.items[placed.item], notes);
    }
    for placed in pricing.addons.iter().flat_map(|addon| &addon.adds) {
        extensions[placed.item].push(&placed.cell);
    }
    let items = pricing.items.iter().zip(cells.iter().zip(&extensions));
    items
        .map(|(item, (cells, extensions))| shape(item, cells, extensions, notes))
        .collect()
}

/// Notes a cell whose type is not its item's.
fn note_type(placed: &Placed, item: &Item, notes: &mut Problems) {
    if placed.cell.is(item.declared) {
        return;
    }
    let what = match &placed.cell {
        Cell::Bool(bool) => format!("`{bool}`"),
        Cell::Number(number) => format!("`{}`", number.to_plain()),
        Cell::Infinite => "`.inf`".to_owned(),
        Cell::Text(text) => format!("the text \"{}\"", shown(text)),
    };
    let declared = item.declared.map_or("", Type::as_str);
    let hint = "kept as it is, in a feature of kind value";
    notes.add(
        placed.spot,
        &placed.path,
        format!("{what} is not {declared}"),
        hint,
    );
}

fn shape(item: &Item, cells: &[&Cell], extensions: &[&Cell], notes: &mut Problems) -> Shape {
    let every = |wanted| !cells.is_empty() && cells.iter().all(|cell| cell.is(Some(wanted)));
    let (boolean, numeric) = match item.declared {
        Some(declared) => {
            let fits = cells.iter().all(|cell| cell.is(Some(declared)));
            (
                fits && declared == Type::Boolean,
                fits && declared == Type::Numeric,
            )
        }
        None => (every(Type::Boolean), every(Type::Numeric)),
    };
    if boolean {
        return Shape::Switch;
    }
    if !numeric {
        return Shape::Value;
    }
    match item.period {
        None if cells.iter().all(|cell| countable(cell, 0)) => Shape::Limit,
        None => Shape::Value,
        Some(every) => {
            let numbers = cells
                .iter()
                .chain(extensions)
                .filter_map(|cell| match cell {
                    Cell::Number(number) => Some(number.scale_needed()),
                    _ => None,
                });
            let scale = numbers.max().unwrap_or(0).min(u32::from(SCALE_MAX)) as u8;
            if cells.iter().all(|cell| countable(cell, scale)) {
                return Shape::Meter { every, scale };
            }
            let hint = "kept as a value, which does not refill";
            notes.add(
                item.spot,
                &item.path,
                "a number that no meter can hold",
                hint,
            );
            Shape::Value
        }
    }
}

/// Whether a limit or a meter of that scale can hold the cell.
fn countable(cell: &Cell, scale: u8) -> bool {
    match cell {
        Cell::Number(number) => {
            !number.negative
                && number
                    .units(scale)
                    .is_ok_and(|units| units <= u128::from(AMOUNT_MAX))
        }
        _ => true,
    }
}

/// A name, in quotes unless it is surely a plain word.
fn quoted(name: &str) -> String {
    let word = name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
        && name.starts_with(|c: char| c.is_ascii_alphabetic());
    // Words that some YAML reader takes for a boolean, nothing or a number.
    let special = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    if word && !special.contains(&name.to_ascii_lowercase().as_str()) {
        name.to_owned()
    } else {
        json(name)
    }
}

fn json(text: &str) -> String {
    let mut out = String::new();
    write_json_text(text, &mut out);
    out
}
