//! `dscontrol`'s end of the control socket: one connection per command, waiting as long as a person would.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};

use super::protocol::{FrameFault, HEADER, MAX_REPLY, Request, decode_reply, encode_request, length};
use super::reply::Reply;

/// Where a daemon listens.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
    patience: Duration,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("tsuji is not running or listens elsewhere: cannot connect to {}: {source}", .socket.display())]
    NotThere { socket: PathBuf, source: io::Error },
    #[error("permission denied: {} {who}", .socket.display())]
    Denied { socket: PathBuf, who: String },
    #[error("the command cannot be sent: {0}")]
    Command(FrameFault),
    #[error("tsuji did not answer within {} seconds", .0.as_secs())]
    Timeout(Duration),
    #[error("the answer cannot be read: {0}")]
    Answer(FrameFault),
    #[error("the connection to tsuji broke: {0}")]
    Broken(io::Error),
}

impl ClientError {
    /// The command itself was at fault, not the daemon or the way there.
    pub fn is_misuse(&self) -> bool {
        matches!(self, Self::Command(_))
    }
}

impl Client {
    pub fn new(socket: PathBuf) -> Self {
        Self { socket, patience: PATIENCE }
    }

    /// The same client that waits for `patience` at each step.
    #[must_use]
    pub fn waiting(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Sends one command and waits for its answer.
    pub fn ask(&self, request: &Request) -> Result<Reply, ClientError> {
        let frame = encode_request(request).map_err(ClientError::Command)?;
        let mut stream = self.connect()?;
        // A daemon that turns us away answers without reading: what it said counts, not that it closed.
        let sent = stream.write_all(&frame);
        match (self.receive(&mut stream), sent) {
            (Ok(reply), _) => Ok(reply),
            (Err(_), Err(fault)) => Err(self.broken(fault)),
            (Err(fault), Ok(())) => Err(fault),
        }
    }

    /// The bound counts for connecting too: a daemon that stands still does not accept.
    fn connect(&self) -> Result<UnixStream, ClientError> {
        let connect = || {
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
            socket.set_write_timeout(Some(self.patience))?;
            socket.set_read_timeout(Some(self.patience))?;
            socket.connect(&SockAddr::unix(&self.socket)?)?;
            Ok(UnixStream::from(socket))
        };
        connect().map_err(|source: io::Error| match source.kind() {
            io::ErrorKind::PermissionDenied => {
                ClientError::Denied { socket: self.socket.clone(), who: who_may(&self.socket) }
            }
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => ClientError::Timeout(self.patience),
            _ => ClientError::NotThere { socket: self.socket.clone(), source },
        })
    }

    fn receive(&self, stream: &mut UnixStream) -> Result<Reply, ClientError> {
        let mut header = [0; HEADER];
        stream.read_exact(&mut header).map_err(|fault| self.broken(fault))?;
        let length = length(header, MAX_REPLY).map_err(ClientError::Answer)?;
        let mut bytes = Vec::new();
        let got = stream.take(length as u64).read_to_end(&mut bytes).map_err(|fault| self.broken(fault))?;
        if got < length {
            return Err(ClientError::Answer(FrameFault::ClosedEarly));
        }
        decode_reply(&bytes).map_err(ClientError::Answer)
    }

    fn broken(&self, fault: io::Error) -> ClientError {
        match fault.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => ClientError::Timeout(self.patience),
            io::ErrorKind::UnexpectedEof => ClientError::Answer(FrameFault::ClosedEarly),
            _ => ClientError::Broken(fault),
        }
    }
}

/// The daemon's socket when nobody says otherwise: `TSUJI_SOCKET`, root's, or the user's own.
pub fn default_socket(variable: impl Fn(&str) -> Option<OsString>, uid: u32) -> PathBuf {
    if let Some(path) = variable("TSUJI_SOCKET").filter(|path| !path.is_empty()) {
        return path.into();
    }
    if uid == 0 {
        return ROOTS_SOCKET.into();
    }
    let runtime = variable("XDG_RUNTIME_DIR").filter(|path| !path.is_empty());
    let runtime = runtime.map_or_else(|| PathBuf::from(format!("/run/user/{uid}")), PathBuf::from);
    runtime.join("tsuji/control.sock")
}

/// The socket that `dscontrol` asks: the default one, but root's for a user who runs no daemon and may
/// be a member of its group.
pub fn socket_to_ask(variable: impl Fn(&str) -> Option<OsString>, uid: u32, exists: impl Fn(&Path) -> bool) -> PathBuf {
    let named = variable("TSUJI_SOCKET").is_some_and(|path| !path.is_empty());
    let own = default_socket(variable, uid);
    let roots = Path::new(ROOTS_SOCKET);
    if !named && !exists(&own) && exists(roots) { roots.to_owned() } else { own }
}

/// The user that this process acts as.
pub fn own_uid() -> u32 {
    nix::unistd::Uid::effective().as_raw()
}

/// A clause about the socket's owner, as far as it can be seen.
fn who_may(socket: &Path) -> String {
    match std::fs::metadata(socket) {
        Err(_) => "is in a directory that you may not enter".to_owned(),
        Ok(metadata) => format!(
            "is for user {} and group {} (mode {:04o}); become one of them",
            name_of("/etc/passwd", metadata.uid()),
            name_of("/etc/group", metadata.gid()),
            metadata.mode() & 0o7777
        ),
    }
}

/// The name that a local database (`name:x:number:…`) has for a number; else the number.
fn name_of(database: &str, number: u32) -> String {
    let wanted = number.to_string();
    let text = std::fs::read_to_string(database).unwrap_or_default();
    let mut names = text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        fields.nth(1).filter(|field| *field == wanted).map(|_| name.to_owned())
    });
    names.next().unwrap_or(wanted)
}

/// What a person bears at a prompt, and more than a reload of the largest configuration takes.
const PATIENCE: Duration = Duration::from_secs(30);
const ROOTS_SOCKET: &str = "/run/tsuji/control.sock";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_socket() {
        let with = |pairs: &'static [(&str, &str)]| {
            move |wanted: &str| pairs.iter().find(|(name, _)| *name == wanted).map(|(_, value)| OsString::from(value))
        };
        assert_eq!(default_socket(with(&[]), 0), Path::new("/run/tsuji/control.sock"));
        assert_eq!(default_socket(with(&[]), 1000), Path::new("/run/user/1000/tsuji/control.sock"));
        let user = with(&[("XDG_RUNTIME_DIR", "/tmp/me")]);
        assert_eq!(default_socket(user, 1000), Path::new("/tmp/me/tsuji/control.sock"));
        let named = with(&[("TSUJI_SOCKET", "/x"), ("XDG_RUNTIME_DIR", "/tmp/me")]);
        assert_eq!(default_socket(named, 0), Path::new("/x"));
        assert_eq!(socket_to_ask(named, 1000, |path| path == Path::new(ROOTS_SOCKET)), Path::new("/x"));
        assert_eq!(socket_to_ask(user, 1000, |path| path == Path::new(ROOTS_SOCKET)), Path::new(ROOTS_SOCKET));
        assert_eq!(socket_to_ask(user, 1000, |_| true), Path::new("/tmp/me/tsuji/control.sock"));
        assert_eq!(socket_to_ask(user, 1000, |_| false), Path::new("/tmp/me/tsuji/control.sock"));
    }
}
