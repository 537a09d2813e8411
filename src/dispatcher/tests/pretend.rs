//! A dispatcher in a world of its own: a clock that jumps, servers that live and die as the story says, a resolver with a
//! list of names, and a record of everything the heart wanted done.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::advisor::{ProbeId, ProbeOutcome};
use crate::config::{Document, Faults, Overrides, Refusal, split_words};
use crate::control::{Command, Outcome, Reply, render};
use crate::dispatcher::{Action, Alert, Dispatcher, Event, Needs, Outside, Plan, Resources, Severity};
use crate::executor::{
    ActiveConnection, Ask, CookieKey, Decision, ForwardingTable, Lane, Moment, PortTable, Session, Tried, Turn, decide,
};
use crate::message::SorrySite;
use crate::model::{DownReason, PortId, ProxyVersion, ServerId, SorryPage};

/// Two servers and an http advisor every second.
pub const SHOP: &str = r#"
[[cluster]]
name = "shop"
address = "192.0.2.10"
  [[cluster.port]]
  number = 80
  method = "http"
    [[cluster.port.server]]
    name = "w1"
    address = "192.0.2.21"
    [[cluster.port.server]]
    name = "w2"
    address = "192.0.2.22"
[[advisor]]
name = "http"
port = 80
interval = 1
connecttimeout = 1
receivetimeout = 1
"#;

/// What becomes of probes at one address.
#[derive(Clone, Debug)]
pub enum Fate {
    /// They are answered well after so many milliseconds.
    Good(u64),
    /// They are refused at once.
    Refused,
    /// They are answered, and badly.
    Bad(DownReason),
    /// Nobody answers, so they time out.
    Silent,
}

/// Something that will happen.
enum Coming {
    Probe(ProbeId, ProbeOutcome),
    Answer(String),
}

pub struct Pretend {
    pub heart: Dispatcher,
    pub now: Instant,
    pub outside: Outside,
    /// What the workers were given last.
    pub table: Arc<ForwardingTable>,
    /// What the heart wanted done since this was last taken, as text.
    done: Vec<String>,
    /// The scripts that ran, with their arguments and the reason.
    pub scripts: Vec<String>,
    /// How many probes each address got.
    pub probes: HashMap<SocketAddr, usize>,
    /// The header that the last probe was to begin with.
    pub probe_header: Option<ProxyVersion>,
    /// Where the workers listen, as far as they were told.
    pub listening: BTreeMap<PortId, SocketAddr>,
    /// What every configured sorry page reads at the moment.
    pub page: &'static str,
    fates: HashMap<IpAddr, Fate>,
    names: HashMap<String, Result<Vec<IpAddr>, String>>,
    coming: Vec<(Instant, Coming)>,
}

impl Pretend {
    /// With nothing configured; nothing has happened yet.
    pub fn empty() -> Self {
        let now = Instant::now();
        Self {
            heart: Dispatcher::new(2, 7, CookieKey::new(&[7; 32]), now),
            now,
            outside: Outside { workers: 2, hour: 12, ..Outside::default() },
            table: Arc::default(),
            done: Vec::new(),
            scripts: Vec::new(),
            probes: HashMap::new(),
            probe_header: None,
            listening: BTreeMap::new(),
            page: "closed",
            fates: HashMap::new(),
            names: HashMap::new(),
            coming: Vec::new(),
        }
    }

    /// With this configuration in force; all probes are answered after 10 ms until the story says otherwise.
    pub fn with(toml: &str) -> Self {
        let mut world = Self::empty();
        world.load(toml).expect("a configuration without faults");
        world
    }

    /// The same after some seconds, when all is quiet.
    pub fn settled(toml: &str) -> Self {
        let mut world = Self::with(toml);
        world.run_for(Duration::from_secs(5));
        world.take_done();
        world
    }

    /// `file newload`; the operators' changes that gave way.
    pub fn load(&mut self, toml: &str) -> Result<Vec<String>, Faults> {
        let file = Document::parse(toml, "/etc/tsuji/tsuji.toml")?;
        let plan = self.heart.plan_file(file, "/etc/tsuji/tsuji.toml")?;
        let dropped = plan.dropped.clone();
        self.adopt(plan);
        Ok(dropped)
    }

    /// A start with overrides of an earlier life.
    pub fn load_with(&mut self, toml: &str, overrides: &Overrides) {
        let file = Document::parse(toml, "/etc/tsuji/tsuji.toml").expect("a document");
        let plan = self.heart.plan_layers(file, overrides, "/etc/tsuji/tsuji.toml").expect("a plan");
        self.adopt(plan);
    }

    /// What a reload would need, without carrying it out.
    pub fn needs_of(&self, toml: &str) -> Needs {
        let file = Document::parse(toml, "/etc/tsuji/tsuji.toml").expect("a document");
        self.heart.plan_file(file, "/etc/tsuji/tsuji.toml").expect("a plan").needs
    }

