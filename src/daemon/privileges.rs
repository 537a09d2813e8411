//! Whom the daemon runs as.
//!
//! Where root starts it and `[executor] user` names somebody, root reads what root alone can read: the configuration, and the
//! files that it names. Then the process becomes that user for good, before it starts a thread that carries traffic, and
//! keeps the few capabilities that its configuration asks for.
//!
//! What lies where that user may write decides nothing of this, because whoever takes the daemon over could write it and
//! wait for the next start: neither what operators changed nor the last good configuration say who it becomes or what it
//! keeps, and root neither writes there nor reads files for them.

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Once;

use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{self, AccessFlags, Gid, Group, Uid, User};

use crate::config::Config;
use crate::datapath::xdp::pins::{PinError, Pins};
use crate::model::{AdvisorKind, Engine, EngineSettings, ExecutorSettings};
use crate::sys::rights::{self, Capabilities};

use super::boot::Boot;
use super::scripts::AS_OTHERS;

/// Why the daemon does not become whom it should become.
#[derive(Debug, thiserror::Error)]
pub enum PrivilegeError {
    #[error(
        "`[executor] user`: there is no user `{0}`; `useradd --system {0}` makes one, and \"\" means: stay who you are"
    )]
    NoSuchUser(String),
    #[error("`[executor] group`: there is no group `{0}`; without it the user's own group is taken")]
    NoSuchGroup(String),
    #[error("`[executor] user`: cannot look up `{name}`")]
    LookUp { name: String, source: io::Error },
    #[error(
        "`[executor] user`: only root can become `{wanted}`, and this is {own}: start it as root or as `{wanted}`, or leave \
         `user` out"
    )]
    NotRoot { wanted: String, own: String },
    #[error(
        "the configuration is broken, and the one that worked last is in {directory}, where user {writer} may write: root runs \
         it as nobody else. `tsuji check` says what is to be mended"
    )]
    LastGood { directory: PathBuf, writer: u32 },
    #[error("cannot {step}")]
    Step { step: &'static str, source: io::Error },
    #[error("cannot make the directory {path} for `{user}`")]
    Directory { path: PathBuf, user: String, source: io::Error },
    #[error("`{user}` may not write to the state directory {path}: `chown -R {user} {path}` would be right", path = .path.display())]
    State { path: PathBuf, user: String },
    #[error(
        "`{user}` may not make its control socket in {path}: a directory of its own for it would be right, by `chown {user}` or \
         another `[control] socket`"
    )]
    Socket { path: PathBuf, user: String },
    #[error("cannot give the pins of mac ports to `{user}`")]
    Pins { user: String, source: PinError },
}

/// A user to run as.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Account {
    name: String,
    uid: Uid,
    gid: Gid,
}

/// Whom the daemon runs as, from its start on.
#[derive(Clone, Debug)]
pub enum Identity {
    /// Whoever started it, with all that he has.
    Unchanged,
    /// It was started as the user that it should be.
    Already(Service),
    /// It is root until [`Identity::take_on`].
    Becomes(Service),
}

/// An account, and what it keeps of root's rights.
#[derive(Clone, Debug)]
pub struct Service {
    account: Account,
    keeps: Capabilities,
}

impl Identity {
    /// What the configuration asks for. Changes nothing.
    pub fn asked(boot: &Boot) -> Result<Self, PrivilegeError> {
        let config = boot.settings();
        let wanted = config.executor.user.as_deref().map(|user| account(user, &config.executor)).transpose()?;
        let own = Uid::effective();
        if own.is_root() && boot.broken().is_some() {
            judge_last_good(&boot.paths().state, wanted.as_ref())?;
        }
        let Some(account) = wanted.filter(|wanted| !(own.is_root() && wanted.uid.is_root())) else {
            return Ok(Self::Unchanged);
        };
        let keeps = needed(config, &account.name);
        if own.is_root() {
            return Ok(Self::Becomes(Service { account, keeps }));
        }
        let is_already = own == account.uid && (config.executor.group.is_none() || Gid::effective() == account.gid);
        if !is_already {
            return Err(PrivilegeError::NotRoot { wanted: account.name, own: own_name() });
        }
        Ok(Self::Already(Service { account, keeps }))
    }

