//! The laws of weights (W1 to W5, W8, W10) and the manager's manners.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::model::AdministrativeState;

fn settings() -> ManagerSettings {
    ManagerSettings {
        running: true,
        interval: Duration::from_secs(2),
        refresh: 1,
        sensitivity: 0,
        smoothing: 1.5,
        velocitylimit: false,
        failopen: false,
    }
}

fn server(id: u32, active: u64) -> ServerSample {
    ServerSample {
        server: ServerId(id),
        weight: weight(10),
        fixed: false,
        state: AdministrativeState::Up,
        down: false,
        active,
        total: 0,
        advisor: None,
        system: None,
    }
}

fn weight(value: u64) -> Weight {
    Weight::new(value).expect("a weight")
}

/// A port, its manager, and a heart that publishes what the manager says.
struct Site {
    manager: Manager,
    sample: PortSample,
    now: Instant,
    changes: usize,
}

impl Site {
    fn new(settings: ManagerSettings, servers: Vec<ServerSample>) -> Self {
        let now = Instant::now();
        let bound = WeightBound::DEFAULT;
        let sample = PortSample { port: PortId(1), bound, proportions: Proportions::DEFAULT, servers };
        Self { manager: Manager::new(settings, now), sample, now, changes: 0 }
    }

    fn proportions(mut self, active: u64, new: u64, port: u64, system: u64) -> Self {
        self.sample.proportions = Proportions::new(active, new, port, system).expect("whole");
        self
    }

    /// One round; returns the changes.
    fn round(&mut self) -> Vec<WeightChange> {
        self.now += Duration::from_secs(2);
        let changes = self.manager.observe(std::slice::from_ref(&self.sample), self.now);
        for change in &changes {
            let server = self.sample.servers.iter_mut().find(|s| s.server == change.server).expect("a known server");
            server.weight = change.weight;
        }
        self.changes += usize::from(!changes.is_empty());
        changes
    }

    fn rounds(&mut self, count: usize) {
        (0..count).for_each(|_| drop(self.round()));
    }

    fn weights(&self) -> Vec<u8> {
        self.sample.servers.iter().map(|s| s.weight.get()).collect()
    }

    fn computed(&self) -> Vec<u8> {
        let of = |s: &ServerSample| self.manager.evidence(s.server).expect("sampled").weight.get();
        self.sample.servers.iter().map(of).collect()
    }
}

#[test]
fn the_busier_server_gets_less() {
    let mut site = Site::new(settings(), vec![server(1, 10), server(2, 30)]).proportions(100, 0, 0, 0);
    site.rounds(7);
    assert_eq!(site.weights(), [20, 9], "15/35 of 20, and no less");
    let evidence = site.manager.evidence(ServerId(2)).expect("sampled");
    assert_eq!((evidence.active, evidence.new, evidence.weight.get()), (30, Some(0), 9));
    assert!((evidence.partial.expect("in service").active - 60.0 / 7.0).abs() < 1e-6);
}

#[test]
fn small_changes_wait_and_large_ones_do_not() {
    let mut site = Site::new(ManagerSettings { sensitivity: 5, ..settings() }, vec![server(1, 100), server(2, 100)]);
    site.rounds(8);
    assert_eq!(site.weights(), [20, 20]);
    let before = site.changes;
    site.sample.servers[0].active = 104;
    site.rounds(8);
    assert_eq!((site.changes, site.weights()), (before, vec![20, 20]), "two of forty is five percent, not more");
    site.sample.servers[0].active = 200;
    site.rounds(8);
    assert!(site.changes > before && site.weights()[0] < 19, "{:?}", site.weights());
}

#[test]
fn two_servers_that_swap_their_loads_swap_their_weights() {
    let mut site = Site::new(ManagerSettings { sensitivity: 5, ..settings() }, vec![server(1, 10), server(2, 50)]);
    site.rounds(8);
    let [first, second] = site.weights()[..] else { panic!("two servers") };
    site.sample.servers[0].active = 50;
    site.sample.servers[1].active = 10;
    site.rounds(8);
    assert_eq!(site.weights(), [second, first], "their sum is what it was");
}

