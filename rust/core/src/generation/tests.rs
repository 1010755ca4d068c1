//! Generations: many keys, keys whose tags and places collide, full tables, damaged headers.

use super::layout::{HEADER_WORDS, field};
use super::*;
use crate::catalog::{
    Catalog, Cost, GrantKind, OrderKey, PlanGrant, Recurrence, Rollover, Span, Unit,
};
use crate::entry;
use crate::error::{Error, Result};
use crate::key::{Key, hash_bytes};
use crate::region::{HeapRegion, Region, Words};
use crate::resolve::Sources;
use crate::row::{self, Phase, RowKind};
use crate::sync::Ordering;
use crate::testing;

const SEED: u64 = 12_345;

fn empty(slots: usize, numbers: usize, heap_words: usize) -> Generation<HeapRegion> {
    formatted(&testing::plain_catalog(), slots, numbers, heap_words)
}

fn formatted(
    catalog: &Catalog,
    slots: usize,
    numbers: usize,
    heap_words: usize,
) -> Generation<HeapRegion> {
    let none = Sources::default();
    let defaults = entry::profile(catalog, |f| none.resolve(catalog, f, 0));
    let capacity = Capacity {
        slots,
        numbers,
        heap_words,
    };
    let plan = Plan::new(catalog, SEED, capacity).unwrap();
    Generation::format(HeapRegion::new(plan.words()), plan, 1, 2, 3, &defaults).unwrap()
}

fn put(g: &Generation<HeapRegion>, name: &[u8], number: u32) -> Result<()> {
    let key = Key::new(name).unwrap();
    let phase = Phase {
        until_ms: None,
        profile: 1,
        overlay: None,
    };
    let words = row::encode(
        RowKind::Customer,
        number,
        key,
        u64::from(number),
        &[],
        g.pools(),
        &[phase],
    )?;
    let place = g.append(&words)?;
    g.publish_number(number, place)?;
    g.publish(key, place)
}

fn number_of(g: &Generation<HeapRegion>, name: &[u8]) -> Option<u32> {
    let key = Key::new(name).unwrap();
    g.customer(key).unwrap().map(|row| row.number())
}

#[test]
fn every_one_of_many_keys_is_found_and_no_other() {
    let g = empty(4_600, 4_001, 40_000);
    for n in 1..=4_000u32 {
        put(&g, format!("customer-{n}").as_bytes(), n).unwrap();
    }
    assert_eq!(g.load_factor().unwrap(), (4_000, 4_600));
    for n in 1..=4_000u32 {
        assert_eq!(number_of(&g, format!("customer-{n}").as_bytes()), Some(n));
        assert_eq!(number_of(&g, format!("customer-{n}x").as_bytes()), None);
    }
}

/// Three keys whose tags are equal, in a table so small that they meet: the keys themselves decide.
#[test]
fn keys_with_the_same_tag_are_told_apart() {
    let tag = |name: &str| Key::new(name.as_bytes()).unwrap().hash(SEED) & 0xff_ffff;
    let mut by_tag = std::collections::HashMap::new();
    let pair = (0u32..)
        .find_map(|n| {
            let name = format!("k{n}");
            by_tag
                .insert(tag(&name), name.clone())
                .map(|other| (other, name))
        })
        .unwrap();
    let g = empty(4, 4, 400);
    put(&g, pair.0.as_bytes(), 1).unwrap();
    assert_eq!(
        number_of(&g, pair.1.as_bytes()),
        None,
        "the same tag is not the same key"
    );
    put(&g, pair.1.as_bytes(), 2).unwrap();
    assert_eq!(
        (
            number_of(&g, pair.0.as_bytes()),
            number_of(&g, pair.1.as_bytes())
        ),
        (Some(1), Some(2))
    );
    assert_eq!(g.load_factor().unwrap().0, 2);
    // Put again, each keeps its own slot.
    put(&g, pair.0.as_bytes(), 3).unwrap();
    assert_eq!(
        (
            number_of(&g, pair.0.as_bytes()),
            number_of(&g, pair.1.as_bytes())
        ),
        (Some(3), Some(2))
    );
    assert_eq!(g.load_factor().unwrap().0, 2);
}

#[test]
fn a_full_table_and_a_full_heap_are_errors() {
    let g = empty(2, 9, 400);
    put(&g, b"a", 1).unwrap();
    put(&g, b"b", 2).unwrap();
    assert!(matches!(put(&g, b"c", 3), Err(Error::Full(_))));
    assert!(
        matches!(put(&g, b"a", 9), Err(Error::Full(_))),
        "no room for that number"
    );
    let g = empty(9, 9, 40);
    let full = (1..9).find_map(|n| put(&g, &[b'a' + n as u8], n).err());
    assert!(matches!(full, Some(Error::Full(_))));
}

