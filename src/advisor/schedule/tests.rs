//! Virtual time: a world of servers that answer probes, and the promises of the schedule.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use proptest::prelude::*;

use super::*;
use crate::model::{Advisor, AdvisorKind, AdvisorScope, AdvisorTimeout, Name, PortKey, PortNumber, ServerKey};

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn advisor(kind: AdvisorKind, interval: f64, timeout: f64, retries: u32) -> Advisor {
    let scope = AdvisorScope::Port(PortNumber::new(80).expect("a port"));
    Advisor {
        key: AdvisorKey { kind, scope },
        interval: seconds(interval),
        timeout: AdvisorTimeout::Unlimited,
        connecttimeout: seconds(timeout),
        receivetimeout: seconds(timeout),
        retries,
        verify: false,
    }
}

fn target(advisor: &Advisor, server: u32) -> Target {
    let cluster = Name::new("shop").expect("a name");
    let port = PortKey { cluster, port: PortNumber::new(80).expect("a port") };
    Target {
        advisor: advisor.clone(),
        server: ServerId(server),
        key: ServerKey { port, server: Name::new(&format!("w{server}")).expect("a name") },
        address: Some(SocketAddr::from(([10, 0, (server >> 8) as u8, server as u8], 80))),
        sendproxy: None,
        request: String::new(),
        response: Vec::new(),
        host: format!("w{server}"),
    }
}

/// How a server meets a probe.
#[derive(Clone, Copy, Debug)]
enum Manner {
    Answers(Duration),
    Refuses,
    /// No answer to the connection request.
    Absent,
    /// Connects after a while, and says nothing.
    Silent(Duration),
    /// The probe itself never reports back.
    Lost,
}

impl Manner {
    /// When the daemon would report, and what.
    fn meet(self, order: &ProbeOrder) -> Option<(Duration, ProbeOutcome)> {
        let bad = |reason, latency| Some((latency, ProbeOutcome::Bad { reason, latency }));
        match self {
            Self::Lost => None,
            Self::Refuses => bad(DownReason::ConnectRefused, Duration::ZERO),
            Self::Absent => bad(DownReason::ConnectTimeout, order.connecttimeout.min(order.total)),
            Self::Silent(connect) if connect > order.connecttimeout => {
                bad(DownReason::ConnectTimeout, order.connecttimeout.min(order.total))
            }
            Self::Silent(connect) => bad(DownReason::ReceiveTimeout, (connect + order.receivetimeout).min(order.total)),
            Self::Answers(after) if after > order.total => bad(DownReason::ReceiveTimeout, order.total),
            Self::Answers(latency) => Some((latency, ProbeOutcome::Good { latency })),
        }
    }
}

struct World {
    advisors: Advisors,
    manners: BTreeMap<SocketAddr, Manner>,
    usual: Manner,
    reports: BTreeMap<(Instant, ProbeId), (SocketAddr, ProbeOutcome)>,
    start: Instant,
    now: Instant,
    changes: Vec<(Duration, HealthChange)>,
    /// Beginnings of probes.
    probes: Vec<(Duration, SocketAddr)>,
    most_in_flight: usize,
}

impl World {
    fn new(seed: u64) -> Self {
        let now = Instant::now();
        Self {
            advisors: Advisors::new(seed),
            manners: BTreeMap::new(),
            usual: Manner::Answers(Duration::from_millis(3)),
            reports: BTreeMap::new(),
            start: now,
            now,
            changes: Vec::new(),
            probes: Vec::new(),
            most_in_flight: 0,
        }
    }

    fn configure(&mut self, targets: Vec<Target>) {
        let changes = self.advisors.configure(targets, self.now);
        self.note(changes);
    }

    fn note(&mut self, changes: impl IntoIterator<Item = HealthChange>) {
        let at = self.now - self.start;
        self.changes.extend(changes.into_iter().map(|change| (at, change)));
    }