#[test]
fn a_server_comes_back_with_the_weight_it_had() {
    let mut site = Site::new(settings(), vec![server(1, 10), server(2, 60), server(3, 10)]).proportions(100, 0, 0, 0);
    site.rounds(8);
    let before = site.weights();
    site.sample.servers[1].down = true;
    site.sample.servers[1].active = 0;
    site.rounds(5);
    assert_eq!(site.weights()[1], before[1], "kept aside");
    assert_eq!(site.manager.evidence(ServerId(2)).expect("sampled").partial, None);
    site.sample.servers[1].down = false;
    site.round();
    let back = site.weights()[1];
    assert!((before[1]..=20).contains(&back), "goes on from {} and not from nothing: {back}", before[1]);
}

#[test]
fn a_departure_is_published_at_once_however_insensitive_the_manager_is() {
    let mut site = Site::new(
        ManagerSettings { sensitivity: 100, ..settings() },
        vec![server(1, 0), server(2, 100), server(3, 300)],
    );
    site.rounds(10);
    let before = site.changes;
    site.sample.servers[0].state = AdministrativeState::Quiesced;
    assert!(!site.round().is_empty() && site.changes == before + 1);
}

#[test]
fn what_operators_say_stands() {
    let mut servers = vec![server(1, 10), server(2, 30), server(3, 20)];
    servers[0].weight = Weight::ZERO;
    servers[1].fixed = true;
    let mut site = Site::new(settings(), servers);
    site.rounds(10);
    assert_eq!(site.weights()[..2], [0, 10], "weight 0 is not raised, a fixed weight not touched");
    assert_ne!(site.computed()[1], 10, "but the manager says what it would have given");
    site.sample.servers[0].weight = weight(7);
    site.round();
    assert_ne!(site.weights()[0], 0, "taken back into service");
}

#[test]
fn a_smaller_bound_counts_at_once() {
    let mut site = Site::new(ManagerSettings { sensitivity: 100, ..settings() }, vec![server(1, 10), server(2, 30)]);
    site.rounds(8);
    site.sample.bound = WeightBound::new(2).expect("a bound");
    site.round();
    assert!(site.weights().iter().all(|weight| (1..=2).contains(weight)), "{:?}", site.weights());
}

#[test]
fn a_stopped_manager_does_nothing() {
    let mut site = Site::new(ManagerSettings { running: false, ..settings() }, vec![server(1, 10), server(2, 90)]);
    site.rounds(3);
    assert_eq!((site.weights(), site.manager.next_deadline()), (vec![10, 10], None));
    site.manager.configure(settings(), site.now);
    assert_eq!(site.manager.next_deadline(), Some(site.now), "a start means now");
    site.rounds(8);
    assert_ne!(site.weights(), [10, 10]);
    assert_eq!(site.manager.next_deadline(), Some(site.now + Duration::from_secs(2)));
    site.manager.configure(ManagerSettings { interval: Duration::MAX, ..settings() }, site.now);
    site.rounds(1);
    assert_eq!(site.manager.next_deadline(), None, "an interval without end never ends");
}

#[test]
fn connections_are_counted_every_refresh() {
    let mut site = Site::new(ManagerSettings { refresh: 3, ..settings() }, vec![server(1, 0)]);
    let mut counts = Vec::new();
    for total in 1..=7 {
        site.sample.servers[0].total = total * 10;
        site.round();
        counts.push(site.manager.evidence(ServerId(1)).expect("sampled").new);
    }
    assert_eq!(counts, [None, None, None, Some(30), Some(30), Some(30), Some(30)]);
}

#[test]
fn nonsense_is_ignored_and_counted() {
    let mut site = Site::new(settings(), vec![server(1, 5), server(2, 5), server(3, 5)]).proportions(20, 20, 30, 30);
    site.rounds(8);
    let before = site.weights();
    for (server, load) in site.sample.servers.iter_mut().zip([f64::NAN, f64::NEG_INFINITY, -1.0]) {
        (server.advisor, server.system) = (Some(load), Some(f64::INFINITY));
    }
    site.rounds(1);
    assert_eq!((site.weights(), site.manager.ignored()), (before, 6));
    site.sample.servers[0].total = 100;
    site.rounds(1);
    site.sample.servers[0].total = 3;
    let ignored = site.manager.ignored();
    site.rounds(1);
    assert_eq!(site.manager.ignored(), ignored + 7, "a counter that goes backwards is one more");
}

