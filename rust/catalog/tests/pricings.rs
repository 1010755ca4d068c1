//! The importer on real pricings: every (plan, feature) and (plan, usage limit) cell of every file, and every
//! cell of every add-on, must answer as the file says.
//!
//! What the file says is read by another YAML loader, with no code of the importer. The files are found through
//! `FASTCHECK_DATA` (default `../shared/data` beside the workspace); without them the test says so and passes.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use fastcheck_catalog::catalog::{AddonSetting, Catalog, Feature, Kind, Setting, Unit};
use fastcheck_catalog::{import, parse};
use saphyr::{LoadableYamlNode, Scalar, Yaml};

fn archive() -> Option<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let data = std::env::var_os("FASTCHECK_DATA").map(PathBuf::from);
    let data = workspace.join(data.unwrap_or_else(|| PathBuf::from("../shared/data")));
    let archive = data.join("saas_pricings/saas_pricings.tar.gz");
    if archive.is_file() {
        return Some(archive);
    }
    println!(
        "skipped: no pricings at {} (set FASTCHECK_DATA)",
        archive.display()
    );
    None
}

fn files(archive: &Path) -> BTreeMap<String, String> {
    let unpacked = flate2::read::GzDecoder::new(std::fs::File::open(archive).expect("the archive"));
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(unpacked).entries().expect("entries") {
        let mut entry = entry.expect("an entry");
        let path = entry.path().expect("a path").display().to_string();
        if path.ends_with(".yml") {
            let mut text = String::new();
            entry.read_to_string(&mut text).expect("text");
            files.insert(path, text);
        }
    }
    files
}

/// What `index.csv` says of each `<saas>/<year>`: features, usage limits, plans, add-ons.
fn index(archive: &Path) -> BTreeMap<String, [usize; 4]> {
    let text = std::fs::read_to_string(archive.with_file_name("index.csv")).expect("index.csv");
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().expect("a header");
    let column = |name: &str| {
        header
            .iter()
            .position(|cell| *cell == name)
            .expect("a column")
    };
    let wanted = ["features", "usage_limits", "plans", "addons"].map(column);
    let parses = column("parses");
    lines
        .map(|line| {
            assert_eq!(line[parses], "1", "every file of the set parses");
            let counts = wanted.map(|column| line[column].parse().expect("a count"));
            (format!("{}/{}", line[0], line[1]), counts)
        })
        .collect()
}

/// The entries of a map under `key`; none where it is absent or null.
fn entries<'y>(node: &'y Yaml<'y>, key: &str) -> Vec<(&'y str, &'y Yaml<'y>)> {
    let Some(Yaml::Mapping(map)) = node.as_mapping_get(key) else {
        return Vec::new();
    };
    map.iter()
        .map(|(key, value)| (key.as_str().expect("a text key"), value))
        .collect()
}

#[derive(Default)]
struct Tally {
    cells: usize,
    addon_cells: usize,
    notes: BTreeMap<String, usize>,
}

struct Pricing<'y> {
    name: &'y str,
    source: &'y Yaml<'y>,
    catalog: &'y Catalog,
}

