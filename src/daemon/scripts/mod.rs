//! Runs operators' scripts when servers go and come back, and when a dispatcher of a pair changes its role.
//!
//! A thread of its own runs them one after the other, in the order of events, so that `managerClear` never overtakes
//! `managerAlert`, and so that a script that hangs holds up nothing but scripts. Which one is due is the heart's business
//! (`dispatcher`); whether a file may be run is looked at each time ([`trust`]), and [`child`] keeps it within bounds.

mod call;
mod child;
mod tally;
#[cfg(test)]
mod tests;
mod trust;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use crate::control::reply::AlertScript;
use crate::dispatcher::AlertEvent;
use crate::model::AlertSettings;
use crate::sys::rights::{self, Capabilities};

use super::chain;
pub use call::Call;
use child::{Account, End, Order, Output};
use tally::{Ending, Tally};
use trust::{Distrust, Own};

/// Alerts that wait for those before them: a whole rack that goes and comes back, at some hundred bytes each. When one more
/// comes, the oldest is given up: it is the most likely to be no longer true, and the latest state is always told.
const WAITING: usize = 256;
/// How long the end of the daemon waits for a script to end: a little longer than it takes to kill one.
const LAST_SCRIPT: Duration = Duration::from_secs(5);

/// The runner.
pub struct Scripts {
    shared: Arc<Shared>,
    thread: RefCell<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    /// Held for as long as it takes to put in or take out one alert.
    desk: Mutex<Desk>,
    /// There is something to do.
    call: Condvar,
    stopping: AtomicBool,
    tally: Tally,
    /// Where scripts find dscontrol's way in.
    socket: PathBuf,
    /// Whether they may run as another user than the daemon's.
    as_others: bool,
}

#[derive(Debug)]
struct Desk {
    settings: AlertSettings,
    waiting: VecDeque<(Call, SystemTime)>,
    /// Alerts given up since a script began.
    given_up: u64,
}

impl Scripts {
    /// Starts the thread, with the rights that the calling one has. Nothing is run before there are settings.
    pub fn start(socket: &Path) -> io::Result<Self> {
        let none = AlertSettings { directory: None, timeout: Duration::ZERO, user: None };
        let shared = Arc::new(Shared {
            desk: Mutex::new(Desk { settings: none, waiting: VecDeque::new(), given_up: 0 }),
            call: Condvar::new(),
            stopping: AtomicBool::new(false),
            tally: Tally::default(),
            socket: socket.to_owned(),
            as_others: is_root() || rights::effective()?.has(AS_OTHERS),
        });
        let ours = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("tsuji-scripts".to_owned()).spawn(move || ours.work())?;
        Ok(Self { shared, thread: RefCell::new(Some(thread)) })
    }

    /// These settings hold for every script that begins from now on.
    pub fn configure(&self, settings: &AlertSettings) {
        let mut desk = self.shared.desk();
        if desk.settings != *settings {
            desk.settings.clone_from(settings);
        }
    }

    /// Has the script for this run, if there is one, after those that came before.
    pub fn run(&self, alert: impl Into<Call>) {
        let call = alert.into();
        let mut desk = self.shared.desk();
        if desk.settings.directory.is_none() {
            return;
        }
        if desk.waiting.len() >= WAITING
            && let Some((oldest, _)) = desk.waiting.pop_front()
        {
            desk.given_up += 1;
            self.shared.tally.count(oldest.event, Ending::Dropped);
        }
        desk.waiting.push_back((call, SystemTime::now()));
        drop(desk);
        self.shared.call.notify_one();
    }

    /// Whether scripts may run as another user than the daemon's.
    pub fn run_as_others(&self) -> bool {
        self.shared.as_others
    }

    /// How scripts ended, by event: what was done, failed and so on.
    pub fn counts(&self) -> Vec<(&'static str, &'static str, u64)> {
        self.shared.tally.counts()
    }

    /// Begins no further script and ends the one that runs.
    pub async fn stop(&self) {
        // Under the lock, so that the thread is either before its look at this or waits for the call.
        let desk = self.shared.desk();
        self.shared.stopping.store(true, Ordering::Relaxed);
        drop(desk);
        self.shared.call.notify_one();
        let Some(thread) = self.thread.borrow_mut().take() else { return };
        let joined = tokio::task::spawn_blocking(move || thread.join().is_ok());
        match tokio::time::timeout(LAST_SCRIPT, joined).await {
            Ok(Ok(true)) => {}
            Ok(_) => tracing::error!("the thread that runs scripts ended by a panic"),
            Err(_) => tracing::error!("a script does not end; it is left to itself"),
        }
    }
}

impl Shared {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    fn work(&self) {
        let without_others = || rights::keep(AS_OTHERS).map(drop);
        let outcome = if is_root() { rights::drop_ambient_capabilities() } else { without_others() };
        if let Err(error) = outcome {
            tracing::warn!("scripts inherit the daemon's capabilities: {error}");
        }
        while let Some((alert, at, settings)) = self.next() {
            if let Some(ending) = self.tell(&alert, at, &settings) {
                self.tally.count(alert.event, ending);
            }
        }
    }

    /// The next one in order; `None`: the daemon ends.
    fn next(&self) -> Option<(Call, SystemTime, AlertSettings)> {
        let mut desk = self.desk();
        while !self.is_stopping() {
            if let Some((alert, at)) = desk.waiting.pop_front() {
                // Thousands may be given up while one script hangs; the servers' own lines are in the log already.
                match std::mem::take(&mut desk.given_up) {
                    0 => {}
                    count => tracing::warn!("{count} alerts have run no script: {WAITING} later ones waited"),
                }
                return Some((alert, at, desk.settings.clone()));
            }
            desk = self.call.wait(desk).unwrap_or_else(PoisonError::into_inner);
        }
        None
    }