#[test]
fn servers_that_went_away_are_forgotten() {
    let mut site = Site::new(settings(), vec![server(1, 1), server(2, 2)]);
    site.rounds(2);
    site.sample.servers.pop();
    site.rounds(1);
    assert!(site.manager.evidence(ServerId(2)).is_none() && site.manager.evidence(ServerId(1)).is_some());
}

/// Any load at all.
fn load() -> impl Strategy<Value = Option<f64>> {
    let odd = prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(-1.0), Just(f64::MAX), Just(5e-324)];
    prop_oneof![4 => Just(None), 4 => (0.0..1e5f64).prop_map(Some), 1 => odd.prop_map(Some), 1 => any::<f64>().prop_map(Some)]
}

fn count() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 0u64..200, 1 => Just(u64::MAX), 1 => any::<u64>()]
}

prop_compose! {
    fn any_server()(weight in 0u64..=100, fixed in prop::bool::weighted(0.1), state in 0..8u8, down in prop::bool::weighted(0.2),
                    active in count(), total in count(), advisor in load(), system in load()) -> ServerSample {
        use AdministrativeState::{Down, Quiesced, QuiescedNow, Up};
        let state = [Quiesced, QuiescedNow, Down].get(usize::from(state)).copied().unwrap_or(Up);
        ServerSample { weight: Weight::new(weight).expect("a weight"), fixed, state, down, active, total, advisor, system, ..server(0, 0) }
    }
}

prop_compose! {
    fn any_settings()(refresh in 0u32..4, sensitivity in 0u8..=100, smoothing in prop_oneof![0.5..10.0f64, Just(f64::NAN), Just(f64::INFINITY), Just(-1.0)],
                      velocitylimit: bool, failopen: bool) -> ManagerSettings {
        ManagerSettings { refresh, sensitivity, smoothing, velocitylimit, failopen, ..settings() }
    }
}

prop_compose! {
    fn any_proportions()(a in 0u64..=100, b in 0u64..=100, c in 0u64..=100) -> Proportions {
        let mut cuts = [a, b, c];
        cuts.sort_unstable();
        Proportions::new(cuts[0], cuts[1] - cuts[0], cuts[2] - cuts[1], 100 - cuts[2]).expect("whole")
    }
}

/// Rounds of one port with as many servers each, ids from 0.
fn any_story() -> impl Strategy<Value = (u64, Proportions, Vec<Vec<ServerSample>>)> {
    (1usize..8).prop_flat_map(|servers| {
        let round = prop::collection::vec(any_server(), servers);
        (1u64..=100, any_proportions(), prop::collection::vec(round, 1..10))
    })
}

/// Plays a story; the weights of the first round are the configured ones. Calls `seen` with each round's sample and
/// changes.
fn play(
    settings: ManagerSettings,
    (bound, proportions, story): &(u64, Proportions, Vec<Vec<ServerSample>>),
    mut seen: impl FnMut(&Site, &[WeightChange]),
) {
    let mut site = Site::new(settings, Vec::new());
    site.sample.bound = WeightBound::new(*bound).expect("a bound");
    site.sample.proportions = *proportions;
    for round in story {
        let weights = site.weights();
        site.sample.servers = round.clone();
        for (id, server) in site.sample.servers.iter_mut().enumerate() {
            server.server = ServerId(id as u32);
            server.weight =
                weights.get(id).map_or(server.weight, |weight| Weight::new(u64::from(*weight)).expect("a weight"));
        }
        let changes = site.round();
        seen(&site, &changes);
    }
}

