//! The pair as the control thread has it: begun, changed and ended with the configuration.

use std::cell::{Cell, RefCell};
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::daemon::claiming::Claiming;
use crate::daemon::keeper::Keeper;
use crate::dispatcher::{PairPlan, PairReading, path_id};
use crate::high_availability::{Epoch, GroupId, GroupReport, GroupState, Health, Notice, PathReport, Report};
use crate::metrics;
use crate::pairing::{PairKeys, Reason};

use super::copying::Copying;
use super::epochs::Epochs;
use super::fitness::Fitness;
use super::key_watch::KeyWatch;
use super::probe_port::ProbePort;
use super::thread::News;
use super::{PairError, PairService};

/// At most one pair.
#[derive(Debug)]
pub struct Partnership {
    claiming: Arc<Claiming>,
    service: RefCell<Option<Rc<PairService>>>,
    fitness: RefCell<Option<Fitness>>,
    copying: RefCell<Option<(Copying, KeyWatch)>>,
    probe_port: RefCell<Option<ProbePort>>,
    /// Whether it was told that there is no partner.
    stands_alone: Cell<bool>,
    keys: RefCell<Option<Arc<PairKeys>>>,
    keeper: Keeper,
    epochs: Epochs,
}

/// How long the end of the daemon waits for the partner to take over, and how often it looks.
const LEAVING: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(10);

/// Something is served here that the partner could serve.
fn has_heir(report: &Report) -> bool {
    let serves = report.groups.iter().any(|group| group.state == GroupState::Active);
    serves && report.partner.is_some_and(|partner| !partner.silent)
}

fn probe_port(plan: &PairPlan<'_>) -> Option<u16> {
    plan.settings.probeport.map(|port| port.get())
}

fn group_reading(group: &GroupReport) -> metrics::PairGroupReading {
    metrics::PairGroupReading {
        group: group.group.0,
        active: group.state == GroupState::Active,
        partner_active: group.partner == Some(GroupState::Active),
        fault: group.state == GroupState::Fault,
        epoch: group.epoch.0,
    }
}

fn path_reading(path: &PathReport, plan: &PairPlan<'_>) -> metrics::PairPathReading {
    let found = plan.settings.paths.iter().find(|one| path_id(one) == path.path);
    metrics::PairPathReading {
        name: found.map(ToString::to_string).unwrap_or_default(),
        heard: path.heard.is_some() && !path.lost,
        loss: f64::from(path.loss_permille) / 1000.0,
        round_trip_seconds: path.round_trip.map(|trip| trip.as_secs_f64()),
    }
}

impl Partnership {
    /// No partner yet. `state` is where epochs are kept.
    pub fn new(keeper: Keeper, state: &Path) -> io::Result<Self> {
        Ok(Self {
            claiming: Arc::new(Claiming::alone()?),
            service: RefCell::default(),
            fitness: RefCell::default(),
            copying: RefCell::default(),
            probe_port: RefCell::default(),
            stands_alone: Cell::new(false),
            keys: RefCell::default(),
            keeper,
            epochs: Epochs::read(state),
        })
    }

    /// Who speaks for cluster addresses.
    pub fn claiming(&self) -> &Arc<Claiming> {
        &self.claiming
    }

    /// `None`: there is no partner.
    pub fn service(&self) -> Option<Rc<PairService>> {
        self.service.borrow().clone()
    }

    /// Does what a new configuration asks for. `keys` are those that were read for it; without, those before stay. What comes out
    /// of the receiver of a pair that begins here has to be carried out.
    pub fn follow(
        &self,
        plan: Option<&PairPlan<'_>>,
        generation: u64,
        keys: Option<Arc<PairKeys>>,
    ) -> Result<Option<mpsc::Receiver<News>>, PairError> {
        let Some(plan) = plan else {
            self.fitness.take();
            self.copying.take();
            self.probe_port.take();
            if let Some(service) = self.service.take() {
                service.stop();
                // What the partner has claimed stays the partner's until it goes: each address is probed first.
                self.claiming.set_in_pair(false);
            }
            return Ok(None);
        };
        if keys.is_some() {
            self.keys.replace(keys);
        }
        let keys = self.keys.borrow().clone().ok_or(PairError::NoKeys)?;
        if let Some(service) = self.service() {
            service.configure(plan, generation, keys);
            if let Some(fitness) = self.fitness.borrow().as_ref() {
                fitness.change(plan.interfaces(), plan.settings.reach.clone());
            }
            if let Some(port) = self.probe_port.borrow().as_ref() {
                port.change(probe_port(plan));
            }
            return Ok(None);
        }
        let (service, news) =
            PairService::start(plan, generation, keys, &self.epochs.all(), Arc::clone(&self.claiming))?;
        let service = Rc::new(service);
        let fitness = Fitness::watch(Rc::clone(&service), plan.interfaces(), plan.settings.reach.clone());
        self.fitness.replace(Some(fitness));
        self.probe_port.replace(Some(ProbePort::start(probe_port(plan))));
        self.service.replace(Some(service));
        Ok(Some(news))
    }