impl Pricing<'_> {
    /// The catalog's feature for an item of a section.
    fn feature(&self, section: &str, name: &str) -> (usize, &Feature) {
        let in_features = self.source.as_mapping_get("features");
        let shared = section == "usageLimits"
            && in_features.is_some_and(|features| features.as_mapping_get(name).is_some());
        let name = if shared {
            format!("usageLimits.{name}")
        } else {
            name.to_owned()
        };
        let index = self.catalog.feature(&name);
        let index = index.unwrap_or_else(|| panic!("{}: no feature {name}", self.name));
        (index, &self.catalog.features[index])
    }

    fn check(&self, feature: &Feature, cell: &Yaml<'_>, setting: &Setting, place: &str) {
        let scale = feature
            .pool
            .map_or(0, |pool| self.catalog.pools[pool].scale);
        assert!(
            answers(cell, feature.kind, scale, setting),
            "{}: {place}: {} is {cell:?} in the file, {setting:?} in the catalog",
            self.name,
            feature.name,
        );
    }

    fn plans(&self, tally: &mut Tally) {
        for (plan_name, plan) in entries(self.source, "plans") {
            let index = self.catalog.plan(plan_name, None);
            let imported = &self.catalog.plans[index.expect("the plan")];
            for section in ["features", "usageLimits"] {
                let overrides: BTreeMap<_, _> = entries(plan, section).into_iter().collect();
                for (name, item) in entries(self.source, section) {
                    let said = overrides
                        .get(name)
                        .and_then(|cell| cell.as_mapping_get("value"));
                    let said = said.or_else(|| item.as_mapping_get("defaultValue"));
                    let (index, feature) = self.feature(section, name);
                    let own = imported.entitlements.iter().find(|(n, _)| *n == index);
                    let setting = own.map_or(&feature.default, |(_, setting)| setting);
                    self.check(feature, said.expect("a value"), setting, plan_name);
                    tally.cells += 1;
                }
            }
        }
    }

    fn addons(&self, tally: &mut Tally) {
        for (addon_name, addon) in entries(self.source, "addOns") {
            let index = self.catalog.addon(addon_name).expect("the add-on");
            let imported = &self.catalog.addons[index];
            let mut plans: Vec<&str> = match addon.as_mapping_get("availableFor") {
                Some(Yaml::Sequence(plans)) => plans.iter().filter_map(Yaml::as_str).collect(),
                _ => Vec::new(),
            };
            plans.dedup();
            assert_eq!(imported.plans, plans, "{}: {addon_name}", self.name);
            for section in ["features", "usageLimits", "usageLimitsExtensions"] {
                for (name, cell) in entries(addon, section) {
                    let cell = cell.as_mapping_get("value").expect("a value");
                    let section_of = if section == "features" {
                        section
                    } else {
                        "usageLimits"
                    };
                    let (index, feature) = self.feature(section_of, name);
                    let own = imported.entitlements.iter().find(|(n, _)| *n == index);
                    let setting = match (&own.expect("the cell").1, section) {
                        (AddonSetting::Add(number), "usageLimitsExtensions") => {
                            &Setting::Number(*number)
                        }
                        (AddonSetting::Set(setting), "features" | "usageLimits") => setting,
                        (other, _) => panic!("{}: {addon_name}: {name}: {other:?}", self.name),
                    };
                    self.check(feature, cell, setting, addon_name);
                    tally.addon_cells += 1;
                }
            }
        }
    }

    /// Renewing numbers are meters with the period of their unit, all else is not.
    fn periods(&self) {
        for (name, limit) in entries(self.source, "usageLimits") {
            let text = |key| {
                limit
                    .as_mapping_get(key)
                    .and_then(Yaml::as_str)
                    .unwrap_or_default()
            };
            let (_, feature) = self.feature("usageLimits", name);
            let words = [
                ("minute", Unit::Minute),
                ("hour", Unit::Hour),
                ("day", Unit::Day),
                ("week", Unit::Week),
                ("month", Unit::Month),
                ("year", Unit::Year),
            ];
            let per = text("unit").rsplit_once('/').map_or("", |(_, per)| per);
            let stated = words
                .iter()
                .find(|(word, _)| *word == per)
                .map(|(_, unit)| *unit);
            let expected = match (text("valueType"), text("type")) {
                ("NUMERIC", "RENEWABLE") => Some(stated.unwrap_or(Unit::Month)),
                ("NUMERIC", "TIME_DRIVEN" | "RESPONSE_DRIVEN") => stated,
                _ => None,
            };
            let period = feature.period.map(|period| period.every.unit);
            assert_eq!(period, expected, "{}: {name}", self.name);
            assert_eq!(
                feature.kind == Kind::Meter,
                expected.is_some(),
                "{}: {name}",
                self.name
            );
        }
    }
}

