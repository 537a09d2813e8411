//! Claims in virtual time.

use std::net::Ipv4Addr;

use super::*;

const OWN: Mac = Mac([2, 0, 0, 0, 0, 1]);
const CLIENT: Mac = Mac([2, 0, 0, 0, 0, 9]);
const RIVAL: Mac = Mac([2, 0, 0, 0, 0, 66]);
const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
const HOST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);

/// A dispatcher that is told the time.
struct World {
    claims: Claims,
    now: Instant,
    start: Instant,
    /// When what was sent.
    sent: Vec<(Duration, Vec<u8>)>,
    alerts: Vec<(Duration, Alert)>,
    groups: Vec<Action>,
}

impl World {
    fn new(address: IpAddr) -> Self {
        let now = Instant::now();
        let mut world = Self {
            claims: Claims::new(now),
            now,
            start: now,
            sent: Vec::new(),
            alerts: Vec::new(),
            groups: Vec::new(),
        };
        world.tell(Event::Own(vec![Owned { address, interface: 2, mac: OWN }]));
        world.tell(Event::Claim { asked: false });
        world
    }

    fn tell(&mut self, event: Event<'_>) {
        let at = self.now - self.start;
        for action in self.claims.handle(event, self.now) {
            match action {
                Action::Send { interface: 2, frame } => self.sent.push((at, frame)),
                Action::Alert(alert) => self.alerts.push((at, alert)),
                other => self.groups.push(other),
            }
        }
    }

    /// Lets time pass, with a tick every 10 ms so that instants are exact.
    fn pass(&mut self, millis: u64) {
        for _ in 0..millis / 10 {
            self.now += Duration::from_millis(10);
            self.tell(Event::Tick);
        }
    }

    /// Time that the process does not see.
    fn freeze(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
    }

    fn hear(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let (before, received) = (self.sent.len(), self.now);
        self.tell(Event::Frame { interface: 2, received, bytes });
        self.sent.split_off(before).pop().map(|(_, frame)| frame)
    }

    fn ask(&mut self) -> Option<Arp> {
        self.hear(&question(CLIENT, HOST, ADDRESS)).map(|frame| Arp::read(&frame).unwrap())
    }
}

fn question(mac: Mac, from: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    Arp { operation: Operation::Request, sender: (mac, from), target: (Mac::default(), target) }.frame(Mac::BROADCAST)
}

fn is_probe(frame: &[u8]) -> bool {
    Arp::read(frame).is_some_and(|arp| arp.sender.1.is_unspecified())
}

#[test]
fn an_address_is_probed_then_announced_at_its_instants() {
    let mut world = World::new(ADDRESS.into());
    world.pass(40_000);
    let probes: Vec<_> = world.sent.iter().filter(|(_, frame)| is_probe(frame)).map(|(at, _)| at.as_millis()).collect();
    assert_eq!(probes, [10, 110, 210]);
    let mut announced: Vec<_> =
        world.sent.iter().filter(|(_, frame)| !is_probe(frame)).map(|(at, _)| at.as_millis()).collect();
    assert_eq!(announced.len() % 2, 0, "each in two forms");
    announced.dedup();
    assert_eq!(announced, [0, 50, 150, 500, 1000, 2000, 5000, 35_000].map(|after| 310 + after));
}

#[test]
fn questions_are_answered_while_active_only() {
    let mut world = World::new(ADDRESS.into());
    assert_eq!(world.ask(), None, "it is not ours before the probes are over");
    world.pass(400);
    let answer = world.ask().unwrap();
    assert_eq!((answer.operation, answer.sender), (Operation::Reply, (OWN, ADDRESS)));
    assert_eq!(answer.target, (CLIENT, HOST));
    assert_eq!(world.hear(&question(CLIENT, HOST, Ipv4Addr::new(192, 0, 2, 11))), None, "not ours");
    world.tell(Event::Yield);
    assert_eq!(world.ask(), None);
    world.pass(60_000);
    assert_eq!(world.claims.counts().answers, 1);
    let before = world.sent.len();
    world.tell(Event::Claim { asked: false });
    world.pass(100);
    assert!(world.sent.len() > before, "a takeover is announced at once");
    assert!(world.ask().is_some());
}

#[test]
fn who_was_late_stays_silent_for_a_lease() {
    let mut world = World::new(ADDRESS.into());
    world.pass(400);
    world.freeze(LEASE.as_millis() as u64 + 1);
    assert_eq!(world.ask(), None);
    world.pass(200);
    assert_eq!(world.ask(), None);
    world.pass(100);
    assert!(world.ask().is_some());
    let old = world.now - LEASE - Duration::from_millis(1);
    world.sent.clear();
    world.tell(Event::Frame { interface: 2, received: old, bytes: &question(CLIENT, HOST, ADDRESS) });
    assert!(world.sent.is_empty(), "a question from before");
    assert_eq!(world.claims.counts().late, 3);
}

