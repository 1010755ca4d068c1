//! What a Pricing2Yaml file says: items (features and usage limits), plans and add-ons with their cells.
//!
//! Whatever contradicts the rest of the file is noted and left out; everything else is kept.

use std::collections::{HashMap, HashSet};

use crate::canonical;
use crate::catalog::bounds::TEXT_BYTES_MAX;
use crate::catalog::{Span, Unit};
use crate::decimal::Decimal;
use crate::fields::{entries, name_mistake, unknown};
use crate::length::{COUNT_MAX, unit_of};
use crate::problem::{Problems, Spot, join, shown};
use crate::tree::{Entry, Node, Value};

pub(super) struct Pricing {
    pub name: String,
    pub items: Vec<Item>,
    pub plans: Vec<Plan>,
    pub addons: Vec<Addon>,
}

/// A feature or a usage limit.
pub(super) struct Item {
    /// Its name in the catalog.
    pub name: String,
    pub spot: Spot,
    pub path: String,
    pub description: String,
    /// `None`: the file does not say, or says something unknown.
    pub declared: Option<Type>,
    /// What every plan has that says nothing. `None`: noted already.
    pub default: Option<Cell>,
    /// How often a usage limit renews.
    pub period: Option<Span>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Boolean,
    Numeric,
    Text,
}

impl Type {
    pub fn as_str(self) -> &'static str {
        match self {
            Type::Boolean => "BOOLEAN",
            Type::Numeric => "NUMERIC",
            Type::Text => "TEXT",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Bool(bool),
    Number(Decimal),
    /// `.inf`
    Infinite,
    Text(String),
}

/// One cell with its place, for the notes.
pub(super) struct Placed {
    /// Index of the item.
    pub item: usize,
    pub cell: Cell,
    pub spot: Spot,
    pub path: String,
}

pub(super) struct Plan {
    pub name: String,
    pub description: String,
    pub cells: Vec<Placed>,
}

pub(super) struct Addon {
    pub name: String,
    pub description: String,
    /// Empty: any plan.
    pub plans: Vec<String>,
    pub sets: Vec<Placed>,
    pub adds: Vec<Placed>,
}

/// The items of one section by their names in the file. `None`: left out, and noted.
type Names = HashMap<String, Option<usize>>;

/// Reads the whole file; `None` if it is not a Pricing2Yaml file.
pub(super) fn read(root: &Node, notes: &mut Problems) -> Option<Pricing> {
    let sections = ["features", "usageLimits", "plans", "addOns"];
    let known = match &root.value {
        Value::Map(entries) => entries
            .iter()
            .any(|entry| sections.contains(&entry.key.as_ref())),
        _ => false,
    };
    if !known {
        let hint = "it has none of `features`, `usageLimits`, `plans`, `addOns`";
        notes.add(root.spot, "", "not a Pricing2Yaml file", hint);
        return None;
    }
    let mut items = Vec::new();
    let features = read_items(root, "features", &mut items, &Names::new(), notes);
    let limits = read_items(root, "usageLimits", &mut items, &features, notes);
    let linked = section(root, "usageLimits", "", notes);
    for limit in linked {
        check_links(limit, &features, notes);
    }
    let declared = items.iter().map(|item: &Item| item.declared).collect();
    let reader = Reader {
        declared,
        features,
        limits,
    };
    let plans = section(root, "plans", "", notes)
        .iter()
        .filter_map(|entry| reader.plan(entry, notes))
        .collect::<Vec<_>>();
    let plan_names: HashSet<&str> = plans.iter().map(|plan: &Plan| plan.name.as_str()).collect();
    let addon_entries = section(root, "addOns", "", notes);
    let addons = addon_entries
        .iter()
        .filter_map(|entry| reader.addon(entry, &plan_names, notes))
        .collect();
    Some(Pricing {
        name: text_of(root, "saasName"),
        items,
        plans,
        addons,
    })
}

/// The entries of a map under `key`; none where it is absent or nothing.
fn section<'n>(node: &'n Node, key: &str, path: &str, notes: &mut Problems) -> &'n [Entry] {
    let found = get(node, key);
    found
        .and_then(|found| entries(found, &join(path, key), notes))
        .unwrap_or_default()
}

fn get<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    let Value::Map(entries) = &node.value else {
        return None;
    };
    entries
        .iter()
        .find(|entry| entry.key.as_ref() == key)
        .map(|entry| &entry.value)
}

/// The text of a scalar under `key`; empty where there is none.
fn text_of(node: &Node, key: &str) -> String {
    match get(node, key).map(|node| (&node.value, node.is_null())) {
        Some((Value::Scalar { text, .. }, false)) => text.to_string(),
        _ => String::new(),
    }
}

