//! Random traffic with changes of configuration and steps of the clock, beside a model: new connections by
//! `executor::decide` on the same forwarding table, known ones by a map.

use std::collections::HashMap;
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tsuji::config::Document;
use tsuji::dispatcher::{Dispatcher, Resources};
use tsuji::executor::{
    Ask, CookieKey, Decision, ForwardingTable, Moment, PortTable, Session, Tried, Turn, Why, decide,
};
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

/// The place of a port object, the port itself, a client, and TCP or UDP.
type Flow = (usize, u16, SocketAddr, bool);

/// A port object: one port, several, or with 0 all that have no other.
struct Port {
    cluster: usize,
    number: u16,
    lastport: Option<u16>,
    options: String,
    rules: String,
}

impl Port {
    /// Of its service; its servers' names begin with it.
    fn name(&self) -> String {
        format!("{}:{}", CLUSTERS[self.cluster].0, self.number)
    }

    /// How much more it has than the packet's port; `None`: not even that.
    fn width_around(&self, port: u16) -> Option<u16> {
        let (first, last) =
            if self.number == 0 { (0, u16::MAX) } else { (self.number, self.lastport.unwrap_or(self.number)) };
        (first..=last).contains(&port).then_some(last - first)
    }
}

struct World {
    random: fastrand::Rng,
    dispatcher: Dispatcher,
    start: Instant,
    table: Arc<ForwardingTable>,
    compiler: Compiler,
    plan: Plan,
    bed: Bed,
    seconds: u64,
    ports: Vec<Port>,
    connections: HashMap<Flow, Connection>,
    figures: HashMap<String, Figures>,
    /// What led here.
    story: Vec<String>,
}

const CLUSTERS: [(&str, &str); 2] = [("four", "192.0.2.10"), ("six", "2001:db8::10")];
const SERVERS: u32 = 4;
/// Within and around the edges of a range, and elsewhere.
const PORTS: [u16; 12] = [80, 80, 80, 80, 443, 7999, 8000, 8042, 8043, 8098, 8099, 8100];

impl World {
    fn new(seed: u64) -> Self {
        let start = Instant::now();
        let mut world = Self {
            random: fastrand::Rng::with_seed(seed),
            dispatcher: Dispatcher::new(1, seed, CookieKey::new(&[7; 32]), start),
            start,
            table: Arc::default(),
            compiler: Compiler::default(),
            plan: Plan::default(),
            bed: Bed::new(65_536),
            seconds: 0,
            ports: Vec::new(),
            connections: HashMap::new(),
            figures: HashMap::new(),
            story: vec![format!("seed {seed}")],
        };
        for cluster in 0..2 {
            world.any_ports(cluster);
        }
        world.configure();
        world
    }

