//! The `plans` section: each plan is one version, or a map of versions.

use std::collections::HashMap;

use crate::catalog::bounds::PLANS_MAX;
use crate::catalog::{Catalog, Plan, Setting};
use crate::decimal::Decimal;
use crate::features::Names;
use crate::fields::{Fields, check_name, entries, merge_key, unknown};
use crate::grants;
use crate::length::span;
use crate::problem::{Problems, Spot, join, shown};
use crate::scalar::description;
use crate::settings::{Target, setting};
use crate::tree::{Entry, Node};

const KEYS: [&str; 5] = ["features", "grants", "trial", "versions", "description"];
const VERSION_KEYS: [&str; 4] = ["features", "grants", "trial", "description"];

/// Reads the plans, ordered by name and then version.
pub(crate) fn read(
    node: &Node,
    catalog: &Catalog,
    features: &Names,
    problems: &mut Problems,
) -> Vec<Plan> {
    let Some(entries) = entries(node, "plans", problems) else {
        return Vec::new();
    };
    let pools = grants::pool_names(catalog);
    let mut reader = Reader {
        catalog,
        features,
        pools,
        plans: Vec::new(),
    };
    for entry in entries {
        let path = join("plans", &entry.key);
        check_name(&entry.key, entry.spot, &path, problems);
        reader.plan(entry, path, problems);
        if reader.plans.len() > PLANS_MAX {
            let message = format!("more than {PLANS_MAX} plan versions");
            problems.add(
                entry.spot,
                "plans",
                message,
                "drop versions that no customer has",
            );
            break;
        }
    }
    let mut plans = reader.plans;
    plans.sort_by(|a, b| (&a.name, a.version).cmp(&(&b.name, b.version)));
    plans
}

struct Reader<'c> {
    catalog: &'c Catalog,
    features: &'c Names,
    pools: HashMap<String, usize>,
    plans: Vec<Plan>,
}

impl Reader<'_> {
    fn plan(&mut self, entry: &Entry, path: String, problems: &mut Problems) {
        let Some(fields) = Fields::open(&entry.value, path, &KEYS, problems) else {
            return;
        };
        let Some(versions) = fields.get("versions") else {
            self.version(&entry.key, 1, &fields, problems);
            return;
        };
        // Read for its mistakes alone.
        description(
            fields.get("description"),
            &fields.at("description"),
            problems,
        );
        for key in ["features", "grants", "trial"] {
            if let Some(stray) = fields.entry(key) {
                let message = format!("`{key}` beside `versions`");
                let hint = "move it into one of the versions";
                problems.add(stray.spot, &fields.at(key), message, hint);
            }
        }
        self.versions(&entry.key, versions, &fields.at("versions"), problems);
    }

    fn versions(&mut self, name: &str, node: &Node, path: &str, problems: &mut Problems) {
        let Some(entries) = entries(node, path, problems) else {
            return;
        };
        if entries.is_empty() {
            problems.add(
                node.spot,
                path,
                "a plan without a version",
                "write `1: {…}` under it",
            );
        }
        let mut seen: HashMap<u32, Spot> = HashMap::new();
        for entry in entries {
            let at = join(path, &entry.key);
            let number = Decimal::parse(&entry.key).ok().and_then(Decimal::to_i64);
            let version = number
                .and_then(|n| u32::try_from(n).ok())
                .filter(|n| *n >= 1);
            let Some(version) = version else {
                let (message, hint) = merge_key(&entry.key).unwrap_or_else(|| {
                    let message = format!("`{}` is not a version", shown(&entry.key));
                    (message, "versions are 1, 2, 3, …".to_owned())
                });
                problems.add(entry.spot, &at, message, hint);
                continue;
            };
            if let Some(first) = seen.insert(version, entry.spot) {
                let message = format!("version {version} is written twice");
                problems.add(
                    entry.spot,
                    &at,
                    message,
                    format!("first on line {}", first.line),
                );
                continue;
            }
            if let Some(fields) = Fields::open(&entry.value, at, &VERSION_KEYS, problems) {
                self.version(name, version, &fields, problems);
            }
        }
    }

    fn version(&mut self, name: &str, version: u32, fields: &Fields<'_>, problems: &mut Problems) {
        description(
            fields.get("description"),
            &fields.at("description"),
            problems,
        );
        let entitlements = fields
            .get("features")
            .map(|node| self.entitlements(node, &fields.at("features"), problems));
        let grants = fields.get("grants").map(|node| {
            grants::read(
                node,
                &fields.at("grants"),
                self.catalog,
                &self.pools,
                problems,
            )
        });
        let trial = fields
            .get("trial")
            .and_then(|node| span(node, &fields.at("trial"), problems));
        self.plans.push(Plan {
            name: name.to_owned(),
            version,
            entitlements: entitlements.unwrap_or_default(),
            grants: grants.unwrap_or_default(),
            trial,
        });
    }

    fn entitlements(
        &self,
        node: &Node,
        path: &str,
        problems: &mut Problems,
    ) -> Vec<(usize, Setting)> {
        let mut settings = Vec::new();
        for (feature, at, entry) in known(node, path, self.features, problems) {
            let target = Target::of(&self.catalog.features[feature], &self.catalog.pools);
            settings.extend(setting(&entry.value, &at, target, problems).map(|set| (feature, set)));
        }
        settings
    }
}