/// The description, unless a catalog cannot hold it.
fn description(node: &Node, path: &str, notes: &mut Problems) -> String {
    let text = text_of(node, "description");
    if text.len() <= TEXT_BYTES_MAX {
        return text;
    }
    let message = format!("a description of {} bytes is left out", text.len());
    notes.add(
        node.spot,
        path,
        message,
        format!("at most {TEXT_BYTES_MAX}"),
    );
    String::new()
}

fn read_items(
    root: &Node,
    key: &str,
    items: &mut Vec<Item>,
    features: &Names,
    notes: &mut Problems,
) -> Names {
    let mut names = Names::new();
    let mut taken: HashSet<String> = items.iter().map(|item| item.name.clone()).collect();
    for entry in section(root, key, "", notes) {
        let path = join(key, &entry.key);
        let item = item(entry, path, key == "usageLimits", notes).map(|mut item| {
            while features.contains_key(entry.key.as_ref()) && taken.contains(&item.name) {
                item.name.insert_str(0, "usageLimits.");
            }
            taken.insert(item.name.clone());
            items.push(item);
            items.len() - 1
        });
        names.insert(entry.key.to_string(), item);
    }
    names
}

fn item(entry: &Entry, path: String, limit: bool, notes: &mut Problems) -> Option<Item> {
    if !good_name(entry, &path, notes) {
        return None;
    }
    if !matches!(entry.value.value, Value::Map(_)) {
        let message = format!(
            "{} where a map is expected; left out",
            entry.value.describe()
        );
        notes.add(
            entry.value.spot,
            &path,
            message,
            "`valueType`, `defaultValue`, …",
        );
        return None;
    }
    let declared = match text_of(&entry.value, "valueType").as_str() {
        "BOOLEAN" => Some(Type::Boolean),
        "NUMERIC" => Some(Type::Numeric),
        "TEXT" => Some(Type::Text),
        other => {
            let message = format!("the value type `{}` is not known", shown(other));
            notes.add(entry.spot, &path, message, "taken from its values instead");
            None
        }
    };
    let default = match get(&entry.value, "defaultValue") {
        Some(node) => default_cell(node, &join(&path, "defaultValue"), declared, notes),
        None => {
            let hint = "a plan that says nothing of it has nothing";
            notes.add(entry.spot, &path, "no `defaultValue`", hint);
            None
        }
    };
    let description = description(&entry.value, &path, notes);
    let period = if limit {
        period(entry, &path, declared, notes)
    } else {
        None
    };
    let name = entry.key.to_string();
    Some(Item {
        name,
        spot: entry.spot,
        path,
        description,
        declared,
        default,
        period,
    })
}

/// How often a usage limit renews: as `period` or its unit says; what is RENEWABLE without either, monthly.
fn period(entry: &Entry, path: &str, declared: Option<Type>, notes: &mut Problems) -> Option<Span> {
    let kind = text_of(&entry.value, "type");
    // The other two kinds say how a limit is used up, not whether it renews: their unit tells.
    let renewable = kind == "RENEWABLE";
    if !renewable && kind != "TIME_DRIVEN" && kind != "RESPONSE_DRIVEN" {
        return None;
    }
    if declared != Some(Type::Numeric) {
        return None;
    }
    if let Some(stated) = get(&entry.value, "period") {
        let unit = unit_of(&text_of(stated, "unit").to_lowercase());
        let count = Decimal::parse(&text_of(stated, "value"))
            .ok()
            .and_then(Decimal::to_i64);
        let count = count.filter(|count| (1..=COUNT_MAX).contains(count));
        if let (Some(unit), Some(count)) = (unit, count) {
            return Some(Span {
                count: count as u32,
                unit,
            });
        }
    }
    let unit = text_of(&entry.value, "unit");
    let last = unit
        .rsplit('/')
        .next()
        .filter(|last| last.len() < unit.len());
    let word = last.unwrap_or_default().trim().to_lowercase();
    let stated = match word.as_str() {
        "min" | "mins" => Some(Unit::Minute),
        "hr" | "hrs" | "h" => Some(Unit::Hour),
        word => unit_of(word),
    };
    if let Some(unit) = stated {
        return Some(Span { count: 1, unit });
    }
    if !renewable {
        return None;
    }
    let message = format!(
        "it renews, but its unit `{}` does not say how often",
        shown(&unit)
    );
    notes.add(entry.spot, path, message, "taken as once a month");
    Some(Span {
        count: 1,
        unit: Unit::Month,
    })
}

