//! What a line of an access log costs: packed by the worker, made into text by the thread that writes.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};

use tsuji::accesslog::{End, Kind, Line, Lines, Record, Request, Server, Text, Upstream, Version, unpack};
use tsuji::model::{AccessLogFormat, AccessLogId};

fn line(format: AccessLogFormat) -> Line {
    Line {
        file: AccessLogId(0),
        format,
        kind: Kind::Http,
        began: 1_700_000_000_123_456,
        total: 1_234,
        connect: None,
        first_byte: Some(900),
        request: None,
        sent: 5_120,
        received: 0,
        status: 200,
        attempts: 1,
        error: None,
        end: End::Complete,
        upstream: Upstream::Reused,
        client: [192, 0, 2, 17].into(),
        peer: ([192, 0, 2, 17], 40_123).into(),
        port: 80,
    }
}

/// What a browser sends.
const TEXTS: [(Text, &str); 5] = [
    (Text::Method, "GET"),
    (Text::Target, "/products/4711/images/large.webp?v=20240131"),
    (Text::Host, "shop.example.com"),
    (Text::Referer, "https://shop.example.com/products/4711"),
    (Text::Agent, "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
];

fn fill(request: &mut Request) {
    request.clear();
    request.version = Version::Http11;
    for (text, value) in TEXTS {
        request.put(text, &[value.as_bytes()]);
    }
}

fn bench(c: &mut Criterion) {
    let mut request = Request::default();
    fill(&mut request);
    let server = Server { name: b"w1", address: ([10, 0, 0, 21], 9080).into() };
    let mut buffer = Vec::with_capacity(64 * 1024);
    c.bench_function("access_log/take_texts", |b| b.iter(|| fill(black_box(&mut request))));
    c.bench_function("access_log/pack", |b| {
        b.iter(|| {
            if buffer.len() > 60 * 1024 {
                buffer.clear();
            }
            Record::new(black_box(line(AccessLogFormat::Combined)), b"shop", Some(server), black_box(&request))
                .pack(&mut buffer);
        });
    });
    for format in [AccessLogFormat::Combined, AccessLogFormat::Json] {
        let mut packed = Vec::new();
        Record::new(line(format), b"shop", Some(server), &request).pack(&mut packed);
        let (mut lines, mut out) = (Lines::new(Box::new(|_| 3600)), Vec::with_capacity(256 * 1024));
        c.bench_function(&format!("access_log/line_{}", format.word()), |b| {
            b.iter(|| {
                if out.len() > 250 * 1024 {
                    out.clear();
                }
                unpack(black_box(&packed)).for_each(|record| lines.write(&mut out, &record));
            });
        });
        c.bench_function(&format!("access_log/both_{}", format.word()), |b| {
            b.iter(|| {
                if out.len() > 250 * 1024 {
                    out.clear();
                }
                buffer.clear();
                fill(&mut request);
                Record::new(black_box(line(format)), b"shop", Some(server), black_box(&request)).pack(&mut buffer);
                unpack(black_box(&buffer)).for_each(|record| lines.write(&mut out, &record));
            });
        });
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
