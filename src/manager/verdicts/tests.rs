//! W7 with the settings on and off, W1's counterpart for standings, and stories.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::manager::effective_weight;
use crate::model::Weight;

const INTERVAL: Duration = Duration::from_secs(7);

fn settings(velocitylimit: bool, failopen: bool) -> ManagerSettings {
    let interval = Duration::from_secs(2);
    ManagerSettings { running: true, interval, refresh: 2, sensitivity: 5, smoothing: 1.5, velocitylimit, failopen }
}

fn timeout() -> Health {
    Health::Down(DownReason::ReceiveTimeout)
}

fn refused() -> Health {
    Health::Down(DownReason::ConnectRefused)
}

/// One port and its judge.
struct Court {
    verdicts: Verdicts,
    port: PortVerdicts,
    now: Instant,
}

impl Court {
    fn new(servers: u32, velocity: bool, fail_open: bool) -> Self {
        let up = |id| Verdict { server: ServerId(id), state: AdministrativeState::Up, health: Health::Up };
        let port = PortVerdicts { port: PortId(1), interval: INTERVAL, servers: (0..servers).map(up).collect() };
        Self { verdicts: Verdicts::new(&settings(velocity, fail_open)), port, now: Instant::now() }
    }

    fn health(&mut self, servers: std::ops::Range<usize>, health: Health) -> &mut Self {
        self.port.servers[servers].iter_mut().for_each(|verdict| verdict.health = health.clone());
        self
    }

    /// Judges and shows everybody's standing: `u`, `o`, `f`.
    fn judge(&mut self) -> String {
        self.verdicts.judge(&self.port, self.now);
        let letter = |verdict: &Verdict| match self.verdicts.standing(PortId(1), verdict.server) {
            Standing::Usable => 'u',
            Standing::Out => 'o',
            Standing::FailOpen => 'f',
        };
        self.port.servers.iter().map(letter).collect()
    }

    fn wait(&mut self, time: Duration) -> &mut Self {
        self.now += time;
        self
    }
}

#[test]
fn without_settings_down_is_out() {
    let mut court = Court::new(5, false, false);
    assert_eq!(court.judge(), "uuuuu");
    assert_eq!(court.health(0..5, timeout()).judge(), "ooooo");
    assert_eq!(court.health(1..3, Health::Unknown).judge(), "ouuoo", "nobody has looked: served as if up");
    assert_eq!((court.verdicts.next_deadline(), court.verdicts.held()), (None, 0));
}

#[test]
fn one_at_a_time_of_five() {
    let mut court = Court::new(5, true, false);
    assert_eq!(court.health(1..4, timeout()).judge(), "uouuu");
    assert_eq!(court.verdicts.next_deadline(), Some(court.now + INTERVAL));
    assert_eq!(court.verdicts.held(), 2);
    assert_eq!(court.wait(INTERVAL / 2).judge(), "uouuu", "asking again changes nothing");
    assert_eq!(court.verdicts.due(court.now), []);
    court.health(1..2, Health::Up);
    assert_eq!(court.judge(), "uuuuu", "the first recovers, which gives no room for another");
    court.wait(INTERVAL / 2);
    assert_eq!(court.verdicts.due(court.now), [PortId(1)]);
    assert_eq!(court.judge(), "uuouu", "the longest waiting");
    assert_eq!(court.wait(INTERVAL).judge(), "uuoou");
    assert_eq!((court.verdicts.next_deadline(), court.verdicts.held()), (None, 2));
}

#[test]
fn a_refused_connection_waits_for_nobody() {
    let mut court = Court::new(10, true, true);
    assert_eq!(court.health(0..8, refused()).judge(), "oooooooouu");
    assert_eq!(court.health(8..9, timeout()).judge(), "oooooooouu", "but the limit is used up");
    assert_eq!(court.wait(INTERVAL).judge(), "oooooooofu", "taken out, and the port is mostly down");
    assert_eq!(court.health(8..9, refused()).judge(), "ooooooooou");
}

