//! What the targets share: one small catalog with every kind of feature, and an owner's environment.

use std::path::PathBuf;

use fastcheck_core::Environment;
use fastcheck_core::catalog::{
    Addon, AddonSetting, Catalog, Feature, Kind, OrderKey, Plan, Policy, Pool, Rate, Setting,
    Staleness,
};

pub const NOW_MS: i64 = 1_800_000_000_000;

fn feature(name: &str, kind: Kind, default: Setting, pool: Option<usize>) -> Feature {
    let rate = |quantity: &str, cost| Rate {
        quantity: quantity.into(),
        cost,
    };
    Feature {
        name: name.into(),
        description: String::new(),
        kind,
        default,
        pool,
        rates: match kind {
            Kind::Meter => vec![rate("", 1)],
            Kind::Credit => vec![rate("", 3), rate("input", 2)],
            _ => vec![],
        },
        period: None,
        staleness: Staleness::default(),
    }
}

pub fn catalog() -> Catalog {
    let pool = |name: &str| Pool {
        name: name.into(),
        description: String::new(),
        scale: 6,
        policy: Policy::Hard,
        order: OrderKey::DEFAULT.into(),
        private: false,
        staleness: Staleness::default(),
        warn_at: Pool::WARN_AT_DEFAULT.into(),
    };
    Catalog {
        features: vec![
            feature("s", Kind::Switch, Setting::Off, None),
            feature("l", Kind::Limit, Setting::Number(1), None),
            feature("v", Kind::Value, Setting::Text("seven".into()), None),
            feature("m", Kind::Meter, Setting::Off, Some(0)),
            feature("c", Kind::Credit, Setting::Off, Some(1)),
        ],
        pools: vec![pool("m"), pool("p")],
        plans: vec![Plan {
            name: "x".into(),
            version: 1,
            entitlements: vec![
                (0, Setting::On),
                (1, Setting::Number(25)),
                (3, Setting::Number(100)),
                (4, Setting::On),
            ],
            grants: vec![],
            trial: None,
        }],
        addons: vec![Addon {
            name: "a".into(),
            entitlements: vec![
                (1, AddonSetting::Add(5)),
                (0, AddonSetting::Set(Setting::On)),
            ],
            grants: vec![],
            plans: vec![],
            max_quantity: Some(1000),
        }],
    }
}

pub fn environment() -> Environment {
    Environment {
        boot: 7,
        random: 0x5eed_5eed_5eed_5eed,
        pid: std::process::id(),
        now_ms: NOW_MS as u64,
        steady_ms: 1,
    }
}

/// A directory in memory, empty.
pub fn directory(name: &str) -> PathBuf {
    let dir = PathBuf::from(format!(
        "/dev/shm/fastcheck-fuzz-{name}-{}",
        std::process::id()
    ));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).expect("a directory in memory");
    dir
}
