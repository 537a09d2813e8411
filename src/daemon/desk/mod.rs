//! Carries out what operators ask for.

mod file;

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Instant;

use crate::config::{Change, Document, Refusal};
use crate::control::reply::Changed;
use crate::control::server::Call;
use crate::control::{Body, Command, Outcome, Reply};
use crate::dispatcher::{Outside, Plan};

use super::chain;
use super::heart::{Heart, fetch};
use super::keeper::Keeper;
use super::log;
use super::paths::Paths;

/// Where commands are carried out, one change at a time.
pub struct Desk {
    heart: Rc<Heart>,
    paths: Paths,
    keeper: Keeper,
    /// The files of the command line, which SIGHUP loads again.
    files: Vec<PathBuf>,
    tally: Tally,
    /// What needs an operator since the last reload.
    trouble: RefCell<Vec<String>>,
    stopping: Cell<bool>,
}

/// What the desk counts.
#[derive(Debug, Default)]
pub struct Tally {
    pub done: Cell<u64>,
    pub refused: Cell<u64>,
    pub misused: Cell<u64>,
    pub reloads: Cell<u64>,
    pub reloads_failed: Cell<u64>,
    pub saves_failed: Cell<u64>,
}

fn more(counter: &Cell<u64>) {
    counter.set(counter.get() + 1);
}

impl Desk {
    pub fn new(heart: Rc<Heart>, paths: Paths, keeper: Keeper, files: Vec<PathBuf>) -> Self {
        let (tally, trouble, stopping) = (Tally::default(), RefCell::default(), Cell::new(false));
        Self { heart, paths, keeper, files, tally, trouble, stopping }
    }

    pub fn heart(&self) -> &Rc<Heart> {
        &self.heart
    }

    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// From now on health checks say that traffic should go elsewhere.
    pub fn stopping(&self) {
        self.stopping.set(true);
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.get()
    }

    /// Carries out one command and answers it.
    pub async fn answer(&self, call: Call) {
        let line = call.request.words.join(" ");
        let reply = match Command::parse(&call.request.words) {
            Ok(command) => {
                let is_change = command.is_change();
                let reply = self.carry_out(command, &call).await;
                if is_change {
                    audit(&line, &call, &reply);
                }
                reply
            }
            Err(refusal) => Reply::from(refusal),
        };
        match reply.outcome {
            Outcome::Done => more(&self.tally.done),
            Outcome::Refused => more(&self.tally.refused),
            Outcome::Misuse => more(&self.tally.misused),
        }
        // The operator may be gone; the command was carried out all the same.
        let _ = call.reply.send(reply);
    }

    async fn carry_out(&self, command: Command, call: &Call) -> Reply {
        let outcome = match command {
            Command::Change(change) => self.change(&change).await,
            Command::ExecutorStop => Ok(self.pause()),
            Command::ExecutorStart => self.resume(),
            Command::FileNewload { name } => self.newload(&call.request.file_path(&name, &self.paths.configuration)).await,
            Command::FileAppendload { name } => self.appendload(&call.request.file_path(&name, &self.paths.configuration)).await,
            Command::FileSave { name, force } => self.save(&name, force).await,
            Command::FileDelete { name } => self.delete(&name).await,
            Command::FileReport => self.file_report().await,
            query => Ok(self.heart.read(|dispatcher| dispatcher.answer(&query, &self.outside(), Instant::now()))),
        };
        outcome.unwrap_or_else(Reply::from)
    }

    async fn change(&self, change: &Change) -> Result<Reply, Refusal> {
        let _turn = self.heart.begin_change().await;
        let plan = self.heart.read(|dispatcher| dispatcher.plan_change(change))?;
        let changed = Changed {
            touched: plan.touched.clone(),
            warnings: new_warnings(&plan, &self.heart.read(|dispatcher| dispatcher.warnings())),
        };
        self.put_in_force(plan).await?;
        let mut reply = Reply::report(Body::Changed(changed));
        self.keep(&mut reply).await;
        Ok(reply)
    }

    /// Fetches what the plan needs, then swaps. Nothing has changed when this fails.
    async fn put_in_force(&self, plan: Plan) -> Result<(), Refusal> {
        let refuse = |error: &dyn std::error::Error| Refusal::Refused(format!("nothing was changed: {}", chain(error)));
        let resources = fetch(&plan.needs).await.map_err(|error| refuse(&error))?;
        self.heart.bind_for(&plan).map_err(|error| refuse(&error))?;
        self.heart.adopt(plan, &resources);
        Ok(())
    }

    fn pause(&self) -> Reply {
        self.heart.pause();
        Reply::done("executor stopped: no new connections are taken; those that run go on")
    }

    fn resume(&self) -> Result<Reply, Refusal> {
        if !self.heart.is_paused() {
            return Ok(Reply::done("the executor is running"));
        }
        self.heart.resume().map_err(|error| Refusal::Refused(chain(&error)))?;
        Ok(Reply::done("executor started"))
    }

    /// What the dispatcher cannot know itself.
    fn outside(&self) -> Outside {
        Outside {
            paused: self.heart.is_paused(),
            workers: self.heart.workers().count(),
            log_dropped: log::dropped(),
            warnings: self.trouble.borrow().clone(),
        }
    }

    /// Writes down what must survive a restart. The change is in force already, so a full disk is told, not undone.
    async fn keep(&self, reply: &mut Reply) {
        let (overrides, good) = self.heart.read(|dispatcher| (dispatcher.overrides().to_text(), dispatcher.file().to_toml()));
        let state = self.paths.state.clone();
        let made = tokio::task::spawn_blocking(move || std::fs::create_dir_all(state)).await;
        if let Ok(Err(error)) = made {
            self.not_kept(reply, &format!("cannot make {}: {error}", self.paths.state.display()));
            return;
        }
        for (path, content) in [(self.paths.overrides(), overrides), (self.paths.last_good(), good)] {
            if let Err(error) = self.keeper.keep(&path, content).await {
                self.not_kept(reply, &error.to_string());
            }
        }
    }

    fn not_kept(&self, reply: &mut Reply, why: &str) {
        more(&self.tally.saves_failed);
        tracing::error!("changes will not survive a restart: {why}");
        reply.lines.push(format!("in force, but it will not survive a restart: {why}"));
    }

    /// Writes down the configuration that was started with.
    pub async fn remember(&self) {
        self.keep(&mut Reply::done("")).await;
    }

    fn document(&self) -> Document {
        self.heart.read(|dispatcher| dispatcher.document().clone())
    }
}

fn new_warnings(plan: &Plan, known: &[String]) -> Vec<String> {
    plan.warnings.iter().map(ToString::to_string).filter(|warning| !known.contains(warning)).collect()
}

/// Who changed what, and whether it went through.
fn audit(line: &str, call: &Call, reply: &Reply) {
    let outcome = match reply.outcome {
        Outcome::Done => "done".to_owned(),
        Outcome::Refused | Outcome::Misuse => format!("refused: {}", reply.lines.join(" ")),
    };
    tracing::info!(target: "tsuji::state", "command by {}: dscontrol {line}: {outcome}", call.peer);
}
