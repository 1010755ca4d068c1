//! The `features` section. A meter brings its private pool with it.

use std::collections::HashMap;

use crate::catalog::bounds::{BURN_MAX, RATES_MAX};
use crate::catalog::{Feature, Kind, Pool, Rate, Recurrence, Setting, Staleness};
use crate::fields::{Fields, check_name, entries, unknown};
use crate::length::recurrence;
use crate::pools;
use crate::problem::{Problems, join, shown};
use crate::scalar::{description, one_of, text, units, word};
use crate::settings::{Target, setting};
use crate::tree::{Entry, Node};

/// Keys of every kind.
const COMMON: [&str; 5] = [
    "kind",
    "default",
    "description",
    "when_stale",
    "max_staleness_s",
];
/// Keys that only these kinds have.
const METER_ONLY: [&str; 7] = [
    "period",
    "anchor",
    "policy",
    "overdraft",
    "order",
    "warn_at",
    "scale",
];
const CREDIT_ONLY: [&str; 1] = ["pool"];
const COUNTABLE_ONLY: [&str; 2] = ["rate", "rates"];

/// Digits of a meter's private pool unless the file says otherwise: it counts whole calls.
const METER_SCALE_DEFAULT: u8 = 0;

/// The features of a file by name. A feature whose kind is unreadable is known, but cannot be set: `None`.
pub(crate) type Names = HashMap<String, Option<usize>>;

/// Reads the features, and puts the private pools of meters behind the named `pools`.
pub(crate) fn read(
    node: &Node,
    pools: &mut Vec<Pool>,
    problems: &mut Problems,
) -> (Vec<Feature>, Names) {
    let (mut features, mut names) = (Vec::new(), Names::new());
    let Some(entries) = entries(node, "features", problems) else {
        return (features, names);
    };
    let named: HashMap<String, usize> = pools
        .iter()
        .enumerate()
        .map(|(n, pool)| (pool.name.clone(), n))
        .collect();
    for entry in entries {
        let path = join("features", &entry.key);
        check_name(&entry.key, entry.spot, &path, problems);
        let feature = feature(entry, path, &named, pools, problems);
        names.insert(
            entry.key.to_string(),
            feature.is_some().then_some(features.len()),
        );
        features.extend(feature);
    }
    (features, names)
}

fn feature(
    entry: &Entry,
    path: String,
    named: &HashMap<String, usize>,
    pools: &mut Vec<Pool>,
    problems: &mut Problems,
) -> Option<Feature> {
    let every_key: Vec<&str> = [&COMMON[..], &CREDIT_ONLY, &COUNTABLE_ONLY, &METER_ONLY].concat();
    let fields = Fields::open(&entry.value, path, &every_key, problems)?;
    let kinds = Kind::ALL.map(|kind| (kind.as_str(), kind));
    let kind = word(
        fields.need("kind", &one_of(&kinds), problems)?,
        &fields.at("kind"),
        &kinds,
        problems,
    )?;
    check_keys(&fields, kind, problems);

    let mut feature = Feature {
        name: entry.key.to_string(),
        description: description(
            fields.get("description"),
            &fields.at("description"),
            problems,
        ),
        kind,
        default: Setting::Off,
        pool: None,
        rates: Vec::new(),
        period: None,
        staleness: Staleness::default(),
    };
    match kind {
        Kind::Switch | Kind::Limit | Kind::Value => {
            feature.staleness = pools::staleness(&fields, problems).unwrap_or_default();
        }
        Kind::Meter => {
            feature.period = period(&fields, problems);
            let pool = private_pool(entry, &fields, named, problems);
            feature.rates = rates(&fields, pool.scale, problems);
            feature.staleness = pool.staleness;
            feature.pool = Some(pools.len());
            pools.push(pool);
        }
        Kind::Credit => {
            feature.pool = credit_pool(&fields, named, problems);
            let pool = feature.pool.and_then(|pool| pools.get(pool));
            // Without a pool there is no scale to hold the rates against; the pool is the mistake to mend.
            if let Some(pool) = pool {
                feature.rates = rates(&fields, pool.scale, problems);
            }
            // A credit feature is as stale as its pool unless it says otherwise.
            let inherited = pool.map(|pool| pool.staleness).unwrap_or_default();
            feature.staleness = pools::staleness(&fields, problems).unwrap_or(inherited);
        }
    }
    if let Some(node) = fields.get("default") {
        let target = Target::of(&feature, pools);
        if let Some(default) = setting(node, &fields.at("default"), target, problems) {
            feature.default = default;
        }
    }
    Some(feature)
}

