//! The manager's rounds.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use super::evidence::{Evidence, PartialWeights};
use super::sample::{PortSample, ServerSample, WeightChange};
use super::shares::{sane, shares};
use super::track::{Pace, Track};
use crate::model::{ManagerSettings, PortId, Proportions, ServerId, Weight, WeightBound};

/// Turns samples into weight changes, slowly enough that one noisy probe moves nobody.
///
/// Each round, on each port, among the servers in service: loads of each kind become shares (see `shares`), shares
/// times the weightbound become partial weights, the proportions mix them into a target, and each weight goes a part of
/// its way there (1 / smoothing, less where it swings). The computed weights of a port are published together, when
/// they differ from the published ones by more than the sensitivity, or at once when a server came or went or the
/// weightbound changed. Differences are summed without their signs: IBM's "from 100 to 105 no, to 106 yes" holds, and
/// two servers that swap their weights are not overlooked because the sum stays what it was.
#[derive(Debug)]
pub struct Manager {
    settings: ManagerSettings,
    /// `None` while stopped.
    due: Option<Instant>,
    /// Rounds until connections are counted again; 0: in the next one.
    until_count: u32,
    tracks: HashMap<ServerId, Track>,
    bounds: HashMap<PortId, WeightBound>,
    ignored: u64,
}

impl Manager {
    /// The first round is due at once: it only takes the first counts.
    pub fn new(settings: ManagerSettings, now: Instant) -> Self {
        Self {
            settings,
            due: settings.running.then_some(now),
            until_count: 0,
            tracks: HashMap::new(),
            bounds: HashMap::new(),
            ignored: 0,
        }
    }

    /// New settings. What is known of servers stays; a shorter interval counts from now, a start is followed by a
    /// round at once.
    pub fn configure(&mut self, settings: ManagerSettings, now: Instant) {
        let started = settings.running && !self.settings.running;
        self.settings = settings;
        self.until_count = self.until_count.min(settings.refresh.saturating_sub(1));
        self.due = match self.due {
            _ if !settings.running => None,
            Some(due) if !started => after(now, settings.interval).map_or(Some(due), |next| Some(due.min(next))),
            _ => Some(now),
        };
    }

    /// One round over all ports; returns the weights that should change.
    ///
    /// Servers that no sample names are forgotten. While the manager is stopped nothing happens. A call before the
    /// deadline is a round as well.
    pub fn observe(&mut self, samples: &[PortSample], now: Instant) -> Vec<WeightChange> {
        if !self.settings.running {
            return Vec::new();
        }
        self.due = after(now, self.settings.interval);
        self.forget_all_but(samples);
        let counting = self.until_count == 0;
        self.until_count = self.until_count.checked_sub(1).unwrap_or(self.settings.refresh.saturating_sub(1));
        samples.iter().flat_map(|port| self.weigh(port, counting)).collect()
    }

