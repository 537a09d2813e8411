//! Carries out what operators ask for.

mod alerts;
mod certificates;
mod file;
mod pair;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Instant, SystemTime};

use crate::config::{Change, Config, Document, Refusal};
use crate::control::protocol::Request;
use crate::control::reply::Changed;
use crate::control::server::Incoming;
use crate::control::{Body, Command, ConnectionFilter, Outcome, Peer, Reply};
use crate::dispatcher::{Outside, Plan};

use super::chain;
use super::fetch::FetchError;
use super::heart::Heart;
use super::keeper::Keeper;
use super::paths::Paths;
use super::{clock, fetch, log};

/// Where commands are carried out, one change at a time.
pub struct Desk {
    heart: Rc<Heart>,
    paths: Paths,
    /// Where operators come in.
    socket: PathBuf,
    keeper: Keeper,
    /// What was written last, by its path.
    kept: RefCell<HashMap<PathBuf, String>>,
    /// The files of the command line, which SIGHUP loads again.
    files: Vec<PathBuf>,
    tally: Tally,
    /// What needs an operator since the last reload.
    trouble: RefCell<Vec<String>>,
    /// Why certificates that were read again are not in force; none: they are. `None` before they were read again.
    certificate_trouble: RefCell<Option<Vec<String>>>,
    /// Whether the last load of a file went well, and when it was.
    last_load: Cell<Option<(bool, SystemTime)>>,
    stopping: Cell<bool>,
}

/// What the desk counts.
#[derive(Debug, Default)]
pub struct Tally {
    pub done: Cell<u64>,
    pub refused: Cell<u64>,
    pub misused: Cell<u64>,
    pub saves_failed: Cell<u64>,
    /// Times that certificates were read again, and times that what was read could not be used.
    pub certificates_read: Cell<u64>,
    pub certificates_refused: Cell<u64>,
}

impl Tally {
    /// Commands by how they ended.
    pub fn commands(&self) -> Vec<(&'static str, u64)> {
        vec![("done", self.done.get()), ("refused", self.refused.get()), ("misused", self.misused.get())]
    }
}

fn more(counter: &Cell<u64>) {
    counter.set(counter.get() + 1);
}

impl Desk {
    pub fn new(heart: Rc<Heart>, paths: Paths, socket: PathBuf, keeper: Keeper, files: Vec<PathBuf>) -> Self {
        Self {
            heart,
            paths,
            socket,
            keeper,
            kept: RefCell::default(),
            files,
            tally: Tally::default(),
            trouble: RefCell::default(),
            certificate_trouble: RefCell::new(None),
            last_load: Cell::new(None),
            stopping: Cell::new(false),
        }
    }

    pub fn heart(&self) -> &Rc<Heart> {
        &self.heart
    }

    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Whether the last load of a file went well, and when it was.
    pub fn last_load(&self) -> Option<(bool, SystemTime)> {
        self.last_load.get()
    }

    /// From now on health checks say that traffic should go elsewhere.
    pub fn stopping(&self) {
        self.stopping.set(true);
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.get()
    }

    /// Carries out one command and answers it.
    pub async fn answer(&self, incoming: Incoming) {
        let Incoming { command, request, peer, reply } = incoming;
        let is_change = command.is_change();
        let answer = self.carry_out(command, &request).await;
        if is_change {
            audit(&request, &peer, &answer);
        }
        match answer.outcome {
            Outcome::Done => more(&self.tally.done),
            Outcome::Refused => more(&self.tally.refused),
            Outcome::Misuse => more(&self.tally.misused),
        }
        // The operator may be gone; the command was carried out all the same.
        let _ = reply.send(answer);
    }