proptest! {
    /// W1: whatever the evidence, a changed weight is 1 to the bound and belongs to a server in service; the effective
    /// weight is 0 exactly for those that are down or quiesced (or have 0 by their operator's wish).
    #[test]
    fn w1_bounds(settings in any_settings(), story in any_story()) {
        play(settings, &story, |site, changes| {
            for change in changes {
                let server = site.sample.servers.iter().find(|s| s.server == change.server).expect("known");
                assert!((1..=site.sample.bound.get()).contains(&change.weight.get()));
                assert!(server.in_service() && !server.fixed);
            }
            for server in &site.sample.servers {
                let out = server.down || server.state != AdministrativeState::Up;
                let effective = super::super::effective_weight(server.weight, server.state, server.down);
                assert_eq!(effective == Weight::ZERO, out || server.weight == Weight::ZERO);
                let computed = site.manager.evidence(server.server).expect("sampled").weight;
                assert_eq!(computed == Weight::ZERO, server.weight == Weight::ZERO, "the manager itself never says 0");
            }
        });
    }

    /// W3: the order of servers does not matter.
    #[test]
    fn w3_order(settings in any_settings(), story in any_story(), seed: u64) {
        let mut shuffled = story.clone();
        let key = |id: usize| (id as u64 + 1).wrapping_mul(seed | 1) % 1009;
        for round in &mut shuffled.2 {
            let mut order: Vec<usize> = (0..round.len()).collect();
            order.sort_by_key(|id| key(*id));
            *round = order.into_iter().map(|id| round[id].clone()).collect();
        }
        let mut plain = Vec::new();
        play(settings, &story, |site, _| plain.push(site.weights()));
        let mut mixed = Vec::new();
        play(settings, &shuffled, |site, _| mixed.push(site.weights()));
        for (plain, mixed) in plain.into_iter().zip(mixed) {
            let mut order: Vec<usize> = (0..plain.len()).collect();
            order.sort_by_key(|id| key(*id));
            prop_assert_eq!(order.into_iter().map(|id| plain[id]).collect::<Vec<_>>(), mixed);
        }
    }

    /// W8: the same inputs, the same weights, on both dispatchers of a pair.
    #[test]
    fn w8_determinism(settings in any_settings(), story in any_story()) {
        let mut first = Vec::new();
        play(settings, &story, |site, _| first.push((site.weights(), site.computed())));
        let mut second = Vec::new();
        play(settings, &story, |site, _| second.push((site.weights(), site.computed())));
        prop_assert_eq!(first, second);
    }

    /// W2: the same site once more, with one load of one server worse: its computed weight is never higher, in no
    /// round.
    #[test]
    fn w2_monotone(loads in prop::collection::vec((0u64..100, 0u64..100, 0.0..500.0f64, 0.0..100.0f64), 1..8),
                   at in any::<prop::sample::Index>(), kind in 0..4u8, more in 1u64..1000, proportions in any_proportions(), bound in 1u64..=100) {
        let at = at.index(loads.len());
        let run = |worse: bool| {
            let mut servers: Vec<ServerSample> = loads.iter().enumerate().map(|(id, (active, _, advisor, system))| {
                ServerSample { advisor: Some(*advisor), system: Some(*system), ..server(id as u32, *active) }
            }).collect();
            let mut rates: Vec<u64> = loads.iter().map(|load| load.1).collect();
            let extra = if worse { more } else { 0 };
            match kind {
                0 => servers[at].active += extra,
                1 => rates[at] += extra,
                2 => servers[at].advisor = servers[at].advisor.map(|load| load + extra as f64),
                _ => servers[at].system = servers[at].system.map(|load| load + extra as f64),
            }
            let mut site = Site::new(settings(), servers);
            site.sample.proportions = proportions;
            site.sample.bound = WeightBound::new(bound).expect("a bound");
            (0..10).map(|_| {
                site.round();
                site.sample.servers.iter_mut().zip(&rates).for_each(|(server, rate)| server.total += rate);
                site.computed()[at]
            }).collect::<Vec<u8>>()
        };
        for (worse, plain) in run(true).into_iter().zip(run(false)) {
            prop_assert!(worse <= plain);
        }
    }

    /// W4: counting in other units changes nothing.
    #[test]
    fn w4_scale(loads in prop::collection::vec((0u64..1000, 0.0..500.0f64), 1..8), factor in 1u64..10_000, proportions in any_proportions()) {
        let run = |factor: u64| {
            let servers = loads.iter().enumerate().map(|(id, (active, advisor))| {
                ServerSample { advisor: Some(*advisor * factor as f64), ..server(id as u32, active * factor) }
            }).collect();
            let mut site = Site::new(settings(), servers);
            site.sample.proportions = proportions;
            site.rounds(3);
            for _ in 0..6 {
                site.sample.servers.iter_mut().zip(&loads).for_each(|(server, load)| server.total += load.0 * factor);
                site.round();
            }
            (site.weights(), site.manager.evidence(ServerId(0)).and_then(|evidence| evidence.partial))
        };
        let ((plain, one), (scaled, other)) = (run(1), run(factor));
        let (one, other) = (one.expect("in service"), other.expect("in service"));
        prop_assert!((one.active - other.active).abs() < 1e-6 && (one.port - other.port).abs() < 1e-6);
        // A target exactly between two weights may be rounded either way.
        prop_assert!(plain.iter().zip(&scaled).all(|(a, b)| a.abs_diff(*b) <= 1));
    }

    /// W5: from any weights to any others in at most five rounds of constant evidence (with IBM's smoothing), and no
    /// move after. Evidence is constant from the third round: the second count is the first that can be compared.
    #[test]
    fn w5_constant_evidence_gives_constant_weights(
        loads in prop::collection::vec((0u64..500, 0u64..500, 0.0..500.0f64, 1u64..=100), 1..8), proportions in any_proportions(), bound in 1u64..=100, refresh in 1u32..4,
    ) {
        let servers = loads.iter().enumerate().map(|(id, (active, _, advisor, start))| {
            ServerSample { advisor: Some(*advisor), weight: weight((*start).min(bound)), ..server(id as u32, *active) }
        }).collect();
        let mut site = Site::new(ManagerSettings { refresh, ..settings() }, servers);
        site.sample.proportions = proportions;
        site.sample.bound = WeightBound::new(bound).expect("a bound");
        let round = |site: &mut Site| {
            site.sample.servers.iter_mut().zip(&loads).for_each(|(server, load)| server.total += load.1);
            site.round()
        };
        (0..refresh).for_each(|_| drop(round(&mut site)));
        (0..5).for_each(|_| drop(round(&mut site)));
        for _ in 0..20 {
            prop_assert_eq!(round(&mut site), vec![]);
        }
    }

    /// W5: under ten percent of noise, weights are published only when together they differ by more than the
    /// sensitivity.
    #[test]
    fn w5_noise_is_not_published(noise in prop::collection::vec(prop::collection::vec(0.9..1.1f64, 4), 60)) {
        let servers = (0..4).map(|id| server(id, 0)).collect();
        let mut site = Site::new(ManagerSettings { sensitivity: 5, refresh: 2, ..settings() }, servers);
        let mut moves = 0u64;
        for (number, factors) in noise.iter().enumerate() {
            for (server, factor) in site.sample.servers.iter_mut().zip(factors) {
                server.active = (100.0 * factor) as u64;
                server.total += (50.0 * factor) as u64;
            }
            let before = site.weights();
            let changed = !site.round().is_empty();
            let difference: u64 = before.iter().zip(site.weights()).map(|(a, b)| u64::from(a.abs_diff(b))).sum();
            let sum: u64 = before.iter().map(|weight| u64::from(*weight)).sum();
            prop_assert!(!changed || number == 0 || difference * 100 > sum * 5);
            moves += if number >= 10 { difference } else { 0 };
        }
        prop_assert!(moves <= 50 * 4, "less than one step per server and round: {moves}");
        prop_assert!(site.weights().iter().all(|weight| (14..=20).contains(weight)), "{:?}", site.weights());
    }
}

