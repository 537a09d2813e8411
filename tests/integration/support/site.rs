//! A port with its workers, built by hand as the daemon would.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tsuji::accesslog::{Lines, unpack};
use tsuji::datapath::listen;
use tsuji::datapath::proxy::{Order, ProxyReading, Shared, Worker};
use tsuji::executor::{
    AffinityTable, CookieKey, ForwardingTable, Lane, PortCounters, PortPlan, PortReading, PortTable, ServerCounters,
    ServerPlan, ServerReading,
};
use tsuji::message::{ErrorReason, SorrySite};
use tsuji::model::*;

use tsuji::tls::{ServerLink, TlsFront};

use super::secure::Front;
use super::{Client, Origin};

/// What a site is made from.
pub struct Setup {
    pub port: Port,
    pub addresses: Vec<SocketAddr>,
    pub standings: Vec<Standing>,
    pub sorry: Option<SorrySite>,
    pub workers: usize,
    /// Where it listens.
    pub listen: IpAddr,
    /// What it speaks TLS with.
    pub tls: Option<Arc<TlsFront>>,
    /// What its servers are spoken to with inside TLS.
    pub links: Vec<Option<Arc<ServerLink>>>,
}

impl Setup {
    /// An http port with these servers, named `a`, `b`, `c`…, and short bounds on everything but what is waited for.
    pub fn http(origins: &[&Origin]) -> Self {
        Self::with_addresses(ForwardingMethod::Http, origins.iter().map(|origin| origin.address()).collect())
    }

    pub fn tcp(origins: &[&Origin]) -> Self {
        Self::with_addresses(ForwardingMethod::Tcp, origins.iter().map(|origin| origin.address()).collect())
    }

    pub fn with_addresses(method: ForwardingMethod, addresses: Vec<SocketAddr>) -> Self {
        let servers = (b'a'..).zip(&addresses).map(|(name, address)| server(char::from(name), *address)).collect();
        let standings = addresses.iter().map(|_| Standing::Usable).collect();
        let links = addresses.iter().map(|_| None).collect();
        Self {
            port: port(method, servers),
            addresses,
            standings,
            sorry: None,
            workers: 1,
            listen: Ipv4Addr::LOCALHOST.into(),
            tls: None,
            links,
        }
    }

    pub fn change(mut self, change: impl FnOnce(&mut Port)) -> Self {
        change(&mut self.port);
        self
    }

    /// Each request or connection leaves a line: see [`Site::logged`].
    pub fn logs(self) -> Self {
        self.change(|port| port.accesslog = Self::log(AccessLogFormat::Json))
    }

    pub fn log(format: AccessLogFormat) -> Option<AccessLog> {
        Some(AccessLog { path: "taken before it is written".into(), format })
    }

    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    pub fn listen(mut self, address: impl Into<IpAddr>) -> Self {
        self.listen = address.into();
        self
    }

    pub fn sorry(mut self, sorry: impl FnOnce(&SorryPage) -> SorrySite) -> Self {
        self.sorry = Some(sorry(&self.port.sorry));
        self
    }

    /// Clients speak TLS.
    pub fn tls(mut self, front: &Front) -> Self {
        self.port.tls = Some(front.settings.clone());
        self.tls = Some(front.build());
        self
    }

    /// All servers are down for the advisors.
    pub fn all_down(mut self) -> Self {
        self.standings.fill(Standing::Out);
        self
    }

    pub fn start(self) -> Site {
        Site::start(self)
    }
}

/// A running port.
pub struct Site {
    pub shared: Arc<Shared>,
    pub address: SocketAddr,
    workers: Vec<Worker>,
    setup: Mutex<Setup>,
    port_counters: Arc<PortCounters>,
    server_counters: Vec<Arc<ServerCounters>>,
    affinity: Arc<AffinityTable>,
}

pub const PORT: PortId = PortId(0);

impl Site {
    fn start(mut setup: Setup) -> Self {
        let lanes = setup.workers;
        let listeners = listen::bind(SocketAddr::new(setup.listen, 0), lanes).unwrap();
        let address = listeners[0].local_addr().unwrap();
        setup.port.number = PortNumber::new(address.port().into()).unwrap();
        let shared = Shared::new(ForwardingTable::default(), lanes);
        let mut site = Self {
            shared: Arc::clone(&shared),
            address,
            workers: Vec::new(),
            port_counters: Arc::new(PortCounters::new(lanes, ErrorReason::ALL.len())),
            server_counters: setup.addresses.iter().map(|_| Arc::new(ServerCounters::new(lanes))).collect(),
            affinity: Arc::new(AffinityTable::new(1000)),
            setup: Mutex::new(setup),
        };
        site.publish();
        for (lane, listener) in listeners.into_iter().enumerate() {
            let worker = Worker::spawn(Arc::clone(&shared), Lane(lane)).unwrap();
            worker.send(Order::Listen { port: PORT, listener }).unwrap();
            site.workers.push(worker);
        }
        site
    }

    pub fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// Publishes a changed table.
    pub fn change(&self, change: impl FnOnce(&mut Setup)) {
        change(&mut self.setup.lock().unwrap());
        self.publish();
    }

    pub fn publish(&self) {
        let table = self.shared.table();
        self.shared.publish(Arc::new(table.with([self.table()], &[])));
    }

    /// What requests have found out about a server.
    pub fn mark(&self, index: usize) -> &tsuji::executor::Mark {
        &self.server_counters[index].mark
    }

