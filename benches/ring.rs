//! Making a ring, once per change of a weight, and taking turns on it, once per request.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

use tsuji::executor::{Cursor, Ring, ServerIndex};
use tsuji::model::Weight;

const SIZES: [u16; 3] = [10, 100, 1024];

/// Weights 1 to 20, as the manager gives them.
fn servers(count: u16) -> Vec<(ServerIndex, Weight)> {
    let weight = |index: u16| Weight::new(u64::from(index) % 20 + 1).expect("a weight");
    (0..count).map(|index| (ServerIndex(index), weight(index))).collect()
}

fn make(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ring/make");
    for count in SIZES {
        let servers = servers(count);
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| Ring::new(black_box(&servers), Cursor::default()));
        });
    }
    group.finish();
}

fn take(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ring/take");
    for count in SIZES {
        let ring = Ring::new(&servers(count), Cursor::default());
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| black_box(&ring).take(|_| true));
        });
    }
    group.finish();
}

/// The first choice was tried already: the next place that is not of the same server is looked for.
fn take_another(criterion: &mut Criterion) {
    let ring = Ring::new(&servers(10), Cursor::default());
    criterion.bench_function("ring/take another", |bencher| {
        bencher.iter(|| black_box(&ring).take(|server| server != ServerIndex(9)));
    });
}

criterion_group!(benches, make, take, take_another);
criterion_main!(benches);
