//! What holds whatever operators, servers and resolvers do, in whatever order.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{Fate, Pretend, SHOP};
use crate::control::Outcome;
use crate::executor::Takes;
use crate::model::{AdministrativeState, Port};

/// Something that happens.
#[derive(Clone, Debug)]
enum Deed {
    Type(&'static str),
    Load(usize),
    Die(&'static str),
    Live(&'static str),
    Name(Option<&'static str>),
    /// Milliseconds.
    Wait(u64),
}

const LINES: &[&str] = &[
    "manager quiesce shop:80:w1",
    "manager quiesce w2 now",
    "manager unquiesce w1",
    "server down shop:80:",
    "server up shop:80:",
    "server add shop:80:w3 address w3.example.com",
    "server add shop:443:w1 address 192.0.2.21",
    "server remove shop:80:w1",
    "server set shop:80: weight 0",
    "server set shop:80:w2 address w2.example.com",
    "port add shop:443 method tcp",
    "port remove shop:443",
    "port set shop:80 stickytime 10",
    "port set shop: ondown purge",
    "cluster add bank address 192.0.2.11",
    "cluster remove bank",
    "port add bank:80 method http",
    "rule add shop:80:sorry type true",
    "rule useserver shop:80:sorry w2",
    "rule remove shop:80:sorry",
    "advisor stop http 80",
    "advisor start http 80",
    "advisor start connect 443",
    "manager set velocitylimit yes failopen yes",
    "manager stop",
    "manager start",
];

fn files() -> [String; 3] {
    let renamed = SHOP.replace("name = \"shop\"", "name = \"bank\"");
    [SHOP.to_owned(), renamed, SHOP.replace("192.0.2.10", "192.0.2.12")]
}

const SERVERS: [&str; 3] = ["192.0.2.21", "192.0.2.22", "192.0.2.31"];

fn deed() -> impl Strategy<Value = Deed> {
    let server = proptest::sample::select(&SERVERS[..]);
    prop_oneof![
        6 => proptest::sample::select(LINES).prop_map(Deed::Type),
        1 => (0..3usize).prop_map(Deed::Load),
        2 => server.clone().prop_map(Deed::Die),
        2 => server.prop_map(Deed::Live),
        1 => proptest::sample::select(&[None, Some("192.0.2.31"), Some("192.0.2.32")][..]).prop_map(Deed::Name),
        4 => (0..8000u64).prop_map(Deed::Wait),
    ]
}

fn happen(world: &mut Pretend, deed: &Deed) {
    match deed {
        // A command may not fit the moment; then it changes nothing.
        Deed::Type(line) => {
            let before = world.heart.generation();
            let carried_out = world.command(line).is_ok();
            assert_eq!(world.heart.generation() - before, u64::from(carried_out), "{line}");
        }
        Deed::Load(file) => {
            world.load(&files()[*file]).expect("a good file");
        }
        Deed::Die(server) => world.fate(server, Fate::Refused),
        Deed::Live(server) => world.fate(server, Fate::Good(5)),
        Deed::Name(address) => {
            let addresses: Vec<&str> = address.iter().copied().collect();
            world.name("w2.example.com", &addresses);
            world.name("w3.example.com", &addresses);
        }
        Deed::Wait(ms) => world.run_for(std::time::Duration::from_millis(*ms)),
    }
}

/// The workers have what the configuration says.
fn check_table(world: &Pretend) {
    let clusters = world.heart.config().clusters.iter();
    let configured: BTreeMap<String, &Port> = clusters
        .flat_map(|cluster| cluster.ports.iter().map(move |port| (format!("{}:{}", cluster.name, port.number), port)))
        .collect();
    let published: BTreeMap<String, &Port> =
        world.table.ports().map(|port| (port.key.to_string(), &*port.settings)).collect();
    assert_eq!(published, configured);
    let listening: Vec<_> = world.listening.iter().map(|(port, address)| (*port, *address)).collect();
    let tables: Vec<_> = world.table.ports().map(|port| (port.id, port.listen)).collect();
    assert_eq!(listening, tables);
}

/// Nobody is given what the operator or the advisors took away.
fn check_servers(world: &Pretend) {
    for server in world.table.ports().flat_map(|port| &port.servers) {
        let state = world.heart.servers.get(&server.id).expect("a published server is known");
        assert_eq!((server.state, &server.health), (state.server.state, &state.health), "{}", state.key);
        assert_eq!(server.address.map(|address| address.ip()), state.address, "{}", state.key);
        if server.takes == Takes::New {
            assert_eq!(server.state, AdministrativeState::Up, "{}", state.key);
            assert!(server.weight.get() > 0 && state.shown_weight() > 0, "{}", state.key);
        }
    }
}

fn check_answers(world: &Pretend) {
    for question in
        ["status", "server status", "server report", "port report", "manager report", "rule report", "executor report"]
    {
        assert_ne!(world.answer(question).outcome, Outcome::Misuse, "{question}");
    }
    if world.table.ports().any(|port| port.key.to_string() == "shop:80") {
        let wanted = world.row("explain 203.0.113.7 shop:80", "Server");
        let got = world.next_server("203.0.113.7");
        assert!(wanted.ends_with(&format!(":{got}")) || wanted == "none", "explained {wanted}, chosen {got}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn the_table_always_says_what_is_known(deeds in proptest::collection::vec(deed(), 1..60)) {
        let mut world = Pretend::with(SHOP);
        for deed in &deeds {
            happen(&mut world, deed);
            check_table(&world);
            check_servers(&world);
            check_answers(&world);
        }
    }
}