    pub fn server_counters(&self, index: usize) -> &Arc<ServerCounters> {
        &self.server_counters[index]
    }

    pub fn remove_port(&self) {
        let table = self.shared.table();
        self.shared.publish(Arc::new(table.with([], &[PORT])));
    }

    pub fn order(&self, order: impl Fn() -> Order) {
        for worker in &self.workers {
            worker.send(order()).unwrap();
        }
    }

    /// Lets one worker come to its end, as one that died would; the others go on.
    pub fn end_worker(&mut self, lane: usize) {
        let worker = self.workers.remove(lane);
        worker.send(Order::Drain { deadline: Instant::now() }).unwrap();
        worker.join();
    }

    /// Starts one in its place.
    pub fn start_worker(&mut self, lane: usize) {
        let worker = Worker::spawn(Arc::clone(&self.shared), Lane(lane)).unwrap();
        let listener = listen::bind_one_more(self.address).unwrap();
        worker.send(Order::Listen { port: PORT, listener }).unwrap();
        self.workers.insert(lane, worker);
    }

    pub fn cut(&self, server: u32) {
        self.order(|| Order::Cut { server: ServerId(server) });
    }

    pub fn drain(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        self.order(|| Order::Drain { deadline });
    }

    pub fn join(mut self) {
        for worker in self.workers.drain(..) {
            worker.join();
        }
    }

    /// Ends the workers and returns the lines that they leave behind.
    pub fn logged(self) -> Vec<serde_json::Value> {
        self.logged_within(PATIENCE)
    }

    /// The same, where what runs has this long to end.
    pub fn logged_within(self, patience: Duration) -> Vec<serde_json::Value> {
        let text = self.text_within(patience);
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub fn logged_text(self) -> String {
        self.text_within(PATIENCE)
    }

    fn text_within(self, patience: Duration) -> String {
        let shared = Arc::clone(&self.shared);
        self.drain(patience);
        self.join();
        let (mut lines, mut text) = (Lines::new(Box::new(|_| 0)), Vec::new());
        while let Some(buffer) = shared.records().take_now() {
            unpack(&buffer).for_each(|record| lines.write(&mut text, &record));
        }
        assert_eq!(shared.records().dropped(), 0);
        String::from_utf8(text).unwrap()
    }

    pub fn counters(&self) -> ProxyReading {
        self.shared.counters()
    }

    pub fn port(&self) -> PortReading {
        self.port_counters.read()
    }

    pub fn server(&self, index: usize) -> ServerReading {
        self.server_counters[index].read()
    }

    /// How often the port gave this reason.
    pub fn reason(&self, reason: ErrorReason) -> u64 {
        self.port().reasons[reason.index()]
    }

    /// Waits for something that is about to be counted.
    pub fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let patience = Instant::now() + PATIENCE;
        while !holds(self) {
            assert!(Instant::now() < patience, "{what}: {:?} {:?}", self.port(), self.counters());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn table(&self) -> PortTable {
        let before = self.shared.table();
        let setup = self.setup.lock().unwrap();
        let settings = Arc::new(setup.port.clone());
        let sorry = setup.sorry.clone().unwrap_or_else(|| SorrySite::built_in(&settings.sorry).unwrap());
        let servers = settings.servers.iter().zip(0..).map(|(server, id)| ServerPlan {
            id: ServerId(id),
            server,
            address: Some(setup.addresses[id as usize].ip()),
            weight: server.weight,
            health: Health::Unknown,
            standing: setup.standings[id as usize],
            counters: &self.server_counters[id as usize],
            tls: setup.links[id as usize].clone(),
        });
        PortTable::new(PortPlan {
            id: PORT,
            key: PortKey { cluster: Name::new("shop").unwrap(), port: settings.number },
            address: setup.listen,
            settings: &settings,
            servers: servers.collect(),
            affinity_group: PORT,
            affinity: &self.affinity,
            sorry: &Arc::new(sorry),
            tls: setup.tls.clone(),
            accesslog: settings.accesslog.as_ref().map(|_| AccessLogId(7)),
            counters: &self.port_counters,
            cookie_key: &CookieKey::new(&[7; 32]),
            previous: before.port(PORT).map(Arc::as_ref),
        })
    }
}

/// Whether this machine has IPv6, with one line that says so where it has not.
pub fn has_ipv6() -> bool {
    let there = std::net::TcpListener::bind((std::net::Ipv6Addr::LOCALHOST, 0)).is_ok();
    if !there {
        eprintln!("skipped: this machine has no IPv6");
    }
    there
}

/// Beyond this a test is stuck. No test waits for it to pass.
pub const PATIENCE: Duration = Duration::from_secs(20);

fn server(name: char, address: SocketAddr) -> Server {
    Server {
        name: Name::new(&name.to_string()).unwrap(),
        host: ServerHost::Address(address.ip()),
        mapport: PortNumber::new(address.port().into()).unwrap(),
        weight: Weight::new(10).unwrap(),
        fixedweight: false,
        sticky: true,
        collocated: false,
        state: AdministrativeState::Up,
        advisorrequest: String::new(),
        advisorresponse: Vec::new(),
        proxied: ProxiedServer::default(),
    }
}

fn port(method: ForwardingMethod, servers: Vec<Server>) -> Port {
    let timeouts = Timeouts::all(Duration::from_secs(60));
    Port { servers, timeouts, ..Port::preset(PortNumber::new(80).unwrap(), method) }
}
