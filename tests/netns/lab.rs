//! A bridge with hosts, each in a network namespace of its own.

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The cluster addresses: nobody's on the link, on the loopback of each server.
pub const CLUSTER: &str = "10.77.0.100";
pub const CLUSTER6: &str = "fd77::100";

/// One network: a bridge, a client, a dispatcher, three servers. All of it goes when it is dropped.
pub struct Lab {
    prefix: String,
    scratch: tempfile::TempDir,
    bpffs: PathBuf,
}

/// Hosts in the order of their addresses, from 10.77.0.1.
const HOSTS: [&str; 5] = ["client", "lb", "s1", "s2", "s3"];
/// The second dispatcher, where there is one.
pub const PARTNER: &str = "lb2";

impl Lab {
    /// `None`, with a line that says why: this is not the place for it.
    pub fn new() -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            println!("skipped: network namespaces need root");
            return None;
        }
        if let Some(missing) = ["ip", "ethtool", "nsenter"].into_iter().find(|program| !is_there(program)) {
            println!("skipped: no {missing} here");
            return None;
        }
        if let Err(why) = may_build() {
            println!("skipped: no networks of namespaces here: {why}");
            return None;
        }
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let prefix = format!("tsuji-{}-{}-", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let scratch = tempfile::tempdir().unwrap();
        // For a daemon that becomes somebody else.
        std::fs::set_permissions(scratch.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let bpffs = scratch.path().join("bpf");
        std::fs::create_dir(&bpffs).unwrap();
        let lab = Self { prefix, scratch, bpffs };
        sh(&format!("mount -t bpf bpf {}", lab.bpffs.display()));
        lab.build();
        Some(lab)
    }

    fn build(&self) {
        self.add_namespace("switch");
        self.sh("switch", "ip link add br0 type bridge && ip link set br0 up");
        // A switch knows nothing of IP; where the kernel has br_netfilter, every frame would go by the hooks of iptables.
        self.sh("switch", "for f in /proc/sys/net/bridge/bridge-nf-call-*tables; do [ ! -e $f ] || echo 0 > $f; done");
        for (place, host) in HOSTS.into_iter().enumerate() {
            self.add_host(host, place + 1);
        }
        for server in ["s1", "s2", "s3"] {
            self.sh(server, &format!("ip addr add {CLUSTER}/32 dev lo && ip addr add {CLUSTER6}/128 dev lo nodad"));
            self.sh(
                server,
                "for i in all eth0; do echo 1 > /proc/sys/net/ipv4/conf/$i/arp_ignore; echo 2 > /proc/sys/net/ipv4/conf/$i/arp_announce; done",
            );
        }
        self.let_answers_through("lb");
    }

    /// A program at the far end of a dispatcher's link, without which a veth pair loses what it sends back.
    fn let_answers_through(&self, host: &str) {
        self.sh("switch", &format!("ip link set to-{host} xdpdrv obj {PASS} sec xdp"));
    }

    /// A second dispatcher beside the first, with a link between the two besides the bridge.
    pub fn add_partner(&self) {
        self.add_host(PARTNER, 6);
        self.let_answers_through(PARTNER);
        sh(&format!("ip link add hb0 netns {0}lb type veth peer name hb0 netns {0}{PARTNER}", self.prefix));
        for (host, number) in [("lb", 1), (PARTNER, 2)] {
            self.sh(host, &format!("ip link set hb0 up && ip addr add 10.78.0.{number}/24 dev hb0"));
        }
        let bpffs = self.bpffs_of(PARTNER);
        std::fs::create_dir(&bpffs).unwrap();
        sh(&format!("mount -t bpf bpf {}", bpffs.display()));
    }

    /// Each dispatcher has pins of its own.
    fn bpffs_of(&self, host: &str) -> PathBuf {
        if host == "lb" { self.bpffs.clone() } else { self.scratch.path().join(format!("bpf-{host}")) }
    }

    /// A file that daemons can be told of.
    pub fn file(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// The dispatcher's interface as it was, and another one: to be called when it was deleted. `more`: how it is made.
    pub fn connect_dispatcher_again(&self, more: &str) {
        self.connect("lb", 2, more);
        self.let_answers_through("lb");
    }

    /// One host more at the bridge, with the address of this number.
    pub fn add_host(&self, host: &str, number: usize) {
        self.add_namespace(host);
        self.connect(host, number, "");
    }

    pub fn add_namespace(&self, host: &str) {
        sh(&format!("ip netns add {}{host}", self.prefix));
        self.sh(host, "ip link set lo up; echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad");
    }

    /// A veth pair to the bridge. Frames must leave complete: a program that sends them back knows nothing of checksums
    /// and segments that are left to a network card.
    fn connect(&self, host: &str, number: usize, more: &str) {
        sh(&format!(
            "ip link add eth0 netns {0}{host} {more} type veth peer name to-{host} netns {0}switch",
            self.prefix
        ));
        self.sh("switch", &format!("ip link set to-{host} master br0 up"));
        self.sh(host, "ip link set eth0 up");
        self.sh(
            host,
            &format!("ip addr add 10.77.0.{number}/24 dev eth0; ip addr add fd77::{number}/64 dev eth0 nodad"),
        );
        self.sh(host, "ethtool -K eth0 tx off gso off tso off rxvlan off txvlan off");
    }

    pub fn namespace(&self, host: &str) -> PathBuf {
        Path::new("/run/netns").join(format!("{}{host}", self.prefix))
    }

    /// A command on a host. Not by `ip netns exec`, which gives it a /sys of its own, where pins are lost.
    pub fn command(&self, host: &str, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.namespace(host).display())).arg(program);
        command
    }

    /// A shell line on a host, which must succeed.
    pub fn sh(&self, host: &str, line: &str) {
        self.output(host, line);
    }

    /// The same, and what it printed.
    pub fn output(&self, host: &str, line: &str) -> String {
        let output = self.command(host, "sh").args(["-c", line]).output().unwrap();
        assert!(output.status.success(), "{host}: {line}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs this on a thread of its own on a host.
    pub fn on<T: Send + 'static>(
        &self,
        host: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> std::thread::JoinHandle<T> {
        let namespace = File::open(self.namespace(host)).unwrap();
        std::thread::spawn(move || {
            nix::sched::setns(namespace, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
            work()
        })
    }

    /// Starts a daemon on the dispatcher. `{bpffs}` in the configuration is this lab's BPF file system.
    pub fn start(&self, configuration: &str) -> Daemon {
        self.start_through(&[], configuration)
    }

    /// The same on one of two dispatchers. Its files are its own.
    pub fn start_on(&self, host: &str, configuration: &str) -> Daemon {
        let name = if host == "lb" { "tsuji" } else { host };
        self.start_called(host, name, &[], configuration)
    }

    /// The same by a program that starts it.
    pub fn start_through(&self, through: &[&str], configuration: &str) -> Daemon {
        self.start_called("lb", "tsuji", through, configuration)
    }

    fn start_called(&self, host: &str, name: &str, through: &[&str], configuration: &str) -> Daemon {
        let (mut command, socket) = self.daemon(host, name, through, configuration);
        let log = self.scratch.path().join(format!("{name}.log"));
        let child = command.stderr(File::options().create(true).append(true).open(&log).unwrap()).spawn().unwrap();
        let daemon = Daemon { child, socket, log };
        daemon.wait_until("it is ready", || daemon.said().matches(" is ready").count() > daemon.starts_before());
        daemon
    }

    /// Starts a daemon that ends by itself; what it said.
    pub fn refuse(&self, configuration: &str) -> String {
        self.refuse_through(&[], configuration)
    }

    /// The same beside one that runs: its control socket and its state have names of their own.
    pub fn refuse_beside(&self, configuration: &str) -> String {
        self.refuse_called("second", &[], configuration)
    }

    pub fn refuse_through(&self, through: &[&str], configuration: &str) -> String {
        self.refuse_called("tsuji", through, configuration)
    }

    fn refuse_called(&self, name: &str, through: &[&str], configuration: &str) -> String {
        let output = self.daemon("lb", name, through, configuration).0.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        said
    }

    fn daemon(&self, host: &str, name: &str, through: &[&str], configuration: &str) -> (Command, PathBuf) {
        let file = self.scratch.path().join(format!("{name}.toml"));
        let socket = self.scratch.path().join(format!("{name}.run/control.sock"));
        let head = format!(
            "[control]\nsocket = \"{}\"\nstatedir = \"{}\"\n[metrics]\nlisten = \"\"\n[log]\nloglevel = 3\n",
            socket.display(),
            self.scratch.path().join(format!("{name}.state")).display()
        );
        let configuration = configuration.replace("{bpffs}", &self.bpffs_of(host).display().to_string());
        std::fs::write(&file, head + &configuration).unwrap();
        let words = [through, &[env!("CARGO_BIN_EXE_tsuji")]].concat();
        let mut command = self.command(host, words[0]);
        command.args(&words[1..]).args(["run", "--config"]).arg(&file).stdin(Stdio::null());
        (command, socket)
    }

    /// What a dispatcher knew is gone.
    pub fn forget_files_of(&self, host: &str) {
        let name = if host == "lb" { "tsuji" } else { host };
        for place in ["run", "state"] {
            std::fs::remove_dir_all(self.scratch.path().join(format!("{name}.{place}"))).unwrap();
        }
        let _ = std::fs::remove_dir_all(self.bpffs_of(host).join("tsuji"));
        // What its kernel forwarded by goes with its programs.
        self.sh(host, "ip link set eth0 xdp off 2>/dev/null || true");
    }

    /// A daemon that is another user from its next start on has nothing of before but its pins.
    pub fn forget_files(&self) {
        for place in ["tsuji.run", "tsuji.state"] {
            std::fs::remove_dir_all(self.scratch.path().join(place)).unwrap();
        }
    }

    /// Takes one of the daemon's pinned tables away.
    pub fn forget_pin(&self, table: &str) {
        let pins = std::fs::read_dir(self.bpffs.join("tsuji")).unwrap().flatten();
        let removed = pins.filter(|directory| std::fs::remove_file(directory.path().join(table)).is_ok()).count();
        assert_eq!(removed, 1, "{table}");
    }

    /// Pinned tables become those of another version.
    pub fn restamp_pins(&self, schema: u32) {
        let house = self.bpffs.join("tsuji");
        let own = std::fs::read_dir(&house).unwrap().next().unwrap().unwrap().path();
        std::fs::rename(own, house.join(format!("s{schema}"))).unwrap();
    }

    /// `tsuji WORDS` on the dispatcher.
    pub fn tsuji(&self, words: &[&str]) -> Output {
        let mut command = self.command("lb", env!("CARGO_BIN_EXE_tsuji"));
        command.args(words).args(["--bpffs", &self.bpffs.display().to_string()]).output().unwrap()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // All that are there, whoever added them.
        for entry in std::fs::read_dir("/run/netns").into_iter().flatten().flatten() {
            if let Some(name) = entry.file_name().to_str().filter(|name| name.starts_with(&self.prefix)) {
                let _ = Command::new("ip").args(["netns", "del", name]).output();
            }
        }
        for host in ["lb", PARTNER] {
            let _ = Command::new("umount").arg(self.bpffs_of(host)).output();
        }
    }
}

/// A running daemon; it is killed when it is dropped.
pub struct Daemon {
    child: Child,
    socket: PathBuf,
    log: PathBuf,
}

impl Daemon {
    pub fn dscontrol(&self, line: &str) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dscontrol"));
        let output = command.arg("--socket").arg(&self.socket).args(line.split(' ')).output().unwrap();
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
    }

    /// The value of a line of a server's report, such as "Total connections".
    pub fn figure(&self, server: &str, line: &str) -> u64 {
        let report = self.dscontrol(&format!("server report {server}"));
        let found = report.lines().find(|text| text.starts_with(line));
        found.and_then(|text| text.split(' ').next_back()?.parse().ok()).unwrap_or_else(|| panic!("{line}: {report}"))
    }

    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// How often a daemon became ready before this one, which shares its log.
    fn starts_before(&self) -> usize {
        self.said().matches("--- killed").count()
    }

    /// SIGKILL: nothing is said or tidied up.
    pub fn kill(self) {
        drop(self);
    }

    /// SIGTERM, as a service manager ends it.
    pub fn stop(&self) {
        use nix::sys::signal::{Signal, kill};
        kill(nix::unistd::Pid::from_raw(self.child.id() as i32), Signal::SIGTERM).unwrap();
        self.wait_until("it has ended", || self.has_ended());
    }

    /// Whether it waits to be buried.
    fn has_ended(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'))
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Ok(mut log) = File::options().append(true).open(&self.log) {
            let _ = std::io::Write::write_all(&mut log, b"--- killed\n");
        }
    }

    pub fn freeze(&self, frozen: bool) {
        use nix::sys::signal::{Signal, kill};
        let signal = if frozen { Signal::SIGSTOP } else { Signal::SIGCONT };
        kill(nix::unistd::Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    pub fn wait_until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let patience = Instant::now() + Duration::from_secs(20);
        while !is_so() {
            assert!(Instant::now() < patience, "it is not so that {what}; the daemon said:\n{}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.end();
        if std::thread::panicking() {
            println!("the daemon said:\n{}", self.said());
        }
    }
}

/// Whether this machine lets root make namespaces, mount a BPF file system and load programs; containers often do not.
fn may_build() -> Result<(), String> {
    let scratch = tempfile::tempdir().map_err(|error| error.to_string())?;
    let place = scratch.path().display();
    // In a mount namespace of its own, where nothing is left behind.
    let line = format!("mount -t bpf bpf {place} && ip link set lo xdpgeneric obj {PASS} sec xdp && ip link show lo");
    let output = Command::new("unshare").args(["--net", "--mount", "sh", "-c", &line]).output();
    let output = output.map_err(|error| format!("unshare: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    output.status.success().then_some(()).ok_or_else(|| said.lines().next().unwrap_or("no reason is given").to_owned())
}

/// See `pass.c`.
const PASS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/netns/pass.o");

/// Whether this machine has the program, wherever only root's PATH looks.
pub fn is_there(program: &str) -> bool {
    ["/usr/sbin", "/sbin", "/usr/bin", "/bin"].into_iter().any(|place| Path::new(place).join(program).exists())
}

fn sh(line: &str) {
    let output = Command::new("sh").args(["-c", line]).env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin").output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
}