    /// Gives up what root does not need to read and to prepare, for this thread and those that it will start: there must be
    /// no other one yet.
    pub fn narrow(&self) -> Result<(), PrivilegeError> {
        let Some(service) = self.service() else { return Ok(()) };
        prctl::set_no_new_privs().map_err(failed("forbid programs to gain rights"))?;
        if !self.changes() {
            return Ok(());
        }
        let Account { name, gid, .. } = &service.account;
        let name = CString::new(name.as_str()).unwrap_or_default();
        // The groups that it belongs to otherwise may be those that can read keys.
        unistd::initgroups(&name, *gid).map_err(failed("take on the user's groups"))?;
        unistd::setresgid(*gid, *gid, *gid).map_err(failed("take on the user's group"))?;
        // Where CAP_SETPCAP is missing (in a container, say) the change of the user is told to be impossible rather than
        // half done; who is started as that user needs none of this.
        rights::empty_bounding_set().map_err(|source| PrivilegeError::Step {
            step: "empty the bounding set of capabilities, for which CAP_SETPCAP is needed",
            source,
        })
    }

    /// Does this with the user's own rights at files, and none of root's. Root neither follows a link there nor overwrites what
    /// it leads to.
    pub fn at_files<T>(&self, work: impl FnOnce() -> T) -> Result<T, PrivilegeError> {
        let Self::Becomes(service) = self else { return Ok(work()) };
        let borrowed = Borrowed::new(service.account.uid)?;
        let outcome = work();
        drop(borrowed);
        Ok(outcome)
    }

    /// The directories where the user will write: those that are not there are made, as the user where that is allowed, and else
    /// as root, to give them to the user. What is there is left as it is, and looked at.
    pub fn prepare_directories(&self, state: &Path, socket: &Path) -> Result<(), PrivilegeError> {
        let Self::Becomes(Service { account, .. }) = self else { return Ok(()) };
        let (path, user) = (|path: &Path| path.to_owned(), || account.name.clone());
        self.make_directory(state, account)?;
        if !self.may_write(state)? {
            return Err(PrivilegeError::State { path: path(state), user: user() });
        }
        let beside = directory_of(socket);
        self.make_directory(beside, account)?;
        if !self.may_write(beside)? {
            return Err(PrivilegeError::Socket { path: path(beside), user: user() });
        }
        Ok(())
    }

    fn make_directory(&self, path: &Path, account: &Account) -> Result<(), PrivilegeError> {
        if self.at_files(|| fs::create_dir_all(path))?.is_ok() || path.exists() {
            return Ok(());
        }
        let failed = |source| PrivilegeError::Directory { path: path.to_owned(), user: account.name.clone(), source };
        make_for(path, account).map_err(failed)
    }

    /// A disk that is read-only for the day must not keep clients from servers; a wrong owner is a mistake to be mended now.
    fn may_write(&self, path: &Path) -> Result<bool, PrivilegeError> {
        // By the rights that this thread has at files now; `access` and `eaccess` ask by the process's user, who is still root.
        let wanted = AccessFlags::W_OK | AccessFlags::X_OK;
        let denied = self.at_files(|| unistd::faccessat(AT_FDCWD, path, wanted, AtFlags::AT_EACCESS))?;
        Ok(denied != Err(nix::errno::Errno::EACCES))
    }

    /// What an earlier life as root pinned becomes the user's.
    pub fn hand_pins_over(&self, settings: &EngineSettings) -> Result<(), PrivilegeError> {
        let Self::Becomes(Service { account, .. }) = self else { return Ok(()) };
        if settings.interfaces.is_empty() || settings.engine == Engine::PacketSocket {
            return Ok(());
        }
        match Pins::hand_over(&settings.bpffs, account.uid.as_raw(), account.gid.as_raw()) {
            // Whoever loads the program tells it, or does without.
            Ok(()) | Err(PinError::NoBpffs(_)) => Ok(()),
            Err(source) => Err(PrivilegeError::Pins { user: account.name.clone(), source }),
        }
    }

