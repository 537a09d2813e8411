//! From advisors' verdicts to who is really taken out.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use super::velocity::Velocity;
use crate::model::{AdministrativeState, DownReason, Health, ManagerSettings, PortId, ServerId, Standing};

/// What advisors say of the servers of one port.
#[derive(Clone, Debug, PartialEq)]
pub struct PortVerdicts {
    pub port: PortId,
    /// The window of the velocity limit: the interval of the port's advisor (the longest, if there are several).
    pub interval: Duration,
    /// All servers of the port.
    pub servers: Vec<Verdict>,
}

/// What advisors say of one server.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    pub server: ServerId,
    pub state: AdministrativeState,
    pub health: Health,
}

/// A server whose standing is another one now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StandingChange {
    pub server: ServerId,
    pub before: Standing,
    pub after: Standing,
}

/// Applies velocity limit and fail-open to what advisors say.
///
/// Both are off by default; then a server is out exactly while it is called down. With the velocity limit, at most
/// max(1, a fifth) of a port's servers that are administratively up are taken out within one advisor interval; the
/// others stay usable until their turn comes, the one that has been called down longest first. With fail-open, servers
/// that are taken out become a last resort while less than half of the port's servers that are administratively up are
/// healthy (unknown counts as healthy).
///
/// Neither ever holds back what is certain: a refused connection and a missing address mean out at once, and so does
/// `server down`. They do count for the velocity limit. A server that is quiesced is neither counted nor spared.
#[derive(Debug)]
pub struct Verdicts {
    limits: Limits,
    ports: BTreeMap<PortId, PortState>,
    held: u64,
}

impl Verdicts {
    pub fn new(settings: &ManagerSettings) -> Self {
        Self { limits: Limits::from(settings), ports: BTreeMap::new(), held: 0 }
    }

    /// New settings; they show when each port is judged next. Servers that are out stay out.
    pub fn configure(&mut self, settings: &ManagerSettings) {
        self.limits = Limits::from(settings);
    }

    /// Judges one port and returns whose standing changed. To be called when a verdict, an administrative state or the
    /// membership of the port changed, when the settings changed, and when the port is [`due`](Self::due).
    ///
    /// Servers that the verdicts do not name are forgotten.
    pub fn judge(&mut self, verdicts: &PortVerdicts, now: Instant) -> Vec<StandingChange> {
        let port = self.ports.entry(verdicts.port).or_default();
        self.held += port.take_out(verdicts, self.limits, now);
        port.stand(verdicts, self.limits)
    }

    /// Ports that want to be judged again, because a server that was held back may be taken out now.
    pub fn due(&self, now: Instant) -> Vec<PortId> {
        let due = |port: &PortState| port.due.is_some_and(|due| due <= now);
        self.ports.iter().filter(|(_, port)| due(port)).map(|(id, _)| *id).collect()
    }

    /// When a port is due; `None`: nobody is held back.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.ports.values().filter_map(|port| port.due).min()
    }

    /// `Usable` for a server that was never judged.
    pub fn standing(&self, port: PortId, server: ServerId) -> Standing {
        self.ports.get(&port).and_then(|port| port.servers.get(&server)).map(|seat| seat.standing).unwrap_or_default()
    }

    /// Less than half of the port was healthy when it was judged last, and fail-open is on.
    pub fn fails_open(&self, port: PortId) -> bool {
        self.ports.get(&port).is_some_and(|port| port.fails_open)
    }

    /// How often a server that was called down was held back by the velocity limit.
    pub fn held(&self) -> u64 {
        self.held
    }

    /// The port is no more.
    pub fn forget(&mut self, port: PortId) {
        self.ports.remove(&port);
    }
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    velocity: bool,
    fail_open: bool,
}

impl From<&ManagerSettings> for Limits {
    fn from(settings: &ManagerSettings) -> Self {
        Self { velocity: settings.velocitylimit, fail_open: settings.failopen }
    }
}

