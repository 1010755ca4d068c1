//! YAML 1.2 (and so JSON) text to a tree of nodes with positions.
//!
//! Scalars stay text, so a decimal is never rounded; whether a scalar was quoted is kept, so `"25"` is not a
//! number. An alias shares the anchored subtree instead of copying it, but is counted at its full size, so
//! a file cannot expand beyond [`NODES_MAX`] nodes. Nothing here recurses on the depth of the input.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, StrInput, Tag};

use crate::catalog::bounds::FILE_BYTES_MAX;
use crate::problem::{Problems, Spot, join, shown};
use crate::surrogates::Marked;

/// Levels of lists and maps. A catalog needs eight; dropping a tree recurses this deep.
pub(crate) const DEPTH_MAX: usize = 64;
/// Nodes of a tree, each use of an alias counted in full.
pub(crate) const NODES_MAX: usize = 1_000_000;

/// Characters that may begin a token. The scanner keeps every token of a `[…]` or `{…}` until it knows whether
/// the whole is a key, at about 150 bytes each; this bounds what a hostile file can make it keep.
const INDICATORS_MAX: usize = 2 * NODES_MAX;
/// Where an escape names no character: what it may be.
const HALVES: &str =
    "half of a pair such as `\\ud83d\\ude80` is no character: write both halves, or the character";
const INDICATORS: &[u8] = b",:[]{}?&*!'\"";

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub spot: Spot,
    pub value: Value,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// `quoted` scalars are always text.
    Scalar {
        text: Rc<str>,
        quoted: bool,
    },
    List(Rc<Vec<Node>>),
    /// In file order, each key once.
    Map(Rc<Vec<Entry>>),
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Where the key is.
    pub spot: Spot,
    pub key: Rc<str>,
    pub value: Node,
}

impl Node {
    /// Nothing written, `~` or `null`.
    pub fn is_null(&self) -> bool {
        matches!(self.plain(), Some("" | "~" | "null" | "Null" | "NULL"))
    }

    /// The text of an unquoted scalar.
    pub fn plain(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar {
                text,
                quoted: false,
            } => Some(text),
            _ => None,
        }
    }

    pub fn bool(&self) -> Option<bool> {
        match self.plain()? {
            "true" | "True" | "TRUE" => Some(true),
            "false" | "False" | "FALSE" => Some(false),
            _ => None,
        }
    }

    /// What the node is, for a message: "a list", "the text `x`".
    pub fn describe(&self) -> String {
        match &self.value {
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a map".to_owned(),
            Value::Scalar { .. } if self.is_null() => "nothing".to_owned(),
            Value::Scalar { text, quoted: true } => format!("the text \"{}\"", shown(text)),
            Value::Scalar {
                text,
                quoted: false,
            } => format!("`{}`", shown(text)),
        }
    }
}

/// Reads one document. `None` if the text is not a tree at all; duplicate keys and unknown tags are
/// reported and reading goes on.
pub(crate) fn read(bytes: &[u8], problems: &mut Problems) -> Option<Node> {
    if bytes.len() > FILE_BYTES_MAX {
        let message = format!(
            "the file has {} bytes, more than {FILE_BYTES_MAX}",
            bytes.len()
        );
        problems.add(
            Spot::default(),
            "",
            message,
            "split the product into several catalogs",
        );
        return None;
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
        Err(error) => {
            let good = &bytes[..error.valid_up_to()];
            let line = good.iter().filter(|byte| **byte == b'\n').count() as u32 + 1;
            problems.add(
                Spot { line, column: 1 },
                "",
                "the file is not UTF-8 text",
                "save it as UTF-8",
            );
            return None;
        }
    };
    let indicators = text
        .bytes()
        .filter(|byte| INDICATORS.contains(byte))
        .count();
    if indicators > INDICATORS_MAX {
        let message = format!("{indicators} brackets, colons, commas and the like");
        let hint = format!("at most {INDICATORS_MAX}; split the product into several catalogs");
        problems.add(Spot::default(), "", message, hint);
        return None;
    }
    // No input is known to break it, but the scanner asserts its own invariants; should one fail, the file is at
    // fault and not the process.
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        Builder::new(problems, Marked::new(text)).build()
    }));
    match outcome {
        Ok(root) => root,
        Err(_) => {
            problems.add(
                Spot::default(),
                "",
                "the YAML reader cannot read this file",
                "write it in plainer YAML, or as JSON",
            );
            None
        }
    }
}

