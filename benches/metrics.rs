//! How long a scrape takes, from counters to text.

mod support;

use std::hint::black_box;
use std::sync::Arc;
use std::time::SystemTime;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

use tsuji::metrics::{AccessLogReading, AffinityReading, ConfigurationReading, ProcessReading, Reading, encode};

fn scrape(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("metrics");
    group.sample_size(10);
    for (ports, servers) in [(1, 10), (100, 10), (1000, 10)] {
        let reading = Reading {
            table: Arc::new(support::forwarding_table(ports, servers)),
            reasons: support::REASONS.to_vec(),
            advisors: Vec::new(),
            configuration: ConfigurationReading::default(),
            certificates: Default::default(),
            affinity: AffinityReading::default(),
            pair: None,
            proxy: Vec::new(),
            commands: Vec::new(),
            scripts: Vec::new(),
            log_lines_dropped: 0,
            packets: None,
            access_logs: AccessLogReading::default(),
            alerts: 0,
            started: SystemTime::UNIX_EPOCH,
            version: env!("CARGO_PKG_VERSION"),
            process: ProcessReading::default(),
        };
        let name = BenchmarkId::from_parameter(format!("{ports} ports x {servers} servers"));
        group.bench_function(name, |bencher| bencher.iter(|| encode(black_box(&reading))));
    }
    group.finish();
}

criterion_group!(benches, scrape);
criterion_main!(benches);
