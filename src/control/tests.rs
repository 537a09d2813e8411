//! Client and server over a real socket, with a dispatcher that only echoes.

use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::client::{Client, ClientError};
use super::protocol::{HEADER, MAX_REPLY, MAX_REQUEST, Request, decode_reply, encode_request, length};
use super::server::{Incoming, QUEUE, ServerCounters, ServerLimits, channel, serve};
use super::socket::{BindError, ControlSocket, SocketOptions};
use super::{Outcome, Reply};

/// A server in a thread of its own, until dropped.
struct Daemon {
    directory: TempDir,
    counters: Arc<ServerCounters>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// What the pretended dispatcher does with commands.
#[derive(Clone, Copy)]
enum Heart {
    /// Repeats the words.
    Echoes,
    /// Lets them wait for ever.
    Sleeps,
    /// Drops them.
    Drops,
}

const LIMITS: ServerLimits = ServerLimits { connections: 64, patience: Duration::from_secs(30) };

impl Daemon {
    fn start(heart: Heart, limits: ServerLimits) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let counters = Arc::new(ServerCounters::default());
        let (options, shared) = (options(directory.path()), Arc::clone(&counters));
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let socket = ControlSocket::bind(&options).expect("a socket");
                ready.send(()).expect("somebody waits");
                let (commands, inbox) = channel();
                tokio::select! {
                    () = serve(socket, limits, commands, shared) => {}
                    () = beat(heart, inbox) => {}
                    _ = stopped => {}
                }
            });
        });
        is_ready.recv().expect("it listens");
        Self { directory, counters, stop: Some(stop), thread: Some(thread) }
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("control.sock")
    }

    fn ask(&self, words: &[&str]) -> Result<Reply, ClientError> {
        Client::new(self.socket()).ask(&request(words))
    }

    fn raw(&self) -> UnixStream {
        UnixStream::connect(self.socket()).expect("it listens")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().map(std::thread::JoinHandle::join);
        assert!(matches!(ended, Some(Ok(()))), "the server panicked");
    }
}

async fn beat(heart: Heart, mut inbox: mpsc::Receiver<Incoming>) {
    let mut waiting = Vec::new();
    while let Some(incoming) = inbox.recv().await {
        match heart {
            Heart::Sleeps => waiting.push(incoming),
            Heart::Drops => {}
            Heart::Echoes => {
                let words = incoming.request.words.join(" ");
                let reply = Reply::done(format!("{words} in {} as {}", incoming.request.cwd, incoming.peer.uid));
                incoming.reply.send(reply).unwrap_or_default();
            }
        }
    }
}

fn options(directory: &Path) -> SocketOptions {
    SocketOptions { path: directory.join("control.sock"), mode: 0o660, uid: None, gid: None, operators: Vec::new() }
}

fn request(words: &[&str]) -> Request {
    Request::new(words.iter().map(|word| (*word).to_owned()).collect(), "/here".to_owned())
}

fn read_reply(stream: &mut UnixStream) -> Option<Reply> {
    let mut header = [0; HEADER];
    stream.read_exact(&mut header).ok()?;
    let mut bytes = vec![0; length(header, MAX_REPLY).expect("a short answer")];
    stream.read_exact(&mut bytes).ok()?;
    Some(decode_reply(&bytes).expect("an answer"))
}