    /// Everything that is due at this moment.
    fn turn(&mut self) {
        let changes = self.advisors.give_up(self.now);
        self.note(changes);
        while let Some(order) = self.advisors.poll_probe(self.now) {
            assert!(self.reports.values().all(|(target, _)| *target != order.target), "two probes of one target");
            self.probes.push((self.now - self.start, order.target));
            let manner = self.manners.get(&order.target).copied().unwrap_or(self.usual);
            if let Some((after, outcome)) = manner.meet(&order) {
                self.reports.insert((self.now + after, order.id), (order.target, outcome));
            }
        }
        self.most_in_flight = self.most_in_flight.max(self.advisors.in_flight());
        while let Some(entry) = self.reports.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let ((_, id), (_, outcome)) = entry.remove_entry();
            let change = self.advisors.finished(id, outcome, self.now);
            self.note(change);
        }
    }

    fn run(&mut self, time: f64) {
        let end = self.now + seconds(time);
        loop {
            self.turn();
            let report = self.reports.keys().next().map(|(at, _)| *at);
            let next = [self.advisors.next_deadline(), report].into_iter().flatten().min();
            match next {
                Some(next) if next <= end => self.now = self.now.max(next),
                _ => break,
            }
        }
        self.now = end;
    }

    fn probes_of(&self, target: &Target) -> Vec<f64> {
        let address = target.address.expect("resolved");
        self.probes.iter().filter(|(_, to)| *to == address).map(|(at, _)| at.as_secs_f64()).collect()
    }
}

#[test]
fn all_are_probed_at_once_and_then_every_interval() {
    let http = advisor(AdvisorKind::Http, 7.0, 21.0, 0);
    let targets: Vec<Target> = (0..3).map(|server| target(&http, server)).collect();
    let mut world = World::new(1);
    world.configure(targets.clone());
    assert_eq!(world.advisors.health(ServerId(0)), Health::Unknown);
    world.run(70.0);
    for target in &targets {
        let times = world.probes_of(target);
        assert_eq!(times[0], 0.0, "at once");
        assert!(times.windows(2).all(|pair| (6.3..=7.0).contains(&(pair[1] - pair[0]))), "{times:?}");
    }
    let second: Vec<f64> = targets.iter().map(|target| world.probes_of(target)[1]).collect();
    assert!(second[0] != second[1] && second[1] != second[2], "not in step: {second:?}");
    assert_eq!(world.advisors.health(ServerId(0)), Health::Up);
    assert_eq!(world.advisors.load(ServerId(0), world.now), Some(3.0));
}

#[test]
fn down_after_retries_and_up_after_one_answer() {
    let http = advisor(AdvisorKind::Http, 1.0, 3.0, 2);
    let one = target(&http, 1);
    let mut world = World::new(2);
    world.configure(vec![one.clone()]);
    world.run(10.0);
    world.manners.insert(one.address.expect("resolved"), Manner::Refuses);
    world.run(10.0);
    let (at, change) = world.changes.last().expect("down").clone();
    assert_eq!((change.before, change.after), (Health::Up, Health::Down(DownReason::ConnectRefused)));
    assert!(at <= seconds(13.0) && at > seconds(11.5), "{at:?}");
    let record = world.advisors.records().next().expect("a record");
    assert_eq!((record.good_in_row, record.since), (0, world.start + at));
    assert!(record.bad_in_row > 2 && record.failed["connect-refused"] == u64::from(record.bad_in_row));
    assert_eq!(record.history().count(), Record::HISTORY);
    assert_eq!(record.last().and_then(|last| last.failure.clone()), Some(DownReason::ConnectRefused));
    assert_eq!(world.advisors.load(ServerId(1), world.now), None);
    world.manners.clear();
    world.run(2.0);
    assert_eq!(world.changes.last().map(|(_, change)| change.after.clone()), Some(Health::Up));
}

#[test]
fn one_failure_is_forgiven() {
    let http = advisor(AdvisorKind::Http, 1.0, 3.0, 1);
    let one = target(&http, 1);
    let mut world = World::new(3);
    world.configure(vec![one.clone()]);
    world.run(5.5);
    world.manners.insert(one.address.expect("resolved"), Manner::Refuses);
    while world.advisors.records().next().is_some_and(|record| record.bad_in_row == 0) {
        world.run(0.1);
    }
    world.manners.clear();
    world.run(20.0);
    assert_eq!(world.changes.len(), 1, "only from unknown to up: {:?}", world.changes);
    assert_eq!(world.advisors.records().next().map(|record| record.failed["connect-refused"]), Some(1));
}

