//! What the tests share: random catalogs and customers, and the obvious way to say what an entry must hold.

use proptest::option;
use proptest::prelude::*;

use crate::catalog::{
    Addon, AddonSetting, Catalog, Feature, Form, Kind, OrderKey, Plan, Policy, Pool, Rate, Setting,
    Staleness,
};
use crate::check::{Clock, Freshness};
use crate::customer::{self, Customer, HeldAddon, Override, Trial};
use crate::entry::Value;
use crate::resolve::{Resolved, Sources};

/// When rows are made, in the tests.
pub(crate) const NOW_MS: i64 = 1_800_000_000_000;

/// Features of the test catalog: every kind, switches twice.
pub(crate) const FEATURES: [(&str, Kind); 6] = [
    ("export", Kind::Switch),
    ("sso", Kind::Switch),
    ("seats", Kind::Limit),
    ("retention", Kind::Value),
    ("api_calls", Kind::Meter),
    ("model", Kind::Credit),
];

#[test]
fn the_test_catalog_has_every_kind() {
    for kind in Kind::ALL {
        assert!(FEATURES.iter().any(|(_, one)| *one == kind), "no {kind:?}");
    }
}

pub(crate) const PLANS: [(&str, u32); 3] = [("free", 1), ("pro", 1), ("pro", 2)];
pub(crate) const ADDONS: [&str; 2] = ["pack", "boost"];
pub(crate) const POOLS: [&str; 2] = ["api_calls", "credits"];
/// The pool of `model`, and what a unit of it costs.
pub(crate) const CREDITS: &str = "credits";
pub(crate) const COST: u64 = 3;

pub(crate) struct At(pub(crate) i64);

impl Clock for At {
    fn now_ms(&self) -> u64 {
        self.0 as u64
    }
}

impl Freshness for At {
    fn unheard_ms(&self) -> u64 {
        0
    }
}

/// A setting that a feature of the kind may have.
pub(crate) fn setting(kind: Kind) -> BoxedStrategy<Setting> {
    match kind.form() {
        Form::OnOff => prop_oneof![Just(Setting::Off), Just(Setting::On)].boxed(),
        Form::Bound => prop_oneof![
            1 => Just(Setting::Off),
            1 => Just(Setting::Unlimited),
            4 => (0i64..40).prop_map(Setting::Number),
        ]
        .boxed(),
        Form::Value => prop_oneof![
            1 => Just(Setting::Off),
            3 => (-5i64..40).prop_map(Setting::Number),
            1 => "[a-zé]{0,20}".prop_map(Setting::Text),
            1 => any::<bool>().prop_map(Setting::Bool),
        ]
        .boxed(),
    }
}

fn entitlements() -> impl Strategy<Value = Vec<(usize, Setting)>> {
    FEATURES
        .iter()
        .map(|(_, kind)| option::of(setting(*kind)))
        .collect::<Vec<_>>()
        .prop_map(|all| {
            let given = all.into_iter().enumerate();
            given.filter_map(|(i, s)| Some((i, s?))).collect()
        })
}

fn addon_entitlements() -> impl Strategy<Value = Vec<(usize, AddonSetting)>> {
    FEATURES
        .iter()
        .map(|(_, kind)| {
            let set = setting(*kind).prop_map(AddonSetting::Set);
            option::of(match kind.form() {
                Form::Bound | Form::Value => {
                    prop_oneof![set, (-3i64..9).prop_map(AddonSetting::Add)].boxed()
                }
                Form::OnOff => set.boxed(),
            })
        })
        .collect::<Vec<_>>()
        .prop_map(|all| {
            let given = all.into_iter().enumerate();
            given.filter_map(|(i, s)| Some((i, s?))).collect()
        })
}

pub(crate) fn catalog() -> impl Strategy<Value = Catalog> {
    let defaults: Vec<_> = FEATURES.iter().map(|(_, kind)| setting(*kind)).collect();
    let plans = prop::collection::vec(entitlements(), PLANS.len());
    let addons = prop::collection::vec(addon_entitlements(), ADDONS.len());
    (defaults, plans, addons).prop_map(|(defaults, plans, addons)| Catalog {
        features: FEATURES
            .iter()
            .zip(defaults)
            .map(|((name, kind), default)| Feature {
                name: (*name).into(),
                description: String::new(),
                kind: *kind,
                default,
                pool: match kind {
                    Kind::Meter => Some(0),
                    Kind::Credit => Some(1),
                    _ => None,
                },
                rates: match kind {
                    Kind::Meter => vec![rate("", 1)],
                    Kind::Credit => vec![rate("", COST), rate("input", 2)],
                    _ => vec![],
                },
                period: None,
                staleness: Staleness::default(),
            })
            .collect(),
        pools: POOLS
            .iter()
            .map(|name| Pool {
                name: (*name).into(),
                description: String::new(),
                scale: 0,
                policy: Policy::Hard,
                order: OrderKey::DEFAULT.into(),
                private: *name == "api_calls",
                staleness: Staleness::default(),
                warn_at: Pool::WARN_AT_DEFAULT.into(),
            })
            .collect(),
        plans: PLANS
            .iter()
            .zip(plans)
            .map(|((name, version), entitlements)| Plan {
                name: (*name).into(),
                version: *version,
                entitlements,
                grants: vec![],
                trial: None,
            })
            .collect(),
        addons: ADDONS
            .iter()
            .zip(addons)
            .map(|(name, entitlements)| Addon {
                name: (*name).into(),
                entitlements,
                grants: vec![],
                plans: vec![],
                max_quantity: None,
                sold: false,
            })
            .collect(),
    })
}

