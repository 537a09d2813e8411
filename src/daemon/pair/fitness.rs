//! How fit this dispatcher is to serve: carriers of its interfaces, and reach targets that answer.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{AbortHandle, spawn_local};

use crate::advisor::ProbeId;
use crate::daemon::probe::pings;
use crate::high_availability::Health;
use crate::model::Reach;

use super::PairService;
use super::carriers::{self, Carriers};

/// What is watched, from its beginning to its end.
#[derive(Debug)]
pub(super) struct Fitness {
    state: Rc<State>,
    interfaces: watch::Sender<Vec<String>>,
    reach: watch::Sender<Reach>,
    tasks: Vec<AbortHandle>,
}

#[derive(Debug)]
struct State {
    service: Rc<PairService>,
    carriers: RefCell<Carriers>,
    targets: RefCell<BTreeMap<IpAddr, Target>>,
    told: Cell<Option<Health>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Target {
    /// `None`: the first ping is under way.
    answers: Option<bool>,
    missed: u32,
}

/// Pings in a row without an answer that mean that a target is not reached. One may be lost on any network.
const MISSES: u32 = 2;
/// For an answer. Targets are near.
const PATIENCE: Duration = Duration::from_secs(1);
/// After netlink has failed.
const TRY_AGAIN: Duration = Duration::from_secs(1);

impl Fitness {
    /// Watches these from now on, and tells the pair's machine.
    pub fn watch(service: Rc<PairService>, interfaces: Vec<String>, reach: Reach) -> Self {
        let state = Rc::new(State {
            service,
            carriers: RefCell::default(),
            targets: RefCell::default(),
            told: Cell::new(None),
        });
        let (interfaces, reach) = (watch::Sender::new(interfaces), watch::Sender::new(reach));
        let looking = spawn_local(look(Rc::clone(&state), interfaces.subscribe())).abort_handle();
        let pinging = spawn_local(ping(Rc::clone(&state), reach.subscribe())).abort_handle();
        Self { state, interfaces, reach, tasks: vec![looking, pinging] }
    }

    /// Others from now on.
    pub fn change(&self, interfaces: Vec<String>, reach: Reach) {
        self.interfaces.send_if_modified(|before| replaced(before, interfaces));
        self.reach.send_if_modified(|before| replaced(before, reach));
    }

    /// Targets that were pinged, and whether they answer.
    pub fn reached(&self) -> Vec<(IpAddr, bool)> {
        let targets = self.state.targets.borrow();
        targets.iter().filter_map(|(address, target)| Some((*address, target.answers?))).collect()
    }
}

impl Drop for Fitness {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

fn replaced<T: PartialEq>(before: &mut T, after: T) -> bool {
    let differs = *before != after;
    *before = after;
    differs
}

async fn look(state: Rc<State>, interfaces: watch::Receiver<Vec<String>>) {
    loop {
        let changed = |carriers: &Carriers| {
            state.carriers.borrow_mut().clone_from(carriers);
            state.tell();
        };
        match carriers::watch(interfaces.clone(), changed).await {
            Ok(()) => return,
            Err(error) => tracing::error!("pair: carriers are not watched: {error}; tried again in a second"),
        }
        tokio::time::sleep(TRY_AGAIN).await;
    }
}

async fn ping(state: Rc<State>, mut reach: watch::Receiver<Reach>) {
    let mut number = 0;
    loop {
        let Reach { targets, interval } = reach.borrow_and_update().clone();
        state.keep_targets(&targets);
        for target in targets {
            number += 1;
            let (state, id) = (Rc::clone(&state), ProbeId(number));
            spawn_local(async move {
                let answered = pings(target, id, PATIENCE.min(interval)).await;
                state.pinged(target, answered);
            });
        }
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            more = reach.changed() => if more.is_err() { return },
        }
    }
}

impl State {
    fn keep_targets(&self, targets: &[IpAddr]) {
        let mut known = self.targets.borrow_mut();
        known.retain(|address, _| targets.contains(address));
        for target in targets {
            known.entry(*target).or_default();
        }
        drop(known);
        self.tell();
    }

    fn pinged(&self, address: IpAddr, answered: bool) {
        if let Some(target) = self.targets.borrow_mut().get_mut(&address) {
            target.missed = if answered { 0 } else { target.missed + 1 };
            let is_reached = answered || (target.missed < MISSES && target.answers == Some(true));
            if target.answers.replace(is_reached) == Some(!is_reached) {
                let word = if is_reached { "is reached again" } else { "is not reached" };
                tracing::warn!(target: "tsuji::state", "pair: reach target {address} {word}");
            }
        }
        self.tell();
    }

    fn tell(&self) {
        let (carriers, targets) = (self.carriers.borrow(), self.targets.borrow());
        let count = |many: usize| u8::try_from(many).unwrap_or(u8::MAX);
        let reached = targets.values().filter(|target| target.answers == Some(true)).count();
        let health = Health {
            carriers: count(carriers.len()),
            carriers_up: count(carriers.values().filter(|up| **up).count()),
            reach: u16::try_from(reached).unwrap_or(u16::MAX),
            ..Health::UNTRACKED
        };
        if self.told.replace(Some(health)) != Some(health) {
            self.service.health(health);
        }
    }
}
