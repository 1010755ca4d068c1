//! The `addons` section.

use std::collections::HashSet;

use crate::catalog::bounds::ADDONS_MAX;
use crate::catalog::{Addon, Catalog};
use crate::features::Names;
use crate::fields::{Fields, check_name, entries, items, unknown};
use crate::grants;
use crate::plans::known;
use crate::problem::{Problems, join};
use crate::scalar::{description, integer, text, word};
use crate::settings::{Target, addon_setting};
use crate::tree::{Node, Value};

const KEYS: [&str; 6] = [
    "plans",
    "max_quantity",
    "features",
    "grants",
    "sold",
    "description",
];

/// Of an add-on that is bought and not had.
pub(crate) const SOLD: [(&str, bool); 1] = [("once", true)];

/// Reads the add-ons; `plans` are the names that plans have in the file, broken ones included.
pub(crate) fn read(
    node: &Node,
    catalog: &Catalog,
    features: &Names,
    plans: &HashSet<&str>,
    problems: &mut Problems,
) -> Vec<Addon> {
    let Some(entries) = entries(node, "addons", problems) else {
        return Vec::new();
    };
    if entries.len() > ADDONS_MAX {
        let message = format!("{} add-ons", entries.len());
        problems.add(
            node.spot,
            "addons",
            message,
            format!("at most {ADDONS_MAX}"),
        );
        return Vec::new();
    }
    let pools = grants::pool_names(catalog);
    let mut addons = Vec::with_capacity(entries.len());
    for entry in entries {
        let path = join("addons", &entry.key);
        check_name(&entry.key, entry.spot, &path, problems);
        let Some(fields) = Fields::open(&entry.value, path, &KEYS, problems) else {
            continue;
        };
        description(
            fields.get("description"),
            &fields.at("description"),
            problems,
        );
        let mut addon = Addon {
            name: entry.key.to_string(),
            entitlements: Vec::new(),
            grants: Vec::new(),
            plans: Vec::new(),
            max_quantity: None,
            sold: false,
        };
        if let Some(node) = fields.get("plans") {
            addon.plans = plan_names(node, &fields.at("plans"), plans, problems);
        }
        if let Some(node) = fields.get("max_quantity") {
            let most = i64::from(u32::MAX);
            let quantity = integer(node, &fields.at("max_quantity"), 1, most, problems);
            addon.max_quantity = quantity.and_then(|n| u32::try_from(n).ok());
        }
        if let Some(node) = fields.get("features") {
            for (feature, at, entry) in known(node, &fields.at("features"), features, problems) {
                let target = Target::of(&catalog.features[feature], &catalog.pools);
                let setting = addon_setting(&entry.value, &at, target, problems);
                addon
                    .entitlements
                    .extend(setting.map(|setting| (feature, setting)));
            }
        }
        if let Some(node) = fields.get("grants") {
            addon.grants = grants::read(node, &fields.at("grants"), catalog, &pools, problems);
        }
        if let Some(node) = fields.get("sold") {
            let sold = word(node, &fields.at("sold"), &SOLD, problems);
            addon.sold = sold.unwrap_or(false);
            if addon.sold {
                check_sold(&fields, problems);
            }
        }
        addons.push(addon);
    }
    addons
}

/// What is bought are lines that are given once, and nothing else: no customer has the add-on.
fn check_sold(fields: &Fields<'_>, problems: &mut Problems) {
    if let Some(stray) = fields.entry("features") {
        let hint = "no customer has what is bought: put the features into an add-on of their own";
        let at = fields.at("features");
        problems.add(stray.spot, &at, "`features` beside `sold`", hint);
    }
    let at = fields.at("grants");
    let lines: Vec<(String, &Node)> = match fields.get("grants").map(|node| &node.value) {
        Some(Value::Map(entries)) => entries
            .iter()
            .map(|entry| (join(&at, &entry.key), &entry.value))
            .collect(),
        Some(Value::List(nodes)) => nodes
            .iter()
            .enumerate()
            .map(|(n, node)| (format!("{at}[{n}]"), node))
            .collect(),
        _ => Vec::new(),
    };
    if lines.is_empty() {
        let spot = fields.entry("sold").map_or(fields.spot, |entry| entry.spot);
        let hint = "say under `grants` what a purchase gives";
        problems.add(spot, &fields.path, "`sold` without a grant", hint);
    }
    for (at, line) in lines {
        let Value::Map(entries) = &line.value else {
            continue; // Reported where grants are read.
        };
        for (key, hint) in [
            ("every", "what is bought is given once: leave it out"),
            ("existing", "each purchase stands by itself: leave it out"),
        ] {
            if let Some(stray) = entries.iter().find(|entry| entry.key.as_ref() == key) {
                let message = format!("`{key}` in an add-on with `sold`");
                problems.add(stray.spot, &join(&at, key), message, hint);
            }
        }
    }
}