#[test]
fn the_worst_of_several_advisors_counts() {
    let (http, ping) = (advisor(AdvisorKind::Http, 1.0, 3.0, 0), advisor(AdvisorKind::Ping, 1.0, 3.0, 0));
    let mut elsewhere = target(&http, 1);
    elsewhere.address = Some(SocketAddr::from(([10, 9, 9, 9], 81)));
    let mut world = World::new(4);
    world.configure(vec![target(&ping, 1), elsewhere.clone()]);
    world.manners.insert(elsewhere.address.expect("resolved"), Manner::Answers(seconds(0.5)));
    world.run(0.1);
    assert_eq!(world.advisors.health(ServerId(1)), Health::Unknown, "one has not answered yet");
    assert_eq!(world.advisors.load(ServerId(1), world.now), Some(3.0));
    world.run(3.0);
    assert_eq!(world.advisors.health(ServerId(1)), Health::Up);
    assert_eq!(world.advisors.load(ServerId(1), world.now), Some(500.0));
    world.manners.insert(elsewhere.address.expect("resolved"), Manner::Refuses);
    world.run(3.0);
    assert!(world.advisors.health(ServerId(1)).is_down() && world.advisors.load(ServerId(1), world.now).is_none());
    world.configure(vec![target(&ping, 1)]);
    assert_eq!(world.advisors.health(ServerId(1)), Health::Up, "the advisor that complained was stopped");
    world.configure(Vec::new());
    assert_eq!(world.advisors.health(ServerId(1)), Health::Unknown);
    assert_eq!(world.changes.last().map(|(_, change)| change.after.clone()), Some(Health::Unknown));
}

#[test]
fn loads_grow_old_and_verdicts_do_not() {
    let timeout = AdvisorTimeout::After(seconds(5.0));
    let http = Advisor { timeout, ..advisor(AdvisorKind::Http, 60.0, 3.0, 0) };
    let mut world = World::new(5);
    world.configure(vec![target(&http, 1), target(&http, 2)]);
    world.manners.insert(target(&http, 2).address.expect("resolved"), Manner::Refuses);
    world.run(4.9);
    assert_eq!(world.advisors.load(ServerId(1), world.now), Some(3.0));
    world.run(20.0);
    assert_eq!(world.advisors.load(ServerId(1), world.now), None);
    assert_eq!(world.advisors.health(ServerId(1)), Health::Up);
    assert!(world.advisors.health(ServerId(2)).is_down());
}

#[test]
fn a_name_without_address_is_down_at_once_and_probed_once_it_has_one() {
    let http = advisor(AdvisorKind::Http, 7.0, 21.0, 3);
    let lost = Target { address: None, ..target(&http, 1) };
    let mut world = World::new(6);
    world.configure(vec![lost.clone()]);
    assert_eq!(world.advisors.health(ServerId(1)), Health::Down(DownReason::Unresolved));
    assert_eq!((world.changes.len(), world.advisors.next_deadline()), (1, None));
    world.run(5.0);
    world.configure(vec![target(&http, 1)]);
    assert_eq!(world.advisors.health(ServerId(1)), Health::Unknown);
    world.run(0.1);
    assert_eq!((world.advisors.health(ServerId(1)), world.probes.len()), (Health::Up, 1));
    world.configure(vec![lost]);
    world.run(30.0);
    assert_eq!((world.advisors.health(ServerId(1)), world.probes.len()), (Health::Down(DownReason::Unresolved), 1));
}

#[test]
fn results_of_targets_that_went_away_or_moved_are_ignored() {
    let http = advisor(AdvisorKind::Http, 7.0, 21.0, 0);
    let mut advisors = Advisors::new(7);
    let now = Instant::now();
    advisors.configure(vec![target(&http, 1), target(&http, 2)], now);
    let first = advisors.poll_probe(now).expect("first");
    let second = advisors.poll_probe(now).expect("second");
    assert!(advisors.poll_probe(now).is_none());
    let moved = Target { address: Some(SocketAddr::from(([10, 1, 1, 1], 80))), ..target(&http, 2) };
    advisors.configure(vec![moved.clone()], now);
    let bad = ProbeOutcome::Bad { reason: DownReason::ConnectRefused, latency: Duration::ZERO };
    assert_eq!(advisors.in_flight(), 2, "they still hold their places");
    assert_eq!(advisors.finished(first.id, bad.clone(), now), None);
    assert_eq!(advisors.finished(second.id, bad.clone(), now), None);
    assert_eq!(advisors.finished(second.id, bad, now), None, "nor twice");
    let third = advisors.poll_probe(now).expect("the new address, at once");
    assert_eq!(Some(third.target), moved.address);
    assert_eq!((advisors.in_flight(), advisors.records().count()), (1, 1));
}