#[test]
fn a_rival_is_told_defended_against_and_outlived() {
    let mut world = World::new(ADDRESS.into());
    world.pass(10_000);
    let claim = Arp::announcements(RIVAL, ADDRESS)[0].clone();
    assert!(world.hear(&claim).is_some(), "defended at once");
    assert!(world.hear(&claim).is_none(), "but not more than once a second");
    world.pass(1_000);
    assert!(world.hear(&claim).is_some());
    assert_eq!(world.alerts.len(), 1);
    assert_eq!(world.alerts[0].1, Alert::Duplicate { address: ADDRESS.into(), mac: RIVAL });
    world.sent.clear();
    world.pass(10_000);
    assert_eq!(world.alerts[1].1, Alert::RivalGone { address: ADDRESS.into(), mac: RIVAL });
    assert!(!world.sent.is_empty(), "those who heard the rival hear us");
    let own = Arp::announcements(OWN, ADDRESS)[0].clone();
    world.hear(&own);
    assert_eq!(world.alerts.len(), 2, "our own frames are no rival's");
}

#[test]
fn an_address_that_another_station_has_is_not_claimed() {
    let mut world = World::new(ADDRESS.into());
    world.pass(150);
    let answer = Arp { operation: Operation::Reply, sender: (RIVAL, ADDRESS), target: (OWN, Ipv4Addr::UNSPECIFIED) };
    world.hear(&answer.frame(OWN));
    world.pass(4_000);
    assert_eq!(world.ask(), None);
    assert!(world.sent.iter().all(|(_, frame)| is_probe(frame)));
    world.pass(3_000);
    assert!(world.ask().is_some(), "nobody answered the second time");
}

#[test]
fn in_a_pair_a_claim_is_a_lease_and_the_partners_is_no_rival() {
    let mut world = World::new(ADDRESS.into());
    world.tell(Event::Yield);
    world.tell(Event::Lease(Some(world.now)));
    let partners = Arp::announcements(RIVAL, ADDRESS)[0].clone();
    world.hear(&partners);
    world.tell(Event::Ask);
    assert!(is_probe(&world.sent.pop().unwrap().1));
    let answer = Arp { operation: Operation::Reply, sender: (RIVAL, ADDRESS), target: (OWN, Ipv4Addr::UNSPECIFIED) };
    world.hear(&answer.frame(OWN));
    world.pass(20_000);
    world.hear(&partners);
    assert!(world.alerts.is_empty(), "{:?}", world.alerts);
    assert_eq!(world.groups, [Action::Answered { address: ADDRESS.into(), mac: RIVAL }], "once, to the question");
    // A takeover is announced in the same moment, and answered for as long as the lease is renewed.
    world.tell(Event::Lease(Some(world.now + Duration::from_millis(240))));
    world.tell(Event::Claim { asked: true });
    assert!(!world.sent.is_empty() && world.ask().is_some());
    let probe = Arp::probe(RIVAL, ADDRESS);
    assert!(world.hear(&probe).is_some(), "the partner asks whether we live");
    assert!(world.alerts.is_empty());
    world.pass(250);
    world.sent.clear();
    world.pass(10_000);
    assert_eq!(world.ask(), None);
    assert!(world.sent.is_empty(), "nor announced");
    world.tell(Event::Lease(Some(world.now + Duration::from_secs(1))));
    world.tell(Event::Announce);
    assert!(!world.sent.is_empty() && world.ask().is_some());
}

#[test]
fn ipv6_is_claimed_in_its_group() {
    let address: Ipv6Addr = "2001:db8::10".parse().unwrap();
    let mut world = World::new(address.into());
    assert_eq!(world.groups, [Action::Join { interface: 2, group: "ff02::1:ff00:10".parse().unwrap() }]);
    world.pass(400);
    let host: Ipv6Addr = "2001:db8::7".parse().unwrap();
    let asked = Solicitation { source: host, target: address, asker: Some(CLIENT) }.frame(CLIENT);
    let Some(Ndp::Advertisement(answer)) = world.hear(&asked).and_then(|frame| Ndp::read(&frame)) else {
        panic!("no answer");
    };
    assert_eq!((answer.target, answer.owner, answer.solicited, answer.destination), (address, Some(OWN), true, host));
    world.tell(Event::Own(Vec::new()));
    assert_eq!(world.groups.len(), 2);
    assert_eq!(world.hear(&asked), None);
}

#[test]
fn a_flood_of_questions_has_an_end() {
    let mut world = World::new(ADDRESS.into());
    world.pass(400);
    let answered = (0..MOST_ANSWERS + 10).filter(|_| world.ask().is_some()).count();
    assert_eq!((answered as u32, world.claims.counts().excess), (MOST_ANSWERS, 10));
    world.pass(1_000);
    assert!(world.ask().is_some());
}