#[derive(Debug, Default)]
struct PortState {
    servers: HashMap<ServerId, Seat>,
    velocity: Velocity,
    due: Option<Instant>,
    fails_open: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Seat {
    /// Since when it is called down without being taken out.
    waiting: Option<Instant>,
    /// Taken out by verdict.
    taken: bool,
    standing: Standing,
}

impl PortState {
    /// Decides who is taken out. Returns how many are newly held back.
    fn take_out(&mut self, verdicts: &PortVerdicts, limits: Limits, now: Instant) -> u64 {
        let named: HashSet<ServerId> = verdicts.servers.iter().map(|verdict| verdict.server).collect();
        self.servers.retain(|server, _| named.contains(server));
        let allowed = Velocity::allowance(verdicts.servers.iter().filter(|verdict| verdict.is_up()).count());
        let mut waiting = Vec::new();
        for verdict in &verdicts.servers {
            let seat = self.servers.entry(verdict.server).or_default();
            match seat.demand(verdict, limits) {
                Demand::Stay => *seat = Seat { standing: seat.standing, ..Seat::default() },
                Demand::AsIs => {}
                Demand::OutNow => {
                    if verdict.is_up() {
                        self.velocity.force(verdicts.interval, now);
                    }
                    *seat = Seat { taken: true, waiting: None, ..*seat };
                }
                Demand::OutInTurn => waiting.push((seat.waiting.unwrap_or(now), verdict.server)),
            }
        }
        self.take_turns(waiting, allowed, verdicts.interval, now)
    }

    /// Takes out as many of those who wait as the velocity allows, longest waiting first.
    fn take_turns(
        &mut self,
        mut waiting: Vec<(Instant, ServerId)>,
        allowed: usize,
        interval: Duration,
        now: Instant,
    ) -> u64 {
        waiting.sort_unstable();
        self.due = None;
        let mut newly_held = 0;
        for (since, server) in waiting {
            let taken = self.velocity.remove(allowed, interval, now);
            let Some(seat) = self.servers.get_mut(&server) else { continue };
            if taken {
                *seat = Seat { taken: true, waiting: None, ..*seat };
                continue;
            }
            newly_held += u64::from(seat.waiting.is_none());
            seat.waiting = Some(since);
            self.due = self.velocity.free_at(allowed, interval);
        }
        newly_held
    }

    /// Gives everybody the standing that follows, and tells whose is new.
    fn stand(&mut self, verdicts: &PortVerdicts, limits: Limits) -> Vec<StandingChange> {
        let up = verdicts.servers.iter().filter(|verdict| verdict.is_up()).count();
        let healthy = verdicts.servers.iter().filter(|verdict| verdict.is_up() && !verdict.health.is_down()).count();
        self.fails_open = limits.fail_open && healthy * 2 < up;
        let mut changes = Vec::new();
        for verdict in &verdicts.servers {
            let Some(seat) = self.servers.get_mut(&verdict.server) else { continue };
            let after = seat.standing_for(verdict, self.fails_open);
            let before = std::mem::replace(&mut seat.standing, after);
            if before != after {
                changes.push(StandingChange { server: verdict.server, before, after });
            }
        }
        changes
    }
}

/// What a verdict asks for.
enum Demand {
    /// Not called down.
    Stay,
    /// Taken out already.
    AsIs,
    /// Certain, or not subject to limits.
    OutNow,
    /// Called down, and the velocity limit applies.
    OutInTurn,
}

impl Seat {
    fn demand(&self, verdict: &Verdict, limits: Limits) -> Demand {
        if !verdict.health.is_down() {
            return Demand::Stay;
        }
        if self.taken {
            return Demand::AsIs;
        }
        let in_turn = limits.velocity && verdict.is_up() && !verdict.is_certain();
        if in_turn { Demand::OutInTurn } else { Demand::OutNow }
    }

    fn standing_for(&self, verdict: &Verdict, fails_open: bool) -> Standing {
        if verdict.state == AdministrativeState::Down {
            return Standing::Out;
        }
        if !self.taken {
            return Standing::Usable;
        }
        if fails_open && verdict.is_up() && !verdict.is_certain() { Standing::FailOpen } else { Standing::Out }
    }
}

impl Verdict {
    fn is_up(&self) -> bool {
        self.state == AdministrativeState::Up
    }

    /// Not a matter of opinion: the server's own host said no, or there is nothing to connect to.
    fn is_certain(&self) -> bool {
        matches!(self.health, Health::Down(DownReason::ConnectRefused | DownReason::Unresolved))
    }
}

#[cfg(test)]
mod tests;
