//! `make ha-lab`: each fault many times, on two dispatchers with traffic, and what clients saw of it.

use std::fmt::Write;
use std::time::Duration;

use super::lab::{CLUSTER, Daemon, Lab, PARTNER};
use super::pair::{Two, half, is_active, is_synchronized, two};
use super::probe::Asker;
use super::web::Visitor;

/// What is done to the dispatcher that serves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fault {
    /// The whole machine: nothing of it is there any more, its kernel included.
    Node,
    /// SIGKILL.
    Kill,
    /// SIGSTOP, and SIGCONT when the other one serves.
    Freeze,
    /// SIGTERM.
    Stop,
    /// Its link to clients and servers.
    Carrier,
    /// `highavailability takeover` on the other one.
    Takeover,
    /// One of two ways for heartbeats, which moves nothing.
    Path,
    /// The standby dies.
    Standby,
}

impl Fault {
    const ALL: [Self; 8] =
        [Self::Node, Self::Kill, Self::Freeze, Self::Stop, Self::Carrier, Self::Takeover, Self::Path, Self::Standby];

    fn moves(self) -> bool {
        !matches!(self, Self::Path | Self::Standby)
    }
}

/// What clients saw of one fault.
struct Seen {
    gap: Duration,
    broken: usize,
}

/// Connections that run while a fault happens, each older than 100 ms.
const CONNECTIONS: usize = 16;
const BEFORE: Duration = Duration::from_millis(300);
const AFTER: Duration = Duration::from_millis(400);

/// Two daemons, of which either may serve.
struct Pair {
    lab: Lab,
    more: String,
    /// In the order of [`HOSTS`]; `None` while one is dead.
    daemons: [Option<Daemon>; 2],
}

const HOSTS: [&str; 2] = ["lb", PARTNER];

impl Pair {
    fn start(profile: &str) -> Option<Self> {
        let more = format!("profile = \"{profile}\"");
        let (lab, Two { primary, backup }) = two(&more)?;
        let pair = Self { lab, more, daemons: [Some(primary), Some(backup)] };
        pair.settle();
        Some(pair)
    }

    fn daemon(&self, place: usize) -> &Daemon {
        self.daemons[place].as_ref().expect("it runs")
    }

    fn active(&self) -> usize {
        let is_up = |place: &usize| self.daemons[*place].as_ref().is_some_and(is_active);
        (0..2).find(is_up).expect("one of the two serves")
    }

    /// One serves, the other is in sync.
    fn settle(&self) {
        let either = |is: fn(&Daemon) -> bool| (0..2).any(|place| is(self.daemon(place)));
        self.daemon(0)
            .wait_until("one serves and the other is in sync", || either(is_active) && either(is_synchronized));
    }