/// A list or map that is still open.
struct Frame {
    spot: Spot,
    /// Nonzero where the node has an anchor.
    anchor: usize,
    /// Nodes so far, itself included.
    weight: usize,
    /// Levels below, so far.
    height: usize,
    open: Open,
}

enum Open {
    List(Vec<Node>),
    Map {
        entries: Vec<Entry>,
        /// Where each key is among the entries.
        seen: HashMap<Rc<str>, usize>,
        /// A key that waits for its value.
        key: Option<(Rc<str>, Spot)>,
    },
}

/// A finished node with what it costs to repeat it.
#[derive(Clone)]
struct Built {
    node: Node,
    weight: usize,
    height: usize,
}

struct Builder<'p, 't> {
    problems: &'p mut Problems,
    marked: Marked<'t>,
    frames: Vec<Frame>,
    anchored: HashMap<usize, Built>,
    nodes: usize,
    root: Option<Node>,
}

/// Reading stops here; the reason is already among the problems.
struct Stop;

impl<'p, 't> Builder<'p, 't> {
    fn new(problems: &'p mut Problems, marked: Marked<'t>) -> Self {
        Self {
            problems,
            marked,
            frames: Vec::new(),
            anchored: HashMap::new(),
            nodes: 0,
            root: None,
        }
    }

    fn build(mut self) -> Option<Node> {
        let text = self.marked.text.clone();
        let mut parser = Parser::new(StrInput::new(&text));
        while let Some(next) = parser.next_event() {
            let step = match next {
                Ok((event, span)) => self.event(event, spot_of(&span.start)),
                Err(error) => {
                    let spot = spot_of(error.marker());
                    let info = self.marked.restored(error.info()).into_owned();
                    let hint = if info.contains("Unicode") { HALVES } else { "" };
                    self.stop(spot, &format!("not YAML: {info}"), hint)
                }
            };
            if step.is_err() {
                return None;
            }
        }
        if self.root.is_none() {
            self.problems.add(
                Spot { line: 1, column: 1 },
                "",
                "the file is empty",
                "start with `fastcheck: 1`",
            );
        }
        self.root
    }