fn counted(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

#[test]
fn a_command_goes_there_and_its_answer_comes_back() {
    let daemon = Daemon::start(Heart::Echoes, LIMITS);
    let own = std::fs::metadata("/proc/self").expect("proc").uid();
    let reply = daemon.ask(&["stat"]).expect("an answer");
    assert_eq!(reply, Reply::done(format!("stat in /here as {own}")));
    let mut stream = daemon.raw();
    for _ in 0..3 {
        stream.write_all(&encode_request(&request(&["version"])).expect("short")).expect("it listens");
        assert_eq!(read_reply(&mut stream).expect("an answer").outcome, Outcome::Done);
    }
}

#[test]
fn misuse_and_help_need_no_dispatcher() {
    let daemon = Daemon::start(Heart::Sleeps, LIMITS);
    let reply = daemon.ask(&["prot"]).expect("an answer");
    assert_eq!(reply.outcome, Outcome::Misuse);
    assert!(reply.lines[0].contains("did you mean `port`?"), "{reply:?}");
    assert_eq!(daemon.ask(&["binlog", "status"]).expect("an answer").outcome, Outcome::Refused);
    assert!(daemon.ask(&["help"]).expect("an answer").body.is_some());
}

#[test]
fn hostile_frames_get_one_answer_and_an_end() {
    let daemon = Daemon::start(Heart::Echoes, LIMITS);
    let too_long = (MAX_REQUEST as u32 + 1).to_be_bytes();
    for (story, bytes, wanted) in [
        ("HTTP", &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..], "at most 65536"),
        ("a long frame", &too_long[..], "at most 65536"),
        ("an empty frame", &[0, 0, 0, 0], "not understood"),
        ("no JSON", &[0, 0, 0, 3, b'a', b'b', b'c'], "not understood"),
        ("another version", b"\0\0\0\x0d{\"version\":9}", "version 9"),
    ] {
        let mut stream = daemon.raw();
        stream.write_all(bytes).expect(story);
        let reply = read_reply(&mut stream).expect(story);
        assert_eq!(reply.outcome, Outcome::Misuse, "{story}");
        assert!(reply.lines[0].contains(wanted), "{story}: {reply:?}");
        assert!(read_reply(&mut stream).is_none(), "{story}: the server hangs up");
    }
    for bytes in [&[][..], &[0], &[0, 0, 0, 9], &[0, 0, 0, 9, b'{']] {
        let mut stream = daemon.raw();
        stream.write_all(bytes).expect("it listens");
        stream.shutdown(std::net::Shutdown::Write).expect("half a close");
        let told = read_reply(&mut stream).is_some_and(|reply| reply.lines[0].contains("closed in the middle"));
        assert_eq!(told, !bytes.is_empty(), "{bytes:?}");
    }
    assert_eq!(counted(&daemon.counters.garbage), 8);
    assert_eq!(daemon.ask(&["status"]).expect("it still answers").outcome, Outcome::Done);
}

#[test]
fn a_command_of_ten_megabytes_is_refused_at_both_ends() {
    let daemon = Daemon::start(Heart::Echoes, LIMITS);
    let huge = "x".repeat(10 << 20);
    let fault = daemon.ask(&["server", &huge]).expect_err("too long");
    assert!(fault.is_misuse() && fault.to_string().contains("at most 65536 are allowed"), "{fault}");
    let mut stream = daemon.raw();
    stream.write_all(&(10u32 << 20).to_be_bytes()).expect("it listens");
    // The server does not wait for the rest; what it does not read may break the pipe.
    let _ = stream.write_all(huge.as_bytes());
    assert!(read_reply(&mut stream).expect("an answer").lines[0].contains("at most 65536"));
}

#[test]
fn who_is_slow_is_left() {
    let daemon = Daemon::start(Heart::Echoes, ServerLimits { patience: Duration::from_millis(20), ..LIMITS });
    let mut stream = daemon.raw();
    stream.write_all(&[0, 0]).expect("it listens");
    assert!(read_reply(&mut stream).is_none(), "the server hangs up without a word");
    assert_eq!(counted(&daemon.counters.timed_out), 1);
}

#[test]
fn one_connection_too_many_is_told_to_come_back() {
    let daemon = Daemon::start(Heart::Echoes, ServerLimits { connections: 2, ..LIMITS });
    let mut first = daemon.raw();
    let second = daemon.raw();
    let reply = daemon.ask(&["status"]).expect("an answer");
    assert_eq!(reply.outcome, Outcome::Refused);
    assert!(reply.lines[0].starts_with("busy"), "{reply:?}");
    assert_eq!(counted(&daemon.counters.too_many), 1);
    drop(second);
    first.write_all(&encode_request(&request(&["status"])).expect("short")).expect("it listens");
    assert_eq!(read_reply(&mut first).expect("an answer").outcome, Outcome::Done);
}