/// The plans an add-on may be added to.
fn plan_names(
    node: &Node,
    path: &str,
    plans: &HashSet<&str>,
    problems: &mut Problems,
) -> Vec<String> {
    let nodes = items(node, path, problems).unwrap_or_default();
    if nodes.is_empty() && !node.is_null() && matches!(node.value, Value::List(_)) {
        problems.add(
            node.spot,
            path,
            "no plans",
            "leave it out to allow any plan",
        );
    }
    let mut seen = HashSet::new();
    let mut names = Vec::new();
    for (n, node) in nodes.iter().enumerate() {
        let at = format!("{path}[{n}]");
        let Some(name) = text(node, &at, problems) else {
            continue;
        };
        if !plans.contains(name) {
            unknown(
                "plan",
                name,
                node.spot,
                &at,
                plans.iter().copied(),
                problems,
            );
        } else if !seen.insert(name) {
            let message = format!("{} is written twice", node.describe());
            problems.add(node.spot, &at, message, "keep one of them");
        } else {
            names.push(name.to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use crate::catalog::{AddonSetting, Setting};
    use crate::testing::{assert_mistake, good};

    const HEAD: &str = "fastcheck: 1\nfeatures: {export: {kind: switch}, seats: {kind: limit}, days: {kind: value}}\nplans: {pro: {}}\naddons:\n";
    const POOL: &str = "fastcheck: 1\npools: {c: {}}\nplans: {pro: {}}\naddons:\n";

    #[test]
    fn numbers_add_and_the_rest_is_a_source() {
        let catalog = good(&format!(
            "{HEAD}  pack: {{plans: [pro], max_quantity: 10, features: {{seats: 5, export: true, days: {{set: 365}}}}}}\n  more: {{features: {{seats: unlimited, days: -1}}}}\n"
        ));
        assert_eq!(
            catalog.addons[0].entitlements,
            [
                (1, AddonSetting::Add(5)),
                (0, AddonSetting::Set(Setting::On)),
                (2, AddonSetting::Set(Setting::Number(365))),
            ]
        );
        assert_eq!(catalog.addons[0].plans, ["pro"]);
        assert_eq!(catalog.addons[0].max_quantity, Some(10));
        assert_eq!(
            catalog.addons[1].entitlements,
            [
                (1, AddonSetting::Set(Setting::Unlimited)),
                (2, AddonSetting::Add(-1))
            ]
        );
    }

    #[test]
    fn what_is_sold_once_gives_lines_once() {
        let catalog = good(&format!(
            "{POOL}  pack: {{sold: once, max_quantity: 9, plans: [pro], grants: {{credits: {{pool: c, amount: 5, expires_after: year}}}}}}\n  more: {{grants: [{{pool: c, amount: 5}}]}}\n"
        ));
        let sold: Vec<_> = catalog.addons.iter().map(|addon| addon.sold).collect();
        assert_eq!(sold, [true, false]);
    }

    #[test]
    fn what_cannot_be_bought_has_its_line_and_hint() {
        for (addon, expected) in [
            (
                "{sold: always, grants: [{pool: c, amount: 5}]}",
                ".sold: `always` is not known here (one of once)",
            ),
            (
                "{sold: once}",
                ": `sold` without a grant (say under `grants` what a purchase gives)",
            ),
            (
                "{sold: once, grants: {}}",
                ": `sold` without a grant (say under `grants` what a purchase gives)",
            ),
            (
                "{sold: once, grants: [{pool: c, amount: 5}, {pool: c, amount: 5, every: month}]}",
                ".grants[1].every: `every` in an add-on with `sold` (what is bought is given once: leave it out)",
            ),
            (
                "{sold: once, grants: {a: {pool: c, amount: 5, existing: give}}}",
                ".grants.a.existing: `existing` in an add-on with `sold` (each purchase stands by itself: leave it out)",
            ),
            (
                "{sold: once, features: {}, grants: [{pool: c, amount: 5}]}",
                ".features: `features` beside `sold` (no customer has what is bought: put the features into an add-on of their own)",
            ),
        ] {
            assert_mistake(
                &format!("{POOL}  pack: {addon}\n"),
                &format!("5: addons.pack{expected}"),
            );
        }
    }

    #[test]
    fn each_mistake_has_its_line_and_hint() {
        for (addon, expected) in [
            (
                "{plans: [por]}",
                ".plans[0]: there is no plan `por` (did you mean `pro`?)",
            ),
            (
                "{plans: []}",
                ".plans: no plans (leave it out to allow any plan)",
            ),
            (
                "{plans: [pro, pro]}",
                ".plans[1]: `pro` is written twice (keep one of them)",
            ),
            (
                "{plans: pro}",
                ".plans: `pro` where a list is expected (write `[a, b]` or `- a` lines)",
            ),
            (
                "{max_quantity: 0}",
                ".max_quantity: `0` is not a whole number in range (from 1 to 4294967295)",
            ),
            (
                "{features: {seats: -1}}",
                ".features.seats: limit -1 is negative (write zero or more)",
            ),
            (
                "{features: {days: {set: 1, get: 2}}}",
                ".features.days.get: unknown key `get` (did you mean `set`?)",
            ),
            (
                "{features: {days: {}}}",
                ".features.days: `set` is missing (write `{set: …}`, or a number to add)",
            ),
            (
                "{features: {seats: {set: true}}}",
                ".features.seats.set: `true` does not fit `seats`, a limit (write a number or `unlimited`)",
            ),
        ] {
            assert_mistake(
                &format!("{HEAD}  pack: {addon}\n"),
                &format!("5: addons.pack{expected}"),
            );
        }
    }
}