    fn event(&mut self, event: Event<'_>, spot: Spot) -> Result<(), Stop> {
        match event {
            Event::DocumentStart(_) if self.root.is_some() => {
                self.stop(spot, "a second document", "one document per file")
            }
            Event::Scalar(text, style, anchor, tag) => {
                let text_tag = self.check_tag(tag.as_deref(), spot);
                let quoted = text_tag || style != ScalarStyle::Plain;
                let said = match style {
                    ScalarStyle::DoubleQuoted => self.marked.decoded(&text),
                    _ => self.marked.restored(&text),
                };
                let value = Value::Scalar {
                    text: Rc::from(said.as_ref()),
                    quoted,
                };
                let built = Built {
                    node: Node { spot, value },
                    weight: 1,
                    height: 0,
                };
                self.finished(built, anchor)
            }
            Event::Alias(anchor) => match self.anchored.get(&anchor).cloned() {
                Some(built) => self.finished(built, 0),
                None => self.stop(spot, "an alias inside its own anchor", "write the part out"),
            },
            Event::SequenceStart(anchor, tag) => {
                self.check_tag(tag.as_deref(), spot);
                self.open(spot, anchor, Open::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.check_tag(tag.as_deref(), spot);
                let open = Open::Map {
                    entries: Vec::new(),
                    seen: HashMap::new(),
                    key: None,
                };
                self.open(spot, anchor, open)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(frame) = self.frames.pop() else {
                    return Err(Stop);
                };
                let value = match frame.open {
                    Open::List(nodes) => Value::List(Rc::new(nodes)),
                    Open::Map { entries, .. } => Value::Map(Rc::new(entries)),
                };
                let node = Node {
                    spot: frame.spot,
                    value,
                };
                // Its nodes were counted as they came.
                self.nodes = self.nodes.saturating_sub(frame.weight);
                let built = Built {
                    node,
                    weight: frame.weight,
                    height: frame.height + 1,
                };
                self.finished(built, frame.anchor)
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    fn open(&mut self, spot: Spot, anchor: usize, open: Open) -> Result<(), Stop> {
        if self.frames.len() >= DEPTH_MAX {
            return self.too_deep(spot);
        }
        if let Some(Frame {
            open: Open::Map { key: None, .. },
            ..
        }) = self.frames.last()
        {
            return self.stop(spot, "a list or map as a key", "keys are plain words");
        }
        self.frames.push(Frame {
            spot,
            anchor,
            weight: 1,
            height: 0,
            open,
        });
        self.count(spot, 1)
    }

    /// Puts a finished node where it belongs: under its parent, or at the root.
    fn finished(&mut self, built: Built, anchor: usize) -> Result<(), Stop> {
        let spot = built.node.spot;
        self.count(spot, built.weight)?;
        if self.frames.len() + built.height > DEPTH_MAX {
            return self.too_deep(spot);
        }
        if anchor != 0 {
            self.anchored.insert(anchor, built.clone());
        }
        let Some(frame) = self.frames.last_mut() else {
            self.root = Some(built.node);
            return Ok(());
        };
        frame.weight += built.weight;
        frame.height = frame.height.max(built.height);
        match &mut frame.open {
            Open::List(nodes) => nodes.push(built.node),
            Open::Map { entries, seen, key } => match key.take() {
                Some((name, at)) => {
                    let entry = Entry {
                        spot: at,
                        key: name.clone(),
                        value: built.node,
                    };
                    match seen.get(&name) {
                        None => {
                            seen.insert(name, entries.len());
                            entries.push(entry);
                        }
                        Some(first) => {
                            // The last one counts, as in other YAML readers.
                            entries[*first] = entry;
                            self.duplicate(&name, at);
                        }
                    }
                }
                None => match built.node.value {
                    Value::Scalar { text, .. } => *key = Some((text, spot)),
                    Value::List(_) | Value::Map(_) => {
                        return self.stop(spot, "a list or map as a key", "keys are plain words");
                    }
                },
            },
        }
        Ok(())
    }

    fn duplicate(&mut self, name: &str, at: Spot) {
        let parents = self.frames.iter().filter_map(|frame| match &frame.open {
            Open::Map {
                key: Some((key, _)),
                ..
            } => Some(key),
            _ => None,
        });
        let path = parents.fold(String::new(), |path, key| join(&path, key));
        let message = format!("`{}` is written twice", shown(name));
        self.problems.add(
            at,
            &join(&path, name),
            message,
            "keep one of them; the last one counts",
        );
    }

    fn count(&mut self, spot: Spot, nodes: usize) -> Result<(), Stop> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > NODES_MAX {
            let message = format!("more than {NODES_MAX} values, aliases counted in full");
            return self.stop(spot, &message, "split the product into several catalogs");
        }
        Ok(())
    }

    /// Whether the tag says "text". Tags of the core schema are allowed, others are mistakes.
    fn check_tag(&mut self, tag: Option<&Tag>, spot: Spot) -> bool {
        let Some(tag) = tag else { return false };
        if !tag.is_yaml_core_schema() && tag.to_string() != "!" {
            let tag = tag.to_string();
            let tag = self.marked.restored(&tag);
            let message = format!("the tag `{}` has no meaning here", shown(&tag));
            self.problems.add(spot, "", message, "leave it out");
        }
        tag.suffix == "str" || tag.to_string() == "!"
    }

    fn too_deep(&mut self, spot: Spot) -> Result<(), Stop> {
        self.stop(
            spot,
            &format!("more than {DEPTH_MAX} levels deep"),
            "flatten it",
        )
    }

    fn stop(&mut self, spot: Spot, message: &str, hint: &str) -> Result<(), Stop> {
        self.problems.add(spot, "", message, hint);
        Err(Stop)
    }
}

fn spot_of(marker: &Marker) -> Spot {
    // Both fit: a file has at most 16 MiB.
    Spot {
        line: marker.line() as u32,
        column: marker.col() as u32 + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::only_problem;

    fn tree(text: &str) -> Result<Node, Vec<crate::Problem>> {
        let mut problems = Problems::new("f.yaml");
        let root = read(text.as_bytes(), &mut problems);
        if problems.is_empty() {
            Ok(root.expect("a tree"))
        } else {
            Err(problems.into_list())
        }
    }

    fn refused(text: &str) -> crate::Problem {
        only_problem(tree(text).expect_err("a mistake"))
    }

    fn entries(node: &Node) -> &[Entry] {
        match &node.value {
            Value::Map(entries) => entries,
            other => panic!("not a map: {other:?}"),
        }
    }

    #[test]
    fn scalars_keep_their_text_place_and_quotes() {
        let root = tree("a: 0.10\nb: \"25\"\nc:\n").expect("a tree");
        let entries = entries(&root);
        assert_eq!(entries[0].value.plain(), Some("0.10"));
        assert_eq!(entries[0].value.spot, Spot { line: 1, column: 4 });
        assert_eq!(entries[1].value.plain(), None);
        assert_eq!(entries[1].spot, Spot { line: 2, column: 1 });
        assert!(entries[2].value.is_null());
    }

    #[test]
    fn json_is_yaml() {
        let root = tree("{\"a\": [1, true, null], \"b\": {\"c\": \"x\\u0041\"}}").expect("a tree");
        assert_eq!(entries(&root)[1].key.as_ref(), "b");
        match &entries(&entries(&root)[1].value)[0].value.value {
            Value::Scalar { text, quoted } => assert_eq!((text.as_ref(), *quoted), ("xA", true)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_key_written_twice_is_a_mistake_at_the_second() {
        let problem = refused("a:\n  b: 1\n  b: 2\n");
        assert_eq!((problem.line, problem.column), (3, 3));
        assert_eq!(
            problem.to_string(),
            "f.yaml:3: a.b: `b` is written twice (keep one of them; the last one counts)"
        );
    }

    #[test]
    fn aliases_share_and_never_explode() {
        let root = tree("a: &x {k: [1, 2]}\nb: *x\n").expect("a tree");
        assert_eq!(entries(&entries(&root)[1].value)[0].key.as_ref(), "k");

        let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..30 {
            let again = vec![format!("*a{}", n - 1); 10].join(", ");
            laughs.push_str(&format!("a{n}: &a{n} [{again}]\n"));
        }
        let problem = refused(&laughs);
        assert!(
            problem.message.starts_with("more than 1000000 values"),
            "{problem}"
        );
        assert!(refused("a: &x [*x]").message.contains("alias"));
        assert!(refused("a: *nowhere").message.contains("not YAML"));
    }

    #[test]
    fn depth_is_bounded_aliases_included() {
        assert!(refused(&"[".repeat(100)).message.contains("64 levels"));
        let indented: String = (0..100).map(|n| format!("{}a:\n", " ".repeat(n))).collect();
        assert!(refused(&indented).message.contains("64 levels"));
        let half = format!("a: &x {}{}\n", "[".repeat(40), "]".repeat(40));
        assert!(tree(&half).is_ok());
        let twice = format!("{half}b: {}*x{}\n", "[".repeat(40), "]".repeat(40));
        assert!(refused(&twice).message.contains("64 levels"));
    }

    #[test]
    fn what_is_no_tree_says_why() {
        assert_eq!(refused("").hint, "start with `fastcheck: 1`");
        assert_eq!(refused("a: 1\n---\nb: 2\n").message, "a second document");
        assert_eq!(refused("? [a]\n: 1\n").message, "a list or map as a key");
        assert_eq!(
            refused("a: !weird 1").message,
            "the tag `!weird` has no meaning here"
        );
        assert!(refused("a: [1, 2").message.starts_with("not YAML: "));
        let mut problems = Problems::new("f");
        assert!(read(b"a: 1\nb: \xff\n", &mut problems).is_none());
        assert_eq!(only_problem(problems.into_list()).line, 2);
        let mut problems = Problems::new("f");
        assert!(read(&vec![b' '; FILE_BYTES_MAX + 1], &mut problems).is_none());
        assert!(
            only_problem(problems.into_list())
                .message
                .contains("16777216")
        );
    }

    #[test]
    fn tokens_are_bounded_before_they_are_scanned() {
        let problem = refused(&format!("[{}", "[],".repeat(700_000)));
        assert_eq!(
            problem.message,
            "2100001 brackets, colons, commas and the like"
        );
    }

    #[test]
    fn a_text_tag_makes_text() {
        let root = tree("a: !!str 5\nb: !!int 5\n").expect("a tree");
        assert_eq!(entries(&root)[0].value.plain(), None);
        assert_eq!(entries(&root)[1].value.plain(), Some("5"));
    }
}