#[test]
fn features_pools_and_rates_are_found_by_name() {
    let g = empty(4, 4, 200);
    let catalog = testing::plain_catalog();
    for (i, f) in catalog.features.iter().enumerate() {
        assert_eq!(
            g.feature(Key::new(f.name.as_bytes()).unwrap()).unwrap(),
            Some(i)
        );
        let info = g.feature_info(i).unwrap();
        assert_eq!((info.kind, info.pool), (f.kind, f.pool));
        for r in &f.rates {
            assert_eq!(g.rate(info, r.quantity.as_bytes()).unwrap(), Some(r.cost));
        }
        assert_eq!(g.rate(info, b"unheard of").unwrap(), None);
        assert_eq!(g.quantities(info).unwrap().len(), f.rates.len());
    }
    assert_eq!(g.feature(Key::new(b"unheard of").unwrap()).unwrap(), None);
    for (i, p) in catalog.pools.iter().enumerate() {
        assert_eq!(g.pool_name(i).unwrap(), p.name);
        assert_eq!(
            g.pool_by_id(hash_bytes(p.name.as_bytes())).unwrap(),
            Some(i)
        );
    }
    assert!(g.feature_info(catalog.features.len()).is_err());
}

/// Every word of the header and of the catalog part, changed in three ways: refused, or without effect.
#[test]
fn a_damaged_header_is_refused() {
    let g = empty(4, 4, 100);
    let constant = (0..=field::CHECK).chain(HEADER_WORDS..g.slots_at);
    let words: Vec<u64> = (0..g.region.words())
        .map(|i| g.region.load(i, Ordering::Relaxed).unwrap())
        .collect();
    for at in constant {
        for change in [1, 1 << 63, u64::MAX] {
            let copy = HeapRegion::new(words.len());
            for (i, w) in words.iter().enumerate() {
                copy.store(i, *w, Ordering::Relaxed).unwrap();
            }
            copy.store(at, words[at] ^ change, Ordering::Relaxed)
                .unwrap();
            assert!(
                Generation::open(copy, 1, 2).is_err(),
                "word {at} changed by {change:x}"
            );
        }
    }
    // Cut short anywhere: refused, or its rows are out of reach.
    for len in 0..words.len() {
        let copy = HeapRegion::new(len);
        for (i, w) in words.iter().take(len).enumerate() {
            copy.store(i, *w, Ordering::Relaxed).unwrap();
        }
        if let Ok(g) = Generation::open(copy, 1, 2) {
            assert!(len >= g.heap_at);
        }
    }
}

#[test]
fn what_only_the_hub_reads_of_a_catalog_changes_no_word() {
    let plain = testing::plain_catalog();
    let mut told = plain.clone();
    for pool in &mut told.pools {
        pool.order = vec![OrderKey::Kind, OrderKey::ExpiresAt, OrderKey::Newest];
        pool.warn_at = vec![1, 50, 1_000];
    }
    let month = Span {
        count: 1,
        unit: Unit::Month,
    };
    let grant = PlanGrant {
        name: Some("monthly".into()),
        pool: 0,
        amount: 5,
        priority: -1,
        kind: GrantKind::TopUp,
        recurrence: Some(Recurrence {
            every: month,
            anchor: crate::catalog::Anchor::Calendar,
        }),
        expires_after: Some(month),
        rollover: Rollover {
            min: 1,
            max: 3,
            percent: 50,
            once: true,
        },
        cost: Some(Cost {
            amount: 1_999,
            currency: "USD".into(),
        }),
        existing: true,
        prorated: true,
    };
    for plan in &mut told.plans {
        plan.grants.push(grant.clone());
    }
    for addon in &mut told.addons {
        addon.sold = true;
    }
    assert!(!told.plans.is_empty() && !told.pools.is_empty());

    let words = |catalog: &Catalog| -> Vec<u64> {
        let g = formatted(catalog, 8, 8, 1_000);
        for plan in 0..catalog.plans.len() {
            let customer = Sources {
                plan: Some(plan),
                ..Sources::default()
            };
            g.append(&entry::profile(catalog, |f| {
                customer.resolve(catalog, f, 0)
            }))
            .unwrap();
        }
        (0..g.region.words())
            .map(|i| g.region.load(i, Ordering::Relaxed).unwrap())
            .collect()
    };
    assert_eq!(words(&plain), words(&told));
    // The comparison sees what rows do hold.
    told.pools[0].scale += 1;
    assert_ne!(words(&plain), words(&told));
}