fn check_links(limit: &Entry, features: &Names, notes: &mut Problems) {
    let Some(Node {
        value: Value::List(links),
        ..
    }) = get(&limit.value, "linkedFeatures")
    else {
        return;
    };
    for link in links.iter() {
        let Value::Scalar { text, .. } = &link.value else {
            continue;
        };
        if !features.contains_key(text.as_ref()) {
            let path = join(&join("usageLimits", &limit.key), "linkedFeatures");
            let known = features.keys().map(String::as_str);
            unknown("feature", text, link.spot, &path, known, notes);
        }
    }
}

fn good_name(entry: &Entry, path: &str, notes: &mut Problems) -> bool {
    let mistake = name_mistake(&entry.key);
    if let Some((message, hint)) = &mistake {
        notes.add(
            entry.spot,
            path,
            format!("{message}; left out"),
            hint.as_str(),
        );
    }
    mistake.is_none()
}

/// A default; a type other than declared is noted.
fn default_cell(
    node: &Node,
    path: &str,
    declared: Option<Type>,
    notes: &mut Problems,
) -> Option<Cell> {
    let cell = cell(node, path, declared, notes)?;
    if !cell.is(declared) {
        let declared = declared.map_or("", Type::as_str);
        let message = format!("{} is not {declared}", node.describe());
        notes.add(
            node.spot,
            path,
            message,
            "kept as it is, in a feature of kind value",
        );
    }
    Some(cell)
}

/// One value, whatever its type.
fn cell(node: &Node, path: &str, declared: Option<Type>, notes: &mut Problems) -> Option<Cell> {
    let cell = match &node.value {
        _ if node.is_null() => None,
        Value::Scalar { text, quoted } => Some(scalar(node, text, *quoted, declared)),
        Value::List(items) => list_text(items).map(Cell::Text),
        Value::Map(_) => None,
    };
    let Some(cell) = cell else {
        let message = format!("{} where a value is expected", node.describe());
        notes.add(node.spot, path, message, "taken as if nothing were written");
        return None;
    };
    if matches!(&cell, Cell::Text(text) if text.len() > TEXT_BYTES_MAX) {
        let hint = format!("at most {TEXT_BYTES_MAX}");
        notes.add(
            node.spot,
            path,
            "a text too long for a catalog; left out",
            hint,
        );
        return None;
    }
    Some(cell)
}

impl Cell {
    /// Whether the cell is of the type; any cell is of an unknown type.
    pub fn is(&self, declared: Option<Type>) -> bool {
        match declared {
            Some(Type::Boolean) => matches!(self, Cell::Bool(_)),
            Some(Type::Numeric) => matches!(self, Cell::Number(_) | Cell::Infinite),
            Some(Type::Text) => matches!(self, Cell::Text(_)),
            None => true,
        }
    }
}

/// A scalar as its item's type reads it. The format's own tools read YAML 1.1, so a number may be written
/// `10_000` and a boolean `yes`; where another type is declared, these stay text.
fn scalar(node: &Node, text: &str, quoted: bool, declared: Option<Type>) -> Cell {
    if quoted {
        return Cell::Text(text.to_owned());
    }
    if let Some(bool) = node.bool() {
        return Cell::Bool(bool);
    }
    match (declared, text.to_ascii_lowercase().as_str()) {
        (Some(Type::Boolean), "yes" | "on") => return Cell::Bool(true),
        (Some(Type::Boolean), "no" | "off") => return Cell::Bool(false),
        (_, ".inf" | "+.inf") => return Cell::Infinite,
        _ => {}
    }
    match Decimal::parse(text) {
        Ok(decimal) if declared == Some(Type::Numeric) || !text.contains('_') => {
            Cell::Number(decimal)
        }
        _ => Cell::Text(text.to_owned()),
    }
}

/// A list of scalars as JSON text: `["CARD","INVOICE"]`.
fn list_text(items: &[Node]) -> Option<String> {
    let texts = items.iter().map(|item| match &item.value {
        Value::Scalar { text, .. } => Some(canonical::Value::Text(text.to_string())),
        Value::List(_) | Value::Map(_) => None,
    });
    Some(canonical::Value::List(texts.collect::<Option<_>>()?).to_json())
}

struct Reader {
    /// By item.
    declared: Vec<Option<Type>>,
    features: Names,
    limits: Names,
}

impl Reader {
    fn plan(&self, entry: &Entry, notes: &mut Problems) -> Option<Plan> {
        let path = join("plans", &entry.key);
        if !good_name(entry, &path, notes) {
            return None;
        }
        // A plan with nothing under it is a plan of defaults.
        entries(&entry.value, &path, notes);
        let mut cells = self.cells(&entry.value, &path, "features", &self.features, notes);
        cells.extend(self.cells(&entry.value, &path, "usageLimits", &self.limits, notes));
        let description = description(&entry.value, &path, notes);
        Some(Plan {
            name: entry.key.to_string(),
            description,
            cells,
        })
    }

