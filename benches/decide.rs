//! Choosing a server, alone and with company.

mod support;

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

use support::Site;
use tsuji::executor::{
    Ask, Decision, GroupIndex, Moment, PortTable, RequestAsk, RequestView, Session, Tried, Turn, decide,
};
use tsuji::message::Canonical;
use tsuji::model::{Balance, Evaluate, HourRange, NumberRange, RuleType};

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7));

fn ask(port: &PortTable, session: &mut Session, tried: &Tried, moment: Moment) -> Decision {
    decide(port, &mut Ask { client: CLIENT, request: None, session, tried, turn: Turn::Take }, moment)
}

fn moment() -> Moment {
    Moment { now: Instant::now(), hour: 12 }
}

/// Every request is of a client that nobody remembers.
fn without_affinity(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decide/round robin");
    for servers in [10, 100] {
        let port = Site::with_servers(servers).table();
        let (tried, moment) = (Tried::default(), moment());
        group.bench_function(BenchmarkId::from_parameter(servers), |bencher| {
            bencher.iter(|| ask(black_box(&port), &mut Session::default(), &tried, moment));
        });
    }
    group.finish();
}

/// The second and later requests of one connection: it remembers its server itself.
fn with_a_session(criterion: &mut Criterion) {
    let port = Site::with_servers(10).sticky().table();
    let (mut session, tried, moment) = (Session::default(), Tried::default(), moment());
    ask(&port, &mut session, &tried, moment);
    criterion.bench_function("decide/affinity of the connection", |bencher| {
        bencher.iter(|| ask(black_box(&port), &mut session, &tried, moment));
    });
}

/// The first request of a new connection of a known client: the shared table is asked, and its record renewed.
fn with_the_shared_table(criterion: &mut Criterion) {
    let port = Site::with_servers(10).sticky().table();
    let (tried, moment) = (Tried::default(), moment());
    ask(&port, &mut Session::default(), &tried, moment);
    criterion.bench_function("decide/affinity of the shared table", |bencher| {
        bencher.iter(|| ask(black_box(&port), &mut Session::default(), &tried, moment));
    });
}

/// A request whose session cookie names one of many servers, as a browser sends it; and one with two clone ids of which the
/// first server is gone.
fn with_a_cookie(criterion: &mut Criterion) {
    let mut site = Site::with_servers(100);
    for (number, server) in site.port.servers.iter_mut().enumerate() {
        server.proxied.clone_id = Some(format!("10j0tob{number:02}"));
    }
    let port = site.table();
    let (tried, moment) = (Tried::default(), moment());
    let cookies = [
        ("one clone id", "basket=3; theme=dark; JSESSIONID=0001eCtUKo0_Kj5BWGsW5UoLVpz:10j0tob77; consent=yes"),
        ("failed over", "basket=3; theme=dark; JSESSIONID=0001eCtUKo0_Kj5BWGsW5UoLVpz:10j0gone:10j0tob77; consent=yes"),
        ("no session", "basket=3; theme=dark; consent=yes"),
    ];
    for (name, cookie) in cookies {
        let request = http::Request::get("/shop/cart?item=3").header("cookie", cookie).header("host", "shop.example");
        let (head, ()) = request.body(()).expect("a request").into_parts();
        let canonical = Canonical::of(&head.uri, 80).expect("a path");
        let (method, uri, fields) = (&head.method, &head.uri, &head.headers);
        let view = RequestView { method, uri, version: head.version, fields, canonical: &canonical };
        let request = Some(RequestAsk { view, group: GroupIndex::PORT, route: None });
        criterion.bench_function(&format!("decide/cookie, 100 servers, {name}"), |bencher| {
            bencher.iter(|| {
                let session = &mut Session::default();
                decide(
                    black_box(&port),
                    &mut Ask { client: CLIENT, request, session, tried: &tried, turn: Turn::Take },
                    moment,
                )
            });
        });
    }
}

/// The balances that look at every candidate, and those that do not.
fn with_other_balances(criterion: &mut Criterion) {
    for balance in Balance::ALL {
        let mut site = Site::with_servers(100);
        site.port.policy.balance = balance;
        let port = site.table();
        let (tried, moment) = (Tried::default(), moment());
        criterion.bench_function(&format!("decide/100 servers, {}", balance.word()), |bencher| {
            bencher.iter(|| ask(black_box(&port), &mut Session::default(), &tried, moment));
        });
    }
}

/// Two rules that are not true, then one that is.
fn with_rules(criterion: &mut Criterion) {
    let night = RuleType::Time(HourRange { begin: 22, end: 6 });
    let busy = RuleType::Active { range: NumberRange { begin: 100, end: 1000 }, evaluate: Evaluate::Port };
    let site = Site::with_servers(10).rule("night", night).rule("busy", busy).rule("normal", RuleType::True);
    let port = site.table();
    let (tried, moment) = (Tried::default(), moment());
    criterion.bench_function("decide/three rules", |bencher| {
        bencher.iter(|| ask(black_box(&port), &mut Session::default(), &tried, moment));
    });
}

/// Another worker takes turns on the same ring all the time: the price of exactness over all workers.
fn against_another_worker(criterion: &mut Criterion) {
    let port = Site::with_servers(10).table();
    let (tried, moment, done) = (Tried::default(), moment(), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                black_box(ask(&port, &mut Session::default(), &tried, moment));
            }
        });
        criterion.bench_function("decide/two workers on one ring", |bencher| {
            bencher.iter(|| ask(black_box(&port), &mut Session::default(), &tried, moment));
        });
        done.store(true, Ordering::Relaxed);
    });
}

criterion_group!(
    benches,
    without_affinity,
    with_a_session,
    with_the_shared_table,
    with_a_cookie,
    with_other_balances,
    with_rules,
    against_another_worker
);
criterion_main!(benches);
