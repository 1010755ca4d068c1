//! The list in `lib.rs` is all that is public, and every name of it is used outside of the crate.

#![cfg(not(loom))]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Where the crate is used, from its own directory.
const OUTSIDE: [&str; 6] = [
    "../binding/src",
    "../catalog",
    "../snapshot",
    "benches",
    "tests",
    "../../fuzz/fuzz_targets",
];

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("surface.rs") {
            found.push(path);
        }
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_'))
}

/// The names behind each `pub use` of a file, as they are called outside.
fn exported(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for list in text.split("pub use ").skip(1) {
        let list = list.split(';').next().unwrap();
        let list = match list.split_once('{') {
            Some((_, inside)) => inside.trim_end_matches('}'),
            None => list.rsplit("::").next().unwrap(),
        };
        for name in list.split(',').map(str::trim).filter(|n| !n.is_empty()) {
            names.insert(name.rsplit(' ').next().unwrap().to_owned());
        }
    }
    names
}

#[test]
fn every_public_name_is_used_outside() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let list = std::fs::read_to_string(root.join("src/lib.rs")).unwrap();
    let names = exported(&list);
    assert!(names.contains("Holds") && names.contains("segment_words"));
    let mut files = Vec::new();
    for dir in OUTSIDE {
        sources(&root.join(dir), &mut files);
    }
    let texts: Vec<String> = files
        .iter()
        .map(|file| std::fs::read_to_string(file).unwrap())
        .filter(|text| text.contains("fastcheck_core"))
        .collect();
    let used: BTreeSet<&str> = texts.iter().flat_map(|text| words(text)).collect();
    let unused: Vec<_> = names
        .iter()
        .filter(|n| !used.contains(n.as_str()))
        .collect();
    assert!(unused.is_empty(), "nothing outside uses {unused:?}");
}

#[test]
fn modules_are_private_but_those_of_plain_data_and_of_parts() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let list = std::fs::read_to_string(root.join("src/lib.rs")).unwrap();
    let public: Vec<_> = list
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod "))
        .map(|name| name.trim_end_matches([';', '{', ' ']))
        .collect();
    assert_eq!(public, ["catalog", "parts"]);
}
