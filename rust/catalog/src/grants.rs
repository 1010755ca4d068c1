//! The `grants` of a plan version or an add-on.

use std::collections::HashMap;

use crate::catalog::bounds::AMOUNT_MAX;
use crate::catalog::{Catalog, GrantKind, PlanGrant, Rollover};
use crate::cost;
use crate::fields::{Fields, check_name, unknown};
use crate::length::{recurrence, span};
use crate::problem::{Problems, join};
use crate::scalar::{flag, integer, text, units, word};
use crate::tree::{Node, Value};

pub(crate) const KEYS: [&str; 11] = [
    "pool",
    "amount",
    "priority",
    "kind",
    "every",
    "anchor",
    "expires_after",
    "rollover",
    "cost",
    "existing",
    "proration",
];

pub(crate) const KINDS: [(&str, GrantKind); 5] = [
    ("plan", GrantKind::Plan),
    ("promotional", GrantKind::Promotional),
    ("paid", GrantKind::Paid),
    ("top_up", GrantKind::TopUp),
    ("refund", GrantKind::Refund),
];

/// Whether who came to an offer before a line that is given once gets it.
pub(crate) const EXISTING: [(&str, bool); 1] = [("give", true)];

/// What a change within a period counts for. Default: full.
pub(crate) const PRORATION: [(&str, bool); 2] = [("full", false), ("prorated", true)];

/// Grants of one plan version or add-on: each is a row per customer and period.
pub(crate) const GRANTS_MAX: usize = 1_024;

/// The pools of a catalog by name, private ones included.
pub(crate) fn pool_names(catalog: &Catalog) -> HashMap<String, usize> {
    catalog
        .pools
        .iter()
        .enumerate()
        .map(|(n, pool)| (pool.name.clone(), n))
        .collect()
}

/// Reads a map from names to lines, or a list of lines; in the order in which they are written.
pub(crate) fn read(
    node: &Node,
    path: &str,
    catalog: &Catalog,
    pools: &HashMap<String, usize>,
    problems: &mut Problems,
) -> Vec<PlanGrant> {
    let count = match &node.value {
        Value::Map(entries) => entries.len(),
        Value::List(nodes) => nodes.len(),
        _ if node.is_null() => 0,
        _ => {
            let message = format!("{} where grants are expected", node.describe());
            let hint = "write `name: {pool: …, amount: …}` lines, or a list of them without names";
            problems.add(node.spot, path, message, hint);
            0
        }
    };
    if count > GRANTS_MAX {
        let message = format!("{count} grants");
        problems.add(node.spot, path, message, format!("at most {GRANTS_MAX}"));
        return Vec::new();
    }
    match &node.value {
        Value::Map(entries) => entries
            .iter()
            .filter_map(|entry| {
                let at = join(path, &entry.key);
                check_name(&entry.key, entry.spot, &at, problems);
                grant(&entry.value, Some(&entry.key), at, catalog, pools, problems)
            })
            .collect(),
        Value::List(nodes) => nodes
            .iter()
            .enumerate()
            .filter_map(|(n, node)| {
                grant(node, None, format!("{path}[{n}]"), catalog, pools, problems)
            })
            .collect(),
        Value::Scalar { .. } => Vec::new(),
    }
}

