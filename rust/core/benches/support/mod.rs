//! An arena to measure on: two features, two plans, any number of customers.

#![allow(dead_code)] // Each benchmark uses a part.

use fastcheck_core::catalog::{
    Catalog, Feature, Kind, OrderKey, Plan, Policy, Pool, Rate, Setting, Staleness,
};
use fastcheck_core::{Clock, Environment, Freshness, Lease, NO_INSTANT, Owner};
use tempfile::TempDir;

pub const NOW_MS: i64 = 1_750_000_000_000;
pub const POOL: &str = "credits";
/// The customer with a lease.
pub const SPENDER: &str = "acme";

pub struct Fixed;

impl Clock for Fixed {
    fn now_ms(&self) -> u64 {
        NOW_MS as u64
    }
}

impl Freshness for Fixed {
    fn unheard_ms(&self) -> u64 {
        0
    }
}

fn feature(name: &str, kind: Kind, pool: Option<usize>, rates: Vec<Rate>) -> Feature {
    Feature {
        name: name.into(),
        description: String::new(),
        kind,
        default: Setting::Off,
        pool,
        rates,
        period: None,
        staleness: Staleness::default(),
    }
}

fn plan(name: &str, entitlements: Vec<(usize, Setting)>) -> Plan {
    Plan {
        name: name.into(),
        version: 1,
        entitlements,
        grants: Vec::new(),
        trial: None,
    }
}

pub fn catalog() -> Catalog {
    let rate = Rate {
        quantity: String::new(),
        cost: 1,
    };
    Catalog {
        features: vec![
            feature("export", Kind::Switch, None, Vec::new()),
            feature("gpt-4o", Kind::Credit, Some(0), vec![rate]),
        ],
        pools: vec![Pool {
            name: POOL.into(),
            description: String::new(),
            scale: 0,
            policy: Policy::Hard,
            order: OrderKey::DEFAULT.to_vec(),
            private: false,
            staleness: Staleness::default(),
            warn_at: Pool::WARN_AT_DEFAULT.into(),
        }],
        plans: vec![
            plan("free", Vec::new()),
            plan("pro", vec![(0, Setting::On), (1, Setting::On)]),
        ],
        addons: Vec::new(),
    }
}

pub fn name(number: u32) -> String {
    if number == 1 {
        SPENDER.into()
    } else {
        format!("cust_{number:06}")
    }
}

/// A customer's record, as `docs/wire.md` has it.
pub fn record(number: u32, plan: &str) -> Vec<u8> {
    use rmp::encode::{write_array_len, write_nil, write_str, write_uint};
    let mut out = Vec::new();
    let ok = "a Vec takes all that is written";
    write_array_len(&mut out, 10).expect(ok);
    write_uint(&mut out, number.into()).expect(ok);
    write_str(&mut out, &name(number)).expect(ok);
    write_uint(&mut out, 0).expect(ok);
    write_str(&mut out, plan).expect(ok);
    write_uint(&mut out, 1).expect(ok);
    write_uint(&mut out, 0).expect(ok);
    for _ in 0..3 {
        write_array_len(&mut out, 0).expect(ok);
    }
    write_nil(&mut out).expect(ok);
    out
}

/// The records of that many customers; every second one is on the plan pro, the spender too.
pub fn snapshot(customers: u32) -> Vec<u8> {
    (1..=customers)
        .flat_map(|n| record(n, if n % 2 == 1 { "pro" } else { "free" }))
        .collect()
}

pub fn open(dir: &TempDir) -> Owner {
    let env = Environment {
        boot: 1,
        random: 0x5eed,
        pid: std::process::id(),
        now_ms: NOW_MS as u64,
        steady_ms: 1,
    };
    Owner::open(dir.path(), catalog(), 7, env).expect("a fresh directory")
}

/// An arena of that many customers, its spender with a lease of nearly all that a cell can hold.
pub fn arena(customers: u32) -> (TempDir, Owner) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut owner = open(&dir);
    let records = snapshot(customers);
    owner
        .load([&records[..]], 1, 1, NOW_MS)
        .expect("well-formed records");
    let lease = Lease {
        number: 1,
        lease: 1,
        pool: 0,
        granted: 1 << 46,
        valid_until_ms: NO_INSTANT,
        full: true,
    };
    owner.open_cell(POOL, lease).expect("the first lease");
    (dir, owner)
}
