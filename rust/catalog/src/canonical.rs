//! A catalog as one canonical document, and the digest that names it.
//!
//! The document says everything a catalog says, every default filled in, names for references and integers
//! for amounts. Two files that mean the same have the same document and the same digest, whatever the order
//! of their maps, their comments or the way they write numbers. The shape is in `docs/catalog.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::catalog::{
    AddonSetting, Anchor, Catalog, Feature, GrantKind, OrderKey, PlanGrant, Policy, Pool,
    Recurrence, Setting, Span, Staleness, WhenStale,
};
use crate::length::{ANCHORS, unit_name};
use crate::{addons, grants, order, pools};

/// A piece of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Null,
    Bool(bool),
    /// Every amount of a catalog fits with room to spare.
    Int(i128),
    Text(String),
    List(Vec<Value>),
    /// Ordered by key, so that a document has one spelling.
    Map(BTreeMap<String, Value>),
}

/// The shape of [`document`]; part of it, so that a change of shape is a change of digest.
const SHAPE: i128 = 1;

/// The hex SHA-256 of the canonical text: equal for catalogs that mean the same.
pub fn digest(catalog: &Catalog) -> String {
    let hash = Sha256::digest(document(catalog).to_json().as_bytes());
    hash.iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a string does not fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

/// Everything the catalog says.
pub fn document(catalog: &Catalog) -> Value {
    let pools = catalog
        .pools
        .iter()
        .map(|pool| (pool.name.clone(), pool_value(pool)));
    let features = catalog
        .features
        .iter()
        .map(|feature| (feature.name.clone(), feature_value(feature, catalog)));
    let mut plans: BTreeMap<String, Value> = BTreeMap::new();
    for plan in &catalog.plans {
        let settings = plan.entitlements.iter();
        let settings =
            settings.map(|(n, setting)| (feature_name(catalog, *n), setting_value(setting)));
        let version = map([
            ("features", Value::Map(settings.collect())),
            ("grants", grants_value(&plan.grants, catalog)),
            ("trial", plan.trial.map_or(Value::Null, span_value)),
        ]);
        let versions = plans
            .entry(plan.name.clone())
            .or_insert_with(|| Value::Map(BTreeMap::new()));
        if let Value::Map(versions) = versions {
            versions.insert(plan.version.to_string(), version);
        }
    }
    let addons = catalog.addons.iter().map(|addon| {
        let settings = addon.entitlements.iter().map(|(n, setting)| {
            let setting = match setting {
                AddonSetting::Add(number) => map([("add", Value::Int(i128::from(*number)))]),
                AddonSetting::Set(setting) => map([("set", setting_value(setting))]),
            };
            (feature_name(catalog, *n), setting)
        });
        let mut plans = addon.plans.clone();
        plans.sort();
        let value = map([
            (
                "plans",
                Value::List(plans.into_iter().map(Value::Text).collect()),
            ),
            ("max_quantity", optional(addon.max_quantity)),
            ("features", Value::Map(settings.collect())),
            ("grants", grants_value(&addon.grants, catalog)),
            ("sold", named(&addons::SOLD, addon.sold)),
        ]);
        (addon.name.clone(), value)
    });
    map([
        ("fastcheck", Value::Int(SHAPE)),
        ("pools", Value::Map(pools.collect())),
        ("features", Value::Map(features.collect())),
        ("plans", Value::Map(plans)),
        ("addons", Value::Map(addons.collect())),
    ])
}

fn pool_value(pool: &Pool) -> Value {
    let (policy, overdraft) = match pool.policy {
        Policy::Hard => ("hard", Some(0)),
        Policy::Soft { overdraft } => ("soft", overdraft),
    };
    let order = pool
        .order
        .iter()
        .map(|key| text(order_name(*key)))
        .collect();
    let warn_at = pool.warn_at.iter();
    let warn_at = warn_at.map(|percent| Value::Int(i128::from(*percent)));
    let mut value = BTreeMap::from([
        (
            "description".to_owned(),
            Value::Text(pool.description.clone()),
        ),
        ("scale".to_owned(), Value::Int(i128::from(pool.scale))),
        ("policy".to_owned(), text(policy)),
        ("overdraft".to_owned(), optional(overdraft)),
        ("order".to_owned(), Value::List(order)),
        ("private".to_owned(), Value::Bool(pool.private)),
        ("warn_at".to_owned(), Value::List(warn_at.collect())),
    ]);
    value.extend(staleness_entries(pool.staleness));
    Value::Map(value)
}

fn feature_value(feature: &Feature, catalog: &Catalog) -> Value {
    let pool = feature.pool.and_then(|pool| catalog.pools.get(pool));
    let rates = feature.rates.iter();
    let rates = rates.map(|rate| (rate.quantity.clone(), Value::Int(i128::from(rate.cost))));
    let period = feature.period.map(|period| {
        map([
            ("every", span_value(period.every)),
            ("anchor", text(anchor_name(period.anchor))),
        ])
    });
    let mut value = BTreeMap::from([
        (
            "description".to_owned(),
            Value::Text(feature.description.clone()),
        ),
        ("kind".to_owned(), text(feature.kind.as_str())),
        ("default".to_owned(), setting_value(&feature.default)),
        (
            "pool".to_owned(),
            pool.map_or(Value::Null, |pool| Value::Text(pool.name.clone())),
        ),
        ("rates".to_owned(), Value::Map(rates.collect())),
        ("period".to_owned(), period.unwrap_or(Value::Null)),
    ]);
    value.extend(staleness_entries(feature.staleness));
    Value::Map(value)
}

fn grants_value(grants: &[PlanGrant], catalog: &Catalog) -> Value {
    Value::List(
        grants
            .iter()
            .map(|grant| grant_value(grant, catalog))
            .collect(),
    )
}

fn grant_value(grant: &PlanGrant, catalog: &Catalog) -> Value {
    let pool = catalog
        .pools
        .get(grant.pool)
        .map(|pool| pool.name.clone())
        .unwrap_or_default();
    let every = grant
        .recurrence
        .map(|Recurrence { every, .. }| span_value(every));
    let anchor = grant
        .recurrence
        .map(|Recurrence { anchor, .. }| text(anchor_name(anchor)));
    let rollover = map([
        ("min", Value::Int(i128::from(grant.rollover.min))),
        ("max", Value::Int(i128::from(grant.rollover.max))),
        ("percent", Value::Int(i128::from(grant.rollover.percent))),
        ("once", Value::Bool(grant.rollover.once)),
    ]);
    let cost = grant.cost.as_ref().map(|cost| {
        map([
            ("amount", Value::Int(i128::from(cost.amount))),
            ("currency", Value::Text(cost.currency.clone())),
        ])
    });
    let proration = grant.recurrence.map_or(Value::Null, |_| {
        text(name_of(&grants::PRORATION, grant.prorated))
    });
    map([
        ("name", grant.name.clone().map_or(Value::Null, Value::Text)),
        ("pool", Value::Text(pool)),
        ("amount", Value::Int(i128::from(grant.amount))),
        ("priority", Value::Int(i128::from(grant.priority))),
        ("kind", text(grant_kind_name(grant.kind))),
        ("every", every.unwrap_or(Value::Null)),
        ("anchor", anchor.unwrap_or(Value::Null)),
        (
            "expires_after",
            grant.expires_after.map_or(Value::Null, span_value),
        ),
        ("rollover", rollover),
        ("cost", cost.unwrap_or(Value::Null)),
        ("existing", named(&grants::EXISTING, grant.existing)),
        ("proration", proration),
    ])
}

fn setting_value(setting: &Setting) -> Value {
    match setting {
        Setting::Off => Value::Bool(false),
        Setting::On => Value::Bool(true),
        Setting::Unlimited => Value::Null,
        Setting::Number(number) => Value::Int(i128::from(*number)),
        Setting::Text(text) => Value::Text(text.clone()),
        Setting::Bool(bool) => Value::Bool(*bool),
    }
}

fn staleness_entries(staleness: Staleness) -> [(String, Value); 2] {
    [
        (
            "when_stale".to_owned(),
            text(when_stale_name(staleness.when_stale)),
        ),
        (
            "max_staleness_ms".to_owned(),
            optional(staleness.max_staleness_ms),
        ),
    ]
}

fn span_value(span: Span) -> Value {
    Value::List(vec![
        Value::Int(i128::from(span.count)),
        text(unit_name(span.unit)),
    ])
}

fn feature_name(catalog: &Catalog, feature: usize) -> String {
    catalog
        .features
        .get(feature)
        .map(|feature| feature.name.clone())
        .unwrap_or_default()
}

fn anchor_name(anchor: Anchor) -> &'static str {
    name_of(&ANCHORS, anchor)
}

