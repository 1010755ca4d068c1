//! Each rule of the importer, on the smallest file that shows it.

use super::*;
use crate::catalog::{AddonSetting, Catalog, Kind, Setting, Span, Unit};
use crate::testing::good;

/// The catalog of a file that contradicts nothing.
fn clean(text: &str) -> Catalog {
    let (catalog, notes) = noted(text);
    assert!(notes.is_empty(), "{notes:?}");
    catalog
}

fn noted(text: &str) -> (Catalog, Vec<String>) {
    let imported = import(text.as_bytes(), "p.yml").expect("an import");
    let notes = imported
        .notes
        .iter()
        .map(|note| note.to_string()["p.yml:".len()..].to_owned());
    (good(&imported.yaml), notes.collect())
}

fn has(catalog: &Catalog, plan: &str, feature: &str) -> Setting {
    let feature = catalog.feature(feature).expect("a feature");
    let plan = &catalog.plans[catalog.plan(plan, None).expect("a plan")];
    let own = plan.entitlements.iter().find(|(n, _)| *n == feature);
    own.map_or_else(
        || catalog.features[feature].default.clone(),
        |(_, setting)| setting.clone(),
    )
}

fn kind(catalog: &Catalog, feature: &str) -> Kind {
    catalog.features[catalog.feature(feature).expect("a feature")].kind
}

fn text(text: &str) -> Setting {
    Setting::Text(text.to_owned())
}

#[test]
fn each_type_becomes_its_kind() {
    let catalog = clean(
        "saasName: X
features:
  sso: {valueType: BOOLEAN, defaultValue: false, description: Single sign-on}
  support: {valueType: TEXT, defaultValue: Email}
  pay: {valueType: TEXT, defaultValue: [CARD], type: PAYMENT}
  cores: {valueType: NUMERIC, defaultValue: 2}
usageLimits:
  seats: {valueType: NUMERIC, defaultValue: 1, unit: user, type: NON_RENEWABLE, linkedFeatures: [sso]}
  calls: {valueType: NUMERIC, defaultValue: 10, unit: call/user/day, type: RENEWABLE}
  minutes: {valueType: NUMERIC, defaultValue: 1.5, unit: minute/month, type: TIME_DRIVEN}
  timeout: {valueType: NUMERIC, defaultValue: 20, unit: second, type: TIME_DRIVEN}
  rate: {valueType: NUMERIC, defaultValue: 0.02, type: NON_RENEWABLE}
  partial: {valueType: BOOLEAN, defaultValue: true, type: RENEWABLE}
  tier: {valueType: TEXT, defaultValue: 'None', type: NON_RENEWABLE}
plans:
  FREE: {price: 0, features: null, usageLimits: null}
  PRO:
    price: 9.99
    features: {sso: {value: true}, pay: {value: [CARD, INVOICE]}, cores: {value: .inf}}
    usageLimits:
      seats: {value: 1000000000000}
      calls: {value: .inf}
      minutes: {value: 0.25}
      rate: {value: .inf}
",
    );
    assert_eq!(has(&catalog, "FREE", "sso"), Setting::Off);
    assert_eq!(has(&catalog, "PRO", "sso"), Setting::On);
    assert_eq!(has(&catalog, "PRO", "support"), text("Email"));
    assert_eq!(has(&catalog, "PRO", "pay"), text("[\"CARD\",\"INVOICE\"]"));
    assert_eq!(has(&catalog, "FREE", "cores"), Setting::Number(2));
    assert_eq!(has(&catalog, "PRO", "cores"), Setting::Unlimited);
    assert_eq!(
        has(&catalog, "PRO", "seats"),
        Setting::Number(1_000_000_000_000)
    );
    assert_eq!(kind(&catalog, "calls"), Kind::Meter);
    assert_eq!(has(&catalog, "PRO", "calls"), Setting::Unlimited);
    let calls = &catalog.features[catalog.feature("calls").expect("calls")];
    assert_eq!(
        calls.period.map(|p| p.every),
        Some(Span {
            count: 1,
            unit: Unit::Day
        })
    );
    assert_eq!(kind(&catalog, "minutes"), Kind::Meter);
    assert_eq!(has(&catalog, "FREE", "minutes"), Setting::Number(150));
    assert_eq!(has(&catalog, "PRO", "minutes"), Setting::Number(25));
    assert_eq!(kind(&catalog, "timeout"), Kind::Limit);
    assert_eq!(kind(&catalog, "rate"), Kind::Value);
    assert_eq!(has(&catalog, "FREE", "rate"), text("0.02"));
    assert_eq!(has(&catalog, "PRO", "rate"), text("unlimited"));
    assert_eq!(kind(&catalog, "partial"), Kind::Switch);
    assert_eq!(has(&catalog, "FREE", "tier"), text("None"));
    assert_eq!(catalog.features[0].description, "Single sign-on");
}

