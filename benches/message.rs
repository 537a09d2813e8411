//! What reading and rewriting heads costs: the part of a request's price that this room is answerable for.

use std::hint::black_box;
use std::net::SocketAddr;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http::{Request, Response, request, response};
use tsuji::message::{
    Canonical, ClientView, ConnectionFacts, Proto, Upgrade, client_address, examine_request, examine_response,
    prepare_request, strip_response,
};
use tsuji::model::{ForwardedHeaders, Network};

/// Fields that a map has room for after some exchanges.
const SETTLED: usize = 20;

/// What a browser sends for a page, ten fields.
fn browser_request() -> request::Parts {
    let request = Request::get("/shop/cart?item=4711&color=blue")
        .header("host", "shop.example")
        .header("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
        .header("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
        .header("accept-language", "en-US,en;q=0.5")
        .header("accept-encoding", "gzip, deflate, br, zstd")
        .header("referer", "https://shop.example/")
        .header("cookie", "JSESSIONID=0000pFNkMUYq8m2mRkR0fVJ8xmP:10j0tobbm; theme=dark")
        .header("cache-control", "max-age=0")
        .header("upgrade-insecure-requests", "1")
        .header("connection", "keep-alive");
    let mut head = request.body(()).expect("a request").into_parts().0;
    // hyper hands its maps from one head to the next, so all of them have grown after the first few.
    head.headers.reserve(SETTLED);
    head
}

fn server_response() -> response::Parts {
    let response = Response::builder()
        .header("date", "Sun, 22 Nov 2026 12:00:00 GMT")
        .header("server", "Apache")
        .header("content-type", "text/html; charset=utf-8")
        .header("content-length", "5120")
        .header("cache-control", "private")
        .header("set-cookie", "a=b; Path=/; HttpOnly")
        .header("keep-alive", "timeout=5")
        .header("connection", "keep-alive");
    response.body(()).expect("a response").into_parts().0
}

fn requests(criterion: &mut Criterion) {
    let peer = SocketAddr::from(([203, 0, 113, 9], 40000));
    let connection = ConnectionFacts::new(peer.ip(), SocketAddr::from(([192, 0, 2, 10], 80)), Proto::Http);
    let trusted: Vec<Network> = vec!["10.0.0.0/8".parse().expect("a network")];
    let upgrade = vec!["websocket".to_owned()];
    let mut group = criterion.benchmark_group("request of ten fields");
    let head = browser_request();
    group.bench_function("examine", |bench| bench.iter(|| examine_request(black_box(&head))));
    for (name, forwarded) in [("x-forwarded", ForwardedHeaders::XForwarded), ("both", ForwardedHeaders::Both)] {
        let view = ClientView { connection: &connection, trusted: &trusted, forwarded };
        group.bench_function(format!("examine and prepare, {name}"), |bench| {
            bench.iter_batched_ref(
                browser_request,
                |head| {
                    let facts = examine_request(head).expect("clean");
                    let upgrade = Upgrade::asked(head, &facts, &upgrade);
                    let client = client_address(&view, &head.headers);
                    prepare_request(head, &facts, &view, upgrade.as_ref());
                    client
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn responses(criterion: &mut Criterion) {
    criterion.bench_function("response of eight fields, examine and strip", |bench| {
        bench.iter_batched_ref(
            server_response,
            |head| {
                let facts = examine_response(head, None).expect("clean");
                strip_response(&mut head.headers, &facts);
            },
            BatchSize::SmallInput,
        );
    });
}

/// What all who judge a request look at: most need no more than a look.
fn spellings(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("message/canonical");
    for (name, path) in [("plain", "/shop/cart/items/4711"), ("spelled otherwise", "/shop/%63art/./items;v=1/4711")] {
        let mut head = browser_request();
        head.uri = path.parse().expect("a path");
        group.bench_function(format!("path, {name}"), |bencher| {
            bencher.iter(|| Canonical::of(black_box(&head.uri), 80).map(|canonical| canonical.path(&head.uri).len()));
        });
    }
    let (head, known) = (browser_request(), Canonical::new(None, 80));
    group.bench_function("host, first asked", |bencher| {
        bencher.iter(|| Canonical::new(None, 80).host(black_box(&head.uri), &head.headers).len());
    });
    group.bench_function("host, asked again", |bencher| {
        bencher.iter(|| known.host(black_box(&head.uri), &head.headers).len());
    });
}

criterion_group!(benches, requests, responses, spellings);
criterion_main!(benches);