fn order_name(key: OrderKey) -> &'static str {
    name_of(&order::KEYS, key)
}

fn when_stale_name(when: WhenStale) -> &'static str {
    name_of(&pools::WHEN_STALE, when)
}

fn grant_kind_name(kind: GrantKind) -> &'static str {
    name_of(&grants::KINDS, kind)
}

/// The word a file has for `wanted`: the tables that read words also write them.
fn name_of<T: PartialEq>(names: &[(&'static str, T)], wanted: T) -> &'static str {
    names
        .iter()
        .find(|(_, value)| *value == wanted)
        .map_or("", |(name, _)| name)
}

/// The word, or nothing where the table has none.
fn named<T: PartialEq>(names: &[(&'static str, T)], wanted: T) -> Value {
    match name_of(names, wanted) {
        "" => Value::Null,
        word => text(word),
    }
}

fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Map(
        entries
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect(),
    )
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn optional<T: Into<i128>>(number: Option<T>) -> Value {
    number.map_or(Value::Null, |number| Value::Int(number.into()))
}

impl Value {
    /// The canonical spelling: JSON without spaces, keys in byte order, only what must be escaped escaped.
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        self.write_json(&mut out);
        out
    }

    fn write_json(&self, out: &mut String) {
        match self {
            Value::Null => out.push_str("null"),
            Value::Bool(bool) => out.push_str(if *bool { "true" } else { "false" }),
            Value::Int(number) => out.push_str(&number.to_string()),
            Value::Text(text) => write_json_text(text, out),
            Value::List(values) => {
                out.push('[');
                for (n, value) in values.iter().enumerate() {
                    if n > 0 {
                        out.push(',');
                    }
                    value.write_json(out);
                }
                out.push(']');
            }
            Value::Map(entries) => {
                out.push('{');
                for (n, (key, value)) in entries.iter().enumerate() {
                    if n > 0 {
                        out.push(',');
                    }
                    write_json_text(key, out);
                    out.push(':');
                    value.write_json(out);
                }
                out.push('}');
            }
        }
    }
}

/// Writes a JSON string that is a YAML double-quoted scalar too: besides what JSON must escape, the
/// characters that YAML takes for breaks or does not allow.
pub(crate) fn write_json_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control()
                || matches!(
                    c,
                    '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
                ) =>
            {
                // Writing to a string does not fail. All of these are below U+10000.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::good;

    const FIRST: &str = "fastcheck: 1
pools: {b: {scale: 2, policy: soft, overdraft: 1.5}, a: {}}
features:
  y: {kind: credit, pool: b, rates: {in: 0.01, out: 0.02}}
  x: {kind: meter, period: month}
plans:
  p: {features: {x: 1_000, y: true}, grants: [{pool: b, amount: 5, every: month, rollover: {max: 1}}]}
addons:
  more: {plans: [p], features: {x: 5}}
";
    const SAME: &str = r#"{"fastcheck": 1, "addons": {"more": {"features": {"x": 5}, "plans": ["p"]}},
 "plans": {"p": {"versions": {"1": {"grants": [{"every": "1 month", "amount": 5.00, "pool": "b", "kind": "plan",
 "rollover": {"once": false, "percent": 100, "max": 1.00, "min": 0}}],
 "features": {"y": true, "x": 1e3}}}}},
 "features": {"x": {"kind": "meter", "period": "1 month", "anchor": "calendar", "rate": 1},
              "y": {"kind": "credit", "pool": "b", "rates": {"out": 2e-2, "in": 0.010}}},
 "pools": {"a": {"scale": 6}, "b": {"overdraft": 1.50, "policy": "soft", "scale": 2}}}"#;

    #[test]
    fn the_document_says_everything() {
        let expected = concat!(
            r#"{"addons":{"more":{"features":{"x":{"add":5}},"grants":[],"max_quantity":null,"plans":["p"],"sold":null}},"#,
            r#""fastcheck":1,"#,
            r#""features":{"#,
            r#""x":{"default":false,"description":"","kind":"meter","max_staleness_ms":null,"#,
            r#""period":{"anchor":"calendar","every":[1,"month"]},"pool":"x","rates":{"":1},"when_stale":"keep"},"#,
            r#""y":{"default":false,"description":"","kind":"credit","max_staleness_ms":null,"#,
            r#""period":null,"pool":"b","rates":{"in":1,"out":2},"when_stale":"keep"}},"#,
            r#""plans":{"p":{"1":{"features":{"x":1000,"y":true},"grants":[{"amount":500,"anchor":"calendar","cost":null,"#,
            r#""every":[1,"month"],"existing":null,"expires_after":null,"kind":"plan","name":null,"pool":"b","#,
            r#""priority":0,"proration":"full","#,
            r#""rollover":{"max":100,"min":0,"once":false,"percent":100}}],"trial":null}}},"#,
            r#""pools":{"#,
            r#""a":{"description":"","max_staleness_ms":null,"order":["priority","expiry","kind","oldest"],"#,
            r#""overdraft":0,"policy":"hard","private":false,"scale":6,"warn_at":[90,100],"when_stale":"keep"},"#,
            r#""b":{"description":"","max_staleness_ms":null,"order":["priority","expiry","kind","oldest"],"#,
            r#""overdraft":150,"policy":"soft","private":false,"scale":2,"warn_at":[90,100],"when_stale":"keep"},"#,
            r#""x":{"description":"","max_staleness_ms":null,"order":["priority","expiry","kind","oldest"],"#,
            r#""overdraft":0,"policy":"hard","private":true,"scale":0,"warn_at":[90,100],"when_stale":"keep"}}}"#,
        );
        assert_eq!(document(&good(FIRST)).to_json(), expected);
    }

    #[test]
    fn files_that_mean_the_same_have_one_digest() {
        assert_eq!(document(&good(FIRST)), document(&good(SAME)));
        assert_eq!(digest(&good(FIRST)), digest(&good(SAME)));
        assert_eq!(digest(&good(FIRST)).len(), 64);
        let prorated = FIRST.replace("every: month,", "every: month, proration: full,");
        assert_eq!(digest(&good(&prorated)), digest(&good(FIRST)));
        let priced = |cost: &str| {
            let grant = format!("every: month, cost: {{amount: {cost}, currency: USD}},");
            digest(&good(&FIRST.replace("every: month,", &grant)))
        };
        assert_eq!(priced("20"), priced("\"20.00\""));
    }

    #[test]
    fn any_change_of_meaning_changes_the_digest() {
        let first = digest(&good(FIRST));
        for (from, to) in [
            ("amount: 5", "amount: 6"),
            ("out: 0.02", "out: 0.03"),
            ("x: 1_000", "x: 1_001"),
            ("x: 5", "x: {set: 5}"),
            ("period: month", "period: 2 months"),
            ("policy: soft, overdraft: 1.5", "policy: soft"),
            ("plans: [p], ", ""),
            ("a: {}", "a: {when_stale: deny}"),
            ("a: {}", "a: {order: fifo}"),
            ("a: {}", "a: {warn_at: [80]}"),
            ("period: month", "period: month, warn_at: []"),
            ("every: month", "every: month, kind: top_up"),
            ("max: 1}", "max: 1, percent: 50}"),
            ("max: 1}", "max: 1, once: true}"),
            ("every: month", "every: month, proration: prorated"),
            ("every: month, rollover: {max: 1}", "existing: give"),
            (
                "grants: [{pool: b, amount: 5, every: month, rollover: {max: 1}}]",
                "grants: {monthly: {pool: b, amount: 5, every: month, rollover: {max: 1}}}",
            ),
            (
                "more: {plans: [p], features: {x: 5}}",
                "more: {plans: [p], sold: once, grants: [{pool: b, amount: 1}]}",
            ),
            (
                "every: month",
                "every: month, cost: {amount: 5, currency: USD}",
            ),
        ] {
            let changed = FIRST.replace(from, to);
            assert_ne!(changed, FIRST, "{from}");
            assert_ne!(digest(&good(&changed)), first, "{from}");
        }
    }

    #[test]
    fn the_document_says_how_lines_are_called_and_what_is_sold() {
        let text = "fastcheck: 1
pools: {c: {scale: 0}}
addons:
  z: {grants: {b: {pool: c, amount: 1, existing: give}, a: {pool: c, amount: 2, every: day, proration: prorated}}}
  pack: {sold: once, grants: [{pool: c, amount: 3}]}
";
        let document = document(&good(text)).to_json();
        let rollover = r#""rollover":{"max":0,"min":0,"once":false,"percent":100}"#;
        let expected = format!(
            concat!(
                r#"{{"addons":{{"pack":{{"features":{{}},"grants":["#,
                r#"{{"amount":3,"anchor":null,"cost":null,"every":null,"existing":null,"expires_after":null,"#,
                r#""kind":"plan","name":null,"pool":"c","priority":0,"proration":null,{r}}}"#,
                r#"],"max_quantity":null,"plans":[],"sold":"once"}},"z":{{"features":{{}},"grants":["#,
                r#"{{"amount":1,"anchor":null,"cost":null,"every":null,"existing":"give","expires_after":null,"#,
                r#""kind":"plan","name":"b","pool":"c","priority":0,"proration":null,{r}}},"#,
                r#"{{"amount":2,"anchor":"calendar","cost":null,"every":[1,"day"],"existing":null,"#,
                r#""expires_after":null,"kind":"plan","name":"a","pool":"c","priority":0,"#,
                r#""proration":"prorated",{r}}}],"max_quantity":null,"plans":[],"sold":null}}}}"#,
            ),
            r = rollover
        );
        assert!(document.starts_with(&expected), "{document}\n{expected}");
    }

    #[test]
    fn text_is_escaped_for_json_and_yaml() {
        let mut out = String::new();
        write_json_text("a\"\\\n\u{85}\u{2028}é😀", &mut out);
        assert_eq!(out, "\"a\\\"\\\\\\u000a\\u0085\\u2028é😀\"");
    }
}
