//! What an upload costs beyond the network and the disk, at 100,000 entries.

#![expect(
    clippy::expect_used,
    reason = "a bench that cannot make its registry measures nothing"
)]

#[path = "../tests/synthetic/mod.rs"]
mod synthetic;

use std::sync::LazyLock;

use divan::Bencher;
use divan::counter::ItemsCount;
use registry::reconcile::Index;
use registry::{Base, Hit, Mode, Quota, Registry, read_document};

const ENTRIES: usize = 100_000;

static FULL: LazyLock<Registry> =
    LazyLock::new(|| grown(Registry::new(Base::default(), Mode::default()), 0..ENTRIES));

fn main() {
    divan::main();
}

fn hits(document: &str) -> Vec<Hit> {
    read_document(document.as_bytes(), &Base::default()).expect("the document is JSON")
}

fn grown(mut registry: Registry, numbers: std::ops::Range<usize>) -> Registry {
    let delta = registry.merge(hits(&synthetic::document(numbers)), &Quota::NONE);
    registry.apply(&delta.expect("there is no quota"));
    registry
}

/// From bytes to hits: 32 MB of JSON.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn read_100k_records(bencher: Bencher<'_, '_>) {
    let document = synthetic::document(0..ENTRIES);
    bencher
        .counter(ItemsCount::new(ENTRIES))
        .bench_local(|| hits(&document).len());
}

/// From hits to a registry, without a seal.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn merge_100k_fresh(bencher: Bencher<'_, '_>) {
    let read = hits(&synthetic::document(0..ENTRIES));
    bencher
        .counter(ItemsCount::new(ENTRIES))
        .with_inputs(|| {
            (
                Registry::new(Base::default(), Mode::default()),
                read.clone(),
            )
        })
        .bench_local_values(|(mut registry, read)| {
            let delta = registry
                .merge(read, &Quota::NONE)
                .expect("there is no quota");
            registry.apply(&delta);
            registry
        });
}

/// One new record beside 100,000, from its bytes to a snapshot.
#[divan::bench(sample_count = 50, sample_size = 1)]
fn one_new_at_100k(bencher: Bencher<'_, '_>) {
    let mut registry = FULL.clone();
    let mut number = ENTRIES;
    bencher.bench_local(|| {
        number += 1;
        let read = hits(&synthetic::document(number..number + 1));
        let delta = registry
            .merge(read, &Quota::NONE)
            .expect("there is no quota");
        registry.apply(&delta);
        registry.snapshot()
    });
}

/// 200 records that are all known, from their bytes.
#[divan::bench(sample_count = 100, sample_size = 1)]
fn duplicates_200_at_100k(bencher: Bencher<'_, '_>) {
    let document = synthetic::document(4_000..4_200);
    bencher.bench_local(|| {
        let delta = FULL
            .merge(hits(&document), &Quota::NONE)
            .expect("there is no quota");
        assert!(delta.is_empty());
    });
}

/// The seal of 100,000 entries, 15.5 MB of URLs, after one more.
#[divan::bench(sample_count = 20, sample_size = 1)]
fn seal_of_100k(bencher: Bencher<'_, '_>) {
    let mut registry = FULL.clone();
    let mut number = ENTRIES;
    let _ = registry.snapshot().seal();
    let one_more = || {
        number += 1;
        registry = grown(registry.clone(), number..number + 1);
        registry.snapshot()
    };
    bencher
        .with_inputs(one_more)
        .bench_local_values(|now| now.seal());
}

/// What the first reconciliation with a snapshot costs.
#[divan::bench(sample_count = 10, sample_size = 1)]
fn index_of_100k(bencher: Bencher<'_, '_>) {
    let now = FULL.snapshot();
    bencher.bench_local(|| Index::new(now.list()));
}
