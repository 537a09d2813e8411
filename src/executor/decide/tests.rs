//! Little stories about one port: who gets the next connection.

use std::sync::Arc;
use std::time::Duration;

use crate::executor::*;
use crate::message::SorrySite;
use crate::model::*;

use super::*;

/// One port that can be described in words and asked who is next.
struct Site {
    port: Port,
    states: Vec<ServerState>,
    affinity: Arc<AffinityTable>,
    counters: Arc<PortCounters>,
    table: PortTable,
    now: Instant,
    hour: u8,
}

#[derive(Clone)]
struct ServerState {
    standing: Standing,
    weight: Weight,
    resolved: bool,
    counters: Arc<ServerCounters>,
}

const CLIENT: &str = "198.51.100.7";

impl Site {
    /// Servers named `a`, `b`, `c`… with these weights.
    fn with_weights(weights: &[u64]) -> Self {
        let servers = (b'a'..).zip(weights).map(|(name, _)| server(char::from(name))).collect();
        let state = |&weight: &u64| ServerState {
            standing: Standing::Usable,
            weight: Weight::new(weight).unwrap(),
            resolved: true,
            counters: Arc::new(ServerCounters::new(1)),
        };
        Self::new(port(servers), weights.iter().map(state).collect())
    }

    fn new(port: Port, states: Vec<ServerState>) -> Self {
        let affinity = Arc::new(AffinityTable::new(1000));
        let counters = Arc::new(PortCounters::new(1, 0));
        let table = build(&port, &states, &affinity, &counters, None);
        Self { port, states, affinity, counters, table, now: Instant::now(), hour: 12 }
    }

    fn change(&mut self, change: impl FnOnce(&mut Port, &mut Vec<ServerState>)) -> &mut Self {
        change(&mut self.port, &mut self.states);
        self.table = build(&self.port, &self.states, &self.affinity, &self.counters, Some(&self.table));
        self
    }

    fn sticky(&mut self) -> &mut Self {
        self.change(|port, _| port.stickytime = Duration::from_secs(300))
    }

    fn rule(&mut self, name: &str, kind: RuleType, servers: &str) -> &mut Self {
        let servers = servers.chars().map(|name| Name::new(&name.to_string()).unwrap()).collect();
        let priority = self.port.rules.len() as u32 * 10;
        let rule = Rule { name: Name::new(name).unwrap(), kind, priority, servers, over_affinity: false, group: None };
        self.change(|port, _| port.rules.push(rule))
    }

    fn state(&mut self, server: usize, state: AdministrativeState) -> &mut Self {
        self.change(|port, _| port.servers[server].state = state)
    }

    fn standing(&mut self, server: usize, standing: Standing) -> &mut Self {
        self.change(|_, states| states[server].standing = standing)
    }

    fn ask(&self, client: &str, tried: &Tried, turn: Turn) -> Decision {
        let mut session = Session::default();
        let mut ask = Ask { client: client.parse().unwrap(), request: None, session: &mut session, tried, turn };
        decide(&self.table, &mut ask, Moment { now: self.now, hour: self.hour })
    }

    fn next(&self, client: &str) -> String {
        match self.ask(client, &Tried::default(), Turn::Take) {
            Decision::Forward { server, .. } => self.table.server(server).unwrap().name.to_string(),
            Decision::Refuse(refusal) => format!("{refusal:?}"),
        }
    }

    /// The servers of so many new connections of clients never seen before.
    fn run(&self, count: usize) -> String {
        (0..count).map(|host| self.next(&format!("203.0.113.{host}"))).collect()
    }
}

