//! What the unit tests of this crate share.

use crate::Problem;
use crate::catalog::{Catalog, Kind};

/// Parses a catalog that must be right.
pub fn good(text: &str) -> Catalog {
    match crate::parse(text.as_bytes(), "f.yaml") {
        Ok(catalog) => catalog,
        Err(problems) => panic!("{}", lines(&problems)),
    }
}

/// Parses a catalog that must have exactly one mistake.
pub fn mistake(text: &str) -> Problem {
    only_problem(crate::parse(text.as_bytes(), "f.yaml").expect_err("a mistake"))
}

pub fn only_problem(mut problems: Vec<Problem>) -> Problem {
    assert_eq!(problems.len(), 1, "{}", lines(&problems));
    problems.remove(0)
}

/// Asserts one mistake, written as `line: path: message (hint)`.
pub fn assert_mistake(text: &str, expected: &str) {
    assert_eq!(
        mistake(text).to_string(),
        format!("f.yaml:{expected}"),
        "in\n{text}"
    );
}

/// The hint where a kind is expected.
pub fn listed_kinds() -> String {
    format!("one of {}", Kind::ALL.map(Kind::as_str).join(", "))
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(|p| format!("{p}\n")).collect()
}
