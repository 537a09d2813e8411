//! Reads and runs scripts.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tsuji::executor::maglev::{self, Candidate};
use tsuji::executor::{Ring, ServerIndex, name_hash};
use tsuji::model::{Name, StickyMask, Weight};
use tsuji::packet::sweep::Patience;
use tsuji::packet::{Choice, Clients, Plan, RulePlan, ServerFlags, ServerPlan, ServicePlan, Sticky};

use super::bed::{Bed, DROP, PASS, REDIRECT, TX};
use super::frame::{self, Wrapping};

pub fn run(path: &Path) {
    let text = std::fs::read_to_string(path).unwrap();
    let mut run = Run::default();
    for (number, line) in text.lines().enumerate() {
        let words: Vec<&str> = line.split('#').next().unwrap().split_whitespace().collect();
        if !words.is_empty() {
            run.place = format!("{}:{}: {line}", path.file_name().unwrap().to_string_lossy(), number + 1);
            run.line(&words);
        }
    }
}

#[derive(Default)]
struct Run {
    place: String,
    bed: Option<Bed>,
    plan: Plan,
    weights: Vec<Vec<u8>>,
    rules: Vec<Vec<Vec<String>>>,
    elsewhere: Vec<IpAddr>,
    unknown: Vec<IpAddr>,
    changed: bool,
    connections: u32,
}

impl Run {
    fn line(&mut self, words: &[&str]) {
        match words {
            ["connections", count] => self.connections = count.parse().unwrap(),
            ["service", name, address, options @ ..] => self.service(name, address, options),
            ["server", service, name, address, options @ ..] => self.server(service, name, address, options),
            ["rule", service, name, clients, "->", servers @ ..] => self.rule(service, name, clients, servers),
            ["active"] => self.bed().set_active(),
            ["partner", mac] => {
                let mac: tsuji::wire::Mac = mac.parse().unwrap();
                self.bed().change_live(|live| {
                    live.partners = 1;
                    live.partner[0][..6].copy_from_slice(&mac.0);
                });
            }
            ["limit", count] => {
                let limit = count.parse().unwrap();
                self.bed().change_live(|live| live.new_limit = limit);
            }
            ["clock", seconds] => {
                let seconds = seconds.parse().unwrap();
                self.bed().pass_time(seconds);
            }
            ["sweep", expected @ ..] => self.sweep(expected),
            ["send", rest @ ..] => self.send(rest),
            ["count", server, expected @ ..] => self.count(server, expected),
            ["reason", word, count] => {
                let found = self.bed().reason(word);
                assert_eq!(found, count.parse::<u64>().unwrap(), "{}", self.place);
            }
            ["hits", service, rule, count] => {
                let found = self.bed().rule_hits(service, rule);
                assert_eq!(found, count.parse::<u64>().unwrap(), "{}", self.place);
            }
            other => panic!("{}: {other:?}", self.place),
        }
    }

    fn service(&mut self, name: &str, address: &str, options: &[&str]) {
        let (address, ports) = address.rsplit_once(':').unwrap();
        let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
        let mut service = ServicePlan {
            name: name.to_owned(),
            address: address.trim_matches(['[', ']']).parse().unwrap(),
            ports: first.parse().unwrap()..=last.parse().unwrap(),
            sticky: None,
            unrecorded: false,
            hash: false,
            pickup: true,
            unserved_pass: false,
            rules: Vec::new(),
            resting: Vec::new(),
            otherwise: Choice::default(),
            servers: Vec::new(),
        };
        let mut sticky = Sticky { group: name.to_owned(), mask: StickyMask::DEFAULT, time: Duration::ZERO };
        for option in options {
            match option.split_once('=').unwrap_or((option, "")) {
                ("sticky", seconds) => sticky.time = Duration::from_secs(seconds.parse().unwrap()),
                ("mask", bits) => sticky.mask = StickyMask::new(bits.parse().unwrap(), 64).unwrap(),
                ("group", group) => sticky.group = group.to_owned(),
                ("unrecorded", _) => service.unrecorded = true,
                ("hash", _) => service.hash = true,
                ("nopickup", _) => service.pickup = false,
                ("pass", _) => service.unserved_pass = true,
                other => panic!("{}: {other:?}", self.place),
            }
        }
        service.sticky = (!sticky.time.is_zero()).then_some(sticky);
        self.changed = true;
        match self.plan.services.iter().position(|known| known.name == name) {
            Some(place) => {
                let known = self.service_at(place);
                *known = ServicePlan { rules: known.rules.clone(), servers: known.servers.clone(), ..service };
            }
            None => {
                self.plan.services.push(Arc::new(service));
                self.weights.push(Vec::new());
                self.rules.push(Vec::new());
            }
        }
    }

