//! What a call costs below any binding: `cargo bench -p fastcheck-core --bench calls`.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fastcheck_core::parts::{CELL_BITS, Reserve, check_named, find};
use fastcheck_core::{Answer, Ask, Cells, Found, Holder, Settle, View, check_numbers, spend};

mod support;
use support::{Fixed, SPENDER, arena};

const CUSTOMERS: u32 = 1_000_000;
const HOT: u32 = 1_000;
const GPT: &[u8] = b"gpt-4o";

const EXPORT: &[u8] = b"export";

fn found(view: &View, feature: &[u8]) -> Found {
    find(&view.rows, SPENDER.as_bytes(), feature, &Fixed)
        .expect("sound rows")
        .expect("a feature of the catalog")
}

fn one(c: &mut Criterion) {
    let (dir, _owner) = arena(HOT);
    let view = View::attach(dir.path()).expect("an arena");
    let cells = &*view.cells;
    let check = |customer: &str| {
        check_named(
            &view.rows,
            cells,
            black_box(customer.as_bytes()),
            black_box(EXPORT),
            &Fixed,
        )
    };
    assert_eq!(check(SPENDER), Ok(Answer::Allowed));
    assert_eq!(check("cust_000002"), Ok(Answer::NotEntitled));
    c.bench_function("check by key, true", |b| b.iter(|| check(SPENDER)));
    c.bench_function("check by key, false", |b| b.iter(|| check("cust_000002")));
    c.bench_function("check by key, nobody", |b| b.iter(|| check("nobody")));

    let burn = || {
        let found = find(&view.rows, black_box(SPENDER.as_bytes()), GPT, &Fixed)?;
        match found {
            Some(found) => found.burn(&view.rows, cells, black_box(1), &Fixed),
            None => Ok(Answer::UnknownFeature),
        }
    };
    assert_eq!(burn(), Ok(Answer::Allowed));
    c.bench_function("burn by key", |b| b.iter(burn));

    let spend = spend(
        &view.rows,
        found(&view, GPT).row.expect("the spender's row"),
        found(&view, GPT).feature,
    );
    let spend = spend.expect("a lease");
    c.bench_function("burn, all found before", |b| {
        b.iter(|| spend.burn(cells, black_box(1), &Fixed))
    });
}

fn hold(c: &mut Criterion) {
    let (dir, _owner) = arena(HOT);
    let view = View::attach(dir.path()).expect("an arena");
    let lease = found(&view, GPT).lease(&view.rows).expect("sound rows");
    let lease = lease.expect("a lease");
    let segment = view
        .cells
        .get(lease.cell as usize >> CELL_BITS)
        .expect("the first cells file");
    let cell = view.cells.cell(lease.cell).expect("the lease's cell");
    let table = segment.holds().expect("hold slots");
    let mut ask = Ask {
        lease: lease.identity,
        pool: 0,
        amount: 12,
        ends_at_ms: u64::MAX,
        holder: Holder {
            pid: std::process::id(),
            started: 1,
        },
        near: 0,
    };
    c.bench_function("reserve + commit", |b| {
        b.iter(|| {
            let Ok(Reserve::Held(hold)) = table.reserve(&cell, &ask, || 0) else {
                panic!("nothing is left to reserve");
            };
            ask.near = hold.near();
            assert_eq!(table.commit(hold, black_box(7)), Ok(Settle::Done));
        });
    });
}

fn batch(c: &mut Criterion) {
    let mut group = c.benchmark_group("check_numbers, per customer");
    for (what, customers) in [("hot, 1,000", HOT), ("random, 1,000,000", CUSTOMERS)] {
        let (dir, _owner) = arena(customers);
        let view = View::attach(dir.path()).expect("an arena");
        let feature = found(&view, EXPORT).feature;
        // A walk in steps of a large prime meets every number once, far from the one before.
        let number = |i: usize| 1 + (i as u64 * 2_654_435_761 % u64::from(customers)) as u32;
        let (mut allowed, count) = (0, customers as usize);
        group.throughput(Throughput::Elements(count as u64));
        group.sample_size(if customers > HOT { 20 } else { 100 });
        group.bench_function(what, |b| {
            b.iter(|| {
                allowed = 0;
                check_numbers(
                    &view.rows,
                    &*view.cells,
                    feature,
                    count,
                    number,
                    &Fixed,
                    |_, answer| allowed += usize::from(answer.allowed()),
                )
            });
        });
        assert_eq!(allowed, count.div_ceil(2));
    }
}

criterion_group!(benches, one, hold, batch);
criterion_main!(benches);