    /// Carries out a command that changes something; returns what it touched.
    pub fn command(&mut self, line: &str) -> Result<Vec<String>, Refusal> {
        let words = split_words(line).expect("words");
        let Command::Change(change) = Command::parse(&words)? else { panic!("`{line}` changes nothing") };
        let plan = self.heart.plan_change(&change)?;
        let touched = plan.touched.clone();
        self.adopt(plan);
        Ok(touched)
    }

    fn adopt(&mut self, plan: Plan) {
        let pages = plan.needs.sorry.iter();
        let sorry = pages.map(|page| (page.clone(), Arc::new(self.read_page(page)))).collect();
        self.heart.adopt(plan, &Resources { sorry, ..Resources::default() }, self.now);
        self.act();
    }

    fn read_page(&self, page: &SorryPage) -> SorrySite {
        let site = match page.path {
            None => SorrySite::built_in(page),
            Some(_) => SorrySite::file("sorry.html", self.page.as_bytes().to_vec(), page),
        };
        site.expect("a page")
    }

    /// `file appendload`.
    pub fn append(&mut self, toml: &str) -> Result<(), Faults> {
        let plan = self.heart.plan_append(toml, "/etc/tsuji/more.toml")?;
        self.adopt(plan);
        Ok(())
    }

    /// Asks a question and returns the reply.
    pub fn answer(&self, line: &str) -> Reply {
        let words = split_words(line).expect("words");
        let command = Command::parse(&words).unwrap_or_else(|refusal| panic!("`{line}`: {refusal}"));
        self.heart.answer(&command, &self.outside, self.now)
    }

    /// Asks a question and returns the tables that people see.
    pub fn shown(&self, line: &str) -> String {
        let reply = self.answer(line);
        assert_eq!(reply.outcome, Outcome::Done, "`{line}`: {:?}", reply.lines);
        render::text(&reply)
    }

    /// The value of a row of a dotted list; of the first one of that label.
    pub fn row(&self, line: &str, label: &str) -> String {
        let shown = self.shown(line);
        let rows = shown.lines().filter_map(|row| row.split_once(" .."));
        let mut values =
            rows.filter(|(found, _)| *found == label).map(|(_, value)| value.trim_start_matches('.').trim());
        values.next().unwrap_or_else(|| panic!("no row `{label}` in\n{shown}")).to_owned()
    }

    /// The sentence with which a question is refused.
    pub fn refusal(&self, line: &str) -> String {
        let reply = self.answer(line);
        assert_eq!(reply.outcome, Outcome::Refused, "`{line}`: {reply:?}");
        reply.lines.join("\n")
    }

    /// From now on, probes at this address end so.
    pub fn fate(&mut self, address: &str, fate: Fate) {
        self.fates.insert(address.parse().expect("an address"), fate);
    }

    /// From now on, this name has these addresses; none: it cannot be resolved.
    pub fn name(&mut self, name: &str, addresses: &[&str]) {
        let addresses: Vec<IpAddr> = addresses.iter().map(|text| text.parse().expect("an address")).collect();
        let answer = if addresses.is_empty() { Err("no such host".to_owned()) } else { Ok(addresses) };
        self.names.insert(name.to_owned(), answer);
    }