/// Reports keys that belong to another kind.
fn check_keys(fields: &Fields<'_>, kind: Kind, problems: &mut Problems) {
    let misplaced: [(&[&str], bool, &str); 3] = [
        (&METER_ONLY, kind == Kind::Meter, "a meter"),
        (&CREDIT_ONLY, kind == Kind::Credit, "a credit"),
        (&COUNTABLE_ONLY, kind.is_countable(), "a meter or a credit"),
    ];
    for (keys, fits, owner) in misplaced {
        for key in keys.iter().filter(|_| !fits) {
            if let Some(entry) = fields.entry(key) {
                let message = format!("`{key}` belongs to {owner}, not to a {}", kind.as_str());
                problems.add(entry.spot, &fields.at(key), message, "leave it out");
            }
        }
    }
}

fn period(fields: &Fields<'_>, problems: &mut Problems) -> Option<Recurrence> {
    fields.need(
        "period",
        "how often it refills, such as `period: month`",
        problems,
    )?;
    recurrence(fields, "period", problems)
}

fn private_pool(
    entry: &Entry,
    fields: &Fields<'_>,
    named: &HashMap<String, usize>,
    problems: &mut Problems,
) -> Pool {
    if named.contains_key(entry.key.as_ref()) {
        let message = format!(
            "the pool `{}` has the name of this meter",
            shown(&entry.key)
        );
        let hint = "a meter keeps a private pool of its own name; rename one of them";
        problems.add(entry.spot, &fields.path, message, hint);
    }
    pools::pool(&entry.key, fields, METER_SCALE_DEFAULT, true, problems)
}

fn credit_pool(
    fields: &Fields<'_>,
    named: &HashMap<String, usize>,
    problems: &mut Problems,
) -> Option<usize> {
    let node = fields.need(
        "pool",
        "the pool it burns from, such as `pool: ai_credits`",
        problems,
    )?;
    let path = fields.at("pool");
    let name = text(node, &path, problems)?;
    let pool = named.get(name).copied();
    if pool.is_none() {
        unknown(
            "pool",
            name,
            node.spot,
            &path,
            named.keys().map(String::as_str),
            problems,
        );
    }
    pool
}