#[tokio::test]
async fn a_full_queue_is_told_to_come_back() {
    let directory = tempfile::tempdir().expect("a directory");
    let socket = ControlSocket::bind(&options(directory.path())).expect("a socket");
    let path = socket.path().to_owned();
    let counters = Arc::new(ServerCounters::default());
    let (commands, mut inbox) = channel();
    let limits = ServerLimits { connections: QUEUE + 2, ..LIMITS };
    let server = tokio::spawn(serve(socket, limits, commands.clone(), Arc::clone(&counters)));
    let ask = move || Client::new(path.clone()).ask(&request(&["status"]));
    let waiting: Vec<_> = (0..QUEUE).map(|_| tokio::task::spawn_blocking(ask.clone())).collect();
    while commands.capacity() > 0 {
        tokio::task::yield_now().await;
    }
    let reply = tokio::task::spawn_blocking(ask).await.expect("no panic").expect("an answer");
    assert!(reply.outcome == Outcome::Refused && reply.lines[0].starts_with("busy"), "{reply:?}");
    assert_eq!(counted(&counters.busy), 1);
    inbox.close();
    while let Some(incoming) = inbox.recv().await {
        incoming.reply.send(Reply::done("at last")).expect("the server waits");
    }
    for asked in waiting {
        assert_eq!(asked.await.expect("no panic").expect("an answer"), Reply::done("at last"));
    }
    server.abort();
}

#[test]
fn a_dispatcher_that_stops_is_named() {
    let daemon = Daemon::start(Heart::Drops, LIMITS);
    assert_eq!(daemon.ask(&["status"]).expect("an answer"), Reply::refused("tsuji is stopping"));
}

#[test]
fn a_dispatcher_that_sleeps_is_not_waited_for_without_end() {
    let daemon = Daemon::start(Heart::Sleeps, LIMITS);
    let client = Client::new(daemon.socket()).waiting(Duration::from_millis(20));
    let fault = client.ask(&request(&["status"])).expect_err("no answer");
    assert!(matches!(fault, ClientError::Timeout(_)), "{fault}");
}

#[test]
fn the_socket_has_its_mode_and_leaves_with_the_daemon() {
    let daemon = Daemon::start(Heart::Echoes, LIMITS);
    let path = daemon.socket();
    let metadata = std::fs::symlink_metadata(&path).expect("it is there");
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o660);
    let beside: Vec<_> = std::fs::read_dir(daemon.directory.path()).expect("entries").flatten().collect();
    assert_eq!(beside.len(), 2, "the socket and its lock, no nursery: {beside:?}");
    let directory = tempfile::tempdir().expect("a directory");
    let kept = directory.path().join("kept");
    std::fs::hard_link(&path, &kept).expect("a link");
    drop(daemon);
    assert!(!path.exists());
    let fault = Client::new(kept).ask(&request(&["status"])).expect_err("nobody listens");
    let text = fault.to_string();
    assert!(text.starts_with("tsuji is not running or listens elsewhere: cannot connect to /"), "{text}");
}

#[tokio::test]
async fn the_socket_gets_its_owner() {
    let directory = tempfile::tempdir().expect("a directory");
    let own = std::fs::metadata(directory.path()).expect("it is there");
    // Root gives it to somebody; others may only give it to themselves.
    let (uid, gid) = if own.uid() == 0 { (4321, 8765) } else { (own.uid(), own.gid()) };
    let wanted = SocketOptions { uid: Some(uid), gid: Some(gid), mode: 0o600, ..options(directory.path()) };
    let socket = ControlSocket::bind(&wanted).expect("a socket");
    let metadata = std::fs::symlink_metadata(socket.path()).expect("it is there");
    assert_eq!((metadata.uid(), metadata.gid(), metadata.mode() & 0o777), (uid, gid, 0o600));
}

