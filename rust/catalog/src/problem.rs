//! What is wrong with a file, and where.
//!
//! A reader collects every mistake it can find before it gives up, so that one run of `catalog validate`
//! shows all of them. The list is bounded: a hostile file must not turn into gigabytes of advice.

use std::fmt;

/// Mistakes listed for one file. More are counted, and the count is the last entry.
pub const LISTED_MAX: usize = 1_000;

/// Characters of a file's own text that a message repeats.
const SHOWN_CHARS_MAX: usize = 60;

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The name the caller gave the file.
    pub file: String,
    /// Line, from 1; 0 where the mistake has no place (a file that is too large).
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// The keys that lead there, such as `plans.pro.features.seats`; empty for the file as a whole.
    pub path: String,
    pub message: String,
    /// What to do about it; may be empty.
    pub hint: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.file, self.line)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "{}", self.message)?;
        if !self.hint.is_empty() {
            write!(f, " ({})", self.hint)?;
        }
        Ok(())
    }
}

/// A place in a file, both counted from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spot {
    pub line: u32,
    pub column: u32,
}

/// The mistakes of one file, in the order they were found.
pub(crate) struct Problems {
    file: String,
    list: Vec<Problem>,
    /// Found after the list was full.
    unlisted: usize,
}

impl Problems {
    pub fn new(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            list: Vec::new(),
            unlisted: 0,
        }
    }

    pub fn add(
        &mut self,
        spot: Spot,
        path: &str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        if self.list.len() >= LISTED_MAX {
            self.unlisted += 1;
            return;
        }
        self.list.push(Problem {
            file: self.file.clone(),
            line: spot.line,
            column: spot.column,
            path: path.to_owned(),
            message: message.into(),
            hint: hint.into(),
        });
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// All mistakes by line, with a closing entry if some were only counted.
    pub fn into_list(mut self) -> Vec<Problem> {
        self.list.sort_by_key(|p| (p.line, p.column));
        if self.unlisted > 0 {
            self.list.push(Problem {
                file: self.file,
                line: 0,
                column: 0,
                path: String::new(),
                message: format!("{} more problems are not listed", self.unlisted),
                hint: "mend these first".to_owned(),
            });
        }
        self.list
    }
}

/// A file's own text, fit for one line of a message: control characters escaped, long text cut.
pub(crate) fn shown(text: &str) -> String {
    let mut out = String::new();
    for (n, c) in text.chars().enumerate() {
        if n == SHOWN_CHARS_MAX {
            out.push('…');
            break;
        }
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// `parent.key`, fit for a message.
pub(crate) fn join(parent: &str, key: &str) -> String {
    if parent.is_empty() {
        shown(key)
    } else {
        format!("{parent}.{}", shown(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_reads_as_file_line_path_message_hint() {
        let mut problems = Problems::new("catalog.yaml");
        problems.add(
            Spot { line: 3, column: 5 },
            "pools.x",
            "no good",
            "do better",
        );
        problems.add(Spot { line: 1, column: 1 }, "", "empty", "");
        let list = problems.into_list();
        assert_eq!(list[0].to_string(), "catalog.yaml:1: empty");
        assert_eq!(
            list[1].to_string(),
            "catalog.yaml:3: pools.x: no good (do better)"
        );
    }

    #[test]
    fn the_list_is_bounded_and_says_so() {
        let mut problems = Problems::new("f");
        for line in 0..1_500 {
            problems.add(Spot { line, column: 1 }, "", "m", "");
        }
        let list = problems.into_list();
        assert_eq!(list.len(), LISTED_MAX + 1);
        assert_eq!(list[LISTED_MAX].message, "500 more problems are not listed");
    }

    #[test]
    fn shown_text_is_one_short_line() {
        assert_eq!(shown("a\nb\0"), "a\\nb\\u{0}");
        assert_eq!(shown(&"é".repeat(100)).chars().count(), SHOWN_CHARS_MAX + 1);
    }
}