#[test]
fn numbers_and_booleans_may_be_written_the_old_way() {
    let catalog = clean(
        "features:
  sso: {valueType: BOOLEAN, defaultValue: yes}
  word: {valueType: TEXT, defaultValue: yes}
usageLimits: {mails: {valueType: NUMERIC, defaultValue: 10_000, type: NON_RENEWABLE}}
plans: {P: {features: {sso: {value: off}, word: {value: 1_0}}, usageLimits: {mails: {value: 20_000}}}}
",
    );
    assert_eq!(catalog.features[0].default, Setting::On);
    assert_eq!(has(&catalog, "P", "sso"), Setting::Off);
    assert_eq!(catalog.features[1].default, text("yes"));
    assert_eq!(has(&catalog, "P", "word"), text("1_0"));
    assert_eq!(catalog.features[2].default, Setting::Number(10_000));
    assert_eq!(has(&catalog, "P", "mails"), Setting::Number(20_000));
}

#[test]
fn addons_set_or_extend() {
    let catalog = clean(
        "features: {sso: {valueType: BOOLEAN, defaultValue: false}}
usageLimits:
  seats: {valueType: NUMERIC, defaultValue: 1, type: NON_RENEWABLE}
  disk: {valueType: NUMERIC, defaultValue: 1, type: NON_RENEWABLE}
plans: {PRO: {}}
addOns:
  pack:
    availableFor: [PRO]
    price: 5
    features: {sso: {value: true}}
    usageLimits: {disk: {value: 100}}
    usageLimitsExtensions: {seats: {value: 5}}
  rest: {usageLimitsExtensions: {seats: {value: .inf}}}
",
    );
    let pack = &catalog.addons[0];
    assert_eq!(pack.plans, ["PRO"]);
    assert_eq!(
        pack.entitlements,
        [
            (0, AddonSetting::Set(Setting::On)),
            (2, AddonSetting::Set(Setting::Number(100))),
            (1, AddonSetting::Add(5)),
        ]
    );
    assert_eq!(
        catalog.addons[1].entitlements,
        [(1, AddonSetting::Set(Setting::Unlimited))]
    );
    assert!(catalog.addons[1].plans.is_empty());
}

#[test]
fn a_limit_with_the_name_of_a_feature_is_prefixed() {
    let catalog = clean(
        "features: {disk: {valueType: BOOLEAN, defaultValue: true}}
usageLimits: {disk: {valueType: NUMERIC, defaultValue: 5, type: NON_RENEWABLE}}
plans: {PRO: {features: {disk: {value: false}}, usageLimits: {disk: {value: 6}}}}
",
    );
    assert_eq!(has(&catalog, "PRO", "disk"), Setting::Off);
    assert_eq!(has(&catalog, "PRO", "usageLimits.disk"), Setting::Number(6));
}

