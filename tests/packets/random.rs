//! Random traffic with changes of configuration and steps of the clock, beside a model: new connections by
//! `executor::decide` on the same forwarding table, known ones by a map.

use std::collections::HashMap;
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tsuji::config::Document;
use tsuji::dispatcher::{Dispatcher, Resources};
use tsuji::executor::{Ask, Decision, ForwardingTable, Moment, PortTable, Session, Tried, Turn, Why, decide};
use tsuji::message::SorrySite;
use tsuji::packet::compile::Compiler;
use tsuji::packet::hash;
use tsuji::packet::sweep::{CLOSED, HALF_OPEN, Patience, units};
use tsuji::packet::{Choice, Plan, ServerFlags, ServicePlan};

use super::bed::{Bed, DROP, TX};
use super::frame::{self, Wrapping};

/// Frames in all, over all seeds.
const FRAMES: usize = 120_000;
const SEEDS: u64 = 24;
const HOUR: u8 = 12;
const STALE: u64 = 300;
const FIN: u64 = 60;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    New,
    Established,
    Fin,
    Closed,
    Udp,
}

#[derive(Clone, Debug)]
struct Connection {
    server: String,
    state: State,
    last: u64,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Figures {
    opened: u64,
    fin: u64,
    rst: u64,
}

/// A service, a client, and TCP or UDP.
type Flow = (usize, SocketAddr, bool);

struct World {
    random: fastrand::Rng,
    dispatcher: Dispatcher,
    start: Instant,
    table: Arc<ForwardingTable>,
    compiler: Compiler,
    plan: Plan,
    bed: Bed,
    seconds: u64,
    options: [String; 2],
    rules: [String; 2],
    connections: HashMap<Flow, Connection>,
    figures: HashMap<String, Figures>,
    /// What led here.
    story: Vec<String>,
}

const CLUSTERS: [(&str, &str); 2] = [("four", "192.0.2.10"), ("six", "2001:db8::10")];
const SERVERS: u32 = 4;

impl World {
    fn new(seed: u64) -> Self {
        let start = Instant::now();
        let mut world = Self {
            random: fastrand::Rng::with_seed(seed),
            dispatcher: Dispatcher::new(1, seed, start),
            start,
            table: Arc::default(),
            compiler: Compiler::default(),
            plan: Plan::default(),
            bed: Bed::new(65_536),
            seconds: 0,
            options: [String::new(), String::new()],
            rules: [String::new(), String::new()],
            connections: HashMap::new(),
            figures: HashMap::new(),
            story: vec![format!("seed {seed}")],
        };
        for place in 0..2 {
            world.options[place] = world.any_options();
            world.rules[place] = world.any_rules(place);
        }
        world.configure();
        world
    }

    /// Stickiness and the consistent hash do not meet here: the hash's choice is not one of `decide`'s.
    fn any_options(&mut self) -> String {
        let mut options = match self.random.u8(0..3) {
            0 => format!("stickytime = 100000\nstickymask = {}\npickup = false\n", [24, 32][self.random.usize(0..2)]),
            1 => "balance = \"hash\"\n".to_owned(),
            _ => format!("pickup = {}\n", self.random.bool()),
        };
        let _ = writeln!(options, "reset = {}", self.random.bool());
        let _ = writeln!(options, "all-down = \"{}\"", ["spread", "refuse"][self.random.usize(0..2)]);
        options
    }

    fn any_rules(&mut self, place: usize) -> String {
        let mut text = String::new();
        for rule in 0..self.random.u32(0..4) {
            let servers: Vec<_> = (0..SERVERS).filter(|_| self.random.bool()).map(|n| format!("\"s{n}\"")).collect();
            let range = match self.random.u8(0..3) {
                0 => "type = \"true\"".to_owned(),
                _ => {
                    let (first, last) = (self.random.u32(0..64), self.random.u32(0..64));
                    let (first, last) = (first.min(last), first.max(last));
                    format!(
                        "type = \"ip\"\nbeginrange = \"{}\"\nendrange = \"{}\"",
                        client(place, first),
                        client(place, last)
                    )
                }
            };
            let servers = servers.join(", ");
            let _ = writeln!(text, "[[cluster.port.rule]]\nname = \"r{rule}\"\n{range}\nservers = [{servers}]");
        }
        text
    }