#[test]
fn most_of_the_port_is_called_down() {
    let mut court = Court::new(4, false, true);
    assert_eq!(court.health(0..2, timeout()).judge(), "oouu", "half is not less than half");
    assert_eq!(court.health(2..3, timeout()).judge(), "fffu");
    assert!(court.verdicts.fails_open(PortId(1)));
    assert_eq!(court.health(0..1, Health::Up).judge(), "uoou");
    court.port.servers[0].state = AdministrativeState::Quiesced;
    assert_eq!(court.judge(), "uffu", "of those that are up, one of three is healthy");
    court.port.servers[1].state = AdministrativeState::Down;
    assert_eq!(court.judge(), "uoou", "server down is not hidden, and one of two is healthy");
}

#[test]
fn switching_the_limit_off_lets_verdicts_through() {
    let mut court = Court::new(5, true, false);
    assert_eq!(court.health(0..3, timeout()).judge(), "ouuuu");
    court.verdicts.configure(&settings(false, false));
    assert_eq!(court.judge(), "ooouu");
    court.verdicts.configure(&settings(true, false));
    assert_eq!(court.judge(), "ooouu", "who is out stays out");
    court.verdicts.forget(PortId(1));
    assert_eq!(court.verdicts.standing(PortId(1), ServerId(0)), Standing::Usable);
}

/// Once a refused connection, coming while a quiesced server lowered the allowance to one, wiped out the memory of the
/// removals before it; back at two, a third server was taken out within one interval.
#[test]
fn an_allowance_that_shrinks_for_a_moment_forgets_nothing() {
    let mut court = Court::new(10, true, false);
    assert_eq!(court.health(0..3, timeout()).judge(), "oouuuuuuuu");
    court.port.servers[0].state = AdministrativeState::Quiesced;
    assert_eq!(court.health(4..5, refused()).judge(), "oouuouuuuu");
    court.port.servers[0].state = AdministrativeState::Up;
    assert_eq!(court.judge(), "oouuouuuuu", "the third waits");
    assert_eq!(court.wait(INTERVAL).judge(), "ooououuuuu");
}

#[test]
fn changes_are_told_once() {
    let mut court = Court::new(2, false, false);
    court.judge();
    court.health(0..1, timeout());
    let change = StandingChange { server: ServerId(0), before: Standing::Usable, after: Standing::Out };
    assert_eq!(court.verdicts.judge(&court.port, court.now), [change]);
    assert_eq!(court.verdicts.judge(&court.port, court.now), []);
}

/// What happens to a port: a server's health or state changes, or time goes by.
#[derive(Clone, Debug)]
enum Event {
    Health(usize, Health),
    State(usize, AdministrativeState),
    Wait(u64),
}

fn event() -> impl Strategy<Value = Event> {
    use AdministrativeState::{Down, Quiesced, QuiescedNow, Up};
    let health =
        prop_oneof![Just(Health::Up), Just(Health::Unknown), Just(timeout()), Just(timeout()), Just(refused())];
    let state = prop_oneof![4 => Just(Up), 1 => Just(Quiesced), 1 => Just(QuiescedNow), 1 => Just(Down)];
    prop_oneof![
        6 => (0usize..32, health).prop_map(|(server, health)| Event::Health(server, health)),
        1 => (0usize..32, state).prop_map(|(server, state)| Event::State(server, state)),
        3 => (0u64..9000).prop_map(Event::Wait),
    ]
}

