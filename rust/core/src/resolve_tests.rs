//! The laws of the resolver, over random catalogs and customers.

use proptest::prelude::*;

use super::*;
use crate::testing::{self, FEATURES, NOW_MS, Record};

fn catalog_and_record() -> impl Strategy<Value = (Catalog, Record, i64)> {
    (testing::catalog(), testing::record(1), -400i64..2_100)
        .prop_map(|(c, r, after)| (c, r, NOW_MS + after))
}

fn number(setting: &Setting) -> Option<i64> {
    match setting {
        Setting::Number(n) => Some(*n),
        Setting::Off => Some(0),
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Of several active overrides, the one put last decides; nothing else counts.
    #[test]
    fn an_active_override_decides_alone((catalog, record, at) in catalog_and_record()) {
        let sources = record.sources(&catalog);
        for feature in 0..FEATURES.len() {
            let active = |(f, _, starts, ends): &&(usize, Setting, Option<i64>, Option<i64>)| {
                *f == feature && starts.is_none_or(|t| t <= at) && ends.is_none_or(|t| at < t)
            };
            if let Some(last) = sources.overrides.iter().rfind(active) {
                let resolved = sources.resolve(&catalog, feature, at);
                prop_assert_eq!((&resolved.setting, resolved.source), (&last.1, Source::Override));
            }
        }
    }

    /// Between two neighbouring boundaries nothing changes.
    #[test]
    fn answers_change_at_boundaries_only((catalog, record, at) in catalog_and_record(), later in 0i64..2_000) {
        let sources = record.sources(&catalog);
        if !sources.boundaries().iter().any(|t| at < *t && *t <= at + later) {
            for feature in 0..FEATURES.len() {
                prop_assert_eq!(
                    sources.resolve(&catalog, feature, at),
                    sources.resolve(&catalog, feature, at + later)
                );
            }
        }
    }

    /// One more source never takes anything away, but an override, and a negative addition.
    #[test]
    fn a_source_more_is_never_less((catalog, record, at) in catalog_and_record(), plan in 0usize..3) {
        let mut without = record.clone();
        without.overrides.clear();
        without.trial = None;
        let mut with = without.clone();
        with.trial = Some((plan, i64::MAX));
        for (feature, (_, kind)) in FEATURES.iter().enumerate() {
            let less = without.sources(&catalog).consider(&catalog, feature, at);
            // The default speaks only where nobody else does, so a first source may well be less than it.
            if less.iter().all(|c| !c.active || c.adds || c.source == Source::Default) {
                continue;
            }
            let a = without.sources(&catalog).resolve(&catalog, feature, at).setting;
            let b = with.sources(&catalog).resolve(&catalog, feature, at).setting;
            match kind.form() {
                Form::OnOff => prop_assert!(a != Setting::On || b == Setting::On),
                Form::Bound => prop_assert!(
                    b == Setting::Unlimited || (a != Setting::Unlimited && number(&b) >= number(&a)),
                    "{:?} became {:?}", a, b
                ),
                Form::Value => {}
            }
        }
    }

    /// The most generous base, and on top of it the sum of what active add-ons add, per unit.
    #[test]
    fn numbers_are_the_largest_base_plus_what_is_added((catalog, mut record, at) in catalog_and_record()) {
        record.overrides.clear();
        let sources = record.sources(&catalog);
        for feature in [2, 4] {
            let (mut bases, mut added) = (Vec::new(), 0);
            let mut plans: Vec<usize> = sources.plan.into_iter().collect();
            plans.extend(sources.trial.filter(|t| at < t.1).map(|t| t.0));
            for plan in plans {
                let all = catalog.plans[plan].entitlements.iter();
                bases.extend(all.filter(|e| e.0 == feature).map(|e| e.1.clone()));
            }
            for (addon, quantity, until) in &sources.addons {
                if *quantity == 0 || until.is_some_and(|t| at >= t) {
                    continue;
                }
                for (f, setting) in &catalog.addons[*addon].entitlements {
                    match setting {
                        _ if *f != feature => {}
                        AddonSetting::Add(n) => added += n * i64::from(*quantity),
                        AddonSetting::Set(s) => bases.push(s.clone()),
                    }
                }
            }
            if bases.is_empty() {
                bases.push(catalog.features[feature].default.clone());
            }
            let resolved = sources.resolve(&catalog, feature, at).setting;
            if bases.contains(&Setting::Unlimited) {
                prop_assert_eq!(resolved, Setting::Unlimited);
            } else {
                let base = bases.iter().filter_map(number).max().unwrap();
                prop_assert_eq!(number(&resolved), Some(base + added));
            }
        }
    }

    /// `explain` and the answer agree: exactly what is marked won makes the answer.
    #[test]
    fn winners_are_active_and_one_of_them_is_the_base((catalog, record, at) in catalog_and_record()) {
        let sources = record.sources(&catalog);
        for feature in 0..FEATURES.len() {
            let all = sources.consider(&catalog, feature, at);
            prop_assert!(all.iter().all(|c| c.active || !c.won));
            prop_assert_eq!(all.iter().filter(|c| c.won && !c.adds).count(), 1);
            prop_assert!(all.windows(2).all(|w| w[0].source <= w[1].source));
            let resolved = sources.resolve(&catalog, feature, at);
            prop_assert!(all.iter().any(|c| c.won && c.source == resolved.source));
        }
    }

    /// Who has nothing has the default.
    #[test]
    fn the_default_speaks_only_alone(catalog in testing::catalog()) {
        let nobody = Sources::default();
        for feature in 0..FEATURES.len() {
            let resolved = nobody.resolve(&catalog, feature, NOW_MS);
            prop_assert_eq!(&resolved.setting, &catalog.features[feature].default);
            prop_assert_eq!(resolved.source, Source::Default);
        }
    }
}

#[test]
fn an_end_is_exclusive_and_a_start_inclusive() {
    let catalog = testing::plain_catalog();
    let mut record = Record::plain(1, "acme", 0);
    record.overrides = vec![(0, Setting::On, Some(100), Some(200))];
    record.trial = Some((1, 200));
    let sources = record.sources(&catalog);
    let at = |feature, t| sources.resolve(&catalog, feature, t);
    assert_eq!(at(1, 199).source, Source::Trial);
    assert_eq!(at(1, 200).setting, Setting::Off);
    assert_eq!(
        [99, 100, 199, 200].map(|t| at(0, t).source == Source::Override),
        [false, true, true, false]
    );
    assert_eq!(sources.boundaries(), [100, 200]);
}

#[test]
fn names_that_the_catalog_lacks_are_refused_by_name() {
    let catalog = testing::plain_catalog();
    let record = Record::plain(1, "acme", 1);
    let refused = |change: &dyn Fn(&mut Customer<'_>)| {
        let mut c = record.customer();
        change(&mut c);
        match Sources::of(&catalog, &c) {
            Err(Error::Invalid(what)) => what,
            other => panic!("not refused: {other:?}"),
        }
    };
    assert!(refused(&|c| c.plan = Some(("gone", None))).contains("\"gone\""));
    assert!(refused(&|c| c.plan = Some(("pro", Some(9)))).contains("version 9"));
    assert!(
        refused(&|c| c.addons.push(crate::customer::HeldAddon {
            name: "nope",
            quantity: 1,
            until_ms: None
        }))
        .contains("\"nope\"")
    );
    let unfit = crate::customer::Override {
        feature: "seats",
        setting: Setting::On,
        starts_ms: None,
        ends_ms: None,
    };
    assert!(refused(&|c| c.overrides.push(unfit.clone())).contains("limit"));
}