    /// Puts a new configuration in force, here and there.
    fn configure(&mut self) {
        let mut text = "[executor]\ninterfaces = [\"eth0\"]\n".to_owned();
        for (place, (name, address)) in CLUSTERS.into_iter().enumerate() {
            let _ = writeln!(
                text,
                "[[cluster]]\nname = \"{name}\"\naddress = \"{address}\"\n[[cluster.port]]\nnumber = 80\nmethod = \"mac\"\n{}",
                self.options[place]
            );
            for server in 0..SERVERS {
                let state = ["up", "up", "up", "quiesced", "quiesced-now", "down"][self.random.usize(0..6)];
                let sticky = self.random.u8(0..4) != 0;
                let _ = writeln!(
                    text,
                    "[[cluster.port.server]]\nname = \"s{server}\"\naddress = \"10.{place}.0.{server}\"\nweight = {}\nfixedweight = true\nstate = \"{state}\"\nsticky = {sticky}",
                    self.random.u32(0..5)
                );
            }
            text.push_str(&self.rules[place]);
        }
        let document = Document::parse(&text, "/random.toml").unwrap();
        let plan =
            self.dispatcher.plan_file(document, "/random.toml").unwrap_or_else(|faults| panic!("{faults}\n{text}"));
        let sorry = plan.needs.sorry.iter();
        let sorry = sorry.map(|page| (page.clone(), Arc::new(SorrySite::built_in(page).unwrap()))).collect();
        self.dispatcher.adopt(plan, &Resources { sorry }, self.start);
        self.table = Arc::clone(self.dispatcher.table());
        self.plan = self.compiler.compile(&self.table, self.start, HOUR);
        self.plan.services.sort_by_key(|service| service.name.clone());
        self.bed.apply(&self.plan, &[], &[]);
        self.story.push(text);
    }

    fn port(&self, place: usize) -> Arc<PortTable> {
        let name = CLUSTERS[place].0;
        Arc::clone(self.table.ports().find(|port| port.key.cluster.as_str() == name).unwrap())
    }

    fn service(&self, place: usize) -> &ServicePlan {
        let name = format!("{}:80", CLUSTERS[place].0);
        self.plan.services.iter().find(|service| service.name == name).unwrap()
    }

    fn flags(&self, place: usize, server: &str) -> ServerFlags {
        let name = format!("{}:80:{server}", CLUSTERS[place].0);
        self.service(place).servers.iter().find(|server| server.name == name).unwrap().flags
    }

    fn step(&mut self) {
        match self.random.u32(0..1000) {
            0..2 => self.configure(),
            2..4 => {
                let seconds = self.random.u64(1..40);
                self.seconds += seconds;
                self.bed.pass_time(seconds);
                self.story.push(format!("clock {seconds}"));
            }
            4 => self.sweep(),
            _ => self.packet(),
        }
    }

    fn packet(&mut self) {
        let place = self.random.usize(0..2);
        let host = self.random.u32(0..64);
        let from = SocketAddr::new(client(place, host), 1024 + self.random.u16(0..12));
        let to = SocketAddr::new(CLUSTERS[place].1.parse().unwrap(), 80);
        let tcp = self.random.u8(0..4) != 0;
        let flags = ["S", "S", "A", "A", "PA", "FA", "RA", "R"][self.random.usize(0..8)];
        let wrapping = Wrapping {
            tags: if self.random.u8(0..8) == 0 { vec![5] } else { Vec::new() },
            options: if self.random.u8(0..8) == 0 { 2 } else { 0 },
            extension: self.random.u8(0..8) == 0,
            ..Wrapping::default()
        };
        let frame = if tcp { frame::tcp(from, to, flags, &wrapping) } else { frame::udp(from, to, &wrapping) };
        let expected = self.expect((place, from, tcp), if tcp { flags } else { "" });
        let outcome = self.bed.send(&frame);
        let found = match outcome.verdict {
            TX if Bed::went_back(&outcome) => Expected::Reset,
            TX => Expected::Server(self.bed.server_of(&frame, &outcome).unwrap()),
            DROP => Expected::Drop,
            other => panic!("verdict {other}"),
        };
        self.story.push(format!("{from} > {to} {flags} tcp {tcp}: {found:?}"));
        assert_eq!(found, expected, "\n{}", self.told());
    }

