//! Tells the partner of a pair which connections there are, and takes in those that it tells.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::daemon::claiming::Claiming;
use crate::datapath::xdp::copies::{Copy, Names, Reader, TakenIn};
use crate::datapath::xdp::engine::PacketEngine;
use crate::dispatcher::ClaimedAddress;
use crate::high_availability::{GroupId, MOST_GROUPS};
use crate::packet::{Plan, ServicePlan};

/// Connections for the partner.
#[derive(Debug, Default)]
pub struct Batch {
    pub copies: Vec<Copy>,
    /// With these everything has been told that there was when the partner asked.
    pub is_whole: bool,
}

/// Between two looks for what is new.
pub(super) const LOOK: Duration = Duration::from_millis(25);
/// Connections of one batch.
const MOST: usize = 4000;
/// Batches that wait for the network. A partner that is slower than that is told the rest at a later look.
pub const BATCHES: usize = 16;

/// Both directions.
pub(super) struct Copying {
    claiming: Arc<Claiming>,
    claimed: Vec<ClaimedAddress>,
    names: Names,
    /// Of which groups connections are told: those that are served here.
    served: [bool; MOST_GROUPS],
    session: Option<(mpsc::Sender<Batch>, Reader)>,
    /// Connections of the partner that found no place or no server here.
    refused: u64,
    taken: u64,
}

impl Copying {
    pub fn new(claiming: &Arc<Claiming>) -> Self {
        Self {
            claiming: Arc::clone(claiming),
            claimed: Vec::new(),
            names: Names::default(),
            served: [false; MOST_GROUPS],
            session: None,
            refused: 0,
            taken: 0,
        }
    }

    /// Taken in, and refused.
    pub fn counts(&self) -> (u64, u64) {
        (self.taken, self.refused)
    }

    pub fn claim(&mut self, claimed: Vec<ClaimedAddress>) {
        self.claimed = claimed;
    }

    /// The partner wants to know everything, and what is new from then on.
    pub fn begin(&mut self, session: mpsc::Sender<Batch>) {
        self.session = Some((session, Reader::snapshot()));
    }

    pub fn is_under_way(&self) -> bool {
        self.session.is_some()
    }

    /// Services, servers or addresses have changed.
    pub fn renew(&mut self, engine: &PacketEngine, plan: &Plan) {
        self.served = self.served_now();
        let group = |service: &ServicePlan| {
            let claimed = self.claimed.iter().find(|claimed| claimed.address == service.address);
            // What is not claimed on the wire belongs to whoever the first group is of.
            claimed.map_or(GroupId(0), |claimed| claimed.group)
        };
        let is_told = |service: &ServicePlan| self.served.get(usize::from(group(service).0)).copied().unwrap_or(false);
        self.names = Names::of(engine, plan, is_told);
    }

    fn served_now(&self) -> [bool; MOST_GROUPS] {
        std::array::from_fn(|group| self.claiming.voice(GroupId(group as u8)).is_active)
    }

    /// Tells what is new.
    pub fn look(&mut self, engine: &PacketEngine, plan: &Plan) {
        if self.served != self.served_now() {
            self.renew(engine, plan);
        }
        self.session.take_if(|(session, _)| session.is_closed());
        let Some((session, reader)) = &mut self.session else { return };
        // Room first: what was looked at counts as told.
        while let Ok(room) = session.try_reserve() {
            let (copies, is_whole) = engine.copies(&self.names, reader, MOST);
            let is_full = copies.len() >= MOST;
            if !copies.is_empty() || is_whole {
                room.send(Batch { copies, is_whole });
            }
            if !is_full {
                return;
            }
        }
    }

    /// Takes in what the partner has told.
    pub fn take_in(&mut self, engine: &mut PacketEngine, copies: &[Copy]) {
        for copy in copies {
            match engine.take_in(&self.names, copy) {
                TakenIn::Done => self.taken += 1,
                TakenIn::Unknown | TakenIn::Full => self.refused += 1,
            }
        }
    }
}