/// Servers whose latency rises with their load like a queue's, behind weighted round robin.
struct Farm {
    site: Site,
    /// Requests per second that each can do.
    capacity: Vec<f64>,
    /// Requests per second that come in.
    demand: f64,
    /// Rounds between two probes of the advisor.
    probing: usize,
}

impl Farm {
    fn new(capacity: &[f64], demand: f64, proportions: [u64; 4], probing: usize) -> Self {
        let servers = (0..capacity.len() as u32).map(|id| server(id, 0)).collect();
        let [active, new, port, system] = proportions;
        let site = Site::new(ManagerSettings { refresh: 2, sensitivity: 5, ..settings() }, servers)
            .proportions(active, new, port, system);
        Self { site, capacity: capacity.to_vec(), demand, probing }
    }

    /// One round of two seconds at the present weights.
    fn round(&mut self, number: usize) {
        let sum: f64 = self.site.weights().iter().map(|weight| f64::from(*weight)).sum();
        for (server, capacity) in self.site.sample.servers.iter_mut().zip(&self.capacity) {
            let rate = self.demand * f64::from(server.weight.get()) / sum;
            // Beyond the capacity the queue is as long as the clients' patience: 50 times the time of an idle server.
            let latency = 1.0 / (capacity - rate).max(capacity / 50.0);
            server.active = (rate * latency * 100.0).round() as u64;
            server.total += (rate * 2.0) as u64;
            if number.is_multiple_of(self.probing) {
                server.advisor = Some(latency * 1000.0);
            }
        }
        self.site.round();
    }