fn grant(
    node: &Node,
    name: Option<&str>,
    path: String,
    catalog: &Catalog,
    pools: &HashMap<String, usize>,
    problems: &mut Problems,
) -> Option<PlanGrant> {
    let fields = Fields::open(node, path, &KEYS, problems)?;
    let pool = fields
        .need("pool", "the pool it fills", problems)
        .and_then(|node| {
            let at = fields.at("pool");
            let name = text(node, &at, problems)?;
            let pool = pools.get(name).copied();
            if pool.is_none() {
                unknown(
                    "pool",
                    name,
                    node.spot,
                    &at,
                    pools.keys().map(String::as_str),
                    problems,
                );
            }
            pool
        });
    let amount = fields
        .need("amount", "in credits", problems)
        .and_then(|node| {
            let scale = catalog.pools.get(pool?)?.scale;
            units(
                node,
                &fields.at("amount"),
                "amount",
                scale,
                AMOUNT_MAX,
                problems,
            )
        });
    let priority = fields.get("priority").and_then(|node| {
        let (least, most) = (i64::from(i32::MIN), i64::from(i32::MAX));
        integer(node, &fields.at("priority"), least, most, problems)
    });
    let kind = fields
        .get("kind")
        .and_then(|node| word(node, &fields.at("kind"), &KINDS, problems));
    let recurrence = recurrence(&fields, "every", problems);
    for key in ["anchor", "rollover", "proration"] {
        let stray = fields.entry(key).filter(|_| fields.get("every").is_none());
        if let Some(entry) = stray {
            let message = format!("`{key}` without `every`");
            problems.add(
                entry.spot,
                &fields.at(key),
                message,
                "a grant made once has no periods",
            );
        }
    }
    if let Some(entry) = fields
        .entry("existing")
        .filter(|_| fields.get("every").is_some())
    {
        let hint = "a line that repeats begins for every customer of the offer: leave it out";
        let at = fields.at("existing");
        problems.add(entry.spot, &at, "`existing` beside `every`", hint);
    }
    let existing = fields
        .get("existing")
        .and_then(|node| word(node, &fields.at("existing"), &EXISTING, problems));
    let prorated = fields
        .get("proration")
        .and_then(|node| word(node, &fields.at("proration"), &PRORATION, problems));
    let expires_after = fields
        .get("expires_after")
        .and_then(|node| span(node, &fields.at("expires_after"), problems));
    let rollover = pool.zip(fields.get("rollover")).and_then(|(pool, node)| {
        rollover(
            node,
            fields.at("rollover"),
            catalog.pools.get(pool)?.scale,
            problems,
        )
    });
    let cost = fields
        .get("cost")
        .and_then(|node| cost::read(node, fields.at("cost"), problems));
    Some(PlanGrant {
        name: name.map(str::to_owned),
        pool: pool?,
        amount: amount?,
        // Fits: it was read between the bounds of an i32.
        priority: priority.unwrap_or(0) as i32,
        kind: kind.unwrap_or(GrantKind::Plan),
        recurrence,
        expires_after,
        rollover: rollover.unwrap_or_default(),
        cost,
        existing: existing.unwrap_or(false),
        prorated: prorated.unwrap_or(false),
    })
}

fn rollover(node: &Node, path: String, scale: u8, problems: &mut Problems) -> Option<Rollover> {
    let fields = Fields::open(node, path, &["min", "max", "percent", "once"], problems)?;
    let mut part = |key: &str| {
        let node = fields.get(key)?;
        units(node, &fields.at(key), "amount", scale, AMOUNT_MAX, problems)
    };
    let min = part("min").unwrap_or(0);
    let max = part("max");
    let percent = fields
        .get("percent")
        .and_then(|node| integer(node, &fields.at("percent"), 1, 100, problems));
    let once = fields
        .get("once")
        .and_then(|node| flag(node, &fields.at("once"), problems));
    if fields.get("max").is_none() {
        let hint = "the most that is kept, such as `{max: 500}`";
        problems.add(fields.spot, &fields.path, "`max` is missing", hint);
    }
    let max = max?;
    if min > max {
        problems.add(
            fields.spot,
            &fields.path,
            "`min` is above `max`",
            "swap them",
        );
    }
    Some(Rollover {
        min,
        max,
        // Fits: it was read between 1 and 100.
        percent: percent.unwrap_or(100) as u8,
        once: once.unwrap_or(false),
    })
}

#[cfg(test)]
mod tests {
    use crate::catalog::{Anchor, Cost, GrantKind, Recurrence, Rollover, Span, Unit};
    use crate::testing::{assert_mistake, good};

    fn with(grant: &str) -> String {
        format!(
            "fastcheck: 1\npools: {{ai_credits: {{scale: 2}}}}\nplans:\n  p:\n    grants:\n      - {grant}\n"
        )
    }

    #[test]
    fn a_grant_with_everything() {
        let text = "{pool: ai_credits, amount: 12.5, priority: -3, kind: paid, every: 2 weeks, anchor: anniversary, expires_after: 30 days, rollover: {min: 1, max: 5, percent: 50, once: true}, cost: {amount: 19.99, currency: USD}}";
        let grant = good(&with(text)).plans[0].grants[0].clone();
        assert_eq!(
            (grant.amount, grant.priority, grant.kind),
            (1_250, -3, GrantKind::Paid)
        );
        let every = Span {
            count: 2,
            unit: Unit::Week,
        };
        assert_eq!(
            grant.recurrence,
            Some(Recurrence {
                every,
                anchor: Anchor::Anniversary
            })
        );
        assert_eq!(
            grant.expires_after,
            Some(Span {
                count: 30,
                unit: Unit::Day
            })
        );
        assert_eq!(
            grant.rollover,
            Rollover {
                min: 100,
                max: 500,
                percent: 50,
                once: true
            }
        );
        let cost = Cost {
            amount: 1_999,
            currency: "USD".to_owned(),
        };
        assert_eq!(grant.cost, Some(cost));
    }