#[test]
fn what_the_file_contradicts_is_noted_and_the_rest_imported() {
    let (catalog, notes) = noted(
        "features:
  sso: {valueType: BOOLEAN, defaultValue: maybe}
  odd: {valueType: COLOUR, defaultValue: red}
  bare: {valueType: BOOLEAN}
  '': {valueType: BOOLEAN, defaultValue: true}
usageLimits:
  seats: {valueType: NUMERIC, defaultValue: 1, type: NON_RENEWABLE, linkedFeatures: [ssso]}
  uses: {valueType: NUMERIC, defaultValue: 1, type: RENEWABLE, unit: use}
plans:
  PRO:
    features: {soo: {value: true}, sso: {value: true}, bare: {}}
    usageLimits: {seats: {value: '5'}, uses: 3}
addOns:
  a: {availableFor: [PRO, GOLD], excludes: [b]}
  b: {availableFor: [GOLD]}
  c: {usageLimits: {uses: {value: 2}}, usageLimitsExtensions: {uses: {value: 1}, seats: {value: 1}}}
",
    );
    let expected = [
        "2: features.sso.defaultValue: `maybe` is not BOOLEAN (kept as it is, in a feature of kind value)",
        "3: features.odd: the value type `COLOUR` is not known (taken from its values instead)",
        "4: features.bare: no `defaultValue` (a plan that says nothing of it has nothing)",
        "5: features.: an empty name; left out (give it a name)",
        "7: usageLimits.seats.linkedFeatures: there is no feature `ssso` (did you mean `sso`?)",
        "8: usageLimits.uses: it renews, but its unit `use` does not say how often (taken as once a month)",
        "11: plans.PRO.features.soo: there is no feature `soo` (did you mean `sso`?)",
        "11: plans.PRO.features.bare: no `value` (taken as if nothing were written)",
        "12: plans.PRO.usageLimits.seats: the text \"5\" is not NUMERIC (kept as it is, in a feature of kind value)",
        "14: addOns.a.availableFor: there is no plan `GOLD` (add it under `plans`, or take it out here)",
        "14: addOns.a: `excludes` is left out (a catalog has no rules between add-ons; keep it where add-ons are sold)",
        "15: addOns.b.availableFor: for none of the plans; left out (an add-on without plans would be for any)",
        "15: addOns.b.availableFor: there is no plan `GOLD` (add it under `plans`, or take it out here)",
        "16: addOns.c.usageLimitsExtensions.uses: set and extended by one add-on (an add-on either sets a limit or extends it; it sets it here)",
        "16: addOns.c.usageLimitsExtensions.seats: an extension that cannot be added; left out (only numbers of zero or more add up, and only to numbers)",
    ];
    for (note, expected) in notes.iter().zip(expected) {
        assert_eq!(note, expected);
    }
    assert_eq!(notes.len(), expected.len(), "{notes:#?}");
    assert_eq!(has(&catalog, "PRO", "sso"), Setting::Bool(true));
    assert_eq!(catalog.features[0].default, text("maybe"));
    assert_eq!(has(&catalog, "PRO", "odd"), text("red"));
    assert_eq!(has(&catalog, "PRO", "bare"), Setting::Off);
    assert_eq!(has(&catalog, "PRO", "seats"), text("5"));
    assert_eq!(has(&catalog, "PRO", "uses"), Setting::Number(3));
    let addons: Vec<_> = catalog
        .addons
        .iter()
        .map(|a| (a.name.as_str(), a.plans.len()))
        .collect();
    assert_eq!(addons, [("a", 1), ("c", 0)]);
}

#[test]
fn numbers_that_no_limit_holds_are_text() {
    let (catalog, notes) = noted(
        "usageLimits:
  a: {valueType: NUMERIC, defaultValue: -1, type: NON_RENEWABLE}
  b: {valueType: NUMERIC, defaultValue: 1e30, type: NON_RENEWABLE}
  c: {valueType: NUMERIC, defaultValue: 1e-13, type: RENEWABLE, unit: x/month}
plans: {P: null}
",
    );
    assert_eq!(has(&catalog, "P", "a"), text("-1"));
    assert_eq!(
        has(&catalog, "P", "b"),
        text(&format!("1{}", "0".repeat(30)))
    );
    assert_eq!(has(&catalog, "P", "c"), text("0.0000000000001"));
    assert_eq!(
        notes,
        [
            "4: usageLimits.c: a number that no meter can hold (kept as a value, which does not refill)"
        ]
    );
}

#[test]
fn names_and_texts_that_yaml_would_misread_are_quoted() {
    let catalog = clean(
        "features: {\"on\": {valueType: TEXT, defaultValue: \"true\"}, \"15min: x\": {valueType: TEXT, defaultValue: \"a\\nb\"}}
plans: {\"null\": {description: 'it''s'}}
",
    );
    assert_eq!(has(&catalog, "null", "on"), text("true"));
    assert_eq!(has(&catalog, "null", "15min: x"), text("a\nb"));
}

#[test]
fn what_is_no_pricing_is_an_error() {
    let hint = "it has none of `features`, `usageLimits`, `plans`, `addOns`";
    assert_eq!(import(b"- a", "p").expect_err("no pricing")[0].hint, hint);
    assert_eq!(import(b"a: 1", "p").expect_err("no pricing")[0].hint, hint);
    assert!(import(b"a: [", "p").is_err());
    let many: String = (0..5_000)
        .map(|n| format!("  f{n}: {{valueType: BOOLEAN, defaultValue: true}}\n"))
        .collect();
    let problems = import(format!("features:\n{many}").as_bytes(), "p").expect_err("too many");
    assert_eq!(problems[0].message, "5000 features");
}
