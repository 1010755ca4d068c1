//! Escapes of two halves, `\ud83d\ude80`, as JSON writers have them for a character beyond U+FFFF. YAML 1.2 has none,
//! though it means to hold all of JSON.
//!
//! The reader of YAML cannot be told, so the backslashes of each pair are put aside before it reads: a mark that
//! stands nowhere else in the file takes their places. It has their width, so that no column moves. Where a
//! scalar in double quotes comes out, a pair becomes its character; everywhere else it is text and gets its
//! backslashes back.

use std::borrow::Cow;

/// `ud83d`: the letter and four digits.
const HALF: usize = 5;

/// A file in which pairs are marked; without a mark there is none.
pub(crate) struct Marked<'t> {
    pub text: Cow<'t, str>,
    mark: Option<char>,
}

impl<'t> Marked<'t> {
    pub fn new(text: &'t str) -> Self {
        let plain = Self {
            text: Cow::Borrowed(text),
            mark: None,
        };
        let places = pairs(text);
        if places.is_empty() {
            return plain;
        }
        // These are no characters, and most files have none, written out or escaped. Of one with all of them pairs
        // are not read.
        let lower = text.to_ascii_lowercase();
        let is_new =
            |c: &char| !lower.contains(*c) && !lower.contains(&format!("{:x}", u32::from(*c)));
        let Some(mark) = ('\u{fdd0}'..='\u{fdef}').find(is_new) else {
            return plain;
        };
        let mut out = String::with_capacity(text.len() + 4 * places.len());
        let mut done = 0;
        for place in places {
            out.push_str(&text[done..place]);
            out.push(mark);
            done = place + 1;
        }
        out.push_str(&text[done..]);
        Self {
            text: Cow::Owned(out),
            mark: Some(mark),
        }
    }

    /// What a scalar in double quotes says.
    pub fn decoded<'s>(&self, scalar: &'s str) -> Cow<'s, str> {
        let Some(mark) = self.mark.filter(|mark| scalar.contains(*mark)) else {
            return Cow::Borrowed(scalar);
        };
        let mut out = String::with_capacity(scalar.len());
        let mut rest = scalar;
        while let Some(place) = rest.find(mark) {
            out.push_str(&rest[..place]);
            let high = &rest[place + mark.len_utf8()..];
            let low = &high[HALF + mark.len_utf8()..];
            let units = [high, low].map(|half| u16::from_str_radix(&half[1..HALF], 16));
            let units = units.map(Result::unwrap_or_default);
            out.extend(char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)));
            rest = &low[HALF..];
        }
        out.push_str(rest);
        Cow::Owned(out)
    }

    /// The text as it was written.
    pub fn restored<'s>(&self, text: &'s str) -> Cow<'s, str> {
        match self.mark {
            Some(mark) if text.contains(mark) => Cow::Owned(text.replace(mark, "\\")),
            _ => Cow::Borrowed(text),
        }
    }
}

/// Where the backslashes of all pairs are, two for each, ascending.
fn pairs(text: &str) -> Vec<usize> {
    let bytes = text.as_bytes();
    // `\ud8..` to `\udb..` are first halves, `\udc..` to `\udf..` second ones.
    let half = |at: usize, third: &[u8]| {
        bytes.get(at..=at + HALF).is_some_and(|half| {
            half[..2] == *b"\\u"
                && half[2].eq_ignore_ascii_case(&b'd')
                && third.contains(&half[3].to_ascii_lowercase())
                && half[4..].iter().all(u8::is_ascii_hexdigit)
        })
    };
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] != b'\\' {
            at += 1;
        } else if half(at, b"89ab") && half(at + HALF + 1, b"cdef") {
            found.extend([at, at + HALF + 1]);
            at += 2 * (HALF + 1);
        } else {
            at += 2; // What a backslash escapes begins nothing.
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use crate::testing::{assert_mistake, good};
    use proptest::prelude::*;

    /// What a pool's description in a file comes out as.
    fn description(scalar: &str) -> String {
        let text = format!("fastcheck: 1\npools: {{c: {{description: {scalar}}}}}\n");
        good(&text).pools[0].description.clone()
    }

    #[test]
    fn a_pair_is_a_character_in_double_quotes_alone() {
        assert_eq!(description(r#""a \ud83d\ude80 b""#), "a 🚀 b");
        assert_eq!(description(r#""\uD83D\uDE80\ud83d\ude80""#), "🚀🚀");
        assert_eq!(description(r#""\\\ud83d\ude80""#), "\\🚀");
        for text in [r#""\\ud83d\\ude80""#, r"'\ud83d\ude80'", r"\ud83d\ude80"] {
            assert_eq!(description(text), r"\ud83d\ude80", "{text}");
        }
        let block = "fastcheck: 1 # \\ud83d\\ude80\npools:\n  c:\n    description: |-\n      \\ud83d\\ude80\n";
        assert_eq!(good(block).pools[0].description, r"\ud83d\ude80");
    }

    #[test]
    fn half_a_pair_is_refused() {
        for half in [
            r"\ud83d",
            r"\ude80",
            r"\ude80\ud83d",
            r"\ud83dx\ude80",
            r"\\ud83d\ude80",
        ] {
            let text = format!("fastcheck: 1\npools: {{c: {{description: \"{half}\"}}}}\n");
            let problem = crate::testing::mistake(&text);
            assert!(problem.message.starts_with("not YAML: "), "{problem}");
        }
    }

    #[test]
    fn columns_stay_where_they_are() {
        let text = r#"{"fastcheck": 1, "pools": {"\ud83d\ude80": {}, "b": {"scale": 99}}}"#;
        let problem = crate::testing::mistake(text);
        assert_eq!(problem.column as usize, text.find("99").expect("there") + 1);
    }

    #[test]
    fn a_file_with_the_mark_gets_another() {
        assert_eq!(
            description("\"\u{fdd0} \\ufdd1 \\ud83d\\ude80\""),
            "\u{fdd0} \u{fdd1} 🚀"
        );
        let all: String = ('\u{fdd0}'..='\u{fdef}').collect();
        let text =
            format!("fastcheck: 1\npools: {{c: {{description: \"{all}\\ud83d\\ude80\"}}}}\n");
        assert!(crate::parse(text.as_bytes(), "f").is_err());
    }

    #[test]
    fn messages_show_what_was_written() {
        assert_mistake(
            "fastcheck: 1\npools: {c: {policy: \\ud83d\\ude80}}\n",
            r"2: pools.c.policy: `\ud83d\ude80` is not known here (one of hard, soft)",
        );
    }

    proptest! {
        #[test]
        fn every_text_comes_back_from_json(text in "\\PC{0,12}|[\\\\\"u🚀😀\u{ffff}]{0,12}") {
            let mut json = String::from("\"");
            for unit in text.encode_utf16() {
                json.push_str(&format!("\\u{unit:04x}"));
            }
            json.push('"');
            prop_assert_eq!(description(&json), text);
        }
    }
}
