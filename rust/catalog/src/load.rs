//! Text to catalog: reads the tree, then pools, features, plans and add-ons, and collects every mistake.

use std::collections::HashSet;

use crate::catalog::Catalog;
use crate::catalog::bounds::{FEATURES_MAX, POOLS_MAX};
use crate::fields::Fields;
use crate::problem::{Problem, Problems};
use crate::tree::{self, Node, Value};
use crate::{addons, features, plans, pools};

/// The format this crate reads.
pub(crate) const FORMAT: i64 = 1;

const KEYS: [&str; 6] = [
    "fastcheck",
    "description",
    "pools",
    "features",
    "plans",
    "addons",
];

/// Reads a catalog file, YAML or JSON. `filename` only names it in the problems.
///
/// # Errors
/// Every mistake in the file, by line.
pub fn parse(bytes: &[u8], filename: &str) -> Result<Catalog, Vec<Problem>> {
    let mut problems = Problems::new(filename);
    let root = tree::read(bytes, &mut problems);
    let catalog = root.and_then(|root| catalog(&root, &mut problems));
    match catalog {
        Some(catalog) if problems.is_empty() => Ok(catalog),
        _ => Err(problems.into_list()),
    }
}

fn catalog(root: &Node, problems: &mut Problems) -> Option<Catalog> {
    let fields = Fields::open(root, String::new(), &KEYS, problems)?;
    check_format(&fields, problems);
    crate::scalar::description(fields.get("description"), "description", problems);

    let mut catalog = Catalog::default();
    if let Some(node) = fields.get("pools") {
        catalog.pools = pools::read(node, problems);
    }
    let mut names = features::Names::new();
    if let Some(node) = fields.get("features") {
        (catalog.features, names) = features::read(node, &mut catalog.pools, problems);
    }
    for (what, count, most) in [
        ("features", catalog.features.len(), FEATURES_MAX),
        ("pools", catalog.pools.len(), POOLS_MAX),
    ] {
        if count > most {
            let spot = fields.entry(what).map_or(fields.spot, |entry| entry.spot);
            let hint = format!("at most {most}, the private pools of meters included");
            problems.add(spot, what, format!("{count} {what}"), hint);
            return None;
        }
    }
    if let Some(node) = fields.get("plans") {
        catalog.plans = plans::read(node, &catalog, &names, problems);
    }
    if let Some(node) = fields.get("addons") {
        let plans: HashSet<&str> = match fields.get("plans").map(|node| &node.value) {
            Some(Value::Map(entries)) => entries.iter().map(|entry| entry.key.as_ref()).collect(),
            _ => HashSet::new(),
        };
        catalog.addons = addons::read(node, &catalog, &names, &plans, problems);
    }
    Some(catalog)
}

