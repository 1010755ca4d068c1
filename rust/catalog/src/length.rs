//! Lengths of calendar time: `month`, `3 months`, `30 days`; and how often something happens again.

use crate::catalog::{Anchor, Recurrence, Span, Unit};
use crate::decimal::Decimal;
use crate::fields::Fields;
use crate::hint::did_you_mean;
use crate::problem::Problems;
use crate::scalar::word;
use crate::tree::{Node, Value};

/// Units of one length: a year in minutes and then some, far from where an instant overflows.
pub(crate) const COUNT_MAX: i64 = 1_000_000;

const UNITS: [(&str, Unit); 6] = [
    ("minute", Unit::Minute),
    ("hour", Unit::Hour),
    ("day", Unit::Day),
    ("week", Unit::Week),
    ("month", Unit::Month),
    ("year", Unit::Year),
];

pub(crate) const ANCHORS: [(&str, Anchor); 2] = [
    ("calendar", Anchor::Calendar),
    ("anniversary", Anchor::Anniversary),
];

/// The word for a unit in catalog files.
pub(crate) fn unit_name(unit: Unit) -> &'static str {
    UNITS
        .iter()
        .find(|(_, known)| *known == unit)
        .map_or("", |(name, _)| name)
}

/// The unit a word stands for, singular or plural.
pub(crate) fn unit_of(word: &str) -> Option<Unit> {
    let singular = word.strip_suffix('s').unwrap_or(word);
    UNITS
        .iter()
        .find(|(name, _)| *name == singular)
        .map(|(_, unit)| *unit)
}

/// Reads `month` or `3 months`.
pub(crate) fn span(node: &Node, path: &str, problems: &mut Problems) -> Option<Span> {
    let mut hint = "write `month`, `3 months`, `30 days`".to_owned();
    if let Value::Scalar { text, .. } = &node.value {
        let (count, unit) = match text.trim().split_once(' ') {
            Some((count, unit)) => (
                Decimal::parse(count).ok().and_then(Decimal::to_i64),
                unit.trim(),
            ),
            None => (Some(1), text.trim()),
        };
        match (count, unit_of(unit)) {
            (Some(count), Some(unit)) if (1..=COUNT_MAX).contains(&count) => {
                return Some(Span {
                    count: count as u32,
                    unit,
                });
            }
            (Some(_), Some(_)) => hint = format!("from 1 to {COUNT_MAX}"),
            (Some(_), None) => {
                let near = did_you_mean(unit, UNITS.map(|(name, _)| name));
                if !near.is_empty() {
                    hint = near;
                }
            }
            (None, _) => {}
        }
    }
    problems.add(
        node.spot,
        path,
        format!("{} is not a length of time", node.describe()),
        hint,
    );
    None
}

/// The recurrence in `every_key` and `anchor`; the anchor is the calendar unless given.
pub(crate) fn recurrence(
    fields: &Fields<'_>,
    every_key: &str,
    problems: &mut Problems,
) -> Option<Recurrence> {
    let anchor = fields
        .get("anchor")
        .and_then(|node| word(node, &fields.at("anchor"), &ANCHORS, problems))
        .unwrap_or(Anchor::Calendar);
    let node = fields.get(every_key)?;
    let every = span(node, &fields.at(every_key), problems)?;
    Some(Recurrence { every, anchor })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_mistake, good};

    fn meter(period: &str) -> String {
        format!("fastcheck: 1\nfeatures:\n  calls:\n    kind: meter\n    period: {period}\n")
    }

    fn period(text: &str) -> Span {
        good(&meter(text)).features[0]
            .period
            .expect("a period")
            .every
    }

    #[test]
    fn lengths_read_as_people_write_them() {
        assert_eq!(
            period("month"),
            Span {
                count: 1,
                unit: Unit::Month
            }
        );
        assert_eq!(
            period("3 months"),
            Span {
                count: 3,
                unit: Unit::Month
            }
        );
        assert_eq!(
            period("1_440 minutes"),
            Span {
                count: 1_440,
                unit: Unit::Minute
            }
        );
        assert_eq!(
            period("\"1 week\""),
            Span {
                count: 1,
                unit: Unit::Week
            }
        );
    }

    #[test]
    fn what_is_not_a_length() {
        let path = "5: features.calls.period";
        assert_mistake(
            &meter("mnoth"),
            &format!("{path}: `mnoth` is not a length of time (did you mean `month`?)"),
        );
        assert_mistake(
            &meter("0 days"),
            &format!("{path}: `0 days` is not a length of time (from 1 to 1000000)"),
        );
        assert_mistake(
            &meter("1.5 days"),
            &format!(
                "{path}: `1.5 days` is not a length of time (write `month`, `3 months`, `30 days`)"
            ),
        );
    }
}
