//! The daemon as a child process.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The longest that anything may take which must happen; reaching it is a failure, not a measurement.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A port that nobody else gets within the next minute.
///
/// A port that was only asked for and closed again may be given to the next who asks, to this test a second time, or to
/// a connection that goes out. One that a closed connection still waits on (TIME-WAIT) is given to nobody, and may still
/// be listened on by whoever asks for it by number.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let client = TcpStream::connect(address).unwrap();
    // The end that closes first is the one that waits.
    drop(listener.accept().unwrap());
    assert_eq!((&client).read(&mut [0]).unwrap(), 0);
    address.port()
}

/// Who runs this test; scripts run as him, whoever that is.
fn own_user() -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::effective()).ok().flatten();
    user.map_or("nobody".to_owned(), |user| user.name)
}

/// A directory with a configuration, and the daemon's socket and state.
pub struct Site {
    pub directory: TempDir,
    pub port: u16,
    pub metrics: u16,
}

impl Site {
    /// `ports` is what follows the cluster's own lines, with `{port}` for the first port's number.
    pub fn new(ports: &str) -> Self {
        let site = Self { directory: tempfile::tempdir().unwrap(), port: free_port(), metrics: free_port() };
        site.write("tsuji.toml", &site.text(ports));
        site
    }

    pub fn text(&self, ports: &str) -> String {
        let directory = self.directory.path().display();
        let user = own_user();
        format!(
            "[executor]\nworkers = 2\ndraintime = 5\n\n[control]\nsocket = \"{directory}/control.sock\"\n\
             statedir = \"{directory}/state\"\n\n[metrics]\nlisten = \"127.0.0.1:{}\"\n\n\
             [alerts]\ndirectory = \"{directory}/scripts\"\nuser = \"{user}\"\n\n\
             [[cluster]]\nname = \"shop\"\naddress = \"127.0.0.1\"\n\n{}",
            self.metrics,
            ports.replace("{port}", &self.port.to_string()),
        )
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    pub fn metrics_address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.metrics).into()
    }

    /// Starts the daemon and waits until it answers.
    pub fn start(&self) -> Daemon {
        let daemon = Daemon::start(self.directory.path(), &["run", "--config", "tsuji.toml"]);
        daemon.wait_until("it answers", |daemon| daemon.dscontrol("status").code == 0);
        daemon
    }
}

/// A running daemon. Dropping it kills it.
pub struct Daemon {
    child: Child,
    directory: PathBuf,
    errors: Arc<Mutex<String>>,
}

/// What a program said.
#[derive(Debug)]
pub struct Output {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Daemon {
    pub fn start(directory: &Path, words: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tsuji"));
        command.args(words).current_dir(directory);
        Self::of(command, directory)
    }

    /// Started by this command, with its control socket in that directory.
    pub fn of(mut command: Command, directory: &Path) -> Self {
        command.env_remove("TSUJI_SOCKET").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let errors = Arc::new(Mutex::new(String::new()));
        let (said, stderr) = (Arc::clone(&errors), child.stderr.take().unwrap());
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                said.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        Self { child, directory: directory.to_owned(), errors }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to standard error so far.
    pub fn errors(&self) -> String {
        self.errors.lock().unwrap().clone()
    }

    /// One command line, as typed in a shell.
    pub fn dscontrol(&self, line: &str) -> Output {
        self.dscontrol_words(&line.split_whitespace().collect::<Vec<_>>())
    }

    pub fn dscontrol_words(&self, words: &[&str]) -> Output {
        let output = self.command().args(words).stdin(Stdio::null()).output().unwrap();
        Output {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The prompt, with these lines typed into it.
    pub fn prompt(&self, lines: &str) -> Output {
        let mut child =
            self.command().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        Output {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// `dscontrol` for this daemon, with the site's directory as its home.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dscontrol"));
        command.arg("--socket").arg(self.directory.join("control.sock")).current_dir(&self.directory);
        command.env("HOME", &self.directory).env_remove("XDG_STATE_HOME").env_remove("NO_COLOR");
        command
    }

    /// A command that must be carried out; returns what it printed.
    pub fn must(&self, line: &str) -> String {
        let output = self.dscontrol(line);
        assert_eq!(output.code, 0, "dscontrol {line}: {output:?}\n{}", self.errors());
        output.out
    }

    pub fn signal(&self, signal: &str) {
        let status = Command::new("kill").arg(format!("-{signal}")).arg(self.id().to_string()).status().unwrap();
        assert!(status.success());
    }

    /// Waits for it to end by itself.
    pub fn wait(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "the daemon does not end\n{}", self.errors());
            thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub fn wait_until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            assert!(begun.elapsed() < PATIENCE, "never: {what}\n{}", self.errors());
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("--- the daemon said ---\n{}", self.errors());
        }
    }
}