    fn told(&self) -> String {
        if let Ok(path) = std::env::var("TSUJI_STORY") {
            std::fs::write(path, self.story.join("\n")).unwrap();
        }
        let last = self.story.len().saturating_sub(40);
        let configuration = self.story.iter().rev().find(|line| line.starts_with("[executor]"));
        format!("{}\n{}\n{}", self.story[0], configuration.unwrap(), self.story[last..].join("\n"))
    }

    /// What should become of the packet; the model moves on.
    fn expect(&mut self, flow: Flow, flags: &str) -> Expected {
        let (place, ..) = flow;
        let syn = flags == "S";
        if let Some(known) = self.connections.get(&flow).cloned() {
            let server = self.flags(place, &known.server);
            let ended = matches!(known.state, State::Fin | State::Closed);
            let over = server.dead || (server.down && (syn || flags.is_empty())) || (syn && ended);
            if !over {
                self.advance(flow, flags);
                return Expected::Server(known.server);
            }
            if server.dead && server.reset && !flags.is_empty() && !syn && !flags.contains('R') {
                return Expected::Reset;
            }
        }
        self.open(flow, flags)
    }

    fn advance(&mut self, flow: Flow, flags: &str) {
        let (now, place) = (self.seconds, flow.0);
        let connection = self.connections.get_mut(&flow).unwrap();
        let before = connection.state;
        let after = match before {
            State::Udp => State::Udp,
            _ if flags == "S" => State::New,
            _ if flags.contains('R') => State::Closed,
            State::Closed => State::Closed,
            _ if flags.contains('F') => State::Fin,
            State::New => State::Established,
            other => other,
        };
        connection.state = after;
        if after != before || before != State::Closed {
            connection.last = now;
        }
        let server = connection.server.clone();
        self.count_end(place, &server, before, after);
    }

    fn count_end(&mut self, place: usize, server: &str, before: State, after: State) {
        if matches!(before, State::Fin | State::Closed) {
            return;
        }
        let figures = self.figures(place, server);
        figures.fin += u64::from(after == State::Fin);
        figures.rst += u64::from(after == State::Closed);
    }

    fn figures(&mut self, place: usize, server: &str) -> &mut Figures {
        self.figures.entry(format!("{}:80:{server}", CLUSTERS[place].0)).or_default()
    }

    fn open(&mut self, flow: Flow, flags: &str) -> Expected {
        let (place, from, tcp) = flow;
        let state = match flags {
            "" => State::Udp,
            "S" => State::New,
            _ if flags.contains('R') => State::Closed,
            _ if flags.contains('F') => State::Fin,
            _ => State::Established,
        };
        let picked_up = tcp && state != State::New;
        if picked_up && !self.service(place).pickup {
            return Expected::Drop;
        }
        let Some(server) = self.choose(place, from, picked_up) else { return Expected::Drop };
        if !picked_up || state == State::Established {
            if let Some(before) = self.connections.get(&flow).cloned() {
                self.count_end(place, &before.server, before.state, State::Closed);
            }
            self.figures(place, &server).opened += 1;
            self.connections.insert(flow, Connection { server: server.clone(), state, last: self.seconds });
        }
        Expected::Server(server)
    }