    /// `true` once, when there is no partner, or no more.
    pub fn begins_to_stand_alone(&self) -> bool {
        let alone = self.service.borrow().is_none();
        !self.stands_alone.replace(alone) && alone
    }

    /// What the two dispatchers know each other by.
    pub fn keys(&self) -> Option<Arc<PairKeys>> {
        self.keys.borrow().clone()
    }

    /// Tables are copied, and the key file is watched, for as long as there is this pair.
    pub fn attend(&self, copying: Copying, keys: KeyWatch) {
        self.copying.replace(Some((copying, keys)));
    }

    /// The key file has changed.
    pub fn rekey(&self, keys: Arc<PairKeys>) {
        self.keys.replace(Some(Arc::clone(&keys)));
        if let Some(service) = self.service() {
            service.rekey(keys);
        }
    }

    /// What reports say; `None`: there is no partner, or its thread has just begun.
    pub fn reading(&self) -> Option<PairReading> {
        let shown = self.service()?.shown();
        let reach = self.fitness.borrow().as_ref().map(Fitness::reached).unwrap_or_default();
        let refused = Reason::ALL.map(|reason| (reason.name(), shown.datagrams.refused(reason))).to_vec();
        Some(PairReading { report: shown.report?, reach, refused })
    }

    /// The same for Prometheus, with what came in.
    pub fn metrics(&self, plan: Option<&PairPlan<'_>>) -> Option<metrics::PairReading> {
        let (plan, service) = (plan?, self.service()?);
        let (shown, reading) = (service.shown(), self.reading()?);
        let report = reading.report;
        Some(metrics::PairReading {
            groups: report.groups.iter().map(group_reading).collect(),
            paths: report.paths.iter().map(|path| path_reading(path, plan)).collect(),
            partner_heard: report.partner.is_some_and(|partner| !partner.silent),
            in_sync: report.sync.in_sync,
            misconfigurations: report.misconfigured.len(),
            admitted: shown.datagrams.admitted(),
            refused: reading.refused,
            news_lost: shown.news_lost,
            lateness: service.lateness(),
            reach: reading.reach.iter().map(|(target, answers)| (target.to_string(), *answers)).collect(),
        })
    }

    /// Lets the partner have what is served here, before this process ends. Returns when it has it, or nobody is there to have
    /// it, or it does not come for it.
    pub async fn leave(&self) {
        let Some(service) = self.service() else { return };
        // Nothing that is measured from here on counts.
        self.fitness.take();
        service.health(Health { failing: u8::MAX, ..Health::UNTRACKED });
        let patience = Instant::now() + LEAVING;
        while Instant::now() < patience && service.shown().report.is_some_and(|report| has_heir(&report)) {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Something was noticed.
    pub fn noticed(&self, notice: &Notice) {
        if let (Notice::Changed(change), Some(port)) = (notice, self.probe_port.borrow().as_ref()) {
            let others = self.reading().map(|reading| reading.report.groups).unwrap_or_default();
            let serves_other =
                others.iter().any(|other| other.group != change.group && other.state == GroupState::Active);
            port.set_active(change.to == GroupState::Active || serves_other);
        }
        if let Some(service) = self.service() {
            service.noticed(notice);
        }
    }

    /// Writes an epoch down and tells the machine whether that went well.
    pub async fn persist(&self, group: GroupId, epoch: Epoch) {
        let kept = self.epochs.keep(&self.keeper, group, epoch).await;
        if let Err(error) = &kept {
            tracing::error!("pair: {error}");
        }
        if let Some(service) = self.service() {
            service.persisted(group, epoch, kept.is_ok());
        }
    }
}
