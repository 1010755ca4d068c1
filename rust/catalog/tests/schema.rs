//! The JSON Schema against the reader: what the reader takes the schema takes, and what the schema refuses the
//! reader refuses. The validator below knows the keywords the schema uses, and fails on any other.

use fastcheck_catalog::catalog::Kind;
use fastcheck_catalog::{parse, schema};
use saphyr::{LoadableYamlNode, Scalar, Yaml};

struct Schema<'y>(&'y Yaml<'y>);

impl Schema<'_> {
    fn reference(&self, pointer: &str) -> &Yaml<'_> {
        let mut node = self.0;
        for key in pointer
            .strip_prefix("#/")
            .expect("a local reference")
            .split('/')
        {
            node = node
                .as_mapping_get(key)
                .unwrap_or_else(|| panic!("no {pointer}"));
        }
        node
    }

    /// Whether `value` is valid under `rule`.
    fn takes(&self, rule: &Yaml<'_>, value: &Yaml<'_>) -> bool {
        if let Some(bool) = rule.as_bool() {
            return bool;
        }
        let rules = rule.as_mapping().expect("a rule");
        rules.iter().all(|(keyword, argument)| {
            self.holds(keyword.as_str().expect("a keyword"), argument, rule, value)
        })
    }

    fn holds(&self, keyword: &str, argument: &Yaml<'_>, rule: &Yaml<'_>, value: &Yaml<'_>) -> bool {
        let map = value.as_mapping();
        let list = value.as_sequence();
        let text = value.as_str();
        let number = value
            .as_integer()
            .map(|n| n as f64)
            .or(value.as_floating_point());
        let bound = argument.as_integer();
        let most =
            |size: Option<usize>| size.is_none_or(|size| size as i64 <= bound.expect("a bound"));
        let least =
            |size: Option<usize>| size.is_none_or(|size| size as i64 >= bound.expect("a bound"));
        match keyword {
            "$schema" | "$id" | "$defs" | "title" | "description" => true,
            "$ref" => self.takes(self.reference(argument.as_str().expect("a pointer")), value),
            "anyOf" => argument
                .as_sequence()
                .expect("rules")
                .iter()
                .any(|r| self.takes(r, value)),
            "const" => argument == value,
            "enum" => argument.as_sequence().expect("values").contains(value),
            "type" => match argument.as_sequence() {
                Some(types) => types.iter().any(|t| is(t.as_str().expect("a type"), value)),
                None => is(argument.as_str().expect("a type"), value),
            },
            "required" => map.is_none_or(|_| {
                let keys = argument.as_sequence().expect("keys").iter();
                keys.map(|key| key.as_str().expect("a key"))
                    .all(|key| value.as_mapping_get(key).is_some())
            }),
            "properties" => map.is_none_or(|map| {
                map.iter()
                    .all(|(key, value)| match argument.as_mapping_get(&word(key)) {
                        Some(rule) => self.takes(rule, value),
                        None => true,
                    })
            }),
            "additionalProperties" => map.is_none_or(|map| {
                let known = rule.as_mapping_get("properties");
                map.iter().all(|(key, value)| {
                    known.is_some_and(|known| known.as_mapping_get(&word(key)).is_some())
                        || self.takes(argument, value)
                })
            }),
            "propertyNames" => map.is_none_or(|map| {
                map.keys()
                    .all(|key| self.takes(argument, &Yaml::Value(Scalar::String(word(key).into()))))
            }),
            "items" => list.is_none_or(|list| list.iter().all(|item| self.takes(argument, item))),
            "uniqueItems" => list.is_none_or(|list| {
                list.iter()
                    .enumerate()
                    .all(|(n, item)| !list[..n].contains(item))
            }),
            "maxProperties" => most(map.map(|map| map.len())),
            "minProperties" => least(map.map(|map| map.len())),
            "maxItems" => most(list.map(Vec::len)),
            "minItems" => least(list.map(Vec::len)),
            "maxLength" => most(text.map(|text| text.chars().count())),
            "minLength" => least(text.map(|text| text.chars().count())),
            "minimum" => number.is_none_or(|number| number >= bound.expect("a bound") as f64),
            "maximum" => number.is_none_or(|number| number <= bound.expect("a bound") as f64),
            "pattern" => {
                text.is_none_or(|text| matches(argument.as_str().expect("a pattern"), text))
            }
            other => panic!("the schema uses `{other}`, which this validator does not know"),
        }
    }
}