    async fn carry_out(&self, command: Command, request: &Request) -> Reply {
        let file = |name: &str| request.file_path(name, &self.paths.configuration);
        let outcome = match command {
            Command::Change(change) => self.change(&change).await,
            Command::ExecutorStop => Ok(self.pause()),
            Command::ExecutorStart => self.resume(),
            Command::LogReopen => Ok(self.reopen_logs()),
            Command::CertificateReload => self.reload_certificates().await,
            Command::FileNewload { name } => self.newload(&file(&name)).await,
            Command::FileAppendload { name } => self.appendload(&file(&name)).await,
            Command::FileSave { name, force } => self.save(&name, force).await,
            Command::FileDelete { name } => self.delete(&name).await,
            Command::FileReport => self.file_report().await,
            Command::AlertsStatus => Ok(self.alerts_status().await),
            Command::Takeover { primaryhost } => self.takeover(primaryhost).await,
            Command::Connections(filter) => self.connections(filter).await,
            query => Ok(self.heart.read(|dispatcher| dispatcher.answer(&query, &self.outside(), Instant::now()))),
        };
        outcome.unwrap_or_else(Reply::from)
    }

    async fn change(&self, change: &Change) -> Result<Reply, Refusal> {
        let _turn = self.heart.begin_change().await;
        let (plan, known) = self.heart.read(|dispatcher| (dispatcher.plan_change(change), dispatcher.warnings()));
        let plan = plan?;
        let warnings = plan.warnings.iter().map(ToString::to_string).filter(|warning| !known.contains(warning));
        let later = self.heart.read(|dispatcher| waits_for_restart(dispatcher.config(), plan.config()));
        let warnings = warnings.chain(later).collect();
        let changed = Changed { touched: plan.touched.clone(), warnings };
        let was_so = self.heart.read(|dispatcher| dispatcher.config() == plan.config());
        self.put_in_force(plan).await?;
        let mut reply = Reply::report(Body::Changed(changed));
        if was_so {
            reply.lines.push("it was so already".to_owned());
        }
        self.keep(&mut reply).await;
        Ok(reply)
    }

    /// Fetches what the plan needs, then swaps. Nothing has changed when this fails.
    async fn put_in_force(&self, plan: Plan) -> Result<(), Refusal> {
        let refuse = |error: &dyn std::error::Error| Refusal::Refused(format!("nothing was changed: {}", chain(error)));
        let resources = self.heart.fetcher().fetch(&plan.needs).await.map_err(|error| {
            if matches!(error, FetchError::Certificate(_)) {
                more(&self.tally.certificates_refused);
            }
            refuse(&error)
        })?;
        if let Some(fault) = self.heart.worsened(&resources) {
            more(&self.tally.certificates_refused);
            return Err(refuse(&fault));
        }
        let keys = self.heart.fetcher().pair_keys(&plan.needs).await.map_err(|error| refuse(&error))?;
        self.heart.logs().open(&plan.needs.access_logs).await.map_err(|error| refuse(&error))?;
        self.heart.prepare_addresses(&plan).await.map_err(|error| refuse(&error))?;
        self.heart.bind_for(&plan).map_err(|error| refuse(&error))?;
        self.heart.adopt(plan, &resources, keys);
        self.heart.tidy_addresses().await;
        Ok(())
    }

    fn pause(&self) -> Reply {
        self.heart.pause();
        Reply::done("executor stopped: no new connections are taken; those that run go on")
    }

    fn reopen_logs(&self) -> Reply {
        self.heart.logs().reopen();
        Reply::done("access logs are opened again")
    }

    fn resume(&self) -> Result<Reply, Refusal> {
        if !self.heart.is_paused() {
            return Ok(Reply::done("the executor is running"));
        }
        self.heart.resume().map_err(|error| Refusal::Refused(chain(&error)))?;
        Ok(Reply::done("executor started"))
    }

    /// Those that the kernel's table remembers.
    async fn connections(&self, filter: ConnectionFilter) -> Result<Reply, Refusal> {
        let none = "no packets are forwarded here: no `interfaces` of the executor are named";
        let packets = self.heart.packets().ok_or_else(|| Refusal::Refused(none.to_owned()))?;
        let list = packets.connections(filter).await.map_err(|error| Refusal::Refused(error.to_string()))?;
        Ok(Reply::report(Body::Connections(list)))
    }