proptest! {
    /// W7: within any one interval at most max(1, 20 %) of the servers that are up are taken out by opinion; nobody
    /// stays in for ever; what is certain is never hidden; below half, opinion alone leaves a last resort; without
    /// settings nothing differs from the verdicts.
    #[test]
    fn w7_velocity_and_fail_open(servers in 1usize..32, velocity: bool, fail_open: bool, events in prop::collection::vec(event(), 1..200)) {
        let mut court = Court::new(servers as u32, velocity, fail_open);
        court.judge();
        let mut removals: Vec<Instant> = Vec::new();
        for event in events {
            match event {
                Event::Health(server, health) => court.port.servers[server % servers].health = health,
                Event::State(server, state) => court.port.servers[server % servers].state = state,
                Event::Wait(milliseconds) => drop(court.wait(Duration::from_millis(milliseconds))),
            }
            let changes = court.verdicts.judge(&court.port, court.now);
            let up: Vec<&Verdict> = court.port.servers.iter().filter(|verdict| verdict.is_up()).collect();
            let allowed = (up.len() / 5).max(1);
            for change in changes.iter().filter(|change| change.before == Standing::Usable) {
                let verdict = court.port.servers.iter().find(|verdict| verdict.server == change.server).expect("known");
                prop_assert!(verdict.health.is_down() || verdict.state == AdministrativeState::Down);
                if velocity && verdict.is_up() && !verdict.is_certain() {
                    removals.push(court.now);
                    let recent = removals.iter().filter(|at| court.now - **at < INTERVAL).count();
                    // Servers that were quiesced since may have been among the removed: the most that ever was allowed.
                    prop_assert!(recent <= (servers / 5).max(1));
                }
            }
            let here = removals.iter().filter(|at| **at == court.now).count();
            prop_assert!(here <= (servers / 5).max(1).max(allowed));
            let healthy = up.iter().filter(|verdict| !verdict.health.is_down()).count();
            for verdict in &court.port.servers {
                let standing = court.verdicts.standing(PortId(1), verdict.server);
                let down = verdict.state == AdministrativeState::Down;
                if down || verdict.is_certain() || !verdict.is_up() && verdict.health.is_down() {
                    prop_assert_eq!(standing, Standing::Out, "never hidden");
                } else if !verdict.health.is_down() {
                    prop_assert_eq!(standing, Standing::Usable);
                } else if !velocity {
                    let open = fail_open && healthy * 2 < up.len();
                    prop_assert_eq!(standing, if open { Standing::FailOpen } else { Standing::Out });
                } else if standing == Standing::Usable {
                    prop_assert!(court.verdicts.next_deadline().is_some(), "whoever is held back will be judged again");
                }
                // W1, with the settings on and off.
                let weight = Weight::new(7).expect("a weight");
                let nothing = effective_weight(weight, verdict.state, standing != Standing::Usable) == Weight::ZERO;
                let out = verdict.health.is_down() || !verdict.is_up();
                prop_assert!(!nothing || out, "healthy and up: at least 1");
                prop_assert!(velocity || nothing == out, "0 exactly if down or quiesced, unless the limit holds it in");
                prop_assert!(standing != Standing::FailOpen || fail_open && healthy * 2 < up.len());
            }
        }
        // Time alone brings everybody's turn.
        for _ in 0..=servers {
            let Some(due) = court.verdicts.next_deadline() else { break };
            court.now = court.now.max(due);
            court.judge();
        }
        prop_assert_eq!(court.verdicts.next_deadline(), None);
    }

    /// W8: the same verdicts, the same standings.
    #[test]
    fn w8_determinism(velocity: bool, fail_open: bool, events in prop::collection::vec(event(), 1..60)) {
        let start = Instant::now();
        let run = || {
            let mut court = Court::new(10, velocity, fail_open);
            court.now = start;
            let mut seen = vec![court.judge()];
            for event in &events {
                match event {
                    Event::Health(server, health) => court.port.servers[server % 10].health = health.clone(),
                    Event::State(server, state) => court.port.servers[server % 10].state = *state,
                    Event::Wait(milliseconds) => drop(court.wait(Duration::from_millis(*milliseconds))),
                }
                seen.push(court.judge());
            }
            seen
        };
        prop_assert_eq!(run(), run());
    }
}