    /// Becomes the user for good. Threads that are there already lose all capabilities with their user; this one, and so
    /// those that it starts, keeps the few that are needed.
    pub fn take_on(&self) -> Result<(), PrivilegeError> {
        let Some(Service { account, keeps }) = self.service() else { return Ok(()) };
        if self.changes() {
            prctl::set_keepcaps(true).map_err(failed("keep capabilities"))?;
            // The C library does this for all threads; the kernel alone would do it for one.
            unistd::setresuid(account.uid, account.uid, account.uid).map_err(failed("become the user"))?;
            prctl::set_keepcaps(false).map_err(failed("keep capabilities"))?;
        }
        let kept =
            rights::keep(*keeps).map_err(|source| PrivilegeError::Step { step: "give up capabilities", source })?;
        // The kernel sets it back where somebody changes.
        forbid_core_dumps().map_err(|source| PrivilegeError::Step { step: "forbid core dumps", source })?;
        let Account { name, uid, gid } = account;
        tracing::info!(target: "tsuji::state", "runs as user {name} ({uid}), group {gid}, with {kept}");
        if keeps.has(AS_OTHERS) {
            tracing::warn!(
                "alert scripts run as another user than `{name}`, so the right to become anybody is kept: without `[alerts] user` \
                 it is not"
            );
        }
        Ok(())
    }

    /// Gives up what was only needed to start the thread that runs scripts.
    pub fn leave_scripts_their_rights(&self) -> Result<(), PrivilegeError> {
        let Some(service) = self.service() else { return Ok(()) };
        let rest = rights::keep(service.keeps.without(AS_OTHERS));
        rest.map(drop).map_err(|source| PrivilegeError::Step { step: "give up capabilities", source })
    }

    /// Tells what is wrong with the configuration's own files: the user should be able to read them at a reload, and not to
    /// write them.
    pub fn look_at(&self, configuration: &[PathBuf]) {
        let Self::Becomes(Service { account, .. }) = self else { return };
        let name = &account.name;
        let may = |path: &Path, what| unistd::access(path, what).is_ok();
        for file in configuration {
            let path = file.display();
            if !may(file, AccessFlags::R_OK) {
                tracing::warn!("`{name}` may not read {path}: it cannot be loaded again before a restart");
            }
            if may(file, AccessFlags::W_OK) || may(directory_of(file), AccessFlags::W_OK) {
                tracing::warn!(
                    "`{name}` may write to {path} or its directory, and so decide whom root runs the daemon as next time: \
                     root alone should"
                );
            }
        }
    }

    fn service(&self) -> Option<&Service> {
        match self {
            Self::Unchanged => None,
            Self::Already(service) | Self::Becomes(service) => Some(service),
        }
    }

    fn changes(&self) -> bool {
        matches!(self, Self::Becomes(_))
    }
}

/// Keys, sessions and what clients sent are in this process's memory, and in no file afterwards: no core dumps, and nobody but
/// root looks into it.
pub fn forbid_core_dumps() -> io::Result<()> {
    // Where the service manager has said so already, it may not let us say it again.
    if getrlimit(Resource::RLIMIT_CORE)? != (0, 0) {
        setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    }
    prctl::set_dumpable(false)?;
    Ok(())
}

/// For threads that read and write files, ask name servers or carry traffic, none of which takes a right of root's: they
/// begin with this.
pub fn without_rights() {
    // Threads come and go; a filter of system calls that is in the way is told once.
    static TOLD: Once = Once::new();
    if let Err(error) = rights::keep_none_but_roots() {
        TOLD.call_once(|| tracing::warn!("threads that need no capability keep those they have: {error}"));
    }
}