#[test]
fn changed_settings_keep_history_and_apply_from_the_next_probe() {
    let http = advisor(AdvisorKind::Http, 60.0, 21.0, 0);
    let mut world = World::new(8);
    world.configure(vec![target(&http, 1)]);
    world.run(10.0);
    let faster = Target { request: "GET /x HTTP/1.0".into(), ..target(&advisor(AdvisorKind::Http, 20.0, 5.0, 0), 1) };
    world.configure(vec![faster.clone()]);
    world.configure(vec![faster.clone()]);
    let record = world.advisors.records().next().expect("a record");
    assert_eq!((record.ok, &record.state, record.history().count()), (1, &Health::Up, 1));
    world.run(11.0);
    assert_eq!(world.probes_of(&faster), [0.0, 20.0], "the shorter interval counts from the last beginning");
}

#[test]
fn a_probe_that_never_reports_back_is_given_up() {
    let http = advisor(AdvisorKind::Http, 7.0, 3.0, 0);
    let mut world = World::new(9);
    world.usual = Manner::Lost;
    world.configure(vec![target(&http, 1)]);
    world.run(7.9);
    assert_eq!(world.advisors.health(ServerId(1)), Health::Unknown);
    world.run(0.2);
    assert_eq!(world.advisors.health(ServerId(1)), Health::Down(DownReason::ReceiveTimeout));
    assert_eq!(world.advisors.lost(), 1);
    assert_eq!(world.advisors.in_flight(), 1, "the next one, at once");
}

#[test]
fn what_this_machine_could_not_do_is_no_verdict() {
    let http = advisor(AdvisorKind::Http, 7.0, 3.0, 0);
    let mut advisors = Advisors::new(10);
    let now = Instant::now();
    advisors.configure(vec![target(&http, 1)], now);
    let order = advisors.poll_probe(now).expect("a probe");
    assert_eq!(advisors.finished(order.id, ProbeOutcome::NotMade { why: "no descriptors".into() }, now), None);
    assert_eq!(advisors.records().next().map(|record| (record.not_made, record.bad_in_row)), Some((1, 0)));
    assert!(advisors.next_deadline().is_some_and(|due| due > now + seconds(6.0)));
}

#[test]
fn the_dead_do_not_hold_up_the_living() {
    let http = advisor(AdvisorKind::Connect, 7.0, 21.0, 0);
    let targets: Vec<Target> = (0..3000).map(|server| target(&http, server)).collect();
    let mut world = World::new(11);
    world.configure(targets.clone());
    world.run(20.0);
    assert_eq!(world.advisors.late(), 0);
    for dead in targets.iter().take(2000) {
        world.manners.insert(dead.address.expect("resolved"), Manner::Absent);
    }
    world.run(120.0);
    let down = (0..3000).filter(|server| world.advisors.health(ServerId(*server)).is_down()).count();
    assert_eq!((down, world.most_in_flight), (2000, MAX_IN_FLIGHT));
    let before = world.probes.len();
    world.run(70.0);
    let living = |at: &SocketAddr| !world.manners.contains_key(at);
    let probes = world.probes[before..].iter().filter(|(_, target)| living(target)).count();
    assert!(probes >= 1000 * 10, "each of a thousand every seven seconds: {probes}");
    assert!(world.advisors.in_flight() >= MAX_IN_FLIGHT_DOWN, "while the dead use their part");
}

#[test]
fn first_probes_of_very_many_are_spread() {
    let http = advisor(AdvisorKind::Http, 7.0, 21.0, 0);
    let mut world = World::new(12);
    world.configure((0..5000).map(|server| target(&http, server)).collect());
    world.run(0.7);
    let at_once = world.probes.iter().filter(|(at, _)| at.is_zero()).count();
    assert!(at_once < MAX_IN_FLIGHT && world.probes.len() == 5000, "{at_once} {}", world.probes.len());
}