fn check_format(fields: &Fields<'_>, problems: &mut Problems) {
    let hint = "write `fastcheck: 1`, the version of the format";
    let Some(node) = fields.need("fastcheck", hint, problems) else {
        return;
    };
    let format = node.plain().and_then(|text| text.parse::<i64>().ok());
    if format != Some(FORMAT) {
        let message = format!("{} is not a format this version reads", node.describe());
        problems.add(node.spot, "fastcheck", message, hint);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Kind, Setting};
    use crate::testing::{assert_mistake, good};

    #[test]
    fn the_quickstart_catalog_is_what_the_readme_says() {
        let catalog = good(include_str!("../../../examples/quickstart/catalog.yaml"));
        let kinds: Vec<_> = catalog
            .features
            .iter()
            .map(|f| (f.name.as_str(), f.kind))
            .collect();
        assert_eq!(
            kinds,
            [
                ("export", Kind::Switch),
                ("seats", Kind::Limit),
                ("retention_days", Kind::Value),
                ("api_calls", Kind::Meter),
                ("gpt-4o", Kind::Credit),
            ]
        );
        let pro = &catalog.plans[catalog.plan("pro", None).expect("pro")];
        assert_eq!(
            pro.entitlements,
            [
                (0, Setting::On),
                (1, Setting::Number(25)),
                (2, Setting::Number(30)),
                (3, Setting::Number(100_000)),
                (4, Setting::On),
            ]
        );
        assert_eq!(catalog.features[4].rates[0].cost, 1_000_000);
        assert_eq!(catalog.pools.len(), 2);
    }

    #[test]
    fn the_example_of_the_documentation_is_right() {
        let page = include_str!("../../../docs/catalog.md");
        let example = page
            .split("```")
            .find_map(|part| part.strip_prefix("yaml\n"));
        let catalog = good(example.expect("an example"));
        for kind in Kind::ALL {
            let shown = catalog.features.iter().any(|one| one.kind == kind);
            assert!(shown, "the example has no {}", kind.as_str());
        }
        assert_eq!(catalog.pools.len(), 3);
        assert_eq!((catalog.plans.len(), catalog.addons.len()), (1, 2));
    }

    #[test]
    fn every_mistake_is_listed_by_line() {
        let text = "fastcheck: 2\npolls: {}\nfeatures:\n  a: {kind: switch, default: 1}\n  b: {kind: credit, pool: c, rate: 1}\nplans:\n  p: {features: {z: true}}\n";
        let lines: Vec<_> = parse(text.as_bytes(), "f")
            .expect_err("mistakes")
            .iter()
            .map(|p| p.line)
            .collect();
        assert_eq!(lines, [1, 2, 4, 5, 7]);
    }

    #[test]
    fn merge_keys_and_keys_of_ones_own_say_where_an_anchor_may_stand() {
        let hint = "YAML 1.2 has no merge keys: an anchor stands at a whole value where it is used first, such as \
                    `pro: &base {…}`, and `team: *base` repeats all of it)";
        for (text, expected) in [
            (
                "x-base: &base {seats: 5}\nplans: {p: {features: *base}}\nfeatures: {seats: {kind: limit}}\n",
                "2: x-base: unknown key `x-base` (there are no keys of one's own; ",
            ),
            (
                "plans:\n  p: &base {description: a}\n  q: {<<: *base}\n",
                "4: plans.q.<<: `<<` merges nothing (",
            ),
            (
                "plans:\n  p: {features: {<<: {}}}\n",
                "3: plans.p.features.<<: `<<` merges nothing (",
            ),
            ("plans:\n  <<: {}\n", "3: plans.<<: `<<` merges nothing ("),
            (
                "plans:\n  p: {versions: {1: {}, <<: {}}}\n",
                "3: plans.p.versions.<<: `<<` merges nothing (",
            ),
        ] {
            assert_mistake(
                &format!("fastcheck: 1\n{text}"),
                &format!("{expected}{hint}"),
            );
        }
    }

    #[test]
    fn python_s_json_is_read() {
        let text = r#"{"fastcheck": 1, "pools": {"\ud83d\ude80": {"description": "launch \ud83d\ude80\ud83d\ude80"}}}"#;
        let pool = &good(text).pools[0];
        assert_eq!(
            (pool.name.as_str(), pool.description.as_str()),
            ("🚀", "launch 🚀🚀")
        );
    }

    #[test]
    fn the_file_as_a_whole() {
        let hint = "(write `fastcheck: 1`, the version of the format)";
        assert_mistake(
            "features: {}\n",
            &format!("1: `fastcheck` is missing {hint}"),
        );
        assert_mistake(
            "fastcheck: 1.0\n",
            &format!("1: fastcheck: `1.0` is not a format this version reads {hint}"),
        );
        assert_mistake(
            "fastcheck: 1\nplan: {}\n",
            "2: plan: unknown key `plan` (did you mean `plans`?)",
        );
        assert_mistake(
            "fastcheck: 1\nfoo: {}\n",
            "2: foo: unknown key `foo` (known keys: fastcheck, description, pools, features, plans, addons)",
        );
        assert_mistake(
            "- a\n",
            "1: a list where a map is expected (write `key: value` lines)",
        );
        assert_eq!(
            good("fastcheck: 1\nfeatures:\nplans:\n"),
            Catalog::default()
        );
        assert_eq!(
            good("{\"fastcheck\": 1, \"features\": {}}"),
            Catalog::default()
        );
    }

    #[test]
    fn features_and_pools_are_bounded() {
        let many = |section: &str, each: &str, count: usize| {
            let entries: String = (0..count).map(|n| format!("  n{n}: {each}\n")).collect();
            format!("fastcheck: 1\n{section}:\n{entries}")
        };
        let hint = "(at most 4096, the private pools of meters included)";
        assert_mistake(
            &many("features", "{kind: switch}", 4_097),
            &format!("2: features: 4097 features {hint}"),
        );
        assert_mistake(
            &many("pools", "{}", 4_097),
            &format!("2: pools: 4097 pools {hint}"),
        );
        let both = format!(
            "{}features: {{m: {{kind: meter, period: day}}}}\n",
            many("pools", "{}", 4_096)
        );
        assert_mistake(&both, &format!("2: pools: 4097 pools {hint}"));
        assert_eq!(
            good(&many("features", "{kind: switch}", 4_096))
                .features
                .len(),
            4_096
        );
    }
}