/// The user's rights at files, on this thread, for as long as it lives. The kernel takes root's at files away meanwhile.
struct Borrowed;

impl Borrowed {
    fn new(uid: Uid) -> Result<Self, PrivilegeError> {
        unistd::setfsuid(uid);
        let borrowed = Self;
        // The call tells who it was before, and never that it failed.
        if unistd::setfsuid(uid) != uid {
            let source = io::ErrorKind::PermissionDenied.into();
            return Err(PrivilegeError::Step { step: "take on the user's rights at files", source });
        }
        Ok(borrowed)
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        unistd::setfsuid(Uid::from_raw(0));
    }
}

/// What the daemon needs of root's rights while it runs, by the file that root wrote.
fn needed(config: &Config, user: &str) -> Capabilities {
    // A reload may add a port below 1024.
    let mut needed = Capabilities::NET_BIND_SERVICE;
    if config.advisors.iter().any(|advisor| advisor.key.kind == AdvisorKind::Ping) {
        needed = needed.and(Capabilities::NET_RAW);
    }
    if !config.executor.packets.interfaces.is_empty() {
        // ARP is asked and answered by packet sockets; programs and neighbour entries are the network administrator's.
        needed = needed.and(Capabilities::NET_RAW).and(Capabilities::NET_ADMIN);
        if config.executor.packets.engine != Engine::PacketSocket {
            needed = needed.and(Capabilities::BPF).and(Capabilities::PERFMON);
        }
    }
    if let Some(pair) = &config.pair {
        if !pair.reach.targets.is_empty() {
            needed = needed.and(Capabilities::NET_RAW);
        }
        // Heartbeats that wait behind other threads look to the partner like a death.
        needed = needed.and(Capabilities::SYS_NICE);
    }
    if config.alerts.directory.is_some() && config.alerts.user.as_deref().is_some_and(|other| other != user) {
        needed = needed.and(AS_OTHERS);
    }
    needed
}

fn account(user: &str, settings: &ExecutorSettings) -> Result<Account, PrivilegeError> {
    let look_up = |name: &str| {
        let name = name.to_owned();
        move |errno: nix::errno::Errno| PrivilegeError::LookUp { name, source: errno.into() }
    };
    let found = User::from_name(user).map_err(look_up(user))?;
    let found = found.ok_or_else(|| PrivilegeError::NoSuchUser(user.to_owned()))?;
    let gid = match &settings.group {
        None => found.gid,
        Some(group) => {
            let found = Group::from_name(group).map_err(look_up(group))?;
            found.ok_or_else(|| PrivilegeError::NoSuchGroup(group.clone()))?.gid
        }
    };
    Ok(Account { name: found.name, uid: found.uid, gid })
}

/// Who may write the last good configuration may have root run it as himself, and as nobody else.
fn judge_last_good(directory: &Path, wanted: Option<&Account>) -> Result<(), PrivilegeError> {
    let Ok(about) = fs::metadata(directory) else { return Ok(()) };
    let others = if about.gid() == 0 { 0o002 } else { 0o022 };
    let is_roots_alone = about.uid() == 0 && about.mode() & others == 0;
    if is_roots_alone || wanted.is_some_and(|account| account.uid.as_raw() == about.uid()) {
        return Ok(());
    }
    Err(PrivilegeError::LastGood { directory: directory.to_owned(), writer: about.uid() })
}

fn directory_of(file: &Path) -> &Path {
    file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A directory that was not there. Only what was made in this moment is given away, by its descriptor: what somebody put in
/// its place is not.
fn make_for(path: &Path, account: &Account) -> io::Result<()> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::create_dir_all(parent)?;
    }
    fs::DirBuilder::new().mode(0o755).create(path)?;
    let flags = libc::O_DIRECTORY | libc::O_NOFOLLOW;
    let directory = File::options().read(true).custom_flags(flags).open(path)?;
    unistd::fchown(&directory, Some(account.uid), Some(account.gid))?;
    Ok(())
}