    #[test]
    fn a_short_rollover_keeps_all_of_the_rest_again_and_again() {
        let text = "{pool: ai_credits, amount: 1, every: month, rollover: {max: 5}}";
        let rollover = good(&with(text)).plans[0].grants[0].rollover;
        assert_eq!((rollover.min, rollover.max), (0, 500));
        assert_eq!((rollover.percent, rollover.once), (100, false));
    }

    #[test]
    fn every_kind_has_its_word() {
        for (word, kind) in super::KINDS {
            let text = format!("{{pool: ai_credits, amount: 1, kind: {word}}}");
            assert_eq!(good(&with(&text)).plans[0].grants[0].kind, kind);
        }
    }

    #[test]
    fn a_short_grant_has_the_defaults() {
        let grant = good(&with("{pool: ai_credits, amount: 1}")).plans[0].grants[0].clone();
        assert_eq!(
            (grant.amount, grant.priority, grant.kind),
            (100, 0, GrantKind::Plan)
        );
        assert_eq!((grant.recurrence, grant.expires_after), (None, None));
        assert_eq!((grant.rollover, grant.cost), (Rollover::default(), None));
    }

    #[test]
    fn grants_may_have_names_and_keep_their_order() {
        let text = "fastcheck: 1
pools: {ai_credits: {scale: 2}}
plans:
  p:
    grants:
      welcome: {pool: ai_credits, amount: 5, existing: give}
      monthly: {pool: ai_credits, amount: 4, every: month, proration: prorated}
      a: {pool: ai_credits, amount: 3, every: month, proration: full}
";
        let grants = &good(text).plans[0].grants;
        let said: Vec<_> = grants
            .iter()
            .map(|g| (g.name.as_deref(), g.existing, g.prorated))
            .collect();
        assert_eq!(
            said,
            [
                (Some("welcome"), true, false),
                (Some("monthly"), false, true),
                (Some("a"), false, false)
            ]
        );
        assert_eq!(
            good(&with("{pool: ai_credits, amount: 1}")).plans[0].grants[0].name,
            None
        );
    }

    #[test]
    fn names_of_grants_are_names_like_others() {
        let text = |name: &str| {
            format!(
                "fastcheck: 1\npools: {{c: {{}}}}\nplans:\n  p:\n    grants:\n      {name}: {{pool: c, amount: 1}}\n"
            )
        };
        assert_eq!(
            good(&text("10")).plans[0].grants[0].name.as_deref(),
            Some("10")
        );
        assert_mistake(
            &text("\"\""),
            "6: plans.p.grants.: an empty name (give it a name)",
        );
        assert_mistake(
            &text(&"x".repeat(513)),
            &format!(
                "6: plans.p.grants.{}…: a name of 513 bytes (at most 512)",
                "x".repeat(60)
            ),
        );
        let twice = format!("{}      a: {{pool: c, amount: 2}}\n", text("a"));
        assert_mistake(
            &twice,
            "7: plans.p.grants.a: `a` is written twice (keep one of them; the last one counts)",
        );
        let unknown = text("a").replace("pool: c,", "pool: d,");
        assert_mistake(
            &unknown,
            "6: plans.p.grants.a.pool: there is no pool `d` (did you mean `c`?)",
        );
    }

    #[test]
    fn a_grant_may_fill_a_meter() {
        let text = "fastcheck: 1\nfeatures: {calls: {kind: meter, period: day}}\naddons:\n  a: {grants: [{pool: calls, amount: 5}]}\n";
        assert_eq!(good(text).addons[0].grants[0].amount, 5);
    }