fn rate(quantity: &str, cost: u64) -> Rate {
    Rate {
        quantity: quantity.into(),
        cost,
    }
}

/// A catalog that does not vary: `pro` has everything, `free` has nothing but the defaults, which are off.
pub(crate) fn plain_catalog() -> Catalog {
    let mut c = catalog()
        .new_tree(&mut proptest::test_runner::TestRunner::deterministic())
        .expect("a catalog")
        .current();
    for f in &mut c.features {
        f.default = Setting::Off;
    }
    let all = vec![
        (0, Setting::On),
        (1, Setting::On),
        (2, Setting::Number(25)),
        (3, Setting::Text("thirty days".into())),
        (4, Setting::Number(100)),
        (5, Setting::On),
    ];
    c.plans[0].entitlements.clear();
    c.plans[1].entitlements = all.clone();
    c.plans[2].entitlements = all;
    c.addons[0].entitlements = vec![(2, AddonSetting::Add(5))];
    c.addons[1].entitlements = vec![(0, AddonSetting::Set(Setting::On))];
    c
}

use proptest::strategy::ValueTree;

/// A customer that owns its names.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Record {
    pub(crate) number: u32,
    pub(crate) id: String,
    pub(crate) deleted: bool,
    pub(crate) plan: Option<(usize, bool)>,
    pub(crate) trial: Option<(usize, i64)>,
    pub(crate) addons: Vec<(usize, u32, Option<i64>)>,
    pub(crate) overrides: Vec<(usize, Setting, Option<i64>, Option<i64>)>,
    pub(crate) aliases: Vec<String>,
}

impl Record {
    pub(crate) fn plain(number: u32, id: &str, plan: usize) -> Record {
        Record {
            number,
            id: id.into(),
            deleted: false,
            plan: Some((plan, true)),
            trial: None,
            addons: vec![],
            overrides: vec![],
            aliases: vec![],
        }
    }

    pub(crate) fn customer(&self) -> Customer<'_> {
        Customer {
            number: self.number,
            id: &self.id,
            deleted: self.deleted,
            plan: self.plan.map(|(p, pinned)| {
                let (name, version) = PLANS[p];
                (name, pinned.then_some(version))
            }),
            since_ms: 0,
            addons: self
                .addons
                .iter()
                .map(|(a, quantity, until_ms)| HeldAddon {
                    name: ADDONS[*a],
                    quantity: *quantity,
                    until_ms: *until_ms,
                })
                .collect(),
            overrides: self
                .overrides
                .iter()
                .map(|(f, setting, starts_ms, ends_ms)| Override {
                    feature: FEATURES[*f].0,
                    setting: setting.clone(),
                    starts_ms: *starts_ms,
                    ends_ms: *ends_ms,
                })
                .collect(),
            aliases: self.aliases.iter().map(String::as_str).collect(),
            trial: self.trial.map(|(p, until_ms)| Trial {
                plan: PLANS[p].0,
                version: Some(PLANS[p].1),
                until_ms,
            }),
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        customer::tests::encode(&self.customer())
    }

    pub(crate) fn sources(&self, catalog: &Catalog) -> Sources {
        Sources::of(catalog, &self.customer()).expect("a record that fits its catalog")
    }
}

/// An instant near the time at which rows are made, before or after it.
fn instant() -> impl Strategy<Value = i64> {
    (-3i64..20).prop_map(|i| NOW_MS + i * 100)
}

/// A customer of the test catalogs, with names of its own.
pub(crate) fn record(number: u32) -> impl Strategy<Value = Record> {
    let override_ = (0..FEATURES.len()).prop_flat_map(|f| {
        (
            Just(f),
            setting(FEATURES[f].1),
            option::of(instant()),
            option::of(instant()),
        )
    });
    (
        option::of((0..PLANS.len(), any::<bool>())),
        option::of((0..PLANS.len(), instant())),
        prop::collection::vec((0..ADDONS.len(), 0u32..4, option::of(instant())), 0..4),
        prop::collection::vec(override_, 0..5),
        0usize..3,
    )
        .prop_map(move |(plan, trial, addons, overrides, aliases)| Record {
            number,
            id: format!("customer-{number}"),
            deleted: false,
            plan,
            trial,
            addons,
            overrides,
            aliases: (0..aliases)
                .map(|i| format!("alias:{number}:{i}"))
                .collect(),
        })
}

/// What an entry must hold, said the obvious way.
pub(crate) fn expected(kind: Kind, resolved: &Resolved) -> (bool, Value) {
    match (kind.form(), &resolved.setting) {
        (Form::OnOff, Setting::On) => (true, Value::None),
        (Form::OnOff, Setting::Off) => (false, Value::None),
        (Form::Bound, Setting::Off) => (false, Value::Number(0)),
        (Form::Bound, Setting::Unlimited) => (true, Value::Unlimited),
        (Form::Bound, Setting::Number(n)) => (*n > 0, Value::Number((*n).max(0))),
        (Form::Value, Setting::Off) => (false, Value::None),
        (Form::Value, Setting::Number(n)) => (true, Value::Number(*n)),
        (Form::Value, Setting::Text(t)) => (true, Value::Text(t.clone())),
        (Form::Value, Setting::Bool(b)) => (*b, Value::Bool(*b)),
        (_, setting) => panic!("a {} can't be {setting:?}", kind.as_str()),
    }
}