    fn addon(&self, entry: &Entry, plans: &HashSet<&str>, notes: &mut Problems) -> Option<Addon> {
        let path = join("addOns", &entry.key);
        if !good_name(entry, &path, notes) {
            return None;
        }
        entries(&entry.value, &path, notes);
        let plans = available_for(&entry.value, &path, plans, notes)?;
        for key in ["dependsOn", "excludes"] {
            let rule = get(&entry.value, key);
            if let Some(rule) =
                rule.filter(|rule| matches!(&rule.value, Value::List(l) if !l.is_empty()))
            {
                let message = format!("`{key}` is left out");
                let hint = "a catalog has no rules between add-ons; keep it where add-ons are sold";
                notes.add(rule.spot, &path, message, hint);
            }
        }
        let mut sets = self.cells(&entry.value, &path, "features", &self.features, notes);
        sets.extend(self.cells(&entry.value, &path, "usageLimits", &self.limits, notes));
        let mut adds = self.cells(
            &entry.value,
            &path,
            "usageLimitsExtensions",
            &self.limits,
            notes,
        );
        let set: HashSet<usize> = sets.iter().map(|set| set.item).collect();
        adds.retain(|add| {
            let twice = set.contains(&add.item);
            if twice {
                let hint = "an add-on either sets a limit or extends it; it sets it here";
                notes.add(add.spot, &add.path, "set and extended by one add-on", hint);
            }
            !twice
        });
        let description = description(&entry.value, &path, notes);
        Some(Addon {
            name: entry.key.to_string(),
            description,
            plans,
            sets,
            adds,
        })
    }

    fn cells(
        &self,
        node: &Node,
        path: &str,
        key: &str,
        names: &Names,
        notes: &mut Problems,
    ) -> Vec<Placed> {
        let mut cells = Vec::new();
        let what = if key == "features" {
            "feature"
        } else {
            "usageLimit"
        };
        for entry in section(node, key, path, notes) {
            let at = join(&join(path, key), &entry.key);
            let item = match names.get(entry.key.as_ref()) {
                Some(Some(item)) => *item,
                Some(None) => {
                    notes.add(
                        entry.spot,
                        &at,
                        "left out with its item",
                        "see the note there",
                    );
                    continue;
                }
                None => {
                    let known = names.keys().map(String::as_str);
                    unknown(what, &entry.key, entry.spot, &at, known, notes);
                    continue;
                }
            };
            let value = match &entry.value.value {
                Value::Map(_) => get(&entry.value, "value"),
                Value::Scalar { .. } | Value::List(_) => Some(&entry.value),
            };
            let Some(value) = value else {
                notes.add(
                    entry.spot,
                    &at,
                    "no `value`",
                    "taken as if nothing were written",
                );
                continue;
            };
            // Its type is held against its item's once all cells are known.
            let found = cell(value, &at, self.declared[item], notes);
            cells.extend(found.map(|cell| Placed {
                item,
                cell,
                spot: value.spot,
                path: at,
            }));
        }
        cells
    }
}

/// The plans an add-on is for; `None` if it names only plans that are not there.
fn available_for(
    addon: &Node,
    path: &str,
    plans: &HashSet<&str>,
    notes: &mut Problems,
) -> Option<Vec<String>> {
    let Some(node) = get(addon, "availableFor").filter(|node| !node.is_null()) else {
        return Some(Vec::new());
    };
    let path = join(path, "availableFor");
    let nodes = crate::fields::items(node, &path, notes)?;
    let mut names: Vec<String> = Vec::new();
    let mut seen: HashSet<&str> = HashSet::new();
    for node in nodes {
        match &node.value {
            Value::Scalar { text, .. } if plans.contains(text.as_ref()) => {
                if seen.insert(text) {
                    names.push(text.to_string());
                }
            }
            Value::Scalar { text, .. } => {
                unknown("plan", text, node.spot, &path, plans.iter().copied(), notes);
            }
            Value::List(_) | Value::Map(_) => {
                let message = format!("{} where a plan is expected", node.describe());
                notes.add(node.spot, &path, message, "left out");
            }
        }
    }
    if names.is_empty() && !nodes.is_empty() {
        notes.add(
            node.spot,
            &path,
            "for none of the plans; left out",
            "an add-on without plans would be for any",
        );
        return None;
    }
    Some(names)
}
