//! What a file says a customer has of a feature: `true`, `25`, `unlimited`, `"text"`.

use crate::catalog::bounds::AMOUNT_MAX;
use crate::catalog::{AddonSetting, Feature, Form, Kind, Pool, Setting};
use crate::decimal::Decimal;
use crate::fields::Fields;
use crate::problem::Problems;
use crate::scalar::{text, units};
use crate::tree::{Node, Value};

/// The word for "without a bound".
const UNLIMITED: &str = "unlimited";

/// What a setting needs to know of its feature.
#[derive(Clone, Copy)]
pub(crate) struct Target<'c> {
    kind: Kind,
    /// Of the pool it spends from; zero where there is none.
    scale: u8,
    name: &'c str,
}

impl<'c> Target<'c> {
    pub fn of(feature: &'c Feature, pools: &[Pool]) -> Self {
        let pool = feature.pool.and_then(|pool| pools.get(pool));
        Self {
            kind: feature.kind,
            scale: pool.map_or(0, |pool| pool.scale),
            name: &feature.name,
        }
    }
}

/// A setting in a plan, or a feature's default.
pub(crate) fn setting(
    node: &Node,
    path: &str,
    target: Target<'_>,
    problems: &mut Problems,
) -> Option<Setting> {
    match target.kind.form() {
        Form::OnOff => match node.bool() {
            Some(true) => Some(Setting::On),
            Some(false) => Some(Setting::Off),
            None => mismatch(node, path, target, "write `true` or `false`", problems),
        },
        Form::Bound => {
            if node.bool() == Some(false) {
                return Some(Setting::Off);
            }
            if is_unlimited(node) {
                return Some(Setting::Unlimited);
            }
            if !looks_like_number(node) {
                return mismatch(
                    node,
                    path,
                    target,
                    "write a number or `unlimited`",
                    problems,
                );
            }
            number(node, path, target, problems).map(Setting::Number)
        }
        Form::Value => value(node, path, target, problems),
    }
}

/// A setting in an add-on: a plain number adds, anything else is a source of its own.
pub(crate) fn addon_setting(
    node: &Node,
    path: &str,
    target: Target<'_>,
    problems: &mut Problems,
) -> Option<AddonSetting> {
    if let Value::Map(_) = node.value {
        let fields = Fields::open(node, path.to_owned(), &["set"], problems)?;
        let inner = fields.need("set", "write `{set: …}`, or a number to add", problems)?;
        return setting(inner, &fields.at("set"), target, problems).map(AddonSetting::Set);
    }
    match setting(node, path, target, problems)? {
        Setting::Number(n) => Some(AddonSetting::Add(n)),
        other => Some(AddonSetting::Set(other)),
    }
}

fn value(node: &Node, path: &str, target: Target<'_>, problems: &mut Problems) -> Option<Setting> {
    if let Some(bool) = node.bool() {
        return Some(Setting::Bool(bool));
    }
    match &node.value {
        Value::Scalar { .. } if node.is_null() => {}
        Value::Scalar {
            quoted: false,
            text,
        } if Decimal::parse(text).is_ok() => {
            let integer = Decimal::parse(text).ok().and_then(Decimal::to_i64);
            if integer.is_none() {
                let message = format!("{} is not a 64-bit integer", node.describe());
                problems.add(node.spot, path, message, "quote it to keep it as text");
            }
            return integer.map(Setting::Number);
        }
        Value::Scalar { .. } => {
            return text(node, path, problems).map(|text| Setting::Text(text.to_owned()));
        }
        Value::List(_) | Value::Map(_) => {}
    }
    mismatch(
        node,
        path,
        target,
        "write a text, an integer, `true` or `false`",
        problems,
    )
}

/// A bound in units: of a limit as it stands, of a meter at its pool's scale.
fn number(node: &Node, path: &str, target: Target<'_>, problems: &mut Problems) -> Option<i64> {
    if !target.kind.is_countable() {
        let decimal = node.plain().and_then(|text| Decimal::parse(text).ok());
        if decimal.is_some_and(|decimal| decimal.scale_needed() > 0) {
            let message = format!("{} is not a whole number", node.describe());
            problems.add(
                node.spot,
                path,
                message,
                format!("a {} counts whole things; round it", target.kind.as_str()),
            );
            return None;
        }
    }
    let units = units(
        node,
        path,
        target.kind.as_str(),
        target.scale,
        AMOUNT_MAX,
        problems,
    )?;
    i64::try_from(units).ok()
}