    /// When the next round is due; `None` while stopped.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.due
    }

    /// What was known of the server in the last round; `None` if it was never sampled.
    pub fn evidence(&self, server: ServerId) -> Option<Evidence> {
        self.tracks.get(&server).map(|track| *track.evidence())
    }

    /// Values so far that no number of a load can be: not a number, infinite, negative, absurdly large, or a counter
    /// that went backwards.
    pub fn ignored(&self) -> u64 {
        self.ignored
    }

    fn forget_all_but(&mut self, samples: &[PortSample]) {
        let servers: HashSet<ServerId> = samples.iter().flat_map(|port| &port.servers).map(|s| s.server).collect();
        self.tracks.retain(|server, _| servers.contains(server));
        let ports: HashSet<PortId> = samples.iter().map(|port| port.port).collect();
        self.bounds.retain(|port, _| ports.contains(port));
    }

    fn weigh(&mut self, port: &PortSample, counting: bool) -> Vec<WeightChange> {
        let urgent = self.follow(port);
        if counting {
            self.count(port);
        }
        self.compute(port);
        self.publish(port, urgent)
    }

    /// Takes states and operators' weights; true if a server or the bound changed, which must not wait for the
    /// sensitivity.
    fn follow(&mut self, port: &PortSample) -> bool {
        let mut urgent = self.bounds.insert(port.port, port.bound) != Some(port.bound);
        for sample in &port.servers {
            let track = self.tracks.entry(sample.server).or_insert_with(|| Track::new(sample));
            urgent |= track.follow(sample);
        }
        urgent
    }

    fn count(&mut self, port: &PortSample) {
        for sample in &port.servers {
            if let Some(track) = self.tracks.get_mut(&sample.server)
                && !track.count(sample)
            {
                self.ignored += 1;
            }
        }
    }

    /// Moves the weight of each server in service one step, and writes everybody's evidence.
    fn compute(&mut self, port: &PortSample) {
        let loads: Vec<Loads> = port.servers.iter().map(|sample| self.loads(sample)).collect();
        let mut partials = partials(port, &loads).into_iter();
        let pace = Pace { part: part_of_the_way(self.settings.smoothing), bound: port.bound };
        for (sample, loads) in port.servers.iter().zip(&loads) {
            let partial = sample.in_service().then(|| partials.next()).flatten();
            let Some(track) = self.tracks.get_mut(&sample.server) else { continue };
            if let Some(partial) = partial {
                track.approach(mix(partial, port.proportions), pace);
            }
            let weight = track.computed(port.bound);
            let evidence = track.evidence_mut();
            *evidence = Evidence { advisor: loads.advisor, system: loads.system, partial, weight, ..*evidence };
        }
    }

    /// The server's loads as far as they can be reckoned with.
    fn loads(&mut self, sample: &ServerSample) -> Loads {
        let counted = self.tracks.get(&sample.server).and_then(Track::counted);
        Loads {
            active: counted.map(|counted| counted.active as f64),
            new: counted.map(|counted| counted.new as f64),
            advisor: self.accept(sample.advisor),
            system: self.accept(sample.system),
        }
    }

    fn accept(&mut self, load: Option<f64>) -> Option<f64> {
        let (load, mended) = sane(load?);
        self.ignored += u64::from(mended);
        load
    }

    /// All weights of the port that differ, if together they differ enough or it is urgent.
    fn publish(&mut self, port: &PortSample, urgent: bool) -> Vec<WeightChange> {
        let weighed: Vec<&ServerSample> = port.servers.iter().filter(|s| s.in_service() && !s.fixed).collect();
        let (mut difference, mut sum) = (0u64, 0u64);
        let mut urgent = urgent;
        for track in weighed.iter().filter_map(|sample| self.tracks.get(&sample.server)) {
            difference += u64::from(track.computed(port.bound).get().abs_diff(track.published().get()));
            sum += u64::from(track.published().get());
            urgent |= track.published() > port.bound.max();
        }
        if !urgent && difference * 100 <= sum * u64::from(self.settings.sensitivity) {
            return Vec::new();
        }
        weighed.into_iter().filter_map(|sample| self.publish_one(port, sample.server)).collect()
    }

    fn publish_one(&mut self, port: &PortSample, server: ServerId) -> Option<WeightChange> {
        let track = self.tracks.get_mut(&server)?;
        let weight: Weight = track.computed(port.bound);
        if weight == track.published() {
            return None;
        }
        track.publish(weight);
        Some(WeightChange { port: port.port, server, weight })
    }
}

/// One server's loads of the four kinds; `None`: not known.
#[derive(Clone, Copy)]
struct Loads {
    active: Option<f64>,
    new: Option<f64>,
    advisor: Option<f64>,
    system: Option<f64>,
}

/// Partial weights of the servers in service, in their order.
fn partials(port: &PortSample, loads: &[Loads]) -> Vec<PartialWeights> {
    let bound = f64::from(port.bound.get());
    let of = |kind: fn(&Loads) -> Option<f64>| {
        let served = port.servers.iter().zip(loads).filter(|(sample, _)| sample.in_service());
        shares(&served.map(|(_, loads)| kind(loads)).collect::<Vec<_>>()).into_iter().map(move |share| share * bound)
    };
    let (active, new) = (of(|loads| loads.active), of(|loads| loads.new));
    let (port, system) = (of(|loads| loads.advisor), of(|loads| loads.system));
    let mixed = active.zip(new).zip(port.zip(system));
    mixed.map(|((active, new), (port, system))| PartialWeights { active, new, port, system }).collect()
}

/// The weight that all evidence together asks for.
fn mix(partial: PartialWeights, proportions: Proportions) -> f64 {
    let part = |percent: u8, weight: f64| f64::from(percent) * weight;
    let sum = part(proportions.active(), partial.active)
        + part(proportions.new_connections(), partial.new)
        + part(proportions.port(), partial.port)
        + part(proportions.system(), partial.system);
    sum / 100.0
}

/// IBM's smoothing index as a part of the way per round. An index below 1, or none at all, would overshoot: the whole
/// way.
fn part_of_the_way(smoothing: f64) -> f64 {
    if smoothing >= 1.0 { 1.0 / smoothing } else { 1.0 }
}

/// `None` where the time is beyond what the clock can say: never. A round every 10 ms is the fastest.
fn after(now: Instant, interval: Duration) -> Option<Instant> {
    now.checked_add(interval.max(Duration::from_millis(10)))
}

#[cfg(test)]
mod tests;