    /// What the dispatcher cannot know itself.
    fn outside(&self) -> Outside {
        Outside {
            paused: self.heart.is_paused(),
            workers: self.heart.workers().count(),
            log_dropped: log::dropped(),
            access_logs: self.heart.logs().reading(),
            hour: clock::hour(),
            seconds: fetch::now(),
            socket: self.socket.display().to_string(),
            state_directory: self.paths.state.display().to_string(),
            scripts: Vec::new(),
            packets: self.heart.packets().map(|packets| packets.status().report()),
            pair: self.heart.partnership().reading(),
            warnings: [
                self.trouble.borrow().clone(),
                self.certificate_trouble(),
                self.heart.logs().trouble(),
                self.shortage(),
            ]
            .concat(),
        }
    }

    /// What clients have to do without because memory is short.
    fn shortage(&self) -> Vec<String> {
        let (words, reading) =
            (self.heart.workers().shared().pressure().words(), self.heart.workers().shared().counters());
        let (used, most) = (reading.memory_resident >> 20, reading.memory_ceiling >> 20);
        if words.is_empty() { Vec::new() } else { vec![format!("memory: {used} of {most} MiB; {words}")] }
    }

    /// Writes down what must survive a restart, as far as it is not written yet. The change is in force already, so a full
    /// disk is told, not undone.
    async fn keep(&self, reply: &mut Reply) {
        let (overrides, good) =
            self.heart.read(|dispatcher| (dispatcher.overrides().to_text(), dispatcher.file().to_toml()));
        for (path, content) in [(self.paths.overrides(), overrides), (self.paths.last_good(), good)] {
            if self.kept.borrow().get(&path) == Some(&content) {
                continue;
            }
            match self.keeper.keep(&path, content.as_str()).await {
                Ok(()) => drop(self.kept.borrow_mut().insert(path, content)),
                Err(error) => {
                    // Whether the old content is there still, or the new one comes late, is not known now.
                    self.kept.borrow_mut().remove(&path);
                    self.not_kept(reply, &error.to_string());
                }
            }
        }
    }

    fn not_kept(&self, reply: &mut Reply, why: &str) {
        more(&self.tally.saves_failed);
        tracing::error!("changes will not survive a restart: {why}");
        reply.lines.push(format!("in force, but it will not survive a restart: {why}"));
    }

    /// What is in service, on one line.
    pub fn summary(&self) -> String {
        self.heart.read(|dispatcher| {
            let config = dispatcher.config();
            let ports: usize = config.clusters.iter().map(|cluster| cluster.ports.len()).sum();
            let metrics =
                config.metrics.listen.map_or("no metrics".to_owned(), |at| format!("metrics at http://{at}/metrics"));
            let socket = self.socket.display();
            format!("{} clusters, {ports} ports; control socket {socket}, {metrics}", config.clusters.len())
        })
    }

    /// Writes down the configuration that was started with.
    pub async fn remember(&self) {
        self.keep(&mut Reply::done("")).await;
    }

    fn document(&self) -> Document {
        self.heart.read(|dispatcher| dispatcher.document().clone())
    }
}

/// Settings that are read once, when the daemon starts.
fn waits_for_restart(now: &Config, next: &Config) -> Vec<String> {
    let changed = [
        ("executor workers", now.executor.workers != next.executor.workers),
        (
            "executor user and group",
            (&now.executor.user, &now.executor.group) != (&next.executor.user, &next.executor.group),
        ),
        ("the control socket", now.control != next.control),
        ("the address of the metrics page", now.metrics != next.metrics),
    ];
    let changed = changed.into_iter().filter(|(_, is_changed)| *is_changed);
    changed.map(|(what, _)| format!("{what}: takes effect when tsuji is started again")).collect()
}

/// Who changed what, and whether it went through.
fn audit(request: &Request, peer: &Peer, reply: &Reply) {
    let outcome = match reply.outcome {
        Outcome::Done => "done".to_owned(),
        Outcome::Refused | Outcome::Misuse => format!("refused: {}", reply.lines.join(" ")),
    };
    let who = match peer.pid {
        Some(pid) => format!("user {} (process {pid})", peer.uid),
        None => format!("user {}", peer.uid),
    };
    tracing::info!(target: "tsuji::state", "command by {who}: dscontrol {}: {outcome}", request.line());
}