    /// Lets the time pass, with all that happens meanwhile.
    pub fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            let coming = self.coming.iter().map(|(at, _)| *at);
            let next = coming.chain([self.heart.next_deadline()]).min().expect("the heart always has a deadline");
            if next > end {
                break;
            }
            self.now = self.now.max(next);
            self.step();
        }
        self.now = end;
    }

    pub fn run_seconds(&mut self, seconds: f64) {
        self.run_for(Duration::from_secs_f64(seconds));
    }

    fn step(&mut self) {
        let now = self.now;
        let due = self.coming.iter().position(|(at, _)| *at <= now);
        let event = match due.map(|place| self.coming.remove(place).1) {
            Some(Coming::Probe(probe, outcome)) => Event::ProbeFinished { probe, outcome },
            Some(Coming::Answer(host)) => {
                let answer = self.names.get(&host).cloned().unwrap_or_else(|| Err("no such host".to_owned()));
                Event::Resolved { host, answer }
            }
            None => Event::Due,
        };
        self.heart.handle(event, now);
        self.act();
        assert!(self.heart.next_deadline() > now, "the heart would be called again and again");
    }

    fn act(&mut self) {
        while let Some(action) = self.heart.poll_action() {
            self.carry_out(action);
        }
    }

    fn carry_out(&mut self, action: Action) {
        let done = match action {
            Action::Publish(table) => {
                self.table = table;
                "publish".to_owned()
            }
            Action::Log { files } => {
                let paths: Vec<_> = files.values().map(|path| path.display().to_string()).collect();
                format!("log to {}", paths.join(" "))
            }
            Action::Listen { port, address } => {
                let table = self.table.port(port).expect("a port that is listened on is in the table");
                let before = self.listening.insert(port, address);
                assert_eq!(before, None, "{} is listened on already", table.key);
                format!("listen {} at {address}", table.key)
            }
            Action::Unlisten { port } => {
                self.listening.remove(&port).expect("only what is listened on is given up");
                format!("unlisten {}", port.0)
            }
            Action::Cut { server } => format!("cut {}", self.name_of(server)),
            Action::Probe(order) => return self.begin_probe(order),
            Action::Resolve { host } => {
                self.coming.push((self.now + Duration::from_millis(5), Coming::Answer(host.clone())));
                format!("resolve {host}")
            }
            Action::RunScript(alert) => return self.scripts.push(called(&alert)),
            Action::Notice(notice) => match notice.severity {
                Severity::Alert => format!("ALERT {}", notice.text),
                Severity::Warning => format!("warning {}", notice.text),
                Severity::Info => format!("info {}", notice.text),
            },
        };
        self.done.push(done);
    }

    fn begin_probe(&mut self, order: crate::advisor::ProbeOrder) {
        *self.probes.entry(order.target).or_default() += 1;
        self.probe_header = order.sendproxy;
        let fate = self.fates.get(&order.target.ip()).cloned().unwrap_or(Fate::Good(10));
        let (after, outcome) = match fate {
            Fate::Good(ms) => {
                let latency = Duration::from_millis(ms);
                (latency, ProbeOutcome::Good { latency })
            }
            Fate::Refused => bad(Duration::from_millis(1), DownReason::ConnectRefused),
            Fate::Bad(reason) => bad(Duration::from_millis(1), reason),
            Fate::Silent => bad(order.connecttimeout, DownReason::ConnectTimeout),
        };
        self.coming.push((self.now + after, Coming::Probe(order.id, outcome)));
    }

    fn name_of(&self, server: ServerId) -> String {
        let known = self.heart.servers.get(&server).map(|state| state.key.to_string());
        known.unwrap_or_else(|| format!("{server:?}"))
    }

    /// What the heart wanted done since this was last asked. Probes are counted in `probes` instead.
    pub fn take_done(&mut self) -> Vec<String> {
        std::mem::take(&mut self.done)
    }

    /// The same without publishing, which follows every change.
    pub fn take_told(&mut self) -> Vec<String> {
        self.take_done().into_iter().filter(|done| done != "publish").collect()
    }

    pub fn port(&self, key: &str) -> &PortTable {
        self.table.ports().find(|port| port.key.to_string() == key).unwrap_or_else(|| panic!("no port {key}"))
    }

    /// A new connection of this client at shop:80: the server's name, or the refusal.
    pub fn next_server(&self, client: &str) -> String {
        self.next_server_at("shop:80", client)
    }

    pub fn next_server_at(&self, key: &str, client: &str) -> String {
        let port = self.port(key);
        let client = client.parse().expect("an address");
        let mut session = Session::default();
        let ask = &mut Ask { client, request: None, session: &mut session, tried: &Tried::default(), turn: Turn::Take };
        match decide(port, ask, Moment { now: self.now, hour: self.outside.hour }) {
            Decision::Forward { server, .. } => port.server(server).expect("a server of the table").name.to_string(),
            Decision::Refuse(refusal) => format!("{refusal:?}"),
        }
    }

    /// How often each server is chosen in so many new connections, as `w1 3 w2 1`.
    pub fn choices(&self, key: &str, times: usize) -> String {
        let mut counts = std::collections::BTreeMap::<String, usize>::new();
        for last in 0..times {
            *counts.entry(self.next_server_at(key, &format!("203.0.113.{}", last % 250))).or_default() += 1;
        }
        let words: Vec<String> = counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
        words.join(" ")
    }

    /// Connections that begin at a server of shop:80, and last until they are dropped.
    pub fn connect(&self, server: &str, times: usize) -> Vec<ActiveConnection> {
        let entry = self.port("shop:80").servers.iter().find(|entry| entry.name == server).expect("a server");
        (0..times).map(|_| ActiveConnection::begin(&entry.counters, Lane(0))).collect()
    }
}

fn called(alert: &Alert) -> String {
    let server = alert.server.as_ref().map_or("-", |server| server.name.as_str());
    format!("{} {} {} {server} ({})", alert.event.script(), alert.cluster, alert.port, alert.reason)
}

fn bad(after: Duration, reason: DownReason) -> (Duration, ProbeOutcome) {
    (after, ProbeOutcome::Bad { reason, latency: after })
}