    /// Runs the script and says how it ended; `None`: there is none.
    fn tell(&self, alert: &Call, at: SystemTime, settings: &AlertSettings) -> Option<Ending> {
        match self.try_to_tell(alert, at, settings) {
            Ok(ended) => ended.map(|(end, output)| report(alert, settings, &end, &output)),
            Err(fault @ NotRun::Start { .. }) => {
                tracing::warn!("{}: {}", line(alert), chain(&fault));
                Some(Ending::Failed)
            }
            Err(fault) => {
                tracing::warn!("{}: {}", line(alert), refused(&fault));
                Some(Ending::Refused)
            }
        }
    }

    fn try_to_tell(
        &self,
        alert: &Call,
        at: SystemTime,
        settings: &AlertSettings,
    ) -> Result<Option<(End, Output)>, NotRun> {
        let Some(directory) = &settings.directory else { return Ok(None) };
        let Some(program) = trust::find(&directory.join(alert.event.script()), Own::of_this_process())? else {
            return Ok(None);
        };
        let order = Order {
            program: &program,
            arguments: &alert.arguments,
            environment: &alert.environment(at, &self.socket),
            account: account(settings.user.as_deref(), self.as_others)?,
            timeout: settings.timeout,
        };
        tracing::debug!("{}: begins", line(alert));
        let ended = child::run(&order, || self.is_stopping());
        ended.map(Some).map_err(|source| NotRun::Start { path: program.clone(), source })
    }
}

/// What would become of each script if it were due, for operators to read. Looks at files, so it is not for the control
/// thread.
pub fn survey(settings: &AlertSettings, as_others: bool) -> Vec<AlertScript> {
    let Some(directory) = &settings.directory else { return Vec::new() };
    let account = || account(settings.user.as_deref(), as_others);
    let found = |event: AlertEvent| {
        let file = trust::find(&directory.join(event.script()), Own::of_this_process()).map_err(NotRun::from);
        match file {
            Ok(None) => "is not there".to_owned(),
            Ok(Some(_)) => account().map_or_else(|fault| refused(&fault), |_| "runs".to_owned()),
            Err(fault) => refused(&fault),
        }
    };
    AlertEvent::ALL.map(|event| AlertScript { script: event.script().to_owned(), state: found(event) }).to_vec()
}

fn refused(fault: &NotRun) -> String {
    format!("refused: {}", chain(fault))
}

/// Why a script that is there was not run.
#[derive(Debug, thiserror::Error)]
enum NotRun {
    #[error(transparent)]
    Distrust(#[from] Distrust),
    #[error("there is no user `{0}` to run it as; `alerts set user` names another")]
    NoSuchUser(String),
    #[error("a daemon that is no longer root runs nothing as root; `alerts set user` names another")]
    NoLongerRoot,
    #[error("cannot start {}", .path.display())]
    Start { path: PathBuf, source: io::Error },
}

/// What a daemon that is not root needs to run scripts as somebody else, and to end them.
pub const AS_OTHERS: Capabilities = Capabilities::SETUID.and(Capabilities::SETGID).and(Capabilities::KILL);

/// Who has the fewest rights that every system has a name for.
const NOBODY: &str = "nobody";

fn is_root() -> bool {
    nix::unistd::Uid::effective().is_root()
}

/// Root's scripts run as somebody with fewer rights; who is not root can be nobody else, unless it kept the right to.
fn account(user: Option<&str>, as_others: bool) -> Result<Option<Account>, NotRun> {
    let name = match user {
        _ if !as_others => return Ok(None),
        Some(user) => user,
        None if is_root() => NOBODY,
        None => return Ok(None),
    };
    let found = nix::unistd::User::from_name(name).ok().flatten();
    let found = found.ok_or_else(|| NotRun::NoSuchUser(name.to_owned()))?;
    // The daemon's own user may write its scripts: what it may not do itself it must not be able to have done.
    if found.uid.is_root() && !is_root() {
        return Err(NotRun::NoLongerRoot);
    }
    Ok(Some(Account { uid: found.uid.as_raw(), gid: found.gid.as_raw() }))
}

/// The command line, for the log.
fn line(alert: &Call) -> String {
    [&[alert.event.script().to_owned()], &*alert.arguments].concat().join(" ")
}

/// Tells how it ended.
fn report(alert: &Call, settings: &AlertSettings, end: &End, output: &Output) -> Ending {
    let (line, said) = (line(alert), said(output));
    match end {
        End::Itself(status) if status.success() => {
            tracing::info!("{line}: done{said}");
            Ending::Done
        }
        End::Itself(status) => {
            tracing::warn!("{line}: {status}{said}");
            Ending::Failed
        }
        End::TimedOut => {
            tracing::warn!("{line}: ended by force after {} s{said}", settings.timeout.as_secs_f64());
            Ending::Timeout
        }
        End::Stopped => {
            tracing::warn!("{line}: ended by force, because the daemon ends{said}");
            Ending::Failed
        }
    }
}

/// What a script said, on one line, to follow how it ended.
fn said(output: &Output) -> String {
    let text = printable(String::from_utf8_lossy(&output.kept).trim_end());
    match (text.is_empty(), output.more) {
        (true, _) => String::new(),
        (false, 0) => format!("; it said: {text}"),
        (false, more) => format!("; it said: {text} (and {more} bytes more)"),
    }
}

/// Control characters spelled out: they come from servers and scripts, and terminals obey them.
fn printable(text: &str) -> String {
    let spelled = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(spelled).collect()
}
