//! What the owner's work costs: `cargo bench -p fastcheck-core --bench owner`.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

mod support;
use support::{NOW_MS, arena, open, record, snapshot};

const CUSTOMERS: u32 = 100_000;

fn put(c: &mut Criterion) {
    let (_dir, mut owner) = arena(CUSTOMERS);
    let records: Vec<Vec<u8>> = (2..1_002)
        .map(|n| record(n * 97, if n % 2 == 0 { "pro" } else { "free" }))
        .collect();
    let mut seq = 1;
    let mut group = c.benchmark_group("put");
    group.throughput(Throughput::Elements(1));
    group.bench_function("one row", |b| {
        b.iter(|| {
            seq += 1;
            owner.put(&records[seq as usize % records.len()], 1, seq, NOW_MS)
        });
    });
    let together = records.concat();
    group.throughput(Throughput::Elements(records.len() as u64));
    group.bench_function("1,000 rows at once", |b| {
        b.iter(|| {
            seq += 1;
            owner.put(&together, 1, seq, NOW_MS)
        });
    });
}

fn load(c: &mut Criterion) {
    let records = snapshot(CUSTOMERS);
    let mut group = c.benchmark_group("load");
    group.sample_size(10);
    group.throughput(Throughput::Elements(u64::from(CUSTOMERS)));
    group.bench_function("100,000 customers", |b| {
        b.iter_batched(
            || {
                let dir = tempfile::tempdir().expect("a temporary directory");
                let owner = open(&dir);
                (dir, owner)
            },
            |(dir, mut owner)| {
                owner
                    .load([&records[..]], 1, 1, NOW_MS)
                    .expect("well-formed records");
                (dir, owner) // Dropped outside of what is timed.
            },
            BatchSize::PerIteration,
        );
    });
}

criterion_group!(benches, put, load);
criterion_main!(benches);
