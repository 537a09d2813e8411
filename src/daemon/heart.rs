//! Drives the dispatcher: reads the clock, carries out its actions, brings back what came of them.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, Notify};
use tokio::task::spawn_local;

use crate::advisor::ProbeOrder;
use crate::datapath::listen::{BindError, bind, bind_one_more};
use crate::dispatcher::{
    Action, ClaimedAddress, Dispatcher, Event, Occupancy, Plan, Resources, idle_alerts, role_alerts,
};
use crate::high_availability::Notice;
use crate::model::{Name, PortId};
use crate::pairing::PairKeys;
use crate::tls::TlsFault;

use super::accesslog::AccessLogs;
use super::fetch::{Fetcher, now};
use super::log;
use super::loopback::{Loopback, LoopbackError};
use super::packets::{Packets, PacketsError};
use super::pair::{self, Copying, KeyWatch, News, Partnership};
use super::probe::Prober;
use super::scripts::Scripts;
use super::workers::Workers;

/// The dispatcher and what it acts through. Lives on the control thread, shared by its tasks.
pub struct Heart {
    dispatcher: RefCell<Dispatcher>,
    workers: Workers,
    logs: AccessLogs,
    scripts: Scripts,
    fetcher: Fetcher,
    prober: Prober,
    /// Sockets that were bound for a plan and wait for its `Listen`.
    bound: RefCell<HashMap<SocketAddr, Vec<TcpListener>>>,
    /// Held over a whole change, so that no plan is adopted over one it has not seen.
    changes: Mutex<()>,
    /// What forwards packets of `mac` ports, where an interface is named for them.
    packets: OnceCell<Packets>,
    partnership: Partnership,
    /// Cluster addresses that this daemon put on this host.
    loopback: Mutex<Loopback>,
    /// The deadline may have moved.
    moved: Notify,
    paused: Cell<bool>,
}

/// How long the system's resolver may take. It has patience of its own; ours ends with the next question.
const RESOLVER_PATIENCE: Duration = Duration::from_secs(20);

impl Heart {
    pub fn new(
        dispatcher: Dispatcher,
        workers: Workers,
        logs: AccessLogs,
        scripts: Scripts,
        fetcher: Fetcher,
        partnership: Partnership,
    ) -> Rc<Self> {
        Rc::new(Self {
            dispatcher: RefCell::new(dispatcher),
            workers,
            logs,
            scripts,
            fetcher,
            prober: Prober::new(),
            bound: RefCell::default(),
            changes: Mutex::new(()),
            packets: OnceCell::new(),
            partnership,
            loopback: Mutex::default(),
            moved: Notify::new(),
            paused: Cell::new(false),
        })
    }

    /// Calls the dispatcher whenever it wants to be called; never returns.
    pub async fn beat(self: Rc<Self>) {
        loop {
            let due = self.dispatcher.borrow().next_deadline();
            tokio::select! {
                () = tokio::time::sleep_until(due.into()) => {
                    self.handle(Event::Due);
                    self.workers.revive();
                }
                () = self.moved.notified() => {}
            }
        }
    }

    /// Looks at the dispatcher; for reports.
    pub fn read<T>(&self, look: impl FnOnce(&Dispatcher) -> T) -> T {
        look(&self.dispatcher.borrow())
    }

    /// Begins to forward packets, by the table that is in force.
    pub fn start_packets(self: &Rc<Self>) -> Result<(), PacketsError> {
        let (settings, table) =
            self.read(|dispatcher| (dispatcher.config().executor.packets.clone(), Arc::clone(dispatcher.table())));
        let started = Packets::start(&settings, Arc::clone(&table), self.partnership.claiming())?;
        let Some(packets) = started else { return Ok(()) };
        packets.publish(table);
        self.read(|dispatcher| packets.claim(&dispatcher.claimed()));
        if self.packets.set(packets).is_ok() {
            let heart = Rc::clone(self);
            spawn_local(async move {
                if let Some(packets) = heart.packets.get() {
                    let told = Rc::clone(&heart);
                    packets.watch(|around| told.handle(Event::Unreached(around.unreached()))).await;
                }
            });
        }
        Ok(())
    }

    pub fn packets(&self) -> Option<&Packets> {
        self.packets.get()
    }

    pub fn partnership(&self) -> &Partnership {
        &self.partnership
    }

    pub fn workers(&self) -> &Workers {
        &self.workers
    }

    pub fn logs(&self) -> &AccessLogs {
        &self.logs
    }

    pub fn scripts(&self) -> &Scripts {
        &self.scripts
    }

    pub fn fetcher(&self) -> &Fetcher {
        &self.fetcher
    }

    /// A certificate that does not hold, where one is in force that does: somebody put the wrong file there.
    pub fn worsened(&self, resources: &Resources) -> Option<TlsFault> {
        let now = now();
        self.read(|dispatcher| {
            resources.fronts.iter().find_map(|(settings, front)| {
                let known = dispatcher.tls_front(settings)?;
                let (path, what) = front.out_of_date(now).next()?;
                known.out_of_date(now).next().is_none().then_some(TlsFault::OutOfDate { path, what })
            })
        })
    }