    fn place_of(&self, service: &str) -> usize {
        self.plan.services.iter().position(|known| known.name == service).unwrap_or_else(|| panic!("{}", self.place))
    }

    fn service_at(&mut self, place: usize) -> &mut ServicePlan {
        Arc::make_mut(&mut self.plan.services[place])
    }

    /// Adds a server, or changes one that is there.
    fn server(&mut self, service: &str, name: &str, address: &str, options: &[&str]) {
        let place = self.place_of(service);
        let address: IpAddr = address.parse().unwrap();
        let mut flags = ServerFlags { affinity: true, ..ServerFlags::default() };
        let mut weight = 1;
        for option in options {
            match option.split_once('=').unwrap_or((option, "")) {
                ("weight", value) => weight = value.parse().unwrap(),
                ("down", _) => (flags.down, flags.affinity) = (true, false),
                ("dead", _) => (flags.down, flags.dead, flags.affinity) = (true, true, false),
                ("quiesced-now", _) => flags.affinity = false,
                ("reset", _) => flags.reset = true,
                ("local", _) => flags.local = true,
                ("sticky-no", _) => flags.sticky_no = true,
                ("elsewhere", _) => self.elsewhere.push(address),
                ("unknown", _) => self.unknown.push(address),
                other => panic!("{}: {other:?}", self.place),
            }
        }
        let server = ServerPlan { name: format!("{service}:{name}"), address: Some(address), flags };
        let servers = &mut Arc::make_mut(&mut self.plan.services[place]).servers;
        match servers.iter().position(|known| known.name == server.name) {
            Some(at) => {
                servers[at] = server;
                self.weights[place][at] = weight;
            }
            None => {
                servers.push(server);
                self.weights[place].push(weight);
            }
        }
        self.changed = true;
    }

    fn rule(&mut self, service: &str, name: &str, clients: &str, servers: &[&str]) {
        let place = self.place_of(service);
        let clients = match clients.split_once("..") {
            None => Clients::All,
            Some((first, last)) => Clients::Between(first.parse().unwrap(), last.parse().unwrap()),
        };
        self.service_at(place).rules.push(RulePlan { name: name.to_owned(), clients, choice: Choice::default() });
        self.rules[place].push(servers.iter().map(|name| format!("{service}:{name}")).collect());
        self.changed = true;
    }

    /// Works out the choices anew, as compiling a table would.
    fn choose(&mut self) {
        for (place, service) in self.plan.services.iter_mut().map(Arc::make_mut).enumerate() {
            let weights = &self.weights[place];
            let usable = |at: usize, server: &ServerPlan| !server.flags.down && weights[at] > 0;
            let members = |named: Option<&[String]>| -> Vec<usize> {
                let servers = service.servers.iter().enumerate();
                servers
                    .filter(|(at, server)| usable(*at, server))
                    .filter(|(_, server)| named.is_none_or(|named| named.contains(&server.name)))
                    .map(|(at, _)| at)
                    .collect()
            };
            let choice = |members: Vec<usize>| {
                let shares: Vec<_> = members
                    .iter()
                    .map(|&at| (ServerIndex(at as u16), Weight::new(u64::from(weights[at])).unwrap()))
                    .collect();
                let candidates: Vec<_> = members
                    .iter()
                    .map(|&at| Candidate {
                        place: at as u16,
                        name_hash: name_hash(&Name::new(service.servers[at].name.rsplit(':').next().unwrap()).unwrap()),
                        weight: u32::from(weights[at]),
                    })
                    .collect();
                let ring = Ring::new(&shares, Default::default());
                Choice { ring: ring.places().iter().map(|place| place.0).collect(), maglev: maglev::table(&candidates) }
            };
            let otherwise = choice(members(None));
            let chosen: Vec<_> = self.rules[place].iter().map(|named| choice(members(Some(named)))).collect();
            service.otherwise = otherwise;
            for (rule, chosen) in service.rules.iter_mut().zip(chosen) {
                rule.choice = chosen;
            }
        }
    }