    fn choose(&self, place: usize, from: SocketAddr, picked_up: bool) -> Option<String> {
        let port = self.port(place);
        let hashed = picked_up || self.service(place).hash;
        let mut session = Session::default();
        let tried = Tried::default();
        let turn = if hashed { Turn::Peek } else { Turn::Take };
        let mut ask = Ask { client: from.ip(), session: &mut session, tried: &tried, turn };
        let decision = decide(&port, &mut ask, Moment { now: self.start, hour: HOUR });
        let Decision::Forward { server, why } = decision else { return None };
        if !hashed {
            return Some(port.server(server)?.name.to_string());
        }
        let service = self.service(place);
        let choice: &Choice = match why {
            Why::Rule(place) => {
                let name = port.rules[place].name.to_string();
                &service.rules.iter().find(|rule| rule.name == name).unwrap().choice
            }
            _ => &service.otherwise,
        };
        let at = (u64::from(hash_client(from)) * choice.maglev.len() as u64) >> 32;
        let name = &service.servers[usize::from(choice.maglev[at as usize])].name;
        Some(name.rsplit(':').next().unwrap().to_owned())
    }

    /// The table is swept as the daemon sweeps it, and counted.
    fn sweep(&mut self) {
        self.story.push("sweep".to_owned());
        let patience = Patience { stale: units(Duration::from_secs(STALE)), fin: units(Duration::from_secs(FIN)) };
        let census = self.bed.sweep(patience);
        for second in 0..2 {
            let now = self.seconds + second;
            self.connections.retain(|_, connection| {
                let limit = match connection.state {
                    State::New => HALF_OPEN.as_secs(),
                    State::Closed => CLOSED.as_secs(),
                    State::Fin => FIN,
                    State::Established | State::Udp => STALE,
                };
                now - connection.last < limit
            });
        }
        self.seconds += 2;
        assert_eq!(census.entries, self.connections.len() as u64, "{}", self.told());
        let mut active: HashMap<String, u64> = HashMap::new();
        for ((place, ..), connection) in &self.connections {
            if !matches!(connection.state, State::Fin | State::Closed) {
                *active.entry(format!("{}:80:{}", CLUSTERS[*place].0, connection.server)).or_default() += 1;
            }
        }
        for server in self.plan.services.iter().flat_map(|service| &service.servers) {
            let found = census.of(self.bed.server_number(&server.name)).active;
            assert_eq!(found, active.get(&server.name).copied().unwrap_or(0), "{}: {}", server.name, self.told());
        }
    }

    fn compare_counters(&self) {
        for server in self.plan.services.iter().flat_map(|service| &service.servers) {
            let counted = self.bed.counters(&server.name);
            let found = Figures { opened: counted.opened, fin: counted.closed_fin, rst: counted.closed_rst };
            let expected = self.figures.get(&server.name).copied().unwrap_or_default();
            assert_eq!(found, expected, "{}: {}", server.name, self.told());
        }
    }
}

#[derive(Debug, Eq, PartialEq)]
enum Expected {
    Server(String),
    Drop,
    Reset,
}

fn client(place: usize, host: u32) -> IpAddr {
    match place {
        0 => IpAddr::from([203, 0, (host / 16) as u8, (host % 16) as u8]),
        _ => IpAddr::from([0x2001, 0xdb8, 1, host as u16 / 16, 0, 0, 0, host as u16 % 16]),
    }
}

fn hash_client(from: SocketAddr) -> u32 {
    let saddr = tsuji::datapath::xdp::directory::words_of(from.ip());
    hash::Flow { saddr, sport: from.port().to_be(), dport: 80_u16.to_be(), ..hash::Flow::default() }.client_hash()
}

#[test]
fn random_traffic_is_decided_as_the_model_says() {
    if Bed::is_not_here() {
        return;
    }
    // One seed is new each time; it is told when it finds something.
    for seed in (0..SEEDS - 1).chain([fastrand::u64(..)]) {
        let mut world = World::new(seed);
        for _ in 0..FRAMES / SEEDS as usize {
            world.step();
        }
        world.sweep();
        world.compare_counters();
    }
}