    /// A single port always; a range, a single port within or at the end of it, and all other ports at times.
    fn any_ports(&mut self, cluster: usize) {
        let inside = [8042, 8099][self.random.usize(0..2)];
        for (number, lastport) in [(80, None), (8000, Some(8099)), (inside, None), (0, None)] {
            if number == 80 || self.random.bool() {
                let (options, rules) = (self.any_options(), self.any_rules(cluster));
                self.ports.push(Port { cluster, number, lastport, options, rules });
            }
        }
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

    fn any_rules(&mut self, cluster: usize) -> String {
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
                        client(cluster, first),
                        client(cluster, last)
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
        for (cluster, (name, address)) in CLUSTERS.into_iter().enumerate() {
            let _ = writeln!(text, "[[cluster]]\nname = \"{name}\"\naddress = \"{address}\"");
            let places = (0..self.ports.len()).filter(|place| self.ports[*place].cluster == cluster);
            for place in places.collect::<Vec<_>>() {
                self.write_port(place, &mut text);
            }
        }
        let document = Document::parse(&text, "/random.toml").unwrap();
        let plan =
            self.dispatcher.plan_file(document, "/random.toml").unwrap_or_else(|faults| panic!("{faults}\n{text}"));
        let sorry = plan.needs.sorry.iter();
        let sorry = sorry.map(|page| (page.clone(), Arc::new(SorrySite::built_in(page).unwrap()))).collect();
        self.dispatcher.adopt(plan, &Resources { sorry, ..Resources::default() }, self.start);
        self.table = Arc::clone(self.dispatcher.table());
        self.plan = self.compiler.compile(&self.table, self.start, HOUR);
        self.plan.services.sort_by_key(|service| service.name.clone());
        self.bed.apply(&self.plan, &[], &[]);
        self.story.push(text);
    }

    fn write_port(&mut self, place: usize, text: &mut String) {
        let port = &self.ports[place];
        let _ = writeln!(text, "[[cluster.port]]\nnumber = {}\nmethod = \"mac\"\n{}", port.number, port.options);
        if let Some(last) = port.lastport {
            let _ = writeln!(text, "lastport = {last}");
        }
        for server in 0..SERVERS {
            let state = ["up", "up", "up", "quiesced", "quiesced-now", "down"][self.random.usize(0..6)];
            let sticky = self.random.u8(0..4) != 0;
            let _ = writeln!(
                text,
                "[[cluster.port.server]]\nname = \"s{server}\"\naddress = \"10.{place}.0.{server}\"\nweight = {}\nfixedweight = true\nstate = \"{state}\"\nsticky = {sticky}",
                self.random.u32(0..5)
            );
        }
        text.push_str(&self.ports[place].rules);
    }

    /// The narrowest object of the cluster around a port.
    fn place_of(&self, cluster: usize, port: u16) -> Option<usize> {
        let around = |place: &usize| Some((self.ports[*place].width_around(port)?, *place));
        let own = (0..self.ports.len()).filter(|place| self.ports[*place].cluster == cluster);
        own.filter_map(|place| around(&place)).min().map(|(_, place)| place)
    }

    fn port(&self, place: usize) -> Arc<PortTable> {
        let name = self.ports[place].name();
        Arc::clone(self.table.ports().find(|port| port.key.to_string() == name).unwrap())
    }

    fn service(&self, place: usize) -> &ServicePlan {
        let name = self.ports[place].name();
        self.plan.services.iter().find(|service| service.name == name).unwrap()
    }

    fn flags(&self, place: usize, server: &str) -> ServerFlags {
        let name = format!("{}:{server}", self.ports[place].name());
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
        let cluster = self.random.usize(0..2);
        let host = self.random.u32(0..64);
        let from = SocketAddr::new(client(cluster, host), 1024 + self.random.u16(0..4));
        let port = PORTS[self.random.usize(0..PORTS.len())];
        let to = SocketAddr::new(CLUSTERS[cluster].1.parse().unwrap(), port);
        let tcp = self.random.u8(0..4) != 0;
        let flags = ["S", "S", "A", "A", "PA", "FA", "RA", "R"][self.random.usize(0..8)];
        let wrapping = Wrapping {
            tags: if self.random.u8(0..8) == 0 { vec![5] } else { Vec::new() },
            options: if self.random.u8(0..8) == 0 { 2 } else { 0 },
            extension: self.random.u8(0..8) == 0,
            ..Wrapping::default()
        };
        let frame = if tcp { frame::tcp(from, to, flags, &wrapping) } else { frame::udp(from, to, &wrapping) };
        let expected = match self.place_of(cluster, port) {
            Some(place) => self.expect((place, port, from, tcp), if tcp { flags } else { "" }),
            None => Expected::Drop,
        };
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
        self.figures.entry(format!("{}:{server}", self.ports[place].name())).or_default()
    }

    fn open(&mut self, flow: Flow, flags: &str) -> Expected {
        let (place, port, from, tcp) = flow;
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
        let Some(server) = self.choose((place, port), from, picked_up) else { return Expected::Drop };
        if !picked_up || state == State::Established {
            if let Some(before) = self.connections.get(&flow).cloned() {
                self.count_end(place, &before.server, before.state, State::Closed);
            }
            self.figures(place, &server).opened += 1;
            self.connections.insert(flow, Connection { server: server.clone(), state, last: self.seconds });
        }
        Expected::Server(server)
    }

    fn choose(&self, (place, wanted): (usize, u16), from: SocketAddr, picked_up: bool) -> Option<String> {
        let port = self.port(place);
        let hashed = picked_up || self.service(place).hash;
        let mut session = Session::default();
        let tried = Tried::default();
        let turn = if hashed { Turn::Peek } else { Turn::Take };
        let mut ask = Ask { client: from.ip(), request: None, session: &mut session, tried: &tried, turn };
        let decision = decide(&port, &mut ask, Moment { now: self.start, hour: HOUR });
        let Decision::Forward { server, why, .. } = decision else { return None };
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
        let at = (u64::from(hash_client(from, wanted)) * choice.maglev.len() as u64) >> 32;
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
                *active.entry(format!("{}:{}", self.ports[*place].name(), connection.server)).or_default() += 1;
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

fn client(cluster: usize, host: u32) -> IpAddr {
    match cluster {
        0 => IpAddr::from([203, 0, (host / 16) as u8, (host % 16) as u8]),
        _ => IpAddr::from([0x2001, 0xdb8, 1, host as u16 / 16, 0, 0, 0, host as u16 % 16]),
    }
}

fn hash_client(from: SocketAddr, port: u16) -> u32 {
    let saddr = tsuji::datapath::xdp::directory::words_of(from.ip());
    hash::Flow { saddr, sport: from.port().to_be(), dport: port.to_be(), ..hash::Flow::default() }.client_hash()
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
