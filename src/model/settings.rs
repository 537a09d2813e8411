//! Settings of the dispatcher as a whole.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The executor's own settings. Its defaults for clusters and ports are already copied into them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ExecutorSettings {
    /// Proxy threads; 0: one per CPU.
    pub workers: u16,
    /// Client connections over all ports; 0: what the limit of file descriptors allows.
    pub maxconnections: u32,
    /// MiB of memory; 0: no bound. `None`: a share of what there is when the daemon starts.
    pub maxmemory: Option<u32>,
    /// TLS sessions in the making of one worker.
    pub maxhandshakes: u32,
    /// Affinity records over all ports; beyond it the longest unused one makes room.
    pub maxaffinity: u32,
    /// How long running exchanges may take to end after SIGTERM.
    pub draintime: Duration,
    /// Whom the daemon becomes when root starts it. Set when the daemon starts.
    pub user: Option<String>,
    /// Another group than that user's own.
    pub group: Option<String>,
    pub packets: EngineSettings,
}

/// Of what forwards packets of `mac` ports. Set when the daemon starts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EngineSettings {
    /// Where clients' packets come in, by name; at most 8.
    pub interfaces: Vec<String>,
    pub engine: Engine,
    pub xdpmode: XdpMode,
    /// Connections that can be remembered.
    pub connections: u32,
    /// Where the BPF file system is mounted.
    pub bpffs: PathBuf,
}

/// What forwards packets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Engine {
    Auto,
    /// A program in the kernel.
    Xdp,
    /// A program in this process, for hosts where BPF is not allowed.
    PacketSocket,
}

/// How the XDP program is attached.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum XdpMode {
    /// In the driver, and where that one refuses, in the kernel's generic receive path.
    Auto,
    Native,
    Generic,
}

/// The manager's settings, with IBM's defaults.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ManagerSettings {
    /// `false` after `manager stop`: weights stay what they are, verdicts of advisors still count.
    pub running: bool,
    /// Between two rounds; 2 s.
    pub interval: Duration,
    /// Connection counts are taken every so many rounds; 2.
    pub refresh: u32,
    /// Percent by which a port's sum of weights must change before new weights are published; 5.
    pub sensitivity: u8,
    /// The larger, the smaller the step towards the target; 1.5.
    pub smoothing: f64,
    /// At most max(1, 20 %) of a port's servers may be taken out by advisors within one advisor interval. Off by default.
    pub velocitylimit: bool,
    /// With less than half of a port's servers healthy, advisor verdicts are set aside. Off by default.
    pub failopen: bool,
}

/// Where `dscontrol` comes in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ControlSettings {
    /// `None`: the default of the user who starts the daemon.
    pub socket: Option<PathBuf>,
    /// Permission bits of the socket; 0o660.
    pub mode: u32,
    pub owner: Option<String>,
    pub group: Option<String>,
    /// Users who may steer servers and look, and no more.
    pub operators: Vec<String>,
    /// Where overrides and the last good configuration are kept. `None`: the default of the user.
    pub statedir: Option<PathBuf>,
}

/// Where Prometheus comes in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MetricsSettings {
    /// `None`: no metrics listener.
    pub listen: Option<SocketAddr>,
}

/// The diagnostics on stderr, and what becomes of access logs that grow.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LogSettings {
    pub level: LogLevel,
    pub format: LogFormat,
    /// Bytes after which an access log is put aside and a new one begun; 0: never.
    pub accesslogsize: u64,
    /// How many of those put aside are kept.
    pub accesslogkeep: u32,
}

/// Scripts that are run when servers go and come back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AlertSettings {
    /// Where the scripts are; `None`: none is run.
    pub directory: Option<PathBuf>,
    /// How long one may run.
    pub timeout: Duration,
    /// As whom they run, where the daemon may choose; `None`: nobody where it is root, else its own user.
    pub user: Option<String>,
}

/// IBM's levels: 0 none, 1 minimal, 2 basic, 3 moderate, 4 advanced, 5 verbose. Here 0 is off, 1 shows changes of state,
/// warnings and errors, 2 and 3 information, 4 debugging, 5 everything.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct LogLevel(u8);

impl LogLevel {
    /// IBM's default.
    pub const DEFAULT: Self = Self(1);

    /// 0 to 5.
    pub fn new(value: u64) -> Result<Self, super::OutOfRange> {
        if value > 5 {
            return Err(super::OutOfRange { value, least: 0, most: 5 });
        }
        Ok(Self(value as u8))
    }

    pub fn get(self) -> u8 {
        self.0
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogFormat {
    Text,
    Json,
}
