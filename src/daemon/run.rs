//! `tsuji run`: the life of the daemon, from the first look at its configuration to the last connection.

use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{LocalSet, spawn_local};

use crate::control::client::{default_socket, own_uid};
use crate::control::server::{self, ServerCounters, ServerLimits};
use crate::control::socket::{ControlSocket, SocketOptions};
use crate::dispatcher::Dispatcher;
use crate::model::ControlSettings;

use super::boot::{Boot, BootError};
use super::desk::Desk;
use super::heart::{Heart, fetch};
use super::keeper::Keeper;
use super::page;
use super::workers::Workers;
use super::{chain, clock, log, readings};

/// Runs until SIGTERM or SIGINT. `ready` is called once everything listens.
pub fn run(configuration: &[PathBuf], ready: impl FnOnce(&Desk)) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    match LocalSet::new().block_on(&runtime, live(configuration, ready)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(error.as_ref()),
    }
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("tsuji: {}", chain(error));
    ExitCode::FAILURE
}

async fn live(configuration: &[PathBuf], ready: impl FnOnce(&Desk)) -> Result<(), Box<dyn std::error::Error>> {
    let boot = Boot::read(configuration)?;
    let _log = log::start(boot.settings().log);
    boot.report();
    raise_file_limit();
    // Before anything else that others could notice: a second daemon with the same socket must not disturb the first.
    let socket = ControlSocket::bind(&socket_options(&boot.settings().control)?)?;
    let heart = awaken(&boot)?;
    let plan = heart.read(|dispatcher| boot.plan(dispatcher))?;
    let resources = fetch(&plan.needs).await?;
    heart.bind_for(&plan)?;
    let page = match plan.config().metrics.listen {
        Some(address) => Some(page::bind(address).await.map_err(|source| BootError::Metrics { address, source })?),
        None => None,
    };
    heart.adopt(plan, &resources);
    let keeper = Keeper::start()?;
    let desk = Rc::new(Desk::new(
        Rc::clone(&heart),
        boot.paths().clone(),
        socket.path().to_owned(),
        keeper,
        configuration.to_vec(),
    ));
    desk.remember().await;
    serve(&desk, socket, page);
    ready(&desk);
    tell(&[sd_notify::NotifyState::Ready]);
    live_on(&desk).await?;
    tell(&[sd_notify::NotifyState::Stopping]);
    let patience = heart.read(|dispatcher| dispatcher.config().executor.draintime);
    desk.stopping();
    heart.workers().drain(Instant::now() + patience).await;
    Ok(())
}

fn socket_options(settings: &ControlSettings) -> Result<SocketOptions, BootError> {
    let standard = || default_socket(|name| std::env::var_os(name), own_uid().unwrap_or(0));
    Ok(SocketOptions {
        path: settings.socket.clone().unwrap_or_else(standard),
        mode: settings.mode,
        uid: settings.owner.as_deref().map(user).transpose()?,
        gid: settings.group.as_deref().map(group).transpose()?,
    })
}

fn user(name: &str) -> Result<u32, BootError> {
    let found = nix::unistd::User::from_name(name).ok().flatten();
    found.map(|user| user.uid.as_raw()).ok_or_else(|| BootError::NoSuchUser(name.to_owned()))
}

fn group(name: &str) -> Result<u32, BootError> {
    let found = nix::unistd::Group::from_name(name).ok().flatten();
    found.map(|group| group.gid.as_raw()).ok_or_else(|| BootError::NoSuchGroup(name.to_owned()))
}

fn awaken(boot: &Boot) -> Result<Rc<Heart>, BootError> {
    let workers = match boot.settings().executor.workers {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        given => usize::from(given),
    };
    let started = Workers::start(workers).map_err(|source| BootError::Workers { source })?;
    let dispatcher = Dispatcher::new(workers, u64::from(std::process::id()), Instant::now());
    Ok(Heart::new(dispatcher, started))
}

/// Everything that runs beside the wait for a signal.
fn serve(desk: &Rc<Desk>, socket: ControlSocket, page: Option<tokio::net::TcpListener>) {
    let heart = desk.heart();
    heart.workers().shared().set_hour(clock::hour());
    spawn_local(Rc::clone(heart).beat());
    let timed = Rc::clone(heart);
    spawn_local(async move {
        loop {
            tokio::time::sleep(clock::until_next_look()).await;
            timed.workers().shared().set_hour(clock::hour());
            timed.read(|dispatcher| dispatcher.affinity().sweep(Instant::now()));
        }
    });
    if let Some(listener) = page {
        spawn_local(page::serve(listener, Rc::new(readings::Readings::new(Rc::clone(desk)))));
    }
    let (sender, mut commands) = server::channel();
    let counters = Arc::new(ServerCounters::default());
    spawn_local(server::serve(socket, ServerLimits::default(), sender, counters));
    let clerk = Rc::clone(desk);
    spawn_local(async move {
        while let Some(incoming) = commands.recv().await {
            let clerk = Rc::clone(&clerk);
            spawn_local(async move { clerk.answer(incoming).await });
        }
    });
}

/// Until someone asks us to go. SIGHUP loads the configuration again.
async fn live_on(desk: &Rc<Desk>) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = hang_up.recv() => {
                reloading();
                desk.reload().await;
                tell(&[sd_notify::NotifyState::Ready]);
            }
        }
    }
}

fn reloading() {
    if let Ok(now) = sd_notify::NotifyState::monotonic_usec_now() {
        tell(&[sd_notify::NotifyState::Reloading, now]);
    }
}

/// A service manager that cannot be told is no reason to stop serving.
fn tell(state: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!("cannot tell the service manager: {error}");
    }
}

/// A proxy needs two descriptors per request in progress: what the system allows is taken.
fn raise_file_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raised =
        getrlimit(Resource::RLIMIT_NOFILE).and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!("cannot raise the limit of open files: {error}");
    }
}