fn is(name: &str, value: &Yaml<'_>) -> bool {
    match name {
        "object" => value.is_mapping(),
        "array" => value.is_sequence(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "integer" => value.is_integer(),
        "number" => value.is_integer() || value.is_floating_point(),
        other => panic!("the type {other}"),
    }
}

/// The text of a key; versions are written as numbers.
fn word(key: &Yaml<'_>) -> String {
    match key.as_integer() {
        Some(number) => number.to_string(),
        None => key.as_str().expect("a plain key").to_owned(),
    }
}

/// The patterns of the schema, each by hand: a regular expression engine is not worth its weight here.
fn matches(pattern: &str, text: &str) -> bool {
    let digits =
        |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || c == '_');
    match pattern {
        "^([0-9_]+ )?(minute|hour|day|week|month|year)s?$" => {
            let (count, unit) = text.split_once(' ').unwrap_or(("1", text));
            let units = ["minute", "hour", "day", "week", "month", "year"];
            digits(count) && units.contains(&unit.strip_suffix('s').unwrap_or(unit))
        }
        "^[0-9][0-9_]*$" => digits(text) && !text.starts_with('_'),
        "^[0-9]+(_[0-9]+)+(\\.[0-9_]+)?$" => {
            let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
            digits(whole) && digits(fraction) && whole.contains('_')
        }
        "^[0-9][0-9_]*(\\.[0-9_]+)?$" => {
            let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
            digits(whole) && !whole.starts_with('_') && digits(fraction)
        }
        "^[A-Z]{3}$" => text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase()),
        other => panic!("the pattern {other}"),
    }
}

fn valid(text: &str) -> bool {
    let schema = Yaml::load_from_str(schema()).expect("the schema is JSON");
    let file = Yaml::load_from_str(text).expect("YAML");
    Schema(&schema[0]).takes(&schema[0], &file[0])
}

const EVERYTHING: &str = include_str!("../../../fuzz/corpus/catalog/everything");

#[test]
fn the_schema_takes_what_the_reader_takes() {
    for text in [
        include_str!("../../../examples/quickstart/catalog.yaml"),
        EVERYTHING,
        include_str!("../../../fuzz/corpus/catalog/json"),
        "fastcheck: 1\npools:\nfeatures:\nplans: {p: , q: {versions: {1: }}}\naddons: {a: }\n",
    ] {
        assert!(
            parse(text.as_bytes(), "f").is_ok(),
            "the reader refuses\n{text}"
        );
        assert!(valid(text), "the schema refuses\n{text}");
    }
}

#[test]
fn the_schema_and_the_largest_example_have_every_kind() {
    let schema = Yaml::load_from_str(schema()).expect("the schema is JSON");
    let schema = Schema(&schema[0]);
    let listed: Vec<_> = schema
        .reference("#/$defs/feature/anyOf")
        .as_sequence()
        .expect("a list")
        .iter()
        .map(|one| {
            let pointer = one.as_mapping_get("$ref").and_then(|to| to.as_str());
            pointer.expect("a pointer").to_owned()
        })
        .collect();
    let wanted = Kind::ALL.map(|kind| format!("#/$defs/{}", kind.as_str()));
    assert_eq!(listed, wanted);
    let example = parse(EVERYTHING.as_bytes(), "f").expect("the example is right");
    for kind in Kind::ALL {
        let word = kind.as_str();
        let said = schema.reference(&format!("#/$defs/{word}/properties/kind/const"));
        assert_eq!(said.as_str(), Some(word));
        assert!(
            example.features.iter().any(|one| one.kind == kind),
            "fuzz/corpus/catalog/everything has no {word}"
        );
    }
}

#[test]
fn the_reader_refuses_what_the_schema_refuses() {
    for (from, to) in [
        ("fastcheck: 1", "fastcheck: 2"),
        ("pools:", "polls:"),
        ("scale: 3", "scale: 13"),
        ("policy: soft", "policy: sfot"),
        ("overdraft: 2.5", "overdraft: -1"),
        ("[newest, kind]", "[newest, newest]"),
        ("kind: switch", "kind: swich"),
        ("period: 3 months", "period: 3 moons"),
        (
            "pool: c, rate: 1, rates: {in: 7.5e-01, out: 0.001}",
            "pool: c",
        ),
        ("amount: 5,", ""),
        ("max: 2", "most: 2"),
        ("percent: 50", "percent: 0"),
        ("percent: 50", "percent: 101"),
        ("once: true", "once: 1"),
        ("order: fifo", "order: fofi"),
        ("[plan, expires_at, kind]", "[plan, fifo]"),
        ("[50, 80, 100]", "80"),
        ("[50, 80, 100]", "[80, 80]"),
        ("[50, 80, 100]", "[1001]"),
        ("[50, 80, 100]", "[\"80\"]"),
        ("amount: \"19.99\"", "amount: \"-19.99\""),
        ("amount: \"19.99\"", "amount: [19.99]"),
        ("amount: \"19.99\", ", ""),
        ("currency: USD", "currency: usd"),
        ("currency: USD", "currency: USDC"),
        (", currency: USD", ""),
        ("kind: paid", "kind: lent"),
        ("max_quantity: 2", "max_quantity: 0"),
        ("existing: give", "existing: true"),
        ("proration: prorated", "proration: half"),
        ("sold: once", "sold: twice"),
        ("{z: {pool: d, amount: 1}}", "5"),
        ("{z: {pool: d, amount: 1}}", "{z: 5}"),
        ("{z: {pool: d, amount: 1}}", "{\"\": {pool: d, amount: 1}}"),
        ("v: {set: 9}", "v: {get: 9}"),
        ("plans: [p]", "plans: p"),
    ] {
        let text = EVERYTHING.replace(from, to);
        assert_ne!(text, EVERYTHING, "{from}");
        assert!(!valid(&text), "the schema takes {to}");
        assert!(
            parse(text.as_bytes(), "f").is_err(),
            "the reader takes {to}"
        );
    }
}
