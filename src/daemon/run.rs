//! `tsuji run`: the life of the daemon, from the first look at its configuration to the last connection.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::{LocalSet, spawn_local};

use crate::control::client::{default_socket, own_uid};
use crate::control::server::{self, ServerCounters, ServerLimits};
use crate::control::socket::{ControlSocket, SocketOptions};
use crate::dispatcher::Dispatcher;
use crate::model::ControlSettings;

use super::accesslog::AccessLogs;
use super::boot::{Boot, BootError};
use super::desk::Desk;
use super::fetch::{Fetched, Fetcher};
use super::heart::Heart;
use super::keeper::Keeper;
use super::page;
use super::pair::Partnership;
use super::privileges::{Identity, forbid_core_dumps, without_rights};
use super::scripts::Scripts;
use super::workers::Workers;
use super::{certificate_watch, chain, clock, cookie_key, log, memory_watch, plugin_watch, readings};

/// What a daemon is started with.
#[derive(Clone, Debug)]
pub struct ConfigurationFiles {
    /// Each is laid on top of the ones before it.
    pub files: Vec<PathBuf>,
    /// The one of them that is loaded again when it changes: a plugin-cfg.xml.
    pub watched: Option<PathBuf>,
}

/// Runs until SIGTERM or SIGINT. `ready` is called once everything listens.
pub fn run(configuration: &ConfigurationFiles, ready: impl FnOnce()) -> ExitCode {
    if let Err(error) = forbid_core_dumps() {
        eprintln!("tsuji: cannot forbid core dumps: {error}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().on_thread_start(without_rights).build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let code = match LocalSet::new().block_on(&runtime, live(configuration, ready)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(error.as_ref()),
    };
    // A disk or a name server that does not answer must not keep us from going.
    runtime.shutdown_background();
    code
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("tsuji: {}", chain(error));
    ExitCode::FAILURE
}

async fn live(configuration: &ConfigurationFiles, ready: impl FnOnce()) -> Result<(), Box<dyn std::error::Error>> {
    // Before it is read: what is written after that shows at the first look.
    let watched = configuration.watched.as_deref().map(plugin_watch::Watch::new);
    let boot = Boot::read(&configuration.files)?;
    let identity = Identity::asked(&boot)?;
    // Before there is another thread: each has rights of its own.
    identity.narrow()?;
    let _log = log::start(boot.settings().log);
    boot.report();
    // From here on a signal is a request and no longer the end.
    let (mut end, mut hang_up) = (End::new()?, signal(SignalKind::hangup())?);
    let mut turn_over = signal(SignalKind::user_defined1())?;
    raise_file_limit();
    end_with_the_heart();
    let options = socket_options(&boot.settings().control)?;
    identity.prepare_directories(&boot.paths().state, &options.path)?;
    // Before anything else that others could notice: a second daemon with the same socket must not disturb the first.
    let socket = identity.at_files(|| ControlSocket::bind(&options))??;
    let dispatcher = identity.at_files(|| awaken(&boot))?;
    let plan = boot.plan(&dispatcher)?;
    let fetcher = Fetcher::new()?;
    // As root, where it is root: keys are often for root alone.
    let roots = boot.needs_of_files(&dispatcher, &plan);
    let Fetched { resources, told: mut stand_ins, mut certificates } = fetcher.fetch_or_stand_in(&roots).await?;
    let roots_keys = fetcher.pair_keys(&roots).await?;
    identity.hand_pins_over(&boot.settings().executor.packets)?;
    // Now, and not after the sockets: by the right to low ports that is kept for a reload it binds at the start too, and no
    // thread that meets a client was ever root's.
    identity.take_on()?;
    identity.look_at(&configuration.files);
    let others = plan.needs.clone().without(&roots);
    let rest = fetcher.fetch_or_stand_in(&others).await?;
    let keys = fetcher.pair_keys(&others).await?.or(roots_keys);
    let resources = resources.and(rest.resources);
    stand_ins.extend(rest.told);
    certificates.extend(rest.certificates);
    let keeper = Keeper::start()?;
    let heart = start(&boot, dispatcher, socket.path(), fetcher, &keeper)?;
    identity.leave_scripts_their_rights()?;
    heart.prepare_addresses(&plan).await?;
    heart.bind_for(&plan)?;
    let page = match plan.config().metrics.listen {
        Some(address) => Some(page::bind(address).await.map_err(|source| BootError::Metrics { address, source })?),
        None => None,
    };
    heart.adopt(plan, &resources, keys);
    heart.start_packets()?;
    let desk = Rc::new(Desk::new(
        Rc::clone(&heart),
        boot.paths().clone(),
        socket.path().to_owned(),
        keeper,
        configuration.files.clone(),
    ));
    let trouble: Vec<&str> = boot.broken().into_iter().chain(stand_ins.iter().map(String::as_str)).collect();
    stand_ins.iter().chain(&certificates).for_each(|fault| tracing::error!("{fault}"));
    desk.note_certificates(certificates);
    desk.note_load((!trouble.is_empty()).then(|| trouble.join("\n")).as_deref());
    desk.remember().await;
    serve(&desk, socket, page);
    spawn_local(certificate_watch::run(Rc::clone(&desk)));
    spawn_local(certificate_watch::turn_keys(Arc::clone(heart.fetcher().tickets())));
    if let Some(watched) = watched {
        spawn_local(watched.run(Rc::clone(&desk)));
    }
    ready();
    tracing::info!(target: "tsuji::state", "tsuji {} is ready: {}", env!("CARGO_PKG_VERSION"), desk.summary());
    tell(&[sd_notify::NotifyState::Ready]);
    live_on(&desk, &mut end, &mut hang_up, &mut turn_over).await;
    tell(&[sd_notify::NotifyState::Stopping]);
    desk.stopping();
    // Before anything is refused here: clients find the partner.
    heart.partnership().leave().await;
    drain(&heart, &mut end).await;
    heart.give_up_addresses().await;
    heart.scripts().stop().await;
    heart.logs().stop().await;
    Ok(())
}

/// Lets what runs come to its end, as long as the operator has the patience.
async fn drain(heart: &Heart, end: &mut End) {
    let patience = heart.read(|dispatcher| dispatcher.config().executor.draintime);
    tracing::info!(target: "tsuji::state", "stopping: what runs has {} s to end", patience.as_secs());
    tokio::select! {
        () = heart.workers().drain(Instant::now() + patience) => {}
        () = end.asked() => tracing::warn!("asked to stop again: what runs is cut"),
    }
}

fn socket_options(settings: &ControlSettings) -> Result<SocketOptions, BootError> {
    let standard = || services_socket().unwrap_or_else(|| default_socket(|name| std::env::var_os(name), own_uid()));
    Ok(SocketOptions {
        path: settings.socket.clone().unwrap_or_else(standard),
        mode: settings.mode,
        uid: settings.owner.as_deref().map(user).transpose()?,
        gid: settings.group.as_deref().map(group).transpose()?,
        operators: settings.operators.iter().map(|name| user(name)).collect::<Result<_, _>>()?,
    })
}

/// In the directory that the service manager made for it, whoever it runs as there. Of several it is the first.
fn services_socket() -> Option<PathBuf> {
    let directories = std::env::var_os("RUNTIME_DIRECTORY").filter(|_| std::env::var_os("TSUJI_SOCKET").is_none())?;
    let first = std::env::split_paths(&directories).next()?;
    Some(first.join("control.sock"))
}

fn user(name: &str) -> Result<u32, BootError> {
    let found = nix::unistd::User::from_name(name).ok().flatten();
    found.map(|user| user.uid.as_raw()).ok_or_else(|| BootError::NoSuchUser(name.to_owned()))
}

fn group(name: &str) -> Result<u32, BootError> {
    let found = nix::unistd::Group::from_name(name).ok().flatten();
    found.map(|group| group.gid.as_raw()).ok_or_else(|| BootError::NoSuchGroup(name.to_owned()))
}

fn awaken(boot: &Boot) -> Dispatcher {
    let key = cookie_key::load(&boot.paths().state);
    Dispatcher::new(lanes(boot), u64::from(std::process::id()), key, Instant::now())
}

/// One for each worker.
fn lanes(boot: &Boot) -> usize {
    match boot.settings().executor.workers {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        given => usize::from(given),
    }
}

/// Starts the threads.
fn start(
    boot: &Boot,
    dispatcher: Dispatcher,
    socket: &Path,
    fetcher: Fetcher,
    keeper: &Keeper,
) -> Result<Rc<Heart>, BootError> {
    let started = Workers::start(lanes(boot)).map_err(|source| BootError::Workers { source })?;
    let logs = AccessLogs::start(started.shared().records()).map_err(|source| BootError::Workers { source })?;
    let scripts = Scripts::start(socket).map_err(|source| BootError::Workers { source })?;
    let partnership = Partnership::new(keeper.clone(), &boot.paths().state);
    let partnership = partnership.map_err(|source| BootError::Workers { source })?;
    Ok(Heart::new(dispatcher, started, logs, scripts, fetcher, partnership))
}

/// Everything that runs beside the wait for a signal.
fn serve(desk: &Rc<Desk>, socket: ControlSocket, page: Option<tokio::net::TcpListener>) {
    let heart = desk.heart();
    heart.workers().shared().set_hour(clock::hour());
    spawn_local(Rc::clone(heart).beat());
    spawn_local(memory_watch::run(Rc::clone(heart)));
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

/// Until someone asks us to go. SIGHUP loads the configuration again, SIGUSR1 opens access logs anew that were moved away.
async fn live_on(desk: &Rc<Desk>, end: &mut End, hang_up: &mut Signal, turn_over: &mut Signal) {
    loop {
        tokio::select! {
            () = end.asked() => return,
            _ = turn_over.recv() => desk.heart().logs().reopen(),
            _ = hang_up.recv() => {
                reloading();
                desk.reload().await;
                tell(&[sd_notify::NotifyState::Ready]);
            }
        }
    }
}

/// SIGTERM and SIGINT.
struct End {
    terminate: Signal,
    interrupt: Signal,
}

impl End {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
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

/// A panic on the control thread leaves a heart that nobody can trust: the process ends, and the service manager starts
/// it again from what is on the disk. Panics of other threads end what they were at, no more.
fn end_with_the_heart() {
    let heart = std::thread::current().id();
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        if std::thread::current().id() == heart {
            std::process::exit(PANICKED);
        }
    }));
}

/// What Rust's own programs end with after a panic.
const PANICKED: i32 = 101;

/// A proxy needs two descriptors per request in progress: what the system allows is taken.
fn raise_file_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raised =
        getrlimit(Resource::RLIMIT_NOFILE).and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!("cannot raise the limit of open files: {error}");
    }
}