/// How long after its death a server was called down, when it dies at `death` in this manner.
fn time_to_verdict(advisor: &Advisor, manner: Manner, death: f64, seed: u64) -> Duration {
    let one = target(advisor, 1);
    let mut world = World::new(seed);
    world.configure(vec![one.clone()]);
    world.run(death);
    world.manners.insert(one.address.expect("resolved"), manner);
    let died = world.now;
    let limit = (advisor.interval + advisor.connecttimeout + advisor.receivetimeout) * (advisor.retries + 2);
    while !world.advisors.health(ServerId(1)).is_down() {
        world.run(advisor.interval.as_secs_f64() / 50.0);
        assert!(world.now - died < limit, "never");
    }
    let down = world.changes.last().map(|(at, _)| world.start + *at).expect("a change");
    down.saturating_duration_since(died)
}

proptest! {
    /// A dead server is out within (retries + 1) × interval + timeout, whatever its way of being dead, whether the
    /// timeouts are longer than the interval or not. One that spends both timeouts takes the second in addition.
    #[test]
    fn a_dead_server_is_out_in_time(interval in 0.1..10.0f64, timeout in 0.1..30.0f64, retries in 0u32..5, death in 0.0..40.0f64,
                                    late in 0.0..1.0f64, kind in 0..3u8, seed: u64) {
        let advisor = advisor(AdvisorKind::Http, interval, timeout, retries);
        let manner = [Manner::Refuses, Manner::Absent, Manner::Silent(Duration::ZERO)][usize::from(kind)];
        let promised = advisor.interval * (retries + 1) + advisor.receivetimeout;
        let taken = time_to_verdict(&advisor, manner, death, seed);
        prop_assert!(taken <= promised + Duration::from_micros(1), "{taken:?} {promised:?}");
        let late = Manner::Silent(seconds(timeout * late));
        let taken = time_to_verdict(&advisor, late, death, seed);
        prop_assert!(taken <= promised + advisor.connecttimeout + Duration::from_micros(1), "{taken:?} {promised:?}");
    }

    /// Whatever is configured and reported, in whatever order: at most so many probes fly, none twice for a target,
    /// deadlines are told, and nothing panics.
    #[test]
    fn any_order_of_events(steps in prop::collection::vec((0..4u8, any::<u32>(), 0.0..9.0f64), 1..120), seed: u64) {
        let kinds = AdvisorKind::ALL.map(|kind| advisor(kind, 3.0, 2.0, 1));
        let mut advisors = Advisors::new(seed);
        let mut now = Instant::now();
        let mut flying: BTreeMap<ProbeId, SocketAddr> = BTreeMap::new();
        for (step, number, wait) in steps {
            match step {
                0 => {
                    let wanted = (0..20u32).filter(|bit| number >> bit & 1 == 1);
                    let targets = wanted.map(|server| {
                        let mut target = target(&kinds[(server % 4) as usize], server / 2);
                        target.address = target.address.filter(|_| number % 5 != server % 5);
                        target
                    });
                    advisors.configure(targets.collect(), now);
                }
                1 => {
                    advisors.give_up(now);
                    while let Some(order) = advisors.poll_probe(now) {
                        flying.insert(order.id, order.target);
                    }
                    prop_assert!(advisors.next_deadline().is_none_or(|due| due > now), "the loop would spin");
                }
                2 => {
                    let id = ProbeId(u64::from(number) % 200);
                    flying.remove(&id);
                    let latency = seconds(wait);
                    let outcome = match number % 3 {
                        0 => ProbeOutcome::Good { latency },
                        1 => ProbeOutcome::Bad { reason: DownReason::Garbage, latency },
                        _ => ProbeOutcome::NotMade { why: String::new() },
                    };
                    advisors.finished(id, outcome, now);
                }
                _ => {
                    now += seconds(wait);
                    advisors.give_up(now);
                }
            }
            prop_assert!(advisors.in_flight() <= MAX_IN_FLIGHT);
            let waiting = advisors.records().filter(|record| record.state != Health::Down(DownReason::Unresolved)).count();
            prop_assert!(waiting == 0 || advisors.next_deadline().is_some(), "somebody would never be probed again");
        }
    }
}