#[tokio::test]
async fn a_second_daemon_is_refused_and_the_first_one_goes_on() {
    let daemon = Daemon::start(Heart::Echoes, LIMITS);
    let refused = |found: Result<ControlSocket, BindError>| {
        let fault = found.expect_err("somebody listens");
        let wanted = format!("another tsuji (process {}) already listens on", std::process::id());
        assert!(fault.to_string().starts_with(&wanted), "{fault}");
    };
    refused(ControlSocket::bind(&options(daemon.directory.path())));
    // A daemon that does not know of the lock is found all the same.
    std::fs::remove_file(daemon.directory.path().join("control.sock.lock")).expect("the lock is there");
    refused(ControlSocket::bind(&options(daemon.directory.path())));
    assert_eq!(daemon.ask(&["status"]).expect("an answer").outcome, Outcome::Done);
}

#[tokio::test]
async fn a_stale_socket_is_replaced_and_anything_else_is_left_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let options = options(directory.path());
    drop(UnixListener::bind(&options.path).expect("a socket"));
    assert!(options.path.exists(), "a daemon that was killed leaves its socket");
    drop(ControlSocket::bind(&options).expect("it is stale"));
    std::fs::write(&options.path, "precious").expect("a file");
    let fault = ControlSocket::bind(&options).expect_err("not a socket");
    assert!(fault.to_string().ends_with("is not a socket; it is left alone"), "{fault}");
    assert_eq!(std::fs::read(&options.path).expect("still there"), b"precious");
}

#[tokio::test]
async fn what_cannot_be_bound_says_why() {
    let long = SocketOptions { path: PathBuf::from(format!("/tmp/{}", "x".repeat(200))), ..options(Path::new("/")) };
    let fault = ControlSocket::bind(&long).expect_err("too long");
    assert!(fault.to_string().contains("cannot listen on /tmp/xxx"), "{fault}");
    let below_a_file = options(Path::new("/etc/hostname"));
    let fault = ControlSocket::bind(&below_a_file).expect_err("no directory");
    assert!(fault.to_string().contains("cannot create the directory /etc/hostname"), "{fault}");
}

#[tokio::test]
async fn a_successor_keeps_the_place_when_the_old_one_ends_late() {
    let directory = tempfile::tempdir().expect("a directory");
    let old = ControlSocket::bind(&options(directory.path())).expect("a socket");
    std::fs::remove_file(old.path()).expect("somebody cleans up");
    let _new = UnixListener::bind(old.path()).expect("a successor");
    let path = old.path().to_owned();
    drop(old);
    assert!(path.exists());
}

/// Once, the spare descriptor that was given up for `accept` was taken back before `accept` could use it, for ever.
#[test]
fn an_operator_gets_in_when_all_descriptors_are_used_up() {
    let program = std::env::current_exe().expect("this program");
    let script = "ulimit -n 64 && exec \"$0\" --exact control::tests::with_few_descriptors --ignored";
    let output = std::process::Command::new("sh").args(["-c", script]).arg(program).output().expect("a shell");
    assert!(output.status.success(), "{output:?}");
}

#[test]
#[ignore = "uses up its process's descriptors; the test above runs it in a process of its own"]
fn with_few_descriptors() {
    let daemon = Daemon::start(Heart::Echoes, LIMITS);
    assert_eq!(daemon.ask(&["status"]).expect("an answer").outcome, Outcome::Done);
    // The clients are this process too, so theirs are put by.
    let unix = || Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
    let clients = [unix(), unix(), unix()];
    let hog: Vec<_> = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
    let address = SockAddr::unix(daemon.socket()).expect("a short path");
    let answered = clients.map(|client| {
        client.connect(&address).expect("it listens");
        let mut stream = UnixStream::from(client);
        stream.set_read_timeout(Some(LIMITS.patience)).expect("a bound");
        stream.write_all(&encode_request(&request(&["status"])).expect("short")).expect("it reads");
        (read_reply(&mut stream).expect("an answer").outcome, stream)
    });
    assert!(hog.len() > 10, "descriptors were used up");
    assert!(answered.iter().all(|(outcome, _)| *outcome == Outcome::Done));
}