    fn run(&mut self, fault: Fault) -> Seen {
        let active = self.active();
        let visitors: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                let visitor = Visitor::new(&self.lab);
                let server = visitor.ask();
                (visitor, server)
            })
            .collect();
        let asker = Asker::start(&self.lab, CLUSTER);
        std::thread::sleep(BEFORE);
        self.inject(fault, active);
        if fault.moves() {
            let heir = self.daemon(1 - active);
            heir.wait_until("the other one serves", || is_active(heir));
        }
        std::thread::sleep(AFTER);
        let goes_on = |(visitor, server): &&(Visitor, String)| visitor.try_ask().as_ref() == Some(server);
        let broken = CONNECTIONS - visitors.iter().filter(goes_on).count();
        let gap = asker.stop().gap();
        self.mend(fault, active);
        self.settle();
        Seen { gap, broken }
    }

    fn inject(&mut self, fault: Fault, active: usize) {
        match fault {
            Fault::Node => {
                // The daemon first: it must not see its links go, and say so.
                self.daemons[active].take().expect("it runs").kill();
                let host = HOSTS[active];
                self.lab.sh("switch", &format!("ip link set to-{host} down"));
                self.lab.sh(host, "ip link set hb0 down");
            }
            Fault::Kill => self.daemons[active].take().expect("it runs").kill(),
            Fault::Freeze => self.daemon(active).freeze(true),
            Fault::Stop => {
                self.daemon(active).stop();
                self.daemons[active] = None;
            }
            Fault::Carrier => self.lab.sh("switch", &format!("ip link set to-{} down", HOSTS[active])),
            Fault::Takeover => drop(self.daemon(1 - active).dscontrol("highavailability takeover")),
            Fault::Path => self.lab.sh("lb", "ip link set hb0 down"),
            Fault::Standby => self.daemons[1 - active].take().expect("it runs").kill(),
        }
    }

    fn mend(&mut self, fault: Fault, active: usize) {
        match fault {
            Fault::Node => {
                self.lab.sh(HOSTS[active], "ip link set hb0 up");
                self.lab.sh("switch", &format!("ip link set to-{} up", HOSTS[active]));
            }
            Fault::Freeze => self.daemon(active).freeze(false),
            Fault::Carrier => self.lab.sh("switch", &format!("ip link set to-{} up", HOSTS[active])),
            Fault::Path => self.lab.sh("lb", "ip link set hb0 up"),
            Fault::Kill | Fault::Stop | Fault::Standby | Fault::Takeover => {}
        }
        for (daemon, host) in self.daemons.iter_mut().zip(HOSTS) {
            daemon.get_or_insert_with(|| self.lab.start_on(host, &half(&self.lab, host, &self.more)));
        }
    }
}

fn times() -> usize {
    std::env::var("TIMES").ok().and_then(|times| times.parse().ok()).unwrap_or(20)
}

/// Of sorted values.
fn quantile(sorted: &[Duration], per_cent: usize) -> Duration {
    sorted[(sorted.len() - 1) * per_cent / 100]
}

fn row(profile: &str, fault: Fault, seen: &[Seen], json: &mut Vec<String>) -> String {
    let mut gaps: Vec<Duration> = seen.iter().map(|seen| seen.gap).collect();
    gaps.sort();
    let broken: usize = seen.iter().map(|seen| seen.broken).sum();
    let ms = |gap: Duration| gap.as_secs_f64() * 1000.0;
    let [least, median, p99, most] = [0, 50, 99, 100].map(|per_cent| ms(quantile(&gaps, per_cent)));
    let count = seen.len();
    let connections = count * CONNECTIONS;
    json.push(format!(
        "{{\"profile\":\"{profile}\",\"fault\":\"{fault:?}\",\"times\":{count},\"gap_ms\":{{\"min\":{least:.1},\"median\":{median:.1},\"p99\":{p99:.1},\"max\":{most:.1}}},\"connections\":{connections},\"broken\":{broken}}}"
    ));
    format!(
        "{profile:9} {fault:9?} {count:5} {least:8.1} {median:8.1} {p99:8.1} {most:8.1} {broken:7} of {connections}"
    )
}

/// `TIMES` of each fault (20), or of `FAULT` alone, one profile after the other; what was measured is in `target/ha-lab.json` too.
#[test]
#[ignore = "some minutes: make ha-lab"]
fn every_fault_many_times() {
    let mut json = Vec::new();
    let wanted = std::env::var("FAULT").unwrap_or_default();
    let mut table = String::from("profile   fault     times      min   median      p99      max  broken connections\n");
    for profile in ["standard", "fast"] {
        let Some(mut pair) = Pair::start(profile) else { return };
        for fault in Fault::ALL.into_iter().filter(|fault| format!("{fault:?}").contains(&wanted)) {
            let seen: Vec<Seen> = (0..times()).map(|_| pair.run(fault)).collect();
            let row = row(profile, fault, &seen, &mut json);
            println!("{row}");
            writeln!(table, "{row}").unwrap();
        }
    }
    println!("gaps of new connections in ms\n{table}");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/target/ha-lab.json");
    std::fs::write(path, format!("[{}]\n", json.join(",\n "))).unwrap();
}
