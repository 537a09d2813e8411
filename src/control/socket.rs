//! The daemon's socket in the file system: one owner at a time, the right mode from its first moment.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::net::{SocketAddr, UnixListener as StdListener};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

/// What the socket should be like.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SocketOptions {
    pub path: PathBuf,
    /// Permission bits, usually 0o660.
    pub mode: u32,
    /// `None`: the daemon's own.
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    /// Users who may steer servers and look, and no more.
    pub operators: Vec<u32>,
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("another tsuji{} already listens on {}", process(*.pid), .path.display())]
    InUse { path: PathBuf, pid: Option<i32> },
    #[error("{} exists and is not a socket; it is left alone", .path.display())]
    NotASocket { path: PathBuf },
    #[error("cannot {step} {}: {source}", .path.display())]
    Io { step: &'static str, path: PathBuf, source: io::Error },
}

fn process(pid: Option<i32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

/// The listening socket. Dropping it removes the file.
#[derive(Debug)]
pub struct ControlSocket {
    pub(super) listener: UnixListener,
    pub(super) owner: Owner,
    pub(super) operators: Vec<u32>,
    path: PathBuf,
    /// Tells our file from one that somebody put in its place.
    inode: u64,
    /// Held as long as we listen.
    _lock: File,
}

/// To whom the socket belongs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Owner {
    pub uid: u32,
    pub gid: u32,
    pub mode: u32,
}

impl ControlSocket {
    /// Listens; needs a tokio runtime. A socket file that nobody listens on any more is replaced.
    pub fn bind(options: &SocketOptions) -> Result<Self, BindError> {
        let path = &options.path;
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        SocketAddr::from_pathname(path).map_err(failed("listen on", path))?;
        fs::create_dir_all(directory).map_err(failed("create the directory", directory))?;
        let lock = lock(path)?;
        make_way(path)?;
        let listener = listen(directory, options)?;
        let metadata = fs::symlink_metadata(path).map_err(failed("look at", path))?;
        let owner = Owner { uid: metadata.uid(), gid: metadata.gid(), mode: metadata.mode() & 0o7777 };
        let operators = options.operators.clone();
        Ok(Self { listener, owner, operators, path: path.clone(), inode: metadata.ino(), _lock: lock })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|metadata| metadata.ino() == self.inode) {
            // Nothing is lost when it stays: the next daemon finds nobody listening and replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Of two daemons that start in one moment, one gets the lock. The file stays, since removing it would race.
fn lock(path: &Path) -> Result<File, BindError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    let file = File::options().create(true).append(true).open(&name).map_err(failed("open", &name))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(BindError::InUse { path: path.to_owned(), pid: listener_of(path) }),
        Err(TryLockError::Error(source)) => Err(failed("lock", &name)(source)),
    }
}

/// The place must be free or hold a socket that nobody listens on.
fn make_way(path: &Path) -> Result<(), BindError> {
    match fs::symlink_metadata(path) {
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(fault) => Err(failed("look at", path)(fault)),
        Ok(metadata) if !metadata.file_type().is_socket() => Err(BindError::NotASocket { path: path.to_owned() }),
        Ok(_) => match std::os::unix::net::UnixStream::connect(path) {
            Ok(_) => Err(BindError::InUse { path: path.to_owned(), pid: listener_of(path) }),
            Err(_) => Ok(()),
        },
    }
}

/// The process that listens on `path`.
fn listener_of(path: &Path) -> Option<i32> {
    let stream = std::os::unix::net::UnixStream::connect(path).ok()?;
    stream.set_nonblocking(true).ok()?;
    UnixStream::from_std(stream).ok()?.peer_cred().ok()?.pid()
}

/// The socket is made in a directory that only we can enter and moved to its place when mode and owner are right, so
/// nobody can connect before they are; the move also replaces a stale file in one step.
fn listen(directory: &Path, options: &SocketOptions) -> Result<UnixListener, BindError> {
    let nursery = Nursery::create(directory)?;
    let born = nursery.0.join("s");
    let listener = StdListener::bind(&born).map_err(failed("listen on", &options.path))?;
    let mode = fs::Permissions::from_mode(options.mode & 0o777);
    fs::set_permissions(&born, mode).map_err(failed("set the mode of", &options.path))?;
    if options.uid.is_some() || options.gid.is_some() {
        chown(&born, options.uid, options.gid).map_err(failed("set the owner of", &options.path))?;
    }
    listener.set_nonblocking(true).map_err(failed("listen on", &options.path))?;
    fs::rename(&born, &options.path).map_err(failed("put a socket at", &options.path))?;
    UnixListener::from_std(listener).map_err(failed("listen on", &options.path))
}

/// A directory for a moment.
struct Nursery(PathBuf);

impl Nursery {
    fn create(parent: &Path) -> Result<Self, BindError> {
        let path = parent.join(format!(".{}", std::process::id()));
        // One that a process of our number left behind; only an empty one or one with our socket is taken away.
        let _ = fs::remove_file(path.join("s"));
        let _ = fs::remove_dir(&path);
        fs::DirBuilder::new().mode(0o700).create(&path).map_err(failed("create", &path))?;
        Ok(Self(path))
    }
}

impl Drop for Nursery {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.0.join("s"));
        let _ = fs::remove_dir(&self.0);
    }
}

fn failed(step: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BindError {
    let path = path.to_owned();
    move |source| BindError::Io { step, path, source }
}