fn own_name() -> String {
    let own = Uid::effective();
    User::from_uid(own).ok().flatten().map_or_else(|| format!("user {own}"), |user| format!("`{}`", user.name))
}

fn failed(step: &'static str) -> impl FnOnce(nix::errno::Errno) -> PrivilegeError {
    move |errno| PrivilegeError::Step { step, source: errno.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Document;

    fn keeps(text: &str) -> Capabilities {
        let document = Document::parse(text, "tsuji.toml").unwrap();
        needed(&document.resolve().unwrap().config, "tsuji")
    }

    #[test]
    fn only_what_the_configuration_asks_for_is_kept() {
        let bind = Capabilities::NET_BIND_SERVICE;
        let ping = "[[cluster]]\nname = \"a\"\naddress = \"127.0.0.1\"\n[[cluster.port]]\nnumber = 80\nmethod = \"tcp\"\n\
                    [[advisor]]\nname = \"ping\"\nport = 80\n";
        let packets = bind.and(Capabilities::NET_RAW).and(Capabilities::NET_ADMIN);
        let cases = [
            ("", bind),
            (ping, bind.and(Capabilities::NET_RAW)),
            ("[executor]\ninterfaces = [\"eth0\"]", packets.and(Capabilities::BPF).and(Capabilities::PERFMON)),
            ("[executor]\ninterfaces = [\"eth0\"]\nengine = \"packet_socket\"", packets),
            ("[alerts]\nuser = \"nobody\"", bind.and(AS_OTHERS)),
            ("[alerts]\nuser = \"tsuji\"", bind),
            ("[alerts]\nuser = \"nobody\"\ndirectory = \"\"", bind),
        ];
        for (text, expected) in cases {
            assert_eq!(keeps(text), expected, "{text}");
        }
    }

    #[test]
    fn unknown_names_are_told_with_what_to_do() {
        let settings = |group: Option<&str>| {
            let config = Document::parse("", "tsuji.toml").unwrap().resolve().unwrap().config;
            ExecutorSettings { group: group.map(str::to_owned), ..config.executor }
        };
        let said = |user: &str, group: Option<&str>| account(user, &settings(group)).unwrap_err().to_string();
        assert!(said("no-such-user", None).contains("`useradd --system no-such-user` makes one"));
        assert!(said("root", Some("no-such-group")).contains("there is no group `no-such-group`"));
        assert_eq!(account("root", &settings(None)).unwrap().uid, Uid::from_raw(0));
    }

    #[test]
    fn who_may_write_the_last_good_configuration_decides_for_himself_alone() {
        use std::os::unix::fs::{PermissionsExt, chown};
        if !Uid::effective().is_root() {
            eprintln!("skipped: only root can give directories away");
            return;
        }
        let state = tempfile::tempdir().unwrap();
        let of = |uid: u32| Account { name: "x".to_owned(), uid: Uid::from_raw(uid), gid: Gid::from_raw(uid) };
        assert!(judge_last_good(state.path(), None).is_ok(), "root's alone");
        let set_mode = |mode| fs::set_permissions(state.path(), fs::Permissions::from_mode(mode)).unwrap();
        set_mode(0o775);
        assert!(judge_last_good(state.path(), None).is_ok(), "root's group is root");
        chown(state.path(), None, Some(4_000_001)).unwrap();
        assert!(judge_last_good(state.path(), None).is_err(), "another group may write there");
        set_mode(0o755);
        assert!(judge_last_good(state.path(), None).is_ok());
        set_mode(0o777);
        assert!(judge_last_good(state.path(), None).is_err(), "everybody may write there");
        chown(state.path(), Some(4_000_001), None).unwrap();
        assert!(judge_last_good(state.path(), Some(&of(4_000_001))).is_ok());
        for wanted in [None, Some(of(4_000_002)), Some(of(0))] {
            assert!(judge_last_good(state.path(), wanted.as_ref()).is_err(), "{wanted:?}");
        }
    }
}
