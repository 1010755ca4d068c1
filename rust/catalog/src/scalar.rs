//! Single values: words from a list, whole numbers, amounts in units of a scale, text.

use crate::catalog::bounds::{SCALE_MAX, TEXT_BYTES_MAX};
use crate::decimal::{Decimal, Malformed, NotUnits};
use crate::hint::did_you_mean;
use crate::problem::{Problems, shown};
use crate::tree::{Node, Value};

/// One of a few words.
pub(crate) fn word<T: Copy>(
    node: &Node,
    path: &str,
    words: &[(&str, T)],
    problems: &mut Problems,
) -> Option<T> {
    let Value::Scalar { text, .. } = &node.value else {
        let message = format!("{} where a word is expected", node.describe());
        problems.add(node.spot, path, message, one_of(words));
        return None;
    };
    let found = words.iter().find(|(word, _)| *word == text.as_ref());
    if found.is_none() {
        let mut hint = did_you_mean(text, words.iter().map(|(word, _)| *word));
        if hint.is_empty() {
            hint = one_of(words);
        }
        problems.add(
            node.spot,
            path,
            format!("{} is not known here", node.describe()),
            hint,
        );
    }
    found.map(|(_, value)| *value)
}

/// What to write where one of some words is expected.
pub(crate) fn one_of<T>(words: &[(&str, T)]) -> String {
    let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
    format!("one of {}", words.join(", "))
}

/// Text of any kind: a name, a description.
pub(crate) fn text<'n>(node: &'n Node, path: &str, problems: &mut Problems) -> Option<&'n str> {
    match &node.value {
        Value::Scalar { text, .. } if !node.is_null() => {
            if text.len() > TEXT_BYTES_MAX {
                let message = format!("a text of {} bytes", text.len());
                problems.add(
                    node.spot,
                    path,
                    message,
                    format!("at most {TEXT_BYTES_MAX}"),
                );
                return None;
            }
            Some(text)
        }
        _ => {
            let message = format!("{} where text is expected", node.describe());
            problems.add(node.spot, path, message, "write a word or a quoted text");
            None
        }
    }
}

/// A description, or nothing.
pub(crate) fn description(node: Option<&Node>, path: &str, problems: &mut Problems) -> String {
    match node {
        Some(node) if !node.is_null() => text(node, path, problems)
            .map(str::to_owned)
            .unwrap_or_default(),
        _ => String::new(),
    }
}

/// A number as written, its sign included.
pub(crate) fn decimal(node: &Node, path: &str, problems: &mut Problems) -> Option<Decimal> {
    let (message, hint) = match (&node.value, node.plain().map(Decimal::parse)) {
        (_, Some(Ok(decimal))) => return Some(decimal),
        (_, Some(Err(Malformed::TooManyDigits))) => (
            format!("{} has more than 38 significant digits", node.describe()),
            "round it".to_owned(),
        ),
        (Value::Scalar { text, quoted: true }, _) if Decimal::parse(text).is_ok() => (
            format!("{} where a number is expected", node.describe()),
            "take the quotes away".to_owned(),
        ),
        _ => (
            format!("{} where a number is expected", node.describe()),
            "write digits".to_owned(),
        ),
    };
    problems.add(node.spot, path, message, hint);
    None
}

/// `true` or `false`.
pub(crate) fn flag(node: &Node, path: &str, problems: &mut Problems) -> Option<bool> {
    let flag = node.bool();
    if flag.is_none() {
        let message = format!("{} is neither true nor false", node.describe());
        problems.add(node.spot, path, message, "write `true` or `false`");
    }
    flag
}

/// A whole number between two bounds.
pub(crate) fn integer(
    node: &Node,
    path: &str,
    least: i64,
    most: i64,
    problems: &mut Problems,
) -> Option<i64> {
    let number = decimal(node, path, problems)?
        .to_i64()
        .filter(|n| (least..=most).contains(n));
    if number.is_none() {
        let message = format!("{} is not a whole number in range", node.describe());
        problems.add(node.spot, path, message, format!("from {least} to {most}"));
    }
    number
}

/// An amount in units of 10^-scale, never negative, at most `most` units.
pub(crate) fn units(
    node: &Node,
    path: &str,
    what: &str,
    scale: u8,
    most: u64,
    problems: &mut Problems,
) -> Option<u64> {
    let decimal = decimal(node, path, problems)?;
    let written = node.plain().map(shown).unwrap_or_default();
    if decimal.negative {
        problems.add(
            node.spot,
            path,
            format!("{what} {written} is negative"),
            "write zero or more",
        );
        return None;
    }
    let (message, hint) = match decimal.units(scale) {
        Ok(units) => match u64::try_from(units) {
            Ok(units) if units <= most => return Some(units),
            _ => too_large(what, &written, scale, most),
        },
        Err(NotUnits::TooLarge) => too_large(what, &written, scale, most),
        Err(NotUnits::NeedsScale(needed)) if needed <= u32::from(SCALE_MAX) => (
            format!("{what} {written} needs scale ≥ {needed}"),
            format!("the pool's scale is {scale}; set `scale: {needed}` there"),
        ),
        Err(NotUnits::NeedsScale(needed)) => (
            format!("{what} {written} needs scale ≥ {needed}"),
            format!("the largest scale is {SCALE_MAX}; round it"),
        ),
    };
    problems.add(node.spot, path, message, hint);
    None
}

fn too_large(what: &str, written: &str, scale: u8, most: u64) -> (String, String) {
    (
        format!("{what} {written} is too large"),
        format!("at scale {scale} the most is {}", at_scale(most, scale)),
    )
}

/// Units as credits, for a person to read.
fn at_scale(units: u64, scale: u8) -> String {
    let unit = 10u64.pow(u32::from(scale));
    match units % unit {
        0 => (units / unit).to_string(),
        rest => format!(
            "{}.{rest:0width$}",
            units / unit,
            width = usize::from(scale)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_read_as_credits() {
        assert_eq!(at_scale(281_474_976_710_655, 6), "281474976.710655");
        assert_eq!(at_scale(5, 3), "0.005");
        assert_eq!(at_scale(500, 2), "5");
        assert_eq!(at_scale(7, 0), "7");
    }
}
