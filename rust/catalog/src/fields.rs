//! Maps of a catalog file: records with known keys, and maps from names to things.

use crate::catalog::bounds::NAME_BYTES_MAX;
use crate::hint::did_you_mean;
use crate::problem::{Problems, Spot, join, shown};
use crate::tree::{Entry, Node, Value};

/// Past this many mistakes hints are no longer looked for: each costs a walk over all known names.
const HINTED_MAX: usize = 100;

/// A map with a fixed set of keys.
pub(crate) struct Fields<'n> {
    pub path: String,
    pub spot: Spot,
    entries: &'n [Entry],
}

impl<'n> Fields<'n> {
    /// Opens a record, reporting every key that is not in `known`. Nothing written is an empty record.
    pub fn open(
        node: &'n Node,
        path: String,
        known: &[&str],
        problems: &mut Problems,
    ) -> Option<Self> {
        let entries = entries(node, &path, problems)?;
        for entry in entries {
            if !known.contains(&entry.key.as_ref()) {
                let at = join(&path, &entry.key);
                let (message, hint) = merge_key(&entry.key).unwrap_or_else(|| {
                    let message = format!("unknown key `{}`", shown(&entry.key));
                    let mut hint = hint_for(&entry.key, known.iter().copied(), problems);
                    if entry.key.starts_with("x-") {
                        hint = format!("there are no keys of one's own; {ANCHORS}");
                    } else if hint.is_empty() {
                        hint = format!("known keys: {}", known.join(", "));
                    }
                    (message, hint)
                });
                problems.add(entry.spot, &at, message, hint);
            }
        }
        Some(Self {
            path,
            spot: node.spot,
            entries,
        })
    }

    pub fn get(&self, key: &str) -> Option<&'n Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    pub fn entry(&self, key: &str) -> Option<&'n Entry> {
        self.entries.iter().find(|entry| entry.key.as_ref() == key)
    }

    /// The value of a key that must be there.
    pub fn need(&self, key: &str, hint: &str, problems: &mut Problems) -> Option<&'n Node> {
        let found = self.get(key);
        if found.is_none() {
            problems.add(self.spot, &self.path, format!("`{key}` is missing"), hint);
        }
        found
    }

    pub fn at(&self, key: &str) -> String {
        join(&self.path, key)
    }
}

/// The entries of a map; none where nothing is written.
pub(crate) fn entries<'n>(
    node: &'n Node,
    path: &str,
    problems: &mut Problems,
) -> Option<&'n [Entry]> {
    match &node.value {
        Value::Map(entries) => Some(entries),
        _ if node.is_null() => Some(&[]),
        _ => {
            let message = format!("{} where a map is expected", node.describe());
            problems.add(node.spot, path, message, "write `key: value` lines");
            None
        }
    }
}

/// The nodes of a list; none where nothing is written.
pub(crate) fn items<'n>(node: &'n Node, path: &str, problems: &mut Problems) -> Option<&'n [Node]> {
    match &node.value {
        Value::List(nodes) => Some(nodes),
        _ if node.is_null() => Some(&[]),
        _ => {
            let message = format!("{} where a list is expected", node.describe());
            problems.add(node.spot, path, message, "write `[a, b]` or `- a` lines");
            None
        }
    }
}

/// Reports a name that nothing may have.
pub(crate) fn check_name(name: &str, spot: Spot, path: &str, problems: &mut Problems) {
    if let Some((message, hint)) = name_mistake(name) {
        problems.add(spot, path, message, hint);
    }
}

/// Where files of YAML 1.1 would merge: what may be written instead.
const ANCHORS: &str = "YAML 1.2 has no merge keys: an anchor stands at a whole value where it is used first, such as \
     `pro: &base {…}`, and `team: *base` repeats all of it";

/// What is wrong with a key that merges in YAML 1.1, and what to do about it.
pub(crate) fn merge_key(key: &str) -> Option<(String, String)> {
    (key == "<<").then(|| ("`<<` merges nothing".to_owned(), ANCHORS.to_owned()))
}

/// What is wrong with a name, and what to do about it.
pub(crate) fn name_mistake(name: &str) -> Option<(String, String)> {
    if let Some(merges) = merge_key(name) {
        return Some(merges);
    }
    if name.is_empty() {
        return Some(("an empty name".to_owned(), "give it a name".to_owned()));
    }
    if name.len() > NAME_BYTES_MAX {
        let message = format!("a name of {} bytes", name.len());
        return Some((message, format!("at most {NAME_BYTES_MAX}")));
    }
    if name.chars().any(char::is_control) {
        let message = format!("a control character in the name `{}`", shown(name));
        return Some((message, "leave it out".to_owned()));
    }
    None
}

/// Reports a reference to something that is not there.
pub(crate) fn unknown<'a>(
    what: &str,
    name: &str,
    spot: Spot,
    path: &str,
    known: impl IntoIterator<Item = &'a str>,
    problems: &mut Problems,
) {
    if let Some((message, hint)) = merge_key(name) {
        problems.add(spot, path, message, hint);
        return;
    }
    let mut hint = hint_for(name, known, problems);
    if hint.is_empty() {
        hint = format!("add it under `{what}s`, or take it out here");
    }
    problems.add(
        spot,
        path,
        format!("there is no {what} `{}`", shown(name)),
        hint,
    );
}

fn hint_for<'a>(
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
    problems: &Problems,
) -> String {
    if problems.len() < HINTED_MAX {
        did_you_mean(name, known)
    } else {
        String::new()
    }
}