    fn bed(&mut self) -> &mut Bed {
        if std::mem::take(&mut self.changed) {
            self.choose();
            let connections = if self.connections == 0 { 4096 } else { self.connections };
            let bed = self.bed.get_or_insert_with(|| Bed::new(connections));
            bed.apply(&self.plan, &self.elsewhere, &self.unknown);
        }
        self.bed.as_mut().expect("a service comes first")
    }

    fn sweep(&mut self, expected: &[&str]) {
        let patience = Patience { stale: 300 * 239, fin: 60 * 239 };
        let census = self.bed().sweep(patience);
        for word in expected {
            let (field, value) = word.split_once('=').unwrap();
            let found = match field {
                "entries" => census.entries,
                "half-open" => census.half_open,
                server => {
                    let number = self.bed().server_number(server);
                    census.of(number).active
                }
            };
            assert_eq!(found, value.parse::<u64>().unwrap(), "{}: {field}", self.place);
        }
    }

    fn count(&mut self, server: &str, expected: &[&str]) {
        let counters = self.bed().counters(server);
        for word in expected {
            let (field, value) = word.split_once('=').unwrap();
            let found = match field {
                "packets" => counters.packets,
                "opened" => counters.opened,
                "fin" => counters.closed_fin,
                "rst" => counters.closed_rst,
                "picked-up" => counters.picked_up,
                "sticky" => counters.sticky,
                "resets" => counters.resets,
                other => panic!("{}: {other}", self.place),
            };
            assert_eq!(found, value.parse::<u64>().unwrap(), "{}: {field}", self.place);
        }
    }

    /// `send PACKET [OPTION]... -> VERDICT`.
    fn send(&mut self, words: &[&str]) {
        let arrow = words.iter().position(|word| *word == "->").expect("a verdict");
        let (packet, verdict) = (&words[..arrow], &words[arrow + 1..]);
        let frame = read_frame(packet);
        let (place, bed) = (self.place.clone(), self.bed());
        let outcome = bed.send(&frame);
        match *verdict {
            ["tx", name] => {
                assert_eq!(outcome.verdict, TX, "{place}");
                let server = bed.server_of(&frame, &outcome).unwrap_or_else(|| panic!("{place}: to nobody"));
                assert_eq!(server, name, "{place}");
            }
            ["redirect", name] => {
                assert_eq!(outcome.verdict, REDIRECT, "{place}");
                assert_eq!(bed.server_of(&frame, &outcome).as_deref(), Some(name), "{place}");
            }
            ["tx"] => assert_eq!(outcome.verdict, TX, "{place}"),
            ["pass"] => {
                assert_eq!(outcome.verdict, PASS, "{place}");
                assert_eq!(outcome.frame, frame, "{place}: it is not touched");
            }
            ["drop", reason] => {
                assert_eq!(outcome.verdict, DROP, "{place}");
                assert!(bed.reason(reason) > 0, "{place}: another reason");
            }
            ["echo"] => {
                assert!(outcome.verdict == TX && Bed::went_back(&outcome), "{place}");
                check_echo(&frame, &outcome.frame, &place);
            }
            ["reset"] => {
                assert!(outcome.verdict == TX && Bed::went_back(&outcome), "{place}: {outcome:?}");
                check_reset(&frame, &outcome.frame, &place);
            }
            _ => panic!("{place}"),
        }
    }
}