fn looks_like_number(node: &Node) -> bool {
    node.plain()
        .is_some_and(|text| Decimal::parse(text).is_ok())
}

fn is_unlimited(node: &Node) -> bool {
    matches!(&node.value, Value::Scalar { text, .. } if text.as_ref() == UNLIMITED)
}

fn mismatch<T>(
    node: &Node,
    path: &str,
    target: Target<'_>,
    hint: &str,
    problems: &mut Problems,
) -> Option<T> {
    let name = crate::problem::shown(target.name);
    let message = format!(
        "{} does not fit `{name}`, a {}",
        node.describe(),
        target.kind.as_str()
    );
    problems.add(node.spot, path, message, hint);
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_mistake, good};

    fn plan_with(kind: &str, setting: &str) -> String {
        let more = match kind {
            "meter" => ", period: day, scale: 2",
            "credit" => ", pool: c, rate: 1",
            _ => "",
        };
        format!(
            "fastcheck: 1\npools: {{c: {{}}}}\nfeatures: {{x: {{kind: {kind}{more}}}}}\nplans:\n  p:\n    features:\n      x: {setting}\n"
        )
    }

    fn read(kind: &str, setting: &str) -> Setting {
        good(&plan_with(kind, setting)).plans[0].entitlements[0]
            .1
            .clone()
    }

    #[test]
    fn each_kind_takes_its_own_settings() {
        assert_eq!(read("switch", "true"), Setting::On);
        assert_eq!(read("credit", "false"), Setting::Off);
        assert_eq!(read("limit", "1_000"), Setting::Number(1_000));
        assert_eq!(read("limit", "unlimited"), Setting::Unlimited);
        assert_eq!(read("limit", "false"), Setting::Off);
        assert_eq!(read("meter", "12.5"), Setting::Number(1_250));
        assert_eq!(read("value", "-3"), Setting::Number(-3));
        assert_eq!(read("value", "true"), Setting::Bool(true));
        assert_eq!(
            read("value", "unlimited"),
            Setting::Text("unlimited".to_owned())
        );
        assert_eq!(read("value", "\"0.5\""), Setting::Text("0.5".to_owned()));
        assert_eq!(read("value", "\"\""), Setting::Text(String::new()));
        assert_eq!(
            read("limit", "9223372036854775807"),
            Setting::Number(i64::MAX)
        );
    }

    #[test]
    fn a_setting_of_the_wrong_kind() {
        let path = "7: plans.p.features.x";
        for (kind, setting, expected) in [
            (
                "switch",
                "25",
                "`25` does not fit `x`, a switch (write `true` or `false`)",
            ),
            (
                "credit",
                "1",
                "`1` does not fit `x`, a credit (write `true` or `false`)",
            ),
            (
                "limit",
                "true",
                "`true` does not fit `x`, a limit (write a number or `unlimited`)",
            ),
            (
                "limit",
                "\"25\"",
                "the text \"25\" does not fit `x`, a limit (write a number or `unlimited`)",
            ),
            (
                "meter",
                "[]",
                "a list does not fit `x`, a meter (write a number or `unlimited`)",
            ),
            (
                "value",
                "",
                "nothing does not fit `x`, a value (write a text, an integer, `true` or `false`)",
            ),
            (
                "value",
                "{}",
                "a map does not fit `x`, a value (write a text, an integer, `true` or `false`)",
            ),
            (
                "value",
                "0.5",
                "`0.5` is not a 64-bit integer (quote it to keep it as text)",
            ),
            ("limit", "-1", "limit -1 is negative (write zero or more)"),
            (
                "limit",
                "0.5",
                "`0.5` is not a whole number (a limit counts whole things; round it)",
            ),
            (
                "limit",
                "9223372036854775808",
                "limit 9223372036854775808 is too large (at scale 0 the most is 9223372036854775807)",
            ),
            (
                "meter",
                "0.001",
                "meter 0.001 needs scale ≥ 3 (the pool's scale is 2; set `scale: 3` there)",
            ),
        ] {
            assert_mistake(&plan_with(kind, setting), &format!("{path}: {expected}"));
        }
    }
}