/// The entries of a map from feature names, with the index of each feature; unknown ones are reported.
pub(crate) fn known<'n>(
    node: &'n Node,
    path: &str,
    features: &Names,
    problems: &mut Problems,
) -> Vec<(usize, String, &'n Entry)> {
    let mut found = Vec::new();
    for entry in entries(node, path, problems).unwrap_or_default() {
        let at = join(path, &entry.key);
        match features.get(entry.key.as_ref()) {
            Some(Some(feature)) => found.push((*feature, at, entry)),
            // Its kind is a mistake already reported.
            Some(None) => {}
            None => {
                let names = features.keys().map(String::as_str);
                unknown("feature", &entry.key, entry.spot, &at, names, problems);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use crate::catalog::Setting;
    use crate::testing::{assert_mistake, good, listed_kinds};

    const HEAD: &str =
        "fastcheck: 1\nfeatures: {export: {kind: switch}, seats: {kind: limit}}\nplans:\n";

    #[test]
    fn plans_are_ordered_by_name_and_version() {
        let catalog = good(&format!(
            "{HEAD}  b: {{features: {{seats: 2}}}}\n  a:\n    versions:\n      10: {{}}\n      2: {{features: {{export: true}}, description: old}}\n"
        ));
        let plans: Vec<_> = catalog
            .plans
            .iter()
            .map(|p| (p.name.as_str(), p.version))
            .collect();
        assert_eq!(plans, [("a", 2), ("a", 10), ("b", 1)]);
        assert_eq!(catalog.plans[0].entitlements, [(0, Setting::On)]);
        assert_eq!(catalog.plan("a", None), Some(1));
    }

    #[test]
    fn each_mistake_has_its_line_and_hint() {
        for (plan, expected) in [
            (
                "{features: {exprot: true}}",
                ".features.exprot: there is no feature `exprot` (did you mean `export`?)",
            ),
            (
                "{features: {zzz: true}}",
                ".features.zzz: there is no feature `zzz` (add it under `features`, or take it out here)",
            ),
            (
                "{feature: {}}",
                ".feature: unknown key `feature` (did you mean `features`?)",
            ),
            (
                "{versions: {}}",
                ".versions: a plan without a version (write `1: {…}` under it)",
            ),
            (
                "{versions: {zero: {}}}",
                ".versions.zero: `zero` is not a version (versions are 1, 2, 3, …)",
            ),
            (
                "{versions: {0: {}}}",
                ".versions.0: `0` is not a version (versions are 1, 2, 3, …)",
            ),
            (
                "{versions: {1: {}, 01: {}}}",
                ".versions.01: version 1 is written twice (first on line 4)",
            ),
            (
                "{versions: {1: {}}, grants: []}",
                ".grants: `grants` beside `versions` (move it into one of the versions)",
            ),
            (
                "{grants: 5}",
                ".grants: `5` where grants are expected (write `name: {pool: …, amount: …}` lines, or a list of them without names)",
            ),
        ] {
            assert_mistake(
                &format!("{HEAD}  p: {plan}\n"),
                &format!("4: plans.p{expected}"),
            );
        }
        assert_mistake(
            &format!("{HEAD}  p: {{}}\n  p: {{}}\n"),
            "5: plans.p: `p` is written twice (keep one of them; the last one counts)",
        );
    }

    #[test]
    fn a_feature_with_a_mistake_is_not_also_unknown() {
        assert_mistake(
            "fastcheck: 1\nfeatures: {x: {kind: what}}\nplans: {p: {features: {x: 1}}}\n",
            &format!(
                "2: features.x.kind: `what` is not known here ({})",
                listed_kinds()
            ),
        );
    }
}