/// `rate` is the price of the unnamed quantity, `rates` of named ones. A meter counts one for one unless told.
fn rates(fields: &Fields<'_>, scale: u8, problems: &mut Problems) -> Vec<Rate> {
    let mut rates = Vec::new();
    let mut push = |quantity: &str, node: &Node, path: &str, problems: &mut Problems| {
        if let Some(cost) = units(node, path, "cost", scale, BURN_MAX, problems) {
            rates.push(Rate {
                quantity: quantity.to_owned(),
                cost,
            });
        }
    };
    if let Some(node) = fields.get("rate") {
        push("", node, &fields.at("rate"), problems);
    }
    let path = fields.at("rates");
    let quantities = fields
        .get("rates")
        .and_then(|node| entries(node, &path, problems));
    if let Some(entries) = quantities {
        let all = entries.len() + usize::from(fields.get("rate").is_some());
        if all > RATES_MAX {
            let hint = format!("at most {RATES_MAX}");
            problems.add(fields.spot, &path, format!("{all} quantities"), hint);
            return rates;
        }
        for entry in entries {
            let at = join(&path, &entry.key);
            if entry.key.is_empty() {
                let hint = "the unnamed quantity is written as `rate`";
                problems.add(entry.spot, &at, "an empty name", hint);
                continue;
            }
            check_name(&entry.key, entry.spot, &at, problems);
            push(&entry.key, &entry.value, &at, problems);
        }
    }
    let written = fields.get("rate").is_some() || quantities.is_some_and(|all| !all.is_empty());
    if !written {
        if fields.get("pool").is_some() {
            let hint = "what one unit costs: `rate: 1`, or `rates: {input: …, output: …}`";
            problems.add(fields.spot, &fields.path, "`rate` is missing", hint);
        } else {
            rates.push(Rate {
                quantity: String::new(),
                cost: 10u64.pow(u32::from(scale)),
            });
        }
    }
    rates
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Anchor, Span, Unit};
    use crate::testing::{assert_mistake, good, listed_kinds};

    const HEAD: &str = "fastcheck: 1\npools: {ai_credits: {scale: 6}}\nfeatures:\n";

    fn with(feature: &str) -> String {
        format!("{HEAD}  x: {feature}\n")
    }

    #[test]
    fn a_meter_has_a_private_pool_and_counts_one_for_one() {
        let catalog = good(&with(
            "{kind: meter, period: 3 months, anchor: anniversary, scale: 2, default: 1.5}",
        ));
        let feature = &catalog.features[0];
        assert_eq!(
            feature.period,
            Some(Recurrence {
                every: Span {
                    count: 3,
                    unit: Unit::Month
                },
                anchor: Anchor::Anniversary
            })
        );
        assert_eq!(
            feature.rates,
            [Rate {
                quantity: String::new(),
                cost: 100
            }]
        );
        assert_eq!(feature.default, Setting::Number(150));
        let pool = &catalog.pools[feature.pool.expect("a pool")];
        assert_eq!(
            (pool.name.as_str(), pool.private, pool.scale),
            ("x", true, 2)
        );
    }

    #[test]
    fn rates_are_exact_and_the_unnamed_quantity_is_first() {
        let catalog = good(&with(
            "{kind: credit, pool: ai_credits, rates: {output: 7e-06, input: 0.000_001}, rate: 2}",
        ));
        let rates: Vec<_> = catalog.features[0]
            .rates
            .iter()
            .map(|rate| (rate.quantity.as_str(), rate.cost))
            .collect();
        assert_eq!(rates, [("", 2_000_000), ("output", 7), ("input", 1)]);
    }

    #[test]
    fn a_credit_feature_is_as_stale_as_its_pool() {
        let text = "fastcheck: 1\npools: {c: {when_stale: deny, max_staleness_s: 2}}\nfeatures:\n  x: {kind: credit, pool: c, rate: 0}\n  y: {kind: credit, pool: c, rate: 0, when_stale: allow}\n";
        let catalog = good(text);
        assert_eq!(catalog.features[0].staleness, catalog.pools[0].staleness);
        assert_eq!(
            catalog.features[1].staleness.when_stale,
            crate::catalog::WhenStale::Allow
        );
    }

    #[test]
    fn each_mistake_has_its_line_and_hint() {
        let no_kind = format!(": `kind` is missing ({})", listed_kinds());
        for (feature, expected) in [
            ("{}", no_kind.as_str()),
            (
                "{kind: swich}",
                ".kind: `swich` is not known here (did you mean `switch`?)",
            ),
            (
                "[1]",
                ": a list where a map is expected (write `key: value` lines)",
            ),
            (
                "{kind: switch, defualt: true}",
                ".defualt: unknown key `defualt` (did you mean `default`?)",
            ),
            (
                "{kind: switch, period: day}",
                ".period: `period` belongs to a meter, not to a switch (leave it out)",
            ),
            (
                "{kind: limit, pool: ai_credits}",
                ".pool: `pool` belongs to a credit, not to a limit (leave it out)",
            ),
            (
                "{kind: value, rate: 1}",
                ".rate: `rate` belongs to a meter or a credit, not to a value (leave it out)",
            ),
            (
                "{kind: switch, default: 3}",
                ".default: `3` does not fit `x`, a switch (write `true` or `false`)",
            ),
            (
                "{kind: meter}",
                ": `period` is missing (how often it refills, such as `period: month`)",
            ),
            (
                "{kind: credit, rate: 1}",
                ": `pool` is missing (the pool it burns from, such as `pool: ai_credits`)",
            ),
            (
                "{kind: credit, pool: ai_credit, rate: 1}",
                ".pool: there is no pool `ai_credit` (did you mean `ai_credits`?)",
            ),
            (
                "{kind: credit, pool: other, rate: 1}",
                ".pool: there is no pool `other` (add it under `pools`, or take it out here)",
            ),
            (
                "{kind: credit, pool: ai_credits}",
                ": `rate` is missing (what one unit costs: `rate: 1`, or `rates: {input: …, output: …}`)",
            ),
            (
                "{kind: credit, pool: ai_credits, rate: 0.0000075}",
                ".rate: cost 0.0000075 needs scale ≥ 7 (the pool's scale is 6; set `scale: 7` there)",
            ),
            (
                "{kind: credit, pool: ai_credits, rate: 1e-13}",
                ".rate: cost 1e-13 needs scale ≥ 13 (the largest scale is 12; round it)",
            ),
            (
                "{kind: credit, pool: ai_credits, rate: -1}",
                ".rate: cost -1 is negative (write zero or more)",
            ),
            (
                "{kind: credit, pool: ai_credits, rate: 281474976.710656}",
                ".rate: cost 281474976.710656 is too large (at scale 6 the most is 281474976.710655)",
            ),
            (
                "{kind: credit, pool: ai_credits, rate: \"1\"}",
                ".rate: the text \"1\" where a number is expected (take the quotes away)",
            ),
            (
                "{kind: credit, pool: ai_credits, rate: lots}",
                ".rate: `lots` where a number is expected (write digits)",
            ),
            (
                "{kind: credit, pool: ai_credits, rates: {\"\": 1}}",
                ".rates.: an empty name (the unnamed quantity is written as `rate`)",
            ),
        ] {
            assert_mistake(&with(feature), &format!("4: features.x{expected}"));
        }
    }

    #[test]
    fn a_meter_may_not_take_the_name_of_a_pool() {
        let text = "fastcheck: 1\npools: {x: {}}\nfeatures:\n  x: {kind: meter, period: day}\n";
        assert_mistake(
            text,
            "4: features.x: the pool `x` has the name of this meter (a meter keeps a private pool of its own name; rename one of them)",
        );
    }

    #[test]
    fn names_are_bounded_and_printable() {
        let named = |name: &str| format!("fastcheck: 1\nfeatures:\n  {name}: {{kind: switch}}\n");
        assert_mistake(
            &named("\"\""),
            "3: features.: an empty name (give it a name)",
        );
        assert_mistake(
            &named("\"a\\0b\""),
            "3: features.a\\u{0}b: a control character in the name `a\\u{0}b` (leave it out)",
        );
        let long = crate::testing::mistake(&named(&"n".repeat(513)));
        assert_eq!((long.line, long.hint.as_str()), (3, "at most 512"));
    }

    #[test]
    fn quantities_are_bounded() {
        let many: Vec<_> = (0..65).map(|n| format!("q{n}: 1")).collect();
        let text = with(&format!(
            "{{kind: credit, pool: ai_credits, rates: {{{}}}}}",
            many.join(", ")
        ));
        assert_mistake(&text, "4: features.x.rates: 65 quantities (at most 64)");
    }
}