    /// Puts certificates in force that were read anew; how many ports changed.
    pub fn renew(self: &Rc<Self>, resources: &Resources) -> usize {
        let changed = self.dispatcher.borrow_mut().renew(resources, Instant::now());
        self.act();
        changed
    }

    /// Keeps other changes out until the guard is dropped.
    pub async fn begin_change(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.changes.lock().await
    }

    /// Puts cluster addresses on this host that the plan's listeners need to be here. What was there before stays until the plan is
    /// in force.
    pub async fn prepare_addresses(&self, plan: &Plan) -> Result<(), LoopbackError> {
        let interfaces = &plan.config().executor.packets.interfaces;
        self.loopback.lock().await.put(&proxied(&plan.claimed()), interfaces).await
    }

    /// Takes away those that nobody needs any more.
    pub async fn tidy_addresses(&self) {
        let addresses = self.read(|dispatcher| proxied(&dispatcher.claimed()));
        self.loopback.lock().await.keep(&addresses).await;
    }

    /// Takes all of them away.
    pub async fn give_up_addresses(&self) {
        self.loopback.lock().await.keep(&[]).await;
    }

    /// Binds what the plan wants to listen on. On an error nothing was changed.
    pub fn bind_for(&self, plan: &Plan) -> Result<(), BindError> {
        if self.paused.get() {
            return Ok(());
        }
        let lanes = self.workers.count();
        let sockets =
            plan.needs.listeners.iter().map(|&(address, occupancy)| Ok((address, open(address, occupancy, lanes)?)));
        let sockets: HashMap<_, _> = sockets.collect::<Result<_, BindError>>()?;
        self.bound.borrow_mut().extend(sockets);
        Ok(())
    }

    /// Puts a plan in force whose needs are met.
    pub fn adopt(self: &Rc<Self>, plan: Plan, resources: &Resources, pair_keys: Option<Arc<PairKeys>>) {
        self.dispatcher.borrow_mut().adopt(plan, resources, Instant::now());
        // Before what follows from the plan is told.
        self.read(|dispatcher| self.scripts.configure(&dispatcher.config().alerts));
        self.act();
        let (settings, most, handshakes) = self.read(|dispatcher| {
            let config = dispatcher.config();
            (config.log, config.executor.maxconnections, config.executor.maxhandshakes)
        });
        log::change(settings);
        self.workers.shared().set_most_handshakes(handshakes);
        self.logs.configure(settings);
        self.workers.shared().set_most_connections(most_connections(most));
        self.follow_pair(pair_keys);
    }

    /// The pair, and who speaks for which addresses, as the configuration has them now.
    fn follow_pair(self: &Rc<Self>, keys: Option<Arc<PairKeys>>) {
        let followed =
            self.read(|dispatcher| self.partnership.follow(dispatcher.pair().as_ref(), dispatcher.generation(), keys));
        if self.partnership.begins_to_stand_alone() {
            idle_alerts().into_iter().for_each(|alert| self.scripts.run(alert));
        }
        match followed {
            Ok(Some(mut news)) => {
                let heart = Rc::clone(self);
                if let Some(service) = self.partnership.service() {
                    self.partnership.attend(Copying::start(self, &service), KeyWatch::start(self));
                }
                spawn_local(async move {
                    while let Some(news) = news.recv().await {
                        heart.hear_of_pair(&news);
                    }
                });
            }
            Ok(None) => {}
            Err(error) => tracing::error!(target: "tsuji::state", "the pair does not run: {error}"),
        }
        if let Some(packets) = self.packets.get() {
            self.read(|dispatcher| packets.claim(&dispatcher.claimed()));
        }
    }

    fn hear_of_pair(self: &Rc<Self>, news: &News) {
        self.read(|dispatcher| pair::tell(news, dispatcher.pair().as_ref()));
        match *news {
            News::Persist { group, epoch } => {
                let heart = Rc::clone(self);
                spawn_local(async move { heart.partnership.persist(group, epoch).await });
            }
            News::Notice(ref notice) => {
                self.partnership.noticed(notice);
                if let Notice::Changed(change) = notice {
                    let alerts = self.read(|dispatcher| role_alerts(change, dispatcher.pair().as_ref()));
                    alerts.into_iter().for_each(|alert| self.scripts.run(alert));
                }
            }
            News::Path(_) | News::Priority(_) => {}
        }
    }

    pub fn handle(self: &Rc<Self>, event: Event) {
        self.dispatcher.borrow_mut().handle(event, Instant::now());
        self.act();
    }

    pub fn is_paused(&self) -> bool {
        self.paused.get()
    }

    /// `executor stop`: no new connections; what runs, runs on.
    pub fn pause(&self) {
        if !self.paused.replace(true) {
            let ports: Vec<PortId> = self.read(|dispatcher| dispatcher.table().ports().map(|port| port.id).collect());
            ports.into_iter().for_each(|port| self.workers.unlisten(port));
            self.close_packets(true);
        }
    }

