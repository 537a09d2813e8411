//! A large site, 1,000 ports of 10 servers each: loading it, and how long a change of one weight takes from the
//! command until the workers' table is published; and for 200 `mac` ports of 20 servers each, until it is in the packets'
//! tables.

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use tsuji::config::{Change, Document, split_words};
use tsuji::datapath::xdp::load::Sizes;
use tsuji::datapath::xdp::tables::Tables;
use tsuji::datapath::xdp::writer::{NextHops, Writer};
use tsuji::dispatcher::{Action, Dispatcher, Event, Plan, Resources};
use tsuji::message::SorrySite;
use tsuji::packet::compile::Compiler;

const CLUSTERS: usize = 10;
const PORTS: usize = 100;
const SERVERS: usize = 10;

fn text(ports: usize, method: &str, servers: usize) -> String {
    let mut text = String::from("[metrics]\nlisten = \"\"\n");
    for cluster in 0..CLUSTERS {
        let _ = write!(text, "[[cluster]]\nname = \"c{cluster}\"\naddress = \"192.0.2.{}\"\n", cluster + 1);
        for port in 1..=ports {
            let _ = write!(text, "[[cluster.port]]\nnumber = {port}\nmethod = {method}\n");
            for server in 0..servers {
                let _ = write!(
                    text,
                    "[[cluster.port.server]]\nname = \"w{server}\"\naddress = \"198.51.100.{}\"\n",
                    server + 1
                );
            }
        }
    }
    text
}

fn resources(plan: &Plan) -> Resources {
    let page =
        |page: &tsuji::model::SorryPage| (page.clone(), Arc::new(SorrySite::built_in(page).expect("a built-in page")));
    Resources { sorry: plan.needs.sorry.iter().map(page).collect(), ..Resources::default() }
}

fn adopt(dispatcher: &mut Dispatcher, plan: Plan, now: Instant) {
    let resources = resources(&plan);
    dispatcher.adopt(plan, &resources, now);
}

fn load(text: &str, now: Instant) -> Dispatcher {
    let document = Document::parse(text, "large.toml").expect("no faults");
    let mut dispatcher = Dispatcher::new(2, 1, tsuji::executor::CookieKey::new(&[7; 32]), now);
    let plan = dispatcher.plan_file(document, "large.toml").expect("no faults");
    adopt(&mut dispatcher, plan, now);
    dispatcher
}

fn published(dispatcher: &mut Dispatcher) -> bool {
    let mut published = false;
    while let Some(action) = dispatcher.poll_action() {
        published |= matches!(action, Action::Publish(_));
    }
    published
}

fn weight(dispatcher: &mut Dispatcher, server: &str, weight: u64, now: Instant) {
    let words = split_words(&format!("server set {server} weight {weight}")).expect("plain words");
    let change = Change::parse(&words).expect("a command").expect("a change");
    let plan = dispatcher.plan_change(&change).expect("no faults");
    adopt(dispatcher, plan, now);
    assert!(published(dispatcher), "the workers got it");
}

fn scale(criterion: &mut Criterion) {
    let (text, now) = (text(PORTS, "\"http\"", SERVERS), Instant::now());
    criterion.bench_function("load 1,000 ports of 10 servers", |bencher| bencher.iter(|| load(black_box(&text), now)));
    let mut dispatcher = load(&text, now);
    published(&mut dispatcher);
    let mut turn = 0;
    criterion.bench_function("a weight by command, 1,000 ports of 10 servers", |bencher| {
        bencher.iter(|| {
            turn += 1;
            weight(&mut dispatcher, "c5:50:w5", 1 + turn % 20, now);
        });
    });
    let mut clock = now;
    criterion.bench_function("a second of the heart, 1,000 ports of 10 servers", |bencher| {
        bencher.iter(|| {
            clock += Duration::from_secs(1);
            dispatcher.handle(Event::Due, clock);
            published(&mut dispatcher)
        });
    });
}

/// A daemon's packet thread, without an interface: the plan of each new table, and what of it is in the tables.
fn packets(criterion: &mut Criterion) {
    let now = Instant::now();
    let mut dispatcher = load(&text(20, "\"mac\"\nbalance = \"hash\"", 20), now);
    let tables = Tables::in_process(&Sizes::of(4096, 16, 1)).expect("memory");
    let (mut compiler, mut writer, hops) = (Compiler::default(), Writer::new(), NextHops::new());
    // Lines rest before they are used again.
    let (mut turn, mut clock) = (0, now);
    let mut changed = |dispatcher: &mut Dispatcher| {
        turn += 1;
        clock += Duration::from_millis(500);
        weight(dispatcher, "c5:10:w5", 1 + turn % 20, now);
        clock
    };
    criterion.bench_function("a plan after a weight, 200 mac ports of 20 servers", |bencher| {
        bencher.iter_batched(
            || (changed(&mut dispatcher), Arc::clone(dispatcher.table())),
            |(clock, table)| compiler.compile(&table, clock, 12),
            BatchSize::PerIteration,
        );
    });
    criterion.bench_function("writing it", |bencher| {
        bencher.iter_batched(
            || (changed(&mut dispatcher), compiler.compile(dispatcher.table(), now, 12)),
            |(clock, plan)| writer.apply(&tables, &plan, &hops, clock).expect("room"),
            BatchSize::PerIteration,
        );
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = scale, packets
}
criterion_main!(benches);