/// Whether a setting says what a cell of the file says.
fn answers(cell: &Yaml<'_>, kind: Kind, scale: u8, setting: &Setting) -> bool {
    let scalar = match cell {
        Yaml::Sequence(items) => {
            let items: Vec<_> = items
                .iter()
                .map(|item| format!("\"{}\"", item.as_str().expect("a text")))
                .collect();
            return *setting == Setting::Text(format!("[{}]", items.join(",")));
        }
        Yaml::Value(scalar) => scalar,
        other => panic!("{other:?}"),
    };
    match (scalar, kind, setting) {
        (Scalar::Boolean(said), Kind::Switch, setting) => {
            *setting == if *said { Setting::On } else { Setting::Off }
        }
        (Scalar::Integer(said), Kind::Limit | Kind::Meter, Setting::Number(number)) => {
            i128::from(*number) == i128::from(*said) * 10i128.pow(u32::from(scale))
        }
        (Scalar::Integer(said), Kind::Value, Setting::Text(text)) => *text == said.to_string(),
        (Scalar::FloatingPoint(said), Kind::Limit | Kind::Meter, Setting::Unlimited) => {
            said.0 == f64::INFINITY
        }
        (Scalar::FloatingPoint(said), Kind::Meter | Kind::Limit, Setting::Number(number)) => {
            *number as f64 == said.0 * 10f64.powi(i32::from(scale))
        }
        (Scalar::FloatingPoint(said), Kind::Value, Setting::Text(text)) => {
            if said.0.is_infinite() {
                text == "unlimited"
            } else {
                *text == said.0.to_string()
            }
        }
        // The format's own tools read YAML 1.1, where `10_000` is a number.
        (Scalar::String(said), Kind::Limit | Kind::Meter, Setting::Number(_)) => {
            let said = said.replace('_', "").parse().map(Scalar::Integer);
            said.is_ok_and(|said| answers(&Yaml::Value(said), kind, scale, setting))
        }
        (Scalar::String(said), Kind::Value, Setting::Text(text)) => said.as_ref() == text,
        _ => false,
    }
}

#[test]
fn every_cell_of_every_pricing_answers_as_the_file_says() {
    let Some(archive) = archive() else { return };
    let files = files(&archive);
    let index = index(&archive);
    assert_eq!(files.len(), index.len(), "files and lines of index.csv");
    let mut tally = Tally::default();
    for (path, text) in &files {
        let imported = import(text.as_bytes(), path).unwrap_or_else(|e| panic!("{path}: {e:?}"));
        let catalog = parse(imported.yaml.as_bytes(), path).unwrap_or_else(|e| panic!("{e:?}"));
        let documents = Yaml::load_from_str(text).expect("YAML");
        let source = &documents[0];
        let short = path
            .trim_start_matches("saas_pricings/")
            .trim_end_matches(".yml");
        let counts = ["features", "usageLimits", "plans", "addOns"]
            .map(|section| entries(source, section).len());
        assert_eq!(counts, index[short], "{path}: counts");
        assert_eq!(
            [
                catalog.features.len(),
                catalog.plans.len(),
                catalog.addons.len()
            ],
            [counts[0] + counts[1], counts[2], counts[3]],
            "{path}: nothing is left out"
        );
        let pricing = Pricing {
            name: path,
            source,
            catalog: &catalog,
        };
        pricing.plans(&mut tally);
        pricing.addons(&mut tally);
        pricing.periods();
        for note in &imported.notes {
            let kind = format!("{} ({})", note.message, note.hint);
            let kind = kind.split('`').enumerate().map(|(n, part)| match n % 2 {
                1 if part.contains("dependsOn") || part.contains("excludes") => part,
                1 => "…",
                _ => part,
            });
            *tally.notes.entry(kind.collect()).or_default() += 1;
        }
    }
    println!(
        "{} files, {} plan cells, {} add-on cells, {} notes",
        files.len(),
        tally.cells,
        tally.addon_cells,
        tally.notes.values().sum::<usize>()
    );
    for (note, count) in &tally.notes {
        println!("  {count:5} × {note}");
    }
    assert!(tally.cells > 0 && tally.addon_cells > 0);
}