    /// `executor start`. If an address cannot be bound any more, nothing starts.
    pub fn resume(&self) -> Result<(), BindError> {
        if !self.paused.get() {
            return Ok(());
        }
        let ports: Vec<_> = self.read(|dispatcher| {
            dispatcher
                .table()
                .ports()
                .filter(|port| port.settings.listens())
                .map(|port| (port.id, port.listen))
                .collect()
        });
        let sockets =
            ports.into_iter().map(|(port, address)| Ok((port, address, bind(address, self.workers.count())?)));
        let sockets: Vec<_> = sockets.collect::<Result<_, BindError>>()?;
        sockets.into_iter().for_each(|(port, address, listeners)| self.workers.listen(port, address, listeners));
        self.paused.set(false);
        self.close_packets(false);
        Ok(())
    }

    fn close_packets(&self, closed: bool) {
        if let Some(packets) = self.packets.get() {
            packets.close(closed);
        }
    }

    fn act(self: &Rc<Self>) {
        loop {
            // The borrow ends before the action begins: an action may come back with an event.
            let action = self.dispatcher.borrow_mut().poll_action();
            match action {
                Some(action) => self.carry_out(action),
                None => break,
            }
        }
        self.moved.notify_one();
    }

    fn carry_out(self: &Rc<Self>, action: Action) {
        match action {
            Action::Publish(table) => {
                if let Some(packets) = self.packets.get() {
                    packets.publish(Arc::clone(&table));
                }
                self.workers.publish(table);
            }
            Action::Log { files } => self.logs.keep(files),
            Action::Listen { port, address } => self.listen(port, address),
            Action::Unlisten { port } => self.workers.unlisten(port),
            Action::Cut { server } => self.workers.cut(server),
            Action::Probe(order) => self.probe(order),
            Action::Resolve { host } => self.resolve(host),
            // The one who serves tells; the other one has taken note, and goes on from there.
            Action::RunScript(alert) if self.serves(&alert.cluster) => self.scripts.run(alert),
            Action::RunScript(_) => {}
            Action::Notice(notice) => log::write(&notice),
        }
    }

    /// Whether this dispatcher serves a cluster, and not its partner.
    fn serves(&self, cluster: &Name) -> bool {
        let group = self.read(|dispatcher| dispatcher.group_of(cluster));
        group.is_none_or(|group| self.partnership.claiming().voice(group).is_active)
    }

    fn listen(&self, port: PortId, address: SocketAddr) {
        match self.bound.borrow_mut().remove(&address) {
            Some(listeners) => self.workers.listen(port, address, listeners),
            None if self.paused.get() => {}
            None => tracing::error!("nobody bound {address}; clients cannot come in there"),
        }
    }

    fn probe(self: &Rc<Self>, order: ProbeOrder) {
        let heart = Rc::clone(self);
        spawn_local(async move {
            let probe = order.id;
            let outcome = heart.prober.carry_out(&order).await;
            heart.handle(Event::ProbeFinished { probe, outcome });
        });
    }

    fn resolve(self: &Rc<Self>, host: String) {
        let heart = Rc::clone(self);
        spawn_local(async move {
            let answer = look_up(&host).await;
            heart.handle(Event::Resolved { host, answer });
        });
    }
}

/// Asks the system, which knows its own hosts file, name servers and caches.
async fn look_up(host: &str) -> Result<Vec<IpAddr>, String> {
    let question = tokio::time::timeout(RESOLVER_PATIENCE, tokio::net::lookup_host((host, 0)));
    let answer = question.await.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut)));
    let addresses: Vec<IpAddr> = answer.map_err(|error| error.to_string())?.map(|address| address.ip()).collect();
    if addresses.is_empty() { Err("the name has no address".to_owned()) } else { Ok(addresses) }
}

fn proxied(claimed: &[ClaimedAddress]) -> Vec<IpAddr> {
    claimed.iter().filter(|claimed| claimed.is_proxied).map(|claimed| claimed.address).collect()
}

/// What the operator allows, or else what the limit of file descriptors allows: two for each client, and some for
/// listeners, probes and operators. Beyond it new clients are turned away, so that those who are served can be served.
fn most_connections(given: u32) -> u64 {
    if given > 0 {
        return u64::from(given);
    }
    let limit = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE);
    limit.map_or(0, |(soft, _)| clients_within(soft))
}

/// How many clients these descriptors are enough for. Under a low limit half of them, so that the reserve does not eat them up.
fn clients_within(descriptors: u64) -> u64 {
    /// Descriptors that are not for clients and their servers.
    const RESERVE: u64 = 256;
    ((descriptors - RESERVE.min(descriptors / 2)) / 2).max(1)
}

fn open(address: SocketAddr, occupancy: Occupancy, lanes: usize) -> Result<Vec<TcpListener>, BindError> {
    match occupancy {
        Occupancy::Free => bind(address, lanes),
        Occupancy::Ours => (0..lanes).map(|_| bind_one_more(address)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_descriptors_leave_room_for_clients() {
        assert_eq!(clients_within(20_000), (20_000 - 256) / 2);
        assert_eq!(clients_within(256), 64);
        assert_eq!(clients_within(1), 1);
    }
}