    /// Weights of a hundred rounds, after long enough.
    fn settled(mut self) -> Vec<Vec<u8>> {
        (0..100).for_each(|number| self.round(number));
        let weights = |number| {
            self.round(number);
            self.site.weights()
        };
        (100..200).map(weights).collect()
    }
}

/// How often the values turn after having gone by more than `least` one way.
fn turns(values: impl Iterator<Item = u8>, least: u8) -> usize {
    let (mut low, mut high, mut rising, mut turns) = (u8::MAX, 0, None, 0);
    for value in values {
        (low, high) = (low.min(value), high.max(value));
        let now = match (value - low > least, high - value > least) {
            (true, _) if rising != Some(true) => true,
            (_, true) if rising != Some(false) => false,
            _ => continue,
        };
        turns += usize::from(rising.replace(now).is_some());
        (low, high) = (value, value);
    }
    turns
}

#[test]
fn turns_are_counted() {
    assert_eq!(turns([10, 12, 10, 12, 10].into_iter(), 4), 0, "small");
    assert_eq!(turns([10, 20, 20, 5, 20, 6].into_iter(), 4), 3);
    assert_eq!(turns([1, 5, 9, 13, 17].into_iter(), 4), 0, "one way");
}

/// The sensitivity lets no smaller step through on the largest farm: 5 percent of 90, rounded up.
const LEAST_STEP: u8 = 5;

/// W5: whichever evidence counts and however close to its limit the site works, weights do not swing. Within IBM's
/// advice (active and new at least 20 percent each) they do not turn at all once they have settled. Without connection
/// counts, at the limit of all servers, they may wander, but not back and forth with each look.
#[test]
fn w5_closed_loop_does_not_swing() {
    let farms: [&[f64]; 4] =
        [&[100.0, 100.0], &[100.0, 100.0, 50.0], &[100.0, 25.0], &[100.0, 100.0, 100.0, 100.0, 30.0]];
    let advised = [[50, 50, 0, 0], [49, 50, 1, 0], [20, 20, 60, 0], [40, 20, 40, 0]];
    let daring = [[0, 0, 100, 0], [100, 0, 0, 0]];
    let proportions =
        advised.into_iter().map(|parts| (parts, 0.8, 0)).chain(daring.into_iter().map(|parts| (parts, 0.95, 9)));
    for (parts, most_load, most_turns) in proportions {
        for (capacity, probing) in farms.iter().flat_map(|farm| [1, 2, 3, 5].map(|probing| (farm, probing))) {
            for load in [0.3, 0.6, 0.8, 0.95].into_iter().filter(|load| *load <= most_load) {
                let demand = load * capacity.iter().sum::<f64>();
                let history = Farm::new(capacity, demand, parts, probing).settled();
                for id in 0..capacity.len() {
                    let turns = turns(history.iter().map(|weights| weights[id]), LEAST_STEP);
                    assert!(
                        turns <= most_turns,
                        "{turns}: {capacity:?} {parts:?} load {load} probing {probing}: {history:?}"
                    );
                }
            }
        }
    }
}

/// After swinging the steps are small; evidence that stands still lets them grow again.
#[test]
fn w5_peace_after_swinging() {
    let mut site = Site::new(settings(), vec![server(1, 10), server(2, 10)]).proportions(100, 0, 0, 0);
    for number in 0..60 {
        site.sample.servers[0].active = if number % 2 == 0 { 200 } else { 10 };
        site.round();
    }
    site.sample.servers[0].active = 200;
    site.rounds(25);
    let settled = site.weights();
    assert_eq!(site.weights(), [3, 20], "(10 + 105/4) / (200 + 105/4) of 20");
    site.rounds(20);
    assert_eq!(site.weights(), settled);
}