fn build(
    port: &Port,
    states: &[ServerState],
    affinity: &Arc<AffinityTable>,
    counters: &Arc<PortCounters>,
    previous: Option<&PortTable>,
) -> PortTable {
    let settings = Arc::new(port.clone());
    let plan = |(id, (server, state)): (u32, (_, &'_ ServerState))| (id, server, state.clone());
    let plans: Vec<(u32, &Server, ServerState)> = (0..).zip(settings.servers.iter().zip(states)).map(plan).collect();
    let servers = plans.iter().map(|(id, server, state)| ServerPlan {
        id: ServerId(*id),
        server,
        address: state.resolved.then(|| "192.0.2.1".parse().unwrap()),
        weight: state.weight,
        health: Health::Unknown,
        standing: state.standing,
        counters: &state.counters,
        tls: None,
    });
    PortTable::new(PortPlan {
        id: PortId(0),
        key: PortKey { cluster: Name::new("shop").unwrap(), port: port.number },
        address: "192.0.2.10".parse().unwrap(),
        settings: &settings,
        servers: servers.collect(),
        affinity_group: PortId(0),
        affinity,
        sorry: &Arc::new(SorrySite::built_in(&port.sorry).unwrap()),
        tls: None,
        accesslog: None,
        counters,
        cookie_key: &CookieKey::new(&[7; 32]),
        previous,
    })
}

fn server(name: char) -> Server {
    Server {
        name: Name::new(&name.to_string()).unwrap(),
        host: ServerHost::Address("192.0.2.1".parse().unwrap()),
        mapport: PortNumber::new(80).unwrap(),
        weight: Weight::MAX,
        fixedweight: false,
        sticky: true,
        collocated: false,
        state: AdministrativeState::Up,
        advisorrequest: String::new(),
        advisorresponse: Vec::new(),
        proxied: ProxiedServer::default(),
    }
}

fn port(servers: Vec<Server>) -> Port {
    Port { servers, ..Port::preset(PortNumber::new(80).unwrap(), ForwardingMethod::Http) }
}

#[test]
fn round_robin_follows_the_weights() {
    assert_eq!(Site::with_weights(&[5, 1, 1]).run(14), "aabacaaaabacaa");
    assert_eq!(Site::with_weights(&[]).run(1), "NoServers");
}

#[test]
fn weights_change_without_starting_the_round_again() {
    let mut site = Site::with_weights(&[1, 1, 1]);
    assert_eq!(site.run(2), "ab");
    site.change(|_, states| states[0].weight = Weight::ZERO);
    assert_eq!(site.run(4), "bcbc");
}

#[test]
fn who_may_take_what() {
    use AdministrativeState::*;
    let cases = [
        (Up, Standing::Usable, 10, "new", "kept"),
        (Up, Standing::Usable, 0, "none", "kept"),
        (Up, Standing::Out, 10, "none", "moved"),
        (Quiesced, Standing::Usable, 10, "none", "kept"),
        (Quiesced, Standing::Out, 10, "none", "moved"),
        (QuiescedNow, Standing::Usable, 10, "none", "moved"),
        (Down, Standing::Usable, 10, "none", "moved"),
    ];
    for (state, standing, weight, new, affinity) in cases {
        let mut site = Site::with_weights(&[1, 1]);
        site.sticky();
        assert_eq!(site.next(CLIENT), "a");
        site.change(|port, states| {
            port.servers[0].state = state;
            states[0] = ServerState { standing, weight: Weight::new(weight).unwrap(), ..states[0].clone() };
        });
        let case = format!("{state:?} {standing:?} weight {weight}");
        assert_eq!(site.run(22).contains('a'), new == "new", "{case}: new connections");
        assert_eq!(site.next(CLIENT) == "a", affinity == "kept", "{case}: affinity");
    }
}

#[test]
fn an_unresolved_server_takes_nothing() {
    let mut site = Site::with_weights(&[1, 1]);
    site.change(|port, states| {
        states[0].resolved = false;
        port.all_down = AllDown::Spread;
    });
    assert_eq!(site.run(3), "bbb");
    site.standing(1, Standing::Out);
    assert_eq!(site.run(3), "bbb", "spread has only addresses to go to");
}

#[test]
fn affinity_comes_before_rules_and_moves_once() {
    let mut site = Site::with_weights(&[1, 1]);
    site.sticky();
    assert_eq!(site.next(CLIENT), "a");
    site.rule("all", RuleType::True, "b");
    assert_eq!(site.next(CLIENT), "a", "a record is not looked at by rules");
    site.standing(0, Standing::Out);
    assert_eq!(site.next(CLIENT), "b");
    site.standing(0, Standing::Usable);
    assert_eq!(site.next(CLIENT), "b", "the client does not go back");
    site.now += Duration::from_secs(300);
    site.change(|port, _| port.rules.clear());
    assert_eq!(site.run(1), "b", "the ring moved on");
    assert_eq!(site.next(CLIENT), "a", "the record has expired");
}

#[test]
fn the_sorry_server_keeps_nobody() {
    let mut site = Site::with_weights(&[1, 1]);
    site.sticky().rule("normal", RuleType::True, "a").rule("sorry", RuleType::True, "b");
    site.change(|port, _| port.servers[1].sticky = false);
    assert_eq!(site.next(CLIENT), "a");
    site.standing(0, Standing::Out);
    assert_eq!(site.next(CLIENT), "b");
    site.standing(0, Standing::Usable);
    assert_eq!(site.next(CLIENT), "a", "back as soon as the normal rule has a server");
    assert_eq!(site.table.rules.iter().map(RuleEntry::hits).collect::<Vec<_>>(), [1, 1], "the last one was affinity");
}

#[test]
fn the_sorry_rule_comes_before_fail_open() {
    let mut site = Site::with_weights(&[1, 1, 1]);
    site.rule("normal", RuleType::True, "ab").rule("sorry", RuleType::True, "c");
    site.standing(0, Standing::FailOpen).standing(1, Standing::FailOpen);
    assert_eq!(site.run(2), "cc");
    site.standing(2, Standing::FailOpen);
    assert_eq!(site.run(3), "abc", "nobody is left: the advisors' verdict is set aside");
    site.standing(1, Standing::Usable);
    assert_eq!(site.run(2).replace('b', "a"), "aa", "beside a usable server of its rule");
}

#[test]
fn rules_without_usable_servers_give_way() {
    let mut site = Site::with_weights(&[1, 1, 1]);
    site.rule("first", RuleType::True, "a").rule("second", RuleType::True, "b");
    site.standing(0, Standing::Out);
    assert_eq!(site.run(2), "bb");
    site.standing(1, Standing::Out);
    assert_eq!(site.run(2), "cc", "servers of no rule are better than none");
    site.standing(2, Standing::Out);
    assert_eq!(site.run(1), "AllDown");
    site.change(|port, _| port.all_down = AllDown::Spread);
    assert_eq!(site.run(3).len(), 3);
    site.state(0, AdministrativeState::Down).state(1, AdministrativeState::QuiescedNow);
    assert_eq!(site.run(2), "cc", "what the operator took out stays out");
}

#[test]
fn a_rule_without_servers_refuses() {
    let mut site = Site::with_weights(&[1]);
    let here = "198.51.100.0".parse().unwrap();
    let there = "198.51.100.255".parse().unwrap();
    site.rule("blocked", RuleType::Ip(IpRange { begin: here, end: there }), "");
    assert_eq!(site.next(CLIENT), "EmptyRule(0)");
    assert_eq!(site.next("::ffff:198.51.100.7"), "EmptyRule(0)", "the same client over a mapped address");
    assert_eq!(site.next("203.0.113.1"), "a");
}

#[test]
fn time_rules_look_at_the_hour() {
    let mut site = Site::with_weights(&[1, 1]);
    site.rule("night", RuleType::Time(HourRange { begin: 22, end: 6 }), "b");
    site.rule("day", RuleType::True, "a");
    for (hour, server) in [(12, "a"), (22, "b"), (5, "b"), (6, "a")] {
        site.hour = hour;
        assert_eq!(site.run(1), server, "at {hour}");
    }
}

#[test]
fn load_rules_measure_the_port_or_their_own_servers() {
    for (evaluate, server) in [(Evaluate::Port, "b"), (Evaluate::Rule, "a")] {
        let mut site = Site::with_weights(&[1, 1]);
        site.rule("calm", RuleType::Active { range: NumberRange { begin: 0, end: 1 }, evaluate }, "a");
        site.rule("busy", RuleType::True, "b");
        let running: Vec<_> = (0..2).map(|_| ActiveConnection::begin(&site.states[1].counters, Lane(0))).collect();
        assert_eq!(site.run(1), server, "{evaluate:?}");
        drop(running);
        assert_eq!(site.run(1), "a");
    }
    let mut site = Site::with_weights(&[1, 1]);
    let range = NumberRange { begin: 100, end: u32::MAX };
    site.rule("rush", RuleType::Connection { range, evaluate: Evaluate::Port }, "b").rule("calm", RuleType::True, "a");
    assert_eq!(site.run(1), "a");
    site.states[0].counters.set_rate(100);
    assert_eq!(site.run(1), "b");
}

#[test]
fn a_server_is_never_tried_twice() {
    let mut site = Site::with_weights(&[1, 1, 1]);
    site.sticky().rule("some", RuleType::True, "ab");
    let mut tried = Tried::default();
    let mut seen = String::new();
    for _ in 0..3 {
        let Decision::Forward { server, .. } = site.ask(CLIENT, &tried, Turn::Take) else { panic!("refused") };
        seen += site.table.server(server).unwrap().name.as_str();
        tried.add(server);
    }
    assert_eq!(seen, "abc", "the rule's other server first, then any");
    assert_eq!(site.ask(CLIENT, &tried, Turn::Take), Decision::Refuse(Refusal::AllTried));
    assert_eq!(site.next(CLIENT), "c", "affinity follows the last one that was tried");
}

#[test]
fn asking_why_changes_nothing() {
    let mut site = Site::with_weights(&[1, 1]);
    site.sticky().rule("all", RuleType::True, "ab");
    for _ in 0..5 {
        assert!(matches!(
            site.ask(CLIENT, &Tried::default(), Turn::Peek),
            Decision::Forward { server: ServerIndex(0), .. }
        ));
    }
    assert_eq!(site.table.rules[0].hits(), 0);
    assert!(site.affinity.is_empty());
    assert_eq!(site.run(2), "ab");
}

#[test]
fn a_session_asks_the_shared_table_once_and_obeys_the_operator() {
    let mut site = Site::with_weights(&[1, 1]);
    site.sticky();
    let mut session = Session::default();
    let mut next = |site: &Site| {
        let (client, tried) = (CLIENT.parse().unwrap(), Tried::default());
        let mut ask = Ask { client, request: None, session: &mut session, tried: &tried, turn: Turn::Take };
        decide(&site.table, &mut ask, Moment { now: site.now, hour: 0 })
    };
    let to = |server| Decision::Forward { server: ServerIndex(server), why: Why::Affinity, trial: false };
    assert!(matches!(next(&site), Decision::Forward { server: ServerIndex(0), .. }));
    site.affinity.sweep(site.now + Duration::from_secs(1000));
    assert_eq!(next(&site), to(0), "the connection itself remembers");
    site.state(0, AdministrativeState::Quiesced);
    assert_eq!(next(&site), to(0));
    site.state(0, AdministrativeState::QuiescedNow);
    assert!(matches!(next(&site), Decision::Forward { server: ServerIndex(1), .. }));
    assert_eq!(next(&site), to(1));
}

mod balances;