    #[test]
    fn each_mistake_has_its_line_and_hint() {
        for (grant, expected) in [
            ("{amount: 1}", ": `pool` is missing (the pool it fills)"),
            ("{pool: ai_credits}", ": `amount` is missing (in credits)"),
            (
                "{pool: al_credits, amount: 1}",
                ".pool: there is no pool `al_credits` (did you mean `ai_credits`?)",
            ),
            (
                "{pool: ai_credits, amount: -1}",
                ".amount: amount -1 is negative (write zero or more)",
            ),
            (
                "{pool: ai_credits, amount: 0.001}",
                ".amount: amount 0.001 needs scale ≥ 3 (the pool's scale is 2; set `scale: 3` there)",
            ),
            (
                "{pool: ai_credits, amount: 92233720368547758.08}",
                ".amount: amount 92233720368547758.08 is too large (at scale 2 the most is 92233720368547758.07)",
            ),
            (
                "{pool: ai_credits, amount: 1, priority: 3e9}",
                ".priority: `3e9` is not a whole number in range (from -2147483648 to 2147483647)",
            ),
            (
                "{pool: ai_credits, amount: 1, kind: gift}",
                ".kind: `gift` is not known here (one of plan, promotional, paid, top_up, refund)",
            ),
            (
                "{pool: ai_credits, amount: 1, anchor: calendar}",
                ".anchor: `anchor` without `every` (a grant made once has no periods)",
            ),
            (
                "{pool: ai_credits, amount: 1, proration: full}",
                ".proration: `proration` without `every` (a grant made once has no periods)",
            ),
            (
                "{pool: ai_credits, amount: 1, every: month, proration: prorate}",
                ".proration: `prorate` is not known here (did you mean `prorated`?)",
            ),
            (
                "{pool: ai_credits, amount: 1, every: month, existing: give}",
                ".existing: `existing` beside `every` (a line that repeats begins for every customer of the offer: leave it out)",
            ),
            (
                "{pool: ai_credits, amount: 1, existing: true}",
                ".existing: `true` is not known here (one of give)",
            ),
            (
                "{pool: ai_credits, amount: 1, every: month, rollover: {}}",
                ".rollover: `max` is missing (the most that is kept, such as `{max: 500}`)",
            ),
            (
                "{pool: ai_credits, amount: 1, every: month, rollover: {min: 2, max: 1}}",
                ".rollover: `min` is above `max` (swap them)",
            ),
            (
                "{pool: ai_credits, amount: 1, every: month, rollover: {max: 1, percent: 0}}",
                ".rollover.percent: `0` is not a whole number in range (from 1 to 100)",
            ),
            (
                "{pool: ai_credits, amount: 1, every: month, rollover: {max: 1, percent: 101}}",
                ".rollover.percent: `101` is not a whole number in range (from 1 to 100)",
            ),
            (
                "{pool: ai_credits, amount: 1, every: month, rollover: {max: 1, percent: 12.5}}",
                ".rollover.percent: `12.5` is not a whole number in range (from 1 to 100)",
            ),
            (
                "{pool: ai_credits, amount: 1, every: month, rollover: {max: 1, once: \"true\"}}",
                ".rollover.once: the text \"true\" is neither true nor false (write `true` or `false`)",
            ),
            (
                "{pool: ai_credits, amount: 1, every: month, rollover: {max: 1, onec: true}}",
                ".rollover.onec: unknown key `onec` (did you mean `once`?)",
            ),
            (
                "{pool: ai_credits, amount: 1, kind: topup}",
                ".kind: `topup` is not known here (did you mean `top_up`?)",
            ),
            (
                "{pool: ai_credits, amount: 1, cost: {amount: 0.001, currency: USD}}",
                ".cost.amount: `0.001` has too many decimal digits (USD has 2; round it)",
            ),
            (
                "{pool: ai_credits, amount: 1, expires_after: soon}",
                ".expires_after: `soon` is not a length of time (write `month`, `3 months`, `30 days`)",
            ),
        ] {
            assert_mistake(&with(grant), &format!("6: plans.p.grants[0]{expected}"));
        }
    }

    #[test]
    fn grants_are_bounded() {
        let many = vec!["{pool: ai_credits, amount: 1}"; 1_025].join(",");
        let text = format!(
            "fastcheck: 1\npools: {{ai_credits: {{}}}}\nplans:\n  p: {{grants: [{many}]}}\n"
        );
        assert_mistake(&text, "4: plans.p.grants: 1025 grants (at most 1024)");
        let named: Vec<_> = (0..1_025)
            .map(|n| format!("n{n}: {{pool: ai_credits, amount: 1}}"))
            .collect();
        let text = text.replace(&format!("[{many}]"), &format!("{{{}}}", named.join(",")));
        assert_mistake(&text, "4: plans.p.grants: 1025 grants (at most 1024)");
    }
}
