//! The claim of one address on one link.

use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use crate::wire::Mac;
use crate::wire::arp::Arp;
use crate::wire::ndp::{Advertisement, Solicitation};

use super::{Alert, Owned};

/// Announcements after a claim begins: neighbours may miss some, and switches learn the new way from each.
const SERIES: [Duration; 7] = [
    Duration::ZERO,
    Duration::from_millis(50),
    Duration::from_millis(150),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
];
/// And so often for as long as it lasts.
const REFRESH: Duration = Duration::from_secs(30);
/// Before the first claim of an address it is asked for this many times, in the manner of RFC 5227, but as quickly as a
/// takeover needs.
const PROBES: u32 = 3;
const PROBE_INTERVAL: Duration = Duration::from_millis(100);
/// While another station answers for the address, it is asked again so often.
const RETRY: Duration = Duration::from_secs(5);
/// A rival that is silent for so long has gone.
const SILENCE: Duration = Duration::from_secs(10);
/// One who goes on is told again after this time.
const ALERT_AGAIN: Duration = Duration::from_secs(60);
/// An address is defended at most so often (RFC 5227, 2.4 (c), where 10 s are the least between two defences; a dispatcher
/// that serves clients may not wait that long).
const DEFENCE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Claim {
    owned: Owned,
    stage: Stage,
    rival: Option<Rival>,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// So many probes were sent.
    Probing { sent: u32, next: Instant },
    /// So many announcements were made since the claim began.
    Settled { since: Instant, made: u32, next: Instant },
}

#[derive(Clone, Copy, Debug)]
struct Rival {
    mac: Mac,
    heard: Instant,
    told: Instant,
    defended: Option<Instant>,
}

/// What a rival's word calls for.
pub(super) struct Heard {
    pub alert: bool,
    pub defend: bool,
}

impl Claim {
    pub fn new(owned: Owned, now: Instant) -> Self {
        Self { owned, stage: Stage::Probing { sent: 0, next: now }, rival: None }
    }

    pub fn owned(&self) -> Owned {
        self.owned
    }

    /// Whether it is answered for.
    pub fn is_settled(&self) -> bool {
        matches!(self.stage, Stage::Settled { .. })
    }

    /// The dispatcher has become active: the series starts anew, without probes where the address was ours before.
    pub fn begin(&mut self, now: Instant) {
        if self.is_settled() {
            self.settle(now);
        }
    }

    /// It is ours: nobody has answered the probes, or somebody else has made sure. The series of announcements begins.
    pub fn settle(&mut self, now: Instant) {
        self.stage = Stage::Settled { since: now, made: 0, next: now };
    }

    /// Whoever has it has it by right.
    pub fn forget_rival(&mut self) {
        self.rival = None;
    }

    /// Frames that are due.
    pub fn due(&mut self, now: Instant) -> Vec<Vec<u8>> {
        match self.stage {
            Stage::Probing { sent, next } if now >= next => {
                if sent >= PROBES {
                    self.settle(now);
                    return self.due(now);
                }
                self.stage = Stage::Probing { sent: sent + 1, next: now + PROBE_INTERVAL };
                vec![self.probe()]
            }
            Stage::Settled { since, made, next } if now >= next => {
                let made = made.saturating_add(1);
                let next = SERIES.get(made as usize).map_or(now + REFRESH, |&after| since + after);
                self.stage = Stage::Settled { since, made, next };
                self.announcement()
            }
            _ => Vec::new(),
        }
    }

    pub fn probe(&self) -> Vec<u8> {
        match self.owned.address {
            IpAddr::V4(v4) => Arp::probe(self.owned.mac, v4),
            IpAddr::V6(target) => {
                Solicitation { source: Ipv6Addr::UNSPECIFIED, target, asker: None }.frame(self.owned.mac)
            }
        }
    }

    pub fn announcement(&self) -> Vec<Vec<u8>> {
        match self.owned.address {
            IpAddr::V4(v4) => Arp::announcements(self.owned.mac, v4).into(),
            IpAddr::V6(v6) => vec![Advertisement::unsolicited(self.owned.mac, v6)],
        }
    }

    /// Another station says that the address is its own.
    pub fn rival(&mut self, mac: Mac, now: Instant) -> Heard {
        let known = self.rival.filter(|rival| rival.mac == mac);
        let alert = known.is_none_or(|rival| now.saturating_duration_since(rival.told) >= ALERT_AGAIN);
        let defended = known.and_then(|rival| rival.defended);
        let defend = self.is_settled() && defended.is_none_or(|at| now.saturating_duration_since(at) >= DEFENCE);
        self.rival = Some(Rival {
            mac,
            heard: now,
            told: known.filter(|_| !alert).map_or(now, |rival| rival.told),
            defended: if defend { Some(now) } else { defended },
        });
        if let Stage::Probing { .. } = self.stage {
            self.stage = Stage::Probing { sent: 0, next: now + RETRY };
        }
        Heard { alert, defend }
    }

    /// The rival has been silent long enough; who listened to it learns where the address is.
    pub fn rival_gone(&mut self, now: Instant) -> Option<Alert> {
        let rival = self.rival.filter(|rival| now.saturating_duration_since(rival.heard) >= SILENCE)?;
        self.rival = None;
        self.begin(now);
        Some(Alert::RivalGone { address: self.owned.address, mac: rival.mac })
    }
}