fn read_frame(words: &[&str]) -> Vec<u8> {
    let mut wrapping = Wrapping::default();
    let mut plain = Vec::new();
    for word in words {
        match word.split_once('=') {
            Some(("vlan", tag)) => wrapping.tags.push(tag.parse().unwrap()),
            Some(("to", mac)) => wrapping.to = Some(mac.parse::<tsuji::wire::Mac>().unwrap().0),
            Some(("from", mac)) => wrapping.from = Some(mac.parse::<tsuji::wire::Mac>().unwrap().0),
            Some(("options", count)) => wrapping.options = count.parse().unwrap(),
            Some(("first", id)) => wrapping.fragment = Some((0, true, id.parse().unwrap())),
            Some(("later", id)) => wrapping.fragment = Some((185, false, id.parse().unwrap())),
            Some(("cut", count)) => wrapping.cut = count.parse().unwrap(),
            Some(("extension", _)) => wrapping.extension = true,
            _ => plain.push(*word),
        }
    }
    let socket = |text: &str| text.parse::<SocketAddr>().unwrap_or_else(|_| panic!("{text}"));
    let host = |text: &str| text.parse::<IpAddr>().unwrap_or_else(|_| panic!("{text}"));
    match *plain {
        ["tcp", from, ">", to, flags] => frame::tcp(socket(from), socket(to), flags, &wrapping),
        ["udp", from, ">", to] => frame::udp(socket(from), socket(to), &wrapping),
        ["rest", from, ">", to, protocol] => frame::data(host(from), host(to), protocol.parse().unwrap(), &wrapping),
        ["echo", from, ">", to] => frame::echo(host(from), host(to), &wrapping),
        ["error", router, "about", protocol, from, ">", to] => {
            let protocol = if protocol == "tcp" { 6 } else { 17 };
            frame::error(host(router), (socket(from), socket(to)), protocol, &wrapping)
        }
        ["arp"] => {
            let mut frame = [frame::OWN, frame::ROUTER].concat();
            frame.extend([0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1]);
            frame.resize(60, 0);
            frame
        }
        _ => panic!("{words:?}"),
    }
}

/// The reply is the request with its ends exchanged, and every checksum is right.
fn check_echo(request: &[u8], reply: &[u8], place: &str) {
    assert_eq!(request.len(), reply.len(), "{place}");
    if request[12..14] == [0x08, 0] {
        assert_eq!(reply[26..30], request[30..34], "{place}");
        assert_eq!(reply[30..34], request[26..30], "{place}");
        assert_eq!(frame::checksum(&reply[14..34]), 0, "{place}: IP checksum");
        assert_eq!((reply[34], frame::checksum(&reply[34..])), (0, 0), "{place}: ICMP");
    } else {
        assert_eq!(reply[22..38], request[38..54], "{place}");
        let mut sum = reply[22..54].to_vec();
        sum.extend(((reply.len() - 54) as u32).to_be_bytes());
        sum.extend([0, 0, 0, 58]);
        sum.extend(&reply[54..]);
        assert_eq!((reply[54], frame::checksum(&sum)), (129, 0), "{place}: ICMPv6");
    }
}

/// RFC 9293, 3.5.2; the segment's sequence is 1000, its acknowledgment 2000, its data four bytes long.
fn check_reset(segment: &[u8], reset: &[u8], place: &str) {
    let v4 = segment[12..14] == [0x08, 0];
    let (head, ends) = if v4 { (20, 26..34) } else { (40, 22..54) };
    assert_eq!(reset.len(), 14 + head + 20, "{place}");
    let half = (ends.end - ends.start) / 2;
    assert_eq!(reset[ends.start..ends.start + half], segment[ends.start + half..ends.end], "{place}");
    let tcp = &reset[14 + head..];
    let mut sum = reset[ends].to_vec();
    sum.extend([0, 6, 0, 20]);
    sum.extend(tcp);
    assert_eq!(frame::checksum(&sum), 0, "{place}: TCP checksum");
    if v4 {
        assert_eq!(frame::checksum(&reset[14..34]), 0, "{place}: IP checksum");
    }
    assert_eq!(tcp[13], 4, "{place}: RST");
    assert_eq!(tcp[4..8], 2000_u32.to_be_bytes(), "{place}: from its acknowledgment");
}
